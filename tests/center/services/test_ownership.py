"""Binding through the service: every row of the bind table, the order of the checks, races, guesses, reset."""

import asyncio
import base64

import pytest

from quecbind.center.domain.limits import Limits
from quecbind.center.services.errors import Rejected
from quecbind.center.services.views import DeviceFilter, DeviceImport
from tests.center.services.world import CODE, OPERATOR, OTHER_CODE, World


async def code_of(awaitable) -> int:
    with pytest.raises(Rejected) as raised:
        await awaitable
    return raised.value.code


class Spec:
    """What a device knows of the product of `entry`."""

    def __init__(self, world, entry) -> None:
        product = world.center.registry.product(entry.product_key)
        self.product_key, self.product_secret = product.product_key, product.product_secret.reveal()


async def prepared(world, **product):
    """A device, and Ann and Bob of one user domain."""
    domain = await world.domain()
    entry = await world.device(await world.product(**product))
    return entry, await world.user(domain), await world.user(domain, "bob@example.com")


# --- the bind table


async def test_missing_and_malformed_parameters(world) -> None:
    entry, ann, _bob = await prepared(world)
    bind, pk, dk = world.center.ownership.bind_by_code, entry.product_key, entry.device_key

    assert await code_of(bind(ann, pk, dk, None, None, "")) == 5179
    assert await code_of(bind(ann, pk, dk, "", None, "")) == 5179
    assert await code_of(bind(ann, pk, dk, CODE.lower(), None, "")) == 5213
    assert await code_of(bind(ann, None, dk, CODE, None, "")) == 5066
    assert await code_of(bind(ann, pk, None, CODE, None, "")) == 5067
    assert await code_of(bind(ann, pk, "no/key", CODE, None, "")) == 5361
    assert await code_of(bind(ann, pk, dk, CODE, "n" * 255, "")) == 5333
    assert await code_of(bind(ann, pk, dk, CODE, "\ud800", "")) == 8400
    assert await code_of(bind(ann, pk, dk, CODE, None, "", -1)) == 8400


async def test_no_code_on_file(world) -> None:
    entry, ann, _bob = await prepared(world)

    assert await code_of(world.bind(ann, entry)) == 5460


async def test_unknown_device_is_answered_like_one_without_a_code(world) -> None:
    entry, ann, _bob = await prepared(world)
    bind = world.center.ownership.bind_by_code

    with pytest.raises(Rejected) as unknown:
        await bind(ann, entry.product_key, "nobody", CODE, None, "10.1.1.1")
    with pytest.raises(Rejected) as without_code:
        await bind(ann, entry.product_key, entry.device_key, CODE, None, "10.1.1.1")

    assert unknown.value.refused == without_code.value.refused


@pytest.mark.parametrize("late_s", [0, 0.001, 1])
async def test_window_over(world, late_s) -> None:
    entry, ann, _bob = await prepared(world)
    await world.report(entry, seconds=120)
    world.clock.move(120 + late_s)

    assert await code_of(world.bind(ann, entry)) == 5461


async def test_code_is_good_in_the_last_millisecond(world) -> None:
    entry, ann, _bob = await prepared(world)
    await world.report(entry, seconds=120)
    world.clock.move(119.999)

    assert (await world.bind(ann, entry)).is_new


async def test_wrong_guess_costs_only_the_guesser(world) -> None:
    entry, ann, bob = await prepared(world)
    await world.report(entry)

    assert await code_of(world.bind(bob, entry, OTHER_CODE)) == 5462
    assert (await world.bind(ann, entry)).is_new
    assert await world.owners(entry) == [ann.uid]


async def test_code_of_one_device_does_not_open_another(world) -> None:
    entry, ann, _bob = await prepared(world)
    other = await world.device(Spec(world, entry), "D2")
    await world.report(entry, CODE)
    await world.report(other, OTHER_CODE)

    assert await code_of(world.bind(ann, other, CODE)) == 5462
    assert await code_of(world.bind(ann, entry, OTHER_CODE)) == 5462


async def test_two_devices_with_one_code_are_two_devices(world) -> None:
    entry, ann, bob = await prepared(world, bind_mode="single")
    other = await world.device(await world.product(), "D2")
    await world.report(entry)
    await world.report(other)

    await world.bind(ann, entry)
    await world.bind(bob, other)

    assert (await world.owners(entry), await world.owners(other)) == ([ann.uid], [bob.uid])


async def test_product_that_is_not_linked_to_the_users_app(world) -> None:
    entry, ann, _bob = await prepared(world)
    await world.report(entry)
    await world.center.operators.set_product_domains(entry.product_key, [], OPERATOR)

    assert await code_of(world.bind(ann, entry)) == 5229
    assert await code_of(world.center.ownership.bind_by_code(ann, "p1none", "D1", CODE, None, "")) == 5229
    assert await code_of(world.center.ownership.bind_by_code(ann, "\ud800", "D1", CODE, None, "")) == 5229

    await world.center.operators.set_product_domains(entry.product_key, [ann.user_domain], OPERATOR)
    assert (await world.bind(ann, entry)).is_new


async def test_single_mode_refuses_the_second_user_and_keeps_the_window(world) -> None:
    entry, ann, bob = await prepared(world, bind_mode="single")
    await world.report(entry)
    await world.bind(ann, entry)
    await world.report(entry)

    assert await code_of(world.bind(bob, entry)) == 5412
    assert await world.owners(entry) == [ann.uid]
    assert (await world.look(entry)).bind_window_end_at is not None


async def test_alternate_mode_replaces_the_owner_and_the_auth_key(world) -> None:
    entry, ann, bob = await prepared(world, bind_mode="alternate")
    await world.report(entry)
    first = await world.bind(ann, entry)
    await world.report(entry)

    second = await world.bind(bob, entry)

    assert await world.owners(entry) == [bob.uid]
    assert first.auth_key != second.auth_key
    assert await code_of(world.center.ownership.auth_key(ann, entry.product_key, entry.device_key)) == 5041
    assert (await world.actions())[-2:] == ["owner.replaced", "owner.bound"]


async def test_multi_mode_lets_both_hold_the_device_and_one_auth_key(world) -> None:
    entry, ann, bob = await prepared(world, bind_mode="multi")
    await world.report(entry)
    first = await world.bind(ann, entry)
    await world.report(entry)

    second = await world.bind(bob, entry)

    assert sorted(await world.owners(entry)) == sorted([ann.uid, bob.uid])
    assert first.auth_key == second.auth_key
    assert len(base64.b64decode(first.auth_key.reveal())) == 16


async def test_users_of_different_apps_do_not_stand_in_each_others_way(world) -> None:
    entry, ann, _bob = await prepared(world, bind_mode="single")
    carl = await world.user(await world.domain("Other"), "carl@example.com")
    await world.report(entry)
    await world.bind(ann, entry)
    await world.report(entry)

    assert (await world.bind(carl, entry)).is_new
    assert sorted(await world.owners(entry)) == sorted([ann.uid, carl.uid])


async def test_owner_who_binds_again_changes_nothing_but_the_window(world) -> None:
    entry, ann, _bob = await prepared(world, bind_mode="single")
    await world.report(entry)
    first = await world.bind(ann, entry)
    await world.center.ownership.rename(ann, entry.product_key, entry.device_key, "kitchen")
    before = await world.look(entry)
    await world.report(entry, OTHER_CODE)

    again = await world.bind(ann, entry, OTHER_CODE)

    assert not again.is_new
    assert again.auth_key == first.auth_key
    assert await world.look(entry) == before
    assert (await world.center.ownership.device(ann, entry.product_key, entry.device_key)).device_name == "kitchen"
    assert (await world.actions())[-1] == "window.used"


@pytest.mark.parametrize("mode", ["single", "multi", "alternate"])
async def test_code_that_the_owner_brought_again_serves_nobody_else(world, mode) -> None:
    entry, ann, bob = await prepared(world, bind_mode=mode)
    await world.report(entry)
    await world.bind(ann, entry)
    await world.report(entry, OTHER_CODE)
    await world.bind(ann, entry, OTHER_CODE)

    assert await code_of(world.bind(bob, entry, OTHER_CODE)) == 5460
    assert await world.owners(entry) == [ann.uid]


async def test_owner_is_refused_any_code_but_the_devices(world) -> None:
    entry, ann, _bob = await prepared(world)
    await world.report(entry)
    await world.bind(ann, entry)

    assert await code_of(world.bind(ann, entry, OTHER_CODE)) == 5460
    await world.report(entry, OTHER_CODE, 120)
    before = await world.look(entry)
    assert await code_of(world.bind(ann, entry, "0" * 16)) == 5462
    assert await world.look(entry) == before
    world.clock.move(120)
    assert await code_of(world.bind(ann, entry, OTHER_CODE)) == 5461
    assert await world.owners(entry) == [ann.uid]


async def test_owner_whose_answer_was_lost_may_ask_again_for_two_minutes(world) -> None:
    entry, ann, bob = await prepared(world)
    await world.report(entry)
    first = await world.bind(ann, entry)
    world.clock.move(119.999)
    before = await world.actions()

    again = await world.bind(ann, entry)

    assert (again.is_new, again.auth_key) == (False, first.auth_key)
    assert await world.actions() == before
    assert await code_of(world.bind(bob, entry)) == 5460
    world.clock.move(0.001)
    assert await code_of(world.bind(ann, entry)) == 5460


async def test_repeated_code_of_an_owner_leaves_another_window_as_it_is(world) -> None:
    entry, ann, _bob = await prepared(world)
    await world.report(entry)
    await world.bind(ann, entry)
    await world.report(entry, OTHER_CODE)
    before = await world.look(entry)

    assert not (await world.bind(ann, entry)).is_new
    assert await world.look(entry) == before


async def test_wrong_codes_of_an_owner_are_no_guesses(world) -> None:
    entry, ann, _bob = await prepared(world)
    await world.report(entry)
    await world.bind(ann, entry)
    await world.report(entry, OTHER_CODE)
    for _ in range(30):
        assert await code_of(world.bind(ann, entry, "0" * 16)) == 5462

    assert not (await world.bind(ann, entry, OTHER_CODE)).is_new
    assert "owner.refused" not in await world.actions()


async def test_who_owned_it_before_is_no_owner_who_repeats(world) -> None:
    entry, ann, _bob = await prepared(world)
    await world.report(entry)
    await world.bind(ann, entry)
    await world.center.ownership.unbind(ann, entry.product_key, entry.device_key)

    assert await code_of(world.bind(ann, entry)) == 5460


async def test_code_is_used_at_most_once(world) -> None:
    entry, ann, bob = await prepared(world)
    await world.report(entry)
    await world.bind(ann, entry)

    assert await code_of(world.bind(bob, entry)) == 5460


async def test_disabled_device_is_owned_by_nobody_new(world) -> None:
    entry, ann, _bob = await prepared(world)
    await world.report(entry)
    await world.center.operators.disable_device(entry.product_key, entry.device_key, OPERATOR)

    assert await code_of(world.bind(ann, entry)) == 5460


async def test_old_code_after_a_reset_is_not_on_file(world) -> None:
    entry, ann, _bob = await prepared(world, re_enrol="open")
    await world.report(entry)
    await world.enrol(Spec(world, entry))

    assert await code_of(world.bind(ann, entry)) == 5460


@pytest.mark.parametrize("mode", ["single", "multi", "alternate"])
async def test_exactly_one_of_a_thousand_racing_users_wins(world, mode) -> None:
    entry, _ann, _bob = await prepared(world, bind_mode=mode)
    users = await world.users(await world.domain(), 1000)
    await world.report(entry)

    results = await asyncio.gather(*(world.bind(user, entry) for user in users), return_exceptions=True)

    winners = [user.uid for user, result in zip(users, results, strict=True) if not isinstance(result, Rejected)]
    assert len(winners) == 1
    assert await world.owners(entry) == winners
    assert {result.code for result in results if isinstance(result, Rejected)} <= {5460, 5412}


async def test_window_survives_a_restart(world, tmp_path) -> None:
    entry, ann, _bob = await prepared(world)
    await world.report(entry, seconds=120)
    await world.center.close()
    world.clock.move(60)

    again = await World.open(tmp_path / "data", clock=world.clock)
    try:
        assert (await again.bind(ann, entry)).is_new
        assert again.center.registry.entry(entry.client_id).state == "active"
    finally:
        await again.center.close()


# --- guessing


async def test_user_is_refused_after_ten_wrong_guesses_and_waits_ten_minutes(world) -> None:
    entry, ann, bob = await prepared(world)
    await world.report(entry, seconds=3600)
    for _ in range(10):
        assert await code_of(world.bind(bob, entry, OTHER_CODE)) == 5462

    with pytest.raises(Rejected) as raised:
        await world.bind(bob, entry, CODE)

    assert (raised.value.code, raised.value.retry_after_s) == (8429, 600)
    assert (await world.bind(ann, entry)).is_new
    world.clock.move(600)
    await world.report(entry)
    assert (await world.bind(bob, entry)).is_new


async def test_guesses_at_once_all_count(world) -> None:
    entry, _ann, bob = await prepared(world)
    await world.report(entry)

    codes = await asyncio.gather(*(code_of(world.bind(bob, entry, OTHER_CODE)) for _ in range(100)))

    assert (codes.count(5462), codes.count(8429)) == (10, 90)


async def test_waiting_for_the_device_is_no_guess(world) -> None:
    entry, ann, _bob = await prepared(world)
    for _ in range(30):
        assert await code_of(world.bind(ann, entry)) == 5460
    await world.report(entry)

    assert (await world.bind(ann, entry)).is_new


async def test_address_that_sprays_one_code_over_users_and_devices_is_refused(tmp_path) -> None:
    world = await World.open(tmp_path / "d", Limits(max_guesses_per_address=5))
    entry, ann, _bob = await prepared(world)
    await world.report(entry)
    users = await world.users(await world.domain(), 8)

    codes = [await code_of(world.bind(user, entry, OTHER_CODE, peer="6.6.6.6")) for user in users]

    again = [await code_of(world.bind(user, entry, OTHER_CODE, peer="6.6.6.6")) for user in users]

    assert codes == [5462] * 8
    assert again == [8429] * 8
    # Even from the guessers' own address, as behind one router: who has not guessed is judged by the code.
    assert (await world.bind(ann, entry, peer="6.6.6.6")).is_new
    await world.center.close()


async def test_strangers_together_cannot_keep_the_rightful_user_out(tmp_path) -> None:
    world = await World.open(tmp_path / "d", Limits(max_guesses_per_device=5, max_guesses_per_product=5))
    entry, ann, _bob = await prepared(world)
    await world.report(entry)
    users = await world.users(await world.domain(), 20)
    for number, user in enumerate(users):
        await code_of(world.bind(user, entry, OTHER_CODE, peer=f"6.6.6.{number}"))

    assert await code_of(world.bind(users[0], entry, CODE, peer="6.6.6.0")) == 8429
    assert (await world.bind(ann, entry)).is_new
    await world.center.close()


# --- by device key


async def test_device_key_alone_is_refused_unless_the_product_allows_it(world) -> None:
    entry, ann, bob = await prepared(world, bind_mode="single")
    bind = world.center.ownership.bind_by_device_key

    assert await code_of(bind(ann, entry.product_key, entry.device_key, None, "")) == 5499
    assert await code_of(bind(ann, entry.product_key, "nobody", None, "")) == 5499

    changes = world.center.operators
    from quecbind.center.services.views import ProductChanges

    await changes.change_product(entry.product_key, ProductChanges(allow_device_key_binding=True), OPERATOR)
    assert await code_of(bind(ann, entry.product_key, "nobody", None, "")) == 5913
    assert (await bind(ann, entry.product_key, entry.device_key, "hall", "")).is_new
    assert await code_of(bind(bob, entry.product_key, entry.device_key, None, "")) == 5412
    assert (await world.center.ownership.device(ann, entry.product_key, entry.device_key)).binding_type == 3


async def test_wrong_device_keys_count_as_guesses_of_the_user(world) -> None:
    entry, ann, bob = await prepared(world, bind_mode="single", allow_device_key_binding=True)
    bind = world.center.ownership.bind_by_device_key
    assert (await bind(ann, entry.product_key, entry.device_key, None, "")).is_new
    other = await world.device(Spec(world, entry), "D2")
    for number in range(5):
        assert await code_of(bind(bob, entry.product_key, f"none{number}", None, "")) == 5913
        assert await code_of(bind(bob, entry.product_key, entry.device_key, None, "")) == 5412
    before = await world.actions()

    with pytest.raises(Rejected) as raised:
        await bind(bob, entry.product_key, other.device_key, None, "")

    assert (raised.value.code, raised.value.retry_after_s) == (8429, 600)
    assert await world.owners(other) == []
    assert before.count("owner.refused") == 1
    # Nobody else is refused, and nobody for ever.
    assert (await bind(ann, entry.product_key, other.device_key, None, "")).is_new
    world.clock.move(600)
    assert await code_of(bind(bob, entry.product_key, other.device_key, None, "")) == 5412


async def test_device_keys_of_a_product_are_guessed_at_as_one(tmp_path) -> None:
    world = await World.open(tmp_path / "d", Limits(max_guesses_per_device=5))
    entry, ann, _bob = await prepared(world, allow_device_key_binding=True)
    bind, users = world.center.ownership.bind_by_device_key, await world.users(await world.domain(), 5)
    for number, user in enumerate(users):
        assert await code_of(bind(user, entry.product_key, f"none{number}", None, f"6.6.6.{number}")) == 5913

    assert await code_of(bind(users[0], entry.product_key, entry.device_key, None, "6.6.6.0")) == 8429
    assert (await bind(ann, entry.product_key, entry.device_key, None, "6.6.6.0")).is_new
    await world.center.close()


async def test_asking_where_device_keys_do_not_bind_is_no_guess(world) -> None:
    entry, _ann, bob = await prepared(world)
    for _ in range(30):
        assert await code_of(world.center.ownership.bind_by_device_key(bob, entry.product_key, "D1", None, "")) == 5499
    await world.report(entry)

    assert (await world.bind(bob, entry)).is_new


async def test_member_is_told_that_the_device_is_shared_with_them_and_nobody_else_is(world) -> None:
    product = await world.product(allow_device_key_binding=True, allow_serial_binding=True)
    domain = await world.domain()
    ann, bob, carl = [await world.user(domain, f"{name}@example.com") for name in ("ann", "bob", "carl")]
    entry = await world.device(product)
    known = DeviceImport(product_key=entry.product_key, device_key=entry.device_key, serial="SN1")
    await world.center.operators.import_devices([known], OPERATOR)
    own, sharing, pk, dk = world.center.ownership, world.center.sharing, entry.product_key, entry.device_key
    await world.report(entry)
    await world.bind(ann, entry)
    now_ms = round(world.clock.now() * 1000)
    code = (await sharing.invite(ann, pk, dk, now_ms + 1000, now_ms + 5000, 1, "")).reveal()
    assert (await own.may_bind(bob, pk, dk)).product_name == "lamp"
    await sharing.accept(bob, code, "", "")
    before = await world.actions()

    for _ in range(15):
        assert await code_of(own.may_bind(bob, pk, dk)) == 6040
        assert await code_of(own.bind_by_device_key(bob, pk, dk, None, "")) == 6040
        assert await code_of(own.bind_by_serial(bob, pk, "SN1", None, "")) == 6040

    assert await world.owners(entry) == [ann.uid]
    assert await world.actions() == before
    assert (await own.may_bind(carl, pk, dk)).product_name == "lamp"
    assert await code_of(own.may_bind(ann, pk, dk)) == 5049
    assert not (await own.bind_by_device_key(ann, pk, dk, None, "")).is_new
    # The code that the device reported says more than a name.
    await world.report(entry, OTHER_CODE)
    assert (await world.bind(bob, entry, OTHER_CODE)).is_new
    world.clock.move(5)
    await own.unbind(bob, pk, dk)
    assert (await own.may_bind(bob, pk, dk)).product_name == "lamp"
    assert (await own.bind_by_serial(bob, pk, "SN1", None, "")).is_new


# --- what owners do


async def test_unbind_gives_the_device_up_and_counts_who_is_left(world) -> None:
    entry, ann, bob = await prepared(world)
    for user in (ann, bob):
        await world.report(entry)
        await world.bind(user, entry)
    key = await world.center.ownership.auth_key(bob, entry.product_key, entry.device_key)
    unbind = world.center.ownership.unbind

    assert await unbind(ann, entry.product_key, entry.device_key) == 1
    assert await code_of(unbind(ann, entry.product_key, entry.device_key)) == 5052
    assert await world.center.ownership.auth_key(bob, entry.product_key, entry.device_key) != key
    assert await unbind(bob, entry.product_key, entry.device_key) == 0
    assert entry.state == "active"


async def test_strangers_learn_nothing_from_any_call(world) -> None:
    entry, ann, bob = await prepared(world)
    await world.report(entry)
    await world.bind(ann, entry)
    own, pk, dk = world.center.ownership, entry.product_key, entry.device_key

    for product_key, device_key in ((pk, dk), (pk, "nobody"), ("p1none", dk), ("\ud800", dk)):
        assert await code_of(own.device(bob, product_key, device_key)) == 5052
        assert await code_of(own.unbind(bob, product_key, device_key)) == 5052
        assert await code_of(own.rename(bob, product_key, device_key, "mine")) == 5041
        assert await code_of(own.auth_key(bob, product_key, device_key)) == 5041
        assert await code_of(own.approve_re_enrolment(bob, product_key, device_key)) == 5052
    assert (await own.devices(bob)).items == []
    assert await world.owners(entry) == [ann.uid]


async def test_outlook_tells_the_mode_and_whether_it_is_yours_already(world) -> None:
    entry, ann, bob = await prepared(world, bind_mode="alternate", name="desk lamp")
    may_bind, pk = world.center.ownership.may_bind, entry.product_key
    await world.report(entry)
    await world.bind(ann, entry)

    outlook = await may_bind(bob, pk, entry.device_key)

    assert (outlook.bind_mode, outlook.binding_mode, outlook.product_name) == ("alternate", 3, "desk lamp")
    assert await may_bind(bob, pk, "nobody") == outlook
    assert await may_bind(bob, pk, None) == outlook
    assert await code_of(may_bind(ann, pk, entry.device_key)) == 5049
    assert await code_of(may_bind(ann, "p1none", None)) == 5913
    assert await code_of(may_bind(ann, None, None)) == 5066
    assert await code_of(may_bind(ann, pk, "no/key")) == 5361


async def test_list_is_paged_and_filtered(world) -> None:
    domain = await world.domain()
    ann = await world.user(domain)
    product, other = await world.product(), await world.product(name="plug")
    for number in range(7):
        entry = await world.device(product if number < 5 else other, f"D{number}")
        await world.report(entry)
        await world.center.ownership.bind_by_code(
            ann, entry.product_key, entry.device_key, CODE, f"Lamp {number}", "10.1.1.1", 3
        )
        world.clock.move(1)
    devices = world.center.ownership.devices

    first, second = await devices(ann, 1, 5), await devices(ann, 2, 5)
    assert (first.total_count, len(first.items), len(second.items)) == (7, 5, 2)
    assert [one.device_key for one in first.items + second.items] == [f"D{n}" for n in range(6, -1, -1)]
    assert (first.items[0].capabilities, first.items[0].product_name) == (3, "plug")

    async def keys(**wanted) -> list[str]:
        return [one.device_key for one in (await devices(ann, 1, 50, DeviceFilter(**wanted))).items]

    assert await keys(name="lamp 3") == ["D3"]
    assert await keys(name="%") == []
    assert await keys(device_key="D6") == ["D6"]
    assert await keys(product_keys=(other.product_key,)) == ["D6", "D5"]
    assert await keys(product_keys=(other.product_key, "p1none"), name="6") == ["D6"]
    assert (await devices(ann, -5, 0)).page_size == 1
    assert (await devices(ann, 10**30, 10**30)).items == []
    assert await code_of(devices(ann, 1, 10, DeviceFilter(name="\ud800"))) == 8400


async def test_list_shows_who_is_online(world) -> None:
    entry, ann, _bob = await prepared(world)
    await world.report(entry)
    await world.bind(ann, entry)
    world.center.presence.online(entry, "10.9.9.9")
    at = round(world.clock.now() * 1000)

    device = (await world.center.ownership.devices(ann)).items[0]

    assert (device.is_online, device.last_online_at, device.is_active) == (True, at, True)


async def test_owner_may_approve_a_re_enrolment(world) -> None:
    entry, ann, _bob = await prepared(world)
    await world.report(entry)
    await world.bind(ann, entry)
    await world.center.ownership.approve_re_enrolment(ann, entry.product_key, entry.device_key)

    enrolled = await world.enrol(Spec(world, entry))

    assert enrolled.entry.epoch == 2
    assert await world.owners(entry) == []


async def test_name_is_checked(world) -> None:
    entry, ann, _bob = await prepared(world)
    await world.report(entry)
    await world.bind(ann, entry)
    rename = world.center.ownership.rename

    assert await code_of(rename(ann, entry.product_key, entry.device_key, "")) == 5068
    assert await code_of(rename(ann, entry.product_key, entry.device_key, "x" * 255)) == 5333
    await rename(ann, entry.product_key, entry.device_key, "K\u00fcche \U0001f3e0")
    assert (await world.center.ownership.device(ann, entry.product_key, entry.device_key)).device_name == "Küche 🏠"


async def test_no_secret_is_told_by_logs_or_audit(world, caplog) -> None:
    caplog.set_level("DEBUG")
    entry, ann, bob = await prepared(world)
    secret = entry.device_secret
    await world.report(entry, secret=b"BINDSECRET000000")
    await code_of(world.bind(bob, entry, OTHER_CODE))
    key = (await world.bind(ann, entry)).auth_key.reveal()
    audit = repr((await world.center.operators.audit(1, 100)).items)

    for hidden in (CODE, OTHER_CODE, secret, key, "BINDSECRET000000", entry.product.product_secret.reveal()):
        assert hidden not in caplog.text
        assert hidden not in audit
        assert hidden not in repr(entry)
    assert "device.bound" in caplog.text
