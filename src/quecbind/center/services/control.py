"""Commands of users on their way to devices: handed over now, or kept for a device that is away.

The story of a command for now: the right is read, the frame goes to the device's connection, the user has a ticket;
PUBACK, silence or the end of the connection becomes the result, told to the user's Apps. The story of one that is kept
is in `kept`: it is stored, and only then the user has a ticket. A read is never kept: its answer would come too late.

A device that is sent what was kept takes nothing else until it has caught up: a later command must not overtake an
earlier one. A stranger's device and one that does not exist are answered alike.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from quecbind.center.domain import refusal
from quecbind.center.domain.control import Command
from quecbind.center.domain.ids import ClientId, Uid
from quecbind.center.domain.limits import Ceiling, Limits
from quecbind.center.domain.moment import to_ms
from quecbind.center.services import downlink
from quecbind.center.services.changes import Changes
from quecbind.center.services.downlink import USER_COMMANDS, Downlink, UnsendableError
from quecbind.center.services.errors import Rejected, StorageError
from quecbind.center.services.find import client_id_of, find_device
from quecbind.center.services.handed import (
    ALL_OF_THE_USER,
    Answer,
    Handed,
    NotHanded,
    Sender,
    Target,
    hand,
    has_room,
    result,
)
from quecbind.center.services.kept import Kept
from quecbind.center.services.links import Links
from quecbind.center.services.ports import PUBACK_S, Clock, Entropy, Storage
from quecbind.center.services.registry import Registry
from quecbind.center.services.rights import hold_of
from quecbind.center.services.rows import Tx
from quecbind.center.services.views import SignedIn

TICKET_LENGTH: Final = 22
# Of what is under way to a device and not kept: so that no user takes all of it.
MAX_UNDER_WAY_PER_USER: Final = 8
SWEEP_S: Final = 5


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a command for one of many devices: a ticket, or a sentence why there is none."""

    product_key: str
    device_key: str
    ticket: str = ""
    sentence: str = ""


@dataclass(slots=True, eq=False)
class _Sent:
    """A frame whose PUBACK has not come."""

    until: float
    uid: Uid
    size: int
    give_up: Callable[[], None]


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
        self._devices_per_call = Ceiling(limits.max_control_devices)
        self._size = Ceiling(limits.max_control_size)
        self.count_by_result: Counter[str] = Counter()
        self._kept = Kept(
            storage, links, clock=clock, changes=changes, limits=limits, count_by_result=self.count_by_result
        )
        # In the order in which they were sent, which is that of their time limits.
        self._sent: dict[_Sent, None] = {}
        self._sent_by_device: dict[ClientId, set[_Sent]] = {}
        self._timer: asyncio.TimerHandle | None = None

    @property
    def limit_counters(self) -> dict[str, Ceiling]:
        """What is counted here, by limit."""
        return {
            "max_control_devices": self._devices_per_call,
            "max_control_size": self._size,
            "max_queued_per_device": self._kept.per_device,
            "max_queued_per_user": self._kept.per_user,
        }

    @property
    def under_way_count(self) -> int:
        """Commands that devices have been sent and have not acknowledged."""
        return len(self._sent) + self._kept.under_way_count

    @property
    def awaited_count(self) -> int:
        """See `Kept.awaited_count`."""
        return self._kept.awaited_count

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
            Rejected: 5311 or 5312 for the list, 5075 for data that is too large for any device.
        """
        if not devices:
            raise Rejected(refusal.DEVICE_LIST_MISSING)
        if not self._devices_per_call.fits(len(devices)):
            raise Rejected(refusal.DEVICE_LIST_TOO_LONG, f"at most {self._limits.max_control_devices} devices at once")
        if not self._size.fits(len(command.raw)):
            raise Rejected(refusal.CONTROL_TOO_LARGE, f"at most {self._limits.max_control_size} bytes at once")
        loop = asyncio.get_running_loop()
        # The same device twice is asked once.
        asked: dict[tuple[str, str], asyncio.Future[Handed | NotHanded]] = {
            keys: loop.create_future() for keys in dict.fromkeys(devices)
        }
        for keys, answer in asked.items():
            self._ask_named(who, command, *keys, _resolve(answer))
        outcomes = []
        for keys, answer in asked.items():
            handed = await answer
            if isinstance(handed, Handed):
                outcomes.append(Outcome(*keys, ticket=handed.ticket))
            else:
                outcomes.append(Outcome(*keys, sentence=handed.sentence))
        return outcomes

    def ask(
        self, who: SignedIn, client_id: ClientId, asked: Command | Downlink, sender: Sender, answer: Answer
    ) -> None:
        """Hand a command, or a frame that an App made, to one device, or keep it, if the user has a right to it now.

        `answer` is called once with what became of it, before any result is told: now, or when it is stored where it is
        to be kept. What storage cannot tell or store has failed, and nothing else with it.
        """
        self._ask(self._target(who.uid, client_id), asked, sender, answer)

    def give_up_unanswered(self) -> None:
        """Say of what a device has not acknowledged in time that it failed; what is kept waits for a new connection."""
        now = self._clock.now()
        for sent in tuple(self._sent):
            if sent.until > now:
                break
            sent.give_up()
        self._kept.give_up_unanswered(now)

    # One device

    def _ask_named(self, who: SignedIn, command: Command, product_key: str, device_key: str, answer: Answer) -> None:
        name = client_id_of(product_key, device_key)
        target = self._target(who.uid, name or ClientId(""), product_key, device_key)
        self._ask(target, command, ALL_OF_THE_USER, answer)

    def _ask(self, target: Target | NotHanded, asked: Command | Downlink, sender: Sender, answer: Answer) -> None:
        def counted(handed: Handed | NotHanded) -> None:
            if isinstance(handed, NotHanded):
                self.count_by_result["offline" if handed.why == "offline" else "refused"] += 1
            answer(handed)

        if isinstance(target, NotHanded):
            counted(target)
            return
        frame = self._frame(target, asked)
        if isinstance(frame, NotHanded):
            counted(frame)
        elif isinstance(asked, Downlink) or asked.keep is None or asked.kind == "read":
            counted(self._send(target, frame, sender))
        else:
            self._kept.keep(target, frame, asked.keep, self._entropy.text(TICKET_LENGTH), counted)

    def _frame(self, target: Target, asked: Command | Downlink) -> Downlink | NotHanded:
        """What the device is to be sent. Not before the right is known: what a model has is nothing for strangers."""
        if isinstance(asked, Downlink):
            if asked.command not in USER_COMMANDS:
                return NotHanded("not allowed")
            if not self._size.fits(len(asked.payload)):
                return NotHanded("too large")
        model = self._registry.model(target.product_key)
        try:
            frame = downlink.checked(asked, model) if isinstance(asked, Downlink) else downlink.encode(asked, model)
        except UnsendableError as error:
            return NotHanded("no model" if error.is_named else "malformed", str(error))
        return frame if self._size.fits(len(frame.payload)) else NotHanded("too large")

    def _target(
        self, uid: Uid, client_id: ClientId, product_key: str | None = None, device_key: str | None = None
    ) -> Target | NotHanded:
        now_ms = to_ms(self._clock.now())

        def look(tx: Tx) -> Target | NotHanded:
            hold = hold_of(tx, uid, client_id, now_ms)
            if product_key is None or device_key is None:
                device = tx.devices.get(client_id)
            else:
                device = find_device(tx, product_key, device_key)
            if device is None or hold is None:
                return NotHanded("no right")
            return Target(device.client_id, device.product_key, device.device_key, hold)

        try:
            return self._storage.read(look)
        except StorageError:
            # Nobody knows whether there is a right.
            return NotHanded("failed")

    def _send(self, target: Target, frame: Downlink, sender: Sender) -> Handed | NotHanded:
        client_id = target.client_id
        if not self._links.is_online(client_id):
            return NotHanded("offline")
        those, size = self._sent_by_device.get(client_id, set()), len(frame.payload)
        is_free = sum(each.uid == target.hold.uid for each in those) < MAX_UNDER_WAY_PER_USER
        if not self._kept.catch_up(client_id) or not is_free or not has_room([each.size for each in those], size):
            return NotHanded("busy")
        ticket, sent_at = self._entropy.text(TICKET_LENGTH), self._clock.now()

        def finish(is_acknowledged: bool, word: str) -> None:
            if self._forget(client_id, sent):
                self.count_by_result[word] += 1
                times = to_ms(sent_at), to_ms(sent_at)
                self._changes.tell([result(target, ticket, sender, times, is_acknowledged=is_acknowledged)])

        sent = _Sent(sent_at + PUBACK_S, target.hold.uid, size, lambda: finish(False, "unanswered"))
        self._sent[sent] = None
        self._sent_by_device.setdefault(client_id, set()).add(sent)
        if not hand(self._links, client_id, frame, lambda is_so: finish(is_so, "acknowledged" if is_so else "gone")):
            self._forget(client_id, sent)
            return NotHanded("busy")
        self.count_by_result["sent"] += 1
        return Handed(ticket)

    def _forget(self, client_id: ClientId, sent: _Sent) -> bool:
        if sent not in self._sent:
            return False
        del self._sent[sent]
        those = self._sent_by_device[client_id]
        those.discard(sent)
        if not those:
            del self._sent_by_device[client_id]
        return True

    def _sweep_on(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(SWEEP_S, self._sweep_on)
        self.give_up_unanswered()


def _resolve(future: "asyncio.Future[Handed | NotHanded]") -> Answer:
    def answer(handed: Handed | NotHanded) -> None:
        # Whoever asked may have gone.
        if not future.done():
            future.set_result(handed)

    return answer
