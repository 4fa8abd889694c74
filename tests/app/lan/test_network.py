"""Real sockets on loopback: the device's own LAN side, and peers that misbehave."""

import asyncio
import contextlib
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from quecbind.app.errors import NoBindCodeError, PairingError, WrongPinError
from quecbind.app.lan import FoundDevice, LocalNetwork, discover, pair
from quecbind.wire import commands, frame, lan
from quecIot import _lan, _platform
from quecIot._conversation import Host
from quecIot._device import Device
from quecIot._session import Door

pytestmark = pytest.mark.enable_socket

CODE = "0123456789ABCDEF"
LOOPBACK = "127.0.0.1"


@pytest.fixture
def device() -> Iterator[dict[str, str | int | None]]:
    """quecIot's LAN side; what is put under "code" is what it offers."""
    state: dict[str, str | int | None] = {"code": CODE}
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind((LOOPBACK, 0))
        state["udp_port"] = free.getsockname()[1]
    environment = {
        "QUECIOT_LAN_HOST": LOOPBACK,
        "QUECIOT_LAN_UDP_PORT": str(state["udp_port"]),
        "QUECIOT_LAN_TCP_PORT": "0",
    }
    server = _lan.LanServer(
        _lan.Settings(lambda name: environment.get(name, "")),
        Host(lambda: ("p11abc", "aabbccddeeff", state["code"]), Door(lambda: None), lambda decision: b""),  # type: ignore[arg-type,return-value]
        _platform.Files(),
    )
    server.start()
    state["tcp_port"] = server.tcp_port
    yield state
    server.stop()


class TestWithQuecIot:
    async def test_a_device_is_found_and_hands_over_its_code(self, device: dict[str, int]) -> None:
        started = time.monotonic()

        found = await discover(device["udp_port"], LOOPBACK, 5, enough=lambda one: one.device_key == "aabbccddeeff")
        pairing = await pair(found[0].address, found[0].port)

        assert time.monotonic() - started < 3
        assert [(one.product_key, one.address, one.port) for one in found] == [("p11abc", LOOPBACK, device["tcp_port"])]
        assert pairing == lan.Pairing(True, "p11abc", "aabbccddeeff", CODE)

    async def test_a_search_without_an_end_of_its_own_lasts_as_long_as_it_was_told_to(
        self, device: dict[str, int]
    ) -> None:
        started = time.monotonic()

        found = await discover(device["udp_port"], LOOPBACK, 0.3)

        assert 0.3 <= time.monotonic() - started < 2
        assert len(found) == 1

    async def test_outside_the_window_there_is_no_code(self, device: dict[str, str | int | None]) -> None:
        device["code"] = None
        network = LocalNetwork(int(device["udp_port"] or 0), LOOPBACK)

        found = await network.discover(2, enough=lambda one: True)
        pairing = await network.pair(found[0], 2)

        assert pairing.bind_code is None


class TestWithAPin:
    @pytest.fixture
    def pinned(self, tmp_path: Path) -> Iterator[tuple[Device, FoundDevice]]:
        """A whole device on loopback, its bind window open and its PIN 271828."""
        environment = {"QUECIOT_HOME": str(tmp_path), "QUECIOT_DK": "aabbccddeeff", "QUECIOT_LAN_HOST": LOOPBACK}
        environment |= {"QUECIOT_LAN_UDP_PORT": "0", "QUECIOT_LAN_TCP_PORT": "0"}
        device = Device(lambda name: environment.get(name, ""))
        assert device.init()
        assert device.set_productinfo("p11abc", "secret")
        assert device.bindcode_set(CODE, 120)
        assert device.set_pairing_pin("271828")
        assert device._near.lan is not None
        yield device, FoundDevice("p11abc", "aabbccddeeff", LOOPBACK, device._near.lan.tcp_port, None, 1)
        device.close()

    async def test_the_app_that_knows_it_gets_the_code(self, pinned: tuple[Device, FoundDevice]) -> None:
        pairing = await LocalNetwork(pin="271828").pair(pinned[1], 5)

        assert pairing == lan.Pairing(True, "p11abc", "aabbccddeeff", CODE)

    async def test_the_app_that_does_not_gets_none_and_the_open_exchange_has_none(
        self, pinned: tuple[Device, FoundDevice]
    ) -> None:
        device, found = pinned

        with pytest.raises(WrongPinError) as refused:
            await LocalNetwork(pin="271829").pair(found, 5)
        opened = await pair(found.address, found.port)

        assert refused.value.tries_left == 9
        assert opened == lan.Pairing(True, "p11abc", "aabbccddeeff", None)
        assert device.bindcode_get() is not None

    async def test_a_device_without_a_pin_is_not_asked_in_the_clear_instead(
        self, pinned: tuple[Device, FoundDevice]
    ) -> None:
        device, found = pinned
        assert device.set_pairing_pin("")

        with pytest.raises(NoBindCodeError):
            await LocalNetwork(pin="271828").pair(found, 5)


Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@contextlib.asynccontextmanager
async def peer(talk: Talk) -> AsyncIterator[int]:
    """A TCP peer that does `talk` with whoever connects."""
    writers = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        with contextlib.suppress(OSError):
            await talk(reader, writer)

    server = await asyncio.start_server(serve, LOOPBACK, 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for writer in writers:
            writer.transport.abort()


class TestHostilePeers:
    async def test_a_peer_that_says_nothing_costs_no_more_than_the_time_limit(self) -> None:
        async def silence(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read()

        started = time.monotonic()
        async with peer(silence) as port:
            with pytest.raises(PairingError, match="in time"):
                await pair(LOOPBACK, port, 0.3)

        assert time.monotonic() - started < 2

    async def test_a_peer_that_never_stops_is_cut_off(self) -> None:
        sent = 0

        async def flood(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            nonlocal sent
            while True:
                writer.write(b"\xaa\x00" * 4096)
                sent += 8192
                await writer.drain()

        async with peer(flood) as port:
            with pytest.raises(PairingError, match="too much"):
                await pair(LOOPBACK, port, 5)

        assert sent < 64_000_000

    async def test_a_peer_that_drips_is_held_to_the_same_time(self) -> None:
        async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while True:
                writer.write(b"\xaa")
                await asyncio.sleep(0.05)

        started = time.monotonic()
        async with peer(drip) as port:
            with pytest.raises(PairingError, match="in time"):
                await pair(LOOPBACK, port, 0.4)

        assert time.monotonic() - started < 2

    async def test_a_peer_that_hangs_up_is_an_error(self) -> None:
        async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.transport.abort()

        async with peer(hang_up) as port:
            with pytest.raises(PairingError, match="closed"):
                await pair(LOOPBACK, port, 2)

    async def test_nobody_there_is_an_error(self) -> None:
        with socket.socket() as free:
            free.bind((LOOPBACK, 0))
            port = free.getsockname()[1]

        with pytest.raises(PairingError, match="cannot be reached"):
            await pair(LOOPBACK, port, 2)

    async def test_an_answer_that_points_elsewhere_does_not_lead_there(self) -> None:
        class Liar(asyncio.DatagramProtocol):
            def connection_made(self, transport: asyncio.DatagramTransport) -> None:  # type: ignore[override]
                self.transport = transport

            def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
                self.transport.sendto(b"\xaa" * 2000, addr)
                self.transport.sendto(b"junk", addr)
                lie = lan.discover_answer("p11abc", "aabbccddeeff", "203.0.113.9", 6607)
                self.transport.sendto(frame.encode(1, commands.DISCOVER_ANSWER, lie), addr)

        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(Liar, local_addr=(LOOPBACK, 0))
        try:
            found = await discover(transport.get_extra_info("sockname")[1], LOOPBACK, 2, enough=lambda one: True)
        finally:
            transport.close()

        assert [one.address for one in found] == [LOOPBACK]


async def test_a_search_where_nobody_is_finds_nothing_or_says_why() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind((LOOPBACK, 0))
        port = free.getsockname()[1]

    with contextlib.suppress(PairingError):
        assert await discover(port, LOOPBACK, 0.2) == []
