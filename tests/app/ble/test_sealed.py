"""Sealed pairing over BLE: only who knows the PIN gets the bind code, or may give the device a network."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from quecbind.app.ble.pairing import BleNetwork, pair, provision
from quecbind.app.errors import NoBindCodeError, WrongPinError
from quecbind.wire import lan
from tests.air import CODE, Air, BleDevice, found, room
from tests.app.conftest import Scene

DEVICE_KEY, PIN = "aabbccddeeff", "271828"
SSID, PASSWORD = "home", "correct horse"


class Lamp:
    def __init__(self, scene: Scene, air: Air, device: BleDevice) -> None:
        self.scene, self.air, self.device = scene, air, device
        self.given: list[tuple[str, str]] = []
        assert device.device.bindcode_set(CODE, 60)
        assert device.device.set_pairing_pin(PIN)
        assert device.device.set_provision_cb(lambda ssid, password: self.given.append((ssid, password)))
        device.radio.refresh()

    async def pair(self, pin: str) -> lan.Pairing:
        network = BleNetwork(await self.air.app(), pin)
        (device,) = await network.discover(5, lambda seen: True)
        return await network.pair(device, 5)


@pytest_asyncio.fixture
async def lamp(signed_in: Scene) -> AsyncIterator[Lamp]:
    keys = (signed_in.product.product_key, signed_in.product.product_secret)
    async with room(device_key=DEVICE_KEY, product=keys) as (air, device):
        yield Lamp(signed_in, air, device)


async def test_the_app_that_knows_the_pin_gets_the_code(lamp: Lamp) -> None:
    pairing = await lamp.pair(PIN)

    assert (pairing.device_key, pairing.bind_code) == (DEVICE_KEY, CODE)


async def test_the_app_that_does_not_gets_none(lamp: Lamp) -> None:
    with pytest.raises(WrongPinError) as refused:
        await lamp.pair("271829")

    assert refused.value.tries_left == 9


async def test_the_device_is_advertised_as_bindable_until_the_window_closes(lamp: Lamp) -> None:
    radio = await lamp.air.app()
    assert (await found(radio)).is_bindable

    lamp.device.move(60)

    assert not (await found(radio)).is_bindable


async def test_a_stranger_learns_no_code_and_gives_no_network(lamp: Lamp) -> None:
    radio = await lamp.air.app()

    pairing = await pair(radio, (await found(radio)).address, SSID, PASSWORD)
    await asyncio.sleep(0)

    assert pairing.bind_code is None
    assert lamp.given == []


async def test_with_the_pin_the_device_gets_its_network_and_is_bound(lamp: Lamp) -> None:
    await lamp.scene.device_with_code(DEVICE_KEY, CODE)
    radio = await lamp.air.app()

    await provision(lamp.scene.app, radio, await found(radio), SSID, PASSWORD, "Lamp", pin=PIN)

    async with asyncio.timeout(10):
        while not lamp.given:
            await asyncio.sleep(0.001)
    assert lamp.given == [(SSID, PASSWORD)]
    assert [one.name for one in (await lamp.scene.app.devices()).devices] == ["Lamp"]


async def test_outside_the_window_the_pin_gets_nothing(lamp: Lamp) -> None:
    lamp.device.move(60)

    with pytest.raises(NoBindCodeError):
        await lamp.pair(PIN)
