"""A user whom an operator has shut out: what ends with it, what stays, and what comes back."""

from __future__ import annotations

import pytest

from quecbind.center.services.changes import SessionEnded
from quecbind.center.services.errors import NotFound
from tests.center.services.test_accounts import code_of, register, sign_in
from tests.center.services.test_cancelling import scene
from tests.center.services.test_control import Home
from tests.center.services.world import OPERATOR


async def not_found(call) -> int:
    with pytest.raises(NotFound) as raised:
        await call
    return raised.value.code


async def test_a_disabled_user_is_signed_out_everywhere_and_signs_in_nowhere(world) -> None:
    domain, who, tokens, _ = await scene(world)
    other = await sign_in(world, domain)
    told = world.changes()

    disabled = await world.center.operators.disable_user(who.uid, OPERATOR)

    assert disabled.is_disabled
    assert told == [SessionEnded(uid=who.uid, session_id=None)]
    for ended in (tokens, other):
        assert await code_of(world.center.accounts.authenticate(ended.access_token)) == 5032
        assert await code_of(world.center.accounts.refresh(None, ended.refresh_token)) == 5489
    assert await code_of(sign_in(world, domain)) == 5486
    assert await code_of(sign_in(world, domain, password="wrong-1!")) == 5586


async def test_what_a_disabled_user_owns_stays_theirs_and_sessions_from_before_stay_ended(world) -> None:
    domain, who, tokens, entry = await scene(world)
    await world.center.operators.disable_user(who.uid, OPERATOR)
    assert await world.owners(entry) == [who.uid]

    enabled = await world.center.operators.enable_user(who.uid, OPERATOR)

    assert not enabled.is_disabled
    assert await code_of(world.center.accounts.authenticate(tokens.access_token)) == 5032
    assert await sign_in(world, domain)
    assert await world.owners(entry) == [who.uid]


async def test_another_user_notices_nothing(world) -> None:
    domain, who, _, _ = await scene(world)
    await register(world, domain, "bob@example.com")
    bobs = await sign_in(world, domain, email="bob@example.com")

    await world.center.operators.disable_user(who.uid, OPERATOR)

    assert await world.center.accounts.authenticate(bobs.access_token)


async def test_doing_it_twice_is_written_once(world) -> None:
    _, who, _, _ = await scene(world)
    operators = world.center.operators

    for act in (operators.disable_user, operators.disable_user, operators.enable_user, operators.enable_user):
        await act(who.uid, OPERATOR)

    assert [one for one in await world.actions() if one in {"user.disabled", "user.enabled"}] == [
        "user.disabled",
        "user.enabled",
    ]


@pytest.mark.parametrize("uid", ["C99999", "", "ü", "C10001 "])
async def test_a_user_there_is_not_can_be_neither_disabled_nor_enabled(world, uid: str) -> None:
    await scene(world)

    assert await not_found(world.center.operators.disable_user(uid, OPERATOR)) == 5033
    assert await not_found(world.center.operators.enable_user(uid, OPERATOR)) == 5033


async def test_a_sign_in_under_way_opens_nothing(world, monkeypatch) -> None:
    domain, who, _, _ = await scene(world)
    issue = world.center.accounts._issue

    async def issue_after_that(*arguments):
        monkeypatch.undo()
        await world.center.operators.disable_user(who.uid, OPERATOR)
        return await issue(*arguments)

    monkeypatch.setattr(world.center.accounts, "_issue", issue_after_that)

    assert await code_of(sign_in(world, domain)) == 5586
    assert (await world.actions())[-1] == "user.disabled"


async def test_what_a_disabled_user_ordered_for_later_is_dropped_and_what_others_did_is_not(world) -> None:
    home = await Home.open(world)
    await home.share()
    await home.keep(b"member", who=home.member)
    await home.keep(b"owner")

    await world.center.operators.disable_user(home.member.uid, OPERATOR)

    await home.comes()
    assert await home.take() == [b"owner"]
