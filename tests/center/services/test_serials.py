"""Binding by serial number: off unless asked for, only for a device that is known, and each wrong one is a guess."""

import base64

import pytest

from quecbind.center.domain.limits import Limits
from quecbind.center.services.errors import Conflict, Rejected
from quecbind.center.services.views import DeviceImport
from tests.center.services.test_ownership import code_of
from tests.center.services.world import OPERATOR, World

SERIAL = "SN-2026.000001"


async def imported(world, serial: str | None = SERIAL, device_key: str = "D1", **product):
    """A product that allows serial numbers, one device with its secret from the factory, and Ann and Bob."""
    made = await world.product(**{"allow_serial_binding": True, **product})
    row = DeviceImport(product_key=made.product_key, device_key=device_key, device_secret="S" * 32, serial=serial)
    await world.center.operators.import_devices([row], OPERATOR)
    domain = await world.domain()
    return made, await world.user(domain), await world.user(domain, "bob@example.com")


def bind(world, who, product, serial=SERIAL, peer="10.1.1.1", name=None):
    return world.center.ownership.bind_by_serial(who, product.product_key, serial, name, peer)


async def owners(world, product, device_key="D1") -> list[str]:
    return [one.uid for one in (await world.center.operators.device(product.product_key, device_key)).owners]


async def test_the_serial_number_binds_its_device(world) -> None:
    product, ann, _bob = await imported(world)

    result = await bind(world, ann, product)

    assert (result.is_new, result.device_key) == (True, "D1")
    assert len(base64.b64decode(result.auth_key.reveal())) == 16
    device = await world.center.ownership.device(ann, product.product_key, "D1")
    assert (device.binding_type, device.device_name, device.serial) == (1, "D1", SERIAL)
    assert (await world.actions())[-1] == "owner.bound"


async def test_the_caller_may_name_the_device(world) -> None:
    product, ann, _bob = await imported(world)

    await bind(world, ann, product, name="hall")

    assert (await world.center.ownership.device(ann, product.product_key, "D1")).device_name == "hall"


async def test_missing_and_malformed_parameters(world) -> None:
    product, ann, _bob = await imported(world)
    by_serial = world.center.ownership.bind_by_serial

    assert await code_of(by_serial(ann, None, SERIAL, None, "")) == 5066
    assert await code_of(by_serial(ann, product.product_key, None, None, "")) == 5088
    assert await code_of(by_serial(ann, product.product_key, "", None, "")) == 5088
    for malformed in ("a b", "x" * 65, "sn\n", "ä", "\ud800", "a;b"):
        assert await code_of(by_serial(ann, product.product_key, malformed, None, "")) == 5178
    assert await code_of(by_serial(ann, "no/key", SERIAL, None, "")) == 5229
    assert await code_of(by_serial(ann, product.product_key, SERIAL, "n" * 255, "")) == 5333


async def test_it_is_off_unless_the_operator_says_otherwise(world) -> None:
    made = await world.product()
    assert not made.allow_serial_binding
    product, ann, _bob = await imported(world, allow_serial_binding=False)

    for serial in (SERIAL, "other"):
        assert await code_of(bind(world, ann, product, serial)) == 5327

    assert await owners(world, product) == []


async def test_a_serial_number_of_no_device_is_invalid(world) -> None:
    product, ann, _bob = await imported(world)

    assert await code_of(bind(world, ann, product, "SN-2026.000002")) == 5090
    assert await code_of(bind(world, ann, product, SERIAL.lower())) == 5090


async def test_a_serial_number_of_another_product_is_invalid(world) -> None:
    _product, ann, _bob = await imported(world)
    other = await world.product(allow_serial_binding=True)

    assert await code_of(bind(world, ann, other)) == 5090


async def test_a_device_that_cannot_be_bound_is_answered_like_none(world) -> None:
    product, ann, _bob = await imported(world)
    never_here = DeviceImport(product_key=product.product_key, device_key="D2", serial="SN2")
    await world.center.operators.import_devices([never_here], OPERATOR)
    await world.center.operators.disable_device(product.product_key, "D1", OPERATOR)

    answers = []
    for serial in (SERIAL, "SN2", "nobody"):
        with pytest.raises(Rejected) as raised:
            await bind(world, ann, product, serial)
        answers.append(raised.value.refused)

    assert answers[0].code == 5090
    assert answers.count(answers[0]) == 3


async def test_a_deleted_device_takes_its_serial_number_along(world) -> None:
    product, ann, _bob = await imported(world)
    await world.center.operators.delete_device(product.product_key, "D1", OPERATOR)

    assert await code_of(bind(world, ann, product)) == 5090


async def test_modes_hold_for_serial_numbers_too(world) -> None:
    single, ann, bob = await imported(world, bind_mode="single")
    await bind(world, ann, single)

    assert await code_of(bind(world, bob, single)) == 5412
    assert not (await bind(world, ann, single)).is_new
    assert await owners(world, single) == [ann.uid]


async def test_a_product_that_is_closed_to_the_app_is_closed(world) -> None:
    product, ann, _bob = await imported(world)
    await world.center.operators.set_product_domains(product.product_key, [], OPERATOR)

    assert await code_of(bind(world, ann, product)) == 5229


async def test_wrong_serial_numbers_count_as_guesses_of_the_user(world) -> None:
    product, ann, bob = await imported(world)

    for number in range(10):
        assert await code_of(bind(world, ann, product, f"guess{number}", peer=f"10.1.1.{number}")) == 5090

    assert await code_of(bind(world, ann, product, peer="10.2.2.2")) == 8429
    assert (await bind(world, bob, product)).is_new
    world.clock.move(600)
    assert (await bind(world, ann, product)).is_new


async def test_strangers_together_are_stopped_and_the_buyer_is_not(tmp_path) -> None:
    world = await World.open(tmp_path / "data", Limits(max_guesses_per_device=3))
    product, ann, bob = await imported(world)
    for number, who in enumerate(await world.users(await world.domain("Other"), 3)):
        assert await code_of(bind(world, who, product, f"guess{number}", peer=f"10.1.1.{number}")) == 5090

    assert await code_of(bind(world, ann, product, "guess", peer="10.3.3.3")) == 5090
    assert await code_of(bind(world, ann, product, peer="10.3.3.3")) == 8429

    assert (await bind(world, bob, product, peer="10.4.4.4")).is_new
    await world.center.close()


async def test_finding_a_serial_number_in_use_is_a_guess_too(world) -> None:
    product, ann, bob = await imported(world, bind_mode="single")
    await bind(world, ann, product)

    for _ in range(10):
        assert await code_of(bind(world, bob, product)) == 5412

    assert await code_of(bind(world, bob, product)) == 8429


async def test_importing_a_serial_number_again_changes_nothing(world) -> None:
    product, ann, _bob = await imported(world)
    row = DeviceImport(product_key=product.product_key, device_key="D1", serial=SERIAL)

    result = await world.center.operators.import_devices([row], OPERATOR)

    assert (result.imported_count, result.known_count) == (0, 1)
    assert (await bind(world, ann, product)).is_new


async def test_a_known_device_gets_a_serial_number_later(world) -> None:
    product, ann, _bob = await imported(world, serial=None)
    assert await code_of(bind(world, ann, product)) == 5090

    row = DeviceImport(product_key=product.product_key, device_key="D1", serial=SERIAL)
    await world.center.operators.import_devices([row], OPERATOR)

    assert (await bind(world, ann, product)).is_new
    assert (await world.center.operators.device(product.product_key, "D1")).serial == SERIAL


@pytest.mark.parametrize(("device_key", "serial"), [("D1", "other"), ("D2", SERIAL)])
async def test_serial_numbers_that_contradict_each_other_are_refused_whole(world, device_key, serial) -> None:
    product, _ann, _bob = await imported(world)
    rows = [
        DeviceImport(product_key=product.product_key, device_key="D9"),
        DeviceImport(product_key=product.product_key, device_key=device_key, serial=serial),
    ]

    with pytest.raises(Conflict):
        await world.center.operators.import_devices(rows, OPERATOR)

    assert [one.device_key for one in (await world.center.operators.devices()).items] == ["D1"]
    assert (await world.center.operators.device(product.product_key, "D1")).serial == SERIAL


async def test_a_malformed_serial_number_is_not_imported(world) -> None:
    product, _ann, _bob = await imported(world)
    row = DeviceImport(product_key=product.product_key, device_key="D2", serial="a b")

    assert await code_of(world.center.operators.import_devices([row], OPERATOR)) == 8400
