"""Discovery and pairing over real sockets on loopback."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from quecbind.wire import commands, frame, lan
from quecIot._conversation import Host
from quecIot._lan import LanServer, Settings
from quecIot._pairing import MAX_STRANGERS
from quecIot._platform import Files
from quecIot._session import Door
from tests.quecIot.app_by_hand import App
from tests.quecIot.bench import CODE, DK, PK

KEY = bytes(range(16))
LOGGED_IN, REFUSED = bytes.fromhex("001a0000"), bytes.fromhex("001a0001")

pytestmark = pytest.mark.enable_socket


def free_udp_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


class Device:
    def __init__(self, dk: str = DK, **environment: str) -> None:
        self.udp_port = int(environment.get("QUECIOT_LAN_UDP_PORT") or free_udp_port())
        environment = {
            "QUECIOT_LAN_HOST": "127.0.0.1",
            "QUECIOT_LAN_UDP_PORT": str(self.udp_port),
            "QUECIOT_LAN_TCP_PORT": "0",
            **environment,
        }
        self.identity: tuple[str, str, str | None] = (PK, dk, CODE)
        self.key: bytes | None = KEY
        self.asked: list[Any] = []
        settings = Settings(lambda name: environment.get(name, ""))
        host = Host(lambda: self.identity, Door(lambda: self.key), self.carry_out)
        self.server = LanServer(settings, host, Files())
        self.server.start()

    def carry_out(self, decision: tuple[Any, ...]) -> bytes:
        self.asked.append(decision)
        return b""

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


def test_200_devices_answer_one_question_to_everybody(app: socket.socket) -> None:
    port = free_udp_port()
    devices = {
        f"127.0.1.{number}": Device(
            f"D{number}", QUECIOT_LAN_HOST=f"127.0.1.{number}", QUECIOT_LAN_UDP_PORT=str(port), QUECIOT_LAN_TCP_PORT="0"
        )
        for number in range(1, 201)
    }
    try:
        app.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        app.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        app.sendto(frame.encode(1000, commands.DISCOVER), ("127.255.255.255", port))
        answers = dict(read_announcement(app) for _ in devices)
    finally:
        for device in devices.values():
            device.server.stop()

    assert answers == {
        address: (PK, f"D{address.split('.')[3]}", address, device.server.tcp_port, 1)
        for address, device in devices.items()
    }


def read_announcement(app: socket.socket) -> tuple[str, lan.Announcement]:
    data, source = app.recvfrom(1024)
    return source[0], lan.parse_discover_answer(frame.decode(data).payload)


def test_the_limited_broadcast_of_another_network_is_not_answered(app: socket.socket) -> None:
    device = Device()
    device.server._around = [(0x0A000000, 0xFF000000)]
    app.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
    try:
        app.sendto(frame.encode(1000, commands.DISCOVER), ("127.255.255.255", device.udp_port))
        app.settimeout(0.2)
        with pytest.raises(TimeoutError):
            app.recvfrom(1024)
        # asked by its address, it is there
        app.settimeout(10)
        app.sendto(frame.encode(1000, commands.DISCOVER), ("127.0.0.1", device.udp_port))
        assert read_announcement(app)[1].device_key == DK
    finally:
        device.server.stop()


def test_the_classic_discovery_is_off_unless_it_is_asked_for(app: socket.socket) -> None:
    port = free_udp_port()
    device = Device(QUECIOT_LAN_CLASSIC_PORT=str(port))
    silent = Device()
    question = frame.encode(1, commands.CLASSIC_DISCOVER)
    app.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
    try:
        for address in ("127.0.0.1", "127.255.255.255"):
            app.sendto(question, (address, port))
            data, source = app.recvfrom(1024)
            assert source == ("127.0.0.1", port)
            assert frame.decode(data) == (
                *(1, commands.CLASSIC_DISCOVER_ANSWER),
                bytes([0, 0x0B, 0, len(DK)]) + DK.encode() + bytes([0, 0x13, 0, len(PK)]) + PK.encode(),
            )
        app.sendto(question, ("127.0.0.1", device.udp_port))
        app.sendto(frame.encode(1, commands.DISCOVER), ("127.0.0.1", port))
        app.sendto(question, ("127.0.0.1", silent.udp_port))
        app.settimeout(0.2)
        with pytest.raises(TimeoutError):
            app.recvfrom(1024)
    finally:
        device.server.stop()
        silent.server.stop()


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
    host = Host(lambda: (PK, DK, None), Door(lambda: None), lambda decision: b"")
    second = LanServer(Settings(lambda name: environment.get(name, "")), host, Files())

    with pytest.raises(OSError, match="in use"):
        second.start()


# --- sessions, with a client written from the document ---


def test_an_app_logs_in_reads_writes_and_hears_what_the_script_reports(device: Device) -> None:
    with App(device.server.tcp_port, KEY) as app:
        assert app.log_in() == LOGGED_IN
        command, sealed = app.ask(0x0013, app.seal(bytes.fromhex("0131")))
        assert (command, app.open(sealed)) == (0x7036, bytes.fromhex("000a0000"))
        assert app.ask(0x0011, app.seal(bytes.fromhex("0026"))) == (0x0012, b"")
        assert device.server.answer_read(app.packet_id, bytes.fromhex("0131"))
        _, pushed, answer = app.next()
        device.server.report(0x0024, b"\xaa\x55\xaa")
        _, raw, data = app.next()

    assert [one[2] for one in device.asked] == [{38: True}, [app.packet_id, [38]]]
    assert (pushed, app.open(answer)) == (0x0014, bytes.fromhex("0131"))
    assert (raw, app.open(data)) == (0x0024, b"\xaa\x55\xaa")


def test_a_wrong_key_gets_result_1_and_a_stale_one_too(device: Device) -> None:
    with App(device.server.tcp_port, b"x" * 16, source="127.0.0.2") as stranger:
        assert stranger.log_in() == REFUSED
    device.key = b"n" * 16
    with App(device.server.tcp_port, KEY) as former:
        assert former.log_in() == REFUSED


def test_a_session_is_cut_when_the_key_changes(device: Device) -> None:
    with App(device.server.tcp_port, KEY) as app:
        app.log_in()
        device.key = None
        app.send(0x0013, app.seal(bytes.fromhex("0131")))

        with pytest.raises(EOFError):
            app.next()
    assert device.asked == []


def test_a_session_is_cut_when_the_key_goes_though_nobody_says_anything(device: Device) -> None:
    with App(device.server.tcp_port, KEY) as app:
        app.log_in()
        device.key = None

        with pytest.raises(EOFError):
            app.next()


def test_sixteen_apps_hold_sessions_each_with_its_own_random(device: Device) -> None:
    apps = []
    for _ in range(16):
        app = App(device.server.tcp_port, KEY)
        assert app.log_in() == LOGGED_IN
        apps.append(app)

    device.server.report(0x0014, bytes.fromhex("0009"))

    for app in apps:
        assert app.open(app.next()[2]) == bytes.fromhex("0009")
        assert app.ask(0x7037) == (0x7038, b"")
        app.socket.close()
    assert len({app.random for app in apps}) == 16


def test_strangers_who_fill_the_door_do_not_disturb_a_session(device: Device) -> None:
    with App(device.server.tcp_port, KEY) as app:
        app.log_in()
        strangers = [device.connect() for _ in range(20)]
        for one in strangers:
            with contextlib.suppress(OSError):
                one.sendall(bytes(range(256)) * 4)

        assert app.ask(0x7037) == (0x7038, b"")
        for one in strangers:
            one.close()


def test_strangers_who_sit_in_every_place_do_not_keep_an_app_out(device: Device) -> None:
    strangers = [
        App(device.server.tcp_port, KEY, source=f"127.0.0.{number}") for number in range(20, 22 + MAX_STRANGERS)
    ]

    with App(device.server.tcp_port, KEY) as app:
        assert app.log_in() == LOGGED_IN
        with pytest.raises(EOFError):
            strangers[0].hello()
        strangers[-1].hello()
    for one in strangers:
        one.socket.close()


def test_no_report_is_lost_between_the_threads(device: Device) -> None:
    """Whoever adds one holds the lock under which the list is taken away."""
    held = []

    class Reports(list[Any]):
        def append(self, say: Any) -> None:
            held.append(device.server._saying.locked())
            super().append(say)

    with App(device.server.tcp_port, KEY) as app:
        app.log_in()
        device.server._to_say = Reports()
        device.server.report(0x0024, b"x")

        assert app.open(app.next()[2]) == b"x"
    assert held == [True]


def test_a_connection_comes_without_changing_the_list_that_another_thread_is_at(device: Device) -> None:
    with App(device.server.tcp_port, KEY) as app:
        app.log_in()
        seen = device.server._connections
        with App(device.server.tcp_port, KEY) as other:
            other.log_in()

        assert len(seen) == 1


def test_an_app_that_does_not_read_is_let_go_and_the_device_goes_on(device: Device) -> None:
    with App(device.server.tcp_port, KEY, buffer_size=4096) as idle, App(device.server.tcp_port, KEY) as app:
        idle.log_in()
        for _ in range(360):
            device.server.report(0x0024, bytes(20000))
        assert app.log_in() == LOGGED_IN

        with contextlib.suppress(ConnectionError):
            while idle.socket.recv(1 << 20):
                pass
        assert app.ask(0x7037) == (0x7038, b"")


def test_an_app_that_brings_the_device_into_trouble_is_let_go_and_the_others_are_served(device: Device) -> None:
    def carry_out(decision: tuple[Any, ...]) -> bytes:
        raise ZeroDivisionError

    with App(device.server.tcp_port, KEY) as trouble, App(device.server.tcp_port, KEY) as app:
        trouble.log_in()
        app.log_in()
        for connection in device.server._connections:
            connection.conversation.session._carry_out = carry_out

        trouble.send(0x0023, trouble.seal(b"x"))

        with pytest.raises(EOFError):
            trouble.next()
        assert app.ask(0x7037) == (0x7038, b"")
