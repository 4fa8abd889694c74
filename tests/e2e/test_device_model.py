"""A device whose product has a thing model: used by name on either path, known by its last values, told later."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from quecbind.app.client import AppClient
from quecbind.app.errors import ControlError, RefusedError
from tests.e2e.conftest import World, make_world
from tests.e2e.test_device_paths import Lamp, Owned, owned_by, until

_BOOL = [{"dataType": "BOOL", "name": "On", "value": "true"}, {"dataType": "BOOL", "name": "Off", "value": "false"}]
_PERCENT = {"unit": "%", "min": "0", "max": "100", "multiple": "", "step": "1"}


def _property(number: int, code: str, kind: str, specs: object) -> dict[str, object]:
    facts = {"id": number, "code": code, "name": code.title(), "dataType": kind, "specs": specs}
    return {**facts, "type": "PROPERTY", "subType": "RW", "sort": number, "desc": ""}


def model(product_key: str) -> dict[str, object]:
    return {
        "profile": {"tslVersion": "1.2.0", "productKey": product_key, "version": "20250324120550539"},
        "properties": [
            _property(38, "switch", "BOOL", _BOOL),
            _property(3, "brightness", "INT", _PERCENT),
            _property(4, "label", "TEXT", {"length": "40"}),
        ],
        "events": [],
        "services": [],
    }


@pytest.fixture(scope="module")
def world(center: object, tmp_path_factory: pytest.TempPathFactory) -> World:
    world = make_world(center)  # type: ignore[arg-type]
    file: Path = tmp_path_factory.mktemp("model") / "lamp.json"
    file.write_text(json.dumps(model(world.pk)))
    world.center.admin("product", "tsl", "import", world.pk, str(file))
    return world


@pytest_asyncio.fixture
async def owned(world: World, tmp_path: Path) -> AsyncIterator[Owned]:
    lamp = Lamp(world, tmp_path)
    try:
        async with owned_by(lamp) as owned:
            yield owned
    finally:
        lamp.stop()


async def test_properties_have_names_on_either_path(owned: Owned) -> None:
    await (await owned.link()).close()
    for path in ("lan", "cloud"):
        async with await owned.device(path) as device:
            watching = device.watch()
            await anext(watching)

            await device.write({"switch": True, "label": path})
            seen = await anext(watching)
            values = await device.read(["switch", 3, "label"])
            await watching.aclose()

        assert device.model.number_of("brightness") == 3
        assert seen.values == {"switch": True, "brightness": 80, "label": path}
        assert values == seen.values


async def test_a_device_that_is_off_is_known_by_its_last_values_and_told_later(owned: Owned) -> None:
    async with await owned.device("cloud") as device:
        await device.write({"brightness": 55})

        async def is_kept() -> bool:
            kept = {one.code: one.value for one in await owned.client.attributes(*owned.keys)}
            return kept.get("brightness") == 55

        await until(is_kept)
        owned.lamp.stop()

        async def is_away() -> bool:
            try:
                await device.write({"brightness": 56}, seconds=2)
            except ControlError as error:
                return error.code == 4030
            return False

        await until(is_away)
        assert (await device.read(["brightness"], seconds=2)).keys() == {"brightness"}
        kept = await owned.client.control(*owned.keys, {"brightness": 57}, keep_s=600)
        assert (bool(kept.ticket), kept.failure) == (True, "")
        refused = await owned.client.control(*owned.keys, {"no_such_thing": 1})
        assert refused.failure

        owned.lamp.start("--no-lan")

        async def is_told() -> bool:
            try:
                return await device.read(["brightness"], seconds=2) == {"brightness": 57}
            except ControlError:
                return False

        await until(is_told)


async def test_another_user_reads_nothing(owned: Owned) -> None:
    world = owned.lamp.world
    stranger = await asyncio.to_thread(world.new_user)
    async with AppClient(world.center.url, world.domain, world.domain_secret) as client:
        await client.sign_in(stranger.email, stranger.password)

        with pytest.raises(RefusedError) as refused:
            await client.attributes(*owned.keys)
        assert refused.value.code == 5052
