"""MQTT over WebSocket v2, packet by packet, on a clock that is moved."""

import asyncio
import json

import pytest

from quecbind.center.domain.control import Command
from quecbind.center.services.errors import StorageError
from quecbind.wire import frame, mqtt, ttlv
from tests.center.push.audience import V2
from tests.center.push.test_hub import notices


def content(packet: mqtt.Publish):
    return json.loads(packet.payload)


async def connect(audience, client_id=None, token=None, user_name=None, level=4):
    app = V2(audience)
    good = (await audience.token(audience.owner)).encode()
    packet = mqtt.Connect(
        client_id or f"qu_{audience.owner.uid}_1", 60, True, user_name, good if token is None else token, None, level
    )
    return app, app.say(packet)


async def test_a_log_in_gets_exactly_the_four_bytes_apps_expect(audience):
    app = V2(audience)
    token = (await audience.token(audience.owner)).encode()
    connect_packet = mqtt.Connect(f"qu_{audience.owner.uid}_1700000000000", 60, True, None, token).encode()
    assert connect_packet[connect_packet.index(b"MQTT") + 5] == 0x42

    app.session.receive(connect_packet, app.now)

    assert app.line.written == [b"\x20\x02\x00\x00"]


async def test_an_empty_user_name_is_as_good_as_none(audience):
    assert (await connect(audience, user_name=b""))[1] == [mqtt.Connack(0)]


@pytest.mark.parametrize(
    "change",
    [
        {"token": b"Bearer x"},
        {"token": b""},
        {"client_id": "qu_C999_1"},
        {"client_id": "qd_C1_1"},
        {"user_name": b"admin"},
    ],
)
async def test_a_log_in_that_does_not_fit_is_refused_and_ended(audience, change):
    app, answer = await connect(audience, **change)

    assert answer == [mqtt.Connack(4)]
    assert not app.line.is_open


async def test_mqtt_3_1_is_refused(audience):
    app, answer = await connect(audience, level=3)

    assert answer == [mqtt.Connack(1)]
    assert not app.line.is_open


@pytest.mark.parametrize(
    "first", [mqtt.Pingreq(), mqtt.Subscribe(1, [("#", 0)]), mqtt.Publish("a", b"", 0, False, False, 0)]
)
async def test_nothing_comes_before_the_log_in(audience, first):
    app = V2(audience)

    assert app.say(first) == []
    assert not app.line.is_open


async def test_topics_of_ones_own_devices_are_granted_with_and_without_underscore(audience):
    app = await V2(audience).log_in(audience.owner)
    names = ["bus_", "bus", "ack_", "onl_", "ota_", "inf_", "loc_", "sys_", "sys"]

    assert app.subscribe(*map(audience.topic, names)) == [0] * len(names)
    assert app.subscribe(audience.topic("bus_", 1)) == [0]


async def test_what_is_not_ones_own_is_refused_alike(audience):
    app = await V2(audience).log_in(audience.stranger)

    assert (
        app.subscribe(
            audience.topic("bus_"),
            audience.topic("sys_", 1),
            "q/2/d/qdnosuchD9/bus_",
            f"q/2/d/{audience.device.client_id}/+",
            "q/2/d/+/bus_",
            "#",
            audience.topic("bus__"),
            audience.topic("bid_"),
            audience.topic("bus_", 3),
        )
        == [0x80] * 9
    )
    await audience.report(_1=1)
    assert app.take() == []


async def test_an_app_hears_on_the_topic_it_subscribed_to(audience):
    app = await V2(audience).log_in(audience.owner)
    app.subscribe(audience.topic("bus"), audience.topic("onl_"))

    await audience.report(_1=5)
    await audience.world.frame(audience.device, 0x0034, [(1, 80)])
    audience.world.center.presence.online(audience.device, "10.0.0.9")

    report, online = app.take()
    assert (report.topic, report.qos, content(report)["type"]) == (audience.topic("bus"), 0, "MATTR")
    assert content(report)["data"]["kv"] == {"1": 5}
    assert (online.topic, content(online)["data"]) == (audience.topic("onl_"), {"value": 1})


async def test_status_comes_on_sys_and_information_on_inf(audience):
    app = await V2(audience).log_in(audience.owner)
    app.subscribe(audience.topic("sys_"), audience.topic("inf_"))

    await audience.world.frame(audience.device, 0x0034, [(1, 80)])
    await audience.world.frame(audience.device, 0x0044, [(3, b"1.0")])

    assert [(each.topic, content(each)["data"]["kv"]) for each in app.take()] == [
        (audience.topic("sys_"), {"battery": "80"}),
        (audience.topic("inf_"), {"mcu_version": "1.0"}),
    ]


@pytest.mark.parametrize("name", ["bus_", "sys_", "sys"])
async def test_the_end_of_a_right_is_the_last_thing_said_about_a_device(audience, name):
    app = await V2(audience).log_in(audience.owner)
    app.subscribe(audience.topic(name))

    await audience.unbind()
    await audience.report(_1=5)
    await audience.world.frame(audience.device, 0x0034, [(1, 80)])

    (told,) = app.take()
    assert told.topic == audience.topic("sys" if name == "sys" else "sys_")
    assert notices([{"data": content(told)}]) == [(0, 1)]
    assert app.subscribe(audience.topic(name)) == [0x80]


async def test_binding_again_needs_a_new_subscription(audience):
    app = await V2(audience).log_in(audience.owner)
    app.subscribe(audience.topic("bus_"), audience.topic("onl_"))
    await audience.unbind()
    await audience.world.report(audience.device)
    await audience.world.bind(audience.owner, audience.device)
    app.take()

    await audience.report(_1=5)
    assert app.take() == []
    app.subscribe(audience.topic("bus_"))
    audience.world.center.presence.online(audience.device, "10.0.0.9")
    await audience.report(_1=6)

    assert [content(each)["data"].get("kv") for each in app.take()] == [{"1": 6}]


async def test_after_unsubscribing_nothing_is_said(audience):
    app = await V2(audience).log_in(audience.owner)
    app.subscribe(audience.topic("bus_"))

    assert app.say(mqtt.Unsubscribe(8, [audience.topic("bus_"), "#"])) == [mqtt.Unsuback(8)]
    await audience.report(_1=5)

    assert app.take() == []
    assert audience.hub.subscription_count == 0


def command(audience, **fields) -> bytes:
    keys = {"productKey": audience.device.product_key, "deviceKey": audience.device.device_key}
    return json.dumps({"msgId": 7, **keys, **fields}).encode()


async def test_json_on_sys_sets_properties_and_is_acknowledged(audience):
    audience.link.online.add(audience.device.client_id)
    app = await V2(audience).log_in(audience.owner)
    app.subscribe(audience.topic("ack_"))

    (puback,) = app.publish(
        audience.topic("sys_", 1), command(audience, type="WRITE-ATTR", kv='{"1": true}', isCache=False), qos=1
    )
    audience.link.answer()

    (ack,) = app.take()
    told = content(ack)
    assert puback == mqtt.Puback(9)
    assert len(told.pop("ticket")) == 22
    assert (ack.topic, told) == (audience.topic("ack_"), {"status": "succ", "msg": "success", "msgId": 7})
    assert audience.link.sent == [(audience.device.client_id, 0x0013, ttlv.encode([(1, True)]), "bus")]


async def test_a_device_that_does_not_acknowledge_makes_a_command_fail(audience):
    audience.link.online.add(audience.device.client_id)
    app = await V2(audience).log_in(audience.owner)
    app.subscribe(audience.topic("ack"))
    app.publish(audience.topic("sys_", 1), command(audience, type="WRITE-ATTR", kv='{"1": true}'))

    audience.link.answer(False)

    (ack,) = app.take()
    assert (ack.topic, content(ack)["status"], content(ack)["msgId"]) == (audience.topic("ack"), "fail", 7)


async def test_a_device_that_is_away_is_an_error_and_a_failure(audience):
    app = await V2(audience).log_in(audience.owner)
    app.subscribe(audience.topic("ack_"))

    error, ack = app.publish(audience.topic("sys_", 1), command(audience, type="WRITE-ATTR", kv='{"1": true}'))

    assert (error.topic, content(error)["code"]) == (audience.topic("sys_"), 4030)
    assert (ack.topic, content(ack)["status"], content(ack)["msgId"]) == (audience.topic("ack_"), "fail", 7)


async def test_a_command_that_is_kept_is_told_of_twice(audience):
    app = await V2(audience).log_in(audience.owner)
    app.subscribe(audience.topic("ack_"))
    keep = {"isCache": True, "cacheTime": 60, "isCover": False}
    app.publish(audience.topic("sys_", 1), command(audience, type="WRITE-ATTR", kv='{"1": true}', **keep))
    await audience.world.center.storage.transact(lambda _: None)
    await asyncio.sleep(0)
    (kept,) = app.take()

    audience.link.online.add(audience.device.client_id)
    audience.world.center.presence.online(audience.device, "10.9.9.9")
    await asyncio.sleep(0)
    audience.link.answer()

    (sent,) = app.take()
    assert (content(kept)["msg"], content(kept)["status"], content(kept)["msgId"]) == ("kept for the device", "succ", 7)
    assert (content(sent)["msg"], content(sent)["status"]) == ("success", "succ")
    assert content(sent)["ticket"] == content(kept)["ticket"]


async def test_a_kept_command_is_said_to_be_kept_before_its_result_however_quick_the_device_is(audience):
    audience.link.online.add(audience.device.client_id)
    audience.link.is_quick = True
    app = await V2(audience).log_in(audience.owner)
    app.subscribe(audience.topic("ack_"))

    keep = {"isCache": True, "cacheTime": 60}
    app.publish(audience.topic("sys_", 1), command(audience, type="WRITE-ATTR", kv='{"1": true}', **keep))
    await audience.world.center.storage.transact(lambda _: None)

    kept, result = map(content, app.take())
    assert (kept["msg"], kept["msgId"]) == ("kept for the device", 7)
    assert (result["status"], result["msg"], result["msgId"]) == ("succ", "success", 0)
    assert kept["ticket"] == result["ticket"]


async def test_a_command_that_cannot_be_stored_has_failed_and_the_connection_stays(audience, monkeypatch):
    app = await V2(audience).log_in(audience.owner)
    app.subscribe(audience.topic("ack_"))

    def no_disk(*_):
        failed = asyncio.get_running_loop().create_future()
        failed.set_exception(StorageError("no disk"))
        return failed

    monkeypatch.setattr(audience.world.center.storage, "transact", no_disk)
    keep = {"isCache": True, "cacheTime": 60}
    app.publish(audience.topic("sys_", 1), command(audience, type="WRITE-ATTR", kv='{"1": true}', **keep))
    await asyncio.sleep(0)
    await asyncio.sleep(0)

    error, ack = app.take()
    assert (content(error)["code"], content(ack)["status"], content(ack)["msgId"]) == (4017, "fail", 7)
    assert app.line.is_open
    assert audience.world.center.control.count_by_result == {"refused": 1}


async def test_a_read_is_never_kept(audience):
    app = await V2(audience).log_in(audience.owner)

    (error,) = app.publish(
        audience.topic("sys_", 1), command(audience, type="READ-ATTR", kv="[1]", isCache=True, cacheTime=60)
    )

    assert content(error)["code"] == 4030


async def test_another_connection_of_the_user_does_not_hear_the_result(audience):
    audience.link.online.add(audience.device.client_id)
    app, tablet = await V2(audience).log_in(audience.owner), await V2(audience).log_in(audience.owner, number=2)
    app.subscribe(audience.topic("ack_"))
    tablet.subscribe(audience.topic("ack_"))

    app.publish(audience.topic("sys_", 1), command(audience, type="WRITE-ATTR", kv='{"1": true}'))
    audience.link.answer()

    assert len(app.take()) == 1
    assert tablet.take() == []


async def test_the_result_of_a_call_over_http_comes_to_all_who_listen(audience):
    audience.link.online.add(audience.device.client_id)
    app, tablet = await V2(audience).log_in(audience.owner), await V2(audience).log_in(audience.owner, number=2)
    app.subscribe(audience.topic("ack_"))
    tablet.subscribe(audience.topic("ack_"))
    keys = (audience.device.product_key, audience.device.device_key)

    (outcome,) = await audience.world.center.control.batch(audience.owner, Command("raw", raw=b"hi"), [keys])
    audience.link.answer()

    assert [content(*each.take())["ticket"] for each in (app, tablet)] == [outcome.ticket] * 2


async def test_whoever_lost_the_right_does_not_hear_the_result(audience):
    audience.link.online.add(audience.device.client_id)
    app = await V2(audience).log_in(audience.owner)
    app.subscribe(audience.topic("ack_"))
    app.publish(audience.topic("sys_", 1), command(audience, type="WRITE-ATTR", kv='{"1": true}'))

    await audience.unbind()
    app.take()
    audience.link.answer()

    assert app.take() == []


async def test_a_raw_frame_on_bus_reaches_the_device(audience):
    audience.link.online.add(audience.device.client_id)
    app = await V2(audience).log_in(audience.owner)

    assert app.publish(audience.topic("bus", 1), frame.encode(3, 0x0023, b"\xaa\x55")) == []

    assert audience.link.sent == [(audience.device.client_id, 0x0023, b"\xaa\x55", "bus")]


@pytest.mark.parametrize("number", [0x00B4, 0x00B5, 0x0111, 0x0113, 0x00A3, 0x7010, 0xFFFF])
async def test_no_app_configures_a_device_or_changes_its_firmware(audience, number):
    audience.link.online.add(audience.device.client_id)
    app = await V2(audience).log_in(audience.owner)

    (answer,) = app.publish(audience.topic("bus", 1), frame.encode(3, number, b""))

    assert (answer.topic, content(answer)["code"]) == (audience.topic("sys_"), 4015)
    assert audience.link.sent == []


@pytest.mark.parametrize(
    ("name", "payload", "code"),
    [
        ("sys_", b"{", 4028),
        ("sys_", b"[]", 4028),
        ("sys_", b"\xff", 4028),
        ("sys_", b'{"type": "READ-ATTR", "type": "WRITE-ATTR"}', 4028),
        ("bus", b"\xaa\xaa\x00", 4028),
        ("sys_", {"type": "DANCE", "kv": "{}"}, 4015),
        ("sys_", {"type": "EXE-SERV", "kv": '{"go": {}}'}, 4020),
        ("sys_", {"type": "WRITE-ATTR", "kv": '{"1": 1}', "isCache": True, "cacheTime": 0}, 4028),
        ("sys_", {"type": "WRITE-ATTR", "kv": '{"1": 1}', "isCache": True, "cacheTime": "060000000"}, 4028),
        ("sys_", {"type": "WRITE-ATTR", "kv": '{"1": 1}', "isCache": True, "cacheTime": 60.5}, 4028),
        ("sys_", {"type": "WRITE-ATTR", "kv": '{"1": 1}', "isCache": True, "cacheTime": True}, 4028),
        ("sys_", {"type": "WRITE-ATTR", "kv": '{"1": 1}', "isCache": True, "cacheTime": [60]}, 4028),
        ("sys_", {"type": "WRITE-ATTR", "kv": '{"1": 1}', "isCache": [1], "cacheTime": 60}, 4028),
        ("sys_", {"type": "WRITE-ATTR", "kv": '{"1": 1}', "isCache": 1, "cacheTime": 7776001}, 4028),
        ("sys_", {"type": "WRITE-ATTR", "kv": '{"switch": 1}'}, 4020),
        ("sys_", {"type": "WRITE-ATTR", "kv": "5"}, 4028),
        ("sys_", {"type": "WRITE-ATTR", "kv": '{"1": 1}', "productKey": "pXXXXX"}, 4007),
        ("sys_", {"type": "WRITE-ATTR", "kv": '{"1": 1}'}, 4030),
    ],
)
async def test_what_cannot_be_sent_has_a_code(audience, name, payload, code):
    app = await V2(audience).log_in(audience.owner)

    (answer,) = app.publish(
        audience.topic(name, 1), command(audience, **payload) if isinstance(payload, dict) else payload
    )

    assert (answer.topic, content(answer)["code"]) == (audience.topic("sys_"), code)


async def test_a_stranger_cannot_tell_a_device_from_none(audience):
    audience.link.online.add(audience.device.client_id)
    app = await V2(audience).log_in(audience.stranger)

    (there,) = app.publish(audience.topic("sys_", 1), command(audience, type="WRITE-ATTR", kv='{"1": 1}'))
    (nowhere,) = app.publish("q/1/d/qdpXXXXXD9/sys_", command(audience, type="WRITE-ATTR", kv='{"1": 1}'))

    assert there.payload == nowhere.payload
    assert content(there) == {"code": 4007, "msg": "device is not bound", "msgId": 7}
    assert audience.link.sent == []


@pytest.mark.parametrize(
    ("name", "payload", "message_id"),
    [
        ("bus", frame.encode(9, 0x0023, b"x"), 9),
        ("bus", frame.encode(9, 0x0013, b"?"), 9),
        ("bus", b"\xaa\xaa", 0),
        ("sys_", b'{"msgId": "mine"}', "mine"),
        ("sys_", b'{"msgId": [1]}', 0),
        ("sys_", b"{", 0),
        ("sys_", b"[1]", 0),
    ],
)
async def test_a_refusal_has_the_app_s_own_number_and_says_no_more_to_a_stranger(audience, name, payload, message_id):
    app = await V2(audience).log_in(audience.stranger)

    (answer,) = app.publish(audience.topic(name, 1), payload)

    assert content(answer) == {"code": 4007, "msg": "device is not bound", "msgId": message_id}


@pytest.mark.parametrize(
    ("keep", "is_kept"),
    [
        ({"isCache": True, "cacheTime": 60}, True),
        ({"isCache": 1, "cacheTime": "60"}, True),
        ({"isCache": "1", "cacheTime": "60", "isCover": "1"}, True),
        ({"isCache": "true", "cacheTime": "60", "isCover": "2"}, True),
        ({"isCache": 2, "cacheTime": "x"}, False),
        ({"isCache": "2"}, False),
        ({"isCache": 0}, False),
        ({"isCache": "0"}, False),
        ({"isCache": False}, False),
        ({"isCache": "false"}, False),
        ({"isCache": None}, False),
        ({"isCache": ""}, False),
        ({"cacheTime": 60}, False),
    ],
)
async def test_whether_to_keep_may_be_said_as_text_as_over_http(audience, keep, is_kept):
    app = await V2(audience).log_in(audience.owner)
    app.subscribe(audience.topic("ack_"))

    said = app.publish(audience.topic("sys_", 1), command(audience, type="WRITE-ATTR", kv='{"1": true}', **keep))
    await audience.world.center.storage.transact(lambda _: None)

    assert content((said + app.take())[-1])["status"] == ("succ" if is_kept else "fail")
    counts = audience.world.center.control.count_by_result
    assert (counts["kept"], counts["offline"]) == ((1, 0) if is_kept else (0, 1))


@pytest.mark.parametrize(
    ("keep", "field"),
    [
        ({"isCache": 1}, "cacheTime"),
        ({"isCache": 1, "cacheTime": 0}, "cacheTime"),
        ({"isCache": 1, "cacheTime": "soon"}, "cacheTime"),
        ({"isCache": 3}, "isCache"),
        ({"isCache": 1, "cacheTime": 60, "isCover": 5}, "isCover"),
    ],
)
async def test_what_is_wrong_with_keeping_is_named(audience, keep, field):
    app = await V2(audience).log_in(audience.owner)

    (answer,) = app.publish(audience.topic("sys_", 1), command(audience, type="WRITE-ATTR", kv='{"1": true}', **keep))

    assert content(answer)["code"] == 4028
    assert field in content(answer)["msg"]


@pytest.mark.parametrize("topic", ["a", "q/2/d/qdpXD9/bus", "q/1/d/qdpXD9/onl_"])
async def test_publishing_anywhere_else_ends_the_connection(audience, topic):
    app = await V2(audience).log_in(audience.owner)

    assert app.publish(topic, b"") == []
    assert not app.line.is_open


async def test_qos_2_ends_the_connection(audience):
    app = await V2(audience).log_in(audience.owner)

    assert app.publish(audience.topic("sys_", 1), b"{}", qos=2) == []
    assert not app.line.is_open


async def test_a_packet_in_pieces_is_put_together(audience):
    app = await V2(audience).log_in(audience.owner)
    packet = mqtt.Subscribe(7, [(audience.topic("bus_"), 1)]).encode()

    for byte in packet:
        app.session.receive(bytes([byte]), app.now)

    assert app.take() == [mqtt.Suback(7, [0])]


@pytest.mark.parametrize("data", [b"\x00", b"\xff\xff\xff\xff\xff", "text"])
async def test_what_is_no_mqtt_ends_the_connection(audience, data):
    app = await V2(audience).log_in(audience.owner)

    app.session.receive(data, app.now)

    assert not app.line.is_open
    assert audience.hub.ended_count_by_reason == {"unreadable": 1}


async def test_a_client_that_comes_again_takes_over(audience):
    first = await V2(audience).log_in(audience.owner, number=5)
    other = await V2(audience).log_in(audience.owner, number=6)

    again = await V2(audience).log_in(audience.owner, number=5)

    assert not first.line.is_open
    assert other.line.is_open
    assert again.line.is_open


async def test_silence_beyond_the_keep_alive_ends_the_connection(audience):
    app = await V2(audience).log_in(audience.owner, keep_alive=40)

    app.wait(59)
    assert app.say(mqtt.Pingreq()) == [mqtt.Pingresp()]
    app.wait(59)
    assert app.line.is_open
    app.wait(1)

    assert not app.line.is_open
    assert audience.hub.ended_count_by_reason == {"silent": 1}


async def test_whoever_does_not_log_in_in_time_is_dropped(audience):
    app = V2(audience)

    app.wait(10)

    assert not app.line.is_open
    assert audience.hub.ended_count_by_reason == {"log_in_time": 1}


async def test_whoever_sends_too_fast_is_dropped(audience):
    audience.new_hub(max_push_rate=1)
    app = await V2(audience).log_in(audience.owner)

    app.session.receive(mqtt.Pingreq().encode() * 20, app.now)

    assert len(app.take()) == 9
    assert audience.hub.ended_count_by_reason == {"too_fast": 1}


@pytest.mark.parametrize("kind", ["subscribe", "unsubscribe"])
async def test_whoever_names_too_many_topics_at_once_is_dropped(audience, kind):
    audience.new_hub(max_push_rate=1)
    app = await V2(audience).log_in(audience.owner)
    filters = ["q/2/d/qdp11abcD1/bus_"] * 70

    app.say(mqtt.Unsubscribe(1, filters) if kind == "unsubscribe" else mqtt.Subscribe(1, [(one, 0) for one in filters]))

    assert audience.hub.ended_count_by_reason == {"too_fast": 1}


async def test_a_disconnect_is_a_good_end(audience):
    app = await V2(audience).log_in(audience.owner)

    app.say(mqtt.Disconnect())

    assert app.line.close_code == 1000
