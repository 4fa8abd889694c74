"""The end of an account: what it takes, what ends with it, and what stays."""

import pytest

from quecbind.center.services.changes import RightChanged, SessionEnded
from quecbind.center.services.errors import Unauthenticated
from quecbind.wire import signing
from tests.center.services.test_accounts import EMAIL, PEER, RANDOM, code_of, register, sign_in
from tests.center.services.world import CODE, PASSWORD


async def signed_in(world, domain, email=EMAIL):
    await register(world, domain, email)
    tokens = await sign_in(world, domain, email=email)
    return await world.center.accounts.authenticate(tokens.access_token), tokens


async def scene(world, **product):
    domain = await world.domain()
    who, tokens = await signed_in(world, domain)
    entry = await world.device(await world.product(**product))
    await world.report(entry)
    await world.bind(who, entry)
    return domain, who, tokens, entry


def cancel(world, who, password=PASSWORD, code=None, peer=PEER):
    encrypted = None if password is None else signing.app_password_encrypt(password, RANDOM)
    return world.center.accounts.cancel(who, encrypted, RANDOM, code, peer)


async def mailed(world, domain, email_type=5) -> str:
    await world.center.accounts.send_email_code(EMAIL, email_type, domain.user_domain, PEER)
    return world.mailbox.last_code


async def untouched(world, domain, who, tokens, entry) -> bool:
    assert (await world.center.accounts.authenticate(tokens.access_token)).uid == who.uid
    return await world.owners(entry) == [who.uid]


async def test_the_password_ends_account_devices_and_sessions(world) -> None:
    domain, who, tokens, entry = await scene(world)
    other = await sign_in(world, domain)
    told = world.changes()

    await cancel(world, who)

    assert told[-1] == SessionEnded(uid=who.uid, session_id=None)
    assert await world.owners(entry) == []
    for ended in (tokens, other):
        with pytest.raises(Unauthenticated):
            await world.center.accounts.authenticate(ended.access_token)
        assert await code_of(world.center.accounts.refresh(None, ended.refresh_token)) == 5489
    assert await code_of(sign_in(world, domain)) == 5586
    rights = [(one.uid, one.value, one.cause) for one in told if isinstance(one, RightChanged)]
    assert rights == [(who.uid, 0, 6)]


async def test_a_mailed_code_does_the_same(world) -> None:
    domain, who, _tokens, entry = await scene(world)
    code = await mailed(world, domain)

    await cancel(world, who, password=None, code=code)

    assert await world.owners(entry) == []
    assert await code_of(world.center.accounts.user_info(who)) == 5033


async def test_a_token_alone_is_not_enough(world) -> None:
    scene_ = await scene(world)

    assert await code_of(cancel(world, scene_[1], password=None)) == 5064

    assert await untouched(world, *scene_)


async def test_a_wrong_password_counts_as_at_sign_in(world) -> None:
    domain, who, tokens, entry = await scene(world)

    codes = [await code_of(cancel(world, who, "wrong-1")) for _ in range(5)]

    assert codes == [5586, 5585, 5584, 5583, 5147]
    assert await code_of(cancel(world, who)) == 5147
    assert await untouched(world, domain, who, tokens, entry)


async def test_a_wrong_code_or_one_for_something_else_or_one_that_is_over(world) -> None:
    domain, who, tokens, entry = await scene(world)
    for_registering = await mailed(world, domain, 1)
    assert await code_of(cancel(world, who, None, for_registering)) == 5046
    code = await mailed(world, domain)
    wrong = "000000" if code != "000000" else "111111"

    assert await code_of(cancel(world, who, None, wrong)) == 5046
    assert await code_of(cancel(world, who, None, "äöüäöü")) == 5046
    world.clock.move(600)
    assert await code_of(cancel(world, who, None, code)) == 5046

    assert await untouched(world, domain, who, tokens, entry)


async def test_a_code_is_guessed_five_times_at_most(world) -> None:
    domain, who, tokens, entry = await scene(world)
    code = await mailed(world, domain)
    wrong = "000000" if code != "000000" else "111111"

    for _ in range(5):
        assert await code_of(cancel(world, who, None, wrong)) == 5046

    assert await code_of(cancel(world, who, None, code)) == 5046
    assert await untouched(world, domain, who, tokens, entry)


async def test_the_code_of_another_user_is_of_no_use(world) -> None:
    domain, who, tokens, entry = await scene(world)
    bob, _ = await signed_in(world, domain, "bob@example.com")
    code = await mailed(world, domain)

    assert await code_of(cancel(world, bob, None, code)) == 5046

    assert await untouched(world, domain, who, tokens, entry)


async def test_a_sign_in_that_has_ended_cannot_cancel(world) -> None:
    domain, who, _tokens, entry = await scene(world)
    await world.center.accounts.sign_out(who)

    assert await code_of(cancel(world, who)) == 5032

    assert await world.owners(entry) == [who.uid]
    assert await sign_in(world, domain)


async def test_who_owns_the_device_too_keeps_it_with_another_key(world) -> None:
    domain, who, _tokens, entry = await scene(world, bind_mode="multi")
    bob = await world.user(domain, "bob@example.com")
    await world.report(entry)
    before = (await world.bind(bob, entry)).auth_key

    await cancel(world, who)

    after = await world.center.ownership.auth_key(bob, entry.product_key, entry.device_key)
    assert await world.owners(entry) == [bob.uid]
    assert after != before
    assert entry.auth_key == after


async def test_the_device_is_neither_reset_nor_cut_off_and_may_be_bound_again(world) -> None:
    domain, who, _tokens, entry = await scene(world, bind_mode="single")
    before = entry.epoch, entry.owes_reset, list(world.sessions.ended)

    await cancel(world, who)

    assert (entry.epoch, entry.owes_reset, world.sessions.ended) == before
    bob = await world.user(domain, "bob@example.com")
    await world.report(entry, CODE)
    assert (await world.bind(bob, entry)).is_new


async def test_the_address_is_free_and_the_next_account_is_another_user(world) -> None:
    domain, who, tokens, entry = await scene(world)
    await cancel(world, who)

    again, _ = await signed_in(world, domain)

    assert again.uid != who.uid
    assert (await world.center.ownership.devices(again)).total_count == 0
    with pytest.raises(Unauthenticated):
        await world.center.accounts.authenticate(tokens.access_token)
    assert await world.owners(entry) == []


async def test_the_audit_log_stays_and_tells_of_it(world) -> None:
    _domain, who, _tokens, _entry = await scene(world)
    before = (await world.center.operators.audit(1, 100)).total_count

    await cancel(world, who)

    page = await world.center.operators.audit(1, 100)
    assert page.total_count == before + 2
    assert [(one.action, one.who) for one in page.items[:2]] == [
        ("user.cancelled", f"user {who.uid}"),
        ("owner.unbound", f"user {who.uid}"),
    ]
    assert (await world.center.operators.verify_audit()).problem is None
    assert EMAIL not in repr(page.items)


async def test_many_devices_are_given_up_in_one_piece(world, monkeypatch) -> None:
    monkeypatch.setattr("quecbind.center.services.cancelling._AT_ONCE", 2)
    _domain, who, _tokens, first = await scene(world)
    product = await world.product()
    entries = [first, *[await world.device(product, f"D{number}") for number in range(5)]]
    for entry in entries[1:]:
        await world.report(entry)
        await world.bind(who, entry)

    await cancel(world, who)

    assert [await world.owners(entry) for entry in entries] == [[]] * 6
