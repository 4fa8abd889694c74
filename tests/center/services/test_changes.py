"""Who is told that a right has come or gone, with which cause, and that nobody is told of what did not happen."""

import pytest

from quecbind.center.services.changes import RightChanged
from tests.center.services.test_ownership import code_of, prepared
from tests.center.services.world import CODE, OPERATOR, OTHER_CODE


def rights(told) -> list[tuple[str, int, int | None]]:
    assert all(one.right == "owner" for one in told if isinstance(one, RightChanged))
    return [(one.uid, one.value, one.cause) for one in told if isinstance(one, RightChanged)]


async def test_bind_and_unbind_are_told(world) -> None:
    entry, ann, _bob = await prepared(world)
    told = world.changes()
    await world.report(entry)

    await world.bind(ann, entry)
    await world.center.ownership.unbind(ann, entry.product_key, entry.device_key)

    assert rights(told) == [(ann.uid, 1, None), (ann.uid, 0, 1)]


async def test_who_is_replaced_goes_before_the_new_owner_comes(world) -> None:
    entry, ann, bob = await prepared(world, bind_mode="alternate")
    await world.report(entry)
    await world.bind(ann, entry)
    await world.report(entry)
    told = world.changes()

    await world.bind(bob, entry)

    assert rights(told) == [(ann.uid, 0, 1), (bob.uid, 1, None)]


async def test_a_reset_makes_the_rights_of_all_owners_invalid(world) -> None:
    entry, ann, bob = await prepared(world, re_enrol="open")
    for who in (ann, bob):
        await world.report(entry)
        await world.bind(who, entry)
    product = world.center.registry.product(entry.product_key)
    told = world.changes()

    class Spec:
        product_key, product_secret = product.product_key, product.product_secret.reveal()

    await world.enrol(Spec)

    assert sorted(rights(told)) == sorted([(ann.uid, 2, 2), (bob.uid, 2, 2)])


async def test_an_operator_who_deletes_a_device_ends_the_rights_to_it(world) -> None:
    entry, ann, bob = await prepared(world)
    for who in (ann, bob):
        await world.report(entry)
        await world.bind(who, entry)
    told = world.changes()

    await world.center.operators.delete_device(entry.product_key, entry.device_key, OPERATOR)

    assert sorted(rights(told)) == sorted([(ann.uid, 0, 1), (bob.uid, 0, 1)])


@pytest.mark.parametrize(("code", "refused"), [(CODE, 5412), (OTHER_CODE, 5462)])
async def test_what_is_refused_or_changes_nothing_is_not_told(world, code, refused) -> None:
    entry, ann, bob = await prepared(world, bind_mode="single")
    await world.report(entry)
    await world.bind(ann, entry)
    await world.report(entry)
    told = world.changes()

    assert await code_of(world.bind(bob, entry, code)) == refused
    assert not (await world.bind(ann, entry)).is_new
    assert await code_of(world.center.ownership.unbind(bob, entry.product_key, entry.device_key)) == 5052

    assert rights(told) == []
