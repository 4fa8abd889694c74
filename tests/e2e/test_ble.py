"""BLE with everything in processes of its own: Developer Center, device, App, and the air between two controllers."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from quecbind.app.ble.bumble_radio import BumbleRadio
from quecbind.app.ble.chip import open_chip
from quecbind.app.ble.link import open_link
from quecbind.app.ble.scan import scan, scan_chips
from quecbind.app.errors import KeyRefusedError
from quecbind.app.link import Link
from tests.e2e.center_process import COMMAND, CenterProcess, environment, run_command
from tests.e2e.conftest import User, World, make_world
from tests.e2e.wire_by_hand import random_text

CODE = "1234567890ABCDEF"
SCRIPT = """
import quecIot

def on_event(event):
    if event[:2] == (5, 10211):
        quecIot.phymodelAck(0, event[2][0], {{1: True, 2: "lamp"}})
    if event[:2] == (5, 10210):
        print("written", event[2], flush=True)
        quecIot.phymodelReport(1, event[2])

def on_wifi(ssid, password):
    print("joined", ssid, len(password), flush=True)
    quecIot.setConnmode(1)

quecIot.init()
quecIot.setEventCB(on_event)
quecIot.setProvisionCB(on_wifi)
quecIot.setProductinfo({pk!r}, {ps!r})
quecIot.setConnmode({mode})
quecIot.bindcodeSet({code!r}, 600)
"""


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def until_listening(port: int, within_s: float = 30) -> None:
    """bumble's server serves the first connection alone, so the port is looked up and not knocked at."""
    deadline = time.monotonic() + within_s
    wanted = f":{port:04X} 00000000:0000 0A"
    while wanted not in Path("/proc/net/tcp").read_text():
        assert time.monotonic() < deadline, "the virtual controllers do not come up"
        time.sleep(0.05)


@dataclass
class Room:
    """Two controllers that hear each other, one for the device, one for the App."""

    device: str
    app: str


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Room]:
    ports = [free_port(), free_port()]
    transports = [f"tcp-server:127.0.0.1:{port}" for port in ports]
    with (tmp_path / "air.log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "bumble.apps.controllers", *transports],
            stdout=log,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
        )
    try:
        for port in ports:
            until_listening(port)
        yield Room(*[f"tcp-client:127.0.0.1:{port}" for port in ports])
    finally:
        process.terminate()
        process.wait(20)


class Device:
    def __init__(self, world: World, room: Room, directory: Path, mode: int = 1, **more: str) -> None:
        self.dk = random_text(6).encode().hex()
        self.log = directory / "device.log"
        script = directory / "script.py"
        script.write_text(SCRIPT.format(pk=world.pk, ps=world.ps, code=CODE, mode=mode))
        with self.log.open("w") as log:
            server = f"mqtt://127.0.0.1:{world.center.mqtt_port}"
            options = ["--dk", self.dk, "--home", str(directory / "home"), "--server", server, "--no-lan"]
            self._process = subprocess.Popen(
                [*COMMAND, "device", "run", str(script), *options, "--ble", room.device],
                stdout=log,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                env=environment(**more),
            )

    def off(self) -> None:
        self._process.terminate()
        self._process.wait(20)


def run_app(world: World, user: User, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    done = run_command(
        "app",
        *arguments,
        "--json",
        QUECBIND_APP_URL=world.center.url,
        QUECBIND_APP_DOMAIN=world.domain,
        QUECBIND_APP_DOMAIN_SECRET=world.domain_secret,
        QUECBIND_APP_EMAIL=user.email,
        QUECBIND_APP_PASSWORD=user.password,
        **more,
    )
    assert done.returncode == 0, done.stderr
    return done


def app(world: World, user: User, *arguments: str, **more: str) -> dict[str, object]:
    answer: dict[str, object] = json.loads(run_app(world, user, *arguments, **more).stdout)
    return answer


async def use(room: Room, dk: str, key: bytes) -> dict[int, object]:
    """Logs in, writes, is told, reads."""
    async with BumbleRadio.open(room.app) as radio:
        (found,) = [one for one in await scan(radio, 10, lambda one: one.device_key == dk) if one.device_key == dk]
        return await use_link(await open_link(radio, found.address, key))


async def use_link(link: Link) -> dict[int, object]:
    watch = link.watch()
    await link.write({3: 7})
    assert (await anext(watch)).values == {3: 7}  # type: ignore[union-attr]
    values = await link.read([1, 2])
    await link.close()
    return values


async def use_chip(room: Room, dk: str) -> dict[int, object]:
    """Becomes the administrator, lets somebody in who uses it, and gives it up."""
    owner, member = os.urandom(16), os.urandom(16)
    async with BumbleRadio.open(room.app) as radio:
        chip = (await scan_chips(radio, 10, lambda one: one.device_key == dk.upper()))[-1]
        link = await open_chip(radio, chip, owner, 123456)
        await link.grant(member)
        await link.close()
        values = await use_link(await open_chip(radio, chip, member))
        link = await open_chip(radio, chip, owner)
        assert await link.accounts() == [owner, member]
        await link.revoke(owner)
        await link.close()
        with pytest.raises(KeyRefusedError):
            await open_chip(radio, chip, owner)
    return values


def key_of(user: User, dk: str) -> bytes:
    answer = user.world.center.call("POST", "/v2/binding/enduserapi/getAuthKey", user.token, pk=user.world.pk, dk=dk)
    assert answer["code"] == 200, answer
    return base64.b64decode(answer["data"]["authKey"])


def test_a_lamp_is_found_bound_and_used_over_the_air(world: World, room: Room, tmp_path: Path) -> None:
    user = world.new_user()
    device = Device(world, room, tmp_path)
    try:
        paired = run_app(world, user, "pair", "--radio", "bumble:" + room.app, "--dk", device.dk)
        bound = json.loads(paired.stdout)
        assert (bound["product_key"], bound["device_key"]) == (world.pk, device.dk)
        assert [paired.stderr.count(told) for told in ("looking for", "found")] == [1, 1]
        assert user.device_keys() == [device.dk]
        values = asyncio.run(use(room, device.dk, key_of(user, device.dk)))
        way = ("--radio", "bumble:" + room.app, "--path", "ble")
        done = app(world, user, "control", world.pk, device.dk, *way, "--write", "3=8", "--read", "1,2")
    finally:
        device.off()

    assert values == {1: True, 2: "lamp"}
    assert (done["path"], done["read"]) == ("ble", {"1": True, "2": "lamp"})
    assert "written {3: 7}" in device.log.read_text()
    assert "written {3: 8}" in device.log.read_text()


def test_a_device_gets_its_network_over_the_air_and_is_bound(world: World, room: Room, tmp_path: Path) -> None:
    user, password = world.new_user(), "wifi-" + random_text(10)
    device = Device(world, room, tmp_path, mode=0)
    try:
        bound = app(
            world,
            user,
            *("provision", "--radio", "bumble:" + room.app, "--dk", device.dk, "--ssid", "home"),
            QUECBIND_WIFI_PASSWORD=password,
        )
    finally:
        device.off()

    said = device.log.read_text()
    assert bound["device_key"] == device.dk
    assert f"joined home {len(password)}" in said
    assert password not in said


@pytest.fixture(scope="module")
def tags(center: CenterProcess) -> World:
    return make_world(center, ble_only=True)


def test_a_device_without_a_network_is_bound_and_used_over_the_air(tags: World, room: Room, tmp_path: Path) -> None:
    user = tags.new_user()
    device = Device(tags, room, tmp_path, mode=0, QUECIOT_BLE_ONLY="1")
    try:
        app(tags, user, "pair", "--radio", "bumble:" + room.app, "--dk", device.dk)
        assert user.device_keys() == [device.dk]
        values = asyncio.run(use(room, device.dk, key_of(user, device.dk)))
        left = app(tags, user, "unbind", tags.pk, device.dk, "--radio", "bumble:" + room.app)
    finally:
        device.off()

    assert values == {1: True, 2: "lamp"}
    assert left["binding_sum"] == 0
    assert user.device_keys() == []


def test_a_ble_chip_is_found_shared_used_and_given_up_over_the_air(world: World, room: Room, tmp_path: Path) -> None:
    device = Device(world, room, tmp_path, mode=0, QUECIOT_BLE_CHIP="1")
    try:
        radio = ("--radio", "bumble:" + room.app, "--seconds", "5")
        (seen,) = json.loads(run_command("app", "scan", *radio, "--json").stdout)
        values = asyncio.run(use_chip(room, device.dk))
    finally:
        device.off()

    assert (seen["path"], seen["product_key"], seen["device_key"]) == ("ble chip", world.pk, device.dk.upper())
    assert values == {1: True, 2: "lamp"}
    assert "written {3: 7}" in device.log.read_text()
    assert "123456" not in device.log.read_text()
