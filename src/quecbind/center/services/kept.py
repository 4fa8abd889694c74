"""Commands that wait for devices: stored, covered, sent oldest first when the device is here, deleted with its PUBACK.

A command is stored in the transaction that reads the right once more. What ends that right takes it along
(`storage.downlinks`), so none reaches a device after a reset or after its user has left; the right is read again when
it is sent. What was given later than the clock shows, after a start with one that is behind, is held back; it still
takes its place and can be covered, because it counts again once the clock is right. A command arrives at least once:
one whose PUBACK did not come, or was not noted before the process died, is sent again on the device's next connection,
and not before.

Which devices are waited for is known in memory: a log-in of any other costs no SELECT.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from quecbind.center.domain import control
from quecbind.center.domain.control import Keep, Waiting
from quecbind.center.domain.ids import ClientId
from quecbind.center.domain.limits import Ceiling, Limits
from quecbind.center.domain.moment import is_within, to_ms
from quecbind.center.services import downlink
from quecbind.center.services.changes import Change, Changes, PresenceChanged
from quecbind.center.services.downlink import Downlink
from quecbind.center.services.errors import StorageError
from quecbind.center.services.handed import (
    ALL_OF_THE_USER,
    WINDOW,
    Answer,
    Handed,
    NotHanded,
    Target,
    hand,
    has_room,
    result,
)
from quecbind.center.services.links import Links
from quecbind.center.services.ports import PUBACK_S, Clock, Storage
from quecbind.center.services.records import KeptDownlink
from quecbind.center.services.rights import Hold, hold_of, still_holds
from quecbind.center.services.rows import Tx

logger = logging.getLogger(__name__)


@dataclass(slots=True, eq=False)
class _Lane:
    """What is under way to one device on its present connection: by row, when its PUBACK is due, and its size."""

    sent_up_to: int = 0
    is_behind: bool = False
    is_pumping: bool = False
    in_flight: dict[int, tuple[float, int]] = field(default_factory=dict)


class Kept:
    """The commands that are kept. All methods run on the event loop."""

    def __init__(
        self,
        storage: Storage,
        links: Links,
        *,
        clock: Clock,
        changes: Changes,
        limits: Limits,
        count_by_result: Counter[str],
    ) -> None:
        self._storage = storage
        self._links = links
        self._clock = clock
        self._changes = changes
        self._count_by_result = count_by_result
        self.per_device = Ceiling(limits.max_queued_per_device)
        self.per_user = Ceiling(limits.max_queued_per_user)
        self._waiting: set[ClientId] = set(storage.read(lambda tx: list(tx.downlinks.devices())))
        self._lanes: dict[ClientId, _Lane] = {}
        # Tickets of what is stored, or about to be, and whose user does not know yet.
        self._unanswered: set[str] = set()
        # Rows whose PUBACK has come and whose deletion is not committed yet.
        self._acknowledged: set[int] = set()
        changes.listen(self._on_change)

    @property
    def under_way_count(self) -> int:
        """What devices have been sent and have not acknowledged."""
        return sum(len(lane.in_flight) for lane in self._lanes.values())

    @property
    def awaited_count(self) -> int:
        """Devices that are looked at when they come: something is kept for them, or was until its time was over."""
        return len(self._waiting)

    def keep(self, target: Target, frame: Downlink, keep: Keep, ticket: str, answer: Answer) -> None:
        """Store a command until the device has it; answer that; then send it if the device is here.

        In this order, so that nobody is told of a result before they have the ticket it names.
        """
        client_id, uid, now_ms = target.client_id, target.hold.uid, to_ms(self._clock.now())
        expired_counts: list[int] = []

        def work(tx: Tx) -> Handed | NotHanded:
            hold = hold_of(tx, uid, client_id, now_ms)
            if hold is None:
                return NotHanded("no right")
            waiting = tx.downlinks.of_user(uid, hold.device_id, now_ms)
            gone = _covered(waiting, frame) if keep.covers else {}
            freed_count = sum(payload is None for payload in gone.values())
            of_device = len(waiting) - freed_count
            in_all = tx.downlinks.count_of_user(uid, now_ms) - freed_count
            if not self.per_device.has_room(of_device) or not self.per_user.has_room(in_all):
                return NotHanded("full")
            expired_counts.append(tx.downlinks.delete_over(uid, hold.device_id, now_ms))
            for row, payload in gone.items():
                if payload is None:
                    tx.downlinks.delete(row)
                else:
                    tx.downlinks.set_payload(row, payload)
            tx.downlinks.insert(_kept(hold, frame, ticket, now_ms, now_ms + keep.seconds * 1000))
            return Handed(ticket, is_kept=True)

        def applied(stored: Handed | NotHanded) -> None:
            self._unanswered.discard(ticket)
            self._count_by_result["expired"] += sum(expired_counts)
            if isinstance(stored, Handed):
                self._count_by_result["kept"] += 1
                self._waiting.add(client_id)
            answer(stored)
            self.send(client_id)

        def done(stored: "asyncio.Future[Handed | NotHanded]") -> None:
            if ticket not in self._unanswered:
                return
            self._unanswered.discard(ticket)
            error = None if stored.cancelled() else stored.exception()
            if error is not None and not isinstance(error, StorageError):
                logger.error("control.not_stored", exc_info=error)
            answer(NotHanded("failed"))

        self._unanswered.add(ticket)
        self._storage.transact(work, applied).add_done_callback(done)

    def catch_up(self, client_id: ClientId) -> bool:
        """Send what is kept for the device; whether all of it is on its way, so that nothing can be overtaken."""
        self.send(client_id)
        lane = self._lanes.get(client_id)
        return lane is None or not lane.is_behind

    def give_up_unanswered(self, now: float) -> None:
        """Make room for others where a device has not acknowledged in time, and go on where one could take no more."""
        for client_id, lane in tuple(self._lanes.items()):
            for row, (until, _) in tuple(lane.in_flight.items()):
                if until <= now:
                    del lane.in_flight[row]
                    self._count_by_result["unanswered"] += 1
            if lane.is_behind:
                self.send(client_id)

    def send(self, client_id: ClientId) -> None:
        """Send what is kept for the device, as far as it takes it."""
        if client_id not in self._waiting or not self._links.is_online(client_id):
            return
        lane = self._lanes.setdefault(client_id, _Lane())
        if lane.is_pumping:
            return
        lane.is_pumping = True
        try:
            lane.is_behind = not self._send_kept(client_id, lane)
        except StorageError as error:
            lane.is_behind = True
            logger.error("control.unavailable reason=%s", error)  # noqa: TRY400 - no code is at fault
        finally:
            lane.is_pumping = False

    def _on_change(self, change: Change) -> None:
        if not isinstance(change, PresenceChanged):
            return
        self._lanes.pop(change.client_id, None)
        if change.is_online and change.client_id in self._waiting:
            # Its connection can be sent to when whoever tells of it has returned.
            asyncio.get_running_loop().call_soon(self.send, change.client_id)

    def _send_kept(self, client_id: ClientId, lane: _Lane) -> bool:
        """Send until the window is full, then it is False, or until all was sent."""
        now_ms = to_ms(self._clock.now())
        while (room := WINDOW - len(lane.in_flight)) > 0:
            rows = self._storage.read(lambda tx: _due(tx, client_id, lane.sent_up_to, now_ms, room))
            for kept, target in rows:
                if kept.ticket in self._unanswered:
                    return False
                if not is_within(kept.queued_at, kept.expires_at, now_ms):
                    # It stays on file, for the first connection after the clock is right again.
                    self._count_by_result["held"] += 1
                elif target is None:
                    # The share it was given by is over.
                    self._delete(kept.id)
                    self._count_by_result["refused"] += 1
                elif kept.id not in self._acknowledged and not self._send_one(lane, kept, target):
                    return False
                lane.sent_up_to = max(lane.sent_up_to, kept.id)
            if len(rows) < room:
                if not rows and not lane.in_flight and lane.sent_up_to == 0:
                    self._waiting.discard(client_id)
                return True
        return False

    def _send_one(self, lane: _Lane, kept: KeptDownlink, target: Target) -> bool:
        if not has_room([size for _, size in lane.in_flight.values()], len(kept.payload)):
            return False
        sent_at = self._clock.now()

        def delivery(is_acknowledged: bool) -> None:
            lane.in_flight.pop(kept.id, None)
            if not is_acknowledged:
                self._count_by_result["gone"] += 1
                return
            self._count_by_result["acknowledged"] += 1
            self._delete(kept.id)
            times = kept.queued_at, to_ms(sent_at)
            self._changes.tell([result(target, kept.ticket, ALL_OF_THE_USER, times, is_acknowledged=True)])
            self.send(target.client_id)

        lane.in_flight[kept.id] = sent_at + PUBACK_S, len(kept.payload)
        frame = Downlink(downlink.kept_command(kept.kind), kept.payload)
        if hand(self._links, target.client_id, frame, delivery):
            self._count_by_result["sent"] += 1
            return True
        lane.in_flight.pop(kept.id, None)
        return False

    def _delete(self, row: int) -> None:
        self._acknowledged.add(row)
        deleted = self._storage.transact(lambda tx: tx.downlinks.delete(row))

        def done(answer: "asyncio.Future[None]") -> None:
            self._acknowledged.discard(row)
            if not answer.cancelled() and answer.exception() is not None:
                logger.warning("control.not_deleted reason=%s", answer.exception())

        deleted.add_done_callback(done)


def _due(
    tx: Tx, client_id: ClientId, after_id: int, now_ms: int, limit: int
) -> list[tuple[KeptDownlink, Target | None]]:
    device = tx.devices.get(client_id)
    if device is None:
        return []
    found: list[tuple[KeptDownlink, Target | None]] = []
    for kept in tx.downlinks.due(device.id, after_id, now_ms, limit):
        hold = Hold(kept.device_id, kept.uid, kept.share_id)
        target = Target(client_id, device.product_key, device.device_key, hold)
        found.append((kept, target if still_holds(tx, hold, now_ms) else None))
    return found


def _covered(waiting: Sequence[KeptDownlink], frame: Downlink) -> dict[int, bytes | None]:
    """By row, what is left of the payloads that `frame` covers: None for nothing."""
    assert frame.kind is not None
    payload_by_id = {kept.id: kept.payload for kept in waiting}
    candidates = [Waiting(kept.id, kept.kind, downlink.numbers_in(kept.kind, kept.payload)) for kept in waiting]
    return {
        each.id: downlink.without(payload_by_id[each.id], each.left) if each.left else None
        for each in control.covered(candidates, frame.kind, frame.numbers)
    }


def _kept(hold: Hold, frame: Downlink, ticket: str, now_ms: int, expires_at: int) -> KeptDownlink:
    assert frame.kind is not None
    return KeptDownlink(
        id=0,
        device_id=hold.device_id,
        uid=hold.uid,
        share_id=hold.share_id,
        kind=frame.kind,
        payload=frame.payload,
        ticket=ticket,
        queued_at=now_ms,
        expires_at=expires_at,
    )
