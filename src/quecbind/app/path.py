"""A way to a device: what `Device` asks of the LAN, of BLE and of the Developer Center alike, and who listens on it.

Whoever implements it raises `PathLostError` when the way is gone, which sends `Device` to another, and another
`ControlError` when the device, reached, does not do what it was asked.
"""

import asyncio
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, Self

from quecbind.app.errors import PathLostError
from quecbind.app.values import Values

LAN = "lan"
BLE = "ble"
CLOUD = "cloud"
ANSWER_S = 8.0
_MAX_KEPT = 1024


@dataclass(frozen=True, slots=True)
class Change:
    """Properties that the device reported, by id."""

    values: Mapping[int, Any]


@dataclass(frozen=True, slots=True)
class Raw:
    """Transparent data of the device."""

    data: bytes


Told = Change | Raw


class Path(Protocol):
    """A way that is open; after `close` or a loss it is never used again."""

    @property
    def name(self) -> str:
        """`LAN`, `BLE` or `CLOUD`."""

    @property
    def is_lost(self) -> bool: ...

    async def read(self, ids: Sequence[int], seconds: float = ANSWER_S) -> Values:
        """The properties that the device told within the time; all it has when `ids` is empty."""

    async def write(self, values: Mapping[int, Any], seconds: float = ANSWER_S) -> None:
        """Sets properties; returns when that is acknowledged."""

    async def send_raw(self, data: bytes) -> None: ...

    def watch(self) -> "Watch":
        """What the device tells from this moment on."""

    async def close(self) -> None: ...


class Watch:
    """What is told, one by one; ends with `PathLostError`. A listener that is slow loses the oldest.

    Attributes:
        dropped_count: how much it has lost.
    """

    def __init__(self, audience: "Audience") -> None:
        self.dropped_count = 0
        self._audience = audience
        self._told: deque[Told] = deque()
        self._something = asyncio.Event()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Told:
        while not self._told:
            self._audience.check()
            self._something.clear()
            await self._something.wait()
        return self._told.popleft()

    def close(self) -> None:
        """Listens no longer."""
        self._audience.leave(self)

    def put(self, told: Told | None) -> None:
        if told is not None:
            if len(self._told) >= _MAX_KEPT:
                self._told.popleft()
                self.dropped_count += 1
            self._told.append(told)
        self._something.set()


class Audience:
    """Everybody who watches one path.

    Attributes:
        ended: why there is nothing more to come, None while there may be.
    """

    def __init__(self) -> None:
        self.ended: str | None = None
        self._watches: list[Watch] = []

    def check(self) -> None:
        """Raises `PathLostError` when there is nothing more to come."""
        if self.ended is not None:
            raise PathLostError(self.ended)

    def join(self) -> Watch:
        watch = Watch(self)
        self._watches.append(watch)
        return watch

    def leave(self, watch: Watch) -> None:
        if watch in self._watches:
            self._watches.remove(watch)

    def tell(self, told: Told) -> None:
        for watch in self._watches:
            watch.put(told)

    def end(self, reason: str) -> None:
        if self.ended is None:
            self.ended = reason
            for watch in self._watches:
                watch.put(None)


class Reading:
    """A read whose values come as reports: gathers them until all that were asked for are there.

    Attributes:
        values: those so far.
    """

    def __init__(self, ids: Sequence[int], quiet_s: float) -> None:
        """Of all properties the number is not known: for `quiet_s` nothing new, and they were all."""
        self.values: Values = {}
        self._quiet_s = quiet_s
        self._wanted = set(ids)
        self._news = asyncio.Event()
        self._is_over = False

    def take(self, values: Mapping[int, Any]) -> None:
        fitting = {number: value for number, value in values.items() if not self._wanted or number in self._wanted}
        self.values.update(fitting)
        if fitting:
            self._news.set()

    def finish(self) -> None:
        """There will be no more."""
        self._is_over = True
        self._news.set()

    async def gather(self, seconds: float) -> Values:
        """What came within the time; the wait ends early when all is there."""
        loop = asyncio.get_running_loop()
        end = loop.time() + seconds
        while not self._is_over and not (self._wanted and self._wanted <= self.values.keys()):
            until = min(end, loop.time() + self._quiet_s) if self.values and not self._wanted else end
            self._news.clear()
            try:
                async with asyncio.timeout_at(until):
                    await self._news.wait()
            except TimeoutError:
                break
        return self.values
