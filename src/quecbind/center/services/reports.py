"""What devices report of themselves by their thing model: properties, events, and where they are.

The story: a report is read by the product's model; what is kept of it, the last value of each property and the report
itself for the owners' history, is committed; then its users are told, and the device gets its PUBACK. A report that
comes again on the same connection is stored and told once. One that was under way while the device was reset is neither
stored nor told: it belongs to an earlier epoch.

Without a model nobody can say what a number means: such reports are told by number, at once and each time they come,
and not kept; where a device is needs no model. A report that cannot be read is counted and forgotten.
"""

import asyncio
import logging
from collections.abc import Iterator
from typing import Any, Final

from quecbind.center.domain import location
from quecbind.center.domain.limits import HistoryLimits
from quecbind.center.domain.moment import to_ms
from quecbind.center.domain.thing_model import ThingModel, read_events, read_fields
from quecbind.center.services.changes import Change, Changes, EventReported, Located, Reported
from quecbind.center.services.ports import Clock, Events, Storage
from quecbind.center.services.records import LastValue
from quecbind.center.services.registry import DeviceEntry, Registry
from quecbind.center.services.repeats import Repeat, earlier, key_of
from quecbind.center.services.rows import Tx
from quecbind.wire import commands, ttlv
from quecbind.wire.errors import WireError
from quecbind.wire.frame import Frame

logger = logging.getLogger(__name__)

Fields = list[tuple[int, Any]]

PLACE_ID: Final = 0  # where the last place is kept among the values
LOCATION_TEXT: Final = 2  # field of 0x0122 and 0x0124
COMMANDS: Final = frozenset(
    {commands.TSL_REPORT, commands.TSL_READ_ANSWER, commands.LOCATION_REPORT, commands.LOCATION_ANSWER}
)
MAX_FIELD_SIZE: Final = 16_384
MAX_HISTORY_SIZE: Final = 4_096
SWEEP_S: Final = 60
SWEEP_AGAIN_S: Final = 0.5
MAX_SWEPT: Final = 2_000
DAY_MS: Final = 86_400_000


class Reports:
    """Receives reports of devices that have logged in, and forgets them when their time is over."""

    def __init__(
        self,
        storage: Storage,
        registry: Registry,
        *,
        clock: Clock,
        events: Events,
        changes: Changes,
        limits: HistoryLimits,
    ) -> None:
        self._storage = storage
        self._registry = registry
        self._clock = clock
        self._events = events
        self._changes = changes
        self._limits = limits
        self._timer: asyncio.TimerHandle | None = None

    def receive(self, entry: DeviceEntry, frame: Frame, now: float) -> "asyncio.Future[None] | None":
        """Take one report; see `Uplink.receive`."""
        key = key_of(entry.connection_count, frame)
        # Some devices number all their reports 0.
        if frame.packet_id and (repeated := earlier(entry.last_report, key)) is not None:
            return repeated
        is_place = frame.command in {commands.LOCATION_REPORT, commands.LOCATION_ANSWER}
        model = self._registry.model(entry.product_key)
        if model is None and not is_place:
            self._changes.tell([reported(entry, frame)])
            return None
        try:
            fields = ttlv.decode(frame.payload, parse_float=parse_float)
        except WireError as error:
            self._events.publish("report.malformed", client_id=entry.client_id, reason=error)
            return None
        at = to_ms(now)
        if is_place:
            kept, told = _place(entry, frame, fields, at)
        else:
            assert model is not None
            kept, told = _values(entry, frame, fields, model)
        if not kept and not told:
            return None
        report = self._store(entry, kept, None if is_place else frame.payload, at, told)
        entry.last_report = Repeat(key, report)
        return report

    def start(self) -> None:
        """From now on forget what is too old: once a minute, and without a rest while there is much of it."""
        self._timer = asyncio.get_running_loop().call_later(SWEEP_S, self._sweep_on)

    def close(self) -> None:
        """Leave it to the next start. Doing it twice is fine."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def sweep(self) -> "asyncio.Future[int]":
        """Forget reports whose days are over, up to 2000; how many those were."""
        before = to_ms(self._clock.now()) - self._limits.history_days * DAY_MS
        # What is not to be kept at all is over at once.
        before += 0 if self._limits.history_days else 1
        return self._storage.transact(lambda tx: tx.values.sweep(before, MAX_SWEPT))

    def _sweep_on(self) -> None:
        self.sweep().add_done_callback(self._swept)

    def _swept(self, done: "asyncio.Future[int]") -> None:
        if done.cancelled() or self._timer is None:
            return
        error = done.exception()
        if error is not None:
            logger.warning("history.sweep_failed reason=%s", error)
        is_more = error is None and done.result() == MAX_SWEPT
        self._timer = asyncio.get_running_loop().call_later(SWEEP_AGAIN_S if is_more else SWEEP_S, self._sweep_on)

    def _store(
        self, entry: DeviceEntry, kept: list[LastValue], payload: bytes | None, at: int, told: list[Change]
    ) -> "asyncio.Future[None]":
        device_id, epoch = entry.id, entry.epoch
        limits = self._limits
        is_history = payload is not None and limits.history_days > 0 and len(payload) <= MAX_HISTORY_SIZE

        is_stored = False

        def work(tx: Tx) -> None:
            nonlocal is_stored
            is_stored = tx.values.merge(device_id, epoch, at, kept)
            if is_stored and is_history and payload is not None:
                tx.values.append(device_id, epoch, at, payload, limits.max_history_rows)

        def applied(_: None) -> None:
            if is_stored:
                self._events.publish("device.reported", client_id=entry.client_id)
                self._changes.tell(told)

        return self._storage.transact(work, applied)


def reported(entry: DeviceEntry, frame: Frame, values: dict[str, Any] | None = None) -> Reported:
    """What is told about a frame of a device."""
    return Reported(
        client_id=entry.client_id,
        product_key=entry.product_key,
        device_key=entry.device_key,
        command=frame.command,
        packet_id=frame.packet_id,
        payload=frame.payload,
        values=values,
    )


def parse_float(text: str) -> float:
    """A number with decimals, as it was meant."""
    # Devices multiply doubles until they are whole; 15 significant digits are what they meant.
    return float(f"{float(text):.15g}")


def decoded(payload: bytes) -> Fields:
    """The fields of a stored report."""
    return ttlv.decode(payload, parse_float=parse_float)


def _values(
    entry: DeviceEntry, frame: Frame, fields: Fields, model: ThingModel
) -> tuple[list[LastValue], list[Change]]:
    values = read_fields(model, fields)
    told: list[Change] = [reported(entry, frame, values)] if values else []
    told += [
        EventReported(
            client_id=entry.client_id,
            product_key=entry.product_key,
            device_key=entry.device_key,
            packet_id=frame.packet_id,
            code=event.code,
            level=event.level,
            values=brought,
        )
        for event, brought in read_events(model, fields)
    ]
    known = {each.id for each in model.properties if each.code in values}
    return list(_kept(fields, known)), told


def _kept(fields: Fields, known: set[int]) -> Iterator[LastValue]:
    seen: set[int] = set()
    for number, value in fields:
        if number in known and number not in seen:
            seen.add(number)
            try:
                field = ttlv.encode([(number, value)])
            except WireError:
                continue  # an empty list inside: it can be read and not written
            if len(field) <= MAX_FIELD_SIZE:
                yield LastValue(property_id=number, field=field)


def _place(entry: DeviceEntry, frame: Frame, fields: Fields, at: int) -> tuple[list[LastValue], list[Change]]:
    text = ttlv.first(fields, LOCATION_TEXT)
    if not isinstance(text, bytes) or not text or len(text) > location.MAX_TEXT:
        return [], []
    kept = [LastValue(property_id=PLACE_ID, field=text)]
    place = location.place_of(text.decode("ascii", "replace"))
    if place is None:
        return kept, []
    located = Located(
        client_id=entry.client_id,
        product_key=entry.product_key,
        device_key=entry.device_key,
        packet_id=frame.packet_id,
        place=place,
        at=at,
    )
    return kept, [located]
