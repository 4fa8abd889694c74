"""The last owner leaves and asks for a reset: the device, and it alone, starts over, whenever it comes."""

import pytest

from quecbind.center.domain.connection import Accepted, Complaint, Denied, StartOver
from quecbind.wire import commands, signing
from tests.center.services.test_ownership import code_of, prepared
from tests.center.services.world import OPERATOR, World

TOLD = (commands.CONFIGURE, [(9, True)])


def spec_of(world, entry):
    product = world.center.registry.product(entry.product_key)

    class Spec:
        product_key, product_secret = product.product_key, product.product_secret.reveal()

    return Spec


def told(world) -> list[tuple[int, list[tuple[int, object]]]]:
    return [(command, fields) for _, command, fields in world.sessions.sent if fields != [] and fields[0][0] == 9]


async def owned(world, **product):
    entry, ann, bob = await prepared(world, **product)
    await world.report(entry)
    await world.bind(ann, entry)
    return entry, ann, bob


def leave(world, who, entry, *, is_init: bool = True):
    return world.center.ownership.unbind(who, entry.product_key, entry.device_key, "10.1.1.1", is_init=is_init)


@pytest.mark.parametrize("policy", ["approve", "locked", "open"])
async def test_a_device_that_is_here_is_told_cut_off_and_may_enrol_again(world, policy) -> None:
    entry, ann, _bob = await owned(world, re_enrol=policy)
    epoch, secret = entry.epoch, entry.device_secret
    world.sessions.online.add(entry.client_id)

    assert await leave(world, ann, entry) == 0
    await world.actions()

    assert told(world) == [TOLD]
    assert (entry.client_id, "reset ordered") in world.sessions.ended
    assert (entry.epoch, entry.owes_reset) == (epoch + 1, True)
    enrolled = await world.enrol(spec_of(world, entry))
    assert isinstance(enrolled, Accepted)
    assert enrolled.secret.reveal() != secret
    assert not entry.owes_reset
    assert (await world.look(entry)).epoch > epoch


async def test_a_plain_unbind_resets_nothing(world) -> None:
    entry, ann, _bob = await owned(world)
    world.sessions.online.add(entry.client_id)
    epoch = entry.epoch

    await leave(world, ann, entry, is_init=False)
    await world.actions()

    assert told(world) == []
    assert world.sessions.ended[-1:] != [(entry.client_id, "reset ordered")]
    assert (entry.epoch, entry.owes_reset) == (epoch, False)
    assert isinstance(await world.connect(spec_of(world, entry), entry.device_secret), Accepted)
    assert await world.enrol(spec_of(world, entry)) == Complaint(10422)


async def test_a_device_that_is_away_learns_it_with_its_next_log_in(world) -> None:
    entry, ann, _bob = await owned(world, re_enrol="locked")
    await leave(world, ann, entry)
    world.clock.move(30 * 24 * 3600)

    assert await world.connect(spec_of(world, entry), entry.device_secret) == StartOver()

    assert isinstance(await world.enrol(spec_of(world, entry)), Accepted)


async def test_the_owed_reset_survives_a_restart_of_the_server(world, tmp_path) -> None:
    entry, ann, _bob = await owned(world)
    spec = spec_of(world, entry)
    await leave(world, ann, entry)
    await world.center.close()

    again = await World.open(tmp_path / "data", clock=world.clock)
    again._randoms = world._randoms
    assert await again.connect(spec, entry.device_secret) == StartOver()
    assert isinstance(await again.enrol(spec), Accepted)
    await again.center.close()


async def test_who_only_knows_the_product_secret_cannot_use_an_owed_reset(world) -> None:
    entry, ann, _bob = await owned(world)
    await leave(world, ann, entry)

    assert await world.enrol(spec_of(world, entry)) == Complaint(10422)
    assert await world.connect(spec_of(world, entry), "x" * 32) == Denied()
    assert await world.enrol(spec_of(world, entry)) == Complaint(10422)

    assert await world.connect(spec_of(world, entry), entry.device_secret) == StartOver()


async def test_the_old_secret_is_good_for_learning_of_the_reset_and_for_nothing_else(world) -> None:
    entry, ann, _bob = await owned(world)
    secret = entry.device_secret
    await leave(world, ann, entry)

    for _ in range(3):
        assert await world.connect(spec_of(world, entry), secret) == StartOver()
    await world.enrol(spec_of(world, entry))

    assert await world.connect(spec_of(world, entry), secret) == Denied()


async def test_it_may_enrol_once(world) -> None:
    entry, ann, _bob = await owned(world)
    await leave(world, ann, entry)
    await world.connect(spec_of(world, entry), entry.device_secret)
    enrolled = await world.enrol(spec_of(world, entry))
    await world.connect(spec_of(world, entry), enrolled.secret.reveal())

    assert await world.enrol(spec_of(world, entry)) == Complaint(10422)


async def test_it_may_enrol_for_15_minutes_and_again_after_it_has_asked_again(world) -> None:
    entry, ann, _bob = await owned(world)
    await leave(world, ann, entry)
    await world.connect(spec_of(world, entry), entry.device_secret)
    world.clock.move(15 * 60)

    assert await world.enrol(spec_of(world, entry)) == Complaint(10422)

    await world.connect(spec_of(world, entry), entry.device_secret)
    assert isinstance(await world.enrol(spec_of(world, entry)), Accepted)


async def test_a_clock_that_was_set_back_after_it_was_told_does_not_keep_it_out(world) -> None:
    entry, ann, _bob = await owned(world)
    await leave(world, ann, entry)
    await world.connect(spec_of(world, entry), entry.device_secret)
    world.clock.set(world.clock.now() - 3600)

    assert await world.enrol(spec_of(world, entry)) == Complaint(10422)

    await world.connect(spec_of(world, entry), entry.device_secret)
    assert isinstance(await world.enrol(spec_of(world, entry)), Accepted)


async def test_a_reset_proof_serves_at_any_time(world) -> None:
    entry, ann, _bob = await owned(world, re_enrol="locked")
    await leave(world, ann, entry)
    proof = signing.reset_user_name(signing.reset_key(entry.device_secret, entry.device_key), world.random())

    assert isinstance(await world.enrol(spec_of(world, entry), user_name=proof.encode()), Accepted)


async def test_asking_again_and_again_is_written_down_once(world) -> None:
    entry, ann, _bob = await owned(world)
    await leave(world, ann, entry)

    for _ in range(5):
        await world.connect(spec_of(world, entry), entry.device_secret)

    assert (await world.actions()).count("device.reset_told") == 1


async def test_nobody_comes_to_own_a_device_that_owes_a_reset(world) -> None:
    entry, ann, bob = await owned(world, allow_device_key_binding=True)
    await world.report(entry)
    await leave(world, ann, entry)

    assert await code_of(world.bind(bob, entry)) == 5460
    assert await code_of(world.center.ownership.bind_by_device_key(bob, entry.product_key, "D1", None, "")) == 5913
    assert await world.owners(entry) == []


async def test_a_code_reported_on_the_session_that_was_cut_counts_for_nothing(world) -> None:
    entry, ann, bob = await owned(world)
    epoch = entry.epoch
    await leave(world, ann, entry)

    # What was under way when the reset was ordered still carries the earlier epoch.
    entry.epoch = epoch
    await world.report(entry)

    assert await code_of(world.bind(bob, entry)) == 5460
    assert (await world.look(entry)).bind_window_end_at is None


async def test_one_of_two_owners_cannot_reset_the_device_of_the_other(world) -> None:
    entry, ann, bob = await owned(world, bind_mode="multi")
    await world.report(entry)
    await world.bind(bob, entry)
    world.sessions.online.add(entry.client_id)
    epoch = entry.epoch

    assert await leave(world, ann, entry) == 1

    assert told(world) == []
    assert (entry.epoch, entry.owes_reset) == (epoch, False)
    assert await world.owners(entry) == [bob.uid]
    assert await leave(world, bob, entry) == 0
    await world.actions()
    assert told(world) == [TOLD]


async def test_an_owner_in_another_app_keeps_the_device_from_being_reset(world) -> None:
    entry, ann, _bob = await owned(world, bind_mode="single")
    carl = await world.user(await world.domain("Other"), "carl@example.com")
    await world.report(entry)
    await world.bind(carl, entry)

    assert await leave(world, ann, entry) == 1

    assert not entry.owes_reset
    assert await world.owners(entry) == [carl.uid]


@pytest.mark.parametrize("device_key", ["D1", "nobody"])
async def test_a_stranger_resets_nothing(world, device_key) -> None:
    entry, ann, bob = await owned(world)
    world.sessions.online.add(entry.client_id)
    before = await world.look(entry), await world.actions()

    assert await code_of(world.center.ownership.unbind(bob, entry.product_key, device_key, is_init=True)) == 5052

    assert told(world) == []
    assert (await world.look(entry), await world.actions()) == before
    assert await world.owners(entry) == [ann.uid]


async def test_a_device_with_a_secret_from_the_factory_is_not_asked_to_forget_it(world) -> None:
    entry, ann, _bob = await owned(world)
    product = world.center.registry.product(entry.product_key)
    # Made static after the device had enrolled: the rule is the same for an imported one.
    changed = type(product)(
        **{name: getattr(product, name) for name in product.__dataclass_fields__} | {"static_secrets": True}
    )
    await world.center.storage.transact(lambda tx: tx.products.update(changed))
    world.center.registry.put_product(changed)

    assert await leave(world, ann, entry) == 0

    assert not entry.owes_reset
    assert isinstance(await world.connect(spec_of(world, entry), entry.device_secret), Accepted)


async def test_a_disabled_device_stays_disabled_and_learns_it_when_it_is_let_in_again(world) -> None:
    entry, ann, _bob = await owned(world)
    await world.center.operators.disable_device(entry.product_key, entry.device_key, OPERATOR)
    await leave(world, ann, entry)

    assert await world.connect(spec_of(world, entry), entry.device_secret) == Complaint(10431)

    await world.center.operators.enable_device(entry.product_key, entry.device_key, OPERATOR)
    assert await world.connect(spec_of(world, entry), entry.device_secret) == StartOver()


async def test_the_audit_log_says_who_ordered_it_and_that_it_was_told(world) -> None:
    entry, ann, _bob = await owned(world)
    await leave(world, ann, entry)
    await world.connect(spec_of(world, entry), entry.device_secret)
    await world.enrol(spec_of(world, entry))

    entries = (await world.center.operators.audit(1, 4)).items

    assert [(one.action, one.who) for one in reversed(entries)] == [
        ("owner.unbound", f"user {ann.uid}"),
        ("device.reset_ordered", f"user {ann.uid}"),
        ("device.reset_told", "device"),
        ("device.reset", "device"),
    ]
    assert entries[0].details["reason"] == "ordered"
