"""The adapter for the operating system's radio, against a double of bleak's client and scanner.

No Bluetooth hardware was there to see it on: what a real system does is not shown here, only that the adapter calls
bleak as the installed version wants to be called, and what it makes of each answer.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from typing import Any, Self

import bleak
import pytest
from bleak.backends.device import BLEDevice
from bleak.backends.scanner import AdvertisementData
from bleak.exc import BleakError

from quecbind.app.ble import bleak_radio
from quecbind.app.ble.bleak_radio import DATA_UUID, BleakRadio
from quecbind.app.ble.radio import RadioError, Sighting
from quecbind.app.ble.scan import scan
from quecbind.app.errors import PairingError

DATA = bytes.fromhex("454300010670313161626306aabbccddeeff000700")[:21]
ADDRESS = "AA:BB:CC:DD:EE:FF"


def advertisement(data: bytes = DATA, company: int = 0x5551) -> AdvertisementData:
    return AdvertisementData("QUEC_BLE_EEFF", {company: data}, {}, [], None, -40, ())


class System:
    """What bleak finds behind it."""

    def __init__(self) -> None:
        self.heard = [(BLEDevice(ADDRESS, None, {}), advertisement())]
        self.clients: list[FakeClient] = []
        self.scan_error: Exception | None = None
        self.connect_error: Exception | None = None
        self.write_error: Exception | None = None
        self.mtu_size, self.writable = 23, 253


class FakeScanner:
    system: System

    def __init__(self, detection_callback: Callable[[BLEDevice, AdvertisementData], None]) -> None:
        self._callback = detection_callback

    async def __aenter__(self) -> Self:
        if self.system.scan_error is not None:
            raise self.system.scan_error
        for peer, said in self.system.heard:
            self._callback(peer, said)
        return self

    async def __aexit__(self, *_: object) -> None:
        return None


class FakeCharacteristic:
    def __init__(self, writable: int) -> None:
        self.max_write_without_response_size = writable


class FakeServices:
    def __init__(self, writable: int) -> None:
        self._writable = writable

    def get_characteristic(self, specifier: str) -> FakeCharacteristic | None:
        return FakeCharacteristic(self._writable) if specifier == DATA_UUID else None


class FakeClient:
    system: System

    def __init__(
        self,
        address_or_ble_device: BLEDevice | str,
        disconnected_callback: Callable[[Any], None],
        timeout: float,
    ) -> None:
        self.peer, self.timeout = address_or_ble_device, timeout
        self.hang_up = lambda: disconnected_callback(self)
        self.written: list[tuple[str, bytes, bool]] = []
        self.is_closed = False
        self.services = FakeServices(self.system.writable)
        self.mtu_size = self.system.mtu_size
        self.system.clients.append(self)

    async def connect(self) -> None:
        if self.system.connect_error is not None:
            raise self.system.connect_error

    async def start_notify(self, char_specifier: str, callback: Callable[[Any, bytearray], None]) -> None:
        assert char_specifier == DATA_UUID
        self.indicate = lambda data: callback(None, bytearray(data))

    async def write_gatt_char(self, char_specifier: str, data: bytes, response: bool) -> None:
        if self.system.write_error is not None:
            raise self.system.write_error
        self.written.append((char_specifier, data, response))

    async def disconnect(self) -> None:
        self.is_closed = True


@pytest.fixture
def system(monkeypatch: pytest.MonkeyPatch) -> System:
    system = System()
    FakeScanner.system = FakeClient.system = system
    monkeypatch.setattr(bleak_radio, "BleakScanner", FakeScanner)
    monkeypatch.setattr(bleak_radio, "BleakClient", FakeClient)
    return system


@pytest.mark.parametrize(
    ("double", "real", "names"),
    [
        (FakeScanner, bleak.BleakScanner, ("__init__",)),
        (FakeClient, bleak.BleakClient, ("__init__", "connect", "start_notify", "write_gatt_char", "disconnect")),
    ],
)
def test_the_double_takes_what_the_real_one_takes(double: type, real: type, names: tuple[str, ...]) -> None:
    for name in names:
        takes = inspect.signature(getattr(real, name)).parameters
        assert set(inspect.signature(getattr(double, name)).parameters) <= set(takes), name
    if real is bleak.BleakClient:
        assert {"mtu_size", "services"} <= set(dir(real))


async def test_a_scan_shows_what_is_advertised_and_ends_when_it_is_enough(system: System) -> None:
    seen: list[Sighting] = []

    await BleakRadio().scan(60.0, lambda one: not seen.append(one))  # type: ignore[func-returns-value]

    assert seen == [Sighting(ADDRESS, "QUEC_BLE_EEFF", DATA, -40)]


async def test_other_companies_are_no_devices(system: System) -> None:
    system.heard.append((BLEDevice("11:11:11:11:11:11", None, {}), advertisement(company=0x004C)))
    system.heard.append((BLEDevice("22:22:22:22:22:22", None, {}), advertisement(b"EC")))

    found = await scan(BleakRadio(), 0.01)

    assert [one.address for one in found] == [ADDRESS]


async def test_a_connection_writes_with_response_and_hands_indications_on(system: System) -> None:
    radio = BleakRadio()
    await radio.scan(60.0, lambda one: True)
    connection = await radio.connect(ADDRESS, 7.0)
    (client,) = system.clients
    assert isinstance(client.peer, BLEDevice)  # seen in the scan: no second one
    assert client.timeout == 7.0

    await connection.write(b"abc")
    client.indicate(b"one")
    client.indicate(b"two")
    client.hang_up()

    assert client.written == [(DATA_UUID, b"abc", True)]
    assert [await connection.indication() for _ in range(4)] == [b"one", b"two", b"", b""]
    await connection.close()
    assert client.is_closed


@pytest.mark.parametrize(("mtu_size", "writable", "mtu"), [(23, 253, 256), (185, 182, 185), (247, 20, 247)])
async def test_the_mtu_is_what_a_write_may_have(system: System, mtu_size: int, writable: int, mtu: int) -> None:
    system.mtu_size, system.writable = mtu_size, writable

    connection = await BleakRadio().connect(ADDRESS)

    assert connection.mtu == mtu


async def test_whatever_bleak_raises_is_a_radio_error(system: System) -> None:
    system.scan_error = BleakError("no adapter")
    with pytest.raises(PairingError, match="no adapter"):
        await scan(BleakRadio(), 0.01)
    connection = await BleakRadio().connect(ADDRESS)
    system.write_error = BleakError("gone")
    with pytest.raises(RadioError, match="gone"):
        await connection.write(b"x")
    for error in (BleakError("refused"), OSError("no bus"), TimeoutError()):
        system.connect_error = error
        with pytest.raises(RadioError, match=ADDRESS):
            await BleakRadio().connect(ADDRESS)
        assert system.clients[-1].is_closed


async def test_whoever_gives_up_connecting_leaves_nothing_open(system: System, monkeypatch: pytest.MonkeyPatch) -> None:
    begun = asyncio.Event()

    async def never(self: FakeClient) -> None:
        begun.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(FakeClient, "connect", never)
    task = asyncio.create_task(BleakRadio().connect(ADDRESS))
    await begun.wait()

    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task
    assert system.clients[0].is_closed
