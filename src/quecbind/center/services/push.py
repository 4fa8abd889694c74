"""Who hears what happens to a device, while it happens: the subscribers, their limits, their queues.

The story of a message: a change has been committed; every subscriber of the device puts what its protocol makes of it
into its queue; when the line takes it, and only then, the right is read from committed data once more. When a right
ends, what waits about that device is thrown away, the subscription is gone, and a notice is the last thing said. A
right that comes again begins with a new subscription, never with the old one.

Knows no protocol and no socket: a `Line` carries, a session renders.
"""

import asyncio
import logging
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple, Protocol, TypeAlias

from quecbind.center.domain.addresses import counted_address
from quecbind.center.domain.control import Command
from quecbind.center.domain.ids import ClientId, Uid
from quecbind.center.domain.limits import PushLimits, SlidingCounter
from quecbind.center.domain.moment import to_ms
from quecbind.center.domain.thing_model import Level
from quecbind.center.services.accounts import Accounts
from quecbind.center.services.changes import (
    ADDED,
    Change,
    Changes,
    Controlled,
    EventReported,
    Located,
    PresenceChanged,
    Reported,
    RightChanged,
    SessionEnded,
)
from quecbind.center.services.control import Control, Handed, NotHanded, Sender
from quecbind.center.services.downlink import Downlink
from quecbind.center.services.errors import Rejected, StorageError
from quecbind.center.services.find import client_id_of, find_device
from quecbind.center.services.ports import Clock, Storage
from quecbind.center.services.rights import right_of
from quecbind.center.services.rows import Tx
from quecbind.center.services.sessions import is_signed_in
from quecbind.center.services.views import SignedIn
from quecbind.wire import commands

logger = logging.getLogger(__name__)

Kind = Literal[
    "presence", "status", "raw", "properties", "information", "event_info", "event_warn", "event_error", "location"
]
Message: TypeAlias = str | bytes
LogIn = Literal["ok", "refused", "full", "again"]

KIND_BY_COMMAND: Final[dict[int, Kind]] = {
    commands.STATUS_REPORT: "status",
    commands.TRANSPARENT_UP: "raw",
    commands.TSL_REPORT: "properties",
    commands.TSL_READ_ANSWER: "properties",
    commands.INFO_REPORT: "information",
}
KIND_BY_LEVEL: Final[dict[Level, Kind]] = {"INFO": "event_info", "WARN": "event_warn", "ERROR": "event_error"}

GOING_AWAY, POLICY, TRY_LATER = 1001, 1008, 1013  # WebSocket close codes
# Beside its text a message costs its place in the queue.
_MESSAGE_COST = 64
_PACE_S = 10


class Pace:
    """How much one App may send: `max_push_rate` pieces a second, averaged over ten, so that a start is quick."""

    def __init__(self, limits: PushLimits) -> None:
        self._counter = SlidingCounter(limits.max_push_rate * _PACE_S, _PACE_S)

    def take(self, now: float, count: int = 1) -> bool:
        """Count that many; False when it was too much."""
        for _ in range(count):
            if self._counter.retry_after_s("", now) is not None:
                return False
            self._counter.add("", now)
        return True


class Line(Protocol):
    """The way to one App. None of its methods waits or raises."""

    def is_ready(self) -> bool:
        """Whether it takes a message now without keeping it long."""
        ...

    def write(self, message: Message) -> None:
        """Send one message."""
        ...

    def close(self, code: int) -> None:
        """End the connection; what was written still goes out if the peer reads it soon."""
        ...

    def abort(self) -> None:
        """End the connection at once, for a peer that does not read."""
        ...


# How a protocol puts a change, at a time in UTC milliseconds; nothing when it does not show it.
Render: TypeAlias = Callable[[Change, int, str], Iterable[Message]]


@dataclass(frozen=True, slots=True)
class _Subscription:
    kinds: frozenset[Kind]
    epoch: int


class _Waiting(NamedTuple):
    """A message in the queue.

    Attributes:
        about: the device it tells of; None for what is said in any case.
        epoch: that of the device in which its user had the right to hear this; None where the subscription knows.
    """

    message: Message
    about: ClientId | None
    epoch: int | None


class Subscriber:
    """One App connection. Made by `Hub.admit`; ends once."""

    def __init__(self, hub: "Hub", peer: str, line: Line, render: Render) -> None:
        self.peer = peer
        self.who: SignedIn | None = None
        self.render = render
        self.is_over = False
        self._hub = hub
        self._line = line
        self._name = ""
        self._subscription_by_device: dict[ClientId, _Subscription] = {}
        self._queue: deque[_Waiting] = deque()
        self._queue_size = 0
        self._is_flushing = False

    @property
    def limits(self) -> PushLimits:
        """Those of the hub."""
        return self._hub.limits

    def log_in(self, authorization: str, *, uid: str | None = None, name: str = "") -> tuple[LogIn, float]:
        """Become the user whose access token this is; the second value is how many seconds the token is still good.

        Args:
            uid: whom the peer claims to be; None when it does not say.
            name: a name that only one connection of this user has: an earlier one of that name ends.
        """
        if self.who is not None:
            return "again", 0
        try:
            who, ends_at = self._hub.accounts.signed_in(authorization)
        except Rejected:
            return "refused", 0
        except StorageError:
            self.end("unavailable", TRY_LATER)
            return "refused", 0
        if uid is not None and uid != who.uid:
            return "refused", 0
        if not self._hub.take_user(self, who, name):
            return "full", 0
        self.who, self._name = who, name
        return "ok", ends_at - self._hub.clock.now()

    @property
    def queued_size(self) -> int:
        """Bytes that wait for the App to read."""
        return self._queue_size

    @property
    def name(self) -> str:
        """The name it logged in with."""
        return self._name

    def subscribe(self, client_id: ClientId, kinds: Iterable[Kind]) -> Literal["ok", "no right", "full"]:
        """Hear of a device from now on, in addition to what was subscribed to before."""
        earlier = self._subscription_by_device.get(client_id)
        epoch = self._hub.epoch_if_allowed(self, client_id)
        if epoch is None:
            return "no right"
        if earlier is None and len(self._subscription_by_device) >= self.limits.max_push_subscriptions:
            return "full"
        known = earlier.kinds if earlier is not None and earlier.epoch == epoch else frozenset[Kind]()
        self._subscription_by_device[client_id] = _Subscription(known | frozenset(kinds), epoch)
        self._hub.note_interest(self, client_id)
        return "ok"

    def unsubscribe(self, client_id: ClientId, kinds: Iterable[Kind]) -> bool:
        """Hear no more of that; False when it was not subscribed to."""
        earlier = self._subscription_by_device.get(client_id)
        if earlier is None:
            return False
        left = earlier.kinds - frozenset(kinds)
        if left:
            self._subscription_by_device[client_id] = _Subscription(left, earlier.epoch)
        else:
            self._end_subscription(client_id)
            # The result of a command is no part of a subscription.
            self._drop(lambda waiting: waiting.about == client_id and waiting.epoch is None)
        return True

    def is_subscribed(self, client_id: ClientId, kind: Kind | None = None) -> bool:
        """Whether it hears of the device, or of this about it."""
        found = self._subscription_by_device.get(client_id)
        return found is not None and (kind is None or kind in found.kinds)

    def forget(self, client_id: ClientId) -> None:
        """The subscription is over, and what waits about the device is not said any more."""
        self._end_subscription(client_id)
        self._drop(lambda waiting: waiting.about == client_id)

    def _end_subscription(self, client_id: ClientId) -> None:
        self._hub.drop_interest(self, client_id)
        self._subscription_by_device.pop(client_id, None)

    def _drop(self, is_over: Callable[[_Waiting], bool]) -> None:
        kept = [waiting for waiting in self._queue if not is_over(waiting)]
        if len(kept) != len(self._queue):
            self._queue = deque(kept)
            self._queue_size = sum(_size(waiting.message) for waiting in kept)

    def devices(self) -> Iterator[ClientId]:
        """What it is subscribed to."""
        return iter(tuple(self._subscription_by_device))

    def ask(
        self,
        client_id: ClientId,
        asked: Command | Downlink,
        message_id: int | str,
        answer: Callable[[Handed | NotHanded], None],
    ) -> None:
        """Ask something of a device, if the user has a right to it now.

        `answer` is called with what became of it, now or when it is kept; the result comes as a `Controlled`.
        """
        if self.who is None or self._hub.epoch_if_allowed(self, client_id) is None:
            answer(NotHanded("no right"))
            return
        handed = self._hub.control.ask(self.who, client_id, asked, Sender(self, message_id))
        if not isinstance(handed, asyncio.Future):
            answer(handed)
            return

        def done(kept: "asyncio.Future[Handed | NotHanded]") -> None:
            if not self.is_over and not kept.cancelled():
                answer(kept.result())

        handed.add_done_callback(done)

    def has_right(self, client_id: ClientId) -> bool:
        """Whether the user has a right to the device now."""
        return self._hub.epoch_if_allowed(self, client_id) is not None

    def client_id_of(self, product_key: str, device_key: str) -> ClientId | None:
        """The device with these keys if the user has a right to it now; None for any other."""
        name = client_id_of(product_key, device_key)
        if name is None or self._hub.epoch_if_allowed(self, name, product_key, device_key) is None:
            return None
        return name

    def stamp(self) -> tuple[int, str]:
        """The time in UTC milliseconds, and a name for one more message."""
        return self._hub.stamp()

    def put(self, message: Message, about: ClientId | None = None, epoch: int | None = None) -> None:
        """Say something. What is `about` a device is said only while the user has a right to it.

        Args:
            epoch: of the device, in which the user may hear it; None for that of the subscription.
        """
        if self.is_over:
            return
        self._queue.append(_Waiting(message, about, epoch))
        self._queue_size += _size(message)
        self.flush()
        if self._queue_size > self.limits.push_queue_size:
            self.end("slow_reader", abrupt=True)

    def flush(self) -> None:
        """Send what the line takes."""
        if self._is_flushing:
            return
        self._is_flushing = True
        try:
            while self._queue and not self.is_over and self._line.is_ready():
                message, about, epoch = self._queue.popleft()
                self._queue_size -= _size(message)
                if about is None or self._hub.may_hear(self, about, epoch):
                    self._line.write(message)
                    self._hub.sent_count += 1
        finally:
            self._is_flushing = False

    def epoch_of(self, client_id: ClientId) -> int | None:
        """The epoch in which it subscribed to the device."""
        found = self._subscription_by_device.get(client_id)
        return None if found is None else found.epoch

    def end(self, reason: str, code: int = POLICY, *, abrupt: bool = False) -> None:
        """The connection is over: nothing that waits is sent. Doing it twice is fine; the first reason counts."""
        if self.is_over:
            return
        self.is_over = True
        self._queue.clear()
        self._queue_size = 0
        self._hub.release(self, reason)
        self._subscription_by_device.clear()
        if abrupt:
            self._line.abort()
        else:
            self._line.close(code)


class Hub:
    """All App connections of this process. Listens to `Changes`; everything happens on the event loop."""

    def __init__(
        self,
        storage: Storage,
        accounts: Accounts,
        control: Control,
        changes: Changes,
        *,
        clock: Clock,
        limits: PushLimits | None = None,
    ) -> None:
        self.limits = limits or PushLimits()
        self.accounts = accounts
        self.control = control
        self.clock = clock
        self.sent_count = 0
        self.ended_count_by_reason: Counter[str] = Counter()
        self._storage = storage
        self._subscribers: set[Subscriber] = set()
        self._count_by_address: Counter[str] = Counter()
        self._subscribers_by_uid: dict[Uid, set[Subscriber]] = {}
        # In order of subscription, so that what is said has an order too.
        self._subscribers_by_device: dict[ClientId, dict[Subscriber, None]] = {}
        self._ticket = 0
        changes.listen(self._on_change)

    @property
    def connection_count(self) -> int:
        """Open App connections, logged in or not."""
        return len(self._subscribers)

    @property
    def subscription_count(self) -> int:
        """Devices subscribed to, counted per connection."""
        return sum(map(len, self._subscribers_by_device.values()))

    @property
    def queued_size(self) -> int:
        """Bytes that wait in all queues together."""
        return sum(subscriber.queued_size for subscriber in self._subscribers)

    def admit(self, peer: str, line: Line, render: Render) -> Subscriber | None:
        """A new connection; None when there are too many, of its address or at all."""
        peer = counted_address(peer)
        if len(self._subscribers) >= self.limits.max_push_connections:
            self.ended_count_by_reason["refused_total"] += 1
            return None
        if self._count_by_address[peer] >= self.limits.max_push_connections_per_address:
            self.ended_count_by_reason["refused_address"] += 1
            return None
        subscriber = Subscriber(self, peer, line, render)
        self._subscribers.add(subscriber)
        self._count_by_address[peer] += 1
        return subscriber

    # From the subscribers

    def take_user(self, subscriber: Subscriber, who: SignedIn, name: str) -> bool:
        """Count the connection for its user; False when the user has too many."""
        theirs = self._subscribers_by_uid.setdefault(who.uid, set())
        if name:
            for earlier in [each for each in theirs if each.name == name]:
                earlier.end("taken_over")
            theirs = self._subscribers_by_uid.setdefault(who.uid, theirs)
        if len(theirs) >= self.limits.max_push_connections_per_user:
            return False
        theirs.add(subscriber)
        return True

    def note_interest(self, subscriber: Subscriber, client_id: ClientId) -> None:
        """It is subscribed to the device."""
        self._subscribers_by_device.setdefault(client_id, {})[subscriber] = None

    def drop_interest(self, subscriber: Subscriber, client_id: ClientId) -> None:
        """It no longer is."""
        those = self._subscribers_by_device.get(client_id)
        if those is not None:
            those.pop(subscriber, None)
            if not those:
                del self._subscribers_by_device[client_id]

    def release(self, subscriber: Subscriber, reason: str) -> None:
        """It is over."""
        self.ended_count_by_reason[reason] += 1
        self._subscribers.discard(subscriber)
        self._count_by_address[subscriber.peer] -= 1
        if not self._count_by_address[subscriber.peer]:
            del self._count_by_address[subscriber.peer]
        for client_id in subscriber.devices():
            self.drop_interest(subscriber, client_id)
        if subscriber.who is not None:
            theirs = self._subscribers_by_uid.get(subscriber.who.uid, set())
            theirs.discard(subscriber)
            if not theirs:
                self._subscribers_by_uid.pop(subscriber.who.uid, None)

    def epoch_if_allowed(
        self,
        subscriber: Subscriber,
        client_id: ClientId,
        product_key: str | None = None,
        device_key: str | None = None,
    ) -> int | None:
        """The epoch of the device if the user has a right to it now; None otherwise, and when there is no such device.

        A user whose sign-in is over has no right to anything, and no connection after this.
        """
        who = subscriber.who
        if who is None:
            return None
        now_ms = to_ms(self.clock.now())

        def look(tx: Tx) -> tuple[bool, int | None]:
            if not is_signed_in(tx, who, now_ms):
                return False, None
            device = tx.devices.get(client_id)
            if device is None or right_of(tx, who.uid, client_id, now_ms) is None:
                return True, None
            if product_key is not None and device_key is not None and find_device(tx, product_key, device_key) is None:
                return True, None
            return True, device.epoch

        try:
            is_signed, epoch = self._storage.read(look)
        except StorageError:
            # Nobody knows whether there is a right: then there is none, and the App begins again later.
            subscriber.end("unavailable", TRY_LATER)
            return None
        if not is_signed:
            subscriber.end("signed_out")
        return epoch

    def may_hear(self, subscriber: Subscriber, client_id: ClientId, epoch: int | None) -> bool:
        """Whether a message about the device, of that epoch or of the subscription's, may go out now.

        A right that has gone takes its subscription along.
        """
        subscribed_epoch = subscriber.epoch_of(client_id)
        wanted_epoch = subscribed_epoch if epoch is None else epoch
        present_epoch = None if wanted_epoch is None else self.epoch_if_allowed(subscriber, client_id)
        if present_epoch is None or subscribed_epoch not in {None, present_epoch}:
            subscriber.forget(client_id)
        return present_epoch is not None and present_epoch == wanted_epoch

    def stamp(self) -> tuple[int, str]:
        """See `Subscriber.stamp`."""
        self._ticket += 1
        now_ms = to_ms(self.clock.now())
        return now_ms, f"{now_ms:x}-{self._ticket:x}"

    # From the changes

    def _on_change(self, change: Change) -> None:
        if isinstance(change, SessionEnded):
            for subscriber in tuple(self._subscribers_by_uid.get(change.uid, ())):
                if subscriber.who is not None and change.session_id in {None, subscriber.who.session_id}:
                    subscriber.end("signed_out")
        elif isinstance(change, RightChanged):
            self._on_right(change)
        elif isinstance(change, Controlled):
            self._on_result(change)
        else:
            kind = _kind_of(change)
            for subscriber in tuple(self._subscribers_by_device.get(change.client_id, ())):
                if kind is not None and subscriber.is_subscribed(change.client_id, kind):
                    self._say(subscriber, change, change.client_id)

    def _on_right(self, change: RightChanged) -> None:
        for subscriber in tuple(self._subscribers_by_uid.get(change.uid, ())):
            # What the notice looks like may depend on the subscription, so it is made before that ends.
            notice = self._rendered(subscriber, change)
            if change.value != ADDED:
                subscriber.forget(change.client_id)
            for message in notice:
                subscriber.put(message)

    def _on_result(self, change: Controlled) -> None:
        for subscriber in tuple(self._subscribers_by_uid.get(change.uid, ())):
            if change.connection is None:
                if subscriber.is_subscribed(change.client_id):
                    self._say(subscriber, change, change.client_id)
            elif change.connection is subscriber:
                # Whoever sends need not have subscribed.
                epoch = self.epoch_if_allowed(subscriber, change.client_id)
                for message in self._rendered(subscriber, change) if epoch is not None else ():
                    subscriber.put(message, change.client_id, epoch)

    def _say(self, subscriber: Subscriber, change: Change, about: ClientId) -> None:
        for message in self._rendered(subscriber, change):
            subscriber.put(message, about)

    def _rendered(self, subscriber: Subscriber, change: Change) -> list[Message]:
        return list(subscriber.render(change, *self.stamp()))


def _kind_of(change: PresenceChanged | Reported | EventReported | Located) -> Kind | None:
    if isinstance(change, Reported):
        return KIND_BY_COMMAND.get(change.command)
    if isinstance(change, EventReported):
        return KIND_BY_LEVEL[change.level]
    return "presence" if isinstance(change, PresenceChanged) else "location"


def _size(message: Message) -> int:
    # A character takes at most four bytes; messages are ASCII, or nearly.
    return (len(message) if isinstance(message, bytes) else len(message.encode())) + _MESSAGE_COST
