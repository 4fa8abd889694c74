"""HTTP: requests that can be read in two ways, paths that look like others, requests within requests, and cookies."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import urllib.parse
from collections.abc import Iterator
from pathlib import Path

import pytest

from quecbind.center.http import binding, data, enduser
from tests.attack.crowd import BINDING, CODE, ENDUSER, Caller, Crowd, run_crowd
from tests.tables import Row

pytestmark = pytest.mark.enable_socket

INVALID, NO_TOKEN, BIND = 8400, 5106, BINDING + "v2/deviceBindingByWifi"
JSON = "application/json"
MAX_PER_ADDRESS = 200
UPGRADE = (
    b"GET /ws/v1 HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n\x88\x80\0\0\0\0"
)


@pytest.fixture(scope="module")
def crowd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Crowd]:
    yield from run_crowd(
        tmp_path_factory.mktemp("crowd"),
        130,
        "--http-idle-time",
        "2",
        "--max-http-connections-per-address",
        str(MAX_PER_ADDRESS),
    )


@pytest.fixture(autouse=True)
def devices_leave(crowd: Crowd) -> Iterator[None]:
    yield
    while crowd.devices:
        crowd.devices.pop().leave()


def test_fields_that_nobody_asks_for_give_nothing(crowd: Crowd, row: Row) -> None:
    device, thief, victim = crowd.device(), crowd.person(), crowd.person()
    device.report()
    extra = {"owner": victim.uid, "uid": victim.uid, "role": "admin", "isAdmin": True, "expiry": 2**62, "epoch": 99}
    extra |= {"bindMode": "multi", "userDomain": "other", "__proto__": {"role": "admin"}, "bindingType": 9}

    row("a bind that names owner, uid, role, expiry", 200, thief.bind(device.product, device.dk, CODE, **extra))
    row("... belongs to the token's user alone", [thief.uid], device.owners())
    row(
        "a list of another user's devices by uid",
        [],
        crowd.person().call("GET", BINDING + "userDeviceList", uid=thief.uid)["data"]["list"],
    )


def _bodies(pk: str, dk: str) -> list[tuple[str, bytes, str, int]]:
    good = json.dumps({"productKey": pk, "deviceKey": dk, "bindingCode": CODE})
    inside, many = good[1:-1], ",".join(f'"f{n}":1' for n in range(70))
    return [
        ("a key twice", f'{{{inside},"deviceKey":"other"}}'.encode(), JSON, INVALID),
        ("a key twice, the same value", f'{{{inside},"deviceKey":"{dk}"}}'.encode(), JSON, INVALID),
        ("a key twice, once escaped", f'{{{inside},"device\\u004bey":"other"}}'.encode(), JSON, INVALID),
        ("a number of 31 digits", f'{{{inside},"n":1{"0" * 30}}}'.encode(), JSON, INVALID),
        ("a number of 50,000 digits", f'{{{inside},"n":{"9" * 50000}}}'.encode(), JSON, INVALID),
        ("1e999", f'{{{inside},"n":1e999}}'.encode(), JSON, INVALID),
        ("NaN", f'{{{inside},"n":NaN}}'.encode(), JSON, INVALID),
        ("9 levels", f'{{{inside},"n":{"[" * 9}{"]" * 9}}}'.encode(), JSON, INVALID),
        ("30,000 levels", f'{{{inside},"n":{"[" * 30000}'.encode(), JSON, INVALID),
        ("70 fields", f"{{{inside},{many}}}".encode(), JSON, INVALID),
        ("100 KB", f'{{{inside},"n":"{"a" * 100_000}"}}'.encode(), JSON, INVALID),
        ("no UTF-8", f'{{{inside},"n":"'.encode() + b'\xff\xfe"}', JSON, INVALID),
        ("UTF-16", good.encode("utf-16"), JSON, INVALID),
        ("half a surrogate pair", f'{{{inside},"n":"\\ud800"}}'.encode(), JSON, INVALID),
        ("a list of requests", f"[{good}]".encode(), JSON, INVALID),
        ("two documents", (good + good).encode(), JSON, INVALID),
        ("a comment", f"/**/{good}".encode(), JSON, INVALID),
        ("a form called JSON", urllib.parse.urlencode(json.loads(good)).encode(), JSON, INVALID),
        ("XML", b'<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><a>&b;</a>', "application/xml", 5179),
        ("a form with a name twice", f"productKey={pk}&deviceKey={dk}&deviceKey=x".encode(), "text/plain", INVALID),
        ("multipart without boundary", good.encode(), "multipart/form-data", INVALID),
        ("nothing", b"", JSON, 5179),
    ]


@pytest.mark.parametrize("number", range(len(_bodies("", ""))), ids=[body[0] for body in _bodies("", "")])
def test_a_body_that_can_be_read_in_two_ways_is_refused(crowd: Crowd, row: Row, number: int) -> None:
    device, who = crowd.device(), crowd.person("127.7.0.1")
    device.report()
    name, content, content_type, expected = _bodies(device.product.key, device.dk)[number]

    headers = {"Authorization": who.token, "Content-Type": content_type}
    status, _, answer = who.request("POST", BIND, content, headers)

    row("body: " + name, (200, expected), (status, json.loads(answer)["code"]))
    row("... and nobody owns the device", [], who.device_keys())


@pytest.mark.parametrize(
    ("name", "path", "expected"),
    [
        ("two slashes", "//v2/binding/enduserapi/userDeviceList", 404),
        ("two slashes within", "/v2//binding/enduserapi/userDeviceList", 404),
        ("a dot", "/v2/./binding/enduserapi/userDeviceList", 404),
        ("..", "/v2/x/../binding/enduserapi/userDeviceList", 404),
        ("%2e%2e", "/v2/x/%2e%2e/binding/enduserapi/userDeviceList", 404),
        ("%252e", "/v2/%252e/binding/enduserapi/userDeviceList", 404),
        ("%2f", "/v2%2fbinding%2fenduserapi%2fuserDeviceList/", 404),
        ("%2f between its parts", "/v2%2fbinding/enduserapi/userDeviceList", 404),
        ("a letter as %75", BINDING + "%75serDeviceList", 404),
        ("the operators', %2f", "/api%2fv1/openapi.json", 404),
        ("the operators', a letter", "/%61pi/v1/openapi.json", 404),
        ("metrics, a letter", "/%6detrics", 404),
        ("a percent sign and no more", BINDING + "userDeviceList%", 404),
        ("a trailing slash", BINDING + "userDeviceList/", 404),
        ("a trailing dot", BINDING + "userDeviceList.", 404),
        ("a trailing NUL", BINDING + "userDeviceList%00", 404),
        ("an overlong dot", BINDING + "%c0%ae/userDeviceList", 404),
        ("a path parameter", BINDING + "userDeviceList;a=b", 404),
        ("a backslash", "/v2\\binding/enduserapi/userDeviceList", 404),
        ("upper case", BINDING + "USERDEVICELIST", 404),
        ("an extension", BINDING + "userDeviceList.json", 404),
        ("the file system", "/../../../../etc/passwd", 404),
        ("the file system, encoded", "/%2e%2e/%2e%2e/etc/passwd", 404),
        ("30,000 characters", "/" + "a" * 30_000, 404),
        ("60,000 characters", "/" + "a" * 60_000, 400),
    ],
)
def test_a_path_that_looks_like_another_is_nobodys(crowd: Crowd, row: Row, name: str, path: str, expected: int) -> None:
    who = crowd.person("127.7.0.2")
    row("path: " + name, expected, who.request("GET", path, None, {"Authorization": who.token})[0])


def test_the_wrong_method_does_nothing(crowd: Crowd, row: Row) -> None:
    device, owner = crowd.device(), crowd.person()
    device.bound_to(owner)
    path = f"{BINDING}unbundlingDeviceDk?pk={device.product.key}&dk={device.dk}"
    got = {}
    for method in ("GET", "POST", "PUT", "HEAD", "TRACE", "PATCH"):
        headers = {"Authorization": owner.token, "X-HTTP-Method-Override": "DELETE", "X-Method-Override": "DELETE"}
        got[method] = owner.request(method, path, None, headers)[0]
    row("an unbind by any other method, overridden", {405}, set(got.values()))
    row("... and the device is still owned", [device.dk], owner.device_keys())


def test_there_is_nothing_to_forge_a_request_with(crowd: Crowd, row: Row) -> None:
    who, headers = crowd.person(), []
    cookie = f"token={who.token}; Authorization={who.token}; session={who.token}"
    answered = set()
    for endpoint in (*binding.ENDPOINTS, *data.ENDPOINTS, *enduser.ENDPOINTS):
        forged = {"Cookie": cookie, "Origin": "https://evil.example", "Content-Type": "text/plain"}
        _, came, answer = who.request(endpoint.method, endpoint.path, b"{}", forged)
        headers += came
        if endpoint.path.startswith(BINDING):
            answered.add(json.loads(answer)["code"])
    for path in (BIND, "/api/v1/products"):
        headers += who.request(
            "OPTIONS", path, None, {"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"}
        )[1]
    names = {name.lower() for name, _ in headers}
    row("a token in a cookie, on every binding endpoint", {NO_TOKEN}, answered)
    row("Set-Cookie anywhere", False, "set-cookie" in names)
    row("another origin allowed anywhere", [], sorted(name for name in names if name.startswith("access-control")))
    path = BINDING + "userDeviceList?" + urllib.parse.urlencode({"token": who.token, "Authorization": who.token})
    row("a token in the query", NO_TOKEN, json.loads(Caller(crowd.center, "127.7.0.3").request("GET", path)[2])["code"])


@pytest.mark.parametrize(
    "markup",
    [
        "<script>alert(1)</script>",
        "{{7*7}}${7*7}",
        '"><img src=x onerror=a>',
        "a\r\nSet-Cookie: x=1",
        "=cmd|' /C calc'!A0",
        "\u202egnp.exe",
    ],
)
def test_markup_in_a_name_stays_text(crowd: Crowd, row: Row, markup: str) -> None:
    device, owner = crowd.device(), crowd.person()
    device.bound_to(owner)
    renamed = owner.call(
        "PUT", BINDING + "setDeviceInfo", {"pk": device.product.key, "dk": device.dk, "deviceName": markup}
    )
    _, headers, answer = owner.request("GET", BINDING + "userDeviceList", None, {"Authorization": owner.token})
    named = {name.lower(): value for name, value in headers}
    row(f"a device called {markup!a}", 200, renamed["code"])
    row(
        "... comes back as it is, in JSON, not to be guessed at",
        (markup, JSON, "nosniff"),
        (json.loads(answer)["data"]["list"][0]["deviceName"], named["content-type"], named["x-content-type-options"]),
    )
    row("... and sets no header", False, "set-cookie" in named)


def _smuggled(kind: str, inside: bytes) -> bytes:
    head = b"POST /v2/enduser/enduserapi/emailPwdLogin HTTP/1.1\r\nHost: a\r\n"
    size = str(len(inside)).encode()
    chunked = b"0\r\n\r\n" + inside
    total = str(len(chunked)).encode()
    return {
        "Content-Length and chunked": head
        + b"Content-Length: "
        + total
        + b"\r\nTransfer-Encoding: chunked\r\n\r\n"
        + chunked,
        "chunked and Content-Length": head
        + b"Transfer-Encoding: chunked\r\nContent-Length: "
        + total
        + b"\r\n\r\n"
        + chunked,
        "two Content-Lengths": head + b"Content-Length: 0\r\nContent-Length: " + size + b"\r\n\r\n" + inside,
        "a list of Content-Lengths": head + b"Content-Length: 0, " + size + b"\r\n\r\n" + inside,
        "a negative Content-Length": head + b"Content-Length: -1\r\n\r\n" + inside,
        "a Content-Length past 64 bits": head + b"Content-Length: 99999999999999999999999\r\n\r\n" + inside,
        "a Content-Length with a plus": head + b"Content-Length: +0\r\n\r\n" + inside,
        "a folded header": head + b"X: a\r\n Content-Length: 0\r\n\r\n" + inside,
        "a folded Transfer-Encoding": head
        + b"Transfer-Encoding:\r\n chunked\r\nContent-Length: "
        + total
        + b"\r\n\r\n"
        + chunked,
        "a space before the colon": head + b"Content-Length : 0\r\n\r\n" + inside,
        "an unknown Transfer-Encoding": head + b"Transfer-Encoding: xchunked\r\n\r\n" + inside,
        "chunked is not the last": head + b"Transfer-Encoding: chunked, identity\r\n\r\n" + chunked,
        "a chunk size past 64 bits": head + b"Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff1\r\n" + inside,
        "a bare CR in a header": head + b"X: a\rContent-Length: 0\r\n\r\n" + inside,
        "a NUL in a header": head + b"X: a\0b\r\n\r\n" + inside,
    }[kind]


@pytest.mark.parametrize(
    "kind",
    [
        "Content-Length and chunked",
        "chunked and Content-Length",
        "two Content-Lengths",
        "a list of Content-Lengths",
        "a negative Content-Length",
        "a Content-Length past 64 bits",
        "a Content-Length with a plus",
        "a folded header",
        "a folded Transfer-Encoding",
        "a space before the colon",
        "an unknown Transfer-Encoding",
        "chunked is not the last",
        "a chunk size past 64 bits",
        "a bare CR in a header",
        "a NUL in a header",
    ],
)
def test_a_request_whose_end_can_be_disputed_is_refused(crowd: Crowd, row: Row, kind: str) -> None:
    who = crowd.person("127.7.0.4")
    inside = f"GET {ENDUSER}userInfo HTTP/1.1\r\nHost: a\r\nAuthorization: {who.token}\r\n\r\n".encode()

    said = who.raw(_smuggled(kind, inside))

    row("smuggling: " + kind, (1, b"HTTP/1.1 400"), (said.count(b"HTTP/1.1 "), said[:12]))
    row("... and what was inside is not served", False, who.uid.encode() in said)


def test_pipelined_requests_are_answered_in_turn_each_with_its_own_token(crowd: Crowd, row: Row) -> None:
    people = crowd.people(3)
    asked = [f"GET {ENDUSER}userInfo HTTP/1.1\r\nHost: a\r\nAuthorization: {who.token}\r\n" for who in people]
    asked.append(f"GET {ENDUSER}userInfo HTTP/1.1\r\nHost: a\r\nConnection: close\r\n")

    said = people[0].raw("".join(request + "\r\n" for request in asked).encode())

    bodies = [json.loads(part.partition(b"\r\n\r\n")[2]) for part in said.split(b"HTTP/1.1 200 OK")[1:]]
    row("four requests in one breath", [who.uid for who in people], [body["data"]["uid"] for body in bodies[:3]])
    row("... the last without a token", NO_TOKEN, bodies[3]["code"])


@pytest.mark.parametrize("name", ["no Host", "two Hosts", "two Hosts alike", "two tokens", "two content types"])
def test_a_request_that_says_twice_who_asks_whom_is_refused(crowd: Crowd, row: Row, name: str) -> None:
    who, other = crowd.people(2)
    heads = {
        "no Host": f"Authorization: {who.token}",
        "two Hosts": f"Host: a\r\nHost: b\r\nAuthorization: {who.token}",
        "two Hosts alike": f"Host: a\r\nHost: a\r\nAuthorization: {who.token}",
        "two tokens": f"Host: a\r\nAuthorization: {who.token}\r\nAuthorization: {other.token}",
        "two content types": f"Host: a\r\nAuthorization: {who.token}\r\nContent-Type: {JSON}\r\nContent-Type: a/b",
    }

    said = who.raw(f"GET {ENDUSER}userInfo HTTP/1.1\r\n{heads[name]}\r\nConnection: close\r\n\r\n".encode())

    row("said twice: " + name, b"HTTP/1.1 400", said[:12])
    row("... and nobody is told anything", False, b"uid" in said)


def test_a_head_of_33_kilobytes_is_refused_and_20_requests_in_one_breath_are_answered(crowd: Crowd, row: Row) -> None:
    who = crowd.person()
    head = f"GET {ENDUSER}userInfo HTTP/1.1\r\nHost: a\r\nAuthorization: {who.token}\r\n"
    large = head + f"X: {'a' * 33_000}\r\n\r\n"
    row("a head of 33 KB", False, who.uid.encode() in who.raw(large.encode()))
    small = (head + f"X: {'a' * 3_000}\r\n\r\n") * 20 + f"{head}Connection: close\r\n\r\n"
    row("20 heads of 4 KB in one breath, and one more", 21, who.raw(small.encode()).count(f'"{who.uid}"'.encode()))


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a header of 1 MB", b"GET / HTTP/1.1\r\nX: " + b"a" * 1_000_000 + b"\r\n\r\n"),
        ("100,000 headers", b"GET / HTTP/1.1\r\n" + b"a: b\r\n" * 100_000 + b"\r\n"),
        ("a request line that never ends", b"GET /" + b"a" * 1_000_000),
        ("TLS on the plain port", bytes.fromhex("16030100c8010000c40303") + b"\0" * 200),
        ("MQTT on the HTTP port", b"\x10\x10\0\4MQTT\4\2\0\x3c\0\4abcd"),
        ("nothing but line feeds", b"\n" * 100_000),
        ("half a head, and then silence", b"GET / HTTP/1.1\r\nHost: a\r\n"),
        ("silence", b""),
    ],
)
def test_a_head_that_is_too_large_or_never_ends_costs_a_bounded_time(
    crowd: Crowd, row: Row, name: str, data: bytes
) -> None:
    with_end = crowd.person("127.7.0.5").raw(data)  # ends the test when the server does not close

    row(f"head: {name}", True, with_end[:12] in {b"", b"HTTP/1.1 400", b"HTTP/1.1 404", b"HTTP/1.1 431"})
    row("... and the server serves", 200, crowd.person("127.7.0.5").request("GET", "/healthz")[0])


def test_slow_heads_do_not_keep_others_out(crowd: Crowd, row: Row) -> None:
    who = crowd.person()
    slow = [threading.Thread(target=who.raw, args=(b"POST / HTTP/1.1\r\nContent-Le",)) for _ in range(50)]
    for thread in slow:
        thread.start()
    row("50 heads that never end, meanwhile", 200, who.request("GET", "/healthz")[0])
    for thread in slow:
        thread.join(15)
    row("... how many are still held", 0, sum(thread.is_alive() for thread in slow))


def test_requests_that_nobody_waits_for_are_not_kept(crowd: Crowd, row: Row) -> None:
    many = b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n" * 1_000

    def pour() -> bool:
        with socket.create_connection((crowd.center.host, crowd.center.http_port), 10) as line:
            try:
                for _ in range(100):
                    line.sendall(many)
            except OSError:
                return True
        return False

    before = memory_kib(crowd)
    row("100,000 requests in one breath, ten times: closed", [True] * 10, [pour() for _ in range(10)])
    row("... and memory grows by less than 16 MiB", True, memory_kib(crowd) - before < 16 * 1024)
    row("... and the server serves", 200, Caller(crowd.center, "127.7.0.7").request("GET", "/healthz")[0])


@pytest.mark.parametrize(
    ("name", "path", "more"),
    [
        ("a body of chunks, at a path that reads none", "/healthz", b"1\r\na\r\n" * 10_000),
        ("a body of chunks, at no path", "/nothing", b"1\r\na\r\n" * 10_000),
        ("a body of chunks, at a path that reads it", ENDUSER + "emailPwdLogin", b"1\r\na\r\n" * 10_000),
        ("a body of empty lines", ENDUSER + "emailPwdLogin", b"4\r\n\r\n\r\n\r\n" * 10_000),
        ("headers behind a body", ENDUSER + "emailPwdLogin", b"0\r\n" + b"X: y\r\n" * 10_000),
        ("a body of a terabyte", "/healthz", b"a" * 60_000),
    ],
)
def test_what_never_ends_ends_its_connection(crowd: Crowd, row: Row, name: str, path: str, more: bytes) -> None:
    length = "Content-Length: 1000000000000" if b"a" * 100 in more else "Transfer-Encoding: chunked"
    sent = 0
    with socket.create_connection((crowd.center.host, crowd.center.http_port), 10) as line:
        line.sendall(f"POST {path} HTTP/1.1\r\nHost: a\r\n{length}\r\n\r\n".encode())
        with contextlib.suppress(OSError):
            while sent < 100 * 1024 * 1024:
                line.sendall(more)
                sent += len(more)
    row(f"{name}, without end: more than 20 MiB taken", False, sent > 20 * 1024 * 1024)


def test_one_address_cannot_hold_all_places(crowd: Crowd, row: Row) -> None:
    place = (crowd.center.host, crowd.center.http_port)
    with contextlib.ExitStack() as held:
        for _ in range(MAX_PER_ADDRESS):
            held.enter_context(socket.create_connection(place, 10, ("127.9.9.7", 0))).sendall(b"GET / HTTP/1.1\r\n")
        more = held.enter_context(socket.create_connection(place, 10, ("127.9.9.7", 0)))
        row("200 connections of one address are held, as many as it may: one more", b"", more.recv(1))
        row("... another address", 200, Caller(crowd.center, "127.7.0.7").request("GET", "/healthz")[0])
        row("... a WebSocket there", True, b" 101 " in Caller(crowd.center, "127.7.0.7").raw(UPGRADE)[:20])


def test_what_is_no_http_fills_no_log(crowd: Crowd, row: Row) -> None:
    before = crowd.center.log.stat().st_size
    upgrade = b"GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: upgrade, close\r\nUpgrade: h2c\r\n\r\n"
    part = b"--b\r\nContent-Disposition: form-data; name*0*=a; name*=b\r\n\r\nx\r\n--b--\r\n"
    head = f"POST {ENDUSER}emailPwdLogin HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: {len(part)}\r\n"
    post = head.encode() + b"Content-Type: multipart/form-data; boundary=b\r\n\r\n" + part

    for unreadable in (b"\0\1\2\r\n\r\n", b"GET http://[ HTTP/1.1\r\n\r\n", upgrade, post):
        for _ in range(20):
            Caller(crowd.center, "127.7.0.6").raw(unreadable)

    row("80 requests that cannot be read: bytes of log", 0, crowd.center.log.stat().st_size - before)


def memory_kib(crowd: Crowd) -> int:
    assert crowd.center.process is not None
    status = Path(f"/proc/{crowd.center.process.pid}/status").read_text()
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith("VmRSS:")))
