"""The operator API: every operation, its refusals as problem+json, and nothing without an access key."""

from typing import Any

import httpx
import pytest

from quecbind.center.http.headers import SAFE_HEADERS
from quecbind.center.http.operators import OPERATIONS, PREFIX
from tests.center.http.callers import Http
from tests.center.services.world import CODE

PRODUCTS, DEVICES = PREFIX + "/products", PREFIX + "/devices"


def check(response: httpx.Response, status: int, code: int | None = None) -> Any:
    """The JSON of an answer with this status; of a problem with this code too."""
    assert response.status_code == status, response.text
    assert SAFE_HEADERS.items() <= dict(response.headers).items()
    if status == 204:
        assert response.content == b""
        return None
    body = response.json()
    if status >= 400:
        assert response.headers["content-type"] == "application/problem+json"
        assert body.keys() == {"type", "title", "status", "detail", "code"}
        assert (body["status"], body["code"]) == (status, code)
        assert body["type"] == f"urn:quecbind:problem:{code}"
        assert body["title"]
        assert body["detail"]
    else:
        assert response.headers["content-type"] == "application/json"
    return body


async def audit_actions(http: Http) -> list[str]:
    page = check(await http.operator.get(PREFIX + "/audit", params={"page_size": 100}), 200)
    return [entry["action"] for entry in page["items"]]


# ---- access keys


KEYED = [(row.method, PREFIX + row.path.replace("{", "").replace("}", "")) for row in OPERATIONS if not row.is_open]


@pytest.mark.parametrize(("method", "path"), KEYED)
@pytest.mark.parametrize(
    "authorization",
    [
        None,
        "",
        "Bearer",
        "Bearer ",
        "Bearer qbk_" + "0" * 40,
        "Basic cWJrXzp4",
        "qbk_",
        "Bearer \xe9",
        "Bearer qbk_\xe9",
    ],
)
async def test_nothing_works_without_an_access_key(
    http: Http, method: str, path: str, authorization: str | None
) -> None:
    headers = {} if authorization is None else {"Authorization": authorization.encode("latin-1")}

    response = await http.stranger().client.request(method, path, headers=headers, content=b"not read")

    check(response, 401, 8401)
    assert response.headers["www-authenticate"].startswith("Bearer")


async def test_a_users_token_is_no_access_key(http: Http) -> None:
    headers = {"Authorization": str(http.alice.token)}

    check(await http.alice.client.get(PRODUCTS, headers=headers), 401, 8401)


async def test_an_access_key_is_shown_once_works_and_is_revoked(http: Http) -> None:
    made = check(await http.operator.post(PREFIX + "/keys", json={"name": "factory line"}), 201)
    client = http.network.client()
    client.headers["Authorization"] = "Bearer " + made["access_key"]

    assert check(await client.get(PREFIX + "/keys"), 200)["items"] == [{**made, "access_key": None}]
    check(await client.post(PREFIX + "/domains", json={"name": "x"}), 201)
    newest = check(await client.get(PREFIX + "/audit"), 200)["items"][0]
    assert (newest["action"], newest["who"]) == ("domain.created", "operator factory line")
    check(await http.operator.delete(f"{PREFIX}/keys/{made['id']}"), 204)
    check(await client.get(PREFIX + "/keys"), 401, 8401)
    check(await http.operator.delete(f"{PREFIX}/keys/{made['id']}"), 204)
    check(await http.operator.delete(PREFIX + "/keys/none"), 404, 8404)


async def test_a_key_in_the_query_is_no_key(http: Http) -> None:
    key = http.operator.headers["Authorization"]

    response = await http.stranger().client.get(PRODUCTS, params={"Authorization": key, "access_token": key[7:]})

    check(response, 401, 8401)


# ---- products


async def test_a_product_is_created_shown_changed_and_deleted(http: Http) -> None:
    made = check(await http.operator.post(PRODUCTS, json={"name": "plug", "bind_mode": "single"}), 201)
    path = f"{PRODUCTS}/{made['product_key']}"

    assert len(made["product_secret"]) == 16
    assert (made["name"], made["bind_mode"], made["re_enrol"], made["device_count"]) == ("plug", "single", "approve", 0)
    assert check(await http.operator.get(path), 200) == {**made, "product_secret": None}
    changed = check(await http.operator.patch(path, json={"name": "smart plug", "replay_strict": True}), 200)
    assert changed == {**made, "product_secret": None, "name": "smart plug", "replay_strict": True}
    check(await http.operator.delete(path), 204)
    check(await http.operator.get(path), 404, 5313)
    check(await http.operator.patch(path, json={}), 404, 5313)
    check(await http.operator.delete(path), 404, 5313)


async def test_a_product_takes_a_given_key_and_secret_once(http: Http) -> None:
    body = {"name": "old plug", "product_key": "p11abc", "product_secret": "abcdefghijklmnop"}

    made = check(await http.operator.post(PRODUCTS, json=body), 201)

    assert (made["product_key"], made["product_secret"]) == ("p11abc", "abcdefghijklmnop")
    check(await http.operator.post(PRODUCTS, json=body), 409, 8409)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"name": ""},
        {"name": "   "},
        {"name": "x" * 129},
        {"name": "line\nbreak"},
        {"name": 1},
        {"name": None},
        {"name": "x", "bind_mode": "both"},
        {"name": "x", "bind_mode": 1},
        {"name": "x", "re_enrol": "never"},
        {"name": "x", "device_limit": -1},
        {"name": "x", "device_limit": 10_000_001},
        {"name": "x", "device_limit": 1.5},
        {"name": "x", "device_limit": "5"},
        {"name": "x", "device_limit": True},
        {"name": "x", "default_window_s": 0},
        {"name": "x", "default_window_s": 4_294_967_296},
        {"name": "x", "static_secrets": "yes"},
        {"name": "x", "product_key": "no spaces"},
        {"name": "x", "product_key": "p1abcd\n"},
        {"name": "x", "product_secret": "short!"},
        {"name": "x", "device_count": 5},
        {"name": "x", "created_at": 0},
        {"name": "x", "owner": "me"},
        [],
        "x",
    ],
)
async def test_a_product_is_refused_and_none_is_made(http: Http, body: Any) -> None:
    problem = check(await http.operator.post(PRODUCTS, json=body), 422, 8400)

    assert problem["detail"]
    assert check(await http.operator.get(PRODUCTS), 200)["total_count"] == 1


async def test_the_bind_mode_is_locked_while_a_device_is_bound(http: Http) -> None:
    await http.owned()

    check(await http.operator.patch(f"{PRODUCTS}/{http.pk}", json={"bind_mode": "single"}), 409, 5410)

    assert check(await http.operator.get(f"{PRODUCTS}/{http.pk}"), 200)["bind_mode"] == "multi"


async def test_null_is_no_change(http: Http) -> None:
    check(await http.operator.patch(f"{PRODUCTS}/{http.pk}", json={"name": None}), 422, 8400)
    check(await http.operator.patch(f"{PRODUCTS}/{http.pk}", json={"product_secret": "a"}), 422, 8400)


async def test_a_product_with_devices_is_not_deleted(http: Http) -> None:
    await http.world.device(http.product)

    check(await http.operator.delete(f"{PRODUCTS}/{http.pk}"), 409, 8409)


async def test_a_product_is_limited_to_user_domains_and_opened_again(http: Http) -> None:
    path = f"{PRODUCTS}/{http.pk}/domains"

    limited = check(await http.operator.put(path, json={"user_domains": [http.domain.user_domain]}), 200)
    opened = check(await http.operator.put(path, json={"user_domains": None}), 200)

    assert (limited["domain_access"], limited["user_domains"]) == ("listed", [http.domain.user_domain])
    assert (opened["domain_access"], opened["user_domains"]) == ("all", [])
    check(await http.operator.put(path, json={"user_domains": ["Q.DM.0.0"]}), 404, 5015)
    check(await http.operator.put(path, json={}), 422, 8400)
    check(await http.operator.put(path, json={"user_domains": ["not a domain"]}), 422, 8400)


async def test_a_product_is_made_for_user_domains_with_its_secret_in_one_call(http: Http) -> None:
    domain = http.domain.user_domain

    made = check(await http.operator.post(PRODUCTS, json={"name": "plug", "user_domains": [domain]}), 201)

    assert (made["domain_access"], made["user_domains"], len(made["product_secret"])) == ("listed", [domain], 16)
    check(await http.operator.post(PRODUCTS, json={"name": "x", "user_domains": ["Q.DM.0.0"]}), 404, 5015)
    check(await http.operator.post(PRODUCTS, json={"name": "x", "user_domains": ["not a domain"]}), 422, 8400)
    assert check(await http.operator.get(PRODUCTS), 200)["total_count"] == 2


async def test_lists_come_in_pages(http: Http) -> None:
    for number in range(4):
        check(await http.operator.post(PRODUCTS, json={"name": f"product {number}"}), 201)

    first = check(await http.operator.get(PRODUCTS, params={"page_size": 3}), 200)
    second = check(await http.operator.get(PRODUCTS, params={"page_size": 3, "page": 2}), 200)

    assert (len(first["items"]), len(second["items"])) == (3, 2)
    assert (second["page"], second["page_size"], second["total_count"]) == (2, 3, 5)
    keys = [product["product_key"] for product in first["items"] + second["items"]]
    assert len(set(keys)) == 5


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("page=0", 422),
        ("page=-1", 422),
        ("page=x", 422),
        ("page=1.5", 422),
        ("page_size=101", 422),
        ("page_size=", 422),
        ("page=1&page=2", 400),
        ("colour=red", 422),
        ("page=%ff", 400),
        ("a=" + "b" * 9000, 400),
    ],
)
async def test_a_query_is_validated(http: Http, query: str, status: int) -> None:
    check(await http.operator.get(f"{PRODUCTS}?{query}"), status, 8400)


# ---- devices


async def test_devices_are_listed_and_shown_with_their_owners(http: Http) -> None:
    await http.owned("D1")
    await http.world.device(http.product, "D2")
    other = await http.world.product(name="other")

    page = check(await http.operator.get(DEVICES, params={"product_key": http.pk}), 200)
    device = check(await http.operator.get(f"{DEVICES}/{http.pk}/D1"), 200)

    assert sorted(item["device_key"] for item in page["items"]) == ["D1", "D2"]
    assert check(await http.operator.get(DEVICES), 200)["total_count"] == 2
    assert check(await http.operator.get(DEVICES, params={"product_key": other.product_key}), 200)["items"] == []
    assert (device["state"], device["is_online"]) == ("active", False)
    assert [(owner["uid"], owner["email"]) for owner in device["owners"]] == [(http.alice.uid, "alice@example.com")]
    assert "secret" not in str(device).lower()
    check(await http.operator.get(DEVICES, params={"product_key": "p1none"}), 404, 5313)
    check(await http.operator.get(f"{DEVICES}/{http.pk}/NOSUCH"), 404, 5493)
    check(await http.operator.get(f"{DEVICES}/p1none/D1"), 404, 5493)


async def test_a_device_is_disabled_enabled_and_forgotten(http: Http) -> None:
    await http.owned()
    path = f"{DEVICES}/{http.pk}/D1"

    assert check(await http.operator.post(path + "/disable"), 200)["state"] == "disabled"
    assert http.world.sessions.ended[-1] == (f"qd{http.pk}D1", "disabled")
    assert check(await http.operator.post(path + "/enable"), 200)["state"] == "active"
    check(await http.operator.delete(path), 204)
    check(await http.operator.get(path), 404, 5493)
    assert await http.alice.device_keys() == []
    assert (await audit_actions(http))[:3] == ["device.deleted", "device.enabled", "device.disabled"]


@pytest.mark.parametrize("action", ["disable", "enable", "approve-re-enrolment"])
async def test_an_unknown_device_cannot_be_acted_on(http: Http, action: str) -> None:
    check(await http.operator.post(f"{DEVICES}/{http.pk}/NOSUCH/{action}"), 404, 5493)


async def test_a_re_enrolment_is_approved_unless_the_product_is_locked(http: Http) -> None:
    await http.world.device(http.product)
    locked = await http.world.product(re_enrol="locked")
    await http.world.device(locked)

    device = check(await http.operator.post(f"{DEVICES}/{http.pk}/D1/approve-re-enrolment"), 200)

    assert device["approved_until_at"] == int(http.world.clock.now() * 1000) + 900_000
    check(await http.operator.post(f"{DEVICES}/{locked.product_key}/D1/approve-re-enrolment"), 409, 8409)


async def test_devices_are_imported_once(http: Http) -> None:
    devices = [
        {"product_key": http.pk, "device_key": "A1", "device_secret": "abcDEF123"},
        {"product_key": http.pk, "device_key": "A2"},
    ]

    first = check(await http.operator.post(DEVICES + "/import", json=devices), 200)
    again = check(await http.operator.post(DEVICES + "/import", json=devices), 200)

    assert first == {"imported_count": 2, "known_count": 0}
    assert again == {"imported_count": 0, "known_count": 2}
    states = {item["device_key"]: item["state"] for item in check(await http.operator.get(DEVICES), 200)["items"]}
    assert states == {"A1": "active", "A2": "issued"}


async def test_a_thousand_devices_are_imported_at_once_and_not_one_more(http: Http) -> None:
    devices = [{"product_key": http.pk, "device_key": f"D{n:031}", "device_secret": "s" * 32} for n in range(1001)]

    check(await http.operator.post(DEVICES + "/import", json=devices), 422, 8400)
    result = check(await http.operator.post(DEVICES + "/import", json=devices[:1000]), 200)

    assert result == {"imported_count": 1000, "known_count": 0}


@pytest.mark.parametrize(
    ("devices", "status", "code"),
    [
        ([], 422, 8400),
        ({}, 422, 8400),
        ([{"product_key": "PK"}], 422, 8400),
        ([{"product_key": "PK", "device_key": "no key"}], 422, 8400),
        ([{"product_key": "PK", "device_key": "x" * 33}], 422, 8400),
        ([{"product_key": "PK", "device_key": "A1", "device_secret": "x" * 33}], 422, 8400),
        ([{"product_key": "PK", "device_key": "A1", "state": "active"}], 422, 8400),
        ([{"product_key": "PK", "device_key": "A1"}, {"product_key": "p1none", "device_key": "A2"}], 404, 5313),
    ],
)
async def test_an_import_is_refused_as_a_whole(http: Http, devices: Any, status: int, code: int) -> None:
    if isinstance(devices, list):
        devices = [{**one, "product_key": http.pk if one["product_key"] == "PK" else "p1none"} for one in devices]

    check(await http.operator.post(DEVICES + "/import", json=devices), status, code)

    assert check(await http.operator.get(DEVICES), 200)["total_count"] == 0


# ---- user domains and users


async def test_a_user_domain_is_created_and_its_secret_shown_once(http: Http) -> None:
    made = check(await http.operator.post(PREFIX + "/domains", json={"name": "Lamp App"}), 201)

    assert len(made["user_domain_secret"]) == 44
    listed = check(await http.operator.get(PREFIX + "/domains"), 200)["items"]
    assert listed[-1] == {**made, "user_domain_secret": None}


async def test_a_user_domain_takes_a_given_id_and_secret_once(http: Http) -> None:
    body = {"name": "moved", "user_domain": "C.DM.5903.1", "user_domain_secret": "EufftRJSuWuVY7c6txzGifV9"}

    assert check(await http.operator.post(PREFIX + "/domains", json=body), 201).items() >= body.items()

    check(await http.operator.post(PREFIX + "/domains", json=body), 409, 5014)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"name": ""},
        {"name": "x", "user_domain": ""},
        {"name": "x", "user_domain": "a b"},
        {"name": "x", "user_domain": "ü"},
        {"name": "x", "user_domain": "x" * 65},
        {"name": "x", "user_domain_secret": ""},
        {"name": "x", "user_domain_secret": "x" * 45},
        {"name": "x", "user_domain_secret": "a b"},
        {"name": "x", "uid": 1},
    ],
)
async def test_a_user_domain_is_refused(http: Http, body: dict[str, Any]) -> None:
    check(await http.operator.post(PREFIX + "/domains", json=body), 422, 8400)


async def test_a_user_is_created_and_can_sign_in(http: Http) -> None:
    body = {"email": "Dora@Example.com", "user_domain": http.domain.user_domain, "password": "secret3!"}

    made = check(await http.operator.post(PREFIX + "/users", json=body), 201)

    assert (made["email"], made["user_domain"], made["is_disabled"]) == (
        "dora@example.com",
        http.domain.user_domain,
        False,
    )
    assert (await http.stranger().sign_in(http.domain, "Dora@Example.com", "secret3!")).code == 200
    check(await http.operator.post(PREFIX + "/users", json=body), 409, 5039)
    page = check(await http.operator.get(PREFIX + "/users", params={"user_domain": http.domain.user_domain}), 200)
    assert page["total_count"] == 3
    assert "password" not in str(page)
    check(await http.operator.get(PREFIX + "/users", params={"user_domain": "Q.DM.0.0"}), 404, 5015)


async def test_text_that_does_not_fit_is_refused_with_its_place_and_form(http: Http) -> None:
    devices = [{"product_key": http.pk, "device_key": "no key"}]

    problem = check(await http.operator.post(DEVICES + "/import", json=devices), 422, 8400)

    assert problem["detail"] == "Expected text like `[0-9A-Za-z]{1,32}` - at `$[0].device_key`"


async def test_a_user_is_disabled_and_enabled(http: Http) -> None:
    app = http.stranger()
    body = {"email": "dora@example.com", "user_domain": http.domain.user_domain, "password": "secret3!"}
    path = f"{PREFIX}/users/{check(await http.operator.post(PREFIX + '/users', json=body), 201)['uid']}"
    sign_in = (http.domain, "dora@example.com", "secret3!")
    assert (await app.sign_in(*sign_in)).code == 200

    assert check(await http.operator.post(path + "/disable"), 200)["is_disabled"] is True

    assert (await app.sign_in(*sign_in)).code == 5486
    assert check(await http.operator.post(path + "/enable"), 200)["is_disabled"] is False
    assert (await app.sign_in(*sign_in)).code == 200
    check(await http.operator.post(PREFIX + "/users/C1/disable"), 404, 5033)


@pytest.mark.parametrize(
    ("changes", "status", "code"),
    [
        ({"email": "no address"}, 422, 5040),
        ({"email": ""}, 422, 8400),
        ({"password": "short"}, 422, 5056),
        ({"password": None}, 422, 8400),
        ({"user_domain": "Q.DM.0.0"}, 404, 5015),
        ({"uid": "C1"}, 422, 8400),
    ],
)
async def test_a_user_is_refused(http: Http, changes: dict[str, Any], status: int, code: int) -> None:
    body = {"email": "e@example.com", "user_domain": http.domain.user_domain, "password": "secret3!", **changes}

    problem = check(await http.operator.post(PREFIX + "/users", json=body), status, code)

    assert "secret3!" not in str(problem)
    assert check(await http.operator.get(PREFIX + "/users"), 200)["total_count"] == 2


# ---- audit, server


async def test_the_audit_log_is_read_by_device_and_checked(http: Http) -> None:
    await http.owned("D1")
    await http.owned("D2", http.bob)

    of_one = check(await http.operator.get(PREFIX + "/audit", params={"product_key": http.pk, "device_key": "D1"}), 200)
    every = check(await http.operator.get(PREFIX + "/audit", params={"page_size": 2}), 200)

    assert {entry["device_key"] for entry in of_one["items"]} == {"D1"}
    bound = next(entry for entry in of_one["items"] if entry["action"] == "owner.bound")
    assert (bound["who"], bound["result"]) == (f"user {http.alice.uid}", "ok")
    assert bound["peer"].startswith("192.0.2.")
    assert [entry["seq"] for entry in every["items"]] == [every["total_count"], every["total_count"] - 1]
    assert CODE not in str(of_one)
    checked = check(await http.operator.get(PREFIX + "/audit/check"), 200)
    assert checked == {"entry_count": every["total_count"], "problem": None, "last_hash": every["items"][0]["hash"]}


async def test_what_users_are_refused_for_guessing_is_in_the_audit_log(http: Http) -> None:
    entry = await http.world.device(http.product)
    await http.world.report(entry)

    assert (await http.bob.bind(http.pk, "D1", "0" * 16)).code == 5462

    newest = check(await http.operator.get(PREFIX + "/audit"), 200)["items"][0]
    assert (newest["action"], newest["result"], newest["who"]) == (
        "owner.refused",
        "refused 5462",
        f"user {http.bob.uid}",
    )


async def test_the_server_tells_what_it_holds(http: Http) -> None:
    await http.world.device(http.product)
    http.world.center.presence.online(await http.world.device(http.product, "D2"), "10.0.0.1")

    server = check(await http.operator.get(PREFIX + "/server"), 200)

    assert (server["product_count"], server["device_count"], server["online_count"]) == (1, 2, 1)
    assert server["now"] == int(http.world.clock.now() * 1000)


# ---- bodies


@pytest.mark.parametrize(
    ("content", "content_type", "status"),
    [
        (b'{"name":"x"}', "text/plain", 415),
        (b"name=x", "application/x-www-form-urlencoded", 415),
        (b'{"name":"x"}', "", 415),
        (b"", "application/json", 400),
        (b"{", "application/json", 400),
        (b"null", "application/json", 422),
        (b'{"name":"x","name":"y"}', "application/json", 400),
        (b'{"name":"\xff"}', "application/json", 400),
        (b'{"name":"\\ud800"}', "application/json", 400),
        (b'{"name":' + b"[" * 5000, "application/json", 400),
        (b'{"name":"x","device_limit":1e999}', "application/json", 400),
        (b'{"name":"x","device_limit":' + b"9" * 5000 + b"}", "application/json", 400),
        (b'{"name":"' + b"x" * 270_000 + b'"}', "application/json", 413),
    ],
)
async def test_a_body_that_cannot_be_read_is_refused(
    http: Http, content: bytes, content_type: str, status: int
) -> None:
    headers = {"content-type": content_type} if content_type else {}

    check(await http.operator.post(PRODUCTS, content=content, headers=headers), status, 8400)

    assert check(await http.operator.get(PRODUCTS), 200)["total_count"] == 1


@pytest.mark.parametrize(
    "path",
    [
        f"{PRODUCTS}/%00",
        f"{PRODUCTS}/%C3%A9",
        f"{PRODUCTS}/..%2F..",
        f"{DEVICES}/%00/%00",
        f"{DEVICES}/p1/" + "x" * 5000,
        f"{PRODUCTS}/' OR 1=1",
    ],
)
async def test_a_strange_id_is_not_found(http: Http, path: str) -> None:
    response = await http.operator.get(path)

    assert response.status_code == 404
    assert response.headers["content-type"] == "application/problem+json"
