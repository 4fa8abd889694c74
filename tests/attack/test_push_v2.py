"""Push, MQTT over WebSocket v2: tokens, topics, commands and packets of somebody who has no right to them."""

from __future__ import annotations

import contextlib
import itertools
import json
from collections.abc import Callable, Iterator

import pytest
from websockets.exceptions import InvalidStatus

from tests.attack import malformed
from tests.attack.app_lines import CLOSED, TOPICS, V2, connect_packet, subscribe_packet, topic
from tests.attack.conftest import Scene
from tests.attack.crowd import Caller, Crowd, Device, own_crowd
from tests.attack.push_scene import LOG_IN_TIME_S, PER_USER, QUEUE_SIZE, Honest, Sleeper, run_push
from tests.attack.shares import accept, invite
from tests.e2e.wire_by_hand import frame, packet, text, ttlv_bytes
from tests.tables import Row

pytestmark = pytest.mark.enable_socket

REFUSED, BAD_CREDENTIALS, FULL, WRONG_LEVEL = 0x80, 4, 3, 1
NOT_BOUND, OPERATION_UNKNOWN, PROPERTY_FORMAT, OFFLINE = 4007, 4015, 4028, 4030
PING, PONG = b"\xc0\0", (0xD0, b"")
NOBODYS = "999999999999999"
_numbers = itertools.count(100)


@pytest.fixture(scope="module")
def crowd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Crowd]:
    yield from run_push(tmp_path_factory.mktemp("crowd"), 150)


@pytest.fixture(scope="module")
def listening(crowd: Crowd) -> Iterator[Honest]:
    with Honest(crowd) as honest:
        yield honest


@pytest.fixture
def honest(listening: Honest) -> Iterator[Honest]:
    """The owner's sessions, looked at again when the test is over."""
    yield listening
    assert listening.undisturbed() == "undisturbed"


@pytest.fixture
def own(crowd: Crowd, honest: Honest) -> Iterator[tuple[Caller, Device]]:
    """The attacker has an account and a device like any other, and the device listens."""
    who = crowd.person()
    device = crowd.device().bound_to(who)
    assert device.log_in() == 0
    assert device.link.subscribe() == 1
    yield who, device
    device.leave()


def fate(line: V2, data: bytes) -> str:
    """Of a connection after this: "closed", or "goes on"."""
    line.send(data + PING)
    while (got := line.receive()) is not None:
        if got == PONG:
            return "goes on"
    return "closed"


# Who logs in


def outcome(crowd: Crowd, data: bytes) -> int | str:
    with V2(crowd.center) as line:
        line.send(data)
        got = line.receive()
        return got[1][1] if got is not None else CLOSED


def with_user_name(who: Caller, other: Caller) -> bytes:
    body = text(b"MQTT") + b"\x04\xc2\0\x3c" + text(f"qu_{who.uid}_1".encode())
    return packet(0x10, body + text(b"admin") + text(who.token.encode()))


CONNECTS: list[tuple[str, Callable[[Caller, Caller], bytes], int | str]] = [
    ("another's token under one's own uid", lambda a, b: connect_packet(f"qu_{a.uid}_1", b.token), BAD_CREDENTIALS),
    ("one's own token under another's uid", lambda a, b: connect_packet(f"qu_{b.uid}_1", a.token), BAD_CREDENTIALS),
    ("a refresh token", lambda a, b: connect_packet(f"qu_{a.uid}_1", a.refresh_token), BAD_CREDENTIALS),
    ("an empty token", lambda a, b: connect_packet(f"qu_{a.uid}_1", ""), BAD_CREDENTIALS),
    ("a token that is none", lambda a, b: connect_packet(f"qu_{a.uid}_1", "let me in"), BAD_CREDENTIALS),
    ("half a token", lambda a, b: connect_packet(f"qu_{a.uid}_1", a.token[:200]), BAD_CREDENTIALS),
    ("60,000 letters", lambda a, b: connect_packet(f"qu_{a.uid}_1", "a" * 60_000), BAD_CREDENTIALS),
    ("a user name", with_user_name, BAD_CREDENTIALS),
    ("the client id of a device", lambda a, b: connect_packet("qdp11111861", a.token), BAD_CREDENTIALS),
    ("a client id without a uid", lambda a, b: connect_packet("qu__1", a.token), BAD_CREDENTIALS),
    ("a client id with a wildcard", lambda a, b: connect_packet("qu_+_1", a.token), BAD_CREDENTIALS),
    ("a client id with a path", lambda a, b: connect_packet(f"qu_{a.uid}_1/../{b.uid}", a.token), BAD_CREDENTIALS),
    ("a client id with a NUL", lambda a, b: connect_packet(f"qu_{a.uid}\0_1", a.token), CLOSED),
    ("MQTT 5", lambda a, b: connect_packet(f"qu_{a.uid}_1", a.token).replace(b"MQTT\4", b"MQTT\5"), WRONG_LEVEL),
]


@pytest.mark.parametrize(("name", "build", "expected"), CONNECTS, ids=[name for name, _, _ in CONNECTS])
def test_a_wrong_log_in_gets_nowhere(
    crowd: Crowd, honest: Honest, row: Row, name: str, build: Callable[[Caller, Caller], bytes], expected: int | str
) -> None:
    data = build(crowd.person(), honest.owner)

    row(f"MQTT v2, log in with {name}", expected, outcome(crowd, data))
    after = outcome(crowd, subscribe_packet(topic(honest.device, "bus_")))
    row("... subscribe without a log-in", CLOSED, after)


def test_a_token_that_is_over_gets_nowhere(tmp_path, row: Row) -> None:
    with own_crowd(tmp_path, 2, has_stepped_clock=True) as crowd:
        gone, late = crowd.people(2)
        with V2.of(gone, crowd.center) as line:
            gone.call("DELETE", "/v2/enduser/enduserapi/userLogout")
            row("MQTT v2, the user signs out: the open session", 1008, line.fate())
        row("... the token again", BAD_CREDENTIALS, outcome(crowd, connect_packet(f"qu_{gone.uid}_1", gone.token)))
        crowd.step(8 * 24 * 3600)
        row(
            "MQTT v2, an expired token", BAD_CREDENTIALS, outcome(crowd, connect_packet(f"qu_{late.uid}_1", late.token))
        )


def test_a_session_is_taken_over_by_its_own_user_alone(crowd: Crowd, honest: Honest, row: Row) -> None:
    thief = crowd.person()
    row("MQTT v2, the client id of another's session, with one's own token", BAD_CREDENTIALS,
        outcome(crowd, connect_packet(f"qu_{honest.owner.uid}_1", thief.token)))  # fmt: skip
    row("... and that session", "undisturbed", honest.undisturbed())
    with V2.of(thief, crowd.center) as first, V2.of(thief, crowd.center) as second:
        row("... by its own user: the earlier one", 1008, first.fate())
        row("... the later one", "goes on", fate(second, b""))


# Topics


def foreign(honest: Honest, own: Device) -> dict[str, str]:
    theirs = honest.device.link.client_id
    mine = own.link.client_id
    return {
        "another's device": f"q/2/d/{theirs}/bus_",
        "nobody's device": f"q/2/d/qd{honest.device.product.key}{NOBODYS}/bus_",
        "what another's device is told": f"q/1/d/{theirs}/bus",
        "every device": "q/2/d/+/bus_",
        "every topic of one's own device": f"q/2/d/{mine}/+",
        "everything of one's own device": f"q/2/d/{mine}/#",
        "everything": "#",
        "one level of everything": "+/+/+/+/+",
        "a shared subscription to another's": f"$share/g/q/2/d/{theirs}/bus_",
        "a shared subscription to one's own": f"$share/g/q/2/d/{mine}/bus_",
        "the server's own": "$SYS/#",
        "the server's load": "$SYS/broker/load",
        "a path to another's": f"q/2/d/{mine}/../{theirs}/bus_",
        "another's with a slash in front": f"/q/2/d/{theirs}/bus_",
        "another's with a slash behind": f"q/2/d/{theirs}/bus_/",
        "another's in capitals": f"Q/2/D/{theirs}/BUS_",
        "another's and a line feed": f"q/2/d/{theirs}/bus_\n",
        "another's with a space": f"q/2/d/{theirs} /bus_",
        "one's own with a suffix there is not": f"q/2/d/{mine}/all",
        "one's own, two underscores": f"q/2/d/{mine}/bus__",
        "65,000 letters": "q/2/d/" + "a" * 60_000,
        "1,000 levels": "/".join("q" * 1_000),
    }


def test_nobody_hears_what_is_not_theirs(crowd: Crowd, honest: Honest, own: tuple[Caller, Device], row: Row) -> None:
    who, device = own
    for name, wanted in foreign(honest, device).items():
        with V2.of(who, crowd.center) as line:
            got = line.subscribe(wanted)
            honest.report()
            row(f"MQTT v2, subscribe to {name}", ([REFUSED], []), (got, line.heard()))
    with V2.of(who, crowd.center) as line:
        line.send(subscribe_packet("q/2/d/\0/bus_"))
        row("MQTT v2, subscribe to a topic with a NUL", None, line.receive())
    with V2.of(who, crowd.center) as line:
        both = line.subscribe(topic(device, "bus_"), topic(honest.device, "bus_"), topic(device, "sys_"))
        honest.report()
        row("MQTT v2, one's own and another's in one packet", ([0, REFUSED, 0], []), (both, line.heard()))


def test_a_right_that_comes_later_does_not_wake_an_earlier_try(crowd: Crowd, honest: Honest, row: Row) -> None:
    member = crowd.person()
    with V2.of(member, crowd.center) as line:
        assert line.hear(honest.device) == [REFUSED] * len(TOPICS)
        assert accept(member, invite(honest.owner, honest.device)) == 200
        honest.report()
        row("MQTT v2, subscribed before the right: heard of the device when it comes", [], line.heard())
        row("... subscribed after it", [0] * len(TOPICS), line.hear(honest.device))
        honest.report()
        row("... and then", ["MATTR"], [content["type"] for _, content in line.heard()])


def test_a_will_and_a_retained_message_are_nobodys(
    crowd: Crowd, honest: Honest, own: tuple[Caller, Device], row: Row
) -> None:
    who, device = own
    for name, target, flags in (
        ("another's device", topic(honest.device, "bus", 1), 0x66),
        ("one's own", topic(device, "bus", 1), 0x66),
        ("what another's App hears", topic(honest.device, "bus_"), 0x46),
    ):
        with V2(crowd.center) as line:
            body = text(b"MQTT") + bytes([4, flags]) + b"\0\x3c" + text(f"qu_{who.uid}_5".encode())
            line.send(packet(0x10, body + text(target.encode()) + text(b"\xaa\xaa") + text(who.token.encode())))
            assert line.receive() == (0x20, b"\0\0")
            line.socket.socket.close()
        device.link.send(PING)
        row(f"MQTT v2, a will for {name}: what comes of it", (PONG, "undisturbed"),
            (device.link.receive(), honest.undisturbed()))  # fmt: skip
    with V2.of(who, crowd.center) as line:
        line.send(packet(0x31, text(topic(device, "bus", 1).encode()) + frame(1, 0x0023, b"x")))
        assert device.link.message() is not None
        line.hear(device)
        # What became of one's own command is told, and is not kept either.
        kept = [name for name, _ in line.heard() if not name.endswith("/ack_")]
        row("MQTT v2, a retained message to one's own device: those who subscribe later", [], kept)


# Commands


def asks(device: Device, **more: object) -> bytes:
    named = {"productKey": device.product.key, "deviceKey": device.dk, "msgId": 3}
    return json.dumps({**named, "type": "READ-ATTR", "kv": "[1]", **more}).encode()


def refusals(line: V2) -> list[int]:
    return [content["code"] for _, content in line.heard()]


def test_a_command_to_anothers_device_does_not_reach_it(
    crowd: Crowd, honest: Honest, own: tuple[Caller, Device], row: Row
) -> None:
    who, device = own
    theirs, nobodys = topic(honest.device, "bus", 1), topic(honest.device, "bus", 1).replace(honest.device.dk, NOBODYS)
    cases: dict[str, tuple[str, bytes, int]] = {
        "JSON to another's device": (theirs, asks(honest.device), NOT_BOUND),
        "JSON to nobody's device": (nobodys, asks(honest.device, deviceKey=NOBODYS), NOT_BOUND),
        "a frame to another's device": (theirs, frame(3, 0x0023, b"x"), NOT_BOUND),
        "JSON to another's sys": (topic(honest.device, "sys", 1), asks(honest.device), NOT_BOUND),
        "JSON to another's bus_": (theirs + "_", asks(honest.device), NOT_BOUND),
        "another's keys on one's own topic": (topic(device, "bus", 1), asks(honest.device), NOT_BOUND),
        "one's own keys on another's topic": (theirs, asks(device), NOT_BOUND),
    }
    for name, (where, payload, code) in cases.items():
        with V2.of(who, crowd.center) as line:
            for qos in (0, 1):
                line.publish(where, payload, qos)
                row(f"MQTT v2, QoS {qos}, {name}", [code], refusals(line))
    row("... what another's device and App get of it", "undisturbed", honest.undisturbed())
    device.link.send(PING)
    row("... what one's own device gets", PONG, device.link.receive())


@pytest.mark.parametrize(
    "name", ["q/2, as if one were the device", "ota", "inf", "wildcard", "$SYS", "QoS 2", "no topic"]
)
def test_a_publish_that_no_app_sends_ends_the_connection(
    crowd: Crowd, honest: Honest, own: tuple[Caller, Device], row: Row, name: str
) -> None:
    who, device = own
    where = {
        "q/2, as if one were the device": topic(device, "bus"),
        "ota": topic(device, "ota", 1),
        "inf": topic(device, "inf", 1),
        "wildcard": "q/1/d/+/bus",
        "$SYS": "$SYS/x",
        "QoS 2": topic(device, "bus", 1),
        "no topic": "",
    }[name]
    with V2.of(who, crowd.center) as listener, V2(crowd.center) as line:
        assert listener.hear(device) == [0] * len(TOPICS)
        assert line.log_in(who.token, who.uid, 2) == 0
        line.publish(where, frame(1, 0x0014, b"\0\x0a\0\x05"), 2 if name == "QoS 2" else 0)
        row(f"MQTT v2, publish: {name}", 1008, line.fate())
        row("... what one's own other session hears of it", [], listener.heard())


@pytest.mark.parametrize(
    ("name", "payload", "code"),
    [
        (
            "a configuration, which would move the device",
            frame(1, 0x00B4, ttlv_bytes(1, b"mqtt://evil")),
            OPERATION_UNKNOWN,
        ),
        ("another bind code", frame(1, 0x00B5, ttlv_bytes(11, b"1234567890ABCDEF")), OPERATION_UNKNOWN),
        ("a firmware", frame(1, 0x0111, b""), OPERATION_UNKNOWN),
        ("an auth key", frame(1, 0x00B4, ttlv_bytes(12, b"k")), OPERATION_UNKNOWN),
        ("a frame with a wrong sum", frame(1, 0x0023, b"x")[:4] + b"\0" + frame(1, 0x0023, b"x")[5:], PROPERTY_FORMAT),
        ("half a frame", frame(1, 0x0023, b"x")[:6], PROPERTY_FORMAT),
        ("a write without TTLV", frame(1, 0x0013, b""), PROPERTY_FORMAT),
        ("a write with half a TTLV", frame(1, 0x0013, ttlv_bytes(1, b"hello")[:5]), PROPERTY_FORMAT),
        ("a write with a byte too many", frame(1, 0x0013, ttlv_bytes(1, b"hello") + b"\0"), PROPERTY_FORMAT),
        ("a write with a type there is not", frame(1, 0x0013, b"\0\x0f"), PROPERTY_FORMAT),
        ("a write with a struct of nothing", frame(1, 0x0013, b"\0\x0c\0\0"), PROPERTY_FORMAT),
        ("a write with 1,000 levels", frame(1, 0x0013, b"\0\x0c\0\1" * 1_000 + b"\0\x09"), PROPERTY_FORMAT),
        ("a write of 2,000 properties", frame(1, 0x0013, b"\0\x09" * 2_000), PROPERTY_FORMAT),
        ("a read of half a number", frame(1, 0x0011, b"\0"), PROPERTY_FORMAT),
        ("a read of a number there is not", frame(1, 0x0011, b"\0\0"), PROPERTY_FORMAT),
        ("no JSON", b"x", PROPERTY_FORMAT),
        ("9,000 levels of JSON", b"[" * 9_000, PROPERTY_FORMAT),
        ("a key twice", b'{"type":"READ-ATTR","type":"WRITE-ATTR"}', PROPERTY_FORMAT),
        ("a list", b"[]", PROPERTY_FORMAT),
        ("bytes that are no UTF-8", b"\xff\xfe", PROPERTY_FORMAT),
        ("nothing", b"", PROPERTY_FORMAT),
    ],
)
def test_a_command_that_is_none_does_not_reach_ones_own_device(
    crowd: Crowd, honest: Honest, own: tuple[Caller, Device], row: Row, name: str, payload: bytes, code: int
) -> None:
    who, device = own
    with V2.of(who, crowd.center) as line:
        line.publish(topic(device, "bus", 1), payload)
        row(f"MQTT v2, to one's own device: {name}", [code], refusals(line))
    device.link.send(PING)
    row("... what the device gets", PONG, device.link.receive())


@pytest.mark.parametrize("kind", [1, [1], {"a": 1}, None, True])
def test_a_kind_that_is_no_text_is_refused(
    crowd: Crowd, honest: Honest, own: tuple[Caller, Device], row: Row, kind: object
) -> None:
    with V2.of(own[0], crowd.center) as line:
        line.publish(topic(own[1], "bus", 1), asks(own[1], type=kind))
        row(f"MQTT v2, JSON with {kind} for a type", [OPERATION_UNKNOWN], refusals(line))


# Packets


@pytest.mark.full
@pytest.mark.parametrize("way", malformed.WAYS)
def test_malformed_packets_end_their_own_connection(
    crowd: Crowd, honest: Honest, own: tuple[Caller, Device], row: Row, way: str
) -> None:
    who, device = own
    cases = list(malformed.WAYS[way](device.link.client_id))
    after, before = {}, {}
    for what, data in cases:
        with V2.of(who, crowd.center) as line:
            after[what] = fate(line, data)
        with V2(crowd.center) as line:
            before[what] = fate(line, data)

    row(
        f"MQTT v2, {len(cases)} packets with {way}: went on",
        [],
        [what for what, came in after.items() if came != "closed"],
    )
    row("... without a log-in", [], [what for what, came in before.items() if came != "closed"])


def test_a_log_in_byte_by_byte_is_given_up(crowd: Crowd, honest: Honest, row: Row) -> None:
    who = crowd.person()
    with Sleeper(crowd.center, "/ws/v2") as slow:
        data = b"\x82\xfe" + len(who.token).to_bytes(2, "big") + bytes(4) + b"\x10"
        row(
            f"MQTT v2, a CONNECT in twice the {LOG_IN_TIME_S} s of a log-in",
            "closed",
            slow.dribble(data * 3, 2 * LOG_IN_TIME_S),
        )
    with V2(crowd.center) as quiet:
        row("MQTT v2, a connection that says nothing", 1008, quiet.fate())
    with V2(crowd.center) as texts:
        texts.socket.send("CONNECT")
        row("MQTT v2, text in place of packets", 1008, texts.fate())


def test_256_megabytes_announced_cost_nothing(
    crowd: Crowd, honest: Honest, own: tuple[Caller, Device], row: Row
) -> None:
    scene, got = Scene(crowd.center), []  # type: ignore[arg-type]
    memory = scene.memory_kib()
    for number in range(60):
        with V2(crowd.center) as line:
            if number % 2:
                assert line.log_in(own[0].token, own[0].uid) == 0
            line.send(b"\x30\xff\xff\xff\x7f" + bytes(60_000))
            got.append(line.fate())
    row("MQTT v2, a packet of 256 MiB announced, 60 times", {1008}, set(got))
    row("... and memory grows by less than 16 MiB", True, scene.memory_kib() - memory < 16 * 1024)


def test_a_flood_of_packets_ends_its_own_connection(
    crowd: Crowd, honest: Honest, own: tuple[Caller, Device], row: Row
) -> None:
    who, device = own
    with V2.of(who, crowd.center) as line:
        line.send(PING * 10_000)
        row("MQTT v2, 10,000 pings in one breath", 1008, line.fate())
    with V2.of(who, crowd.center) as line:
        line.send(subscribe_packet(*[topic(device, "bus_")] * 1_000))
        row("... 1,000 topics in one packet: answered", 1_000, len((line.receive() or (0, b"\0\0"))[1]) - 2)
    with V2.of(who, crowd.center) as line:
        for _ in range(4):
            line.send(subscribe_packet(*[topic(device, "bus_")] * 1_000))
        row("... four times that", 1008, line.fate())


# Those who do not read, and those who are many


@pytest.mark.parametrize("version", [1, 2])
def test_who_does_not_read_loses_the_connection_and_costs_a_queue(
    crowd: Crowd, honest: Honest, own: tuple[Caller, Device], row: Row, version: int
) -> None:
    who, device = own
    scene = Scene(crowd.center)  # type: ignore[arg-type]
    dropped, queued, largest = (
        'quecbind_push_connections_ended_total{reason="slow_reader"}',
        "quecbind_push_queued_bytes",
        0.0,
    )
    before = scene.metric(dropped)
    with Sleeper.listening(crowd.center, version, who, device) as sleeper:
        for _ in range(400):
            number = next(_numbers)
            device.link.publish(0x0014, ttlv_bytes(2, b"x" * 30_000), number, "bus")
            device.link.wait_puback(number)
            largest = max(largest, scene.metric(queued))
            if scene.metric(dropped) > before:
                break
        row(f"push v{version}, an App that does not read: dropped, and counted", before + 1, scene.metric(dropped))
        row("... what waited for it at most", True, 0 < largest <= QUEUE_SIZE)
        row("... and after it", 0, scene.metric(queued))
        row("... it sees", "cut", sleeper.end())
    row("... and the others", "undisturbed", honest.undisturbed())


def test_more_connections_than_a_user_may_have(
    crowd: Crowd, honest: Honest, own: tuple[Caller, Device], row: Row
) -> None:
    who = own[0]
    lines = [V2(crowd.center) for _ in range(PER_USER + 1)]
    got = [line.log_in(who.token, who.uid, number) for number, line in enumerate(lines)]
    row(f"MQTT v2, {PER_USER} sessions of one user, and one more", [0] * PER_USER + [FULL], got)
    row("... the others go on", {"goes on"}, {fate(line, b"") for line in lines[:PER_USER]})
    for line in lines:
        line.__exit__(None, None, None)


def test_more_connections_than_an_address_may_have(tmp_path, row: Row) -> None:
    with own_crowd(tmp_path, 3, "--max-push-connections-per-address", "5") as crowd, contextlib.ExitStack() as stack:
        for _ in range(5):
            stack.enter_context(V2(crowd.center))
        with pytest.raises(InvalidStatus) as refused:
            V2(crowd.center)
        status = refused.value.response.status_code
        row("push, five connections of an address that may have five, and one more", 403, status)
        with V2.of(crowd.person(), crowd.center) as line:
            row("... from another address", "goes on", fate(line, b""))
