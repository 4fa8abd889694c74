"""Messages in both directions: delivery, repeats, bounds, and what the Developer Center may ask for."""

from __future__ import annotations

import pytest

from quecbind.wire import commands, frame, mqtt, topics, ttlv
from quecIot import _askers, _codes, _outbox
from quecIot._delivery import MAX_UNSENT
from tests.quecIot.bench import DK, DS, PK, Bench, fields_of

SENT = (10200, 10300)


def send(bench: Bench, payload: bytes = b"data", qos: int = 1) -> int:
    return bench.agent.send(commands.TRANSPARENT_UP, payload, qos, SENT, bench.now)


# --- up ---


def test_qos_0_is_done_when_it_is_written() -> None:
    bench = Bench()
    bench.ready()

    number = send(bench, qos=0)

    (publish,) = bench.sent()
    assert (publish.topic, publish.qos, publish.packet_id) == (f"q/2/d/qd{PK}{DK}/bus", 0, 0)
    assert frame.decode(publish.payload) == (number, commands.TRANSPARENT_UP, b"data")
    assert bench.events() == [(4, 10200, number)]


def test_qos_1_is_done_with_its_puback() -> None:
    bench = Bench()
    bench.ready()

    number = send(bench)
    (publish,) = bench.sent()
    assert bench.events() == []
    bench.receive(mqtt.Puback(publish.packet_id))

    assert bench.events() == [(4, 10200, number)]


def test_qos_2_is_done_with_its_pubcomp() -> None:
    bench = Bench()
    bench.ready()
    number = send(bench, qos=2)
    (publish,) = bench.sent()

    bench.receive(mqtt.Pubrec(publish.packet_id))
    assert bench.sent() == [mqtt.Pubrel(publish.packet_id)]
    bench.advance(2.3)
    assert bench.sent() == [mqtt.Pubrel(publish.packet_id)]
    bench.receive(mqtt.Pubcomp(publish.packet_id))

    assert bench.events() == [(4, 10200, number)]


def test_one_message_at_a_time_waits_for_its_answer() -> None:
    bench = Bench()
    bench.ready()

    send(bench, b"one")
    send(bench, b"two")

    assert len(bench.sent()) == 1
    assert len(bench.acknowledge()) == 0
    bench.receive(mqtt.Puback(4))
    assert [frame.decode(packet.payload).payload for packet in bench.sent()] == [b"two"]


@pytest.mark.parametrize("qos", [1, 2])
def test_a_message_nobody_answers_is_sent_three_times_and_fails_alone(qos: int) -> None:
    bench = Bench()
    bench.ready()
    number = send(bench, b"one", qos)
    send(bench, b"two", 0)
    (first,) = bench.sent()

    bench.advance(5.9)
    assert bench.sent() == [first, first]  # the same packet id, no DUP
    bench.advance(0.8)

    assert bench.events()[0] == (4, 10300, number)
    assert [frame.decode(packet.payload).payload for packet in bench.sent()] == [b"two"]
    assert bench.agent.work_state == _codes.SUBSCRIBED


def test_what_a_broken_link_left_unanswered_is_sent_again_in_its_turn() -> None:
    bench = Bench()
    bench.ready()
    send(bench, b"one")
    send(bench, b"two")
    bench.lose()
    bench.advance(3)

    bench.connect()
    bench.receive(mqtt.Suback(1, [1]))

    payloads = [one.payload for one in bench.acknowledge() if one.command == commands.TRANSPARENT_UP]
    assert payloads == [b"one", b"two"]


def test_what_the_server_has_already_is_not_sent_again() -> None:
    bench = Bench()
    bench.ready()
    number = send(bench, b"one", qos=2)
    (publish,) = bench.sent()
    bench.receive(mqtt.Pubrec(publish.packet_id))
    bench.events()

    bench.lose()

    assert (4, 10200, number) in bench.events()
    bench.advance(3)
    bench.connect()
    bench.receive(mqtt.Suback(1, [1]))
    assert [one.command for one in bench.acknowledge()] == [commands.STATUS_REPORT, commands.INFO_REPORT]


def test_a_flapping_link_does_not_pile_up_reports() -> None:
    bench = Bench()
    bench.agent.start()
    for _ in range(10):
        bench.connect()
        bench.receive(mqtt.Suback(1, [1]))
        bench.lose()
        bench.advance(3)

    bench.connect()
    bench.receive(mqtt.Suback(1, [1]))

    assert [one.command for one in bench.acknowledge()] == [commands.STATUS_REPORT, commands.INFO_REPORT]


def test_the_queue_is_bounded_in_number_and_in_bytes() -> None:
    bench = Bench()
    bench.agent.start()

    assert all(send(bench, b"x") for _ in range(_outbox.MAX_COUNT))
    assert send(bench, b"x") == 0

    bench = Bench()
    bench.agent.start()
    assert send(bench, bytes(_outbox.MAX_BYTES - 100))
    assert send(bench, bytes(100)) == 0
    assert send(bench, b"small")


def test_a_refused_message_uses_no_packet_id() -> None:
    bench = Bench()
    bench.agent.start()

    assert send(bench) == 1
    assert send(bench, bytes(_outbox.MAX_BYTES)) == 0

    assert send(bench) == 2


def test_packet_ids_skip_0_and_ffff() -> None:
    bench = Bench()
    bench.ready()
    bench.sent()
    numbers = []

    for _ in range(0xFFFE):
        numbers.append(send(bench, b"x", qos=0))
    bench.sent()

    assert numbers[-4:] == [0xFFFD, 0xFFFE, 1, 2]


def test_leaving_gives_up_what_waits() -> None:
    bench = Bench()
    bench.agent.start()
    send(bench)

    bench.agent.stop()

    assert (4, 10300, 1) in bench.events()


def test_nothing_is_taken_while_the_connection_mode_is_0() -> None:
    assert send(Bench()) == 0


# --- down ---


def test_pass_through_reaches_the_script_and_is_acknowledged() -> None:
    bench = Bench()
    bench.ready()

    bench.receive(bench.downlink(commands.TRANSPARENT_DOWN, b"\x00on"))

    assert bench.events() == [(5, 10200, b"\x00on")]
    assert bench.sent() == [mqtt.Puback(9)]


def test_a_write_reaches_the_script_as_a_dict() -> None:
    bench = Bench()
    bench.ready()
    fields = [
        (1, True),
        (2, -5),
        (3, 36.6),
        (4, "text"),
        (5, b"\xff"),
        (6, [(1, 1)]),
        (7, [(0, 1), (0, 2)]),
        (1, False),
    ]

    bench.receive(bench.downlink(commands.TSL_WRITE, ttlv.encode(fields)))

    assert bench.events() == [(5, 10210, {1: True, 2: -5, 3: 36.6, 4: "text", 5: b"\xff", 6: {1: 1}, 7: [1, 2]})]


def test_a_read_reaches_the_script_and_is_answered_with_its_packet_id() -> None:
    bench = Bench()
    bench.ready()

    bench.receive(bench.downlink(commands.TSL_READ, bytes.fromhex("00010203"), packet_id=0x1234))
    assert bench.events() == [(5, 10211, [0x1234, [1, 0x203]])]
    bench.sent()
    assert bench.agent.answer(commands.TSL_READ_ANSWER, 0x1234, ttlv.encode([(1, True)]))

    (publish,) = bench.sent()
    assert (publish.topic, publish.qos) == (f"q/2/d/qd{PK}{DK}/bus", 0)
    assert frame.decode(publish.payload) == (0x1234, commands.TSL_READ_ANSWER, bytes.fromhex("0009"))


@pytest.mark.parametrize(
    ("request_command", "answer", "ids", "expected"),
    [
        (commands.STATUS_READ, commands.STATUS_ANSWER, "00010004", [1, 4]),
        (commands.STATUS_READ, commands.STATUS_ANSWER, "", [1, 2, 3, 4]),
        (commands.INFO_READ, commands.INFO_ANSWER, "0001000b", [1, 11]),
        (commands.INFO_READ, commands.INFO_ANSWER, "", list(range(1, 15))),
    ],
)
def test_status_and_information_are_answered_without_the_script(
    request_command: int, answer: int, ids: str, expected: list[int]
) -> None:
    bench = Bench()
    bench.ready()

    bench.receive(bench.downlink(request_command, bytes.fromhex(ids), packet_id=77))

    (reply,) = bench.acknowledge()
    assert (reply.packet_id, reply.command) == (77, answer)
    assert list(fields_of(reply)) == expected
    assert bench.events() == []


@pytest.mark.parametrize(
    ("command", "payload", "complaint"),
    [
        (commands.TSL_WRITE, b"", 5),
        (commands.TSL_WRITE, b"\xff", 5),
        (commands.TSL_READ, b"\x00", 2),
        (commands.STATUS_READ, b"\x00\x01\x00", 2),
        (commands.INFO_READ, b"\x00", 2),
        (0x0111, b"", 4),
        (0x0113, b"", 4),
        (0x0123, ttlv.encode([(1, "LBS;")]), 4),
    ],
)
def test_what_cannot_be_served_is_complained_of(command: int, payload: bytes, complaint: int) -> None:
    bench = Bench()
    bench.ready()

    bench.receive(bench.downlink(command, payload, packet_id=77))

    (reply,) = bench.acknowledge()
    assert reply.command == commands.EXCEPTION_UP
    assert fields_of(reply) == {1: complaint, 2: 77}
    assert bench.events() == []


@pytest.mark.parametrize("packet_id", [0, 0xFFFF])
def test_packet_ids_0_and_ffff_are_dropped_but_acknowledged(packet_id: int) -> None:
    bench = Bench()
    bench.ready()

    bench.receive(bench.downlink(commands.TRANSPARENT_DOWN, b"on", packet_id=packet_id))

    assert bench.events() == []
    assert bench.sent() == [mqtt.Puback(9)]


@pytest.mark.parametrize(
    "topic",
    [
        f"q/2/d/qd{PK}{DK}/bus",
        f"q/1/d/qd{PK}{DK}x/bus",
        f"q/1/d/qd{PK}{DK}",
        f"q/1/d/qd{PK}{DK}/",
        f"q/1/d/qd{PK}{DK}/bus/",
        f"q/1/d/qd{PK}{DK}//user",
        f"q/1/d/qd{PK}{DK}/bus/user/",
        f"q/1/d/qd{PK}{DK}/bus/user/more",
        f"q/1/d/qd{PK}{DK}/bus/{'u' * 129}",
        f"Q/1/d/qd{PK}{DK}/bus",
        "q/1/d/qdp1115Xother/bus",
        "bus",
    ],
)
def test_a_topic_that_is_not_the_devices_own_is_ignored(topic: str) -> None:
    bench = Bench()
    bench.ready()

    bench.receive(bench.downlink(commands.TRANSPARENT_DOWN, b"on", topic=topic))
    bench.receive(bench.downlink(commands.CONFIGURE, ttlv.encode([(10, "x" * 32)]), topic=topic))

    assert bench.events() == []
    assert bench.store.values["device_secret"] == DS


@pytest.mark.parametrize("kind", ["sys", "bus", "ota", "zzz"])
def test_the_command_counts_and_not_the_kind_of_topic(kind: str) -> None:
    bench = Bench()
    bench.ready()

    bench.receive(bench.downlink(commands.TRANSPARENT_DOWN, b"on", kind=kind))

    assert bench.events() == [(5, 10200, b"on")]


@pytest.mark.parametrize("payload", [b"", b"\xaa", b"\xaa\xaa\x00\x01\x00", b"{}", bytes(40)])
def test_a_message_that_is_no_frame_is_acknowledged_and_ignored(payload: bytes) -> None:
    bench = Bench()
    bench.ready()

    bench.receive(mqtt.Publish(topics.downlink("qd" + PK + DK, "sys"), payload, 1, packet_id=9))

    assert bench.events() == []
    assert bench.sent() == [mqtt.Puback(9)]


def test_qos_2_downlink_is_done_once() -> None:
    bench = Bench()
    bench.ready()
    message = bench.downlink(commands.TRANSPARENT_DOWN, b"on", qos=2)

    bench.receive(message, message)
    assert bench.sent() == [mqtt.Pubrec(9), mqtt.Pubrec(9)]
    bench.receive(mqtt.Pubrel(9))
    assert bench.sent() == [mqtt.Pubcomp(9)]

    assert bench.events() == [(5, 10200, b"on")]
    bench.receive(message)
    assert len(bench.events()) == 1


def test_qos_0_downlink_is_not_acknowledged() -> None:
    bench = Bench()
    bench.ready()

    bench.receive(bench.downlink(commands.TRANSPARENT_DOWN, b"on", qos=0))

    assert bench.events() == [(5, 10200, b"on")]
    assert bench.sent() == []


def test_a_server_that_asks_and_never_reads_fills_a_bounded_buffer() -> None:
    bench = Bench()
    bench.ready()
    asked = bench.downlink(commands.INFO_READ, qos=0).encode()

    for _ in range(2000):
        bench.agent.receive_data(asked, bench.now)

    assert len(bench.agent.data_to_send()) < MAX_UNSENT + 1024


def test_b3_is_ignored() -> None:
    bench = Bench()
    bench.ready()

    bench.receive(bench.downlink(0x00B3))

    assert bench.sent() == [mqtt.Puback(9)]


@pytest.mark.parametrize("command", [0x7777, 0x0012, 0x7030, 0x0001])
def test_an_unknown_command_draws_nothing(command: int) -> None:
    bench = Bench()
    bench.ready()

    bench.receive(bench.downlink(command, b"\xff"))

    assert bench.sent() == [mqtt.Puback(9)]
    assert bench.events() == []
    assert bench.logged[-1] == f"command 0x{command:04X} is not known"


@pytest.mark.parametrize(
    ("request_command", "answer", "ids", "expected"),
    [
        (commands.STATUS_READ, commands.STATUS_ANSWER, "0063 0001", [1]),
        (commands.STATUS_READ, commands.STATUS_ANSWER, "0063", []),
        (commands.STATUS_READ, commands.STATUS_ANSWER, "0005", []),
        (commands.STATUS_READ, commands.STATUS_ANSWER, "0000", []),
        (commands.INFO_READ, commands.INFO_ANSWER, "0001 000b 000d 0063", [1, 11, 13]),
        (commands.INFO_READ, commands.INFO_ANSWER, "0063 ffff 0000", []),
        (commands.INFO_READ, commands.INFO_ANSWER, "0004", [4]),
        (commands.INFO_READ, commands.INFO_ANSWER, "0001" * 30000, [1]),
    ],
)
def test_unknown_ids_are_left_out_and_of_nothing_the_answer_is_empty(
    request_command: int, answer: int, ids: str, expected: list[int]
) -> None:
    bench = Bench()
    bench.ready()

    bench.receive(bench.downlink(request_command, bytes.fromhex(ids), packet_id=77))

    (reply,) = bench.acknowledge()
    assert (reply.packet_id, reply.command) == (77, answer)
    assert [number for number, _ in ttlv.decode(reply.payload)] == expected if expected else reply.payload == b""


# --- an App user's messages ---


def from_user(bench: Bench, command: int, payload: bytes = b"", packet_id: int = 77, user: str = "U123") -> None:
    kind = commands.topic_kind(command) or "bus"
    bench.receive(bench.downlink(command, payload, packet_id, topic=f"q/1/d/qd{PK}{DK}/{kind}/{user}"))


def answered(bench: Bench) -> list[tuple[str, int]]:
    """Topics behind the client id, and commands, of what was published."""
    return [
        (one.topic[len(f"q/2/d/qd{PK}{DK}/") :], frame.decode(one.payload).command)
        for one in bench.sent()
        if isinstance(one, mqtt.Publish)
    ]


def test_an_app_users_message_is_done_like_any() -> None:
    bench = Bench()
    bench.ready()

    from_user(bench, commands.TRANSPARENT_DOWN, b"on")
    from_user(bench, commands.TSL_WRITE, bytes.fromhex("0009"))

    assert bench.events() == [(5, 10200, b"on"), (5, 10210, {1: True})]
    assert bench.sent() == [mqtt.Puback(9), mqtt.Puback(9)]


@pytest.mark.parametrize(
    ("command", "payload", "answer"),
    [
        (commands.STATUS_READ, "0001", ("sys/U123", commands.STATUS_ANSWER)),
        (commands.INFO_READ, "0001", ("sys/U123", commands.INFO_ANSWER)),
        (commands.INFO_READ, "0063", ("sys/U123", commands.INFO_ANSWER)),
        (commands.TSL_WRITE, "ff", ("sys/U123", commands.EXCEPTION_UP)),
    ],
)
def test_the_answer_goes_to_the_app_user(command: int, payload: str, answer: tuple[str, int]) -> None:
    bench = Bench()
    bench.ready()

    from_user(bench, command, bytes.fromhex(payload))

    assert answered(bench) == [answer]
    bench.acknowledge()
    bench.receive(bench.downlink(command, bytes.fromhex(payload), packet_id=78))
    assert "U123" not in str(bench.sent())


def test_what_the_script_answers_goes_to_the_app_user_that_asked_and_once() -> None:
    bench = Bench()
    bench.ready()
    from_user(bench, commands.TSL_READ, b"\x00\x01", packet_id=77)
    bench.receive(bench.downlink(commands.TSL_READ, b"\x00\x01", packet_id=78))
    bench.sent()

    for packet_id in (78, 77, 77):
        assert bench.agent.answer(commands.TSL_READ_ANSWER, packet_id, bytes.fromhex("0009"))

    assert [topic for topic, _ in answered(bench)] == ["bus", "bus/U123", "bus"]


def test_a_packet_id_belongs_to_whoever_used_it_last() -> None:
    bench = Bench()
    bench.ready()
    from_user(bench, commands.TSL_READ, packet_id=77, user="first")
    from_user(bench, commands.TSL_READ, packet_id=77, user="second")
    from_user(bench, commands.TSL_READ, packet_id=78)
    bench.receive(bench.downlink(commands.TSL_READ, packet_id=78))
    bench.sent()

    for packet_id in (77, 78):
        bench.agent.answer(commands.TSL_READ_ANSWER, packet_id, bytes.fromhex("0009"))

    assert [topic for topic, _ in answered(bench)] == ["bus/second", "bus"]


def test_reads_that_no_script_answers_do_not_fill_the_memory() -> None:
    bench = Bench()
    bench.ready()

    for packet_id in range(1, 300):
        from_user(bench, commands.TSL_READ, packet_id=packet_id)

    assert len(bench.agent._askers._users) == _askers.MAX_ASKERS
