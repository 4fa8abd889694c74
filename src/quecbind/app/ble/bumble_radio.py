"""A radio on a controller that bumble drives: a USB stick, or one end of a virtual link. Bytes alone, no decisions."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Self

from bumble.att import ATT_Error
from bumble.core import UUID, AdvertisingData, BaseBumbleError, PhysicalTransport
from bumble.device import Advertisement, Device, Peer
from bumble.device import Connection as BumbleConnection
from bumble.gatt_client import CharacteristicProxy
from bumble.hci import Address
from bumble.transport import open_transport
from bumble.transport.common import TransportSink, TransportSource

from quecbind.app.ble.radio import CONNECT_S, WANTED_MTU, Indications, RadioError, Sighting, failed
from quecbind.wire import ble_advertising

OWN_NAME = "quecbind App"
_GOODBYE_S = 1.0
_FAILURES = (BaseBumbleError, OSError, asyncio.TimeoutError, asyncio.CancelledError)


class BumbleRadio:
    """One controller, as central. Use `open`, or give it the two ends of a controller and `start`."""

    def __init__(self, source: TransportSource, sink: TransportSink, mtu: int = WANTED_MTU) -> None:
        self._device = Device.with_hci(OWN_NAME, Address.generate_static_address(), source, sink)
        self._mtu = mtu

    @classmethod
    @asynccontextmanager
    async def open(cls, transport: str, mtu: int = WANTED_MTU) -> AsyncIterator[Self]:
        """The controller behind a transport as bumble names them, such as usb:0.

        Raises:
            RadioError: it cannot be used.
        """
        try:
            opened = await open_transport(transport)
        except Exception as error:  # each transport raises exceptions of its own library
            raise failed(f"the radio {transport} cannot be opened", error) from error
        async with opened:
            radio = cls(opened.source, opened.sink, mtu)
            await radio.start()
            yield radio

    async def start(self) -> None:
        try:
            await self._device.power_on()
        except _FAILURES as error:
            _raise_own_cancel(error)
            raise failed("the radio does not start", error) from error

    async def scan(self, seconds: float, seen: Callable[[Sighting], bool]) -> None:
        is_enough = asyncio.Event()

        def heard(advertisement: Advertisement) -> None:
            if seen(_sighting(advertisement)):
                is_enough.set()

        self._device.on(Device.EVENT_ADVERTISEMENT, heard)
        try:
            await self._device.start_scanning(filter_duplicates=False)
            try:
                async with asyncio.timeout(seconds):
                    await is_enough.wait()
            except TimeoutError:
                pass
            await self._device.stop_scanning()
        except BaseBumbleError as error:
            raise failed("the radio cannot scan", error) from error
        finally:
            self._device.remove_listener(Device.EVENT_ADVERTISEMENT, heard)

    async def connect(self, address: str, seconds: float = CONNECT_S) -> "GattConnection":
        try:
            async with asyncio.timeout(seconds):
                connection = await self._device.connect(address, PhysicalTransport.LE, timeout=seconds)
        except _FAILURES as error:
            _raise_own_cancel(error)
            raise failed(f"{address} cannot be connected to", error) from error
        try:
            async with asyncio.timeout(seconds):
                return await GattConnection.over(connection, self._mtu)
        except _FAILURES as error:
            await _hang_up(connection)
            _raise_own_cancel(error)
            raise error if isinstance(error, RadioError) else failed(f"{address} is no such device", error) from error


def _raise_own_cancel(error: BaseException) -> None:
    """bumble cancels what waits for a peer that is gone; a cancellation of this very task is passed on."""
    task = asyncio.current_task()
    if isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling():
        raise error


def _sighting(advertisement: Advertisement) -> Sighting:
    data = b""
    for company, said in advertisement.data.get_all(AdvertisingData.Type.MANUFACTURER_SPECIFIC_DATA):
        if company == ble_advertising.COMPANY:
            data = said
    names = advertisement.data.get_all(AdvertisingData.Type.COMPLETE_LOCAL_NAME)
    rssi = advertisement.rssi
    return Sighting(
        str(advertisement.address),
        names[0] if names else "",
        data,
        None if rssi == Advertisement.RSSI_NOT_AVAILABLE else rssi,
    )


class GattConnection:
    """Made by `over`."""

    def __init__(self, connection: BumbleConnection, data: "CharacteristicProxy[bytes]") -> None:
        self._connection = connection
        self._data = data
        self._indications = Indications()
        self._is_over = False
        connection.on(BumbleConnection.EVENT_DISCONNECTION, self._ended)

    @classmethod
    async def over(cls, connection: BumbleConnection, mtu: int) -> Self:
        """Finds the characteristic, wherever it is, and subscribes."""
        peer = Peer(connection)
        with contextlib.suppress(ATT_Error):  # a device that refuses stays at 23
            await peer.request_mtu(mtu)
        data = await _find(peer)
        gatt = cls(connection, data)
        await data.subscribe(gatt._take, prefer_notify=False)
        return gatt

    @property
    def mtu(self) -> int:
        return self._connection.att_mtu

    async def write(self, data: bytes) -> None:
        if self._indications.is_over:
            raise RadioError("the device has hung up")
        try:
            await self._data.write_value(data, with_response=True)
        except _FAILURES as error:
            _raise_own_cancel(error)
            raise failed("the device takes no data", error) from error

    async def indication(self) -> bytes:
        return await self._indications.next()

    async def close(self) -> None:
        if not self._is_over:
            await _hang_up(self._connection)

    def _take(self, data: bytes) -> None:
        self._indications.put(bytes(data))

    def _ended(self, _: Any) -> None:
        self._is_over = True
        self._indications.end()


async def _find(peer: Peer) -> "CharacteristicProxy[bytes]":
    wanted = UUID.from_16_bits(ble_advertising.DATA_CHARACTERISTIC)
    for service in await peer.discover_services():
        for characteristic in await peer.discover_characteristics([wanted], service):
            if characteristic.uuid == wanted:
                return characteristic
    raise RadioError("this is no device of this kind: it has no characteristic 9C40")


async def _hang_up(connection: BumbleConnection) -> None:
    """In bounded time: when both ends hang up at once, bumble waits for what does not come."""
    try:
        async with asyncio.timeout(_GOODBYE_S):
            await connection.disconnect()
    except _FAILURES as error:
        _raise_own_cancel(error)
