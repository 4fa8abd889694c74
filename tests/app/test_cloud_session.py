"""WebSocket v1 from the App's end, without a connection. Messages: app-api.md D1."""

import json
from typing import Any

import pytest

from quecbind.app.cloud_session import (
    MAX_WAITING,
    Answered,
    CloudSession,
    Opened,
    Over,
    RawReported,
    Refused,
    Reported,
)
from quecbind.app.errors import ControlError

KEYS = {"productKey": "p1aB3c", "deviceKey": "D1"}


def said(session: CloudSession) -> list[tuple[str, Any]]:
    return [(one["cmd"], one["data"]) for one in map(json.loads, session.texts_to_send())]


def hear(session: CloudSession, command: str, data: Any) -> Any:
    return session.receive(json.dumps({"cmd": command, "data": data}))


def told(session: CloudSession, kind: str, data: Any, **keys: Any) -> Any:
    return hear(session, "message", {**KEYS, "type": kind, "data": data, **keys})


@pytest.fixture
def session() -> CloudSession:
    session = CloudSession("p1aB3c", "D1", "Bearer t", "U1")
    hear(session, "login_resp", {"code": 1})
    assert hear(session, "subscribe_resp", [{**KEYS, "code": 1}]) == Opened()
    session.texts_to_send()
    return session


def test_it_logs_in_subscribes_and_is_open() -> None:
    session = CloudSession("p1aB3c", "D1", "Bearer t")

    assert said(session) == [("login", {"token": "Bearer t"})]
    assert hear(session, "login_resp", {"code": 1}) is None
    assert said(session) == [("subscribe", [{**KEYS, "messageType": ["MATTR-REPORT", "RAW-UPLINK"]}])]
    assert hear(session, "subscribe_resp", [{**KEYS, "code": 1}]) == Opened()


def test_a_wrong_token_or_a_device_of_others_is_refused_and_the_end() -> None:
    session = CloudSession("p1aB3c", "D1", "Bearer t")
    assert hear(session, "error", {"code": 4008, "msg": "token"}) == Refused(4008, "token")
    assert hear(session, "login_resp", {"code": 1}) is None

    session = CloudSession("p1aB3c", "D1", "Bearer t")
    hear(session, "login_resp", {"code": 1})
    assert hear(session, "subscribe_resp", [{"code": 4011, "msg": "not bound"}]) == Refused(4011, "not bound")
    with pytest.raises(ControlError):
        session.read([])


def test_questions_are_the_documents(session: CloudSession) -> None:
    numbers = [session.read(["switch", 3]), session.write({"switch": True}), session.send_raw(b"\x01\xff")]

    assert numbers == [1, 2, 3]
    assert said(session) == [
        ("send", {**KEYS, "type": "READ-ATTR", "msgId": 1, "kv": '["switch", 3]'}),
        ("send", {**KEYS, "type": "WRITE-ATTR", "msgId": 2, "kv": '{"switch": true}'}),
        ("send", {**KEYS, "type": "RAW", "msgId": 3, "raw": "Af8=", "dataFormat": "Base64"}),
    ]


def test_questions_that_were_given_up_take_no_place_and_no_error_of_others(session: CloudSession) -> None:
    for _ in range(MAX_WAITING + 1):
        session.give_up(session.read([]))
    number = session.read([])

    assert hear(session, "error", {"code": 4030, "msg": "offline"}) == Answered(number, 4030, "offline")
    session.give_up(number)  # it has been answered
    assert hear(session, "send_ack", {"msgId": number - 1, "status": "succ"}) is None


def test_the_late_error_of_a_question_that_was_given_up_does_not_end_the_session(session: CloudSession) -> None:
    session.give_up(session.read([]))

    assert hear(session, "error", {"code": 4030, "msg": "offline"}) is None
    assert isinstance(hear(session, "error", {"code": 4008, "msg": "token"}), Over)


def test_answers_name_their_question_and_errors_belong_to_the_oldest(session: CloudSession) -> None:
    for _ in range(4):
        session.read([])

    assert hear(session, "send_ack", {"msgId": 2, "status": "succ"}) == Answered(2, 1, "")
    assert hear(session, "error", {"code": 4030, "msg": "offline"}) == Answered(1, 4030, "offline")
    assert hear(session, "send_ack", {"msgId": 3, "status": "fail"}) == Answered(3, 0, "the device did not take it")
    assert hear(session, "send_ack", {"msgId": 3, "status": "succ"}) is None
    assert hear(session, "error", {"code": 4028}) == Answered(4, 4028, "")


def test_what_the_device_tells_is_heard(session: CloudSession) -> None:
    assert told(session, "MATTR", {"packetId": 1, "kv": {"switch": True}}) == Reported({"switch": True})
    assert told(session, "RAW", {"raw": "Af8="}) == RawReported(b"\x01\xff")
    assert told(session, "ONLINE", {"value": 1}) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "5",
        "[" * 50000,
        '{"cmd": "message"}',
        '{"cmd": "message", "data": {"type": "MATTR"}}',
        '{"cmd": "send_ack", "data": {"msgId": "x"}}',
        '{"cmd": "send_ack", "data": []}',
        '{"cmd": "subscribe_resp", "data": []}',
    ],
)
def test_what_means_nothing_is_skipped(session: CloudSession, text: str) -> None:
    assert session.receive(text) is None
    assert told(session, "MATTR", {"kv": {"1": 2}}) == Reported({"1": 2})


@pytest.mark.parametrize("content", [{"kv": None}, {}, "{", "[]", None])
def test_a_message_that_cannot_be_read_is_skipped(session: CloudSession, content: Any) -> None:
    assert told(session, "MATTR", content) is None
    assert told(session, "RAW", {"raw": "not base64!"}) is None
    assert told(session, "WEATHER", {"value": 1}) is None


def test_other_devices_are_not_heard(session: CloudSession) -> None:
    assert told(session, "MATTR", {"kv": {"1": 2}}, deviceKey="D2") is None


@pytest.mark.parametrize("text", ["none", "content", "all"])
def test_losing_the_device_ends_it_and_what_others_lose_does_not(session: CloudSession, text: str) -> None:
    def change(**data: Any) -> Any:
        content = {**KEYS, "type": "ENDUSER", "data": json.dumps(data) if text == "content" else data}
        return hear(session, "message", json.dumps(content) if text == "all" else content)

    assert change(endUserId="U1", value=1) is None
    assert change(endUserId="U2", value=0, invalidCause=4) is None
    assert change(endUserId="U1", value=0, invalidCause=1) == Over("the device is no longer this user's")
    assert told(session, "MATTR", {"kv": {"1": 2}}) is None


def test_a_log_in_that_is_answered_with_a_refusal_is_refused() -> None:
    session = CloudSession(KEYS["productKey"], KEYS["deviceKey"], "Bearer old")

    assert hear(session, "login_resp", {"code": 4008, "msg": "token"}) == Refused(4008, "token")


def test_an_error_that_names_its_question_belongs_to_it(session: CloudSession) -> None:
    first, second, third = (session.send_raw(b"%d" % number) for number in range(3))
    session.give_up(first)

    assert hear(session, "error", {"code": 4030, "msg": "offline", "msgId": third}) == Answered(third, 4030, "offline")
    assert hear(session, "error", {"code": 4030, "msgId": first}) is None
    assert hear(session, "error", {"code": 4028, "msg": "kv", "msgId": second}) == Answered(second, 4028, "kv")
    assert isinstance(hear(session, "error", {"code": 4008, "msgId": 0}), Over)


@pytest.mark.parametrize("number", ["Infinity", "NaN", "1e999", "[1]", '"x"', "null"])
def test_a_number_that_is_none_harms_nothing(session: CloudSession, number: str) -> None:
    question = session.send_raw(b"hi")

    answer = session.receive('{"cmd": "error", "data": {"code": ?, "msgId": ?}}'.replace("?", number))

    assert answer == Answered(question, 0, "")


def test_an_error_that_nobody_asked_for_is_the_end(session: CloudSession) -> None:
    assert hear(session, "error", {"code": 4008, "msg": "token"}) == Over("the platform ended it: token (4008)")


def test_a_platform_that_never_answers_is_not_asked_without_end(session: CloudSession) -> None:
    for _ in range(64):
        session.read([])

    with pytest.raises(ControlError, match="too many"):
        session.read([])
