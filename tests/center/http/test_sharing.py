"""Sharing over HTTP: invite, accept, use, end, and what nobody else can do with a share (app-api.md B3)."""

import asyncio
import itertools

import pytest

from quecbind.center.services.changes import RightChanged
from tests.center.http.callers import App, Http

NEVER = "x" * 32


def ms(http: Http, seconds: float) -> int:
    return round((http.world.clock.now() + seconds) * 1000)


async def invite(http: Http, dk: str, by: App | None = None, accepting: float = 60, use: float | None = None, **more):
    if use is not None:
        more["sharingExpireAt"] = ms(http, use)
    fields = {"pk": http.pk, "dk": dk, "acceptingExpireAt": ms(http, accepting), **more}
    return await (by or http.alice).call("POST", "shareInfo", **fields)


async def code_for(http: Http, dk: str, **more) -> str:
    answer = await invite(http, dk, **more)
    assert answer.code == 200
    return answer.data


async def accept(app: App, code: str, **more):
    return await app.call("POST", "shareDevice", shareCode=code, **more)


async def shared(http: Http, **more) -> tuple[str, str]:
    """A device of Alice's that Bob uses; its device key and the share code."""
    dk = await http.owned()
    code = await code_for(http, dk, **more)
    assert (await accept(http.bob, code)).code == 200
    return dk, code


async def test_a_member_sees_the_device_as_a_shared_one(http):
    dk, code = await shared(http, use=100)

    (device,) = (await http.bob.call("GET", "userDeviceList")).data["list"]

    assert (device["deviceKey"], device["deviceType"], device["shareCode"]) == (dk, 2, code)
    assert (device["ownerUid"], device["uid"]) == (http.alice.uid, http.bob.uid)
    assert device["sharingExpireAt"] == ms(http, 100)
    assert device["authKey"]
    for query in ({"pk": http.pk, "dk": dk}, {"shareCode": code}):
        assert (await http.bob.call("GET", "deviceInfo", **query)).data == device
    assert (await http.bob.call("GET", "getDeviceBusinessAttributes", pk=http.pk, dk=dk)).code == 200


async def test_an_owner_sees_who_has_accepted(http):
    dk, code = await shared(http)
    await code_for(http, dk)

    accepted, invited = (await http.alice.call("GET", "deviceShareUserList", pk=http.pk, dk=dk)).data

    assert (accepted["shareInfo"]["shareCode"], accepted["shareInfo"]["shareStatus"]) == (code, 1)
    assert accepted["userInfo"]["uid"] == http.bob.uid
    now = ms(http, 0)
    shown = ("pk", "dk", "shareTimeTs", "acceptTimeTs")
    assert [accepted["shareInfo"][name] for name in shown] == [http.pk, dk, now, now]
    assert [invited["shareInfo"][name] for name in shown] == [http.pk, dk, now, None]
    assert (invited["shareInfo"]["shareStatus"], invited["userInfo"]) == (0, None)


async def test_a_member_has_no_more_than_the_use(http):
    dk, code = await shared(http)
    keys = {"pk": http.pk, "dk": dk}

    answers = {
        "share on": await invite(http, dk, by=http.bob),
        "unbind": await http.bob.call("DELETE", "unbundlingDeviceDk", **keys),
        "rename": await http.bob.call("PUT", "setDeviceInfo", deviceName="mine", **keys),
        "auth key": await http.bob.call("POST", "getAuthKey", **keys),
        "list": await http.bob.call("GET", "deviceShareUserList", **keys),
        "approve": await http.bob.call("POST", "approveReEnrolment", **keys),
        "prolong": await http.bob.call("PUT", "setShareTime", shareCode=code, sharingExpireAt=ms(http, 999)),
        "cancel": await http.bob.call("DELETE", "ownerUserUnshareDevice", shareCode=code),
    }

    assert {name: answer.code for name, answer in answers.items()} == {
        "share on": 5360,
        "unbind": 5052,
        "rename": 5041,
        "auth key": 5041,
        "list": 5141,
        "approve": 5052,
        "prolong": 5041,
        "cancel": 5041,
    }
    assert await http.alice.device_keys() == [dk]
    assert await http.bob.device_keys() == [dk]


async def test_a_member_names_the_device_for_themselves(http):
    dk, code = await shared(http)

    assert (await http.bob.call("PUT", "changeShareDeviceName", shareCode=code, deviceName="Bob's")).code == 200

    assert (await http.bob.call("GET", "deviceInfo", pk=http.pk, dk=dk)).data["deviceName"] == "Bob's"
    assert (await http.alice.call("GET", "deviceInfo", pk=http.pk, dk=dk)).data["deviceName"] != "Bob's"


@pytest.mark.parametrize(
    ("end", "is_owner"), [("ownerUserUnshareDevice", True), ("shareUserUnshareDevice", False)], ids=["owner", "member"]
)
async def test_either_ends_a_share_and_the_key_changes(http, end, is_owner):
    dk, code = await shared(http)
    keys = {"pk": http.pk, "dk": dk}
    told = []
    http.world.center.changes.listen(told.append)
    old_key = (await http.alice.call("POST", "getAuthKey", **keys)).data

    assert (await (http.alice if is_owner else http.bob).call("DELETE", end, shareCode=code)).code == 200

    assert await http.bob.device_keys() == []
    assert (await http.bob.call("GET", "deviceInfo", **keys)).code == 5052
    assert (await accept(http.bob, code)).code == 5137
    assert (await http.alice.call("POST", "getAuthKey", **keys)).data != old_key
    (change,) = told
    assert isinstance(change, RightChanged)
    assert (change.uid, change.right, change.value, change.cause) == (http.bob.uid, "member", 0, 4)


async def test_a_grant_is_over_at_its_moment_without_any_sweeper(http):
    dk, _ = await shared(http, use=100)

    http.world.clock.move(99.999)
    assert await http.bob.device_keys() == [dk]
    http.world.clock.move(0.001)

    assert await http.bob.device_keys() == []
    assert (await http.bob.call("GET", "deviceInfo", pk=http.pk, dk=dk)).code == 5052


async def test_whose_grant_has_ended_by_time_is_told_once(http):
    await shared(http, use=100)
    told = []
    http.world.center.changes.listen(told.append)
    http.world.clock.move(100)

    for _ in range(3):
        http.world.center.sharing.sweep()
        await http.world.center.storage.transact(lambda _: None)

    assert [(change.uid, change.cause) for change in told] == [(http.bob.uid, 3)]


async def test_an_owner_moves_the_end(http):
    dk, code = await shared(http, use=100)

    moved = await http.alice.call("PUT", "setShareTime", shareCode=code, sharingExpireAt=ms(http, 200))
    http.world.clock.move(150)

    assert moved.code == 200
    assert await http.bob.device_keys() == [dk]


@pytest.mark.parametrize("how", ["unbind", "reset"])
async def test_a_share_ends_with_its_owner(http, how):
    dk, code = await shared(http)
    invitation = await code_for(http, dk)
    told = []
    http.world.center.changes.listen(told.append)

    if how == "unbind":
        await http.alice.call("DELETE", "unbundlingDeviceDk", pk=http.pk, dk=dk)
    else:
        await http.alice.call("POST", "approveReEnrolment", pk=http.pk, dk=dk)
        await http.world.enrol(http.product, dk)

    assert await http.bob.device_keys() == []
    assert [(await accept(http.bob, each)).code for each in (code, invitation)] == [5137, 5137]
    members = [(c.uid, c.value, c.cause) for c in told if isinstance(c, RightChanged) and c.right == "member"]
    assert members == [(http.bob.uid, 0, 1) if how == "unbind" else (http.bob.uid, 2, 2)]


async def test_of_two_users_with_one_code_exactly_one_gets_it(http):
    dk = await http.owned()
    code = await code_for(http, dk)
    users = await http.world.users(http.domain, 20)

    results = await asyncio.gather(
        *(http.world.center.sharing.accept(user, code, "", "10.0.0.1") for user in users), return_exceptions=True
    )

    assert [result for result in results if result is None] == [None]
    assert len(await http.world.center.sharing.shared_with(await signed_in(http), http.pk, dk)) == 1


async def signed_in(http: Http):
    return await http.world.center.accounts.authenticate(http.alice.token)


async def test_what_a_share_code_is_refused_for(http):
    dk = await http.owned()
    code = await code_for(http, dk, accepting=10)

    codes = {
        "missing": (await accept(http.bob, "")).code,
        "unknown": (await accept(http.bob, NEVER)).code,
        "own": (await accept(http.alice, code)).code,
        "first": (await accept(http.bob, code)).code,
        "twice": (await accept(http.bob, code)).code,
        "signed out": (await accept(http.stranger(), code)).code,
    }

    assert codes == {"missing": 5136, "unknown": 5137, "own": 5139, "first": 200, "twice": 6040, "signed out": 5106}


async def test_an_invitation_is_refused_after_its_moment(http):
    dk = await http.owned()
    code = await code_for(http, dk, accepting=10)

    http.world.clock.move(10)

    assert (await accept(http.bob, code)).code == 5137


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"acceptingExpireAt": ""}, 5132),
        ({"acceptingExpireAt": "soon"}, 5145),
        ({"acceptingExpireAt": "-5"}, 5145),
        ({"acceptingExpireAt": "9" * 30}, 5145),
        ({"coverMark": "4"}, 5133),
        ({"coverMark": "x"}, 5133),
        ({"sharingExpireAt": "1"}, 5153),
        ({"pk": ""}, 5066),
        ({"dk": ""}, 5067),
        ({"dk": "NOBODY"}, 5360),
    ],
)
async def test_what_an_invitation_is_refused_for(http, fields, code):
    dk = await http.owned()
    sent = {"pk": http.pk, "dk": dk, "acceptingExpireAt": ms(http, 60), **fields}

    assert (await http.alice.call("POST", "shareInfo", **sent)).code == code
    assert (await http.alice.call("GET", "deviceShareUserList", pk=http.pk, dk=dk)).data == []


async def test_only_the_named_user_can_accept(http):
    dk = await http.owned()
    sent = {"pk": http.pk, "dk": dk}
    for_bob = (await http.alice.call("POST", "shareByUid", shareUid=http.bob.uid, **sent)).data
    for_mail = (await http.alice.call("POST", "shareByUid", email=http.bob.email.upper(), coverMark=2, **sent)).data
    eve = (await http.world.users(http.domain, 1))[0]

    with pytest.raises(Exception, match="5137"):
        await http.world.center.sharing.accept(eve, for_bob, "", "10.0.0.1")
    assert (await accept(http.bob, for_bob)).code == 200
    assert (await accept(http.bob, for_mail)).code == 200


async def test_an_invitation_does_not_tell_who_has_an_account(http):
    dk = await http.owned()
    sent = {"pk": http.pk, "dk": dk}

    known = await http.alice.call("POST", "shareByUid", email=http.bob.email, **sent)
    unknown = await http.alice.call("POST", "shareByUid", email="nobody@example.com", **sent)
    listed = (await http.alice.call("GET", "deviceShareUserList", **sent)).data

    assert (known.code, len(known.data)) == (unknown.code, len(unknown.data))
    shapes = [{**entry["shareInfo"], "shareId": 0, "shareCode": ""} for entry in listed]
    assert shapes[0] == shapes[1]
    assert (await http.alice.call("POST", "shareByUid", **sent)).code == 5891


async def test_open_invitations_are_limited_and_expired_ones_make_room(http):
    dk = await http.owned()
    for _ in range(20):
        await code_for(http, dk)

    assert (await invite(http, dk)).code == 5134
    http.world.clock.move(60)

    assert (await invite(http, dk)).code == 200
    assert len((await http.alice.call("GET", "deviceShareUserList", pk=http.pk, dk=dk)).data) == 1


async def test_wrong_codes_cost_the_guesser_and_leave_the_right_one_good(http):
    dk = await http.owned()
    code = await code_for(http, dk)
    eve = (await http.world.users(http.domain, 1))[0]
    guesses = itertools.count()

    refused = []
    for _ in range(12):
        with pytest.raises(Exception, match="5137|8429") as caught:
            await http.world.center.sharing.accept(eve, f"{next(guesses):032d}", "", "10.6.6.6")
        refused.append(caught.value.code)
    with pytest.raises(Exception, match="8429"):
        await http.world.center.sharing.accept(eve, code, "", "10.6.6.6")

    assert refused == [5137] * 10 + [8429] * 2
    assert (await accept(http.bob, code)).code == 200
    # The first, and the first that was one too many.
    assert (await http.world.actions()).count("share.refused") == 2


async def test_every_share_call_with_anothers_code_is_answered_like_an_unknown_one(http):
    dk = await http.owned()
    code = await code_for(http, dk)
    await accept(http.bob, code)
    calls = [
        ("PUT", "setShareTime", {"sharingExpireAt": ms(http, 500)}),
        ("PUT", "changeShareDeviceName", {"deviceName": "x"}),
        ("DELETE", "ownerUserUnshareDevice", {}),
        ("DELETE", "shareUserUnshareDevice", {}),
        ("POST", "shareDevice", {}),
        ("GET", "deviceInfo", {}),
    ]
    carol = http.stranger()
    await http.world.center.operators.create_user("carol@example.com", http.domain.user_domain, "secret1!", by())
    assert (await carol.sign_in(http.domain, "carol@example.com")).code == 200

    for method, path, more in calls:
        foreign = await carol.call(method, path, shareCode=code, **more)
        unknown = await carol.call(method, path, shareCode=NEVER, **more)
        assert foreign == unknown, path
        assert foreign.code != 200
    assert await http.bob.device_keys() == [dk]


def by():
    from tests.center.services.world import OPERATOR

    return OPERATOR


async def test_each_change_is_one_audit_entry_and_no_code_is_in_them(http):
    dk, code = await shared(http, use=100)
    await http.alice.call("PUT", "setShareTime", shareCode=code, sharingExpireAt=ms(http, 200))
    await http.bob.call("PUT", "changeShareDeviceName", shareCode=code, deviceName="x")
    await http.alice.call("DELETE", "ownerUserUnshareDevice", shareCode=code)

    page = await http.world.center.operators.audit(1, 100, http.pk, dk)
    entries = [entry for entry in reversed(page.items) if entry.action.startswith("share.")]

    assert [entry.action.removeprefix("share.") for entry in entries] == [
        "invited",
        "accepted",
        "prolonged",
        "renamed",
        "cancelled",
    ]
    assert code not in repr(entries)


async def test_a_members_account_gives_back_what_was_shared_with_it(http):
    dk, code = await shared(http)
    key = (await http.alice.call("POST", "getAuthKey", pk=http.pk, dk=dk)).data
    told = []
    http.world.center.changes.listen(told.append)

    assert (await http.bob.call("POST", "/v2/enduser/enduserapi/userDelete", pwd="secret1!")).code == 200

    assert (await http.alice.call("GET", "deviceShareUserList", pk=http.pk, dk=dk)).data == []
    assert (await http.alice.call("POST", "getAuthKey", pk=http.pk, dk=dk)).data != key
    ended = [change for change in told if isinstance(change, RightChanged)]
    assert [(change.uid, change.right, change.cause) for change in ended] == [(http.bob.uid, "member", 6)]
    assert code not in repr(told)


async def test_an_owners_account_ends_what_it_shared(http):
    await shared(http)

    assert (await http.alice.call("POST", "/v2/enduser/enduserapi/userDelete", pwd="secret1!")).code == 200

    assert await http.bob.device_keys() == []


async def test_neighbours_who_guess_do_not_shut_out_who_has_the_right_code(http):
    dk = await http.owned()
    code = await code_for(http, dk)
    *thieves, ann = await http.world.users(http.domain, 7)
    for thief in thieves:
        for number in range(10):
            with pytest.raises(Exception, match="5137|8429"):
                await http.world.center.sharing.accept(thief, f"{number:032d}", "", "10.6.6.6")

    await http.world.center.sharing.accept(ann, code, "", "10.6.6.6")


async def test_the_end_of_use_cannot_be_moved_before_the_end_of_accepting(http):
    dk = await http.owned()
    code = await code_for(http, dk, accepting=100, use=200)

    moved = await http.alice.call("PUT", "setShareTime", shareCode=code, sharingExpireAt=ms(http, 100))

    assert moved.code == 5153
    assert (await accept(http.bob, code)).code == 200


async def test_who_held_two_shares_of_a_device_is_told_once_that_it_is_gone(http):
    dk, _ = await shared(http)
    assert (await accept(http.bob, await code_for(http, dk, coverMark=2))).code == 200
    told = []
    http.world.center.changes.listen(told.append)

    await http.alice.call("DELETE", "unbundlingDeviceDk", pk=http.pk, dk=dk)

    members = [change.uid for change in told if isinstance(change, RightChanged) and change.right == "member"]
    assert members == [http.bob.uid]
