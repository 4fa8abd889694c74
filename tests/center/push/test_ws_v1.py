"""WebSocket v1, command by command, on a clock that is moved."""

import asyncio
import base64
import json

import pytest

from quecbind.center.domain.accounts import ACCESS_LIFE_S
from quecbind.wire import ttlv
from tests.center.push.audience import V1


def send(audience, **fields):
    keys = {"productKey": audience.device.product_key, "deviceKey": audience.device.device_key}
    return {**keys, **fields}


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("{", 4002),
        ("[]", 4002),
        ('{"data": {}}', 4003),
        ('{"cmd": "fly"}', 4004),
        ('{"cmd": ["subscribe"]}', 4004),
        ('{"cmd": "subscribe"}', 4010),
        ('{"cmd": "send"}', 4010),
        ('{"cmd": "login"}', 4005),
        ('{"cmd": "login", "data": []}', 4006),
        ('{"cmd": "login", "data": {}}', 4007),
        ("[" * 30_000, 4002),
        (b"\xff", 4002),
        ('{"cmd": "login", "cmd": "send"}', 4002),
        ('{"cmd": ["login"]}', 4004),
        ('{"cmd": {"login": 1}}', 4004),
    ],
)
async def test_what_is_wrong_before_the_log_in_has_a_code(audience, text, code):
    app = V1(audience)

    app.session.receive(text, app.now)

    assert [(each["cmd"], each["data"]["code"]) for each in app.take()] == [("error", code)]


@pytest.mark.parametrize("token", ["Bearer x", 5])
async def test_a_log_in_with_no_good_token_has_its_answer_and_ends_the_connection(audience, token):
    app = V1(audience)

    (answer,) = app.say("login", {"token": token})

    assert (answer["cmd"], answer["data"]["code"]) == ("login_resp", 4008)
    assert app.line.close_code == 1008


async def test_a_second_log_in_is_refused(audience):
    app = await V1(audience).log_in(audience.owner)

    assert app.code("login", {"token": await audience.token(audience.owner)}) == 4009


async def test_a_refresh_token_logs_nobody_in(audience):
    user = audience.world.center.storage.read(lambda tx: tx.users.get(audience.owner.uid))
    tokens = await audience.world.center.accounts._open_session(user, "")

    assert V1(audience).code("login", {"token": tokens.refresh_token}) == 4008


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"productKey": ""}, 4021),
        ({"productKey": "a b"}, 4022),
        ({"deviceKey": None}, 4023),
        ({"deviceKey": "ä"}, 4024),
        ({"messageType": []}, 4025),
        ({"messageType": ["WEATHER"]}, 4012),
        ({"deviceKey": "NOSUCH"}, 4011),
    ],
)
async def test_a_subscription_that_cannot_be_has_a_code(audience, change, code):
    app = await V1(audience).log_in(audience.owner)

    (answer,) = app.say("subscribe", [send(audience, messageType=["ONLINE"]) | change])

    assert answer["data"][0]["code"] == code


async def test_a_stranger_cannot_tell_a_device_from_none(audience):
    app = await V1(audience).log_in(audience.stranger)
    keys = {"productKey": audience.device.product_key, "messageType": ["ONLINE"]}

    there, nowhere = app.say(
        "subscribe", [{**keys, "deviceKey": audience.device.device_key}, {**keys, "deviceKey": "D9"}]
    )[0]["data"]

    assert {**there, "deviceKey": ""} == {**nowhere, "deviceKey": ""}
    assert there["code"] == 4011


async def test_an_app_hears_what_it_subscribed_to_and_nothing_else(audience):
    app = await V1(audience).log_in(audience.owner)
    app.subscribe(audience.device, ["MATTR-REPORT"])
    world = audience.world

    await world.frame(audience.device, 0x0034, [(1, 80)])
    await audience.report(_1=5, _2=True)

    (heard,) = app.take()
    assert (heard["data"]["type"], heard["data"]["subtype"]) == ("MATTR", "REPORT")
    assert heard["data"]["data"]["kv"] == {"1": 5, "2": True}


async def test_status_raw_data_and_presence_read_as_documented(audience):
    app = await V1(audience).log_in(audience.owner)
    app.subscribe(audience.device)
    world, device = audience.world, audience.device

    await world.frame(device, 0x0034, [(1, 80), (2, 3.3)])
    await world.frame(device, 0x0044, [(1, "FC41D"), (10, "46000"), (12, "NONE;"), (99, "x")])
    await world.frame(device, 0x0024, b"\x00\xff")
    world.center.presence.online(device, "10.0.0.9")
    world.center.presence.online(device, "10.0.0.9")
    world.center.presence.offline(device)
    world.center.presence.offline(device)

    said = [(each["data"]["type"], each["data"]["data"]) for each in app.take()]
    assert [content.pop("packetId") > 0 for _, content in said[:3]] == [True, True, True]
    assert said == [
        ("STATUS", {"kv": {"battery": "80", "voltage": "3.3"}}),
        ("STATUS", {"kv": {"type": "FC41D", "sim_num": "46000", "locator": "NONE;", "99": "x"}}),
        ("RAW", {"raw": base64.b64encode(b"\x00\xff").decode()}),
        ("ONLINE", {"value": 1}),
        ("ONLINE", {"value": 2}),
        ("ONLINE", {"value": 0}),
    ]


async def test_a_status_that_is_repeated_is_said_again(audience):
    app = await V1(audience).log_in(audience.owner)
    app.subscribe(audience.device, ["STATUS"])

    await audience.world.frame(audience.device, 0x0034, [(1, 80)])
    await audience.world.frame(audience.device, 0x0034, [(1, 80)])

    assert len(app.take()) == 2


async def test_a_report_that_cannot_be_read_is_not_said(audience):
    app = await V1(audience).log_in(audience.owner)
    app.subscribe(audience.device)

    await audience.world.frame(audience.device, 0x0014, b"\x00")

    assert app.take() == []


async def test_a_user_bind_notice_carries_its_data_as_a_json_string(audience):
    app = await V1(audience).log_in(audience.owner)
    app.subscribe(audience.device)

    await audience.unbind()

    (heard,) = app.take()
    assert heard["cmd"] == "message"
    assert json.loads(heard["data"]["data"]) == {
        "endUserId": audience.owner.uid,
        "endUserDomain": audience.owner.user_domain,
        "value": 0,
        "authStatus": 1,
        "authLevel": 1,
        "invalidCause": 1,
    }


async def test_after_unsubscribing_nothing_is_said(audience):
    app = await V1(audience).log_in(audience.owner)
    app.subscribe(audience.device, ["MATTR-REPORT"])

    assert app.subscribe(audience.device, ["MATTR-REPORT"], "unsubscribe") == 1
    await audience.report(_1=5)

    assert app.take() == []
    assert app.subscribe(audience.device, ["MATTR-REPORT"], "unsubscribe") == 4014


@pytest.mark.parametrize("types", [{}, {"messageType": []}, {"messageType": None}, {"messageType": ""}])
async def test_unsubscribing_without_a_type_ends_all_of_that_device(audience, types):
    other = await audience.world.device(audience.product, "D2")
    await audience.world.report(other)
    await audience.world.bind(audience.owner, other)
    app = await V1(audience).log_in(audience.owner)
    app.subscribe(audience.device)
    app.subscribe(other)

    (answer,) = app.say("unsubscribe", [send(audience, **types)])
    await audience.report(_1=5)
    await audience.world.frame(audience.device, 0x0034, [(1, 80)])

    assert answer["data"][0]["code"] == 1
    assert app.take() == []
    assert not app.subscriber.is_subscribed(audience.device.client_id)
    assert app.subscriber.is_subscribed(other.client_id)
    assert app.say("unsubscribe", [send(audience, **types)])[0]["data"][0]["code"] == 4014


@pytest.mark.parametrize(
    ("fields", "command", "payload"),
    [
        ({"type": "RAW", "raw": "aGk="}, 0x0023, b"aGk="),
        ({"type": "RAW", "raw": "h\u00e9", "dataFormat": "Text"}, 0x0023, b"h\xc3\xa9"),
        ({"type": "RAW", "raw": "aGk=", "dataFormat": "Base64"}, 0x0023, b"hi"),
        ({"type": "RAW", "raw": "00fF", "dataFormat": "HEX"}, 0x0023, b"\x00\xff"),
        ({"type": "READ-ATTR", "kv": "[1, 2]"}, 0x0011, b"\0\1\0\2"),
        ({"type": "READ-ATTR", "kv": '["3"]'}, 0x0011, b"\0\3"),
        ({"type": "WRITE-ATTR", "kv": '{"1": true, "2": 5}'}, 0x0013, ttlv.encode([(1, True), (2, 5)])),
        ({"type": "WRITE-ATTR", "kv": '[{"1": true}]'}, 0x0013, ttlv.encode([(1, True)])),
        ({"type": "WRITE-ATTR", "kv": '{"4": {"1": 2}}'}, 0x0013, ttlv.encode([(4, [(1, 2)])])),
    ],
)
async def test_what_an_app_sends_reaches_the_device(audience, fields, command, payload):
    audience.link.online.add(audience.device.client_id)
    app = await V1(audience).log_in(audience.owner)

    assert app.say("send", send(audience, msgId=9, **fields)) == []
    audience.link.answer()

    (answer,) = app.take()
    assert (answer["cmd"], answer["data"]["msgId"], answer["data"]["status"]) == ("send_ack", 9, "succ")
    assert audience.link.sent == [(audience.device.client_id, command, payload, "bus")]


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({}, 4026),
        ({"type": "DANCE"}, 4015),
        ({"type": "EXE-SERV", "kv": '{"go": {}}'}, 4020),
        ({"type": "WRITE-ATTR", "kv": '{"switch": true}'}, 4020),
        ({"type": "READ-ATTR", "kv": '["switch"]'}, 4020),
        ({"type": "WRITE-ATTR", "kv": {"1": 1}}, 4028),
        ({"type": "WRITE-ATTR", "kv": "{}"}, 4028),
        ({"type": "WRITE-ATTR", "kv": '{"1": null}'}, 4028),
        ({"type": "WRITE-ATTR", "kv": '{"1": ""}'}, 4028),
        ({"type": "WRITE-ATTR", "kv": '{"1": "on\\u0000off"}'}, 4028),
        ({"type": "WRITE-ATTR", "kv": '{"1": [{"2": "\\u0000"}]}'}, 4028),
        ({"type": "WRITE-ATTR", "kv": '{"1": [{"2": ""}]}'}, 4028),
        ({"type": "WRITE-ATTR", "kv": '{"1": NaN}'}, 4028),
        ({"type": "WRITE-ATTR", "kv": '{"1": 1e999}'}, 4028),
        ({"type": "WRITE-ATTR", "kv": '{"0": 1}'}, 4028),
        ({"type": "WRITE-ATTR", "kv": '{"1": ' + "[" * 9 + "]" * 9 + "}"}, 4028),
        ({"type": "RAW", "raw": ""}, 4006),
        ({"type": "RAW", "raw": "?", "dataFormat": "Base64"}, 4006),
        ({"type": "RAW", "raw": "0 1", "dataFormat": "Hex"}, 4006),
        ({"type": "RAW", "raw": "01", "dataFormat": "Morse"}, 4006),
        ({"type": "RAW", "raw": "01", "dataFormat": 1}, 4006),
        ({"type": "RAW", "raw": "aGk=", "msgId": "x"}, 4029),
        ({"type": "RAW", "raw": "aGk=", "deviceKey": "D9"}, 4011),
    ],
)
async def test_what_cannot_be_sent_has_a_code_and_reaches_no_device(audience, fields, code):
    audience.link.online.add(audience.device.client_id)
    app = await V1(audience).log_in(audience.owner)

    assert app.code("send", send(audience) | fields) == code
    assert audience.link.sent == []


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({}, 4026),
        ({"type": "DANCE"}, 4015),
        ({"type": "WRITE-ATTR", "kv": "{}"}, 4028),
        ({"type": "WRITE-ATTR", "kv": "?"}, 4028),
        ({"type": "RAW", "raw": "aGk=", "deviceKey": ""}, 4023),
        ({"type": "RAW", "raw": "aGk=", "deviceKey": "D9"}, 4011),
        ({"type": "RAW", "raw": "aGk="}, 4030),
    ],
)
async def test_of_several_sends_the_one_that_is_refused_can_be_told(audience, fields, code):
    app = await V1(audience).log_in(audience.owner)

    ((with_number,), (without,)) = (app.say("send", send(audience, **more) | fields) for more in ({"msgId": 9}, {}))

    assert [(each["cmd"], each["data"]["code"]) for each in (with_number, without)] == [("error", code)] * 2
    assert [with_number["data"]["msgId"], without["data"]["msgId"]] == [9, 0]


async def test_a_moment_in_milliseconds_is_a_number_of_a_message(audience):
    audience.link.online.add(audience.device.client_id)
    app = await V1(audience).log_in(audience.owner)

    app.say("send", send(audience, type="RAW", raw="hi", msgId=1_795_631_862_331))
    audience.link.answer()

    assert [each["data"]["msgId"] for each in app.take()] == [1_795_631_862_331]


@pytest.mark.parametrize("number", ["9", -1, 10**20, True, None, 1.5, [9]])
async def test_a_number_that_is_none_is_not_said_again(audience, number):
    app = await V1(audience).log_in(audience.owner)

    (answer,) = app.say("send", send(audience, type="RAW", raw="aGk=", msgId=number))

    assert (answer["data"]["code"], answer["data"]["msgId"]) == (4029, 0)


async def test_a_send_before_the_log_in_is_refused_by_its_number_and_nothing_else_has_one(audience):
    app = V1(audience)

    (refused,), (other,) = app.say("send", send(audience, msgId=9)), app.say("subscribe", send(audience, msgId=9))

    assert (refused["data"]["code"], refused["data"]["msgId"]) == (4010, 9)
    assert set(other["data"]) == {"code", "msg"}


async def test_a_send_ack_says_when_the_device_had_it(audience):
    audience.link.online.add(audience.device.client_id)
    app = await V1(audience).log_in(audience.owner)
    began = round(audience.world.clock.now() * 1000)
    app.say("send", send(audience, type="RAW", raw="aGk="))

    app.wait(2)
    audience.link.answer()

    (answer,) = app.take()
    ticket = answer["data"].pop("ticket")
    assert len(ticket) == 22
    times = {"createdAt": began, "sentAt": began, "ackAt": began + 2000}
    assert answer == {"cmd": "send_ack", "data": {"msgId": 0, **send(audience), **times, "status": "succ"}}


async def test_a_command_that_is_kept_is_answered_at_once_and_by_its_result(audience):
    app = await V1(audience).log_in(audience.owner)
    app.subscribe(audience.device, ["STATUS"])
    keep = {"isCache": True, "cacheTime": 60}
    assert app.say("send", send(audience, type="RAW", raw="hi", msgId=5, **keep)) == []
    await audience.world.center.storage.transact(lambda _: None)
    await asyncio.sleep(0)
    (kept,) = app.take()

    audience.link.online.add(audience.device.client_id)
    audience.world.center.presence.online(audience.device, "10.9.9.9")
    await asyncio.sleep(0)
    audience.link.answer()

    (result,) = app.take()
    facts = [(each["cmd"], each["data"]["msgId"], each["data"]["status"]) for each in (kept, result)]
    assert facts == [("send_ack", 5, "succ"), ("send_ack", 0, "succ")]
    assert [kept["data"]["ackAt"], result["data"]["ackAt"] > 0] == [0, True]
    assert kept["data"]["ticket"] == result["data"]["ticket"]
    assert audience.link.sent == [(audience.device.client_id, 0x0023, b"hi", "bus")]


@pytest.mark.parametrize(
    ("keep", "code"),
    [
        ({"isCache": True}, 4030),
        ({"isCache": False, "cacheTime": 60}, 4030),
        ({"isCache": True, "cacheTime": 10**7}, 4006),
        ({"isCache": "yes", "cacheTime": 60}, 4006),
    ],
)
async def test_what_is_not_to_be_kept_or_cannot_be_is_refused_while_the_device_is_away(audience, keep, code):
    app = await V1(audience).log_in(audience.owner)

    assert app.code("send", send(audience, type="RAW", raw="hi", **keep)) == code


async def test_a_device_that_does_not_acknowledge_makes_a_command_fail(audience):
    audience.link.online.add(audience.device.client_id)
    app = await V1(audience).log_in(audience.owner)
    app.say("send", send(audience, type="RAW", raw="aGk=", msgId=5))
    app.wait(3)
    failed_at = round(audience.world.clock.now() * 1000)

    audience.link.answer(False)

    (answer,) = app.take()
    assert (answer["data"]["status"], answer["data"]["msgId"], answer["data"]["ackAt"]) == ("fail", 5, failed_at)


async def test_a_device_that_takes_no_more_and_a_command_that_is_too_large_have_their_codes(audience):
    audience.link.online.add(audience.device.client_id)
    audience.link.room = 0
    app = await V1(audience).log_in(audience.owner)

    assert app.code("send", send(audience, type="RAW", raw="aGk=")) == 4017
    assert app.code("send", send(audience, type="RAW", raw="aGlo" * 3000)) == 4006
    assert audience.link.sent == []


async def test_a_device_that_is_away_has_its_own_code(audience):
    app = await V1(audience).log_in(audience.owner)

    assert app.code("send", send(audience, type="RAW", raw="aGk=")) == 4030


async def test_a_stranger_sends_nothing(audience):
    audience.link.online.add(audience.device.client_id)
    app = await V1(audience).log_in(audience.stranger)

    assert app.code("send", send(audience, type="RAW", raw="aGk=")) == 4011
    assert audience.link.sent == []


async def test_an_app_that_is_silent_for_130_seconds_is_dropped(audience):
    app = await V1(audience).log_in(audience.owner)

    app.wait(129)
    app.say("pong")
    app.wait(129)
    assert app.line.is_open
    app.wait(1)

    assert not app.line.is_open
    assert audience.hub.ended_count_by_reason == {"silent": 1}


async def test_a_websocket_ping_is_a_heartbeat(audience):
    app = await V1(audience).log_in(audience.owner)

    app.wait(129)
    app.session.heard(app.now)
    app.wait(129)

    assert app.line.is_open


async def test_whoever_does_not_log_in_in_time_is_dropped(audience):
    app = V1(audience)

    app.wait(9)
    app.say("pong")
    assert app.line.is_open
    app.wait(1)

    assert not app.line.is_open
    assert audience.hub.ended_count_by_reason == {"log_in_time": 1}


async def test_the_connection_ends_with_its_token(audience):
    app = await V1(audience).log_in(audience.owner)

    for _ in range(ACCESS_LIFE_S // 100 - 1):
        app.wait(100)
        app.session.heard(app.now)
    assert app.line.is_open
    app.wait(100)

    assert [each["data"]["code"] for each in app.take()] == [4008]
    assert not app.line.is_open
    assert audience.hub.ended_count_by_reason == {"token_expired": 1}


async def test_whoever_sends_too_fast_is_told_and_dropped(audience):
    audience.new_hub(max_push_rate=1)
    app = await V1(audience).log_in(audience.owner)

    for _ in range(9):
        assert app.say("pong") == []
    assert app.code("pong") == 4019
    assert not app.line.is_open
    assert audience.hub.ended_count_by_reason == {"too_fast": 1}
