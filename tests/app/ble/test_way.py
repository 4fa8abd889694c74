"""BLE as one of the ways of the App's Device: whoever claims to be the device is tried, and only the device will do."""

from __future__ import annotations

from typing import Any

import pytest

from quecbind.app.ble import way
from quecbind.app.ble.radio import Sighting
from quecbind.app.ble.way import BleWay
from quecbind.app.errors import AppError, KeyRefusedError, PathLostError
from quecbind.app.keys import Keys
from quecbind.wire import ble_advertising
from tests.air import DK, PK, room
from tests.app.ble.test_scan import ListRadio

KEY = bytes(range(16))
SAID = ble_advertising.manufacturer_data(PK, DK, 0, 7)


async def the_key() -> bytes:
    return KEY


async def test_the_device_is_found_by_its_keys_and_used() -> None:
    async with room() as (air, device):
        device.hold_key(KEY)

        path = await BleWay(await air.app(), PK, DK, Keys(the_key)).open()

        assert path.name == "ble"
        await path.write({1: True})
        await path.close()


async def test_every_one_that_claims_to_be_it_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[str] = []

    async def opened(radio: Any, address: str, key: bytes) -> str:
        tried.append(address)
        if address != "real":
            raise KeyRefusedError("not it")
        return "the path"

    monkeypatch.setattr(way, "open_link", opened)
    other = ble_advertising.manufacturer_data(PK, "0011", 0, 7)
    radio = ListRadio(*[Sighting(who, "", data, 0) for who, data in (("fake", SAID), ("no", other), ("real", SAID))])

    assert await BleWay(radio, PK, DK, Keys(the_key)).open() == "the path"  # type: ignore[comparison-overlap]
    assert tried == ["fake", "real"]


async def test_an_old_device_is_known_by_its_key_in_any_spelling() -> None:
    data = ble_advertising.manufacturer_data(PK, DK, 0, 7)[:-2]
    radio = ListRadio(Sighting("a", "", data, 0))
    radio.connection.is_closed = True

    with pytest.raises(PathLostError, match="closed"):
        await BleWay(radio, PK, DK.upper(), Keys(the_key)).open()
    with pytest.raises(PathLostError, match="not heard"):
        await BleWay(radio, PK, DK[:-1], Keys(the_key)).open()


async def test_nobody_there_is_a_lost_path() -> None:
    with pytest.raises(PathLostError):
        await BleWay(ListRadio(), PK, DK, Keys(the_key)).open()


async def test_a_radio_that_is_broken_closes_this_way_alone() -> None:
    radio = ListRadio()
    radio.is_broken = True

    with pytest.raises(AppError):
        await BleWay(radio, PK, DK, Keys(the_key)).open()
