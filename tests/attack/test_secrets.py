"""IDENTITY, secrets: after all else, whatever the suite made the server say, write or list is searched for secrets."""

from __future__ import annotations

import base64
import json
import urllib.parse
from collections.abc import Iterator

import pytest

from tests.attack.conftest import CODE, Scene
from tests.attack.stranger import log_in
from tests.e2e.conftest import BINDING
from tests.e2e.wire_by_hand import login_password
from tests.tables import Row


@pytest.fixture
def produced(scene: Scene) -> dict[str, str]:
    """All the server has shown, by where; with at least one of everything that is secret gone through it."""
    world = scene.new_world()
    dk, secret = scene.active(world)
    owner, stranger = scene.new_user(world), scene.new_user(world)
    with scene.raw(world, dk) as device:
        assert device.connect(login_password(world.ps, secret)) == 0
        device.report_bind_code(scene.secret("bind code", CODE))
    bound = owner.bind(dk, CODE)
    assert bound["code"] == 200
    scene.secret("auth key", bound["data"]["authKey"])
    shared = {"pk": world.pk, "dk": dk, "coverMark": 2, "acceptingExpireAt": 253_402_300_000_000}
    invited = [scene.center.call("POST", BINDING + "shareInfo", owner.token, shared) for _ in range(2)]
    for answer in invited:
        scene.secret("share code", answer["data"])
    for code in (invited[0]["data"], invited[0]["data"], invited[1]["data"][::-1]):
        scene.center.call("POST", BINDING + "shareDevice", stranger.token, {"shareCode": code})
    scene.center.call("DELETE", BINDING + "ownerUserUnshareDevice", owner.token, shareCode=invited[0]["data"])
    status, key = scene.operator("POST", "/keys", {"name": "searched for"})
    assert status == 201
    scene.secret("access key", key["access_key"])
    with scene.raw(world, dk) as device:
        assert log_in(device, login_password(world.ps, secret[::-1])) == "CONNACK 5"
    assert stranger.bind(dk, "F" * 16)["code"] != 200
    scene.center.call("GET", "/v2/enduser/enduserapi/userInfo", owner.token[:-1])

    lists = "".join(json.dumps(item) for item in listed(scene, world.pk, dk))
    app = json.dumps(scene.center.call("GET", BINDING + "userDeviceList", stranger.token, page=1, pageSize=100))
    return {
        "what serve printed": scene.printed(),
        "refusals": "\n".join(scene.center.refusals),
        "the operators' lists": lists,
        "the audit log": "".join(json.dumps(page) for page in pages(scene, "/audit?")),
        "a stranger's list": app,
        "/metrics and /healthz": scene.text("/metrics") + scene.text("/healthz"),
        "the data at rest": stored(scene),
    }


def listed(scene: Scene, pk: str, dk: str) -> Iterator[object]:
    for path in ("/products?", "/devices?", "/domains?", "/users?", "/keys?"):
        yield from pages(scene, path)
    for path in (f"/products/{pk}", f"/devices/{pk}/{dk}", "/server", "/openapi.json", "/audit/check"):
        status, answer = scene.operator("GET", path)
        assert status == 200
        yield answer


def pages(scene: Scene, path: str) -> Iterator[object]:
    number = 0
    while True:
        number += 1
        status, answer = scene.operator("GET", f"{path}page={number}&page_size=100")
        assert status == 200, answer
        yield answer
        if number * 100 >= answer["total_count"]:
            return


def stored(scene: Scene) -> str:
    return "".join(
        file.read_bytes().decode("latin-1") for file in sorted(scene.center.data.glob("quecbind.db*")) if file.is_file()
    )


def disguises(secret: str) -> set[str]:
    """How it could stand in a text: plain, quoted for a URL, as hexadecimal, as Base64."""
    bare = secret.removeprefix("Bearer ")
    return {bare, urllib.parse.quote(bare, safe=""), bare.encode().hex(), base64.b64encode(bare.encode()).decode()}


def found_in(text: str, scene: Scene) -> list[str]:
    """The kinds of secrets that stand in it."""
    return sorted(
        kind
        for kind, secrets in scene.secrets.items()
        if any(form in text for secret in secrets for form in disguises(secret))
    )


@pytest.mark.last
def test_search_everything_for_secrets(scene: Scene, produced: dict[str, str], row: Row) -> None:
    assert set(scene.secrets) >= {
        "product secret", "device secret", "user domain secret", "password", "token", "bind code", "auth key",
        "access key", "share code",
    }  # fmt: skip
    assert all(produced.values())
    for place, text in produced.items():
        row(f"secrets in {place}", [], found_in(text, scene))


@pytest.mark.last
def test_the_search_finds_what_is_there(scene: Scene) -> None:
    status, key = scene.operator("POST", "/keys", {"name": "found"})
    assert status == 201
    scene.secret("access key", key["access_key"])

    assert found_in(json.dumps(key), scene) == ["access key"]
    assert found_in("of " + key["access_key"].encode().hex(), scene) == ["access key"]
