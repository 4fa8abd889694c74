"""Importing, exporting and removing a product's thing model."""

import json

import pytest

from quecbind.center.domain.tsl import parse
from quecbind.center.services.errors import NotFound, Rejected
from tests.center.domain.power_station import power_station
from tests.center.services.world import OPERATOR, World


async def test_a_model_is_imported_as_a_whole_and_exported_as_it_was(world) -> None:
    product = await world.product()

    view = await world.center.operators.import_model(product.product_key, power_station(), OPERATOR)
    exported = await world.center.operators.model(product.product_key)

    assert (view.property_count, view.event_count, view.service_count) == (12, 2, 2)
    assert exported["profile"] == {
        "tslVersion": "1.2.0",
        "productKey": product.product_key,
        "version": view.version,
    }
    assert view.version.isdigit()
    assert len(view.version) == 17
    assert parse(exported) == parse(power_station())


async def test_another_import_replaces_all_of_it(world) -> None:
    product = await world.product()
    await world.center.operators.import_model(product.product_key, power_station(), OPERATOR)

    await world.center.operators.import_model(
        product.product_key, {"properties": [{"id": 1, "code": "on", "dataType": "BOOL"}]}, OPERATOR
    )

    model = world.center.registry.model(product.product_key)
    assert model is not None
    assert [each.code for each in model.properties] == ["on"]
    assert model.events == ()


async def test_importing_what_is_there_changes_nothing(world) -> None:
    product = await world.product()
    first = await world.center.operators.import_model(product.product_key, power_station(), OPERATOR)
    before = await world.actions()
    world.clock.move(5)

    again = await world.center.operators.import_model(
        product.product_key, {"tslJson": json.dumps(power_station())}, OPERATOR
    )

    assert again == first
    assert await world.actions() == before


async def test_what_is_no_model_is_refused_by_place_and_changes_nothing(world) -> None:
    product = await world.product()
    await world.center.operators.import_model(product.product_key, power_station(), OPERATOR)
    before = await world.actions()
    document = power_station()
    document["properties"][0]["specs"]["min"] = "low"

    with pytest.raises(Rejected, match=r"properties\[0\].specs.min: is no number") as refused:
        await world.center.operators.import_model(product.product_key, document, OPERATOR)

    assert refused.value.code == 8400
    assert parse(await world.center.operators.model(product.product_key)) == parse(power_station())
    assert await world.actions() == before


async def test_a_product_without_a_model_has_none_to_export(world) -> None:
    product = await world.product()

    with pytest.raises(NotFound) as refused:
        await world.center.operators.model(product.product_key)

    assert refused.value.code == 8404
    assert world.center.registry.model(product.product_key) is None


@pytest.mark.parametrize("product_key", ["p1none", "", "'"])
async def test_a_product_that_is_not_there_is_5313(world, product_key: str) -> None:
    operators = world.center.operators
    for call in (
        lambda: operators.import_model(product_key, power_station(), OPERATOR),
        lambda: operators.model(product_key),
        lambda: operators.remove_model(product_key, OPERATOR),
    ):
        with pytest.raises(NotFound) as refused:
            await call()
        assert refused.value.code == 5313


async def test_a_model_is_removed_once(world) -> None:
    product = await world.product()
    await world.center.operators.import_model(product.product_key, power_station(), OPERATOR)

    await world.center.operators.remove_model(product.product_key, OPERATOR)
    await world.center.operators.remove_model(product.product_key, OPERATOR)

    assert world.center.registry.model(product.product_key) is None
    assert (await world.actions())[-1:] == ["product.model_removed"]
    assert (await world.actions()).count("product.model_removed") == 1


async def test_a_model_goes_with_its_product(world) -> None:
    product = await world.product()
    await world.center.operators.import_model(product.product_key, power_station(), OPERATOR)

    await world.center.operators.delete_product(product.product_key, OPERATOR)

    assert world.center.registry.model(product.product_key) is None
    assert world.center.storage.read(lambda tx: list(tx.models.all())) == []


async def test_models_are_there_again_after_a_restart(tmp_path) -> None:
    world = await World.open(tmp_path / "data")
    product = await world.product()
    await world.center.operators.import_model(product.product_key, power_station(), OPERATOR)
    await world.center.close()

    world = await World.open(tmp_path / "data")

    assert world.center.registry.model(product.product_key) == parse(power_station())
    await world.center.close()


async def test_a_model_that_cannot_be_read_any_more_keeps_no_server_from_starting(tmp_path, caplog) -> None:
    world = await World.open(tmp_path / "data")
    product = await world.product()
    await world.center.operators.import_model(product.product_key, power_station(), OPERATOR)
    row = world.center.storage.read(lambda tx: tx.models.get(product.product_key))
    broken = type(row)(product_key=row.product_key, document='{"properties":7}', imported_at=row.imported_at)
    await world.center.storage.transact(lambda tx: tx.models.put(broken))
    await world.center.close()

    world = await World.open(tmp_path / "data")

    assert world.center.registry.model(product.product_key) is None
    assert "model.unreadable" in caplog.text
    await world.center.close()
