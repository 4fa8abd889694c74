"""What a device tells the Developer Center: its bind code, its status, its module information; `reports` has the rest.

A bind code is stored before its PUBACK. A frame that comes again on the same connection (devices repeat what is not
acknowledged, with the same packet id) is stored once: it must not re-open a window that was used meanwhile; nor must
one that comes on the next connection because the first was lost before its PUBACK. Status and
information are written only when they differ from what was written last. They have a moment too, which decides who is
shown them: the same is written again after a right to the device has changed and, while nobody has owned the device,
every five minutes. What users may see is told to whoever listens: after it is stored where it is stored, at once where
it is not. Everything else passes by.
"""

import asyncio
import json
from typing import Any

from quecbind.center.domain.audit import AuditEntry
from quecbind.center.domain.binding import Window, is_bind_code, is_told_again, window_end
from quecbind.center.domain.ids import Secret
from quecbind.center.domain.moment import to_ms
from quecbind.center.services import reports
from quecbind.center.services.changes import Change, Changes, RightChanged
from quecbind.center.services.ports import Events, Storage
from quecbind.center.services.registry import DeviceEntry, Registry
from quecbind.center.services.repeats import Repeat, digest, earlier, key_of
from quecbind.center.services.reports import Reports, parse_float, reported
from quecbind.center.services.rows import Tx
from quecbind.wire import commands, ttlv
from quecbind.wire.errors import WireError
from quecbind.wire.frame import Frame

Fields = list[tuple[int, Any]]

# Known ids end at 7 (status) and 14 (information); what later modules add still fits, what nobody sends does not.
MAX_REPORT_ID = 63
MAX_REPORT_TEXT = 256
MAX_BIND_SECRET = 64
# The first owner is shown what was told within ten minutes before the binding (migration 0009).
RENEWED_MS = 300_000


class Uplink:
    """Receives frames of devices that have logged in."""

    def __init__(
        self, storage: Storage, registry: Registry, reports: Reports, *, events: Events, changes: Changes
    ) -> None:
        self._storage = storage
        self._registry = registry
        self._reports = reports
        self._changes = changes
        self._events = events
        changes.listen(self._on_change)

    def receive(self, entry: DeviceEntry, frame: Frame, now: float) -> "asyncio.Future[None] | None":
        """Take one frame. PUBACK follows the future if there is one, and at once if there is none.

        A payload that cannot be read is counted and forgotten: the device would only send it again.
        """
        if frame.command == commands.BIND_CODE:
            return self._bind_code(entry, frame, now)
        if frame.command == commands.STATUS_REPORT:
            return self._report(entry, frame, to_ms(now), is_status=True)
        if frame.command == commands.INFO_REPORT:
            return self._report(entry, frame, to_ms(now), is_status=False)
        if frame.command in reports.COMMANDS:
            return self._reports.receive(entry, frame, now)
        if frame.command == commands.TRANSPARENT_UP:
            self._tell(entry, frame)
        return None

    def _bind_code(self, entry: DeviceEntry, frame: Frame, now: float) -> "asyncio.Future[None] | None":
        key = key_of(entry.connection_count, frame)
        # Some devices number all they send 0; what they repeat is known by the MQTT packet id.
        if frame.packet_id and (repeated := earlier(entry.last_bind_report, key)) is not None:
            return repeated
        try:
            fields = ttlv.decode(frame.payload)
            end, seconds = _window(fields, entry.product.default_window_s, to_ms(now))
            code = _code(fields) if end is not None else ""
            bind_secret = _bind_secret(fields)
        except (WireError, ValueError) as error:
            self._events.publish("window.malformed", client_id=entry.client_id, reason=error)
            return None

        device_id, epoch = entry.id, entry.epoch
        is_first = entry.last_bind_report is None or entry.last_bind_report.key[0] != entry.connection_count
        mac = self._storage.mac("bind code", entry.product_key, entry.device_key, code)
        audit = AuditEntry(
            at=to_ms(now),
            who="device",
            action="window.closed" if end is None else "window.opened",
            product_key=entry.product_key,
            device_key=entry.device_key,
            peer=entry.address,
            details={"seconds": seconds},
        )

        is_stored = False

        def work(tx: Tx) -> None:
            nonlocal is_stored
            if end is None:
                is_stored = tx.devices.close_window(device_id, epoch)
            else:
                window = Window(mac, end, to_ms(now))
                if is_first and is_told_again(tx.devices.used_window(device_id), window):
                    return
                is_stored = tx.devices.open_window(device_id, epoch, window, bind_secret)
            # Nothing is stored when the device was reset meanwhile: the code belonged to its earlier life.
            if is_stored:
                tx.audit.append(audit)

        def applied(_: None) -> None:
            if is_stored:
                self._events.publish(audit.action, client_id=entry.client_id, seconds=seconds)

        report = self._storage.transact(work, applied)
        entry.last_bind_report = Repeat(key, report)
        return report

    def _report(self, entry: DeviceEntry, frame: Frame, at: int, *, is_status: bool) -> "asyncio.Future[None] | None":
        told = _digest_of(entry, frame, at)
        if told == (entry.status_digest if is_status else entry.info_digest):
            self._tell(entry, frame)
            return None
        try:
            text = _json(ttlv.decode(frame.payload, parse_float=parse_float))
        except WireError as error:
            self._events.publish("report.malformed", client_id=entry.client_id, reason=error)
            return None
        device_id, epoch = entry.id, entry.epoch

        is_stored = False

        def work(tx: Tx) -> None:
            nonlocal is_stored
            merge = tx.devices.merge_status if is_status else tx.devices.merge_info
            is_stored = merge(device_id, epoch, at, text)

        def applied(_: None) -> None:
            # What an earlier owner's device said is nothing for the next one: it is neither kept nor told.
            if not is_stored:
                return
            if is_status:
                entry.status_digest = told
            else:
                entry.info_digest = told
            self._events.publish("device.reported", client_id=entry.client_id)
            self._tell(entry, frame)

        return self._storage.transact(work, applied)

    def _tell(self, entry: DeviceEntry, frame: Frame) -> None:
        self._changes.tell([reported(entry, frame)])

    def _on_change(self, change: Change) -> None:
        if isinstance(change, RightChanged):
            entry = self._registry.entry(change.client_id)
            if entry is not None:
                # Whoever has just come is shown what is told from now on, also when it is what was told before.
                entry.status_digest = entry.info_digest = None


def _digest_of(entry: DeviceEntry, frame: Frame, at: int) -> bytes:
    """What a report is known by; while nobody has owned the device in this epoch, for five minutes only."""
    return digest(frame.payload if entry.auth_key is not None else frame.payload + b"%d" % (at // RENEWED_MS))


def _window(fields: Fields, default_s: int, now_ms: int) -> tuple[int | None, int]:
    seconds = ttlv.first(fields, commands.BIND_CODE_SECONDS_LEFT, default_s)
    if isinstance(seconds, bool) or not isinstance(seconds, int):
        raise ValueError("the seconds left are not a whole number")  # noqa: TRY004 - it is the device's value
    return window_end(seconds, now_ms), seconds


def _code(fields: Fields) -> str:
    code = ttlv.first(fields, commands.BIND_CODE_CODE, b"")
    text = code.decode("ascii", "replace") if isinstance(code, bytes) else ""
    if not is_bind_code(text):
        raise ValueError("not 16 of 0-9 A-F")
    return text


def _bind_secret(fields: Fields) -> Secret | None:
    secret = ttlv.first(fields, commands.BIND_CODE_SECRET, b"")
    if not isinstance(secret, bytes) or len(secret) > MAX_BIND_SECRET:
        raise ValueError("the bind secret is no text, or too long")
    # Modules send hex digits; whatever octets it is, it is kept as it came.
    return Secret(secret.decode("latin-1")) if secret else None


def _json(fields: Fields) -> str:
    facts: dict[str, object] = {}
    for number, value in fields:
        if 1 <= number <= MAX_REPORT_ID and not isinstance(value, list):
            shown = value.decode("utf-8", "replace")[:MAX_REPORT_TEXT] if isinstance(value, bytes) else value
            facts.setdefault(str(number), shown)
    return json.dumps(facts)
