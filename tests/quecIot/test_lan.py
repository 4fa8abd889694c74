"""Discovery and pairing over real sockets on loopback."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from quecbind.wire import commands, frame, lan
from quecIot._lan import LanServer, Settings
from quecIot._platform import Files
from tests.quecIot.bench import CODE, DK, PK

pytestmark = pytest.mark.enable_socket


def free_udp_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


class Device:
    def __init__(self) -> None:
        self.udp_port = free_udp_port()
        environment = {
            "QUECIOT_LAN_HOST": "127.0.0.1",
            "QUECIOT_LAN_UDP_PORT": str(self.udp_port),
            "QUECIOT_LAN_TCP_PORT": "0",
        }
        self.identity: tuple[str, str, str | None] = (PK, DK, CODE)
        settings = Settings(lambda name: environment.get(name, ""))
        self.server = LanServer(settings, lambda: self.identity, Files())
        self.server.start()

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.server.tcp_port), timeout=10)


@pytest.fixture
def device() -> Iterator[Device]:
    device = Device()
    yield device
    device.server.stop()


@pytest.fixture
def app() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        sock.settimeout(10)
        yield sock


def read_frame(sock: socket.socket) -> frame.Frame:
    reader = frame.FrameReader()
    while True:
        data = sock.recv(4096)
        assert data, "closed"
        frames = reader.feed(data)
        if frames:
            return frames[0]


def test_a_probe_finds_the_device_and_its_port(device: Device, app: socket.socket) -> None:
    app.sendto(frame.encode(1000, commands.DISCOVER), ("127.0.0.1", device.udp_port))

    data, source = app.recvfrom(1024)

    answer = frame.decode(data)
    assert source == ("127.0.0.1", device.udp_port)
    assert (answer.packet_id, answer.command) == (1000, commands.DISCOVER_ANSWER)
    found = lan.parse_discover_answer(answer.payload)
    assert found == (PK, DK, "127.0.0.1", device.server.tcp_port, 1)
    assert CODE.encode() not in data


def test_a_flood_gets_a_handful_of_answers(device: Device, app: socket.socket) -> None:
    for _ in range(200):
        app.sendto(frame.encode(1000, commands.DISCOVER), ("127.0.0.1", device.udp_port))
    app.settimeout(0.3)

    count = 0
    try:
        while True:
            app.recvfrom(1024)
            count += 1
    except TimeoutError:
        pass

    assert 1 <= count <= 6


def test_a_device_without_product_is_not_found(device: Device, app: socket.socket) -> None:
    device.identity = ("", DK, None)
    app.settimeout(0.2)

    app.sendto(frame.encode(1000, commands.DISCOVER), ("127.0.0.1", device.udp_port))

    with pytest.raises(TimeoutError):
        app.recvfrom(1024)


def test_pairing_hands_the_code_over(device: Device) -> None:
    with device.connect() as sock:
        sock.sendall(frame.encode(1, commands.PROVISION))
        opened = read_frame(sock)
        device.identity = (PK, DK, None)
        sock.sendall(frame.encode(2, commands.PROVISION))
        closed = read_frame(sock)

    assert lan.parse_provision_answer(opened.payload).bind_code == CODE
    assert lan.parse_provision_answer(closed.payload).bind_code is None


def test_several_apps_pair_at_once_and_too_many_are_turned_away(device: Device) -> None:
    socks = [device.connect() for _ in range(4)]

    for sock in socks[:3]:
        sock.sendall(frame.encode(1, commands.PROVISION))
        assert read_frame(sock).command == commands.PROVISION_ANSWER
    try:
        socks[3].sendall(frame.encode(1, commands.PROVISION))
        refused = socks[3].recv(1024)
    except ConnectionError:
        refused = b""

    assert refused == b""
    for sock in socks:
        sock.close()


def test_a_place_that_is_left_is_free_again(device: Device) -> None:
    for _ in range(12):
        with device.connect() as sock:
            sock.sendall(frame.encode(1, commands.HELLO))
            assert read_frame(sock).command == commands.RANDOM


def test_junk_is_survived(device: Device) -> None:
    with device.connect() as sock:
        sock.sendall(bytes(range(256)) * 8 + b"\xaa\xaa\x00\x05")
    with device.connect() as sock:
        sock.sendall(frame.encode(1, commands.PROVISION))
        assert read_frame(sock).command == commands.PROVISION_ANSWER


def test_a_taken_port_is_an_os_error_and_leaves_nothing_open(device: Device) -> None:
    environment = {"QUECIOT_LAN_HOST": "127.0.0.1", "QUECIOT_LAN_TCP_PORT": str(device.server.tcp_port)}
    second = LanServer(Settings(lambda name: environment.get(name, "")), lambda: (PK, DK, None), Files())

    with pytest.raises(OSError, match="in use"):
        second.start()
