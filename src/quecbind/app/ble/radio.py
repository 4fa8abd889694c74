"""What this package asks of a radio: `bleak_radio` has the operating system's, `bumble_radio` a controller's.

Everything above this port is the same for both. Whatever goes wrong with a radio or a connection is a `RadioError`,
which is an OSError; the adapters translate at one place each.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

WANTED_MTU = 256  # a log-in then fits one write
CONNECT_S = 10.0
MAX_WAITING = 1024  # indications that nobody has read


class RadioError(ConnectionError):
    """There is no such radio, no such peer, or it does not do what it was asked."""


@dataclass(frozen=True, slots=True)
class Sighting:
    """One advertisement: who sent it and what it said of the kind that devices say."""

    address: str
    name: str
    data: bytes  # manufacturer data behind the company id, b"" when there is none of it
    rssi: int | None


def failed(what: str, error: BaseException) -> RadioError:
    """What a radio's library said, in the words of this port."""
    return RadioError(f"{what}: {str(error) or type(error).__name__}")


class Indications:
    """What a connection has indicated and nobody has read yet.

    A session cannot know what it has missed, so more than is kept ends it: what came before is read, then the end.

    Attributes:
        is_over: whether nothing more will come.
    """

    def __init__(self) -> None:
        self.is_over = False
        self._waiting: asyncio.Queue[bytes] = asyncio.Queue()

    def put(self, data: bytes) -> None:
        if not data or self.is_over:
            return
        if self._waiting.qsize() >= MAX_WAITING:
            self.end()
        else:
            self._waiting.put_nowait(data)

    def end(self) -> None:
        if not self.is_over:
            self.is_over = True
            self._waiting.put_nowait(b"")

    async def next(self) -> bytes:
        """The next one, b"" when there will be none; cancelling it loses none."""
        if self.is_over and self._waiting.empty():
            return b""
        return await self._waiting.get()


class Connection(Protocol):
    """A connection whose data characteristic has been found and subscribed to."""

    @property
    def mtu(self) -> int:
        """What a write may have, and 3."""

    async def write(self, data: bytes) -> None:
        """Writes with response; at most `mtu - 3` bytes."""

    async def indication(self) -> bytes:
        """The next one, b"" when the connection has ended; cancelling it loses none."""

    async def close(self) -> None:
        """Never raises."""


class Radio(Protocol):
    async def scan(self, seconds: float, seen: Callable[[Sighting], bool]) -> None:
        """Listens for so long, or until `seen` says of one that it is enough."""

    async def connect(self, address: str, seconds: float = CONNECT_S) -> Connection: ...
