"""Our App and our device as a BLE chip, on virtual radios: bound, used, shared, given up, and over a restart."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from quecbind.app.ble.chip import ChipLink, authenticate, open_chip
from quecbind.app.ble.radio import Radio, Sighting
from quecbind.app.ble.scan import FoundBle, FoundChip, chip_in, found_in, scan, scan_all, scan_chips
from quecbind.app.errors import ControlError, KeyRefusedError, PairingError, PathLostError
from quecbind.app.path import Change, Raw
from quecbind.wire import ble_chip
from tests.air import CODE, DK, PK, Air, BleDevice, Lossy, room
from tests.app.ble.test_scan import ListRadio
from tests.quecIot.app_by_hand import build

MAC = "aabbccddeeff"
KEY, SECOND = bytes(range(16)), bytes(range(16, 32))


@pytest_asyncio.fixture
async def place() -> AsyncIterator[tuple[Air, BleDevice]]:
    async with room(device_key=MAC, QUECIOT_BLE_CHIP="1") as (air, device):
        yield air, device


async def heard(radio: Radio, is_bound: bool | None = None) -> FoundChip:
    found = await scan_chips(radio, 10.0, lambda chip: is_bound in {None, chip.is_bound})
    return next(chip for chip in found if is_bound in {None, chip.is_bound})


async def opened(radio: Radio, key: bytes = KEY, pin: int | None = None) -> ChipLink:
    return await open_chip(radio, await heard(radio), key, pin, first_ask_after_s=0.0, tries=1)


def kept(device: BleDevice) -> tuple[list[bytes], Any]:
    setting = device.device._profile.setting
    return [bytes.fromhex(key) for key in setting("chip_accounts")], setting("chip_pin")


async def owned(place: tuple[Air, BleDevice]) -> ChipLink:
    air, device = place
    assert device.device.bindcode_set(CODE, 60)
    return await opened(await air.app())


async def test_a_chip_is_found_as_what_it_is_and_as_nothing_else(place: tuple[Air, BleDevice]) -> None:
    air, _ = place
    app = await air.app()

    chip = await heard(app)

    assert (chip.product_key, chip.device_key, chip.is_bound) == (PK, MAC.upper(), False)
    assert chip.where.startswith(place[1].address)
    assert await scan(app, 0.3) == []
    assert await scan_all(app, 0.3) == [chip]


async def test_the_first_key_in_the_window_is_the_administrators(place: tuple[Air, BleDevice]) -> None:
    air, device = place
    app = await air.app()
    with pytest.raises(KeyRefusedError):
        await opened(app)
    assert device.device.bindcode_set(None, 60)

    link = await opened(app, pin=123456)

    assert await link.accounts() == [KEY]
    assert kept(device) == ([KEY], 123456)
    assert device.device.bindcode_get() is None
    await link.close()
    assert (await heard(app, True)).product_key is None


async def test_it_is_read_written_and_told_as_any_device(place: tuple[Air, BleDevice]) -> None:
    _, device = place
    link = await owned(place)
    watch = link.watch()
    reading = asyncio.create_task(link.read([1]))
    (event,) = await device.happened()
    assert device.device.phymodel_ack(0, event[2][0], {1: 7})

    assert await reading == {1: 7}
    assert await anext(watch) == Change({1: 7})
    await link.write({2: True})
    await link.send_raw(b"raw")
    assert [one[1:] for one in (await device.happened(3))[1:]] == [(10210, {2: True}), (10200, b"raw")]
    assert device.device.pass_trans_send("passTransSend", 0, b"told") > 0
    assert await anext(watch) == Raw(b"told")
    assert device.device.set_connmode(1) is False
    await link.close()


async def test_the_administrator_lets_others_in_and_out(place: tuple[Air, BleDevice]) -> None:
    air, device = place
    link = await owned(place)
    with pytest.raises(ControlError):
        await link.grant(SECOND[:15])
    await link.grant(SECOND)
    assert await link.accounts() == [KEY, SECOND]
    await link.close()
    other = await air.app()

    second = await opened(other, SECOND)

    await second.write({1: True})
    with pytest.raises(ControlError, match="administrator"):
        await second.accounts()
    with pytest.raises(ControlError, match="administrator"):
        await second.revoke(KEY)
    await second.close()
    link = await opened(other)
    await link.revoke(SECOND)
    await link.close()
    with pytest.raises(KeyRefusedError):
        await opened(other, SECOND)
    assert kept(device) == ([KEY], None)


async def test_an_administrator_gives_the_device_up(place: tuple[Air, BleDevice]) -> None:
    air, device = place
    link = await owned(place)

    await link.revoke(KEY)

    assert kept(device) == ([], None)
    with pytest.raises(ControlError):
        await link.write({1: True}, seconds=0.3)
    await link.close()
    assert (await heard(await air.app())).product_key == PK
    assert device.events == []


async def test_rst_forgets_the_accounts_and_ends_the_session(place: tuple[Air, BleDevice]) -> None:
    air, device = place
    link = await owned(place)
    watch = link.watch()

    assert device.device.rst()

    with pytest.raises(PathLostError):
        await anext(watch)
    assert kept(device) == ([], None)
    assert not (await heard(await air.app())).is_bound
    await link.close()


async def test_accounts_outlive_a_restart() -> None:
    air = Air()
    device = BleDevice(air, device_key=MAC, QUECIOT_BLE_CHIP="1")
    await device.start()
    link = await owned((air, device))
    await link.close()
    await device.stop()
    device.switch_on()
    await device.start()

    link = await opened(await air.app())

    assert await link.accounts() == [KEY]
    await link.close()
    await device.stop()


async def test_without_the_option_a_device_is_no_chip() -> None:
    async with room(device_key=MAC) as (air, device):
        device.device.bindcode_set(CODE, 60)
        app = await air.app()
        chip = FoundChip(PK, MAC.upper(), device.address, "", False, None)

        assert await scan_chips(app, 0.3) == []
        with pytest.raises(PathLostError):
            await open_chip(app, chip, KEY, seconds=0.3, tries=1)
        assert kept(device) == ([], None)


async def test_an_answer_that_is_lost_is_asked_for_again(place: tuple[Air, BleDevice]) -> None:
    air, device = place
    device.device.bindcode_set(CODE, 60)
    count = [0]

    def first_lost(number: int, data: bytes) -> list[bytes]:
        count[0] += 1
        return [] if count[0] == 1 else [data]

    app = await air.app()
    link = await open_chip(Lossy(app, first_lost), await heard(app), KEY, seconds=0.3, first_ask_after_s=0.0)

    assert await link.accounts() == [KEY]
    await link.close()


# --- chips that answer as the document says in one place or another ---

CHIP = FoundChip("p11abc", MAC.upper(), "a", "", False, None)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ("", ble_chip.Accepted(None, None, False)),
        ("00320003", ble_chip.Accepted(None, 3, False)),
        ("001a0201e24000320003", ble_chip.Accepted(None, 3, True)),
        ("00230010" + KEY.hex() + "0019", ble_chip.Accepted(KEY, None, True)),
    ],
)
async def test_any_subset_of_the_answer_is_an_acceptance(fields: str, expected: ble_chip.Accepted) -> None:
    radio = ListRadio(says=[build(1000, 0x801C, bytes.fromhex(fields))])

    assert await authenticate(radio, CHIP, KEY, 123456) == expected
    assert b"".join(radio.connection.written) == build(
        1000, 0x8011, bytes.fromhex("000b0010") + KEY + bytes.fromhex("001a0201e240")
    )


async def test_a_refusal_and_nonsense_are_errors_in_words() -> None:
    with pytest.raises(KeyRefusedError):
        await authenticate(ListRadio(says=[build(1, 0x801C, bytes.fromhex("0028"))]), CHIP, KEY)
    with pytest.raises(PairingError, match="cannot be read"):
        await authenticate(ListRadio(says=[build(1, 0x801C, b"\xff")]), CHIP, KEY)
    with pytest.raises(PathLostError, match="no random"):
        await open_chip(ListRadio(says=[build(1, 0x801C)]), CHIP, KEY, tries=1)


@pytest.mark.parametrize(("key", "pin"), [(KEY[:15], None), (KEY, 99999), (KEY, 1000000)])
async def test_what_cannot_be_is_said_before_anybody_is_connected_to(key: bytes, pin: int | None) -> None:
    radio = ListRadio()
    for act in (authenticate, open_chip):
        with pytest.raises(ControlError):
            await act(radio, CHIP, key, pin)  # type: ignore[operator]  # both take these

    assert radio.connection.written == []


@pytest.mark.parametrize("name", ["", "QUEC_BLE_EEFF"])
def test_a_chip_is_known_by_its_data_and_by_a_name_that_fits(name: str) -> None:
    data = bytes.fromhex(MAC)

    assert chip_in(Sighting("a", name, data + b"p11abc", None)) == FoundChip(
        "p11abc", MAC.upper(), "a", name, False, None
    )
    assert chip_in(Sighting("a", name, data, -50)) == FoundChip(None, MAC.upper(), "a", name, True, -50)
    assert chip_in(Sighting("a", "QUEC_BLE_0000", data, None)) is None
    assert chip_in(Sighting("a", "lamp", data, None)) is None
    assert chip_in(Sighting("a", name, b"", None)) is None


async def test_devices_of_both_generations_are_told_apart() -> None:
    from tests.app.ble.test_scan import FULL, sighting

    chip = sighting(bytes.fromhex(MAC), "b")
    found = await scan_all(ListRadio(sighting(FULL), chip, sighting(bytes(5), "c")), 1.0)

    assert [type(one) for one in found] == [FoundBle, FoundChip]
    assert found_in(chip) is None
    assert chip_in(sighting(FULL)) is None
    assert DK != MAC
