"""The operating system's radio, by way of bleak. Carries bytes, decides nothing."""

import asyncio
import contextlib
from collections.abc import Callable
from typing import Any

from bleak import BleakClient, BleakScanner
from bleak.backends.device import BLEDevice
from bleak.backends.scanner import AdvertisementData
from bleak.exc import BleakError

from quecbind.app.ble.radio import CONNECT_S, Indications, Sighting, failed
from quecbind.wire import ble_advertising

DATA_UUID = "00009c40-0000-1000-8000-00805f9b34fb"
_FAILURES = (BleakError, OSError, EOFError, asyncio.TimeoutError)


class BleakRadio:
    """The default adapter. What a scan has seen is kept, because connecting without it makes some systems scan anew."""

    def __init__(self) -> None:
        self._seen: dict[str, BLEDevice] = {}

    async def scan(self, seconds: float, seen: Callable[[Sighting], bool]) -> None:
        is_enough = asyncio.Event()

        def heard(peer: BLEDevice, said: AdvertisementData) -> None:
            data = said.manufacturer_data.get(ble_advertising.COMPANY, b"")
            if data:
                self._seen[peer.address] = peer
            if seen(Sighting(peer.address, said.local_name or "", bytes(data), said.rssi)):
                is_enough.set()

        try:
            async with BleakScanner(detection_callback=heard):
                try:
                    async with asyncio.timeout(seconds):
                        await is_enough.wait()
                except TimeoutError:
                    pass
        except _FAILURES as error:
            raise failed("the radio cannot scan", error) from error

    async def connect(self, address: str, seconds: float = CONNECT_S) -> "BleakConnection":
        connection = BleakConnection(self._seen.get(address, address), seconds)
        try:
            async with asyncio.timeout(seconds):
                await connection.open()
        except _FAILURES as error:
            await connection.close()
            raise failed(f"{address} cannot be connected to", error) from error
        except BaseException:
            await connection.close()
            raise
        return connection


class BleakConnection:
    def __init__(self, peer: BLEDevice | str, seconds: float) -> None:
        self._indications = Indications()
        self._client = BleakClient(peer, disconnected_callback=self._ended, timeout=seconds)

    async def open(self) -> None:
        """Connects and subscribes; raises what bleak raises."""
        await self._client.connect()
        await self._client.start_notify(DATA_UUID, self._take)

    @property
    def mtu(self) -> int:
        # BlueZ says 23 for the MTU whatever it is, but knows what a write may have.
        characteristic = self._client.services.get_characteristic(DATA_UUID)
        writable = 0 if characteristic is None else characteristic.max_write_without_response_size
        return max(self._client.mtu_size, writable + 3)

    async def write(self, data: bytes) -> None:
        try:
            await self._client.write_gatt_char(DATA_UUID, data, response=True)
        except _FAILURES as error:
            raise failed("the device takes no data", error) from error

    async def indication(self) -> bytes:
        return await self._indications.next()

    async def close(self) -> None:
        with contextlib.suppress(*_FAILURES):
            await self._client.disconnect()

    def _take(self, _: Any, data: bytearray) -> None:
        self._indications.put(bytes(data))

    def _ended(self, _: BleakClient) -> None:
        self._indications.end()
