"""What a proxy and this server could read differently is refused before anybody looks at it."""

from http import HTTPStatus

import pytest

from quecbind.center.http.one_reading import refusal_of
from tests.center.http.callers import ENDUSER, Http

HOST = (b"host", b"center.example")
NOT_FOUND, BAD_REQUEST = HTTPStatus.NOT_FOUND, HTTPStatus.BAD_REQUEST


def status_of(
    path: bytes = b"/healthz", version: str = "1.1", headers: tuple[tuple[bytes, bytes], ...] = (HOST,)
) -> int:
    refused = refusal_of(path, version, headers)
    return 200 if refused is None else refused[0]


@pytest.mark.parametrize(
    "path",
    [
        b"/v2%2fenduser/enduserapi/userInfo",
        b"/api%2Fv1/server",
        b"/%61pi/v1/server",
        b"/%6detrics",
        b"/healthz%00",
        b"/100%",
        b"//metrics",
        b"/api//v1/server",
        b"/api/v1/server//",
        b"/./metrics",
        b"/api/../metrics",
        b"/api/v1/..",
        b"/api/v1/.",
        b"/metrics;a=b",
        b"/;/metrics",
        b"/api\\v1",
    ],
)
def test_a_path_with_another_spelling_is_nobodys(path: bytes) -> None:
    assert status_of(path) == NOT_FOUND


@pytest.mark.parametrize("path", [b"/", b"/metrics", b"/api/v1/devices/p1aB3c/..a", b"/ws/v1", b"*", b""])
def test_a_plain_path_is_let_through(path: bytes) -> None:
    assert status_of(path) == 200


@pytest.mark.parametrize(
    ("version", "headers", "status"),
    [
        ("1.1", (), BAD_REQUEST),
        ("1.0", (), 200),
        ("1.1", (HOST, HOST), BAD_REQUEST),
        ("1.0", (HOST, HOST), BAD_REQUEST),
        ("1.1", (HOST, (b"host", b"other")), BAD_REQUEST),
        ("1.1", (HOST, (b"authorization", b"a"), (b"authorization", b"b")), BAD_REQUEST),
        ("1.1", (HOST, (b"authorization", b"a"), (b"authorization", b"a")), 200),
        ("1.1", (HOST, (b"authorization", b""), (b"authorization", b"a")), BAD_REQUEST),
        ("1.1", (HOST, (b"content-type", b"text/plain"), (b"content-type", b"application/json")), BAD_REQUEST),
        ("1.1", (HOST, (b"transfer-encoding", b"Chunked")), 200),
        ("1.1", (HOST, (b"transfer-encoding", b"gzip, chunked")), BAD_REQUEST),
        ("1.1", (HOST, (b"transfer-encoding", b"gzip"), (b"transfer-encoding", b"chunked")), BAD_REQUEST),
        ("1.1", (HOST, (b"accept", b"a"), (b"accept", b"b")), 200),
    ],
)
def test_host_and_token_are_named_once(version: str, headers: tuple[tuple[bytes, bytes], ...], status: int) -> None:
    assert status_of(version=version, headers=headers) == status


async def test_another_spelling_is_answered_in_the_words_of_the_api_it_means(http: Http) -> None:
    operators = await http.operator.get("/%61pi/v1/server")
    apps = await http.alice.client.get("/v2%2fenduser/enduserapi/userInfo", headers={"authorization": http.alice.token})

    assert (operators.status_code, operators.json()["code"]) == (404, 8404)
    assert (apps.status_code, apps.json()["code"]) == (404, 404)
    assert apps.headers["x-content-type-options"] == "nosniff"


async def test_two_tokens_are_nobodys(http: Http) -> None:
    pair = [("authorization", http.alice.token or ""), ("authorization", http.bob.token or "")]

    answer = await http.stranger().client.get(ENDUSER + "userInfo", headers=pair)

    assert (answer.status_code, answer.json()["code"]) == (400, 400)
