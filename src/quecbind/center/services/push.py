"""Who hears what happens to a device, while it happens: all subscribers, and what is counted of them together.

The story of a message: a change has been committed; every subscriber of the device puts what its protocol makes of it
into its queue; when the line takes it, and only then, the right is read from committed data once more. When a right
ends, what waits about that device is thrown away, the subscription is gone, and a notice is the last thing said. A
right that comes again begins with a new subscription, never with the old one.
"""

from collections import Counter
from typing import Final

from quecbind.center.domain.addresses import counted_address
from quecbind.center.domain.ids import ClientId, Uid
from quecbind.center.domain.limits import PushLimits
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
from quecbind.center.services.control import Control
from quecbind.center.services.errors import StorageError
from quecbind.center.services.find import find_device
from quecbind.center.services.ports import Clock, Storage
from quecbind.center.services.rights import right_of
from quecbind.center.services.rows import Tx
from quecbind.center.services.sessions import is_signed_in
from quecbind.center.services.subscriber import TRY_LATER, Line, Message, MessageKind, Render, Subscriber
from quecbind.center.services.views import SignedIn
from quecbind.wire import commands

KIND_BY_COMMAND: Final[dict[int, MessageKind]] = {
    commands.STATUS_REPORT: "status",
    commands.TRANSPARENT_UP: "raw",
    commands.TSL_REPORT: "properties",
    commands.TSL_READ_ANSWER: "properties",
    commands.INFO_REPORT: "information",
}
KIND_BY_LEVEL: Final[dict[Level, MessageKind]] = {"INFO": "event_info", "WARN": "event_warn", "ERROR": "event_error"}


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


def _kind_of(change: PresenceChanged | Reported | EventReported | Located) -> MessageKind | None:
    if isinstance(change, Reported):
        return KIND_BY_COMMAND.get(change.command)
    if isinstance(change, EventReported):
        return KIND_BY_LEVEL[change.level]
    return "presence" if isinstance(change, PresenceChanged) else "location"
