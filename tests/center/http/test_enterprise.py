"""Checking a bind code for an enterprise: who may, what is answered, what the device hears; nothing changes."""

import pytest

from quecbind.center.domain.limits import Limits
from quecbind.center.http import app
from quecbind.wire import commands
from tests.center.http.callers import CARRIERS, App, Http, Network
from tests.center.services.test_ownership import code_of
from tests.center.services.world import CODE, OPERATOR, OTHER_CODE, World

PATH = "/v2/binding/enterpriseapi/verifyBindingCode"


async def server(http: Http, address: str | None = None) -> App:
    """An enterprise's own server with an access key."""
    key = await http.world.center.operators.create_access_key("shop", OPERATOR)
    return App(http.network.client(address), "Bearer " + key.access_key)


async def reported(http: Http, device_key: str = "D1"):
    entry = await http.world.device(http.product, device_key)
    http.world.sessions.online.add(entry.client_id)
    await http.world.report(entry)
    http.world.sessions.sent.clear()
    return entry


def check(caller: App, http: Http, carrier: str = "query", /, **changes):
    return caller.call("POST", PATH, carrier, **{"pk": http.pk, "dk": "D1", "bindingCode": CODE, **changes})


async def state(http: Http, entry) -> object:
    return await http.world.look(entry)


@pytest.mark.parametrize("carrier", CARRIERS)
async def test_the_right_code_is_confirmed_and_stays_good(http: Http, carrier: str) -> None:
    entry = await reported(http)
    shop = await server(http)
    before, audit = await state(http, entry), await http.world.actions()

    answers = [await check(shop, http, carrier) for _ in range(3)]

    assert [(answer.code, answer.data) for answer in answers] == [(200, 1)] * 3
    assert (await state(http, entry), await http.world.actions()) == (before, audit)
    assert http.world.sessions.sent == []
    assert (await http.alice.bind(http.pk, "D1", CODE)).code == 200


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"pk": ""}, 5066),
        ({"dk": ""}, 5067),
        ({"dk": "no/key"}, 5361),
        ({"bindingCode": ""}, 5179),
        ({"bindingCode": CODE.lower()}, 5213),
        ({"bindingCode": CODE + "0"}, 5213),
        ({"bindingCode": OTHER_CODE}, 5462),
        ({"dk": "NOSUCH"}, 5460),
        ({"pk": "p1none"}, 5460),
        ({"pk": "no/key"}, 5460),
        ({"isBinding": "perhaps"}, 8400),
    ],
)
async def test_each_refusal_has_its_code_and_changes_nothing(http: Http, changes: dict[str, str], code: int) -> None:
    entry = await reported(http)
    before = await state(http, entry)

    answer = await check(await server(http), http, **changes)

    assert (answer.code, answer.data) == (code, None)
    assert await state(http, entry) == before
    assert (await http.alice.bind(http.pk, "D1", CODE)).code == 200


async def test_a_code_that_is_over_is_not_on_file(http: Http) -> None:
    await reported(http)
    http.world.clock.move(120)

    assert (await check(await server(http), http)).code == 5460


@pytest.mark.parametrize(("token", "code"), [(None, 91001), ("", 91001), ("Bearer qbk_no", 91004), ("nonsense", 91004)])
async def test_it_takes_an_access_key(http: Http, token: str | None, code: int) -> None:
    await reported(http)

    assert (await check(App(http.network.client(), token), http)).code == code


async def test_a_users_token_is_no_access_key(http: Http) -> None:
    await reported(http)

    assert (await check(http.alice, http)).code == 91004


async def test_a_revoked_access_key_is_refused(http: Http) -> None:
    await reported(http)
    shop = await server(http)
    (key,) = (await http.world.center.operators.access_keys()).items
    await http.world.center.operators.revoke_access_key(key.id, OPERATOR)

    assert (await check(shop, http)).code == 91004


@pytest.mark.parametrize(("code", "told"), [(CODE, 1), (OTHER_CODE, 0)])
async def test_the_device_hears_how_it_came_out_only_when_it_is_to(http: Http, code: str, told: int) -> None:
    entry = await reported(http)
    shop = await server(http)

    await check(shop, http, bindingCode=code, isBinding="0")
    assert http.world.sessions.sent == []
    await check(shop, http, bindingCode=code, isBinding="1")

    assert http.world.sessions.sent == [(entry.client_id, commands.CONFIGURE, [(14, told)])]


@pytest.mark.parametrize("changes", [{"bindingCode": "short"}, {"dk": "NOSUCH"}, {"pk": "p1none"}])
async def test_the_device_hears_nothing_when_nothing_was_compared(http: Http, changes: dict[str, str]) -> None:
    await reported(http)

    await check(await server(http), http, isBinding="1", **changes)
    http.world.clock.move(120)
    await check(await server(http), http, isBinding="1")

    assert http.world.sessions.sent == []


async def test_many_wrong_codes_shut_nobody_else_out(http: Http) -> None:
    await reported(http)
    other = await http.world.device(http.product, "D2")
    await http.world.report(other, OTHER_CODE)
    shop = await server(http)

    answers = [await check(shop, http, bindingCode=OTHER_CODE, isBinding="1") for _ in range(102)]

    assert [answer.code for answer in answers] == [5462] * 100 + [8429] * 2
    assert answers[-1].ext_msg["retryAfter"] >= 1
    assert len(http.world.sessions.sent) == 100
    # The right code of the same device and of another, by the same access key from the same address.
    assert (await check(shop, http)).code == 200
    assert (await check(shop, http, dk="D2", bindingCode=OTHER_CODE)).code == 200
    assert (await check(shop, http, dk="D2")).code == 5462
    http.world.clock.move(600)
    await http.world.report(other, OTHER_CODE)
    assert (await check(shop, http, dk="D2")).code == 5462


async def test_wrong_codes_leave_few_entries_in_the_audit_log(http: Http) -> None:
    await reported(http)
    shop = await server(http)

    for _ in range(105):
        await check(shop, http, bindingCode=OTHER_CODE)

    page = await http.world.center.operators.audit(1, 100)
    refused = [entry.result for entry in reversed(page.items) if entry.action == "bind_code.refused"]
    # The first, and the first that was one too many.
    assert refused == ["refused 5462", "refused 8429"]


async def test_wrong_codes_count_against_the_device_and_never_stop_its_user(tmp_path, prepared) -> None:
    world = await World.open(tmp_path / "data", Limits(max_guesses_per_device=3))
    network = Network(app.build(world.center))
    product, domain = await world.product(), await world.domain()
    user, thief = await world.user(domain), await world.user(domain, "mal@example.com")
    scene = Http(world, network, product, domain, *prepared.users, network.client())
    entry = await reported(scene)
    shop = await server(scene)
    for _ in range(2):
        assert (await check(shop, scene, bindingCode=OTHER_CODE)).code == 5462
    assert await code_of(world.bind(thief, entry, OTHER_CODE)) == 5462

    assert (await check(shop, scene, bindingCode=OTHER_CODE)).code == 8429
    assert await code_of(world.bind(thief, entry)) == 8429
    assert (await check(shop, scene)).code == 200
    assert (await world.bind(user, entry)).is_new
    await network.close()
    await world.center.close()
