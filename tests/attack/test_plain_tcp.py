"""Plain TCP: what somebody reads and changes who is on the way between a device and the server, and what TLS ends.

None of it can be defended with devices that speak the protocol as it is: nothing behind a log-in is sealed or signed.
Each case is listed in docs/security.md with what an operator does about it.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator

import pytest

from tests.attack.app_lines import V1
from tests.attack.crowd import CODE, Crowd, run_crowd
from tests.e2e.wire_by_hand import RawDevice, frame, login_password, ttlv_number
from tests.tables import Row

pytestmark = pytest.mark.enable_socket

NOT_REPORTED = 5460


class OnTheWay:
    """A relay that keeps what passes, and may change it."""

    def __init__(self, port: int) -> None:
        self.seen = b""
        self.change: Callable[[bytes], bytes] = lambda data: data
        self._port = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._lines: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def _accept(self) -> None:
        while True:
            try:
                device, _ = self._listener.accept()
            except OSError:
                return
            server = socket.create_connection(("127.0.0.1", self._port))
            self._lines += [device, server]
            for source, target, is_up in ((device, server, True), (server, device, False)):
                thread = threading.Thread(target=self._pass_on, args=(source, target, is_up))
                self._threads.append(thread)
                thread.start()

    def _pass_on(self, source: socket.socket, target: socket.socket, is_up: bool) -> None:
        try:
            while data := source.recv(65_536):
                self.seen += data
                target.sendall(self.change(data) if is_up else data)
            target.shutdown(socket.SHUT_WR)
        except OSError:
            pass

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for line in self._lines:
            line.close()
        for thread in self._threads:
            thread.join(10)


@pytest.fixture(scope="module")
def crowd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Crowd]:
    yield from run_crowd(tmp_path_factory.mktemp("crowd"), 10)


@pytest.fixture
def on_the_way(crowd: Crowd) -> Iterator[OnTheWay]:
    relay = OnTheWay(crowd.center.mqtt_port)
    yield relay
    relay.close()


def test_a_listener_reads_what_makes_a_device(crowd: Crowd, on_the_way: OnTheWay, row: Row) -> None:
    product, owner = crowd.single, crowd.person()
    with RawDevice(on_the_way.port, product.key, "861777000000001") as device:
        secret = device.enrol(product.secret)
        device.report_bind_code(CODE, 60)
        assert owner.bind(product, device.dk, CODE) == 200

    row("plain TCP: a listener reads the product secret", False, product.secret.encode() in on_the_way.seen)
    row("NOT DEFENDED: plain TCP, a listener reads the device secret when it is issued", True,
        secret.encode() in on_the_way.seen)  # fmt: skip
    row("NOT DEFENDED: plain TCP, a listener reads the bind code when it is reported", True,
        CODE.encode() in on_the_way.seen)  # fmt: skip
    with RawDevice(crowd.center.mqtt_port, product.key, device.dk) as thief:
        row("... the device secret alone, without the product secret, logs in", 5,
            thief.connect(login_password("guessed", secret)))  # fmt: skip


def test_who_reads_the_code_first_can_bring_it_first(crowd: Crowd, on_the_way: OnTheWay, row: Row) -> None:
    product, owner, thief = crowd.single, crowd.person(), crowd.person()
    with RawDevice(on_the_way.port, product.key, "861777000000002") as device:
        device.enrol(product.secret)
        device.report_bind_code("ABCDEFABCDEF0000", 60)
        place = on_the_way.seen.find(b"ABCDEF")
        read = on_the_way.seen[place : place + 16].decode()

        row("NOT DEFENDED: plain TCP, a code that a listener read, brought first", 200,
            thief.bind(product, device.dk, read))  # fmt: skip
        row("... the rightful user", NOT_REPORTED, owner.bind(product, device.dk, "ABCDEFABCDEF0000"))


def test_who_is_on_the_way_changes_what_a_device_says(crowd: Crowd, on_the_way: OnTheWay, row: Row) -> None:
    owner, device = crowd.person(), crowd.device()
    device.bound_to(owner)
    with RawDevice(on_the_way.port, device.product.key, device.dk) as passed_on, V1(crowd.center, owner) as app:
        assert passed_on.connect(login_password(device.product.secret, device.secret)) == 0
        assert app.subscribe(device) == 1
        said, heard = frame(9, 0x0014, ttlv_number(1, 20)), frame(9, 0x0014, ttlv_number(1, 99))
        on_the_way.change = lambda data: data.replace(said, heard)
        passed_on.publish(0x0014, ttlv_number(1, 20), 9, "bus")
        passed_on.wait_puback(9)
        values = [one["data"]["kv"]["1"] for one in app.heard() if one["type"] == "MATTR"]
    row("NOT DEFENDED: plain TCP, a report of 20 changed on the way: its App hears", [99], values)
    device.leave()
