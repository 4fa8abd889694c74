"""A device as a program sees it: read, write, watch, over whichever way is the best that is open.

The ways are tried in their order (LAN, BLE, Developer Center) when the device is first used and whenever a path was
lost. A way that failed, or whose path was lost before it was of any use, rests for a while: a device without a LAN does
not make every call wait for one, and an impostor on it stops nobody. Reads and writes that lose their path are done
again on the next: a property set twice is set once. Raw data is not.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Protocol, Self, TypeVar

from quecbind.app.errors import AppError, NoPathError, PathLostError
from quecbind.app.model import Model
from quecbind.app.path import ANSWER_S, Change, Path, Raw

REST_S = 30.0
FIRST_WAIT_S = 1.0
LONGEST_WAIT_S = 30.0
T = TypeVar("T")
Name = str | int


class Way(Protocol):
    """How to get a path; `name` is that of the paths it opens."""

    @property
    def name(self) -> str: ...

    async def open(self) -> Path:
        """Any `AppError` says why there is none."""


@dataclass(frozen=True, slots=True)
class Seen:
    """One thing a watcher is told: properties by code or number, raw data, or that the path is another one.

    Attributes:
        path: the path it came on; "" when there is none.
        reason: why the path before was lost.
    """

    path: str
    values: Mapping[Name, Any] | None = None
    raw: bytes | None = None
    reason: str = ""


class Device:
    """
    Attributes:
        model: what its properties are called.
        failures: why the ways before the present one are not open, by their names.
    """

    def __init__(self, product_key: str, device_key: str, ways: Sequence[Way], model: Model | None = None) -> None:
        self.product_key = product_key
        self.device_key = device_key
        self.model = model or Model()
        self.failures: dict[str, AppError] = {}
        self._ways = tuple(ways)
        self._rests_until: dict[str, float] = {}
        self._path: Path | None = None
        self._has_served = False
        self._choosing = asyncio.Lock()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    @property
    def path(self) -> str:
        """The path in use: "lan", "ble" or "cloud"; "" while there is none."""
        return self._path.name if self._path is not None and not self._path.is_lost else ""

    async def connect(self) -> str:
        """Opens the best path, unless one is open, and returns its name.

        Raises:
            NoPathError: no way is open.
        """
        return (await self._open()).name

    async def choose_again(self) -> str:
        """Looks for the best path anew, a way that rests included; the present one is closed."""
        await self.close()
        self._rests_until.clear()
        return await self.connect()

    async def read(self, names: Iterable[Name] = (), seconds: float = ANSWER_S) -> dict[Name, Any]:
        """The properties that the device told within the time, all it has without names; by code where there is one.

        Raises:
            NoPathError: no way is open.
            ControlError: it told none, or a name is no property.
        """
        ids = [self.model.number_of(name) for name in names]
        return self._named(await self._on_path(lambda path: path.read(ids, seconds)))

    async def write(self, values: Mapping[Name, Any], seconds: float = ANSWER_S) -> None:
        """Sets properties; returns when that is acknowledged.

        Raises:
            NoPathError: no way is open.
            ControlError: the device refused or did not answer, or a name is no property.
        """
        numbered = {self.model.number_of(name): value for name, value in values.items()}
        await self._on_path(lambda path: path.write(numbered, seconds))

    async def send_raw(self, data: bytes) -> None:
        """Bytes for the device's script, once.

        Raises:
            NoPathError: no way is open.
            PathLostError: the path was lost; the device may have got them.
        """
        await (await self._open()).send_raw(data)

    async def watch(self) -> AsyncIterator[Seen]:
        """What the device tells, for ever: first which path it is, then properties and raw data, and every other path.

        A path that is lost is replaced: at once when it was of use, else after a wait that grows until one is.

        Raises:
            NoPathError: no way was open at first, or somebody refused.
        """
        wait_s = 0.0
        is_first = True
        while True:
            try:
                path = await self._open()
            except NoPathError as error:
                if is_first or error.is_refused:
                    raise
                wait_s = await self._wait_after(wait_s)
                self._rests_until.clear()
                continue
            is_first = False
            opened_at = asyncio.get_running_loop().time()
            watch = path.watch()
            try:
                yield Seen(path.name)
                async for told in watch:
                    self._has_served = True
                    match told:
                        case Change(values):
                            yield Seen(path.name, values=self._named(values))
                        case Raw(data):
                            yield Seen(path.name, raw=data)
            except PathLostError as error:
                lasted_s = asyncio.get_running_loop().time() - opened_at
                # one that closes right behind the log-in would be opened again and again, whatever it tells first
                is_of_use = lasted_s >= REST_S or (self._has_served and lasted_s >= FIRST_WAIT_S)
                await self._lost(path, error)
                yield Seen("", reason=error.message)
                wait_s = 0.0 if is_of_use else await self._wait_after(wait_s)
            finally:
                watch.close()

    @staticmethod
    async def _wait_after(wait_s: float) -> float:
        """Waits longer than the time before; how long."""
        wait_s = min(wait_s * 2 or FIRST_WAIT_S, LONGEST_WAIT_S)
        await asyncio.sleep(wait_s)
        return wait_s

    async def close(self) -> None:
        path, self._path = self._path, None
        if path is not None:
            await path.close()

    # --- paths ---

    async def _on_path(self, act: Callable[[Path], Awaitable[T]]) -> T:
        """What `act` gives on the best path, or on the next one when that is lost."""
        for _ in range(len(self._ways) + 1):
            path = await self._open()
            try:
                result = await act(path)
            except PathLostError as error:
                lost = error
                await self._lost(path, error)
            else:
                self._has_served = True
                return result
        raise lost

    async def _open(self) -> Path:
        async with self._choosing:
            if self._path is not None and not self._path.is_lost:
                return self._path
            await self.close()
            now = asyncio.get_running_loop().time()
            # those that rest are better than nothing
            for way in sorted(self._ways, key=lambda way: now < self._rests_until.get(way.name, now)):
                try:
                    self._path = await way.open()
                except AppError as error:
                    self.failures[way.name] = error
                    self._rest(way.name)
                else:
                    self._has_served = False
                    self.failures.pop(way.name, None)
                    return self._path
            raise NoPathError(dict(self.failures))

    async def _lost(self, path: Path, error: AppError) -> None:
        if self._path is path:
            self.failures[path.name] = error
            if not self._has_served:
                self._rest(path.name)
            await self.close()

    def _rest(self, name: str) -> None:
        self._rests_until[name] = asyncio.get_running_loop().time() + REST_S

    def _named(self, values: Mapping[int, Any]) -> dict[Name, Any]:
        return {self.model.code_of(number): value for number, value in values.items()}
