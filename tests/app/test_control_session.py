"""The App's end of a session without a transport.

Vectors: protocol document, short-range C.4.
"""

import hashlib
from typing import Any

import pytest

from quecbind.app import control_session
from quecbind.app.control_session import (
    Closed,
    ControlSession,
    LoggedIn,
    LogInRefused,
    RawReceived,
    ReadAnswered,
    ReadTaken,
    Reported,
    Unanswered,
    Written,
)
from quecbind.app.errors import ControlError
from quecbind.wire import commands, frame, lan, signing, ttlv

KEY = bytes(range(16))
RANDOM = "A1b2C3d4E5f6G7h8"
TOKEN = "b4a50f328c7a789fc79a519a0894a9b33a3f0a14224728215d88716f25a5b3f2"
GIVEN = bytes.fromhex("aaaa0019f203e97033000b001041316232433364344535663647376838")
EMPTY_BLOCK = bytes.fromhex("13786a354a14e7f13d76333674bc7ccc")
TAKEN = bytes.fromhex("aaaa0009ac03ea7035001a0000")


def sent(session: ControlSession) -> list[frame.Frame]:
    return frame.FrameReader().feed(session.data_to_send())


def opened(payload: bytes) -> bytes:
    return signing.lan_decrypt(KEY, RANDOM, payload)


def told(command: int, plain: bytes, packet_id: int = 7, random: str = RANDOM) -> bytes:
    return frame.encode(packet_id, command, signing.lan_encrypt(KEY, random, plain))


def started(**options: Any) -> ControlSession:
    session = ControlSession(KEY, **options)
    session.start(100.0)
    return session


@pytest.fixture
def session() -> ControlSession:
    """Logged in at 100.0; what was sent for it is taken."""
    session = started()
    assert session.receive_data(GIVEN + TAKEN, 100.0) == [LoggedIn()]
    session.data_to_send()
    return session


class TestLogIn:
    def test_the_bytes_are_the_documents(self) -> None:
        session = started()
        hello = session.data_to_send()
        session.receive_data(GIVEN, 100.1)
        token = session.data_to_send()
        happenings = session.receive_data(TAKEN, 100.2)
        heartbeat = session.data_to_send()

        assert hello[4:] == bytes.fromhex("8d03e87032")
        assert token == bytes.fromhex("aaaa00497903e9703400130040") + TOKEN.encode()
        assert happenings == [LoggedIn()]
        assert heartbeat == bytes.fromhex("aaaa00156203ea7039c1b78ac5276df55a3ca611381c7cb8a7")
        assert session.is_open

    def test_the_second_vector(self) -> None:
        random = "0123456789abcdef"
        session = started()
        session.data_to_send()

        session.receive_data(frame.encode(1, commands.RANDOM, lan.random(random)), 100.0)

        token = sent(session)[0].payload[4:].decode()
        assert token.startswith("0a80adf14b01")
        assert token == hashlib.sha256(("000102030405060708090a0b0c0d0e0f;" + random).encode()).hexdigest()

    def test_a_bind_code_is_the_key_of_a_device_with_ble_only(self) -> None:
        session = ControlSession(b"0123456789ABCDEF")
        session.start(0.0)
        session.data_to_send()

        session.receive_data(GIVEN, 0.0)

        assert sent(session)[0].payload[4:] == b"e2381cd724c6296fc243f9856b33d4a606d2d6d42d308f20c475a59d2339dfbe"

    @pytest.mark.parametrize("result", [0, 2])
    def test_0_and_2_are_well(self, result: int) -> None:
        session = started()

        happenings = session.receive_data(
            GIVEN + frame.encode(9, commands.LOGIN_RESULT, lan.login_result(result)), 100.0
        )

        assert happenings == [LoggedIn()]

    @pytest.mark.parametrize("result", [1, -1, 3])
    def test_anything_else_is_a_refusal_and_the_end(self, result: int) -> None:
        session = started()

        happenings = session.receive_data(
            GIVEN + frame.encode(9, commands.LOGIN_RESULT, lan.login_result(result)), 100.0
        )

        assert happenings == [LogInRefused(result)]
        assert session.is_over
        assert session.next_deadline() is None
        with pytest.raises(ControlError):
            session.write([(1, True)], 101.0)

    def test_the_end_of_a_share_code_and_its_permission_go_with_the_token(self) -> None:
        session = started(share=b"S" * 16, permission=3)
        session.data_to_send()

        session.receive_data(GIVEN, 100.0)

        assert ttlv.decode(sent(session)[0].payload) == [(2, TOKEN.encode()), (5, b"S" * 16), (6, 3)]

    def test_bytes_may_come_one_by_one_and_after_noise(self) -> None:
        session = started()
        happenings = []

        for byte in b"noise\xaa" + GIVEN + b"\x55" + TAKEN:
            happenings += session.receive_data(bytes([byte]), 100.0)

        assert happenings == [LoggedIn()]

    def test_what_a_radio_repeats_is_taken_once(self) -> None:
        session = started()
        session.data_to_send()

        happenings = session.receive_data(GIVEN + GIVEN + TAKEN + TAKEN, 100.0)

        assert happenings == [LoggedIn()]
        assert [one.command for one in sent(session)] == [commands.LOGIN, commands.HEARTBEAT]

    def test_nothing_counts_before_the_log_in(self) -> None:
        session = started()
        session.data_to_send()

        happenings = session.receive_data(
            TAKEN + told(commands.TSL_REPORT, b"\x00\x09") + frame.encode(1, commands.PING), 100.0
        )

        assert happenings == []
        assert session.data_to_send() == b""
        assert session.skipped_count == 3
        with pytest.raises(ControlError, match="no session"):
            session.read([1], 100.0)

    @pytest.mark.parametrize("payload", [b"", b"\xff", ttlv.encode([(1, "short")]), ttlv.encode([(2, RANDOM)])])
    def test_a_random_that_cannot_be_one_ends_it(self, payload: bytes) -> None:
        session = started()

        (happening,) = session.receive_data(frame.encode(1, commands.RANDOM, payload), 100.0)

        assert isinstance(happening, Closed)
        assert "cannot be read" in happening.reason

    def test_silence_ends_it_in_time(self) -> None:
        session = started()

        assert session.next_deadline() == 110.0
        assert session.tick(109.9) == []
        session.receive_data(GIVEN, 109.9)
        assert session.tick(110.0) == [Closed("the device did not answer the log-in in time")]
        assert session.tick(111.0) == []

    def test_the_end_of_the_connection_is_the_end(self) -> None:
        session = started()

        assert session.receive_data(b"", 100.0) == [Closed("the device closed the connection")]
        assert session.receive_data(GIVEN, 100.0) == []

    @pytest.mark.parametrize("size", [0, 15, 17])
    def test_a_key_of_another_size_is_refused(self, size: int) -> None:
        with pytest.raises(ControlError, match="16 bytes"):
            ControlSession(bytes(size))

    def test_a_session_starts_once(self, session: ControlSession) -> None:
        with pytest.raises(ControlError, match="once"):
            session.start(101.0)


class TestQuestions:
    def test_a_write_is_the_documents_and_its_acknowledgement_is_read(self, session: ControlSession) -> None:
        packet_id = session.write([(38, True)], 101.0)

        (asked,) = sent(session)
        assert asked == (packet_id, 0x0013, bytes.fromhex("3bd0c625992d63206229b918923a5c96"))
        well = frame.encode(packet_id, 0x7036, bytes.fromhex("91bc264ac13a81ec553c28a0baef66f5"))
        assert session.receive_data(well, 101.1) == [Written(packet_id, 0)]

    def test_a_refused_write_tells_its_result(self, session: ControlSession) -> None:
        packet_id = session.write([(38, True)], 101.0)

        assert session.receive_data(told(commands.WRITE_ACK, lan.write_ack(1), packet_id), 101.1) == [
            Written(packet_id, 1)
        ]

    def test_acknowledgements_find_their_writes_in_any_order_and_once(self, session: ControlSession) -> None:
        first, second = session.write([(1, 1)], 101.0), session.write([(2, 2)], 101.0)
        ack = lan.write_ack()

        happenings = session.receive_data(
            told(commands.WRITE_ACK, ack, second)
            + told(commands.WRITE_ACK, ack, first)
            + told(commands.WRITE_ACK, ack, first)
            + told(commands.WRITE_ACK, ack, 0),
            101.1,
        )

        assert happenings == [Written(second, 0), Written(first, 0)]

    @pytest.mark.parametrize(("ids", "plain"), [([1, 2, 300], "00010002012c"), ([], "")])
    def test_a_read_is_a_plain_list_of_ids_and_nothing_for_all(
        self, session: ControlSession, ids: list[int], plain: str
    ) -> None:
        packet_id = session.read(ids, 101.0)

        (asked,) = sent(session)
        assert asked[:2] == (packet_id, 0x0011)
        assert opened(asked.payload).hex() == plain
        assert bool(asked.payload) == bool(ids)

    @pytest.mark.parametrize("empty", [b"", bytes.fromhex("13786a354a14e7f13d76333674bc7ccc")])
    def test_an_empty_answer_takes_the_read_and_reports_follow(self, session: ControlSession, empty: bytes) -> None:
        packet_id = session.read([1], 101.0)

        happenings = session.receive_data(
            frame.encode(packet_id, 0x0012, empty) + told(0x0014, bytes.fromhex("0009"), 0), 101.1
        )

        assert happenings == [ReadTaken(packet_id), Reported(((1, True),))]

    def test_an_answer_with_values_is_the_answer(self, session: ControlSession) -> None:
        packet_id = session.read([3], 101.0)

        happenings = session.receive_data(told(0x0012, bytes.fromhex("001a09016e"), packet_id), 101.1)

        assert happenings == [ReadAnswered(packet_id, ((3, 36.6),))]

    def test_values_that_nobody_asked_for_are_a_report(self, session: ControlSession) -> None:
        assert session.receive_data(told(0x0012, bytes.fromhex("0009"), 5), 101.0) == [Reported(((1, True),))]
        assert session.receive_data(told(0x0012, b"", 5), 101.0) == []

    def test_raw_data_goes_both_ways(self, session: ControlSession) -> None:
        session.send_raw(b"\xaa\xaa\x55")

        assert opened(sent(session)[0].payload) == b"\xaa\xaa\x55"
        assert session.receive_data(told(commands.TRANSPARENT_UP, b"\xaa\x55"), 101.0) == [RawReceived(b"\xaa\x55")]

    def test_each_question_has_the_time_that_whoever_asks_has(self, session: ControlSession) -> None:
        packet_ids = [session.read([], 101.0, 2.0), session.write([(1, True)], 101.0, 20.0)]
        session.receive_data(frame.encode(7, commands.PONG), 120.0)

        assert session.tick(103.0) == [Unanswered(packet_ids[0])]
        assert session.tick(120.9) == []
        assert session.tick(121.0) == [Unanswered(packet_ids[1])]

    def test_what_is_not_answered_in_time_is_told_once(self, session: ControlSession) -> None:
        packet_id = session.write([(1, True)], 101.0)

        assert session.tick(110.9) == []
        assert session.tick(111.0) == [Unanswered(packet_id)]
        assert session.tick(111.1) == []
        assert session.receive_data(told(commands.WRITE_ACK, lan.write_ack(), packet_id), 111.2) == []

    @pytest.mark.parametrize("ids", [[0], [8192]])
    def test_ids_that_cannot_be_are_refused_here(self, session: ControlSession, ids: list[int]) -> None:
        with pytest.raises(ControlError, match="cannot be sent"):
            session.read(ids, 101.0)

    @pytest.mark.parametrize("fields", [[], [(0, 1), (1, 1)], [(1, None)], [(1, "x" * 0x5500)]])
    def test_values_that_cannot_be_sent_are_refused_here(self, session: ControlSession, fields: Any) -> None:
        with pytest.raises(ControlError, match="cannot be sent"):
            session.write(fields, 101.0)
        assert session.data_to_send() == b""

    @pytest.mark.parametrize("data", [b"", bytes(0x5401)])
    def test_raw_data_of_no_size_or_too_much_is_refused_here(self, session: ControlSession, data: bytes) -> None:
        with pytest.raises(ControlError):
            session.send_raw(data)

    def test_a_device_that_never_answers_is_not_asked_without_end(self, session: ControlSession) -> None:
        for _ in range(control_session.MAX_WAITING):
            session.read([1], 101.0)

        with pytest.raises(ControlError, match="too many"):
            session.read([1], 101.0)


class TestWhatArrives:
    def test_a_ping_is_answered_under_its_packet_id(self, session: ControlSession) -> None:
        session.receive_data(frame.encode(77, commands.PING), 101.0)

        assert sent(session) == [(77, commands.PONG, b"")]

    def test_a_ping_under_packet_id_0_is_answered_under_another(self, session: ControlSession) -> None:
        session.receive_data(frame.encode(0, commands.PING), 101.0)

        (pong,) = sent(session)
        assert pong.command == commands.PONG
        assert 1000 <= pong.packet_id <= 0xFFFE

    @pytest.mark.parametrize(
        "data",
        [
            told(commands.TSL_REPORT, b"\x00\x09", random="0000000000000000"),
            frame.encode(1, commands.TSL_REPORT, b"\x00\x09"),
            told(commands.TSL_REPORT, b"\x00"),
            told(commands.TSL_REPORT, b"\x00\x0e"),
            frame.encode(1, commands.TSL_REPORT),
            told(commands.WRITE_ACK, b"\xff"),
            frame.encode(1, 0x7099),
            GIVEN,
        ],
        ids=["another random", "plain", "cut short", "type 6", "empty", "bad ack", "unknown", "a random"],
    )
    def test_what_cannot_be_read_is_skipped_and_the_session_lives(self, session: ControlSession, data: bytes) -> None:
        assert session.receive_data(data, 101.0) == []
        assert session.skipped_count == 1
        assert session.receive_data(told(commands.TSL_REPORT, b"\x00\x09"), 101.0) == [Reported(((1, True),))]

    def test_raw_type_5_reads_as_bytes(self, session: ControlSession) -> None:
        assert session.receive_data(told(0x0014, bytes.fromhex("000d00020102")), 101.0) == [
            Reported(((1, b"\x01\x02"),))
        ]


class TestTime:
    def test_a_heartbeat_goes_out_every_12_s(self, session: ControlSession) -> None:
        assert session.next_deadline() == 112.0
        session.receive_data(told(0x0014, b"\x00\x09"), 111.0)
        session.tick(111.9)
        assert session.data_to_send() == b""

        session.tick(112.0)

        (beat,) = sent(session)
        assert (beat.command, opened(beat.payload).hex()) == (0x7039, "000a001e00120001")
        assert session.next_deadline() == 124.0

    def test_a_quiet_device_is_pinged_and_one_that_answers_is_kept(self, session: ControlSession) -> None:
        for beat in range(1, 20):
            now = 100.0 + 12 * beat
            assert session.tick(now) == []
            assert [one.command for one in sent(session)] == [commands.HEARTBEAT, commands.PING]
            session.receive_data(frame.encode(1, commands.PONG), now)

    def test_a_silent_device_is_given_up(self, session: ControlSession) -> None:
        assert session.tick(139.9) == []

        assert session.tick(140.0) == [Closed("the device has gone silent")]

    def test_bytes_that_mean_nothing_are_no_sign_of_life(self, session: ControlSession) -> None:
        session.receive_data(frame.encode(1, commands.TSL_REPORT, b"\x00\x09"), 139.0)

        assert session.tick(140.0) == [Closed("the device has gone silent")]


def test_packet_ids_stay_where_apps_count(session: ControlSession) -> None:
    session._packet_id = 0xFFFC

    for _ in range(4):
        session.send_raw(b"x")

    assert [one.packet_id for one in sent(session)] == [0xFFFD, 0xFFFE, 1000, 1001]


class TestEmptyAcknowledgement:
    """Some devices acknowledge a write with nothing. So can anybody, so it needs some other sign of the key."""

    def written(self, session: ControlSession) -> int:
        number = session.write([(38, True)], 101.0)
        session.data_to_send()
        return number

    def test_of_a_device_that_has_shown_the_key_it_is_done(self, session: ControlSession) -> None:
        session.receive_data(told(commands.TSL_REPORT, bytes.fromhex("0009")), 101.0)
        number = self.written(session)

        assert session.receive_data(frame.encode(number, commands.WRITE_ACK), 101.1) == [Written(number, 0)]

    def test_one_encrypted_block_of_nothing_is_done(self, session: ControlSession) -> None:
        number = self.written(session)

        assert session.receive_data(frame.encode(number, commands.WRITE_ACK, EMPTY_BLOCK), 101.1) == [
            Written(number, 0)
        ]
        assert session.is_proven

    def test_what_the_app_itself_encrypted_shows_no_key_when_it_comes_back(self, session: ControlSession) -> None:
        number = session.write([(38, True)], 101.0)
        (question,) = sent(session)

        session.receive_data(frame.encode(7, commands.TSL_REPORT, question.payload), 101.1)
        happenings = session.receive_data(frame.encode(number, commands.WRITE_ACK), 101.2)

        assert happenings == []
        assert not session.is_proven

    def test_of_any_other_it_is_done_once_the_key_is_shown_for_which_the_app_asks(
        self, session: ControlSession
    ) -> None:
        number = self.written(session)

        assert session.receive_data(frame.encode(number, commands.WRITE_ACK) * 2, 101.1) == []
        (question,) = sent(session)
        assert (question.command, opened(question.payload)) == (commands.TSL_READ, b"")
        assert session.receive_data(frame.encode(question.packet_id, commands.TSL_READ_ANSWER), 101.2) == []
        report = told(commands.TSL_REPORT, bytes.fromhex("0009 0131"))

        assert session.receive_data(report, 101.3) == [Reported(((1, True), (38, True))), Written(number, 0)]
        assert session.receive_data(frame.encode(number, commands.WRITE_ACK), 101.4) == []

    def test_of_a_peer_that_never_shows_it_the_write_is_unanswered(self, session: ControlSession) -> None:
        number = self.written(session)

        session.receive_data(frame.encode(number, commands.WRITE_ACK), 101.1)

        assert Unanswered(number) in session.tick(101.0 + control_session.ANSWER_S)
        assert not session.is_proven

    def test_one_that_nobody_waits_for_asks_nothing(self, session: ControlSession) -> None:
        assert session.receive_data(frame.encode(1234, commands.WRITE_ACK), 101.1) == []
        assert sent(session) == []
