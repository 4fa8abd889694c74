"""A device gets its network over BLE and is bound: what the script is given, when, and what the App makes of it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import pytest
import pytest_asyncio

from quecbind.app.ble.pairing import BleNetwork, pair, provision
from quecbind.app.client import AppClient
from quecbind.app.errors import NoBindCodeError, PairingError, RefusedError
from quecbind.app.pairing import bind_nearby
from quecbind.testing.clock import FakeClock
from tests.air import CODE, Air, BleDevice, found, room
from tests.app.conftest import Scene

DEVICE_KEY = "aabbccddeeff"
SSID, PASSWORD = "home", "correct horse"


@dataclass
class Lamp:
    scene: Scene
    air: Air
    device: BleDevice
    given: list[tuple[str, str]] = field(default_factory=list)

    def listen(self) -> None:
        assert self.device.device.set_provision_cb(lambda ssid, password: self.given.append((ssid, password)))

    async def was_given(self) -> list[tuple[str, str]]:
        async with asyncio.timeout(10):
            while not self.given:
                await asyncio.sleep(0.001)
        return self.given

    async def provision(self, **more: Any) -> Any:
        radio = await self.air.app()
        seen = await found(radio)
        return await provision(self.scene.app, radio, seen, SSID, PASSWORD, "Lamp", **more)


@pytest_asyncio.fixture
async def lamp(signed_in: Scene) -> AsyncIterator[Lamp]:
    keys = (signed_in.product.product_key, signed_in.product.product_secret)
    async with room(device_key=DEVICE_KEY, product=keys) as (air, device):
        yield Lamp(signed_in, air, device)


async def test_the_script_gets_the_network_and_the_user_the_device(lamp: Lamp) -> None:
    lamp.listen()
    lamp.device.device.bindcode_set(CODE, 60)
    await lamp.scene.device_with_code(DEVICE_KEY, CODE)
    told: list[Any] = []

    await lamp.provision(tell=told.append)

    assert await lamp.was_given() == [(SSID, PASSWORD)]
    assert [one.name for one in (await lamp.scene.app.devices()).devices] == ["Lamp"]
    assert [step.name for step in told] == ["allowed", "code", "bound"]
    assert all(PASSWORD not in step.sentence for step in told)


class ReportsLate(FakeClock):
    """The device is heard of after so many waits."""

    def __init__(self, lamp: Lamp, entry: Any, after: int) -> None:
        super().__init__()
        self._lamp, self._entry, self._after = lamp, entry, after
        self.waits: list[float] = []

    async def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        if len(self.waits) == self._after:
            await self._lamp.scene.world.report(self._entry, CODE)


async def test_the_app_asks_again_every_two_seconds_while_the_device_joins(lamp: Lamp) -> None:
    lamp.listen()
    lamp.device.device.bindcode_set(CODE, 60)
    entry = await lamp.scene.world.device(lamp.scene.product, DEVICE_KEY)
    clock = ReportsLate(lamp, entry, after=3)

    await lamp.provision(clock=clock)

    assert clock.waits == [2.0, 2.0, 2.0]


async def test_ones_own_device_gets_its_network_and_is_bound_all_the_same(lamp: Lamp) -> None:
    entry = await lamp.scene.device_with_code(DEVICE_KEY, "0" * 16)
    await lamp.scene.app.bind_by_code(entry.product_key, DEVICE_KEY, "0" * 16, "of before")
    lamp.listen()
    lamp.device.device.bindcode_set(CODE, 60)
    clock, told = ReportsLate(lamp, entry, after=2), []

    await lamp.provision(clock=clock, tell=told.append)

    assert [step.name for step in told] == ["yours", "code", "waiting", "bound"]
    assert clock.waits == [2.0, 2.0]


async def test_after_nine_tries_it_gives_up(lamp: Lamp) -> None:
    lamp.listen()
    lamp.device.device.bindcode_set(CODE, 60)
    entry = await lamp.scene.world.device(lamp.scene.product, DEVICE_KEY)
    clock = ReportsLate(lamp, entry, after=99)

    with pytest.raises(RefusedError) as refused:
        await lamp.provision(clock=clock)

    assert refused.value.code == 5460
    assert len(clock.waits) == 8


async def test_outside_the_window_nobody_gives_the_device_a_network(lamp: Lamp) -> None:
    lamp.listen()
    lamp.device.device.bindcode_set(CODE, 60)
    lamp.device.move(60)

    with pytest.raises(NoBindCodeError):
        await lamp.provision()

    assert lamp.given == []


async def test_a_script_that_takes_no_network_says_so(lamp: Lamp) -> None:
    lamp.device.device.bindcode_set(CODE, 60)

    with pytest.raises(PairingError, match="takes no network"):
        await lamp.provision()


@pytest.mark.parametrize(("ssid", "password"), [("", PASSWORD), ("s" * 33, PASSWORD), ("ä" * 17, ""), ("s", "p" * 65)])
async def test_what_can_be_no_network_is_refused(lamp: Lamp, ssid: str, password: str) -> None:
    lamp.listen()
    lamp.device.device.bindcode_set(CODE, 60)

    with pytest.raises(PairingError):
        await pair(await lamp.air.app(), lamp.device.address, ssid, password)

    assert lamp.given == []


async def test_neither_network_nor_password_is_ever_logged(lamp: Lamp, caplog: pytest.LogCaptureFixture) -> None:
    def fails(ssid: str, password: str) -> None:
        lamp.given.append((ssid, password))
        raise OSError("no such network")

    lamp.device.device.set_provision_cb(fails)
    lamp.device.device.bindcode_set(CODE, 60)
    with caplog.at_level(logging.DEBUG):
        await pair(await lamp.air.app(), lamp.device.address, SSID, PASSWORD)
        await lamp.was_given()
        async with asyncio.timeout(10):
            while "callback failed" not in caplog.text:
                await asyncio.sleep(0.001)

    ours = [record.getMessage() for record in caplog.records if record.name.startswith("quec")]
    assert ours
    assert PASSWORD not in "".join(ours)


async def test_a_device_with_a_network_is_paired_over_ble_as_over_lan(lamp: Lamp) -> None:
    lamp.device.device.bindcode_set(CODE, 60)
    await lamp.scene.device_with_code(DEVICE_KEY, CODE)

    bound = await bind_nearby(
        lamp.scene.app, device_key=DEVICE_KEY, device_name="Lamp", network=BleNetwork(await lamp.air.app())
    )

    assert bound.device.address == lamp.device.address
    assert [one.name for one in (await lamp.scene.app.devices()).devices] == ["Lamp"]


async def test_both_ways_tell_the_platform_the_same_of_what_the_device_can_talk_over(
    lamp: Lamp, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[int] = []
    bind_by_code = AppClient.bind_by_code

    async def listened(client: AppClient, *arguments: Any) -> Any:
        told.append(arguments[-1])
        return await bind_by_code(client, *arguments)

    monkeypatch.setattr(AppClient, "bind_by_code", listened)
    lamp.listen()
    lamp.device.device.bindcode_set(CODE, 60)
    entry = await lamp.scene.device_with_code(DEVICE_KEY, CODE)
    radio, steps = await lamp.air.app(), []
    await bind_nearby(lamp.scene.app, device_key=DEVICE_KEY, network=BleNetwork(radio), tell=steps.append)
    await lamp.scene.app.unbind(entry.product_key, entry.device_key)
    await lamp.scene.world.report(entry, CODE)
    await provision(lamp.scene.app, radio, await found(radio), SSID, PASSWORD)

    assert told == [1 | 2 | 4] * 2
    assert steps[1].sentence.endswith(f"at {lamp.device.address}")
