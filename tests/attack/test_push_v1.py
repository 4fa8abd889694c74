"""Push, WebSocket v1: what somebody tries without a log-in, without a right, or with what is no message."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from urllib.parse import quote

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from tests.attack.app_lines import CLOSED, V1, asked
from tests.attack.conftest import Scene
from tests.attack.crowd import Caller, Crowd, Device, own_crowd
from tests.attack.push_scene import LOG_IN_TIME_S, PER_USER, Honest, Sleeper, run_push
from tests.attack.shares import accept, invite
from tests.tables import Row

pytestmark = pytest.mark.enable_socket

JSON_FORMAT, COMMAND_EMPTY, COMMAND_UNKNOWN, DATA_EMPTY, DATA_FORMAT, TOKEN_EMPTY = 4002, 4003, 4004, 4005, 4006, 4007
TOKEN_WRONG, LOGGED_IN_ALREADY, NOT_LOGGED_IN, NOT_BOUND, TYPE_UNKNOWN, TOO_FAST = 4008, 4009, 4010, 4011, 4012, 4019
TOO_MANY, PROPERTY_FORMAT, OPERATION_UNKNOWN = 4027, 4028, 4015
UNSUPPORTED, NOT_UTF8, TOO_BIG, PROTOCOL = "1003", 1007, 1009, "1002"
NOBODYS = "999999999999999"


@pytest.fixture(scope="module")
def crowd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Crowd]:
    yield from run_push(tmp_path_factory.mktemp("crowd"), 100)


@pytest.fixture(scope="module")
def listening(crowd: Crowd) -> Iterator[Honest]:
    with Honest(crowd) as honest:
        yield honest


@pytest.fixture
def honest(listening: Honest) -> Iterator[Honest]:
    """The owner's sessions, looked at again when the test is over."""
    yield listening
    assert listening.undisturbed() == "undisturbed"


def send(device: Device, **more: object) -> dict[str, object]:
    return {"productKey": device.product.key, "deviceKey": device.dk, "type": "RAW", "raw": "aGk=", **more}


@pytest.fixture
def own(crowd: Crowd, honest: Honest) -> Iterator[tuple[Caller, Device]]:
    """The attacker has an account and a device like any other."""
    who = crowd.person()
    device = crowd.device().bound_to(who)
    yield who, device
    device.leave()


def test_without_a_log_in_nothing_is_served(crowd: Crowd, honest: Honest, row: Row) -> None:
    asks = {"subscribe": [asked(honest.device)], "unsubscribe": [asked(honest.device)], "send": send(honest.device)}
    with contextlib.ExitStack() as opened:
        # All at once, so that their time is over at once.
        lines = {command: opened.enter_context(V1(crowd.center)) for command in asks}
        answers = {command: line.ask(command, asks[command]) for command, line in lines.items()}
        honest.report()
        heard = {command: line.heard() for command, line in lines.items()}

        for command, line in lines.items():
            row(f"WebSocket v1, {command} without a log-in", NOT_LOGGED_IN, answers[command])
            row("... what is heard of the device", [], heard[command])
            row(f"... closed when {LOG_IN_TIME_S} s are over", 1008, line.fate())


def mixed(who: Caller, other: Caller) -> str:
    return ".".join([*other.token.split(".")[:2], who.token.split(".")[2]])


@pytest.mark.parametrize(
    ("name", "token", "expected"),
    [
        ("none", lambda who, other: None, TOKEN_EMPTY),
        ("an empty one", lambda who, other: "", TOKEN_EMPTY),
        ("a list", lambda who, other: [who.token], TOKEN_WRONG),
        ("an object", lambda who, other: {"token": who.token}, TOKEN_WRONG),
        ("a refresh token", lambda who, other: who.refresh_token, TOKEN_WRONG),
        ("no token", lambda who, other: "let me in", TOKEN_WRONG),
        ("half a token", lambda who, other: who.token[: len(who.token) // 2], TOKEN_WRONG),
        ("one's own with the signature of another's", mixed, TOKEN_WRONG),
        ("half a surrogate pair", lambda who, other: "\ud800", TOKEN_WRONG),
        ("60,000 letters", lambda who, other: "a" * 60_000, TOKEN_WRONG),
    ],
)
def test_a_wrong_token_logs_nobody_in(crowd: Crowd, honest: Honest, row: Row, name: str, token, expected: int) -> None:
    who = crowd.person()
    with V1(crowd.center) as line:
        row(f"WebSocket v1, token: {name}", expected, line.ask("login", {"token": token(who, honest.owner)}))
        subscribed = line.ask("subscribe", [asked(honest.device)])
        row("... subscribing after it", True, subscribed in {NOT_LOGGED_IN, CLOSED})


def test_a_token_that_was_signed_out_logs_nobody_in(crowd: Crowd, honest: Honest, row: Row) -> None:
    who = crowd.person()
    with V1(crowd.center, who) as line:
        who.call("DELETE", "/v2/enduser/enduserapi/userLogout")
        row("WebSocket v1, the user signs out: the open connection", 1008, line.fate())
    with V1(crowd.center) as line:
        row("... the token again", TOKEN_WRONG, line.ask("login", {"token": who.token}))


def test_an_expired_token_logs_nobody_in(tmp_path, row: Row) -> None:
    with own_crowd(tmp_path, 2, has_stepped_clock=True) as crowd:
        who = crowd.person()
        crowd.step(8 * 24 * 3600)
        with V1(crowd.center) as line:
            row("WebSocket v1, an expired token", TOKEN_WRONG, line.ask("login", {"token": who.token}))


def test_a_second_log_in_changes_nothing(crowd: Crowd, honest: Honest, own: tuple[Caller, Device], row: Row) -> None:
    who, device = own
    with V1(crowd.center, who) as line:
        row(
            "WebSocket v1, a second log-in with the same token",
            LOGGED_IN_ALREADY,
            line.ask("login", {"token": who.token}),
        )
        row("... as another user", LOGGED_IN_ALREADY, line.ask("login", {"token": honest.owner.token}))
        row("... whose device it does not hear", NOT_BOUND, line.subscribe(honest.device))
        row("... one's own it does", 1, line.subscribe(device))


def test_anothers_device_is_answered_like_none(
    crowd: Crowd, honest: Honest, own: tuple[Caller, Device], row: Row
) -> None:
    who, device = own
    named = asked(honest.device)
    with V1(crowd.center, who) as line:
        for command in ("subscribe", "unsubscribe"):
            got = [line.ask(command, [{**named, "deviceKey": dk}]) for dk in (honest.device.dk, NOBODYS)]
            row(f"WebSocket v1, {command}: another's device, nobody's", [NOT_BOUND] * 2, got)
        for kind in ({"raw": "aGk="}, {"type": "READ-ATTR", "kv": "[1]"}, {"type": "WRITE-ATTR", "kv": '{"1":1}'}):
            got = [line.ask("send", send(honest.device, **kind, deviceKey=dk)) for dk in (honest.device.dk, NOBODYS)]
            row(f"... send {kind.get('type', 'RAW')}: another's device, nobody's", [NOT_BOUND] * 2, got)
        row("... subscribe with one's own product key and another's device key, and both of two products", NOT_BOUND,
            line.ask("subscribe", [{**named, "productKey": crowd.products["multi"].key}]))  # fmt: skip
        row("... one's own and another's in one list", [1, NOT_BOUND], many(line, [asked(device), named]))
        honest.report()
        row("... what is heard of another's device", [], line.heard())


def many(line: V1, data: list[dict[str, object]]) -> list[int]:
    line.say("subscribe", data)
    return [each["code"] for each in line.hear()["data"]]


def test_a_right_that_comes_later_does_not_wake_an_earlier_try(crowd: Crowd, honest: Honest, row: Row) -> None:
    member = crowd.person()
    with V1(crowd.center, member) as line:
        assert line.subscribe(honest.device) == NOT_BOUND
        code = invite(honest.owner, honest.device)
        assert accept(member, code) == 200
        honest.report()
        row("WebSocket v1, subscribed before the right: heard of the device when it comes", ["ENDUSER"],
            [one["type"] for one in line.heard()])  # fmt: skip
        row("... subscribed after it", 1, line.subscribe(honest.device))
        honest.report()
        row("... and then", ["MATTR"], [one["type"] for one in line.heard()])


@pytest.mark.parametrize(
    ("name", "data", "expected"),
    [
        ("nothing", "", JSON_FORMAT),
        ("no JSON", "cmd=login", JSON_FORMAT),
        ("a number", "1", JSON_FORMAT),
        ("a list", '["login"]', JSON_FORMAT),
        ("null", "null", JSON_FORMAT),
        ("NaN", '{"cmd": NaN}', JSON_FORMAT),
        ("9,000 levels", '{"cmd":' * 9_000, JSON_FORMAT),
        ("10,000 levels that close", '{"cmd":"subscribe","data":' + "[" * 10_000 + "]" * 10_000 + "}", JSON_FORMAT),
        ("a number of 60,000 digits", '{"cmd":' + "9" * 60_000 + "}", JSON_FORMAT),
        ("a command twice", '{"cmd":"login","cmd":"subscribe"}', JSON_FORMAT),
        ("a key twice, further inside", '{"cmd":"send","data":{"type":"RAW","type":"WRITE-ATTR"}}', JSON_FORMAT),
        ("no command", "{}", COMMAND_EMPTY),
        ("a list for a command", '{"cmd":["login"]}', COMMAND_UNKNOWN),
        ("an object for a command", '{"cmd":{"a":1}}', COMMAND_UNKNOWN),
        ("a command in capitals", '{"cmd":"LOGIN"}', COMMAND_UNKNOWN),
        ("an operator's command", '{"cmd":"shutdown"}', COMMAND_UNKNOWN),
    ],
)
def test_what_is_no_message_is_refused_and_the_connection_goes_on(
    crowd: Crowd, honest: Honest, own: tuple[Caller, Device], row: Row, name: str, data: str, expected: int
) -> None:
    with V1(crowd.center, own[0]) as line:
        for kind, content in (("text", data), ("binary", data.encode())):
            line.socket.send(content)
            row(f"WebSocket v1, a {kind} message: {name}", expected, line.code())
        row("... then a right one", 1, line.subscribe(own[1]))


@pytest.mark.parametrize(
    ("name", "change", "expected"),
    [
        ("no data", None, DATA_EMPTY),
        ("a text", "x", DATA_FORMAT),
        ("a type that is none", {"messageType": ["EVERYTHING"]}, TYPE_UNKNOWN),
        ("a type that is an object", {"messageType": [{"$ne": ""}]}, TYPE_UNKNOWN),
        ("a product key that is a list", {"productKey": ["p1"]}, 4022),
        ("a device key with a wildcard", {"deviceKey": "+"}, 4024),
        ("a device key with a path", {"deviceKey": "../x"}, 4024),
        ("a device key with a NUL", {"deviceKey": "a\0"}, 4024),
        ("a device key of 60,000 letters", {"deviceKey": "a" * 60_000}, 4024),
    ],
)
def test_what_is_no_subscription_is_refused(
    crowd: Crowd, honest: Honest, own: tuple[Caller, Device], row: Row, name: str, change: object, expected: int
) -> None:
    data = [{**asked(own[1]), **change}] if isinstance(change, dict) else change
    with V1(crowd.center, own[0]) as line:
        row(f"WebSocket v1, subscribe: {name}", expected, line.ask("subscribe", data))
        row("... then a right one", 1, line.subscribe(own[1]))


@pytest.mark.parametrize(
    ("name", "more", "expected"),
    [
        ("a kind there is not", {"type": "CONFIGURE"}, OPERATION_UNKNOWN),
        ("no Base64", {"raw": "***", "dataFormat": "Base64"}, DATA_FORMAT),
        ("a format that is none", {"dataFormat": "../Hex"}, DATA_FORMAT),
        ("properties without end", {"type": "WRITE-ATTR", "kv": '{"1":' * 5_000}, PROPERTY_FORMAT),
        ("an infinite property", {"type": "WRITE-ATTR", "kv": '{"1":1e999}'}, PROPERTY_FORMAT),
        ("a property beyond 64 bits", {"type": "WRITE-ATTR", "kv": '{"1":' + "9" * 30 + "}"}, PROPERTY_FORMAT),
        ("property 0", {"type": "WRITE-ATTR", "kv": '{"0":1}'}, PROPERTY_FORMAT),
        ("property 8192", {"type": "WRITE-ATTR", "kv": '{"8192":1}'}, PROPERTY_FORMAT),
        ("a property twice", {"type": "WRITE-ATTR", "kv": '{"1":1,"1":2}'}, PROPERTY_FORMAT),
        ("half a surrogate pair", {"type": "WRITE-ATTR", "kv": '{"1":"\\ud800"}'}, PROPERTY_FORMAT),
        ("a number for each message that is none", {"msgId": "1; DROP"}, 4029),
    ],
)
def test_what_cannot_be_sent_does_not_reach_the_device(
    crowd: Crowd,
    honest: Honest,
    own: tuple[Caller, Device],
    row: Row,
    name: str,
    more: dict[str, object],
    expected: int,
) -> None:
    with V1(crowd.center, own[0]) as line:
        row(f"WebSocket v1, send to one's own device: {name}", expected, line.ask("send", send(own[1], **more)))
    own[1].link.send(b"\xc0\0")
    row("... what the device gets before the answer to its ping", (0xD0, b""), own[1].link.receive())


def test_a_message_of_64_kib_is_read_and_one_more_byte_is_not(
    crowd: Crowd, honest: Honest, own: tuple[Caller, Device], row: Row
) -> None:
    with V1(crowd.center, own[0]) as line:
        line.socket.send("x" * 65_536)
        row("WebSocket v1, a message of 65,536 bytes", JSON_FORMAT, line.code())
        line.socket.send("x" * 65_537)
        row("... of 65,537 bytes", TOO_BIG, line.fate())
    with V1(crowd.center, own[0]) as line:
        with contextlib.suppress(ConnectionClosed):
            line.socket.send(["x" * 32_768, "x" * 32_768, "x"])
        row("... of 65,537 bytes in three fragments", TOO_BIG, line.fate())
    with V1(crowd.center, own[0]) as line:
        with contextlib.suppress(ConnectionClosed):
            line.socket.send([""] * 1_000)
        row("... in a thousand fragments of nothing", "aborted", line.fate())


@pytest.mark.parametrize(("name", "opcode"), [("pings", 9), ("pongs", 10)])
def test_pings_without_end_end_the_connection(crowd: Crowd, honest: Honest, row: Row, name: str, opcode: int) -> None:
    for path in ("/ws/v1", "/ws/v2"):
        with Sleeper(crowd.center, path) as line:
            with contextlib.suppress(OSError):
                line.socket.sendall(bytes([0x80 | opcode, 0x80, 0, 0, 0, 0]) * 100_000)
            row(f"WebSocket {path[-2:]}, {name} without end, without a token", "cut", line.end())


def test_frames_that_no_client_sends_end_the_connection(crowd: Crowd, honest: Honest, row: Row) -> None:
    frames = {
        "a frame without a mask": lambda s: s.frame(1, b"{}", masked=False),
        "a reserved bit": lambda s: s.frame(1, b"{}", first=0xC0),
        "a reserved opcode": lambda s: s.frame(3, b"{}"),
        "a ping of 126 bytes": lambda s: s.frame(9, b"x" * 126),
        "a continuation of nothing": lambda s: s.frame(0, b"x"),
        "a length of 2^63": lambda s: s.socket.sendall(b"\x81\xff" + b"\x7f" + b"\xff" * 7 + bytes(4)),
    }
    for name, sends in frames.items():
        with Sleeper(crowd.center, "/ws/v1") as line:
            sends(line)
            row(f"WebSocket v1, {name}", True, line.end() in {PROTOCOL, str(TOO_BIG)})
    scene, name = Scene(crowd.center), 'quecbind_push_connections_ended_total{reason="unreadable"}'  # type: ignore[arg-type]
    before, logged = scene.metric(name), len(crowd.center.log.read_text())
    for path in ("/ws/v1", "/ws/v2"):
        with Sleeper(crowd.center, path) as line:
            line.frame(1, b"\xff\xfe")
            row(f"WebSocket {path[-2:]}, text that is not UTF-8", str(NOT_UTF8), line.end())
        with Sleeper(crowd.center, path) as line:
            line.frame(1, b'{"cmd":', first=0)
            line.frame(0, b"\xc3\x28")
            row("... in the second of two fragments", str(NOT_UTF8), line.end())
    row("... counted", True, scene.reaches(lambda: scene.metric(name) == before + 4))
    log = crowd.center.log.read_text()[logged:]
    row("... tracebacks and errors in the log", (0, 0), (log.count("Traceback"), log.count("ERROR")))


def test_a_handshake_that_is_none_leaves_nothing_open(crowd: Crowd, honest: Honest, row: Row) -> None:
    head = "Host: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    asks = {
        "with a query of 9,000 letters": ("GET /ws/v1?" + "a" * 9_000, ""),
        "with a header of 9,000 letters": ("GET /ws/v1", "X: " + "a" * 9_000 + "\r\n"),
        "with 200 headers": ("GET /ws/v1", "".join(f"X{number}: 1\r\n" for number in range(200))),
        "that announces a body": ("GET /ws/v1", "Content-Length: 5\r\n"),
        "that announces pieces": ("GET /ws/v1", "Transfer-Encoding: chunked\r\n"),
        "by POST": ("POST /ws/v1", "Content-Length: 5\r\n"),
        "without a key": ("GET /ws/v1", ""),
    }
    for name, (line, more) in asks.items():
        key = "" if name == "without a key" else "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
        said = crowd.person().raw(f"{line} HTTP/1.1\r\n{head}{key}{more}\r\n".encode())
        row(f"WebSocket, a handshake {name}", True, said == b"" or said.startswith(b"HTTP/1.1 4"))


def test_a_flood_of_subscriptions_ends_its_own_connection(
    crowd: Crowd, honest: Honest, own: tuple[Caller, Device], row: Row
) -> None:
    with V1(crowd.center, own[0]) as line:
        row("WebSocket v1, 101 subscriptions at once", TOO_MANY, line.ask("subscribe", [asked(own[1])] * 101))
    scene, name = Scene(crowd.center), 'quecbind_push_connections_ended_total{reason="too_fast"}'  # type: ignore[arg-type]
    before, got = scene.metric(name), []
    with V1(crowd.center, own[0]) as line:
        with contextlib.suppress(ConnectionClosed):
            for number in range(2_000):
                line.say("subscribe", [{**asked(own[1]), "deviceKey": f"86{number:013d}"}])
        while (code := line.code()) != CLOSED:
            got.append(code)
    row("... 2,000 one after the other: closed, and counted", before + 1, scene.metric(name))
    row("... more than 500 of them answered", False, got.count(NOT_BOUND) > 500)
    with V1(crowd.center, own[0]) as line:
        got = many_times(line, own[1])
        row("... a hundred at a time", True, TOO_FAST in got and got.count(1) <= 5)


def many_times(line: V1, device: Device) -> list[int | str]:
    got: list[int | str] = []
    while CLOSED not in got and TOO_FAST not in got and len(got) < 10:
        got.append(line.ask("subscribe", [asked(device)] * 100))
    return got


def test_more_connections_than_a_user_may_have(
    crowd: Crowd, honest: Honest, own: tuple[Caller, Device], row: Row
) -> None:
    who = own[0]
    lines = [V1(crowd.center, who) for _ in range(PER_USER)]
    with V1(crowd.center) as one_more:
        row(f"WebSocket v1, {PER_USER} connections of one user, and one more", TOKEN_WRONG,
            one_more.ask("login", {"token": who.token}))  # fmt: skip
        row("... which is closed", 1008, one_more.fate())
    row("... the others go on", {1}, {line.subscribe(own[1]) for line in lines})
    lines.pop().__exit__(None, None, None)
    with V1(crowd.center) as again:
        got = [again.ask("login", {"token": who.token})]
        row("... when one has gone, another", [1], got)
    for line in lines:
        line.__exit__(None, None, None)


def test_a_page_of_another_site_brings_no_log_in_along(crowd: Crowd, honest: Honest, row: Row) -> None:
    url = crowd.center.url.replace("http", "ws") + "/ws/v1?token=" + quote(honest.owner.token)
    headers = {"Cookie": f"token={honest.owner.token}", "Authorization": honest.owner.token}
    with connect(url, origin="https://evil.example", additional_headers=headers) as line:  # type: ignore[arg-type]
        line.send(json.dumps({"cmd": "subscribe", "data": [asked(honest.device)]}))
        code = json.loads(line.recv(10))["data"]["code"]
        row("WebSocket v1, a token in query, cookie and header: no log-in", NOT_LOGGED_IN, code)
    row("... nor is it in the log", False, honest.owner.token[-40:] in crowd.center.log.read_text())
