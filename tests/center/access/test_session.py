"""The MQTT session of one device, rule by rule: bytes and verdicts in, bytes and questions out."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quecbind.center.access import session as access
from quecbind.center.access.arrivals import Message
from quecbind.center.access.departures import MAX_IN_FLIGHT, Acknowledged, Departures
from quecbind.center.access.session import Ask, Session, SessionLimits, Verdict
from quecbind.center.domain.connection import Accepted, Complaint, Denied, StartOver, Unavailable
from quecbind.center.domain.device import Device
from quecbind.center.domain.ids import ClientId, DeviceKey, ProductKey, Secret
from quecbind.center.domain.product import Product
from quecbind.center.services.registry import DeviceEntry
from quecbind.wire import auth_key, commands, frame, mqtt, signing, ttlv

CLIENT_ID = "qdp1115X861122334455667"
PASSWORD = b"1;0000;0123456789ABCDEF;ODcqv1gpTLtaUKVoqjCJcHz0SjM2Wmm4xdlHhVhKPB4="
SECRET = "0123456789abcdefABCDEF0123456789"
KEY = bytes(range(16))
SESSION_KEY = bytes(range(16, 32))
CONNECT = mqtt.Connect(CLIENT_ID, 120, True, None, PASSWORD)
CONNACK = b"\x20\x02\x00\x00"
SYS = f"q/2/d/{CLIENT_ID}/sys"
REPORT = frame.encode(1, commands.STATUS_REPORT, ttlv.encode([(1, 100)]))


def an_entry() -> DeviceEntry:
    product = Product(product_key=ProductKey("p1115X"), product_secret=Secret("d2c5Q1FsVWpwT1k3"), name="lamp")
    device = Device(
        id=1,
        product_key=product.product_key,
        device_key=DeviceKey("861122334455667"),
        client_id=ClientId(CLIENT_ID),
        device_secret=Secret(SECRET),
    )
    return DeviceEntry(product, device)


def publish(payload: bytes = REPORT, qos: int = 1, packet_id: int = 7, topic: str = SYS) -> bytes:
    return mqtt.Publish(topic, payload, qos, False, False, packet_id if qos else 0).encode()


def numbered(packet_id: int) -> bytes:
    """A PUBLISH whose frame carries the same number as its packet."""
    return publish(frame.encode(packet_id, commands.STATUS_REPORT, ttlv.encode([(1, 100)])), packet_id=packet_id)


def sent(session: Session) -> list[mqtt.Packet]:
    return mqtt.PacketReader(from_server=True).feed(session.data_to_send())


def new(**limits: int) -> Session:
    return Session(SessionLimits(**limits), 0.0)


def connected(verdict: Verdict | None = None, connect: mqtt.Connect = CONNECT, **limits: int) -> Session:
    session = new(**limits)
    session.receive_data(connect.encode(), 0.0)
    session.answer_connect(verdict or Accepted(an_entry()), 0.0)
    session.data_to_send()
    return session


def messages(asks: Sequence[Ask]) -> list[Message]:
    assert all(isinstance(ask, Message) for ask in asks)
    return list(asks)  # type: ignore[arg-type]


# Logging in


def test_a_password_without_a_user_name_is_handed_out_to_be_judged() -> None:
    session = new()

    asks = session.receive_data(CONNECT.encode(), 0.0)

    assert list(asks) == [CONNECT]
    assert session.phase is access.DECIDING
    assert session.data_to_send() == b""


@pytest.mark.parametrize(
    ("verdict", "answer", "phase"),
    [
        (Accepted(an_entry()), CONNACK, access.CONNECTED),
        (Denied(), b"\x20\x02\x00\x05", access.CLOSED),
        (Unavailable(), b"", access.CLOSED),
    ],
    ids=["accepted", "denied", "unavailable"],
)
def test_each_verdict_has_its_answer(verdict: Verdict, answer: bytes, phase: str) -> None:
    session = new()
    session.receive_data(CONNECT.encode(), 0.0)

    session.answer_connect(verdict, 0.0)

    assert session.data_to_send() == answer
    assert session.phase is phase


def test_a_complaint_is_said_at_once_and_nothing_else_is_served() -> None:
    session = new()
    session.receive_data(CONNECT.encode(), 0.0)

    session.answer_connect(Complaint(10423), 0.0)

    connack, told = sent(session)
    assert connack == mqtt.Connack(0, False)
    assert isinstance(told, mqtt.Publish)
    assert told.topic == f"q/1/d/{CLIENT_ID}/sys"
    said = frame.decode(told.payload)
    assert (said.command, ttlv.decode(said.payload)) == (commands.EXCEPTION_DOWN, [(1, 10423)])
    more = mqtt.Subscribe(1, [(f"q/1/d/{CLIENT_ID}/+", 1)]).encode() + publish() + mqtt.Pingreq().encode()
    assert not session.receive_data(more, 1.0)
    assert session.data_to_send() == b""
    assert not session.send_frame(commands.TSL_READ, b"", "bus", 1.0)
    assert session.entry is None


def test_a_device_that_owes_a_reset_is_told_at_once_and_nothing_else_is_served() -> None:
    session = new()
    session.receive_data(CONNECT.encode(), 0.0)

    session.answer_connect(StartOver(), 0.0)

    connack, told = sent(session)
    assert connack == mqtt.Connack(0, False)
    assert isinstance(told, mqtt.Publish)
    said = frame.decode(told.payload)
    assert (said.command, ttlv.decode(said.payload)) == (commands.CONFIGURE, [(9, True)])
    assert not session.receive_data(publish(), 1.0)
    assert session.data_to_send() == b""
    assert session.entry is None
    session.handle_timer(5.0)
    assert session.phase is access.CLOSED


def owned_entry() -> DeviceEntry:
    entry = an_entry()
    entry.auth_key = Secret(base64.b64encode(KEY).decode())
    return entry


def test_the_auth_key_follows_the_connack_at_once() -> None:
    session = new()
    session.receive_data(CONNECT.encode(), 0.0)

    session.answer_connect(Accepted(owned_entry()), 0.0)

    connack, told = sent(session)
    assert connack == mqtt.Connack(0, False)
    assert isinstance(told, mqtt.Publish)
    ((number, sealed),) = ttlv.decode(frame.decode(told.payload).payload)
    entry = owned_entry()
    assert (number, auth_key.unseal(sealed, entry.device_secret, entry.device_key)) == (12, KEY)


def test_the_auth_key_follows_the_session_key_and_is_encrypted_with_it() -> None:
    session = new()
    session.receive_data(CONNECT.encode(), 0.0)

    session.answer_connect(Accepted(owned_entry(), SESSION_KEY), 0.0)

    _, first, second = sent(session)
    assert ttlv.decode(frame.decode(first.payload).payload) == [(6, SESSION_KEY)]
    opened = frame.decode(signing.session_decrypt(SESSION_KEY, second.payload))
    assert [number for number, _ in ttlv.decode(opened.payload)] == [12]


def test_a_complaint_is_closed_after_five_seconds() -> None:
    session = new()
    session.receive_data(CONNECT.encode(), 0.0)
    session.answer_connect(Complaint(10423), 2.0)

    assert session.next_timer() == 7.0
    session.handle_timer(6.9)
    assert session.phase is access.COMPLAINING
    session.handle_timer(7.0)

    assert (session.phase, session.close_reason) == (access.CLOSED, "complaint")


@pytest.mark.parametrize(
    ("verdict", "fields"),
    [
        (Accepted(an_entry(), None, Secret(SECRET)), [(5, SECRET.encode())]),
        (Accepted(an_entry(), KEY, Secret(SECRET)), [(5, SECRET.encode()), (6, KEY)]),
        (Accepted(an_entry(), KEY), [(6, KEY)]),
    ],
    ids=["secret", "secret and session key", "session key"],
)
def test_secrets_follow_the_connack_at_once_and_in_plain(verdict: Verdict, fields: list[tuple[int, bytes]]) -> None:
    session = new()
    session.receive_data(CONNECT.encode(), 0.0)

    session.answer_connect(verdict, 0.0)

    connack, told = sent(session)
    assert connack == mqtt.Connack(0, False)
    assert isinstance(told, mqtt.Publish)
    assert (told.topic, told.qos, told.packet_id) == (f"q/1/d/{CLIENT_ID}/sys", 1, 1)
    configured = frame.decode(told.payload)
    assert configured.command == commands.CONFIGURE
    assert 1 <= configured.packet_id <= 0xFFFE
    assert ttlv.decode(configured.payload) == fields


def test_the_same_connect_again_is_nothing_new_while_the_verdict_is_pending() -> None:
    session = new()
    session.receive_data(CONNECT.encode(), 0.0)

    asks = session.receive_data(CONNECT.encode() + CONNECT.encode(), 5.1)
    session.answer_connect(Accepted(an_entry()), 5.2)

    assert not asks
    assert session.data_to_send() == CONNACK


def test_the_same_connect_again_is_answered_again_once_connected() -> None:
    session = connected()

    asks = session.receive_data(CONNECT.encode(), 5.1)

    assert not asks
    assert session.data_to_send() == CONNACK
    assert session.phase is access.CONNECTED


@pytest.mark.parametrize("is_decided", [False, True])
@pytest.mark.parametrize(
    "other",
    [
        mqtt.Connect(CLIENT_ID, 120, True, None, PASSWORD[:-1] + b"+"),
        mqtt.Connect(CLIENT_ID + "0", 120, True, None, PASSWORD),
        mqtt.Connect(CLIENT_ID, 60, True, None, PASSWORD),
        mqtt.Connect(CLIENT_ID, 120, True, b"user", PASSWORD),
    ],
    ids=["password", "client id", "keep-alive", "user name"],
)
def test_a_different_connect_closes(other: mqtt.Connect, is_decided: bool) -> None:
    session = connected() if is_decided else new()
    if not is_decided:
        session.receive_data(CONNECT.encode(), 0.0)

    session.receive_data(other.encode(), 1.0)

    assert (session.phase, session.close_reason) == (access.CLOSED, "second_connect")
    assert session.data_to_send() == b""


def test_two_different_connects_in_one_piece_are_not_judged_at_all() -> None:
    session = new()

    asks = session.receive_data(CONNECT.encode() + mqtt.Connect("qdother", 1, True, None, b"x").encode(), 0.0)

    assert not asks
    assert session.phase is access.CLOSED


def test_a_verdict_after_the_close_changes_nothing() -> None:
    session = new()
    session.receive_data(CONNECT.encode(), 0.0)
    session.handle_timer(10.0)

    session.answer_connect(Accepted(an_entry(), None, Secret(SECRET)), 10.1)

    assert session.data_to_send() == b""
    assert session.phase is access.CLOSED


def test_mqtt_31_logs_in_too() -> None:
    session = connected(connect=mqtt.Connect(CLIENT_ID, 120, True, b"user", PASSWORD, None, 3))

    assert session.phase is access.CONNECTED


def test_mqtt_5_is_told_that_its_level_is_not_served() -> None:
    session = new()

    session.receive_data(b"\x10\x10\x00\x04MQTT\x05\x02\x00\x3c\x00\x00\x03abc", 0.0)

    assert session.data_to_send() == b"\x20\x02\x00\x01"
    assert session.phase is access.CLOSED


@pytest.mark.parametrize("client_id", ["qd/x", "qd+", "q d", "q\u00e4", "$SYS", "q" * 67])
def test_a_client_id_that_no_device_has_is_refused_without_asking_anyone(client_id: str) -> None:
    session = new()

    asks = session.receive_data(mqtt.Connect(client_id, 120, True, None, PASSWORD).encode(), 0.0)

    assert not asks
    assert session.data_to_send() == b"\x20\x02\x00\x02"
    assert session.phase is access.CLOSED


def test_a_will_and_a_kept_session_are_not_granted() -> None:
    connect = mqtt.Connect(CLIENT_ID, 120, False, None, PASSWORD, mqtt.Will("q/1/d/other/sys", b"x"))

    session = new()
    session.receive_data(connect.encode(), 0.0)
    session.answer_connect(Accepted(an_entry()), 0.0)

    assert sent(session) == [mqtt.Connack(0, False)]


@pytest.mark.parametrize(
    "first",
    [
        mqtt.Pingreq().encode(),
        mqtt.Subscribe(1, [(f"q/1/d/{CLIENT_ID}/+", 1)]).encode(),
        publish(),
        mqtt.Disconnect().encode(),
    ],
    ids=["PINGREQ", "SUBSCRIBE", "PUBLISH", "DISCONNECT"],
)
def test_nothing_comes_before_connect(first: bytes) -> None:
    session = new()

    asks = session.receive_data(first, 0.0)

    assert not asks
    assert (session.phase, session.close_reason) == (access.CLOSED, "not_connect_first")


def test_before_the_log_in_a_packet_holds_at_most_2_kib() -> None:
    session = new()

    session.receive_data(mqtt.Connect(CLIENT_ID, 120, True, None, b"x" * 2048).encode()[:100], 0.0)

    assert (session.phase, session.close_reason) == (access.CLOSED, "malformed")


def test_after_the_log_in_a_packet_may_be_larger_up_to_its_limit() -> None:
    session = connected(max_packet_size=4096)

    assert messages(session.receive_data(publish(frame.encode(1, 0x24, b"x" * 3000)), 1.0))
    session.receive_data(publish(frame.encode(2, 0x24, b"x" * 4100)), 1.0)

    assert (session.phase, session.close_reason) == (access.CLOSED, "malformed")


def test_the_largest_frame_a_device_may_send_fits_the_default_limit() -> None:
    session = connected()

    asks = session.receive_data(publish(frame.encode(1, 0x24, b"x" * 65_000)), 1.0)

    assert len(asks) == 1


def test_ten_seconds_are_enough_to_log_in() -> None:
    session = new()

    assert session.next_timer() == 10.0
    session.receive_data(CONNECT.encode()[:-1], 9.0)
    session.handle_timer(10.0)

    assert (session.phase, session.close_reason) == (access.CLOSED, "slow_log_in")


def test_packets_sent_along_with_connect_are_served_after_the_verdict() -> None:
    session = new()
    subscribe = mqtt.Subscribe(1, [(f"q/1/d/{CLIENT_ID}/+", 1)])

    session.receive_data(CONNECT.encode() + subscribe.encode() + publish(), 0.0)
    assert session.data_to_send() == b""
    asks = messages(session.answer_connect(Accepted(an_entry()), 0.1))

    assert sent(session) == [mqtt.Connack(0, False), mqtt.Suback(1, [1])]
    assert [ask.frame.command for ask in asks if ask.frame] == [commands.STATUS_REPORT]


def test_packets_before_the_verdict_are_limited_in_number() -> None:
    session = new()
    session.receive_data(CONNECT.encode(), 0.0)

    session.receive_data(mqtt.Pingreq().encode() * 17, 0.1)

    assert (session.phase, session.close_reason) == (access.CLOSED, "too_much_before_log_in")


def test_a_log_in_reads_the_same_byte_by_byte() -> None:
    session = new()
    stream = CONNECT.encode()

    asks = [ask for byte in stream for ask in session.receive_data(bytes([byte]), 0.0)]

    assert asks == [CONNECT]


@pytest.mark.parametrize("size", range(len(CONNECT.encode())))
def test_a_truncated_connect_asks_nothing_and_harms_nothing(size: int) -> None:
    session = new()

    assert not session.receive_data(CONNECT.encode()[:size], 0.0)

    assert session.phase is access.AUTHENTICATING


# Subscribing


@pytest.mark.parametrize(
    ("topic_filter", "qos", "code"),
    [
        (f"q/1/d/{CLIENT_ID}/+", 1, 1),
        (f"q/1/d/{CLIENT_ID}/+", 0, 0),
        (f"q/1/d/{CLIENT_ID}/+", 2, 1),
        (f"q/1/d/{CLIENT_ID}/sys", 1, 1),
        (f"q/1/d/{CLIENT_ID}/bus", 1, 1),
        (f"q/1/d/{CLIENT_ID}/ota", 1, 1),
        (f"q/1/d/{CLIENT_ID}/#", 1, 0x80),
        (f"q/1/d/{CLIENT_ID}", 1, 0x80),
        (f"q/1/d/{CLIENT_ID}/sys/user", 1, 0x80),
        (f"q/1/d/{CLIENT_ID}0/+", 1, 0x80),
        ("q/1/d/qdp1115X000000000000000/+", 1, 0x80),
        (f"q/2/d/{CLIENT_ID}/+", 1, 0x80),
        ("q/1/d/+/+", 1, 0x80),
        ("q/1/d/+/sys", 1, 0x80),
        ("#", 1, 0x80),
        ("+/#", 1, 0x80),
        ("$SYS/#", 1, 0x80),
        ("$share/g/#", 1, 0x80),
    ],
)
def test_a_device_subscribes_to_its_own_downlink_and_nothing_else(topic_filter: str, qos: int, code: int) -> None:
    session = connected()

    session.receive_data(mqtt.Subscribe(3, [(topic_filter, qos)]).encode(), 1.0)

    assert sent(session) == [mqtt.Suback(3, [code])]
    assert session.phase is access.CONNECTED


@pytest.mark.parametrize("cut", range(12))
def test_the_subscribe_every_device_sends_is_answered_whole_or_in_pieces(cut: int) -> None:
    session = connected()
    stream = mqtt.Subscribe(1, [(f"q/1/d/{CLIENT_ID}/+", 1)]).encode()

    session.receive_data(stream[:cut], 1.0)
    session.receive_data(stream[cut:], 1.1)

    assert sent(session) == [mqtt.Suback(1, [1])]


def test_a_packet_that_began_before_the_verdict_ends_after_it() -> None:
    session = new()
    subscribe = mqtt.Subscribe(1, [(f"q/1/d/{CLIENT_ID}/+", 1)]).encode()
    nested = mqtt.Publish(SYS, subscribe, 1, False, False, 7).encode()
    session.receive_data(CONNECT.encode() + nested[: -len(subscribe)], 0.0)
    session.answer_connect(Accepted(an_entry()), 0.1)

    # These bytes look like the usual SUBSCRIBE, and are the payload of a PUBLISH.
    session.receive_data(subscribe, 0.2)

    assert sent(session) == [mqtt.Connack(0, False), mqtt.Puback(7)]


def test_each_filter_of_one_subscribe_has_its_own_answer() -> None:
    session = connected()

    session.receive_data(mqtt.Subscribe(3, [("#", 1), (f"q/1/d/{CLIENT_ID}/+", 1)]).encode(), 1.0)

    assert sent(session) == [mqtt.Suback(3, [0x80, 1])]


def test_mqtt_31_has_no_code_for_a_refused_filter_and_is_closed() -> None:
    session = connected(connect=mqtt.Connect(CLIENT_ID, 120, True, None, PASSWORD, None, 3))

    session.receive_data(mqtt.Subscribe(3, [("#", 1)]).encode(), 1.0)

    assert (session.phase, session.close_reason) == (access.CLOSED, "foreign_filter")
    assert session.data_to_send() == b""


def test_a_repeated_subscribe_is_answered_again() -> None:
    session = connected()
    subscribe = mqtt.Subscribe(1, [(f"q/1/d/{CLIENT_ID}/+", 1)]).encode()

    session.receive_data(subscribe, 1.0)
    session.receive_data(subscribe, 6.0)

    assert sent(session) == [mqtt.Suback(1, [1])] * 2


def test_unsubscribe_is_answered() -> None:
    session = connected()

    session.receive_data(mqtt.Unsubscribe(9, ["q"]).encode(), 1.0)

    assert sent(session) == [mqtt.Unsuback(9)]


# Publishing


OTA = f"q/2/d/{CLIENT_ID}/ota"


@pytest.mark.parametrize("topic", [SYS, f"q/2/d/{CLIENT_ID}/bus", f"q/2/d/{CLIENT_ID}/bus/C100"])
@pytest.mark.parametrize("qos", [0, 1, 2])
def test_a_frame_on_its_own_uplink_is_handed_out(topic: str, qos: int) -> None:
    session = connected()

    (message,) = messages(session.receive_data(publish(topic=topic, qos=qos), 1.0))

    assert message.frame == frame.decode(REPORT)
    assert session.data_to_send() == b""


@pytest.mark.parametrize(
    "topic",
    [
        f"q/1/d/{CLIENT_ID}/sys",
        f"q/2/d/{CLIENT_ID}0/sys",
        f"q/2/d/{CLIENT_ID[:-1]}/sys",
        "q/2/d/qdp1115X000000000000000/sys",
        f"q/2/d/{CLIENT_ID}",
        f"q/2/d/{CLIENT_ID}/",
        f"q/2/d/{CLIENT_ID}/zzz",
        f"q/2/d/{CLIENT_ID}/sys/",
        f"q/2/d/{CLIENT_ID}/sys/user/more",
        f"/q/2/d/{CLIENT_ID}/sys",
        "$SYS/broker",
        "q",
    ],
)
def test_a_publish_anywhere_else_closes(topic: str) -> None:
    session = connected()

    asks = session.receive_data(publish(topic=topic), 1.0)

    assert not asks
    assert (session.phase, session.close_reason) == (access.CLOSED, "foreign_topic")
    assert session.data_to_send() == b""


@pytest.mark.parametrize(
    "command", [commands.BIND_CODE, commands.STATUS_REPORT, commands.TSL_REPORT, commands.TRANSPARENT_UP, 0x7FFF]
)
@pytest.mark.parametrize("qos", [0, 1, 2])
def test_what_is_no_firmware_is_acknowledged_and_dropped_on_the_topic_of_firmware(command: int, qos: int) -> None:
    session = connected()

    asks = session.receive_data(publish(frame.encode(1, command, ttlv.encode([(1, True)])), qos, topic=OTA), 1.0)

    assert not asks
    assert bool(session.data_to_send()) is bool(qos)
    assert (session.phase, session.unreadable_count) == (access.CONNECTED, 1)


@pytest.mark.parametrize("command", [commands.OTA_CONFIRM, commands.OTA_STATUS, commands.OTA_REQUEST])
def test_what_is_firmware_is_handed_out_there(command: int) -> None:
    session = connected()

    (message,) = messages(session.receive_data(publish(frame.encode(1, command), topic=OTA), 1.0))

    assert message.frame.command == command


@pytest.mark.parametrize("kind", ["sys", "bus"])
def test_a_bind_code_is_handed_out_on_sys_and_on_bus(kind: str) -> None:
    session = connected()
    told = frame.encode(1, commands.BIND_CODE, ttlv.encode([(11, b"1234567890ABCDEF")]))

    assert len(messages(session.receive_data(publish(told, topic=f"q/2/d/{CLIENT_ID}/{kind}"), 1.0))) == 1


def test_what_was_published_before_a_violation_still_counts() -> None:
    session = connected()

    asks = session.receive_data(publish() + publish(topic="elsewhere"), 1.0)

    assert len(messages(asks)) == 1
    assert session.phase is access.CLOSED


@pytest.mark.parametrize(("qos", "answer"), [(0, []), (1, [mqtt.Puback(7)]), (2, [mqtt.Pubrec(7)])])
def test_a_message_is_acknowledged_when_it_is_safe_and_not_before(qos: int, answer: list[mqtt.Packet]) -> None:
    session = connected()
    (message,) = messages(session.receive_data(publish(qos=qos), 1.0))
    assert session.data_to_send() == b""

    session.answer_message(message, 1.1)

    assert sent(session) == answer


def test_acknowledgements_keep_the_order_of_the_messages() -> None:
    session = connected()
    first, second, third = messages(session.receive_data(numbered(1) + numbered(2) + numbered(3), 1.0))

    session.answer_message(third, 1.1)
    session.answer_message(second, 1.2)
    assert session.data_to_send() == b""
    session.answer_message(first, 1.3)

    assert sent(session) == [mqtt.Puback(1), mqtt.Puback(2), mqtt.Puback(3)]


def test_an_unreadable_message_is_acknowledged_in_its_place_and_dropped() -> None:
    session = connected()
    unreadable = publish(b"\xaa\xaanonsense", packet_id=8)

    (message,) = messages(session.receive_data(publish() + unreadable, 1.0))
    assert session.data_to_send() == b""
    session.answer_message(message, 1.1)

    assert sent(session) == [mqtt.Puback(7), mqtt.Puback(8)]
    assert session.unreadable_count == 1


@pytest.mark.parametrize("payload", [b"", b"\xaa\xaa", b"{}", b"\xaa\xaa\x00\x04\x00\x00\x00\x00", b"x" * 64])
def test_a_message_without_a_frame_is_acknowledged_at_once(payload: bytes) -> None:
    session = connected()

    assert not session.receive_data(publish(payload), 1.0)

    assert sent(session) == [mqtt.Puback(7)]
    assert session.unreadable_count == 1


def test_a_repeat_while_the_answer_is_pending_is_ignored() -> None:
    session = connected()
    (message,) = messages(session.receive_data(publish(), 1.0))

    assert not session.receive_data(publish(), 3.1)
    session.answer_message(message, 3.2)

    assert sent(session) == [mqtt.Puback(7)]


def test_a_repeat_that_crossed_its_answer_is_answered_and_not_served_twice() -> None:
    session = connected()
    (message,) = messages(session.receive_data(publish(), 1.0))
    session.answer_message(message, 1.1)
    session.data_to_send()

    assert not session.receive_data(publish(), 3.1)

    assert sent(session) == [mqtt.Puback(7)]


@pytest.mark.parametrize(
    "other",
    [numbered(8), publish(frame.encode(2, commands.STATUS_REPORT, ttlv.encode([(1, 100)])))],
    ids=["another packet id", "another frame under the same packet id"],
)
def test_a_message_that_differs_is_no_repeat(other: bytes) -> None:
    session = connected()
    session.receive_data(publish(), 1.0)

    assert len(messages(session.receive_data(other, 1.1))) == 1


def test_the_same_message_a_while_later_is_a_new_one() -> None:
    session = connected()
    (message,) = messages(session.receive_data(publish(), 1.0))
    session.answer_message(message, 1.1)

    assert len(session.receive_data(publish(), 7.2)) == 1


def test_what_is_remembered_of_messages_is_bounded() -> None:
    session = connected(max_unanswered=8)

    for packet_id in range(1, 100):
        for message in messages(session.receive_data(numbered(packet_id), 1.0)):
            session.answer_message(message, 1.0)

    assert session._arrivals is not None
    assert len(session._arrivals._recent) <= 9


def test_qos_2_is_delivered_once_until_it_is_released() -> None:
    session = connected()
    (message,) = messages(session.receive_data(publish(qos=2), 1.0))
    assert not session.receive_data(publish(qos=2), 1.5)
    assert session.data_to_send() == b""

    session.answer_message(message, 2.0)
    assert not session.receive_data(publish(qos=2), 60.0)
    session.receive_data(mqtt.Pubrel(7).encode(), 60.1)

    assert sent(session) == [mqtt.Pubrec(7), mqtt.Pubrec(7), mqtt.Pubcomp(7)]
    assert len(session.receive_data(publish(qos=2), 60.2)) == 1


def test_a_release_of_nothing_is_completed() -> None:
    session = connected()

    session.receive_data(mqtt.Pubrel(3).encode(), 1.0)

    assert sent(session) == [mqtt.Pubcomp(3)]


def test_messages_never_released_are_limited() -> None:
    session = connected(max_unanswered=4)

    for packet_id in range(1, 6):
        for message in messages(session.receive_data(publish(qos=2, packet_id=packet_id), 1.0)):
            session.answer_message(message, 1.0)

    assert (session.phase, session.close_reason) == (access.CLOSED, "too_many_unreleased")


def test_only_the_first_message_after_a_new_secret_proves_it() -> None:
    session = connected(Accepted(an_entry(), None, Secret(SECRET)))

    first, second = messages(session.receive_data(numbered(1) + numbered(2), 1.0))

    assert (first.proves_secret, second.proves_secret) == (True, False)


def test_on_a_known_secret_no_message_proves_anything() -> None:
    session = connected()

    (message,) = messages(session.receive_data(publish(), 1.0))

    assert not message.proves_secret


# Back-pressure


def test_a_device_that_sends_faster_than_storage_is_not_read_from() -> None:
    session = connected(max_unanswered=4)

    asks = messages(session.receive_data(b"".join(map(numbered, range(1, 11))), 1.0))

    assert [ask.packet_id for ask in asks] == [1, 2, 3, 4]
    assert session.is_full
    assert session.next_timer() is None


def test_it_is_read_from_again_when_half_is_answered() -> None:
    session = connected(max_unanswered=4)
    asks = messages(session.receive_data(b"".join(map(numbered, range(1, 7))), 1.0))

    assert not session.answer_message(asks[0], 50.0)
    more = messages(session.answer_message(asks[1], 50.0))

    assert [ask.packet_id for ask in more] == [5, 6]
    assert not session.is_full
    assert session.next_timer() == 50.0 + 180.0


def test_nothing_is_lost_or_reordered_under_back_pressure() -> None:
    session = connected(max_unanswered=3)
    queue = messages(session.receive_data(b"".join(map(numbered, range(1, 21))), 1.0))
    queue += messages(session.receive_data(b"".join(map(numbered, range(21, 31))), 1.0))
    served = []

    while queue:
        message = queue.pop(0)
        served.append(message.packet_id)
        queue += messages(session.answer_message(message, 2.0))

    assert served == list(range(1, 31))
    assert sent(session) == [mqtt.Puback(number) for number in range(1, 31)]


# Session encryption


def test_uplink_is_read_in_plain_and_encrypted() -> None:
    session = connected(Accepted(an_entry(), KEY))
    plain, encrypted = frame.encode(1, 0x34, b"plain"), signing.session_encrypt(KEY, frame.encode(2, 0x34, b"secret"))

    asks = messages(session.receive_data(publish(plain, packet_id=1) + publish(encrypted, packet_id=2), 1.0))

    assert [ask.frame.payload for ask in asks if ask.frame] == [b"plain", b"secret"]


def test_a_ciphertext_that_begins_like_a_frame_is_still_read() -> None:
    session = connected(Accepted(an_entry(), KEY))
    numbers = ((number, command) for command in range(0x25, 0xFFFF) for number in range(1, 0xFFFF))
    ciphertexts = (signing.session_encrypt(KEY, frame.encode(number, command)) for number, command in numbers)
    encrypted = next(data for data in ciphertexts if data.startswith(b"\xaa\xaa"))

    assert len(messages(session.receive_data(publish(encrypted), 1.0))) == 1


def test_what_no_key_opens_is_dropped() -> None:
    session = connected(Accepted(an_entry(), KEY))

    assert not session.receive_data(publish(signing.session_encrypt(bytes(16), REPORT)), 1.0)

    assert session.unreadable_count == 1
    assert sent(session) == [mqtt.Puback(7)]


def test_downlink_is_encrypted_once_the_key_is_set() -> None:
    session = connected(Accepted(an_entry(), KEY))

    assert session.send_frame(commands.TSL_READ, b"\x00\x01", "bus", 1.0)

    (told,) = sent(session)
    assert isinstance(told, mqtt.Publish)
    opened = frame.decode(signing.session_decrypt(KEY, told.payload))
    assert (opened.command, opened.payload) == (commands.TSL_READ, b"\x00\x01")


# Downlink


def test_downlink_uses_qos_1_and_ids_that_devices_can_take() -> None:
    session = connected()
    packet_ids, frame_ids = [], []

    for _ in range(600):
        assert session.send_frame(commands.TSL_WRITE, b"x", "bus", 1.0)
        (told,) = sent(session)
        assert isinstance(told, mqtt.Publish)
        assert (told.topic, told.qos, told.retain, told.dup) == (f"q/1/d/{CLIENT_ID}/bus", 1, False, False)
        packet_ids.append(told.packet_id)
        frame_ids.append(frame.decode(told.payload).packet_id)
        session.receive_data(mqtt.Puback(told.packet_id).encode(), 1.0)

    assert set(packet_ids) == set(range(1, 256))
    assert frame_ids == list(range(1, 601))


def test_frame_packet_ids_skip_0_and_ffff() -> None:
    session = connected()
    session._departures = Departures()
    session._departures._frame_id = 0xFFFD
    seen = []

    for _ in range(3):
        session.send_frame(commands.TSL_READ, b"", "bus", 1.0)
        (told,) = sent(session)
        assert isinstance(told, mqtt.Publish)
        seen.append(frame.decode(told.payload).packet_id)

    assert seen == [0xFFFE, 1, 2]


def test_unacknowledged_downlink_is_bounded_and_forgotten_after_a_while() -> None:
    session = connected()
    for _ in range(MAX_IN_FLIGHT):
        assert session.send_frame(commands.TSL_READ, b"", "bus", 1.0)

    assert not session.send_frame(commands.TSL_READ, b"", "bus", 2.0)
    assert session.send_frame(commands.TSL_READ, b"", "bus", 32.0)


def test_a_puback_of_what_is_followed_is_asked_back_in_order() -> None:
    session, told = connected(), []
    session.send_frame(commands.TSL_READ, b"", "bus", 1.0)
    for name in ("a", "b"):
        session.send_frame(
            commands.TRANSPARENT_DOWN, b"", "bus", 1.0, lambda is_so, name=name: told.append((name, is_so))
        )
    ids = [packet.packet_id for packet in sent(session) if isinstance(packet, mqtt.Publish)]

    asks = session.receive_data(b"".join(mqtt.Puback(number).encode() for number in [*ids, *ids, 200]), 2.0)

    assert all(isinstance(ask, Acknowledged) for ask in asks)
    for ask in asks:
        ask.delivery(True)  # type: ignore[union-attr]
    assert told == [("a", True), ("b", True)]
    assert session.take_undelivered() == []


def test_what_is_followed_and_not_acknowledged_is_given_back_once_at_the_end() -> None:
    session = connected()
    kept, gone = (lambda is_so: None), (lambda is_so: None)
    session.send_frame(commands.TSL_READ, b"", "bus", 1.0, gone)
    session.send_frame(commands.TSL_READ, b"", "bus", 1.0)
    session.send_frame(commands.TSL_READ, b"", "bus", 1.0, kept)
    session.receive_data(mqtt.Puback(1).encode(), 1.0)

    session.close("left", 2.0)

    assert session.take_undelivered() == [kept]
    assert session.take_undelivered() == []


def test_a_packet_id_in_flight_is_not_used_again() -> None:
    session = connected()
    session.send_frame(commands.TSL_READ, b"", "bus", 1.0)
    session.data_to_send()

    for _ in range(300):
        session.send_frame(commands.TSL_READ, b"", "bus", 1.0)
        (told,) = sent(session)
        assert isinstance(told, mqtt.Publish)
        assert told.packet_id != 1
        session.receive_data(mqtt.Puback(told.packet_id).encode(), 1.0)


def test_nothing_is_sent_to_a_device_that_is_not_connected() -> None:
    assert not new().send_frame(commands.TSL_READ, b"", "bus", 1.0)


# Keeping alive, leaving


@pytest.mark.parametrize(("keep_alive", "allowed"), [(120, 180.0), (21, 31.5), (0, 2700.0), (65535, 98302.5)])
def test_silence_for_one_and_a_half_keep_alives_closes(keep_alive: int, allowed: float) -> None:
    session = connected(connect=mqtt.Connect(CLIENT_ID, keep_alive, True, None, PASSWORD), max_keep_alive_s=1800)

    session.receive_data(mqtt.Pingreq().encode(), 5.0)
    assert session.data_to_send() == b"\xd0\x00"
    assert session.next_timer() == 5.0 + allowed
    session.handle_timer(5.0 + allowed - 0.1)
    assert session.phase is access.CONNECTED
    session.handle_timer(5.0 + allowed)

    assert (session.phase, session.close_reason) == (access.CLOSED, "silent")


def test_disconnect_closes() -> None:
    session = connected()

    session.receive_data(mqtt.Disconnect().encode() + publish(), 1.0)

    assert (session.phase, session.close_reason) == (access.CLOSED, "left")
    assert session.data_to_send() == b""


@pytest.mark.parametrize(
    "bad",
    [
        b"\x00\x00",
        b"\xf0\x00",
        b"\x20\x02\x00\x00",
        b"\x32\x02\x00\x00",
        b"\x36\x02\x00\x00",
        b"\xc1\x00",
        b"\x82\x02\x00\x01",
        b"\x30\xff\xff\xff\xff\x01",
    ],
)
def test_a_malformed_packet_closes_after_what_came_before_it_is_served(bad: bytes) -> None:
    session = connected()

    session.receive_data(mqtt.Pingreq().encode() + bad + mqtt.Pingreq().encode(), 1.0)

    assert session.data_to_send() == b"\xd0\x00"
    assert (session.phase, session.close_reason) == (access.CLOSED, "malformed")


def test_a_closed_session_takes_nothing_and_gives_nothing() -> None:
    session = connected()
    (message,) = messages(session.receive_data(publish(), 1.0))
    session.close("taken_over", 1.0)

    assert not session.receive_data(publish(), 1.1)
    assert not session.answer_message(message, 1.2)
    assert not session.send_frame(commands.TSL_READ, b"", "bus", 1.3)
    session.close("something else", 1.4)

    assert session.data_to_send() == b""
    assert session.close_reason == "taken_over"


def test_a_closed_session_has_a_little_time_for_its_last_bytes() -> None:
    session = connected()

    session.close("left", 3.0)

    assert session.next_timer() == 8.0


def test_a_session_reads_the_same_whole_and_byte_by_byte() -> None:
    packets = [
        mqtt.Subscribe(1, [(f"q/1/d/{CLIENT_ID}/+", 1)]).encode(),
        numbered(2),
        mqtt.Pingreq().encode(),
        publish(qos=2, packet_id=3),
        mqtt.Pubrel(3).encode(),
        publish(qos=0),
        CONNECT.encode(),
        mqtt.Disconnect().encode(),
    ]

    def run(pieces: Iterable[bytes]) -> tuple[bytes, str, list[frame.Frame | None]]:
        session, out, frames = connected(), b"", []
        for piece in pieces:
            for message in messages(session.receive_data(piece, 1.0)):
                frames.append(message.frame)
                session.answer_message(message, 1.0)
            out += session.data_to_send()
        return out, session.close_reason, frames

    whole = run(packets)

    assert whole == run(bytes([byte]) for byte in b"".join(packets))
    assert whole[1] == "left"


def test_a_cut_stream_never_closes_by_itself() -> None:
    stream = mqtt.Subscribe(1, [(f"q/1/d/{CLIENT_ID}/+", 1)]).encode() + numbered(2) + publish(qos=2, packet_id=3)

    for size in range(len(stream)):
        session = connected()
        session.receive_data(stream[:size], 1.0)
        assert session.phase is access.CONNECTED


@given(st.binary(max_size=400), st.integers(0, 400))
def test_any_bytes_at_all_leave_a_session_open_or_closed_and_never_raise(data: bytes, cut: int) -> None:
    for session in (new(), connected()):
        for piece in (data[:cut], data[cut:]):
            for ask in session.receive_data(piece, 1.0):
                if isinstance(ask, Message):
                    session.answer_message(ask, 1.0)
        session.data_to_send()
        assert (session.phase is access.CLOSED) is bool(session.close_reason)


@given(st.lists(st.sampled_from(range(1, 6)), max_size=30), st.lists(st.booleans(), max_size=60), st.integers(1, 5))
def test_every_message_is_answered_once_and_in_order_whatever_storage_does(
    packet_ids: list[int], answers: list[bool], limit: int
) -> None:
    session = connected(max_unanswered=limit)
    payloads = [frame.encode(number, 0x24, b"x") for number in range(1, len(packet_ids) + 1)]
    waiting: list[Message] = []
    served: list[int] = []
    for packet_id, payload in zip(packet_ids, payloads, strict=True):
        waiting += messages(session.receive_data(publish(payload, packet_id=packet_id), 1.0))
        if answers and answers.pop() and waiting:
            message = waiting.pop(len(waiting) // 2)
            served.append(message.frame.packet_id if message.frame else 0)
            waiting += messages(session.answer_message(message, 1.0))
    while waiting:
        message = waiting.pop()
        served.append(message.frame.packet_id if message.frame else 0)
        waiting += messages(session.answer_message(message, 1.0))

    assert sorted(served) == list(range(1, len(packet_ids) + 1))
    assert sent(session) == [mqtt.Puback(packet_id) for packet_id in packet_ids]
