"""The app as a whole: what no API serves, methods, bodies that never end, and what must never be logged or told."""

import asyncio
import logging
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from prometheus_client import CollectorRegistry, Counter

from quecbind.center.http import app
from quecbind.center.http.headers import SAFE_HEADERS
from quecbind.center.http.limits import Limits
from quecbind.center.services.errors import StorageError
from tests.center.http.callers import BINDING, ENDUSER, Http, sign_in_fields
from tests.center.services.world import CODE


async def test_health_says_ok_to_anybody(http: Http) -> None:
    response = await http.stranger().client.get("/healthz")

    assert (response.status_code, response.json()) == (200, {"status": "ok"})


async def test_metrics_show_the_given_registry(http: Http) -> None:
    registry = CollectorRegistry()
    Counter("things", "What happened.", registry=registry).inc()
    transport = httpx.ASGITransport(app.build(http.world.center, registry))

    async with httpx.AsyncClient(transport=transport, base_url="http://center") as client:
        response = await client.get("/metrics")

    assert response.status_code == 200
    assert response.headers["content-type"].startswith("text/plain")
    assert "things_total 1.0" in response.text


async def test_without_a_registry_there_are_no_metrics(http: Http) -> None:
    assert (await http.stranger().client.get("/metrics")).status_code == 404


@pytest.mark.parametrize(
    "path",
    ["/", "/v2", "/v2/", "/v2/enduser/enduserapi/noSuchCall", ENDUSER + "userInfo/", "/v2//enduser", "/favicon.ico"],
)
async def test_an_unknown_path_is_404_in_an_envelope_and_redirects_nowhere(http: Http, path: str) -> None:
    response = await http.alice.client.get(path, params={"token": "very-secret"})

    assert response.status_code == 404
    assert response.json() == {"code": 404, "msg": "there is nothing at this path", "data": None, "extMsg": None}
    assert "location" not in response.headers
    assert "very-secret" not in response.text


async def test_an_unknown_operator_path_is_404_as_a_problem(http: Http) -> None:
    response = await http.operator.get("/api/v1/nothing")

    assert (response.status_code, response.json()["code"]) == (404, 8404)
    assert response.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", ENDUSER + "emailPwdLogin", "OPTIONS, POST"),
        ("POST", ENDUSER + "refreshToken", "OPTIONS, PUT"),
        ("POST", BINDING + "userDeviceList", "GET, HEAD, OPTIONS"),
        ("GET", BINDING + "unbundlingDeviceDk", "DELETE, OPTIONS"),
        ("PUT", "/api/v1/products", "GET, HEAD, OPTIONS, POST"),
        ("POST", "/api/v1/products/p1abcd", "DELETE, GET, HEAD, OPTIONS, PATCH"),
        ("TRACE", "/healthz", "GET, HEAD, OPTIONS"),
        ("BREW", BINDING + "deviceInfo", "GET, HEAD, OPTIONS"),
    ],
)
async def test_another_method_is_405_and_says_which_are_served(
    http: Http, method: str, path: str, allowed: str
) -> None:
    response = await http.stranger().client.request(method, path)

    assert response.status_code == 405
    assert response.headers["allow"] == allowed
    assert SAFE_HEADERS.items() <= dict(response.headers).items()


async def test_a_method_override_overrides_nothing(http: Http) -> None:
    dk = await http.owned()
    headers = {"Authorization": str(http.alice.token), "X-HTTP-Method-Override": "DELETE"}

    response = await http.alice.client.get(
        BINDING + "unbundlingDeviceDk", params={"pk": http.pk, "dk": dk, "_method": "DELETE"}, headers=headers
    )

    assert response.status_code == 405
    assert await http.alice.device_keys() == [dk]


async def test_options_tells_the_methods_and_opens_nothing_to_other_sites(http: Http) -> None:
    headers = {"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"}

    response = await http.stranger().client.options(ENDUSER + "emailPwdLogin", headers=headers)

    assert (response.status_code, response.content) == (204, b"")
    assert response.headers["allow"] == "OPTIONS, POST"
    assert not [name for name in response.headers if name.startswith("access-control")]


async def test_head_is_get_without_its_authorisation_being_skipped(http: Http) -> None:
    assert (await http.stranger().client.head("/healthz")).status_code == 200
    assert (await http.stranger().client.head("/api/v1/products")).status_code == 401


async def endless() -> AsyncIterator[bytes]:
    while True:
        yield b"x" * 1000


async def test_a_chunked_body_without_end_is_not_read_to_its_end(http: Http) -> None:
    answer = await asyncio.wait_for(
        http.stranger().raw("POST", ENDUSER + "emailPwdLogin", content=endless()), timeout=10
    )

    assert answer.code == 8400
    assert "too large" in answer.msg


@pytest.mark.parametrize("announced", ["65537", "9" * 400])
async def test_an_announced_body_that_is_too_large_is_not_read_at_all(http: Http, announced: str) -> None:
    response = await http.stranger().client.post(
        ENDUSER + "emailPwdLogin", content=b"x", headers={"content-length": announced}
    )

    assert response.json()["code"] == 8400
    assert response.headers["connection"] == "close"


async def test_a_body_that_does_not_come_in_time_is_given_up(http: Http) -> None:
    async def stalled() -> AsyncIterator[bytes]:
        yield b"email="
        await asyncio.Event().wait()

    transport = httpx.ASGITransport(app.build(http.world.center, limits=Limits(body_time_s=0.05)))
    async with httpx.AsyncClient(transport=transport, base_url="http://center") as client:
        response = await asyncio.wait_for(client.post(ENDUSER + "emailPwdLogin", content=stalled()), timeout=10)

    assert response.json()["code"] == 8400


class Broken:
    """A storage of which every read fails, the way `error` says."""

    def __init__(self, storage: Any, error: Exception) -> None:
        self._storage, self._error = storage, error

    def read(self, _work: Any) -> Any:
        raise self._error

    def __getattr__(self, name: str) -> Any:
        return getattr(self._storage, name)


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [(RuntimeError("the password is hunter2"), 500, 5000), (StorageError("disk of hunter2"), 503, 8503)],
)
async def test_trouble_inside_is_told_without_details_and_logged_without_secrets(
    http: Http,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    error: Exception,
    status: int,
    code: int,
) -> None:
    center = http.world.center
    with monkeypatch.context() as patch:
        for service in (center.accounts, center.operators):
            patch.setattr(service, "_storage", Broken(center.storage, error))

        app_answer = await http.alice.call("GET", ENDUSER + "userInfo", email="alice@example.com")
        operator_answer = await http.operator.get("/api/v1/products", params={"page": 1})

    assert (app_answer.code, app_answer.data) == (5000, None)
    assert (operator_answer.status_code, operator_answer.json()["code"]) == (status, code)
    assert "hunter2" not in app_answer.msg + operator_answer.text + caplog.text
    assert "alice@example.com" not in caplog.text
    assert [record.levelname for record in caplog.records] == ["ERROR", "ERROR"]
    assert ENDUSER + "userInfo" in caplog.text


async def test_no_secret_of_a_whole_visit_is_logged(http: Http, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "quecbind")
    app_user = http.stranger()
    fields = sign_in_fields(http.domain, "alice@example.com")
    await app_user.sign_in(http.domain, "alice@example.com", carrier="query")
    await app_user.sign_in(http.domain, "alice@example.com", "wrong-1", carrier="query")
    dk = await http.owned()
    key = (await http.alice.call("POST", "getAuthKey", pk=http.pk, dk=dk)).data["authKey"]
    await http.bob.bind(http.pk, dk, CODE[::-1])
    await http.alice.call("PUT", ENDUSER + "refreshToken", refreshToken=http.alice.refresh_token)
    access_key = http.operator.headers["Authorization"].removeprefix("Bearer ")
    await http.operator.get("/api/v1/products", headers={"Authorization": f"Bearer {access_key}x"})

    secrets = [
        fields["pwd"],
        fields["signature"],
        str(http.alice.token),
        http.alice.refresh_token,
        str(app_user.token),
        key,
        CODE,
        CODE[::-1],
        access_key,
        http.domain.user_domain_secret,
        http.product.product_secret,
    ]
    assert caplog.text
    assert [secret for secret in secrets if secret in caplog.text] == []
