"""Sharing: sessions that are open while a share ends, and what they hear after it: a notice, and nothing more."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.attack.app_lines import TOPICS, V1, V2, topic
from tests.attack.crowd import ENDUSER, OTHER_CODE, PASSWORD, Caller, Crowd, Device, run_crowd
from tests.attack.shares import accept, end, invite
from tests.e2e.wire_by_hand import app_password, random_text, ttlv_number
from tests.tables import Row

pytestmark = pytest.mark.enable_socket

NOT_BOUND_V1, NOT_BOUND_V2, REFUSED = 4011, 4007, 0x80
REMOVED, RESET = 0, 2
_numbers = itertools.count(900)


@pytest.fixture(scope="module")
def crowd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Crowd]:
    yield from run_crowd(tmp_path_factory.mktemp("crowd"), 60, has_stepped_clock=True)


@dataclass
class Shared:
    """A device, its owner, and a member who has its code."""

    crowd: Crowd
    owner: Caller
    member: Caller
    device: Device
    code: str

    def report(self, value: int) -> None:
        number = next(_numbers)
        self.device.link.publish(0x0014, ttlv_number(1, value), number, "bus")
        self.device.link.wait_puback(number)


@pytest.fixture
def shared(crowd: Crowd) -> Iterator[Shared]:
    owner, member = crowd.people(2)
    device = crowd.device(crowd.products["alternate"]).bound_to(owner)
    code = invite(owner, device, ends_ms=crowd.now_ms() + 900_000)
    assert accept(member, code) == 200
    assert device.log_in() == 0
    yield Shared(crowd, owner, member, device, code)
    device.leave()


def ends(shared: Shared) -> None:
    assert end(shared.owner, shared.code) == 200


def owner_leaves(shared: Shared) -> None:
    assert shared.owner.unbind(shared.device.product, shared.device.dk) == 200


def resets(shared: Shared) -> None:
    shared.crowd.center.admin("device", "approve", shared.device.product.key, shared.device.dk)
    shared.device.enrol_again()


def runs_out(shared: Shared) -> None:
    shared.crowd.step(901)


def is_replaced(shared: Shared) -> None:
    shared.device.report(OTHER_CODE)
    assert shared.crowd.person().bind(shared.device.product, shared.device.dk, OTHER_CODE) == 200


def closes_account(shared: Shared) -> None:
    nonce = random_text()
    named = {"pwd": app_password(PASSWORD, nonce), "random": nonce}
    assert shared.owner.call("DELETE", ENDUSER + "userDelete", **named)["code"] == 200


WAYS: list[tuple[str, Callable[[Shared], None], int]] = [
    ("the owner ends the share", ends, REMOVED),
    ("the owner unbinds", owner_leaves, REMOVED),
    ("the device is reset", resets, RESET),
    ("its time is over", runs_out, REMOVED),
    ("another user binds in the owner's place", is_replaced, REMOVED),
    ("the owner's account is closed", closes_account, REMOVED),
]


def notice(content: dict[str, Any]) -> tuple[str, int]:
    """Of a USER-BIND: the uid and the value."""
    assert (content["type"], content["subtype"]) == ("ENDUSER", "USER-BIND"), content
    told = json.loads(content["data"])
    return told["endUserId"], told["value"]


@pytest.mark.parametrize(("name", "act", "value"), WAYS, ids=[name for name, _, _ in WAYS])
def test_a_websocket_of_a_member_hears_nothing_after_the_share(
    shared: Shared, row: Row, name: str, act: Callable[[Shared], None], value: int
) -> None:
    with V1(shared.crowd.center, shared.member) as app, V1(shared.crowd.center, shared.owner):
        assert app.subscribe(shared.device) == 1
        shared.report(1)
        row(f"WebSocket v1, before {name}: a report is heard", ["MATTR"], [one["type"] for one in app.heard()])

        act(shared)

        told = app.told()
        shared.report(2)
        row(f"... when {name}: the member is told", (shared.member.uid, value), notice(told))
        row("... what is reported after it", [], app.heard())
        row("... subscribing again", NOT_BOUND_V1, app.subscribe(shared.device))
        sent = {"productKey": shared.device.product.key, "deviceKey": shared.device.dk, "type": "RAW", "raw": "aGk="}
        row("... sending to the device", NOT_BOUND_V1, app.ask("send", sent))


@pytest.mark.parametrize(("name", "act", "value"), WAYS, ids=[name for name, _, _ in WAYS])
def test_an_mqtt_session_of_a_member_hears_nothing_after_the_share(
    shared: Shared, row: Row, name: str, act: Callable[[Shared], None], value: int
) -> None:
    with V2.of(shared.member, shared.crowd.center) as app:
        assert app.hear(shared.device) == [0] * len(TOPICS)
        shared.report(1)
        heard = [content["type"] for _, content in app.heard()]
        row(f"MQTT v2, before {name}: a report is heard", ["MATTR"], heard)

        act(shared)

        said = app.told()
        shared.report(2)
        row(f"... when {name}: the member is told", (topic(shared.device, "sys_"), (shared.member.uid, value)),
            (said[0], notice(said[1])))  # fmt: skip
        row("... what is reported after it", [], app.heard())
        row("... subscribing again", [REFUSED] * len(TOPICS), app.hear(shared.device))
        asked = {"type": "READ-ATTR", "kv": "[1]", "msgId": 5}
        asked |= {"productKey": shared.device.product.key, "deviceKey": shared.device.dk}
        app.publish(topic(shared.device, "bus_", 1), json.dumps(asked).encode())
        row("... sending to the device", [(NOT_BOUND_V2, "device is not bound")],
            [(content["code"], content["msg"]) for _, content in app.heard()])  # fmt: skip


def test_the_owners_session_goes_on_when_a_share_ends(shared: Shared, row: Row) -> None:
    with V1(shared.crowd.center, shared.owner) as app, V2.of(shared.owner, shared.crowd.center) as mqtt:
        assert app.subscribe(shared.device) == 1
        mqtt.hear(shared.device)

        ends(shared)
        shared.report(3)

        row("the owner's WebSocket after a share ended", ["MATTR"], [one["type"] for one in app.heard()])
        row("... the owner's MQTT session", ["MATTR"], [content["type"] for _, content in mqtt.heard()])


def test_a_member_who_reads_late_hears_nothing_of_what_came_after(shared: Shared, row: Row) -> None:
    with V1(shared.crowd.center, shared.member) as app:
        assert app.subscribe(shared.device) == 1
        for value in range(5):
            shared.report(value)
        ends(shared)
        shared.report(99)
        heard = app.heard()

    told = [one for one in heard if one["type"] == "ENDUSER"]
    row("a member who reads late: one notice", 1, len(told))
    row("... as the last that is said of the device", "ENDUSER", heard[-1]["type"])
    row("... what was reported after the end", False, any('"1": 99' in json.dumps(one) for one in heard))
