"""The device holds the very auth key its owners hold: at once when it is here, with its next log-in when it is not."""

import base64

import pytest

from quecbind.wire import auth_key, commands
from tests.center.services.test_ownership import code_of, prepared
from tests.center.services.world import CODE, World


def opened(world, entry) -> list[bytes]:
    """The auth keys the device was sent, as it reads them."""
    told = [fields for client_id, command, fields in world.sessions.sent if command == commands.CONFIGURE]
    keys = [dict(fields)[12] for fields in told if 12 in dict(fields)]
    return [auth_key.unseal(key, entry.device_secret, entry.device_key) for key in keys]


def on_log_in(entry) -> bytes | None:
    """What the device is given right after its log-in."""
    sealed = entry.sealed_auth_key()
    return None if sealed is None else auth_key.unseal(sealed, entry.device_secret, entry.device_key)


def octets(key) -> bytes:
    return base64.b64decode(key.reveal())


async def test_binding_gives_the_device_the_key_the_app_got(world) -> None:
    entry, ann, _bob = await prepared(world)
    world.sessions.online.add(entry.client_id)
    await world.report(entry)

    result = await world.bind(ann, entry)

    assert opened(world, entry) == [octets(result.auth_key)]
    assert on_log_in(entry) == octets(result.auth_key)


async def test_a_device_that_never_had_an_owner_is_told_nothing(world) -> None:
    entry, _ann, _bob = await prepared(world)

    assert on_log_in(entry) is None


async def test_a_device_that_is_away_gets_the_key_with_its_next_log_in(world) -> None:
    entry, ann, _bob = await prepared(world)
    await world.report(entry)

    result = await world.bind(ann, entry)

    assert world.sessions.sent == []
    assert on_log_in(entry) == octets(result.auth_key)


async def test_the_key_for_the_next_log_in_survives_a_restart_of_the_server(world, tmp_path) -> None:
    entry, ann, _bob = await prepared(world)
    await world.report(entry)
    result = await world.bind(ann, entry)
    await world.center.close()

    again = await World.open(tmp_path / "data", clock=world.clock)
    entry = again.center.registry.entry(entry.client_id)
    await again.center.close()

    assert on_log_in(entry) == octets(result.auth_key)


async def test_a_refused_bind_tells_the_device_nothing(world) -> None:
    entry, ann, bob = await prepared(world, bind_mode="single")
    world.sessions.online.add(entry.client_id)
    await world.report(entry)
    first = await world.bind(ann, entry)
    await world.report(entry)

    assert await code_of(world.bind(bob, entry)) == 5412
    await world.bind(ann, entry)  # the owner again

    assert opened(world, entry) == [octets(first.auth_key)]


async def test_a_new_owner_in_alternate_mode_gets_a_key_of_their_own_and_so_does_the_device(world) -> None:
    entry, ann, bob = await prepared(world, bind_mode="alternate")
    world.sessions.online.add(entry.client_id)
    await world.report(entry)
    first = await world.bind(ann, entry)
    await world.report(entry)

    second = await world.bind(bob, entry)

    assert opened(world, entry) == [octets(first.auth_key), octets(second.auth_key)]
    assert first.auth_key != second.auth_key


async def test_when_one_of_two_owners_leaves_the_device_learns_the_key_of_the_other(world) -> None:
    entry, ann, bob = await prepared(world, bind_mode="multi")
    await world.report(entry)
    first = await world.bind(ann, entry)
    await world.report(entry)
    await world.bind(bob, entry)
    world.sessions.online.add(entry.client_id)

    await world.center.ownership.unbind(ann, entry.product_key, entry.device_key)

    kept = await world.center.ownership.auth_key(bob, entry.product_key, entry.device_key)
    assert opened(world, entry) == [octets(kept)]
    assert kept != first.auth_key


async def test_when_the_last_owner_leaves_the_device_learns_that_there_is_no_key(world) -> None:
    entry, ann, _bob = await prepared(world)
    await world.report(entry)
    await world.bind(ann, entry)
    world.sessions.online.add(entry.client_id)

    await world.center.ownership.unbind(ann, entry.product_key, entry.device_key)

    assert opened(world, entry) == [auth_key.NONE]


async def test_a_device_that_was_away_when_the_last_owner_left_learns_it_later(world, tmp_path) -> None:
    entry, ann, _bob = await prepared(world)
    await world.report(entry)
    await world.bind(ann, entry)

    await world.center.ownership.unbind(ann, entry.product_key, entry.device_key)

    assert on_log_in(entry) == auth_key.NONE
    await world.center.close()
    again = await World.open(tmp_path / "data", clock=world.clock)
    entry = again.center.registry.entry(entry.client_id)
    await again.center.close()
    assert on_log_in(entry) == auth_key.NONE


async def test_the_next_owner_never_gets_the_key_of_zeros(world) -> None:
    entry, ann, bob = await prepared(world)
    await world.report(entry)
    await world.bind(ann, entry)
    await world.center.ownership.unbind(ann, entry.product_key, entry.device_key)
    await world.report(entry)

    result = await world.bind(bob, entry)

    assert octets(result.auth_key) != auth_key.NONE
    assert on_log_in(entry) == octets(result.auth_key)


async def test_renewing_the_key_changes_it_for_all_owners_and_the_device(world) -> None:
    entry, ann, bob = await prepared(world, bind_mode="multi")
    await world.report(entry)
    first = await world.bind(ann, entry)
    await world.report(entry)
    await world.bind(bob, entry)
    world.sessions.online.add(entry.client_id)

    fresh = await world.center.ownership.renew_auth_key(ann, entry.product_key, entry.device_key, "10.1.1.1")

    keys = {
        (await world.center.ownership.auth_key(who, entry.product_key, entry.device_key)).reveal() for who in (ann, bob)
    }
    assert keys == {fresh.reveal()}
    assert fresh != first.auth_key
    assert opened(world, entry) == [octets(fresh)]
    assert (await world.actions())[-1] == "device.auth_key_renewed"


@pytest.mark.parametrize("device_key", ["D1", "nobody"])
async def test_only_an_owner_renews_the_key_and_a_stranger_learns_nothing(world, device_key) -> None:
    entry, ann, bob = await prepared(world)
    await world.report(entry)
    first = await world.bind(ann, entry)
    world.sessions.online.add(entry.client_id)
    before = await world.actions()

    assert await code_of(world.center.ownership.renew_auth_key(bob, entry.product_key, device_key)) == 5041

    assert opened(world, entry) == []
    assert on_log_in(entry) == octets(first.auth_key)
    assert await world.actions() == before


async def test_a_member_who_asks_for_another_key_is_given_the_present_one_while_the_share_lasts(world) -> None:
    entry, ann, bob = await prepared(world)
    await world.report(entry)
    await world.bind(ann, entry)
    keys, now_ms = (entry.product_key, entry.device_key), round(world.clock.now() * 1000)
    code = await world.center.sharing.invite(ann, *keys, now_ms + 1000, now_ms + 5000, 1, "")
    await world.center.sharing.accept(bob, code.reveal(), "", "")
    world.sessions.online.add(entry.client_id)
    present, actions = await world.center.ownership.auth_key(ann, *keys), await world.actions()

    given = await world.center.ownership.renew_auth_key(bob, *keys)

    assert given == present == await world.center.ownership.auth_key(ann, *keys)
    assert opened(world, entry) == []
    assert await world.actions() == actions
    fresh = await world.center.ownership.renew_auth_key(ann, *keys)
    assert await world.center.ownership.renew_auth_key(bob, *keys) == fresh
    world.clock.move(5)
    assert await code_of(world.center.ownership.renew_auth_key(bob, *keys)) == 5041


async def test_a_reset_device_is_told_of_no_key(world) -> None:
    entry, ann, _bob = await prepared(world, re_enrol="open")
    await world.report(entry)
    await world.bind(ann, entry)
    product = world.center.registry.product(entry.product_key)

    class Spec:
        product_key, product_secret = product.product_key, product.product_secret.reveal()

    await world.enrol(Spec)

    assert on_log_in(entry) is None


async def test_no_key_is_in_the_audit_log(world) -> None:
    entry, ann, _bob = await prepared(world)
    await world.report(entry, CODE)
    result = await world.bind(ann, entry)
    fresh = await world.center.ownership.renew_auth_key(ann, entry.product_key, entry.device_key)

    shown = repr((await world.center.operators.audit(1, 100)).items) + repr(result) + repr(entry)

    for key in (result.auth_key, fresh):
        assert key.reveal() not in shown
