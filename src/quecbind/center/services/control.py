"""Commands of users on their way to devices: handed over now, or kept for a device that is away.

The story of a command for now: the right is read, the frame goes to the device's connection, the user has a ticket;
PUBACK, silence or the end of the connection becomes the result, told to the user's Apps. The story of one that is kept:
it is stored in the transaction that reads the right, and only then the user has a ticket. When the device is here, what
waits for it goes out oldest first, each after its right has been read again, and is deleted when its PUBACK has come.

Kept commands arrive at least once: one whose PUBACK did not come, or was not noted before the process died, is sent
again on the device's next connection. What ends a right takes the commands given by it along (`storage.downlinks`), so
none reaches a device after a reset or after its user has left. A read is never kept: its answer is worth nothing later.

A device that is sent what was kept takes nothing else until it has caught up: a later command must not be overtaken by
an earlier one. A stranger's device and one that does not exist are answered alike.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

from quecbind.center.domain import control, refusal
from quecbind.center.domain.control import Command, Keep, Waiting
from quecbind.center.domain.ids import ClientId, DeviceKey, ProductKey, Uid
from quecbind.center.domain.limits import Ceiling, Limits
from quecbind.center.domain.moment import to_ms
from quecbind.center.services import downlink
from quecbind.center.services.changes import Change, Changes, Controlled, PresenceChanged
from quecbind.center.services.downlink import USER_COMMANDS, Downlink, UnsendableError
from quecbind.center.services.errors import Rejected, StorageError
from quecbind.center.services.find import client_id_of, find_device
from quecbind.center.services.links import Links
from quecbind.center.services.ports import Clock, Entropy, Storage
from quecbind.center.services.records import KeptDownlink
from quecbind.center.services.registry import Registry
from quecbind.center.services.rights import Hold, hold_of, still_holds
from quecbind.center.services.rows import Tx
from quecbind.center.services.views import SignedIn
from quecbind.wire import commands

logger = logging.getLogger(__name__)

Why = Literal["no right", "not allowed", "malformed", "no model", "too large", "offline", "busy", "full"]

TICKET_LENGTH: Final = 22
# Kept commands under way to one device; a session takes twice as many, so that other frames have room beside them.
WINDOW: Final = 16
ANSWER_S: Final = 30
SWEEP_S: Final = 5

SENTENCE_BY_WHY: Final[dict[Why, str]] = {
    "no right": refusal.SENTENCE_BY_CODE[refusal.NOT_BOUND],
    "not allowed": "this is no command of a user",
    "malformed": refusal.SENTENCE_BY_CODE[refusal.CONTROL_DATA_FORMAT],
    "no model": "this needs a thing model, which is not known; use property numbers",
    "too large": "the command is too large",
    "offline": "the device is not online",
    "busy": "the device takes no more now, try again",
    "full": "too many commands wait for devices already",
}


@dataclass(frozen=True, slots=True)
class Handed:
    """A command is on its way, or kept.

    Attributes:
        ticket: names it in its result.
    """

    ticket: str
    is_kept: bool = False


@dataclass(frozen=True, slots=True)
class NotHanded:
    """A command goes nowhere; nothing has changed. `detail` is a sentence that knows more than the word does."""

    why: Why
    detail: str = ""

    @property
    def sentence(self) -> str:
        """What to tell a person."""
        return self.detail or SENTENCE_BY_WHY[self.why]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a command for one of many devices: a ticket, or a sentence why there is none."""

    product_key: str
    device_key: str
    ticket: str = ""
    sentence: str = ""


@dataclass(frozen=True, slots=True)
class Sender:
    """Who is to hear the result: one App connection, by the number it gave the command; without it, all of the user."""

    connection: object | None = None
    message_id: int | str = 0


ALL_OF_THE_USER: Final = Sender()


@dataclass(frozen=True, slots=True)
class _Target:
    client_id: ClientId
    product_key: ProductKey
    device_key: DeviceKey
    hold: Hold


@dataclass(slots=True, eq=False)
class _Sent:
    """A frame whose PUBACK has not come."""

    until: float
    give_up: Callable[[], None]


@dataclass(slots=True, eq=False)
class _Lane:
    """The kept commands of one device on its present connection."""

    sent_up_to: int = 0
    is_behind: bool = False
    is_pumping: bool = False
    in_flight: dict[int, float] = field(default_factory=dict)


class Control:
    """Hands commands over, keeps them, follows them. All methods run on the event loop.

    Attributes:
        count_by_result: what became of commands, by a word.
    """

    def __init__(
        self,
        storage: Storage,
        registry: Registry,
        links: Links,
        *,
        clock: Clock,
        entropy: Entropy,
        changes: Changes,
        limits: Limits,
    ) -> None:
        self._storage = storage
        self._registry = registry
        self._links = links
        self._clock = clock
        self._entropy = entropy
        self._changes = changes
        self._limits = limits
        self._devices_per_call = Ceiling(limits.max_control_devices + 1)
        self._size = Ceiling(limits.max_control_size + 1)
        self._per_device = Ceiling(limits.max_queued_per_device)
        self._per_user = Ceiling(limits.max_queued_per_user)
        self.count_by_result: Counter[str] = Counter()
        self._waiting: set[ClientId] = set(storage.read(lambda tx: list(tx.downlinks.devices())))
        self._lanes: dict[ClientId, _Lane] = {}
        # Rows whose PUBACK has come and whose deletion is not committed yet.
        self._acknowledged: set[int] = set()
        # In the order in which they were sent, which is that of their time limits.
        self._sent: dict[_Sent, None] = {}
        self._timer: asyncio.TimerHandle | None = None
        changes.listen(self._on_change)

    @property
    def limit_counters(self) -> dict[str, Ceiling]:
        """What is counted here, by limit."""
        return {
            "max_control_devices": self._devices_per_call,
            "max_control_size": self._size,
            "max_queued_per_device": self._per_device,
            "max_queued_per_user": self._per_user,
        }

    @property
    def under_way_count(self) -> int:
        """Commands that devices have been sent and have not acknowledged."""
        return len(self._sent) + sum(len(lane.in_flight) for lane in self._lanes.values())

    @property
    def awaited_count(self) -> int:
        """Devices for which something is kept."""
        return len(self._waiting)

    def start(self) -> None:
        """Look after what devices do not acknowledge, from now on."""
        self._timer = asyncio.get_running_loop().call_later(SWEEP_S, self._sweep_on)

    def close(self) -> None:
        """Look after nothing any more. Doing it twice is fine."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    # What users ask

    async def batch(self, who: SignedIn, command: Command, devices: Sequence[tuple[str, str]]) -> list[Outcome]:
        """Ask the same of many devices, named by product key and device key; each is decided on its own.

        Raises:
            Rejected: 5311 or 5312 for the list, 5074 for data that is too large for any device.
        """
        if not devices:
            raise Rejected(refusal.DEVICE_LIST_MISSING)
        if not self._devices_per_call.has_room(len(devices)):
            raise Rejected(refusal.DEVICE_LIST_TOO_LONG, f"at most {self._limits.max_control_devices} devices at once")
        if not self._size.has_room(len(command.raw)):
            raise Rejected(refusal.CONTROL_DATA_FORMAT, f"at most {self._limits.max_control_size} bytes at once")
        # The same device twice is asked once.
        asked = [(keys, self._ask_named(who, command, *keys)) for keys in dict.fromkeys(devices)]
        outcomes = []
        for keys, answer in asked:
            try:
                handed = await answer if isinstance(answer, asyncio.Future) else answer
            except StorageError:
                outcomes.append(Outcome(*keys, sentence=refusal.SENTENCE_BY_CODE[refusal.CONTROL_FAILED]))
                continue
            if isinstance(handed, Handed):
                outcomes.append(Outcome(*keys, ticket=handed.ticket))
            else:
                outcomes.append(Outcome(*keys, sentence=handed.sentence))
        return outcomes

    def ask(
        self, who: SignedIn, client_id: ClientId, asked: Command | Downlink, sender: Sender
    ) -> "asyncio.Future[Handed | NotHanded] | Handed | NotHanded":
        """Hand a command, or a frame that an App made, to one device, or keep it, if the user has a right to it now.

        A future only for what is to be kept; it raises StorageError when nothing could be stored.

        Raises:
            StorageError: nobody knows whether there is a right.
        """
        target = self._target(who.uid, client_id)
        return self._refused(target) if isinstance(target, NotHanded) else self._ask(target, asked, sender)

    def _keep(self, target: _Target, frame: Downlink, keep: Keep) -> "asyncio.Future[Handed | NotHanded]":
        """Store a command until the device has it; then hand it over if it can be."""
        client_id, uid = target.client_id, target.hold.uid
        if not self._size.has_room(len(frame.payload)):
            done: asyncio.Future[Handed | NotHanded] = asyncio.get_running_loop().create_future()
            done.set_result(self._refused(NotHanded("too large")))
            return done
        ticket, now_ms = self._entropy.text(TICKET_LENGTH), to_ms(self._clock.now())
        expired_counts: list[int] = []

        def work(tx: Tx) -> Handed | NotHanded | Ceiling:
            hold = hold_of(tx, uid, client_id, now_ms)
            if hold is None:
                return NotHanded("no right")
            waiting = tx.downlinks.of_user(uid, hold.device_id, now_ms)
            gone = _covered(waiting, frame) if keep.covers else {}
            freed_count = sum(payload is None for payload in gone.values())
            if len(waiting) - freed_count >= self._limits.max_queued_per_device:
                return self._per_device
            if tx.downlinks.count_of_user(uid, now_ms) - freed_count >= self._limits.max_queued_per_user:
                return self._per_user
            expired_counts.append(tx.downlinks.delete_over(uid, hold.device_id, now_ms))
            for row, payload in gone.items():
                if payload is None:
                    tx.downlinks.delete(row)
                else:
                    tx.downlinks.set_payload(row, payload)
            tx.downlinks.insert(_kept(hold, frame, ticket, now_ms, now_ms + keep.seconds * 1000))
            return Handed(ticket, is_kept=True)

        stored = self._storage.transact(work, lambda result: self._stored(client_id, result, sum(expired_counts)))
        return _answer(stored)

    def give_up_unanswered(self) -> None:
        """Say of what a device has not acknowledged in time that it failed; what is kept waits for a new connection."""
        now = self._clock.now()
        for sent in tuple(self._sent):
            if sent.until > now:
                break
            sent.give_up()
        for client_id, lane in tuple(self._lanes.items()):
            for row, until in tuple(lane.in_flight.items()):
                if until <= now:
                    del lane.in_flight[row]
                    self.count_by_result["unanswered"] += 1
            if lane.is_behind:
                self._pump(client_id)

    # One device

    def _stored(self, client_id: ClientId, result: Handed | NotHanded | Ceiling, expired_count: int) -> None:
        self.count_by_result["expired"] += expired_count
        if isinstance(result, Ceiling):
            result.refused_count += 1
            self.count_by_result["refused"] += 1
        elif isinstance(result, NotHanded):
            self._refused(result)
        else:
            self.count_by_result["kept"] += 1
            self._waiting.add(client_id)
            self._pump(client_id)

    def _ask_named(
        self, who: SignedIn, command: Command, product_key: str, device_key: str
    ) -> "asyncio.Future[Handed | NotHanded] | Handed | NotHanded":
        name = client_id_of(product_key, device_key)
        target = self._target(who.uid, name or ClientId(""), product_key, device_key)
        return self._refused(target) if isinstance(target, NotHanded) else self._ask(target, command, ALL_OF_THE_USER)

    def _ask(
        self, target: _Target, asked: Command | Downlink, sender: Sender
    ) -> "asyncio.Future[Handed | NotHanded] | Handed | NotHanded":
        if isinstance(asked, Downlink):
            return self._send(target, asked, sender)
        # Not before the right is known: what a product's model has is nothing for strangers.
        try:
            frame = downlink.encode(asked, self._registry.model(target.product_key))
        except UnsendableError as error:
            return self._refused(NotHanded("no model" if error.is_named else "malformed", str(error)))
        if asked.keep is None or asked.kind == "read":
            return self._send(target, frame, sender)
        return self._keep(target, frame, asked.keep)

    def _target(
        self, uid: Uid, client_id: ClientId, product_key: str | None = None, device_key: str | None = None
    ) -> _Target | NotHanded:
        now_ms = to_ms(self._clock.now())

        def look(tx: Tx) -> _Target | NotHanded:
            hold = hold_of(tx, uid, client_id, now_ms)
            if product_key is None or device_key is None:
                device = tx.devices.get(client_id)
            else:
                device = find_device(tx, product_key, device_key)
            if device is None or hold is None:
                return NotHanded("no right")
            return _Target(device.client_id, device.product_key, device.device_key, hold)

        return self._storage.read(look)

    def _refused(self, answer: NotHanded) -> NotHanded:
        self.count_by_result["offline" if answer.why == "offline" else "refused"] += 1
        return answer

    def _send(self, target: _Target, frame: Downlink, sender: Sender) -> Handed | NotHanded:
        client_id = target.client_id
        if frame.command not in USER_COMMANDS:
            return self._refused(NotHanded("not allowed"))
        if not self._size.has_room(len(frame.payload)):
            return self._refused(NotHanded("too large"))
        if not self._links.is_online(client_id):
            return self._refused(NotHanded("offline"))
        self._pump(client_id)
        lane = self._lanes.get(client_id)
        if lane is not None and lane.is_behind:
            return self._refused(NotHanded("busy"))
        ticket, sent_at = self._entropy.text(TICKET_LENGTH), self._clock.now()

        def finish(is_acknowledged: bool, result: str) -> None:
            if sent in self._sent:
                del self._sent[sent]
                self.count_by_result[result] += 1
                self._tell(target, ticket, sender, (to_ms(sent_at), to_ms(sent_at)), is_acknowledged)

        sent = _Sent(sent_at + ANSWER_S, lambda: finish(False, "unanswered"))
        self._sent[sent] = None
        if not self._hand(client_id, frame, lambda is_so: finish(is_so, "acknowledged" if is_so else "gone")):
            self._sent.pop(sent, None)
            return self._refused(NotHanded("busy"))
        self.count_by_result["sent"] += 1
        return Handed(ticket)

    def _hand(self, client_id: ClientId, frame: Downlink, delivery: Callable[[bool], None]) -> bool:
        kind = commands.topic_kind(frame.command)
        assert kind is not None, "every command of a user has a topic"
        return self._links.deliver(client_id, frame.command, frame.payload, kind, delivery)

    def _tell(
        self, target: _Target, ticket: str, sender: Sender, times: tuple[int, int], is_acknowledged: bool
    ) -> None:
        result = Controlled(
            client_id=target.client_id,
            product_key=target.product_key,
            device_key=target.device_key,
            uid=target.hold.uid,
            ticket=ticket,
            message_id=sender.message_id,
            connection=sender.connection,
            created_at=times[0],
            sent_at=times[1],
            is_acknowledged=is_acknowledged,
        )
        self._changes.tell([result])

    # What is kept

    def _on_change(self, change: Change) -> None:
        if not isinstance(change, PresenceChanged):
            return
        self._lanes.pop(change.client_id, None)
        if change.is_online and change.client_id in self._waiting:
            # Its connection can be sent to when whoever tells of it has returned.
            asyncio.get_running_loop().call_soon(self._pump, change.client_id)

    def _pump(self, client_id: ClientId) -> None:
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

    def _send_kept(self, client_id: ClientId, lane: _Lane) -> bool:
        """Send until the window is full, then it is False, or until all was sent."""
        now_ms = to_ms(self._clock.now())
        while (room := WINDOW - len(lane.in_flight)) > 0:
            rows = self._storage.read(lambda tx: _due(tx, client_id, lane.sent_up_to, now_ms, room))
            for kept, target in rows:
                if target is None:
                    # The share it was given by is over.
                    self._delete(kept.id)
                    self.count_by_result["refused"] += 1
                elif kept.id not in self._acknowledged and not self._send_one(lane, kept, target):
                    return False
                lane.sent_up_to = max(lane.sent_up_to, kept.id)
            if len(rows) < room:
                if not rows and not lane.in_flight and lane.sent_up_to == 0:
                    self._waiting.discard(client_id)
                return True
        return False

    def _send_one(self, lane: _Lane, kept: KeptDownlink, target: _Target) -> bool:
        sent_at = self._clock.now()

        def delivery(is_acknowledged: bool) -> None:
            lane.in_flight.pop(kept.id, None)
            if not is_acknowledged:
                self.count_by_result["gone"] += 1
                return
            self.count_by_result["acknowledged"] += 1
            self._delete(kept.id)
            self._tell(target, kept.ticket, ALL_OF_THE_USER, (kept.queued_at, to_ms(sent_at)), True)
            self._pump(target.client_id)

        lane.in_flight[kept.id] = sent_at + ANSWER_S
        frame = Downlink(downlink.kept_command(kept.kind), kept.payload)
        if self._hand(target.client_id, frame, delivery):
            self.count_by_result["sent"] += 1
            return True
        lane.in_flight.pop(kept.id, None)
        return False

    def _delete(self, row: int) -> None:
        self._acknowledged.add(row)
        deleted = self._storage.transact(lambda tx: tx.downlinks.delete(row))

        def done(answer: "asyncio.Future[bool]") -> None:
            self._acknowledged.discard(row)
            if not answer.cancelled() and answer.exception() is not None:
                logger.warning("control.not_deleted reason=%s", answer.exception())

        deleted.add_done_callback(done)

    def _sweep_on(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(SWEEP_S, self._sweep_on)
        self.give_up_unanswered()


def _due(
    tx: Tx, client_id: ClientId, after_id: int, now_ms: int, limit: int
) -> list[tuple[KeptDownlink, _Target | None]]:
    device = tx.devices.get(client_id)
    if device is None:
        return []
    found: list[tuple[KeptDownlink, _Target | None]] = []
    for kept in tx.downlinks.due(device.id, after_id, now_ms, limit):
        hold = Hold(kept.device_id, kept.uid, kept.share_id)
        target = _Target(client_id, device.product_key, device.device_key, hold)
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


def _answer(stored: "asyncio.Future[Handed | NotHanded | Ceiling]") -> "asyncio.Future[Handed | NotHanded]":
    """What was stored, or that there was no room."""
    answer: asyncio.Future[Handed | NotHanded] = asyncio.get_running_loop().create_future()

    def done(stored: "asyncio.Future[Handed | NotHanded | Ceiling]") -> None:
        if answer.done():
            return
        if stored.cancelled():
            answer.cancel()
        elif (error := stored.exception()) is not None:
            answer.set_exception(error)
        else:
            result = stored.result()
            answer.set_result(NotHanded("full") if isinstance(result, Ceiling) else result)

    stored.add_done_callback(done)
    return answer
