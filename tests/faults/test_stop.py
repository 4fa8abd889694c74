"""SIGTERM in the middle of work: what was acknowledged is kept, the exit code is 0, and nobody who dawdles holds it up.

How long it may take is bounded by how long the test waits for the end of the process; nothing is measured.
"""

from __future__ import annotations

import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Self

import pytest

from tests.e2e.wire_by_hand import login_password
from tests.faults.deeds import CODE, active
from tests.faults.scene import GONE, Scene
from tests.tables import Row

ENOUGH = 40  # binds seen: the rest is in flight


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    scene = Scene.start(tmp_path)
    yield scene
    if scene.center.process is not None:
        assert scene.center.stop() == 0


class Load:
    """Devices enrol, report and are bound, by eight at once, until the server is gone."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.reported: set[str] = set()
        self.bound: set[str] = set()
        self.enough = threading.Event()
        self._threads = [threading.Thread(target=self._go_on, args=(number,)) for number in range(8)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        assert self.enough.wait(60)
        return self

    def __exit__(self, *exc: object) -> None:
        for thread in self._threads:
            thread.join(20)
        assert not any(thread.is_alive() for thread in self._threads)

    def _go_on(self, number: int) -> None:
        world, user = self.scene.world, (self.scene.ann, self.scene.ben)[number % 2]
        while True:
            dk = world.new_device_key()
            try:
                secret = self.scene.enrol(dk)
                with self.scene.raw(dk) as device:
                    assert device.connect(login_password(world.ps, secret)) == 0
                    device.report_bind_code(CODE)
                self.reported.add(dk)
                assert user.bind(dk, CODE)["code"] == 200
            except GONE:
                return
            self.bound.add(dk)
            if len(self.bound) > ENOUGH:
                self.enough.set()

    def lost(self) -> list[str]:
        """What was acknowledged and is not there any more."""
        owned = {*self._all_of("ann"), *self._all_of("ben")}
        # A bind that got no answer may have been done all the same: then its device is owned by now.
        unbound = [dk for dk in self.reported - owned if self.scene.ann.bind(dk, CODE)["code"] != 200]
        return sorted([*unbound, *self.bound - owned])

    def _all_of(self, name: str) -> set[str]:
        user, found, page = getattr(self.scene, name), set(), 1
        while True:
            query = {"page": page, "pageSize": 100}
            answer = self.scene.center.call("GET", "/v2/binding/enduserapi/userDeviceList", user.token, **query)
            rows = answer["data"]["list"]
            found |= {row["deviceKey"] for row in rows}
            if len(rows) < 100:
                return found
            page += 1


@pytest.mark.parametrize("how", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.full)])
def test_a_stop_under_load_loses_nothing_acknowledged(scene: Scene, how: signal.Signals, row: Row) -> None:
    with Load(scene) as load:
        code = scene.center.stop(how)
    scene.restart()

    row(f"{how.name} under load: exit code", 0, code)
    row("... reports and binds that were acknowledged and are lost", [], load.lost())
    row("... the audit log is whole", True, scene.audit_is_whole())


def test_a_stop_is_not_held_up_by_those_who_dawdle(scene: Scene, row: Row) -> None:
    dawdlers = {
        "a device that is connected": b"",
        "a connection that says nothing": b"",
        "a CONNECT that is half sent": b"\x10\x7f\x00\x04MQTT",
        "a request that is half sent": b"POST /v2/binding/enduserapi/bindDeviceDk HTTP/1.1\r\nHost: c\r\nContent-Le",
        "a body that is half sent": b"POST /api/v1/products HTTP/1.1\r\nHost: c\r\nContent-Length: 999\r\n\r\n{",
        "an App on the WebSocket": (
            b"GET /ws/v1 HTTP/1.1\r\nHost: c\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        ),
    }
    with ExitStack() as held:
        device = active(scene)
        raw = held.enter_context(scene.raw(device.dk))
        assert raw.connect(login_password(scene.world.ps, device.secret)) == 0
        for name, sent in dawdlers.items():
            port = scene.center.http_port if b"HTTP" in sent else scene.center.mqtt_port
            opened = held.enter_context(socket.create_connection(("127.0.0.1", port), 10))
            opened.sendall(sent)
            if "WebSocket" in name:
                assert opened.recv(12) == b"HTTP/1.1 101"

        code = scene.center.stop()
        last_words = raw.receive()

    for name in dawdlers:
        row(f"SIGTERM, {name}: exit code", 0, code)
    row("... the device is let go", None, last_words)
    assert "Traceback" not in scene.center.log.read_text()


@pytest.mark.full
def test_a_second_signal_while_it_stops_changes_nothing(scene: Scene, row: Row) -> None:
    with Load(scene) as load:
        process = scene.center.process
        assert process is not None
        process.send_signal(signal.SIGTERM)
        code = scene.center.stop()
    scene.restart()

    row("SIGTERM twice under load: exit code", 0, code)
    row("... reports and binds that were acknowledged and are lost", [], load.lost())
