"""A device without a network is bound: the real App API, our device on a virtual radio, and the App between them."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest
import pytest_asyncio

from quecbind.app.ble.binding import CODE_REFUSED, bind_ble_only, unbind_ble_only
from quecbind.app.ble.exchange import exchange
from quecbind.app.ble.link import open_link
from quecbind.app.ble.pairing import pair, provision
from quecbind.app.ble.scan import FoundBle
from quecbind.app.client import AppClient
from quecbind.app.errors import (
    ControlError,
    KeyRefusedError,
    NoBindCodeError,
    PairingError,
    RefusedError,
    WrongPinError,
)
from quecbind.wire import ble, commands, lan
from tests.air import CODE, Air, BleDevice, Lossy, found, room
from tests.app.conftest import Scene
from tests.center.services.world import PASSWORD

DEVICE_KEY, PIN = "aabbccddeeff", "271828"


@dataclass
class Tag:
    """A BLE-only device of the scene's center, in its bind window."""

    scene: Scene
    air: Air
    device: BleDevice

    async def seen(self, radio: Any) -> FoundBle:
        return await found(radio, lambda one: one.device_key == DEVICE_KEY)

    async def bind(self, client: AppClient, radio: Any = None, pin: str | None = None) -> bytes:
        radio = radio or await self.air.app()
        return await bind_ble_only(client, radio, await self.seen(radio), "Tag", pin=pin)

    async def write(self, key: bytes) -> None:
        """As the App of the owner: raises when the device does not take the key."""
        link = await open_link(await self.air.app(), self.device.address, key, first_ask_after_s=0.0)
        await link.write({1: True})
        await link.close()

    def open_window(self) -> None:
        assert self.device.device.bindcode_set(CODE, 60)

    def kept(self, name: str) -> Any:
        return self.device.device._profile.setting(name)


@contextlib.asynccontextmanager
async def tag_of(scene: Scene, bind_mode: str = "single") -> AsyncIterator[Tag]:
    product = await scene.world.product(ble_only=True, bind_mode=bind_mode)
    keys = (product.product_key, product.product_secret)
    async with room(device_key=DEVICE_KEY, product=keys, QUECIOT_BLE_ONLY="1") as (air, device):
        tag = Tag(scene, air, device)
        tag.open_window()
        yield tag


@pytest_asyncio.fixture
async def tag(signed_in: Scene) -> AsyncIterator[Tag]:
    async with tag_of(signed_in) as tag:
        yield tag


async def another(scene: Scene) -> AppClient:
    await scene.world.user(scene.domain, "bob@example.com")
    client = scene.another_app()
    await client.sign_in("bob@example.com", PASSWORD)
    return client


async def test_it_is_bound_and_its_owner_uses_it_with_the_code_as_key(tag: Tag) -> None:
    seen = await tag.seen(await tag.air.app())

    key = await tag.bind(tag.scene.app)

    assert seen.is_ble_only
    assert [one.name for one in (await tag.scene.app.devices()).devices] == ["Tag"]
    assert len(key) == 16
    assert key.isalnum()
    await tag.write(key)
    assert tag.device.device._near.auth_key() == key
    assert (await found(await tag.air.app(), lambda one: one.is_bound)).is_bindable is False


async def test_outside_the_window_the_device_takes_no_code(tag: Tag) -> None:
    tag.device.move(60)

    with pytest.raises(PairingError) as refused:
        await tag.bind(tag.scene.app)

    assert refused.value.code == CODE_REFUSED
    assert (await tag.scene.app.devices()).devices == ()
    assert tag.kept("ble_offers") == []


async def test_a_device_with_a_pin_takes_no_code_of_an_app_that_has_not_proved_it(tag: Tag) -> None:
    assert tag.device.device.set_pairing_pin(PIN)

    with pytest.raises(PairingError) as refused:
        await tag.bind(tag.scene.app)

    assert refused.value.code == CODE_REFUSED
    assert (await tag.scene.app.devices()).devices == ()
    assert tag.kept("ble_offers") == []


async def test_with_its_pin_the_device_is_bound(tag: Tag) -> None:
    assert tag.device.device.set_pairing_pin(PIN)

    await tag.write(await tag.bind(tag.scene.app, pin=PIN))

    assert [one.name for one in (await tag.scene.app.devices()).devices] == ["Tag"]


async def test_a_wrong_pin_costs_one_try_and_binds_nobody(tag: Tag) -> None:
    assert tag.device.device.set_pairing_pin(PIN)

    with pytest.raises(WrongPinError) as refused:
        await tag.bind(tag.scene.app, pin="271829")

    assert refused.value.tries_left == 9
    assert tag.kept("ble_offers") == []


async def test_an_app_with_a_pin_binds_no_device_that_asks_for_none(tag: Tag) -> None:
    with pytest.raises(NoBindCodeError):
        await tag.bind(tag.scene.app, pin=PIN)

    assert tag.kept("ble_offers") == []


async def test_both_pairs_of_commands_bind(tag: Tag) -> None:
    for command, answer in ((0x7016, 0x7017), (0x7017, 0x7018)):
        async with exchange(await tag.air.app(), tag.device.address) as asking:
            random = lan.parse_random(await asking.ask(commands.HELLO, b"", commands.RANDOM))
            secret = tag.device.device._profile.product_secret
            code = ble.encrypt_bind_code(CODE, secret, random)
            said = ble.parse_authenticated(await asking.ask(command, ble.authenticate(code), answer))
            assert said.result == ble.ACCEPTED
            again = ble.parse_authenticated(await asking.ask(command, ble.authenticate(code), answer))
            assert again.result == ble.REFUSED  # the random has served


async def test_an_answer_that_is_lost_costs_a_try(tag: Tag, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("quecbind.app.ble.exchange.ANSWER_S", 0.2)
    lost = [0]

    def lose_an_answer(number: int, data: bytes) -> list[bytes]:
        lost[0] += 1
        return [] if lost[0] == 2 else [data]  # the first is the random

    await tag.bind(tag.scene.app, Lossy(await tag.air.app(), lose_an_answer))

    assert [one.name for one in (await tag.scene.app.devices()).devices] == ["Tag"]


async def test_an_offer_that_the_center_refused_leaves_the_owner_alone(tag: Tag) -> None:
    key = await tag.bind(tag.scene.app)
    bob = await another(tag.scene)
    tag.open_window()

    with pytest.raises(RefusedError) as refused:
        await tag.bind(bob)

    assert refused.value.code == 5412
    assert len(tag.kept("ble_offers")) == 1
    await tag.write(key)
    await bob.close()


async def test_the_owner_binds_again_and_the_old_key_is_dead(tag: Tag) -> None:
    first = await tag.bind(tag.scene.app)
    tag.open_window()

    second = await tag.bind(tag.scene.app)

    assert second != first
    await tag.write(second)
    with pytest.raises(KeyRefusedError):
        await tag.write(first)


async def test_a_new_owner_takes_over_where_that_is_allowed_because_the_device_shows_its_old_secret(
    signed_in: Scene,
) -> None:
    async with tag_of(signed_in, "alternate") as tag:
        key = await tag.bind(signed_in.app)
        bob = await another(signed_in)
        tag.open_window()

        new = await tag.bind(bob)

        await tag.write(new)
        with pytest.raises(KeyRefusedError):
            await tag.write(key)
        assert (await signed_in.app.devices()).devices == ()
        await bob.close()


async def test_what_was_offered_survives_a_power_cut(tag: Tag) -> None:
    """The App has posted, and had no time to log in."""
    client, radio = tag.scene.app, await tag.air.app()
    async with exchange(radio, tag.device.address) as asking:
        random = lan.parse_random(await asking.ask(commands.HELLO, b"", commands.RANDOM))
        product_key, device_key = tag.device._product[0], DEVICE_KEY
        code = await client.encrypted_bind_code(product_key, device_key, random)
        said = ble.parse_authenticated(
            await asking.ask(commands.AUTHENTICATE, ble.authenticate(code), commands.AUTHENTICATE_ANSWER)
        )
    await client.bind_by_ble(product_key, device_key, random, code, said.new_secret or "")

    await tag.device.stop()
    tag.device.switch_on()
    await tag.device.start()

    import base64

    await tag.write(base64.b64decode(await client.auth_key(product_key, device_key)))
    assert tag.kept("ble_offers") == []


async def test_the_owner_leaves_and_the_device_forgets_the_key(tag: Tag) -> None:
    key, radio = await tag.bind(tag.scene.app), await tag.air.app()

    assert await unbind_ble_only(tag.scene.app, radio, await tag.seen(radio)) == 0

    assert (await tag.scene.app.devices()).devices == ()
    assert not (await found(radio, lambda one: not one.is_bound)).is_bound
    with pytest.raises(KeyRefusedError):
        await tag.write(key)
    tag.open_window()
    await tag.bind(tag.scene.app)


async def test_one_of_two_owners_leaves_the_device_to_the_other(signed_in: Scene) -> None:
    async with tag_of(signed_in, "multi") as tag:
        await tag.bind(signed_in.app)
        bob = await another(signed_in)
        tag.open_window()
        key = await tag.bind(bob)
        radio = await tag.air.app()

        assert await unbind_ble_only(signed_in.app, radio, await tag.seen(radio)) == 1

        assert (await signed_in.app.devices()).devices == ()
        await tag.write(key)
        assert await unbind_ble_only(bob, radio, await tag.seen(radio)) == 0
        with pytest.raises(KeyRefusedError):
            await tag.write(key)
        await bob.close()


async def test_a_device_that_does_not_take_the_credentials_stays_bound(tag: Tag) -> None:
    await tag.bind(tag.scene.app)
    tag.device.device._profile.save(bind_secret="0" * 16)
    radio = await tag.air.app()

    with pytest.raises(PairingError):
        await unbind_ble_only(tag.scene.app, radio, await tag.seen(radio))

    assert len((await tag.scene.app.devices()).devices) == 1


async def test_a_reset_forgets_owner_and_offers(tag: Tag) -> None:
    key = await tag.bind(tag.scene.app)
    tag.open_window()

    assert tag.device.device.rst()

    assert (tag.kept("auth_key"), tag.kept("ble_offers")) == ("", [])
    with pytest.raises(ControlError):
        await tag.write(key)


async def test_such_a_device_takes_no_network(tag: Tag) -> None:
    given: list[str] = []
    assert tag.device.device.set_provision_cb(lambda ssid, password: given.append(ssid))
    radio = await tag.air.app()

    with pytest.raises(PairingError, match="takes no network"):
        await pair(radio, tag.device.address, "home", "correct horse")
    with pytest.raises(PairingError, match="BLE only"):  # nor is it told the password of one
        await provision(tag.scene.app, radio, await tag.seen(radio), "home", "correct horse")
    assert (await pair(radio, tag.device.address)).bind_code == CODE
    assert given == []


async def test_such_a_device_has_no_other_link(tag: Tag) -> None:
    assert not tag.device.device.set_connmode(1)
    assert tag.device.device.phymodel_report("phymodelReport_ex", 1, {1: True}) == 1
    assert await tag.device.happened() == [(4, 10210, 1)]
