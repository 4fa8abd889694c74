"""A bound device used by the App over the LAN and through the Developer Center, and cut off when the right to it ends.

The device is examples/lamp.py in a process of its own, the Developer Center another; the App is ours, in this one.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from quecbind.app import Device
from quecbind.app.client import AppClient
from quecbind.app.errors import ControlError, KeyRefusedError, NoPathError, PathLostError
from quecbind.app.lan import LocalNetwork, discover
from quecbind.app.lan.link import open_link
from quecbind.app.link import Link
from quecbind.app.ways import device_of
from tests.e2e.center_process import COMMAND, environment, run_command
from tests.e2e.conftest import BINDING, User, World
from tests.quecIot.app_by_hand import App

SCRIPT = Path(__file__).parents[2] / "examples" / "lamp.py"
CODE = "1234567890ABCDEF"
HOST = "127.0.0.1"


async def until(holds: Callable[[], Awaitable[bool]], within_s: float = 30) -> bool:
    async with asyncio.timeout(within_s):
        while not await holds():
            await asyncio.sleep(0.05)
    return True


class Lamp:
    """The example, running; `start` and `stop` as a test needs."""

    def __init__(self, world: World, directory: Path) -> None:
        self.world, self.dk = world, world.new_device_key()[-12:]
        self._directory = directory
        self._process: subprocess.Popen[bytes] | None = None
        self._port = 0
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
            free.bind((HOST, 0))
            self.udp_port = free.getsockname()[1]
        self.network = LocalNetwork(self.udp_port, HOST)

    def start(self, *options: str) -> None:
        with (self._directory / "log").open("a") as log:
            self._process = subprocess.Popen(
                [
                    *(*COMMAND, "device", "run", str(SCRIPT), "--dk", self.dk, "--home", str(self._directory / "home")),
                    *("--server", f"mqtt://127.0.0.1:{self.world.center.mqtt_port}", "--lan-host", HOST),
                    *("--lan-udp-port", str(self.udp_port), "--lan-tcp-port", "0", *options),
                ],
                stdout=log,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                env=environment(LAMP_PRODUCT_KEY=self.world.pk, LAMP_PRODUCT_SECRET=self.world.ps, LAMP_BIND_CODE=CODE),
            )

    def stop(self) -> None:
        self._port = 0
        process, self._process = self._process, None
        if process is not None:
            process.terminate()
            process.wait(20)

    async def port(self) -> int:
        """Its TCP port, once it answers; asked for once, because answers are limited."""
        while not self._port:
            found = await discover(self.udp_port, HOST, 30, enough=lambda one: True)
            self._port = found[0].port if found else 0
        return self._port


class Owned:
    """A lamp with its owner's App."""

    def __init__(self, lamp: Lamp, user: User, client: AppClient) -> None:
        self.lamp, self.user, self.client = lamp, user, client
        self.keys = (lamp.world.pk, lamp.dk)

    async def bind(self) -> None:
        async def bound() -> bool:
            answer = self.user.bind(self.lamp.dk, CODE)
            assert answer["code"] in {200, 5460}, answer
            return bool(answer["code"] == 200)

        await until(bound)

    async def link(self) -> Link:
        """A session with the present key, as soon as the device has it too."""
        key, port = await self.client.session_key(*self.keys), await self.lamp.port()
        links: list[Link] = []

        async def opens() -> bool:
            try:
                links.append(await open_link(HOST, port, key, first_ask_after_s=0))
            except KeyRefusedError:
                await asyncio.sleep(1)  # a refused key costs its address this long
            return bool(links)

        await until(opens)
        return links[0]

    async def device(self, *only: str) -> Device:
        return await device_of(self.client, *self.keys, self.lamp.network, only=only)


@pytest.fixture
def lamp(world: World, tmp_path: Path) -> Iterator[Lamp]:
    lamp = Lamp(world, tmp_path)
    yield lamp
    lamp.stop()


@contextlib.asynccontextmanager
async def owned_by(lamp: Lamp) -> AsyncIterator[Owned]:
    """The lamp, switched on and bound to a new user."""
    world = lamp.world
    user = world.new_user()
    lamp.start()
    async with AppClient(world.center.url, world.domain, world.domain_secret) as client:
        await client.sign_in(user.email, user.password)
        owned = Owned(lamp, user, client)
        await owned.bind()
        yield owned


@pytest_asyncio.fixture
async def owned(lamp: Lamp) -> AsyncIterator[Owned]:
    async with owned_by(lamp) as owned:
        yield owned


async def is_refused(port: int, key: bytes) -> bool:
    with pytest.raises(KeyRefusedError):
        await open_link(HOST, port, key)
    return True


async def test_over_lan_the_device_is_read_written_watched_and_sent_raw_data(
    owned: Owned, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("quecbind.app.link.QUIET_S", 1.0)
    await (await owned.link()).close()

    async with await owned.device() as device:
        watching = device.watch()
        first = await anext(watching)
        values = await device.read([38, 3])
        await device.write({38: True, 4: "über dem Tisch"})
        await device.send_raw(b"\xaa\x55\xaa")
        seen = [await anext(watching) for _ in range(3)]
        everything = await device.read()

    assert first.path == "lan"
    assert values == {38: False, 3: 80}
    assert [one.values or one.raw for one in seen] == [
        values,
        {38: True, 3: 80, 4: "über dem Tisch"},
        b"\xaa\x55\xaa",
    ]
    assert everything == {38: True, 3: 80, 4: "über dem Tisch"}
    await watching.aclose()


async def test_without_lan_the_same_goes_through_the_developer_center(owned: Owned) -> None:
    owned.lamp.stop()
    owned.lamp.start("--no-lan")
    async with await owned.device() as device:
        watching = device.watch()
        first = await anext(watching)

        async def is_online() -> bool:
            try:
                await device.write({38: True})
            except ControlError as error:
                if error.code != 4030:
                    raise
                return False
            return True

        await until(is_online)
        seen = await anext(watching)
        values = await device.read([38, 3])
        await watching.aclose()

    assert first.path == "cloud"
    assert "lan" in device.failures
    assert seen.values == {38: True, 3: 80, 4: "lamp"}
    assert values == {38: True, 3: 80}


async def test_a_device_that_leaves_the_lan_goes_on_through_the_developer_center(owned: Owned) -> None:
    await (await owned.link()).close()
    async with await owned.device() as device:
        await device.read([38])
        assert device.path == "lan"
        owned.lamp.stop()
        owned.lamp.start("--no-lan")

        async def is_back() -> bool:
            try:
                return await device.read([38], seconds=2) == {38: False}
            except ControlError:
                return False

        await until(is_back)
        assert device.path == "cloud"


async def test_a_new_key_cuts_live_sessions_and_the_old_key_opens_none(owned: Owned) -> None:
    links = [await owned.link() for _ in range(3)]
    old, port = await owned.client.session_key(*owned.keys), await owned.lamp.port()
    async with await owned.device("lan") as device:
        await device.read([38])

        answer = owned.lamp.world.center.call(
            "POST", BINDING + "regenerateAuthKey", owned.user.token, pk=owned.keys[0], dk=owned.keys[1]
        )
        assert answer["code"] == 200

        async def is_cut(link: Link) -> bool:
            with contextlib.suppress(PathLostError):
                await link.write({3: 10})
            return link.is_lost

        for link in links:
            await until(lambda link=link: is_cut(link))  # type: ignore[misc]
            await link.close()
        # The App's own device has fetched the new key by itself, and been told no once at most.
        assert (await device.read([3])).keys() == {3}
    assert await is_refused(port, old)


@pytest.mark.parametrize("is_reset", [False, True])
async def test_unbinding_and_reset_cut_the_session_and_end_the_key(owned: Owned, is_reset: bool) -> None:
    link, port = await owned.link(), await owned.lamp.port()
    key = await owned.client.session_key(*owned.keys)

    answer = owned.lamp.world.center.call(
        "DELETE",
        BINDING + "unbundlingDeviceDk",
        owned.user.token,
        pk=owned.keys[0],
        dk=owned.keys[1],
        isInit=str(is_reset).lower(),
    )
    assert answer["code"] == 200

    async def is_cut() -> bool:
        with contextlib.suppress(PathLostError):
            await link.read([38])
        return link.is_lost

    await until(is_cut)
    await link.close()
    assert await is_refused(port, key)
    with pytest.raises(NoPathError) as refused:
        await (await owned.device()).read([38])
    assert refused.value.is_refused


async def test_the_command_line_uses_the_device_on_either_path(owned: Owned) -> None:
    await (await owned.link()).close()
    world = owned.lamp.world
    account = {
        "QUECBIND_APP_URL": world.center.url,
        "QUECBIND_APP_DOMAIN": world.domain,
        "QUECBIND_APP_DOMAIN_SECRET": world.domain_secret,
        "QUECBIND_APP_EMAIL": owned.user.email,
        "QUECBIND_APP_PASSWORD": owned.user.password,
    }
    lan = ["--lan-address", HOST, "--lan-port", str(owned.lamp.udp_port)]

    for value, path in ((70, "lan"), (60, "cloud")):
        arguments = ["--write", f"3={value}", "--read", "3", "--path", path, "--json"]
        done = await asyncio.to_thread(run_command, "app", "control", *owned.keys, *lan, *arguments, **account)

        assert done.returncode == 0, done.stderr
        answer = json.loads(done.stdout)
        assert (answer["path"], answer["read"]) == (path, {"3": value})


async def test_a_client_written_from_the_document_is_served_and_ours_beside_it(owned: Owned) -> None:
    await (await owned.link()).close()
    key, port = await owned.client.session_key(*owned.keys), await owned.lamp.port()

    def by_hand() -> list[bytes]:
        with App(port, key) as app:
            assert app.log_in() == bytes.fromhex("001a0000")
            told = [app.open(app.ask(0x0013, app.seal(bytes.fromhex("0131")))[1])]
            while app.next()[1] != 0x0014:  # what the script reports of it
                pass
            assert app.ask(0x0011, app.seal(bytes.fromhex("0026")))[0] == 0x0012
            return [*told, app.open(app.next()[2])]

    async with await owned.device("lan") as device:
        watching = device.watch()
        await anext(watching)
        told = await asyncio.to_thread(by_hand)
        seen = await anext(watching)
        await watching.aclose()

    assert told == [bytes.fromhex("000a0000"), bytes.fromhex("0131")]
    assert seen.values == {38: True, 3: 80, 4: "lamp"}
