"""Our App and our device on virtual radios: found, paired, logged in, read, written, told; whatever the air does."""

import asyncio
from typing import Any

import pytest
from bumble.core import UUID
from bumble.device import Peer
from bumble.gatt_server import Server

from quecbind.app.ble.bumble_radio import BumbleRadio
from quecbind.app.ble.link import open_link
from quecbind.app.ble.pairing import pair
from quecbind.app.errors import ControlError, KeyRefusedError, PathLostError
from quecbind.app.path import Change, Raw
from tests.air import CODE, DK, PK, Air, BleDevice, Lossy, found, room

KEY = bytes(range(16))


async def opened(radio: Any, device: BleDevice, key: bytes = KEY) -> Any:
    return await open_link(radio, device.address, key, first_ask_after_s=0.0)


async def test_a_device_is_found_with_its_keys_and_what_it_is() -> None:
    async with room() as (air, device):
        seen = await found(await air.app())

        said = device.radio._device

    assert (seen.product_key, seen.device_key) == (PK, DK)
    assert (seen.is_bound, seen.is_bindable, seen.has_network, seen.is_ble_only) == (False, False, False, False)
    assert seen.address.startswith(device.address)
    # bumble's virtual controller repeats the advertisement where a real one gives the scan response
    assert said.scan_response_data.endswith(b"QUEC_BLE_5667")


async def test_it_has_the_name_that_it_advertises_also_when_that_changes() -> None:
    async def name_at(address: str, app: BumbleRadio) -> bytes:
        peer = Peer(await app._device.connect(address))
        (name,) = await peer.read_characteristics_by_uuid(UUID("2A00"))
        await peer.connection.disconnect()
        return name

    async with room() as (air, device):
        app, address = await air.app(), device.address
        before = await name_at(address, app)
        assert device.device.set_dk_ds("00aabbccddee", "")
        await found(app, lambda one: one.device_key == "00aabbccddee")

        assert (before, await name_at(address, app)) == (b"QUEC_BLE_5667", b"QUEC_BLE_DDEE")


async def test_bindable_is_advertised_while_the_window_is_open_and_no_longer() -> None:
    async with room() as (air, device):
        app = await air.app()
        assert device.device.bindcode_set(CODE, 60)
        assert (await found(app, lambda one: one.is_bindable)).is_bindable
        device.move(59)
        before = device.radio._advertised
        device.move(1)

        after = await found(app, lambda one: not one.is_bindable)

        assert not after.is_bindable
        assert before != device.radio._advertised


async def test_closing_the_window_ends_bindable_too() -> None:
    async with room() as (air, device):
        app = await air.app()
        device.device.bindcode_set(CODE, 60)
        await found(app, lambda one: one.is_bindable)

        device.device.bindcode_set(CODE, 0)

        assert not (await found(app, lambda one: not one.is_bindable)).is_bindable


async def test_an_owner_is_advertised_and_so_is_the_end_of_it() -> None:
    async with room() as (air, device):
        app = await air.app()
        device.hold_key(KEY)
        assert (await found(app, lambda one: one.is_bound)).is_bound

        assert device.device.rst()

        assert not (await found(app, lambda one: not one.is_bound)).is_bound


@pytest.mark.parametrize("mtu", [23, 64, 256])
async def test_pairing_hands_the_code_over_whatever_the_mtu(mtu: int) -> None:
    async with room() as (air, device):
        device.device.bindcode_set(CODE, 60)

        pairing = await pair(await air.app(mtu), device.address)

        assert (pairing.product_key, pairing.device_key, pairing.bind_code) == (PK, DK, CODE)


async def test_a_device_that_agrees_to_no_mtu_is_talked_to_in_small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(Server, "on_att_exchange_mtu_request")
    async with room() as (air, device):
        device.device.bindcode_set(CODE, 60)
        device.hold_key(KEY)
        app = await air.app()

        assert (await pair(app, device.address)).bind_code == CODE
        link = await open_link(app, device.address, KEY, first_ask_after_s=0)
        await link.write({38: True})
        await link.close()


async def test_outside_the_window_there_is_no_code() -> None:
    async with room() as (air, device):
        device.device.bindcode_set(CODE, 60)
        device.move(60)

        assert (await pair(await air.app(), device.address)).bind_code is None


@pytest.mark.parametrize("mtu", [23, 64, 256])
async def test_an_app_reads_writes_and_is_told(mtu: int) -> None:
    async with room() as (air, device):
        device.hold_key(KEY)
        link = await opened(await air.app(mtu), device)
        watch = link.watch()
        reading = asyncio.create_task(link.read([1]))
        (event,) = await device.happened()
        assert device.device.phymodel_ack(0, event[2][0], {1: "x" * 300})

        assert await reading == {1: "x" * 300}
        assert await anext(watch) == Change({1: "x" * 300})
        await link.write({2: 7, 3: "y" * 300})
        await link.send_raw(bytes(range(256)))

        events = await device.happened(3)
        assert [one[:2] for one in events] == [(5, 10211), (5, 10210), (5, 10200)]
        assert events[1][2] == {2: 7, 3: b"y" * 300} or events[1][2] == {2: 7, 3: "y" * 300}
        assert events[2][2] == bytes(range(256))
        device.device._near.report(0x0024, b"\xaa\x55" * 200)
        assert await anext(watch) == Raw(b"\xaa\x55" * 200)
        await link.close()


async def test_a_wrong_key_is_refused_and_an_old_one_ends_the_session() -> None:
    async with room() as (air, device):
        device.hold_key(KEY)
        app, other = await air.app(), await air.app()
        link = await opened(app, device)
        with pytest.raises(KeyRefusedError):
            await opened(other, device, b"w" * 16)

        device.hold_key(b"n" * 16)

        with pytest.raises((ControlError, PathLostError)):
            await link.write({1: True}, seconds=2)
        assert device.events == []
        await link.close()


async def test_two_apps_hold_sessions_at_once_and_both_are_told() -> None:
    async with room() as (air, device):
        device.hold_key(KEY)
        links = [await opened(await air.app(), device) for _ in range(2)]
        watches = [link.watch() for link in links]

        device.device._near.report(0x0014, bytes.fromhex("0009"))

        assert [await anext(watch) for watch in watches] == [Change({1: True})] * 2
        for link in links:
            await link.close()


async def test_lan_and_ble_share_one_door() -> None:
    """Reads have numbers of their own on both together, and a wrong key is counted once for all."""
    async with room() as (_, device):
        door = device.peripheral._host.door

        assert door is device.device._near.door
        assert [door.number_read(1001) for _ in range(3)] == [1001, 1002, 1003]
        door.read_is_answered(1002)
        assert door.number_read(1001) == 1002


async def test_an_app_comes_back_without_any_bond() -> None:
    async with room() as (air, device):
        device.hold_key(KEY)
        app = await air.app()
        for value in (True, False, True):
            link = await opened(app, device)
            await link.write({1: value})
            await link.close()

        assert [one[2] for one in await device.happened(3)] == [{1: True}, {1: False}, {1: True}]
        assert len(device.peripheral._centrals) <= 1


# --- what the air does ---


def lose(*numbers: int) -> Any:
    return lambda number, data: [] if number in numbers else [data]


def twice(number: int, data: bytes) -> list[bytes]:
    return [data, data]


async def test_indications_that_come_twice_do_no_harm() -> None:
    async with room() as (air, device):
        device.hold_key(KEY)
        link = await opened(Lossy(await air.app(), twice), device)
        watch = link.watch()

        await link.write({1: True})
        device.device._near.report(0x0014, bytes.fromhex("0009"))

        assert await anext(watch) == Change({1: True})
        await link.write({1: False})
        await link.close()


@pytest.mark.parametrize("lost", [1, 2, 3])
async def test_a_lost_piece_costs_its_frame_and_not_the_session(lost: int) -> None:
    """Pieces 0 and 1 are the random and the result of the log-in at this MTU; the report has nine."""
    async with room() as (air, device):
        device.hold_key(KEY)
        link = await opened(Lossy(await air.app(64), lose(1 + lost)), device)
        watch = link.watch()

        device.device._near.report(0x0024, b"r" * 400)
        device.device._near.report(0x0014, bytes.fromhex("0009"))

        assert await anext(watch) == Change({1: True})
        await link.write({1: True})
        await link.close()


async def test_an_answer_to_the_log_in_that_is_lost_is_tried_again() -> None:
    async with room() as (air, device):
        device.hold_key(KEY)
        count = [0]

        def first_random_lost(number: int, data: bytes) -> list[bytes]:
            count[0] += 1
            return [] if count[0] == 1 else [data]

        app = Lossy(await air.app(), first_random_lost)
        link = await open_link(app, device.address, KEY, seconds=0.3, first_ask_after_s=0.0)

        await link.write({1: True})
        assert [one[2] for one in await device.happened(1)] == [{1: True}]
        assert count[0] > 1
        await link.close()


async def test_a_pairing_answer_that_is_lost_is_asked_for_again() -> None:
    async with room() as (air, device):
        device.device.bindcode_set(CODE, 60)
        from quecbind.app.ble.exchange import exchange
        from quecbind.wire import commands

        async with exchange(Lossy(await air.app(), lose(0)), device.address) as asking:
            answer = await asking.ask(commands.PROVISION, b"", commands.PROVISION_ANSWER, wait_s=0.2)

        assert CODE.encode() in answer


async def test_the_device_hangs_up_and_the_app_learns_it() -> None:
    async with room() as (air, device):
        device.hold_key(KEY)
        link = await opened(await air.app(), device)
        watch = link.watch()

        for one in list(device.radio._links.values()):
            await one.connection.disconnect()

        with pytest.raises(PathLostError):
            await anext(watch)


async def test_a_device_that_is_not_there_is_a_lost_path() -> None:
    air = Air()

    with pytest.raises(PathLostError):
        await open_link(await air.app(), "F0:F1:F2:F3:F4:F5", KEY, connect_s=0.2, tries=1)
