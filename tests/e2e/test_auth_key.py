"""The auth key and the ordered reset, with the real module in a process of its own and an App by HTTP."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.center_process import COMMAND, environment
from tests.e2e.conftest import BINDING, User, World
from tests.e2e.wire_by_hand import RawDevice, aes_cbc, login_password
from tests.waiting import until

CODE = "1234567890ABCDEF"
SCRIPT = """
import quecIot
quecIot.init()
quecIot.setProductinfo({pk!r}, {ps!r})
quecIot.setConnmode(1)
quecIot.bindcodeSet({code!r}, 600)
"""


class Module:
    """quecIot, switched on and off; what it keeps is read from its store."""

    def __init__(self, world: World, directory: Path) -> None:
        self.world, self.dk = world, world.new_device_key()[-12:]
        self._home = directory / "home"
        self._log = directory / "log"
        self._script = directory / "script.py"
        self._script.write_text(SCRIPT.format(pk=world.pk, ps=world.ps, code=CODE))
        self._process: subprocess.Popen[bytes] | None = None

    def on(self) -> None:
        with self._log.open("a") as log:
            server = f"mqtt://127.0.0.1:{self.world.center.mqtt_port}"
            options = ["--dk", self.dk, "--home", str(self._home), "--server", server, "--no-lan"]
            self._process = subprocess.Popen(
                [*COMMAND, "device", "run", str(self._script), *options],
                stdout=log,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                env=environment(),
            )

    def off(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            process.terminate()
            process.wait(20)

    @property
    def kept(self) -> dict[str, Any]:
        try:
            content: dict[str, Any] = json.loads((self._home / f"{self.dk}.json").read_text())
        except FileNotFoundError:
            return {"auth_key": "", "device_secret": ""}
        return content

    def holds(self, auth_key: str) -> bool:
        """Whether the device comes to hold this key ("" for none), as the App has it: Base64."""
        return until(lambda: self.kept["auth_key"] == base64.b64decode(auth_key).hex())

    def show(self) -> dict[str, Any]:
        shown: dict[str, Any] = self.world.center.admin("device", "show", self.world.pk, self.dk)
        return shown

    def is_here(self) -> bool:
        return until(lambda: bool(self.show()["is_online"]))

    def bound_by(self, user: User) -> str:
        answers: list[dict[str, Any]] = []

        def binds() -> bool:
            answers.append(user.bind(self.dk, CODE))
            return answers[-1]["code"] != 5460

        assert until(binds)
        assert answers[-1]["code"] == 200, (answers[-1], self._log.read_text())
        return str(answers[-1]["data"]["authKey"])


@pytest.fixture(scope="module")
def ann(world: World) -> User:
    return world.new_user()


@pytest.fixture
def module(world: World, tmp_path: Path) -> Iterator[Module]:
    module = Module(world, tmp_path)
    yield module
    module.off()


def test_the_key_on_the_wire_is_what_the_document_says(world: World, ann: User) -> None:
    dk = world.new_device_key()
    with RawDevice(world.center.mqtt_port, world.pk, dk) as device:
        secret = device.enrol(world.ps)
    with RawDevice(world.center.mqtt_port, world.pk, dk) as device:
        assert device.connect(login_password(world.ps, secret)) == 0
        device.report_bind_code(CODE, 60)
        assert device.auth_key == b""
        answer = ann.bind(dk, CODE)

    with RawDevice(world.center.mqtt_port, world.pk, dk) as device:
        assert device.connect(login_password(world.ps, secret)) == 0
        assert device.subscribe() == 1

    key = hmac.digest(secret.encode(), f"auth key;{dk}".encode(), hashlib.sha256)[:16]
    auth_key = base64.b64decode(answer["data"]["authKey"])
    iv = hmac.digest(key, auth_key, hashlib.sha256)[:16]
    assert device.auth_key == base64.b64encode(iv + aes_cbc(key, iv, auth_key))
    ann.unbind(dk)


def renewed(user: User, dk: str) -> str:
    answer = user.world.center.call("POST", BINDING + "regenerateAuthKey", user.token, pk=user.world.pk, dk=dk)
    assert answer["code"] == 200, answer
    return str(answer["data"]["authKey"])


def test_the_device_holds_the_very_key_the_app_got_through_every_change(module: Module, ann: User) -> None:
    module.on()
    first = module.bound_by(ann)
    assert module.holds(first)

    second = renewed(ann, module.dk)

    assert second != first
    assert module.holds(second)
    assert ann.unbind(module.dk)["code"] == 200
    assert module.holds("")


def test_a_device_that_was_off_learns_the_last_change_when_it_comes(module: Module, ann: User) -> None:
    module.on()
    assert module.holds(module.bound_by(ann))
    module.off()
    renewed(ann, module.dk)
    last = renewed(ann, module.dk)

    module.on()
    assert module.holds(last)

    module.off()
    assert ann.unbind(module.dk)["code"] == 200
    module.on()
    assert module.holds("")


@pytest.mark.parametrize("is_on", [True, False])
def test_the_last_owner_resets_the_device_whether_it_is_on_or_off(module: Module, ann: User, is_on: bool) -> None:
    module.on()
    assert module.holds(module.bound_by(ann))
    before, old = module.show(), module.kept["device_secret"]
    if not is_on:
        module.off()

    answer = ann.world.center.call(
        "DELETE", BINDING + "unbundlingDeviceDk", ann.token, pk=ann.world.pk, dk=module.dk, isInit="true"
    )
    if not is_on:
        module.on()

    assert answer["data"] == {"bindingSum": 0}
    assert until(lambda: module.kept["device_secret"] not in ("", old)), "the device did not start over"
    assert module.kept["auth_key"] == ""
    assert module.is_here()
    assert module.show()["epoch"] > before["epoch"]
    if is_on:
        # The code was used, and the script has set no other: who had the device knows it, and may be far away.
        assert ann.bind(module.dk, CODE)["code"] == 5460
        module.off()
        module.on()
    # The script that starts anew sets its code anew; whoever has it may bind.
    assert module.holds(module.bound_by(ann))
    ann.unbind(module.dk)
