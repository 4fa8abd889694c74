"""A Developer Center that can be told to die at a point, or what time it is, with a product and two users signed in."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Any

from tests.e2e.center_process import CenterProcess, environment
from tests.e2e.conftest import User, World, make_world
from tests.e2e.wire_by_hand import RawDevice, login_password
from tests.faults.database import Content, content_of

ARMED = Path(__file__).with_name("armed.py")
PASSWORD = "secret-1Aa"
# What a caller sees of a server that dies under it.
GONE = (OSError, HTTPException, AssertionError)


@dataclass
class Scene:
    center: CenterProcess
    order: Path
    world: World
    ann: User
    ben: User

    @classmethod
    def start(cls, place: Path) -> Scene:
        order = place / "order"
        center = CenterProcess(place / "data", place / "serve.log", command=(sys.executable, str(ARMED), str(order)))
        world = make_world(center.start())
        scene = cls(
            center, order, world, *(User(world, f"{name}@example.org", PASSWORD, "") for name in ("ann", "ben"))
        )
        for user in (scene.ann, scene.ben):
            assert scene.operator("POST", "/users", scene.new_user(user.email))[0] == 201
            user.token = world.sign_in(user.email, PASSWORD).token
        return scene

    def new_user(self, email: str) -> dict[str, str]:
        return {"email": email, "user_domain": self.world.domain, "password": PASSWORD}

    def operator(self, method: str, path: str, body: object | None = None) -> tuple[int, Any]:
        return self.center.operator(method, path, body)

    def content(self) -> Content:
        return content_of(self.center.data / "quecbind.db")

    def audit_is_whole(self) -> bool:
        status, answer = self.operator("GET", "/audit/check")
        return status == 200 and answer["problem"] is None

    # Devices

    def raw(self, dk: str) -> RawDevice:
        return RawDevice(self.center.mqtt_port, self.world.pk, dk)

    def enrol(self, dk: str, user_name: bytes | None = None) -> str:
        with self.raw(dk) as device:
            return device.enrol(self.world.ps, user_name)

    def connect(self, dk: str, secret: str) -> int | None:
        with self.raw(dk) as device:
            return device.connect(login_password(self.world.ps, secret))

    def report(self, dk: str, secret: str, code: str) -> None:
        with self.raw(dk) as device:
            assert device.connect(login_password(self.world.ps, secret)) == 0
            device.report_bind_code(code)

    # The wall clock of its machine

    def set_clock(self, seconds: float) -> None:
        """It is that much ahead of the right time from now on; behind it when negative."""
        new = self.order.with_suffix(".new")
        new.write_text(str(seconds))
        new.replace(self.order.with_suffix(".clock"))

    def restart_with_the_right_clock(self) -> None:
        assert self.center.stop() == 0
        self.set_clock(0)
        self.restart()

    # Dying

    def dies_at(self, point: str, deed: Callable[[], object], count: int = 1) -> bool:
        """Whether whoever did the deed got an answer, before the server died at the `count`-th `point` of it."""
        order_done = self.order.with_suffix(".hit")
        order_done.unlink(missing_ok=True)
        self.order.write_text(f"{point}\n{count}\n")
        try:
            deed()
        except GONE:
            is_answered = False
        else:
            is_answered = True
        process = self.center.process
        assert process is not None
        assert process.wait(20) == -9
        assert order_done.exists(), f"it died, but not at {point}"
        return is_answered

    def restart(self) -> None:
        process = self.center.process
        if process is not None and process.stdout is not None:
            process.stdout.close()
        self.center.http_port = self.center.mqtt_port = 0
        self.center.start()


def run_armed(order: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """One `quecbind ...` command that dies as ordered, to its end."""
    return subprocess.run(
        [sys.executable, str(ARMED), str(order), *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        env=environment(),
        stdin=subprocess.DEVNULL,
        check=False,
    )


def is_one_sentence(ended: subprocess.CompletedProcess[str]) -> bool:
    """Whether a command that was refused told so in its last line, and showed no traceback."""
    lines = ended.stderr.strip().splitlines()
    return bool(lines) and lines[-1].startswith("quecbind: ") and "Traceback" not in ended.stderr
