"""A room with virtual radios: bumble controllers on one link, our device on one and Apps on others, in one event loop.

No sockets and no time but the loop's; the device's own clock is moved by hand.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Any

from bumble.controller import Controller
from bumble.hci import Address
from bumble.link import LocalLink
from bumble.transport.common import AsyncPipeSink

from quecbind.app.ble.bumble_radio import BumbleRadio
from quecbind.app.ble.radio import CONNECT_S, Connection, Radio, Sighting
from quecbind.app.ble.scan import FoundBle, scan
from quecIot import _ble_radio
from quecIot._device import Device
from tests.quecIot.bench import CODE, DK, PK, PS, CountingEntropy, MemoryFiles

__all__ = ("CODE", "DK", "PK", "PS", "Air", "BleDevice", "Lossy", "room")


class Air:
    def __init__(self) -> None:
        self.link = LocalLink()
        self._count = 0

    def controller(self) -> tuple[Controller, AsyncPipeSink]:
        self._count += 1
        public = Address(f"00:00:00:00:00:{self._count:02X}")
        controller = Controller(f"C{self._count}", link=self.link, public_address=public)
        return controller, AsyncPipeSink(controller)

    async def app(self, mtu: int = 256) -> BumbleRadio:
        radio = BumbleRadio(*self.controller(), mtu)
        await radio.start()
        return radio


class BleDevice:
    """quecIot with a radio of this room, without threads; its store is in memory, its clock stands still."""

    def __init__(
        self, air: Air, *, device_key: str = DK, product: tuple[str, str] = (PK, PS), **environment: str
    ) -> None:
        self.now = 1000.0
        self.files = MemoryFiles()
        self.events: list[Any] = []
        self._environment = {"QUECIOT_HOME": "/home", "QUECIOT_DK": device_key, **environment}
        self._product = product
        self._air = air
        self._task: asyncio.Task[None] | None = None
        self.switch_on()

    def switch_on(self) -> None:
        self.device = Device(
            getenv=lambda name: self._environment.get(name, ""),
            files=self.files,  # type: ignore[arg-type]
            entropy=CountingEntropy() if not hasattr(self, "device") else self.device._entropy,
            monotonic=lambda: self.now,
            has_threads=False,
        )
        assert self.device.init()
        assert self.device.set_productinfo(*self._product)
        assert self.device.set_event_cb(self.events.append)
        self.peripheral = self.device.ble_peripheral()

    async def start(self) -> None:
        self.radio = _ble_radio.Radio(self.peripheral, lambda: self.now)
        server = _ble_radio.BleServer(self.peripheral, "")
        server._radio = self.radio
        self.device._near.ble = server
        self._task = asyncio.create_task(self.radio.run(*self._air.controller()))
        while not (self.radio._advertised or self._task.done()):
            await asyncio.sleep(0)
        if self._task.done():
            self._task.result()

    async def stop(self) -> None:
        if self._task is not None:
            self.radio.stop()
            await asyncio.gather(self._task, return_exceptions=True)
        self.device.close()

    @property
    def address(self) -> str:
        return _ble_radio.own_address(self.peripheral.device_key())

    def hold_key(self, key: bytes) -> None:
        """As if the Developer Center had given it."""
        self.device._profile.save(auth_key=key.hex())
        self.radio.refresh()

    def move(self, seconds: float) -> None:
        self.now += seconds
        self.radio.refresh()

    async def happened(self, count: int = 1) -> list[Any]:
        """The script's events, once there are so many."""
        async with asyncio.timeout(10):
            while len(self.events) < count:
                await asyncio.sleep(0.001)
        return self.events


@contextlib.asynccontextmanager
async def room(**options: Any) -> AsyncIterator[tuple[Air, BleDevice]]:
    """A device that advertises."""
    air = Air()
    device = BleDevice(air, **options)
    await device.start()
    try:
        yield air, device
    finally:
        await device.stop()


async def found(radio: Radio, holds: Callable[[FoundBle], bool] = lambda _: True, seconds: float = 10.0) -> FoundBle:
    """The first device of which that holds."""
    devices = await scan(radio, seconds, holds)
    return next(device for device in devices if holds(device))


class Lossy:
    """A radio whose indications are changed on the way: `pass_on(number, data)` gives what arrives of each."""

    def __init__(self, radio: Radio, pass_on: Callable[[int, bytes], list[bytes]]) -> None:
        self._radio = radio
        self._pass_on = pass_on

    async def scan(self, seconds: float, seen: Callable[[Sighting], bool]) -> None:
        await self._radio.scan(seconds, seen)

    async def connect(self, address: str, seconds: float = CONNECT_S) -> Connection:
        return _LossyConnection(await self._radio.connect(address, seconds), self._pass_on)


class _LossyConnection:
    def __init__(self, connection: Connection, pass_on: Callable[[int, bytes], list[bytes]]) -> None:
        self._connection = connection
        self._pass_on = pass_on
        self._waiting: list[bytes] = []
        self._count = 0

    @property
    def mtu(self) -> int:
        return self._connection.mtu

    async def write(self, data: bytes) -> None:
        await self._connection.write(data)

    async def indication(self) -> bytes:
        while not self._waiting:
            data = await self._connection.indication()
            if not data:
                return b""
            self._waiting = self._pass_on(self._count, data)
            self._count += 1
        return self._waiting.pop(0)

    async def close(self) -> None:
        await self._connection.close()
