"""A real server process, devices and users that are attacked, and everything the server said meanwhile.

The server is one for all modules of the suite: what one family did to it, the next one finds. The test marked `last`
runs behind all others and searches what the suite produced for secrets.
"""

from __future__ import annotations

import json
import os
import select
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.attack.stranger import PINGREQ, PINGRESP
from tests.e2e.center_process import CenterProcess
from tests.e2e.conftest import User, World, make_world
from tests.e2e.wire_by_hand import RawDevice, login_password, random_text

LOG_IN_TIME_S = 3
CODE = "1234567890ABCDEF"


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "last: runs behind all other tests")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.enable_socket)
    items.sort(key=lambda item: item.get_closest_marker("last") is not None)


class Witness(CenterProcess):
    """A Developer Center that keeps every answer that refuses, of the App API and of the operator API."""

    refusals: list[str]

    def call(self, *arguments: Any, **query: Any) -> dict[str, Any]:
        answer = super().call(*arguments, **query)
        if answer["code"] != 200:
            self.refusals.append(json.dumps(answer))
        return answer

    def operator(self, method: str, path: str, body: object | None = None) -> tuple[int, Any]:
        status, answer = super().operator(method, path, body)
        if status >= 400:
            self.refusals.append(json.dumps(answer))
        return status, answer


@dataclass
class Victim:
    """A device in use with a live session, which an attack must not disturb."""

    scene: Scene
    world: World
    dk: str
    secret: str
    live: RawDevice
    _packet_id: int = 1

    def undisturbed(self) -> str:
        """ "undisturbed" when the session answers, stores a report, and was sent nothing; else what happened."""
        self._packet_id = self._packet_id % 60_000 + 1
        self.live.send(PINGREQ)
        while (got := self.live.receive()) != PINGRESP:
            if got is None:
                return "session closed"
            if got[0] >> 4 == 3:
                return "was sent " + got[1].hex()
        self.live.report_bind_code(self.scene.secret("bind code", CODE), 60, self._packet_id)
        return "undisturbed"

    def raw(self, source: str = "127.0.0.1") -> RawDevice:
        """A connection of somebody who claims to be this device."""
        return self.scene.raw(self.world, self.dk, source)

    def password(self, nonce: str | None = None) -> bytes:
        return login_password(self.world.ps, self.secret, nonce)


@dataclass
class Scene:
    """The attacked server."""

    center: Witness
    secrets: dict[str, set[str]] = field(default_factory=dict)
    _open: list[RawDevice] = field(default_factory=list)

    def secret(self, kind: str, value: str) -> str:
        """Note something that nobody may find anywhere."""
        self.secrets.setdefault(kind, set()).add(value)
        return value

    # What an operator does

    def operator(self, method: str, path: str, body: object | None = None) -> tuple[int, Any]:
        """One call of the operator API with the key the running server left: status and answer."""
        self.secret("access key", json.loads((self.center.data / "serve.json").read_text())["local_key"])
        return self.center.operator(method, path, body)

    def new_world(self, **product: object) -> World:
        """A product with these options, and a user domain."""
        world = make_world(self.center, **product)
        self.secret("product secret", world.ps)
        self.secret("user domain secret", world.domain_secret)
        return world

    def new_user(self, world: World) -> User:
        email = f"{random_text(10).lower()}@example.org"
        password = self.secret("password", "secret-1" + random_text(10))
        self.center.make("/users", email=email, user_domain=world.domain, password=password)
        user = world.sign_in(email, password)
        self.secret("token", user.token)
        return user

    # Devices

    def raw(self, world: World, dk: str, source: str = "127.0.0.1") -> RawDevice:
        return RawDevice(self.center.mqtt_port, world.pk, dk, source=source)

    def enrol(self, world: World, dk: str, user_name: bytes | None = None) -> str:
        with self.raw(world, dk) as device:
            return self.secret("device secret", device.enrol(world.ps, user_name))

    def active(self, world: World) -> tuple[str, str]:
        """A device that has used its secret: its key and the secret."""
        dk = world.new_device_key()
        secret = self.enrol(world, dk)
        with self.raw(world, dk) as device:
            assert device.connect(login_password(world.ps, secret)) == 0
        return dk, secret

    def victim(self, world: World) -> Victim:
        dk, secret = self.active(world)
        live = self.raw(world, dk)
        self._open.append(live)
        assert live.connect(login_password(world.ps, secret)) == 0
        assert live.subscribe() == 1
        return Victim(self, world, dk, secret, live)

    # What the server shows

    def text(self, path: str) -> str:
        with urllib.request.urlopen(self.center.url + path, timeout=30) as answer:
            return answer.read().decode()  # type: ignore[no-any-return]

    def metric(self, name: str) -> float:
        """One number of /metrics; 0 when it is not there yet."""
        for line in self.text("/metrics").splitlines():
            if line.startswith(name + " "):
                return float(line.rsplit(" ", 1)[1])
        return 0

    def reaches(self, is_so: Callable[[], bool], tries: int = 2_000) -> bool:
        """Whether it comes to be, asked as fast as the server answers."""
        return any(is_so() for _ in range(tries))

    @property
    def is_alive(self) -> bool:
        return self.center.process is not None and self.center.process.poll() is None

    def memory_kib(self, name: str = "VmRSS") -> int:
        assert self.center.process is not None
        status = Path(f"/proc/{self.center.process.pid}/status").read_text()
        return int(next(line.split()[1] for line in status.splitlines() if line.startswith(name + ":")))

    def printed(self) -> str:
        """What `quecbind serve` wrote: its log, and stdout behind the ready line."""
        assert self.center.process is not None
        assert self.center.process.stdout is not None
        number, said = self.center.process.stdout.fileno(), b""
        while select.select([number], [], [], 0)[0] and (more := os.read(number, 65536)):
            said += more
        return said.decode() + self.center.log.read_text()

    def close(self) -> None:
        for device in self._open:
            device.socket.close()


@pytest.fixture(scope="session")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    place = tmp_path_factory.mktemp("attacked")
    # The cases below fail to log in more often than anybody may by default; that limit has cases of its own.
    options = ("--log-in-time", str(LOG_IN_TIME_S), "--log-level", "debug", "--max-failed-log-ins-per-device", "100000")
    center = Witness(place / "data", place / "serve.log", options=options)
    center.refusals = []
    scene = Scene(center)
    center.start()
    yield scene
    scene.close()
    assert center.stop() == 0


@pytest.fixture(scope="module")
def world(scene: Scene) -> World:
    return scene.new_world()


@pytest.fixture
def victim(scene: Scene, world: World) -> Iterator[Victim]:
    """A device in use, looked at again when the test is over: the server is up and its session lives."""
    victim = scene.victim(world)
    yield victim
    assert scene.is_alive
    victim.live.socket.close()
