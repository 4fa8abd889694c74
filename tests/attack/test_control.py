"""Controlling devices: what somebody tries who has no right, had one, or has one and wants more than it gives."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import struct
import time
from collections.abc import Iterator
from typing import Any, Self

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from tests.attack.crowd import BINDING, Caller, Crowd, Device, run_crowd
from tests.attack.stranger import PINGREQ, PINGRESP
from tests.e2e.wire_by_hand import connect as mqtt_connect
from tests.e2e.wire_by_hand import frame, packet, text, ttlv_bytes, unframe
from tests.tables import Row

pytestmark = pytest.mark.enable_socket

NOBODYS = "999999999999999"
QUEUE = 100


@pytest.fixture(scope="module")
def crowd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Crowd]:
    yield from run_crowd(tmp_path_factory.mktemp("crowd"), 80)


@pytest.fixture(autouse=True)
def devices_leave(crowd: Crowd) -> Iterator[None]:
    yield
    while crowd.devices:
        crowd.devices.pop().leave()


def control(who: Caller, device: Device, dk: str | None = None, **changes: Any) -> dict[str, Any]:
    keys = {"productKey": device.product.key, "deviceKey": dk or device.dk}
    fields = {"data": "cafe", "type": 1, "dataFormat": 1, "deviceList": [keys]} | changes
    return who.call("POST", BINDING + "batchControlDevice", fields)


def keep(who: Caller, device: Device, data: str = "cafe", **changes: Any) -> str:
    """ "kept", or why not."""
    data_answer = control(who, device, data=data, isCache=1, cacheTime=600, **changes)["data"]
    return "kept" if data_answer["successList"] else str(data_answer["failureList"][0]["msg"])


def heard(device: Device) -> list[tuple[int, bytes]]:
    """What the device was sent until it is answered a ping, but for its own configuration."""
    device.link.send(PINGREQ)
    found = []
    while (got := device.link.receive()) != PINGRESP:
        assert got is not None, "the device was cut off"
        first, body = got
        if first >> 4 == 3:
            size = struct.unpack_from(">H", body)[0]
            device.link.send(packet(0x40, body[2 + size : 4 + size]))
            _, command, payload = unframe(body[4 + size :])
            found.append((command, payload))
    return found


def heard_all(device: Device, count: int) -> list[tuple[int, bytes]]:
    """What it was sent until it has so many: a ping that comes with PUBACKs is answered before what they set off."""
    found: list[tuple[int, bytes]] = []
    for _ in range(3 * count):
        found += heard(device)
        if len(found) >= count:
            break
    return found + heard(device)


def away(device: Device) -> None:
    device.leave()
    shown: dict[str, Any] = {}
    for _ in range(50):
        shown = device.crowd.center.admin("device", "show", device.product.key, device.dk)
        if not shown["is_online"]:
            return
    raise AssertionError(shown)


class V1:
    """WebSocket v1, logged in."""

    def __init__(self, who: Caller) -> None:
        self._open = contextlib.ExitStack()
        self.line: ClientConnection = self._open.enter_context(connect(who.center.url.replace("http", "ws") + "/ws/v1"))
        assert self.say("login", {"token": who.token})["cmd"] == "login_resp"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._open.close()

    def say(self, command: str, data: object) -> dict[str, Any]:
        self.line.send(json.dumps({"cmd": command, "data": data}))
        answer: dict[str, Any] = json.loads(self.line.recv(10))
        return answer

    def send(self, device: Device, dk: str | None = None, **fields: Any) -> object:
        keys = {"productKey": device.product.key, "deviceKey": dk or device.dk}
        return self.say("send", keys | fields)["data"]


class V2:
    """MQTT over WebSocket v2, byte by byte."""

    def __init__(self, who: Caller) -> None:
        self._open = contextlib.ExitStack()
        self.line: ClientConnection = self._open.enter_context(
            connect(who.center.url.replace("http", "ws") + "/ws/v2", subprotocols=["mqtt"])  # type: ignore[list-item]
        )
        self.line.send(mqtt_connect(f"qu_{who.uid}_{time.time_ns() // 1000}", who.token.encode(), keep_alive=60))
        assert self.line.recv(10) == b"\x20\x02\0\0"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._open.close()

    def publish(self, topic: str, payload: bytes) -> str:
        """ "silence", "closed", or what was said."""
        try:
            self.line.send(packet(0x30, text(topic.encode()) + payload) + b"\xc0\0")
            said = self.line.recv(10)
            assert isinstance(said, bytes)
            if said == b"\xd0\0":
                return "silence"
            while not said.endswith(b"\xd0\0"):
                more = self.line.recv(10)
                assert isinstance(more, bytes)
                said += more
        except ConnectionClosed:
            return "closed"
        start = said.index(b"{")
        return f"code {json.loads(said[start : said.rindex(b'}') + 1])['code']}"


def topic(device: Device, kind: str = "bus", dk: str | None = None) -> str:
    return f"q/1/d/qd{device.product.key}{dk or device.dk}/{kind}"


# Strangers


def test_another_s_device_is_controlled_like_nobodys(crowd: Crowd, row: Row) -> None:
    owner, stranger = crowd.person(), crowd.person()
    device = crowd.device().bound_to(owner)
    heard(device)
    write = {"data": '[{"1": true}]', "type": 2}

    def http(dk: str, **changes: Any) -> str:
        return json.dumps(control(stranger, device, dk, **changes)).replace(dk, "DK")

    for case, changes in (
        ("raw", {}),
        ("properties", write),
        ("kept", {"isCache": 1, "cacheTime": 9}),
        ("service", {"data": '{"a": {}}', "type": 3}),
    ):
        row(
            f"HTTP, {case}: another's device, answered like nobody's",
            http(NOBODYS, **changes),
            http(device.dk, **changes),
        )
    row("... as not bound", "you do not own this device", json.loads(http(NOBODYS))["data"]["failureList"][0]["msg"])
    with V1(stranger) as app:
        for fields in (
            {"type": "RAW", "raw": "cafe", "dataFormat": "Hex"},
            {"type": "WRITE-ATTR", "kv": '{"1": 1}'},
            {"type": "READ-ATTR", "kv": "[1]"},
            {"type": "EXE-SERV", "kv": '{"a": {}}'},
        ):
            row(f"WebSocket v1, {fields['type']}", app.send(device, NOBODYS, **fields), app.send(device, **fields))
    with V2(stranger) as mqtt:
        for kind, payload in (
            ("bus", frame(1, 0x0023, b"x")),
            ("bus", frame(1, 0x00B4, b"x")),
            ("sys_", b"{"),
            ("sys_", b'{"type": "READ-ATTR", "kv": "[]"}'),
        ):
            row(
                f"MQTT v2, {kind} {payload!r}",
                mqtt.publish(topic(device, kind, NOBODYS), payload),
                mqtt.publish(topic(device, kind), payload),
            )
    row("the device heard", [], heard(device))


def test_nobody_controls_what_they_have_lost(crowd: Crowd, row: Row) -> None:
    owner = crowd.person()
    device = crowd.device().bound_to(owner)
    with V1(owner) as app, V2(owner) as mqtt:
        heard(device)
        assert control(owner, device)["data"]["successList"]
        assert owner.unbind(device.product, device.dk) == 200
        heard(device)
        app.line.recv(10)  # that the right has ended

        row(
            "after unbinding, HTTP",
            "you do not own this device",
            control(owner, device)["data"]["failureList"][0]["msg"],
        )
        row("... kept", "you do not own this device", keep(owner, device))
        row("... WebSocket v1", 4011, app.send(device, type="RAW", raw="yv4=")["code"])  # type: ignore[index]
        row("... MQTT v2", "code 4007", mqtt.publish(topic(device), frame(1, 0x0023, b"x")))
    row("... the device heard", [], heard(device))


# What was kept


@pytest.mark.parametrize("end", ["unbind", "reset", "reset and the same owner again"])
def test_what_was_kept_never_reaches_another_life(crowd: Crowd, row: Row, end: str) -> None:
    old, new = crowd.person(), crowd.person()
    device = crowd.device().bound_to(old)
    away(device)
    assert [keep(old, device), keep(old, device, '{"1": true}', type=2)] == ["kept", "kept"]

    if end == "unbind":
        assert old.unbind(device.product, device.dk) == 200
        device.log_in()
    else:
        answer = old.call("POST", BINDING + "approveReEnrolment", pk=device.product.key, dk=device.dk)
        assert answer["code"] == 200
        device.enrol_again()
        device.log_in()
    device.bound_to(old if end.endswith("again") else new)
    before = heard(device)
    device.log_in()

    row(f"commands kept before the {end}: on the connection after it", [], before)
    row("... on the next", [], heard(device))


def test_a_member_s_commands_end_with_the_share(crowd: Crowd, row: Row) -> None:
    owner, member, other = crowd.people(3)
    device = crowd.device().bound_to(owner)
    names = {"pk": device.product.key, "dk": device.dk}

    def share(with_whom: Caller, seconds: float) -> str:
        now = time.time_ns() // 1_000_000
        times = {"acceptingExpireAt": now + int(seconds * 500), "sharingExpireAt": now + int(seconds * 1000)}
        code = str(owner.call("POST", BINDING + "shareInfo", **names, **times)["data"])
        assert with_whom.call("POST", BINDING + "shareDevice", shareCode=code)["code"] == 200
        return code

    long_code = share(other, 600)
    share(member, 3)
    away(device)
    row("a member's command is kept", ["kept", "kept"], [keep(member, device), keep(other, device)])

    owner.call("DELETE", BINDING + "ownerUserUnshareDevice", shareCode=long_code)
    ends = time.monotonic() + 30
    while keep(member, device, isCover=1) == "kept":
        assert time.monotonic() < ends
    device.log_in()

    row("... when the share is over, a new one", "you do not own this device", keep(member, device))
    row("... the device heard, of both", [], heard(device))


def test_a_flood_fills_the_flooder_s_own_queue_and_no_other(crowd: Crowd, row: Row) -> None:
    owner, member = crowd.people(2)
    device = crowd.device().bound_to(owner)
    now = time.time_ns() // 1_000_000
    times = {"acceptingExpireAt": now + 60_000, "sharingExpireAt": now + 600_000}
    names = {"pk": device.product.key, "dk": device.dk}
    code = owner.call("POST", BINDING + "shareInfo", **names, **times)["data"]
    assert member.call("POST", BINDING + "shareDevice", shareCode=code)["code"] == 200
    away(device)

    results = [keep(member, device, "ab" * 4_000) for _ in range(QUEUE + 20)]

    row("a member keeps 120 commands", QUEUE, results.count("kept"))
    row("... the others", {"too many commands wait for devices already"}, set(results[QUEUE:]))
    row("... covering takes no place", "kept", keep(member, device, isCover=1))
    row("... the owner's place is free", "kept", keep(owner, device, "0011"))
    device.log_in()
    got = heard_all(device, 2)
    row("... the device hears what covered, and the owner's", [(0x0023, b"\xca\xfe"), (0x0023, b"\0\x11")], got)


def test_a_full_queue_of_large_commands_does_not_cut_the_device_off(crowd: Crowd, row: Row) -> None:
    owner = crowd.person()
    device = crowd.device().bound_to(owner)
    away(device)
    # Every byte of these is escaped on the way.
    results = [keep(owner, device, "aa" * 4_000 + f"{number:04x}") for number in range(QUEUE)]
    device.log_in()
    got = heard_all(device, QUEUE)

    row("a hundred commands of 4 KB are kept", QUEUE, results.count("kept"))
    row("... the device hears all, in order", list(range(QUEUE)), [int(data[-2:].hex(), 16) for _, data in got])
    row("... what is asked then", True, bool(control(owner, device)["data"]["successList"]))


def test_the_same_list_again_and_again_is_bounded(crowd: Crowd, row: Row) -> None:
    owner = crowd.person()
    device = crowd.device().bound_to(owner)
    heard(device)
    keys = {"productKey": device.product.key, "deviceKey": device.dk}

    row(
        "one device a hundred times in a list",
        1,
        len(control(owner, device, deviceList=[keys] * 100)["data"]["successList"]),
    )
    row("... the device heard", 1, len(heard(device)))
    row("a hundred and one devices", 5312, control(owner, device, deviceList=[keys] * 101)["code"])
    row("a thousand", 8400, control(owner, device, deviceList=[keys] * 1000)["code"])
    row("the device heard", [], heard(device))


# Smuggling


@pytest.mark.parametrize("command", [0x00B4, 0x00B5, 0x00A3, 0x00B3, 0x0111, 0x0113, 0x0123, 0x7010, 0xFFFF, 0])
def test_nothing_but_data_passes(crowd: Crowd, row: Row, command: int) -> None:
    owner = crowd.person()
    device = crowd.device().bound_to(owner)
    heard(device)
    reset = ttlv_bytes(5, b"S" * 32) if command == 0x00B4 else b""

    with V2(owner) as app:
        row(f"a frame with command {command:#06x}", "code 4015", app.publish(topic(device), frame(1, command, reset)))
        row(
            "... behind one that passes, in the same message",
            "silence",
            app.publish(topic(device), frame(1, 0x0023, b"x") + frame(2, command, reset)),
        )
        row(
            "... as raw data inside one",
            "silence",
            app.publish(topic(device), frame(1, 0x0023, frame(2, command, reset))),
        )
    got = heard(device)
    row("the device hears", [(0x0023, b"x"), (0x0023, frame(2, command, reset))], got)


def test_raw_data_is_data_whatever_it_looks_like(crowd: Crowd, row: Row) -> None:
    owner = crowd.person()
    device = crowd.device().bound_to(owner)
    heard(device)
    evil = frame(1, 0x00B4, ttlv_bytes(5, b"S" * 32))

    control(owner, device, data=evil.hex())
    with V1(owner) as app:
        app.line.send(
            json.dumps(
                {
                    "cmd": "send",
                    "data": {
                        "productKey": device.product.key,
                        "deviceKey": device.dk,
                        "type": "RAW",
                        "raw": base64.b64encode(evil).decode(),
                        "dataFormat": "Base64",
                    },
                }
            )
        )
        app.say("nonsense", None)

    row("a configuration as raw data", [(0x0023, evil)] * 2, heard(device))


@pytest.mark.parametrize(
    "name",
    [
        "q/1/d/+/bus",
        "q/1/d/#",
        "q/2/d/{}/bus",
        "q/1/d/{}/ota",
        "q/1/d/{}/bus/x",
        "q/1/d/{}",
        "$SYS/x",
        "q/1/d/{}/bus\0",
    ],
)
def test_other_topics_end_the_connection(crowd: Crowd, row: Row, name: str) -> None:
    owner = crowd.person()
    device = crowd.device().bound_to(owner)
    heard(device)

    with V2(owner) as app:
        row(
            f"publishing to {name!r}",
            "closed",
            app.publish(name.format(f"qd{device.product.key}{device.dk}"), frame(1, 0x0023, b"x")),
        )
    row("... the device heard", [], heard(device))


def test_json_names_its_device_and_no_other(crowd: Crowd, row: Row) -> None:
    owner, neighbour = crowd.people(2)
    mine, theirs = crowd.device().bound_to(owner), crowd.device().bound_to(neighbour)
    for device in (mine, theirs):
        heard(device)
    inner = json.dumps(
        {"msgId": 1, "productKey": mine.product.key, "deviceKey": theirs.dk, "type": "WRITE-ATTR", "kv": '{"1": 1}'}
    )

    with V2(owner) as app:
        row("one's own topic, another's device inside", "code 4007", app.publish(topic(mine, "sys_"), inner.encode()))
        row(
            "another's topic, one's own device inside",
            "code 4007",
            app.publish(topic(theirs, "sys_"), inner.replace(theirs.dk, mine.dk).encode()),
        )
    row("... either device heard", [[], []], [heard(mine), heard(theirs)])


# What is no command


def test_too_much_is_refused_everywhere(crowd: Crowd, row: Row) -> None:
    owner = crowd.person()
    device = crowd.device().bound_to(owner)
    heard(device)

    row("HTTP, data of 8193 characters", 8400, control(owner, device, data="a" * 8_193)["code"])
    row("HTTP, a body over 64 KiB", 8400, control(owner, device, data="a" * 70_000)["code"])
    row(
        "HTTP, a value of 20 KiB in a property",
        8400,
        control(owner, device, type=2, data=json.dumps({"1": "a" * 20_000}))["code"],
    )
    with V1(owner) as app:
        large = {"raw": base64.b64encode(os.urandom(40_000)).decode(), "dataFormat": "Base64"}
        row("WebSocket v1, 40000 bytes", 4006, app.send(device, type="RAW", **large)["code"])  # type: ignore[index]
        kv = json.dumps({"1": "a" * 20_000})
        row("WebSocket v1, a property of 20000 bytes", 4006, app.send(device, type="WRITE-ATTR", kv=kv)["code"])  # type: ignore[index]
        many = json.dumps(list(range(1, 8000)))
        row("WebSocket v1, 7999 properties to read", 4028, app.send(device, type="READ-ATTR", kv=many)["code"])  # type: ignore[index]
    with V2(owner) as mqtt:
        row(
            "MQTT v2, a frame of 60000 bytes", "code 4028", mqtt.publish(topic(device), frame(1, 0x0023, b"x" * 60_000))
        )
    row("the device heard", [], heard(device))


MALFORMED = (
    "",
    "{",
    "[",
    "nul",
    "5",
    '"x"',
    "[1, [2]]",
    '{"1": NaN}',
    '{"1": 1e999}',
    '{"1": null}',
    '{"0": 1}',
    '{"8192": 1}',
    '{"-1": 1}',
    '{"１": 1}',
    '{"": 1}',
    '[{"1": 1}, 5]',
    "[" * 30_000,
    '{"1":' * 5_000,
    '{"1": "\\ud800"}',
    '{"1": ' + "9" * 5_000 + "}",
)


@pytest.mark.parametrize("place", range(len(MALFORMED)))
def test_what_is_no_command_reaches_no_device(crowd: Crowd, row: Row, place: int) -> None:
    kv = MALFORMED[place]
    owner = crowd.person()
    device = crowd.device().bound_to(owner)
    heard(device)
    shown = kv if len(kv) < 30 else f"{kv[:6]}... ({len(kv)})"

    with V1(owner) as app, V2(owner) as mqtt:
        told = app.send(device, type="WRITE-ATTR", kv=kv)["code"]  # type: ignore[index]
        row(f"properties {shown}: WebSocket v1 refuses", True, told in {4020, 4028})
        keys = {"msgId": 1, "productKey": device.product.key, "deviceKey": device.dk}
        said = mqtt.publish(topic(device, "sys_"), json.dumps(keys | {"type": "WRITE-ATTR", "kv": kv}).encode())
        row("... MQTT v2 refuses", True, said in {"code 4020", "code 4028"})
    answer = control(owner, device, type=2, data=kv)
    row("... HTTP refuses", True, answer["code"] in {5074, 8400} or not answer["data"]["successList"])
    row("... the device heard", [], heard(device))


# Tickets


def test_a_ticket_is_good_for_nothing_and_told_to_nobody_else(crowd: Crowd, row: Row) -> None:
    owner, neighbour = crowd.people(2)
    mine, theirs = crowd.device().bound_to(owner), crowd.device().bound_to(neighbour)
    for device in (mine, theirs):
        heard(device)
    with V1(neighbour) as app:
        wanted = [{"productKey": theirs.product.key, "deviceKey": theirs.dk, "messageType": ["RAW-UPLINK"]}]
        app.say("subscribe", wanted)
        tickets = []
        for _ in range(20):
            tickets.append(control(owner, mine)["data"]["successList"][0]["ticket"])
            heard(mine)

        row("twenty tickets", 20, len(set(tickets)))
        row("... that differ within 8 characters", 20, len({ticket[:8] for ticket in tickets}))
        row(
            "... somebody else's as message number",
            4029,
            app.send(theirs, type="RAW", raw="yv4=", msgId=tickets[0])["code"],
        )  # type: ignore[index]
        row("... what somebody else hears of them", "error", app.say("nonsense", None)["cmd"])
    row("... their device heard", [], heard(theirs))


def test_the_center_has_kept_running(crowd: Crowd, row: Row) -> None:
    owner = crowd.person()
    device = crowd.device().bound_to(owner)
    heard(device)

    assert control(owner, device)["data"]["successList"]
    row("after all this a command arrives", [(0x0023, b"\xca\xfe")], heard(device))
