"""One App that listens: what it is subscribed to, what waits for it, and what it asks of devices.

What is about a device waits together with it, so that it can be thrown away when the right ends, and be looked at once
more when the line takes it. Who else listens and who may hear what is the hub's (`push`). Knows no protocol and no
socket: a `Line` carries, a session renders.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol, TypeAlias

from quecbind.center.domain.control import Command
from quecbind.center.domain.ids import ClientId
from quecbind.center.domain.limits import PushLimits
from quecbind.center.services.changes import Change
from quecbind.center.services.downlink import Downlink
from quecbind.center.services.errors import Rejected, StorageError
from quecbind.center.services.find import client_id_of
from quecbind.center.services.handed import Answer, Handed, NotHanded, Sender
from quecbind.center.services.views import SignedIn

if TYPE_CHECKING:
    from quecbind.center.services.push import Hub

MessageKind = Literal[
    "presence", "status", "raw", "properties", "information", "event_info", "event_warn", "event_error", "location"
]
Message: TypeAlias = str | bytes
LogIn = Literal["ok", "refused", "full", "again"]

POLICY, TRY_LATER = 1008, 1013  # WebSocket close codes
# Beside its text a message costs its place in the queue.
_MESSAGE_COST = 64


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
    kinds: frozenset[MessageKind]
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

    def subscribe(self, client_id: ClientId, kinds: Iterable[MessageKind]) -> Literal["ok", "no right", "full"]:
        """Hear of a device from now on, in addition to what was subscribed to before."""
        earlier = self._subscription_by_device.get(client_id)
        epoch = self._hub.epoch_if_allowed(self, client_id)
        if epoch is None:
            return "no right"
        if earlier is None and len(self._subscription_by_device) >= self.limits.max_push_subscriptions:
            return "full"
        known = earlier.kinds if earlier is not None and earlier.epoch == epoch else frozenset[MessageKind]()
        self._subscription_by_device[client_id] = _Subscription(known | frozenset(kinds), epoch)
        self._hub.note_interest(self, client_id)
        return "ok"

    def unsubscribe(self, client_id: ClientId, kinds: Iterable[MessageKind]) -> bool:
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

    def is_subscribed(self, client_id: ClientId, kind: MessageKind | None = None) -> bool:
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
        answer: Answer,
    ) -> None:
        """Ask something of a device, if the user has a right to it now.

        `answer` is called with what became of it, now or when it is kept; the result comes as a `Controlled`.
        """
        if self.who is None or self._hub.epoch_if_allowed(self, client_id) is None:
            answer(NotHanded("no right"))
            return

        def told(handed: Handed | NotHanded) -> None:
            if not self.is_over:
                answer(handed)

        self._hub.control.ask(self.who, client_id, asked, Sender(self, message_id), told)

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


def _size(message: Message) -> int:
    # A character takes at most four bytes; messages are ASCII, or nearly.
    return (len(message) if isinstance(message, bytes) else len(message.encode())) + _MESSAGE_COST
