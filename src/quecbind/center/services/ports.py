"""What the services need from outside, as protocols: time, randomness, storage, mail, the live device links, events.

Adapters implement them; nothing here does. `rows.Tx` is the shape of one transaction.
"""

import asyncio
from collections.abc import Callable
from typing import Final, Protocol, TypeAlias, TypeVar

from quecbind.center.domain.ids import ClientId, Secret
from quecbind.center.services.rows import Tx

T = TypeVar("T")


class Clock(Protocol):
    """Where time comes from. Called from the event loop and from the writer thread."""

    def now(self) -> float:
        """UTC seconds."""
        ...


class Entropy(Protocol):
    """Where secrets come from; the system's secure random, or a test's fixed sequence."""

    def text(self, length: int) -> str:
        """That many characters of 0-9 A-Z a-z."""
        ...

    def digits(self, length: int) -> str:
        """That many characters of 0-9."""
        ...

    def octets(self, length: int) -> bytes:
        """That many bytes."""
        ...


class Storage(Protocol):
    """The data. Works see it through a `Tx`; every error of the database arrives as StorageError."""

    def transact(self, work: Callable[[Tx], T], applied: Callable[[T], None] | None = None) -> asyncio.Future[T]:
        """Run `work` in the writer thread, all or nothing, together with others in one commit.

        The future resolves after the data is safe on disk; it raises what `work` raised (then nothing of it stays) or
        StorageError. `applied` runs on the event loop after the commit and before the future resolves, even when the
        caller has stopped waiting: that is where memory is kept in step. It must not raise.
        """
        ...

    def read(self, work: Callable[[Tx], T]) -> T:
        """Run a short read here and now on what is committed. A write in `work` raises StorageError."""
        ...

    async def scan(self, work: Callable[[Tx], T]) -> T:
        """Run a long read on one consistent state, away from the event loop."""
        ...

    def mac(self, purpose: str, *parts: str) -> bytes:
        """Keyed hash under the master key, different for each purpose. Callable from any thread."""
        ...

    async def close(self) -> None:
        """Finish what was submitted, then let go of the files. Later calls raise StorageError."""
        ...


class Mailer(Protocol):
    """Sends a code to a user."""

    async def send_code(self, email: str, code: Secret, email_type: int) -> None:
        """Send it, or raise MailError."""
        ...


class MailError(Exception):
    """The mail could not be handed over; the sentence is for the log."""


# How long a PUBACK of a device is waited for. Then whoever follows the frame gives it up, and a session that has too
# much under way makes room; one that comes later may find nobody who waits for it.
PUBACK_S: Final = 30

# Told once what became of a frame: True when the device has acknowledged it, False when its session ended before.
Delivery: TypeAlias = Callable[[bool], None]


class DeviceLink(Protocol):
    """The open sessions of devices."""

    def is_online(self, client_id: ClientId) -> bool:
        """Whether a session of the device is open."""
        ...

    def send(self, client_id: ClientId, command: int, payload: bytes, kind: str = "sys") -> bool:
        """Send one frame; False when the device is not connected."""
        ...

    def deliver(self, client_id: ClientId, command: int, payload: bytes, kind: str, delivery: Delivery) -> bool:
        """Send one frame and follow it; False, and `delivery` is never told, when it cannot be sent now."""
        ...

    def disconnect(self, client_id: ClientId, reason: str) -> None:
        """End the device's session, if it has one, now."""
        ...


class Events(Protocol):
    """Who wants to know what happened, besides the audit log. Never blocks, never raises, bounded."""

    def publish(self, name: str, **facts: object) -> None:
        """Tell that `name` happened (`device.bound`) with its facts, none of them secret."""
        ...
