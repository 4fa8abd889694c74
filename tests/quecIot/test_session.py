"""An App's session with the device: the log-in, what is asked and answered after it, and what ends it.

Vectors: protocol document, short-range C.4; key 00..0f and random A1b2C3d4E5f6G7h8.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from quecbind.wire import commands, frame, lan, signing, ttlv
from quecIot import _codes, _delays, _downlink, _session
from quecIot._session import Door, Session

KEY = bytes(range(16))
RANDOM = "A1b2C3d4E5f6G7h8"
LETTERS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
TOKEN = "b4a50f328c7a789fc79a519a0894a9b33a3f0a14224728215d88716f25a5b3f2"
SOURCE = "192.0.2.10"


def entropy(count: int) -> bytes:
    return bytes(LETTERS.index(letter) for letter in RANDOM)[:count]


class Device:
    def __init__(self) -> None:
        self.key: bytes | None = KEY
        self.asked: list[tuple[Any, ...]] = []
        self.door = Door(lambda: self.key)

    def carry_out(self, decision: tuple[Any, ...]) -> bytes:
        self.asked.append(decision)
        return bytes.fromhex("000a0064") if decision[0] == _downlink.ANSWER_STATUS else b""

    def session(self, source: str = SOURCE, draw: Callable[[int], bytes] = entropy) -> Session:
        return Session(source, self.door, self.carry_out, draw, 0.0)


def result(session: Session, token: str = TOKEN, now: float = 0.0) -> int:
    session.hello(1)
    _, command, payload = session.log_in(2, lan.login(token), now)
    assert command == commands.LOGIN_RESULT
    return lan.parse_login_result(payload)


@pytest.fixture
def device() -> Device:
    return Device()


@pytest.fixture
def session(device: Device) -> Session:
    session = device.session()
    assert result(session) == lan.LOGGED_IN
    return session


def sealed(data: bytes) -> bytes:
    return signing.lan_encrypt(KEY, RANDOM, data)


def opened(data: bytes) -> bytes:
    return signing.lan_decrypt(KEY, RANDOM, data)


def ask(session: Session, command: int, data: bytes = b"", now: float = 1.0) -> list[tuple[int, int, bytes]]:
    return session.receive(frame.Frame(0x03EB, command, sealed(data) if data else b""), now)


# --- the log-in ---


def test_the_documents_token_opens_a_session(session: Session) -> None:
    assert session.is_open


def test_what_a_member_adds_to_a_log_in_neither_opens_nor_hinders(device: Device) -> None:
    for token, expected in ((TOKEN, lan.LOGGED_IN), ("0" * 64, lan.LOGIN_REFUSED)):
        session = device.session()
        session.hello(1)
        _, _, payload = session.log_in(2, lan.login(token, b"end of the code!", 3), 0.0)
        assert (lan.parse_login_result(payload), session.is_open) == (expected, expected == lan.LOGGED_IN)


@pytest.mark.parametrize("token", ["0" * 64, TOKEN[:-1] + "3", TOKEN[::-1]])
def test_a_wrong_token_is_refused(device: Device, token: str) -> None:
    session = device.session()

    assert result(session, token) == lan.LOGIN_REFUSED
    assert not session.is_open


@pytest.mark.parametrize("payload", [b"", b"\xff", bytes.fromhex("00130001ff"), lan.login_result()])
def test_a_log_in_that_cannot_be_read_is_refused(device: Device, payload: bytes) -> None:
    session = device.session()
    session.hello(1)

    assert lan.parse_login_result(session.log_in(2, payload, 0.0)[2]) == lan.LOGIN_REFUSED


def test_without_an_owner_nobody_gets_in(device: Device) -> None:
    device.key = None

    assert result(device.session()) == lan.LOGIN_REFUSED


def test_a_token_serves_once(device: Device) -> None:
    session = device.session()
    session.hello(1)
    session.log_in(2, lan.login(TOKEN), 0.0)
    session.leave()

    assert lan.parse_login_result(session.log_in(3, lan.login(TOKEN), 0.0)[2]) == lan.LOGIN_REFUSED
    assert not session.is_open


def test_a_log_in_that_is_sent_again_is_told_that_it_is_logged_in_already(device: Device, session: Session) -> None:
    again = session.log_in(3, lan.login(TOKEN), 1.0)
    another = session.log_in(4, lan.login("0" * 64), 1.0)

    assert lan.parse_login_result(again[2]) == lan.ALREADY_LOGGED_IN
    assert lan.parse_login_result(another[2]) == lan.LOGIN_REFUSED
    assert len(ask(session, commands.PING)) == 1
    device.key = None
    assert lan.parse_login_result(session.log_in(5, lan.login(TOKEN), 1.0)[2]) == lan.LOGIN_REFUSED


def test_a_token_without_a_random_is_refused(device: Device) -> None:
    answer = device.session().log_in(1, lan.login(signing.lan_token(KEY, "")), 0.0)

    assert lan.parse_login_result(answer[2]) == lan.LOGIN_REFUSED


def test_a_new_hello_ends_the_session(session: Session) -> None:
    session.hello(9)

    assert ask(session, commands.TSL_WRITE, bytes.fromhex("0131")) == []


def wrong_for_free(device: Device, source: str = SOURCE, now: float = 0.0) -> None:
    for _ in range(_delays.FREE_COUNT):
        assert result(device.session(source), "0" * 64, now) == lan.LOGIN_REFUSED


def test_an_app_with_keys_of_several_devices_may_try_them_one_after_the_other(device: Device) -> None:
    wrong_for_free(device)

    assert result(device.session(), now=0.0) == lan.LOGGED_IN


def test_wrong_keys_of_long_ago_are_forgotten(device: Device) -> None:
    for now in (0.0, _delays.FORGET_S, 2 * _delays.FORGET_S):
        wrong_for_free(device, now=now)

    assert result(device.session(), now=2 * _delays.FORGET_S) == lan.LOGGED_IN


def test_a_wrong_key_costs_its_source_a_growing_delay_and_nobody_else(device: Device) -> None:
    wrong_for_free(device)
    result(device.session(), "0" * 64, now=0.0)

    assert result(device.session(), now=0.9) == lan.LOGIN_REFUSED
    assert result(device.session("192.0.2.11"), now=0.9) == lan.LOGGED_IN
    result(device.session(), "0" * 64, now=1.0)
    assert result(device.session(), now=2.9) == lan.LOGIN_REFUSED
    assert result(device.session(), now=3.0) == lan.LOGGED_IN
    wrong_for_free(device, now=4.0)
    assert result(device.session(), "0" * 64, now=4.0) == lan.LOGIN_REFUSED
    assert result(device.session(), now=4.9) == lan.LOGIN_REFUSED
    assert result(device.session(), now=5.0) == lan.LOGGED_IN


def test_the_delay_has_an_upper_end(device: Device) -> None:
    now = 0.0
    for _ in range(20):
        result(device.session(), "0" * 64, now)
        now += _delays.MAX_DELAY_S

    assert result(device.session(), "0" * 64, now) == lan.LOGIN_REFUSED
    assert result(device.session(), now=now + _delays.MAX_DELAY_S - 1) == lan.LOGIN_REFUSED
    now += _delays.MAX_DELAY_S
    assert result(device.session(), now=now) == lan.LOGGED_IN


def test_many_wrong_sources_do_not_fill_the_memory(device: Device) -> None:
    for number in range(1000):
        result(device.session(f"192.0.{number // 256}.{number % 256}"), "0" * 64)

    assert len(device.door._delays) == _delays.MAX_SOURCES


# --- after it ---


def test_the_documents_write_becomes_an_event_and_its_acknowledgement(device: Device, session: Session) -> None:
    write = frame.decode(bytes.fromhex("aaaa00155a03eb0013" + "3bd0c625992d63206229b918923a5c96"))

    (answer,) = session.receive(write, 1.0)

    assert device.asked == [(_downlink.EVENT, _codes.TSL_WRITTEN, {38: True})]
    assert frame.encode(*answer) == bytes.fromhex("aaaa00151603eb7036" + "91bc264ac13a81ec553c28a0baef66f5")


@pytest.mark.parametrize("data", ["019202", "000a", "ff", "0000000000"])
def test_a_malformed_write_is_acknowledged_as_failed_and_not_done(device: Device, session: Session, data: str) -> None:
    ((_, command, payload),) = ask(session, commands.TSL_WRITE, bytes.fromhex(data))

    assert (command, lan.parse_write_ack(opened(payload))) == (commands.WRITE_ACK, _session.WRITE_FAILED)
    assert device.asked == []


def test_what_is_not_encrypted_with_the_key_is_not_done(device: Device, session: Session) -> None:
    plain = frame.Frame(5, commands.TSL_WRITE, bytes.fromhex("0131"))
    foreign = frame.Frame(6, commands.TSL_WRITE, signing.lan_encrypt(b"x" * 16, RANDOM, bytes.fromhex("0131")))

    session.receive(plain, 1.0)
    session.receive(foreign, 1.0)

    assert device.asked == []


@pytest.mark.parametrize(
    "data", [b"", bytes.fromhex("13786a354a14e7f13d76333674bc7ccc")], ids=["no data", "one empty block"]
)
def test_a_read_of_everything_may_come_either_way(device: Device, session: Session, data: bytes) -> None:
    answers = session.receive(frame.Frame(7, commands.TSL_READ, data), 1.0)

    assert answers == [(7, commands.TSL_READ_ANSWER, b"")]
    assert device.asked == [(_downlink.EVENT, _codes.TSL_READ, [7, []])]


def test_the_scripts_answer_to_a_read_is_pushed_once(session: Session) -> None:
    ask(session, commands.TSL_READ, bytes.fromhex("00010002"))

    out = session.answer_read(0x03EB, bytes.fromhex("0009"))

    (pushed,) = frame.FrameReader().feed(out)
    assert (pushed.command, opened(pushed.payload)) == (commands.TSL_REPORT, bytes.fromhex("0009"))
    assert session.answer_read(0x03EB, bytes.fromhex("0009")) == b""
    assert session.answer_read(0x0001, bytes.fromhex("0009")) == b""


def test_reads_of_several_apps_under_one_packet_id_are_told_apart(device: Device) -> None:
    first, second = device.session(), device.session("192.0.2.11")
    assert result(first) == result(second) == lan.LOGGED_IN

    ask(first, commands.TSL_READ, b"\x00\x01")
    ask(second, commands.TSL_READ, b"\x00\x02")
    ask(first, commands.TSL_READ, b"\x00\x03")

    numbers = [asked[2][0] for asked in device.asked]
    assert [asked[2][1] for asked in device.asked] == [[1], [2], [3]]
    assert numbers == [0x03EB, 0x03EC, 0x03ED]
    assert [first.has_asked(number) for number in numbers] == [True, False, True]
    assert [second.has_asked(number) for number in numbers] == [False, True, False]
    assert first.answer_read(numbers[0], b"\x00\x09")
    ask(second, commands.TSL_READ, b"\x00\x04")
    assert device.asked[-1][2][0] == 0x03EB  # free again


def test_reads_without_an_answer_do_not_fill_the_memory(device: Device) -> None:
    session = device.session()
    result(session)

    for _ in range(_session.MAX_ALL_READS + 100):
        ask(session, commands.TSL_READ, b"")

    assert len(session._reads) == _session.MAX_READS
    assert len(device.door._reads) == _session.MAX_READS
    device.key = None
    assert not session.is_valid()
    assert device.door._reads == []


def test_raw_data_becomes_an_event_without_an_answer(device: Device, session: Session) -> None:
    assert ask(session, commands.TRANSPARENT_DOWN, b"on") == []
    assert device.asked == [(_downlink.EVENT, _codes.TRANSPARENT_RECEIVED, b"on")]


def test_status_is_answered(session: Session) -> None:
    ((_, command, payload),) = ask(session, commands.STATUS_READ, bytes.fromhex("0001"))

    assert (command, opened(payload)) == (commands.STATUS_ANSWER, bytes.fromhex("000a0064"))


@pytest.mark.parametrize(
    "command",
    [commands.CONFIGURE, commands.BIND_CODE, commands.EXCEPTION_DOWN, commands.INFO_READ, commands.OTA_TASK, 0x0024],
)
def test_nothing_else_is_done_for_an_app(device: Device, session: Session, command: int) -> None:
    assert ask(session, command, ttlv.encode([(9, True)])) == []
    assert device.asked == []


def test_packet_id_0_is_not_served(device: Device, session: Session) -> None:
    session.receive(frame.Frame(0, commands.TRANSPARENT_DOWN, sealed(b"on")), 1.0)

    assert device.asked == []


def test_reports_are_encrypted_and_numbered(session: Session) -> None:
    frames = frame.FrameReader().feed(session.report(0x0014, b"\x00\x09") + session.report(0x0024, b"raw"))

    assert [(one.packet_id, one.command, opened(one.payload)) for one in frames] == [
        (1, 0x0014, b"\x00\x09"),
        (2, 0x0024, b"raw"),
    ]


def test_a_large_report_is_split_between_its_properties(session: Session) -> None:
    fields = [(number, "x" * 100) for number in range(1, 21)]

    frames = frame.FrameReader().feed(session.report(0x0014, ttlv.encode(fields)))

    assert len(frames) > 3
    assert all(len(one.payload) <= _session.MAX_REPORT + 16 for one in frames)
    together = [field for one in frames for field in ttlv.decode(opened(one.payload))]
    assert together == [(number, text.encode()) for number, text in fields]


def test_what_fits_in_no_frame_that_peers_agree_on_is_left_out(session: Session) -> None:
    small, large = (1, "small"), (2, "x" * lan.MAX_DATA)

    assert session.report(0x0024, bytes(lan.MAX_DATA + 1)) == b""
    (one,) = frame.FrameReader().feed(session.report(0x0014, ttlv.encode([large, small])))

    assert ttlv.decode(opened(one.payload)) == [(1, b"small")]
    assert not _session.fits(0x0014, ttlv.encode([large, small]))
    (largest,) = frame.FrameReader().feed(session.report(0x0024, bytes(lan.MAX_DATA)))
    assert len(largest.payload) + 9 < 0x5500


def test_a_report_of_many_properties_fits_however_large_it_is() -> None:
    assert _session.fits(0x0014, ttlv.encode([(number, "x" * 1000) for number in range(1, 60)]))


def test_nobody_who_has_not_logged_in_gets_reports(device: Device) -> None:
    assert device.session().report(0x0014, b"\x00\x09") == b""


# --- its end ---


@pytest.mark.parametrize("new_key", [None, b"y" * 16], ids=["unbound", "rotated"])
def test_a_session_ends_with_its_key(device: Device, session: Session, new_key: bytes | None) -> None:
    device.key = new_key

    assert ask(session, commands.TSL_WRITE, bytes.fromhex("0131")) == []
    assert session.report(0x0014, b"\x00\x09") == b""
    assert session.handle_timer(1.0) is None
    assert device.asked == []
    device.key = KEY
    assert not session.is_open


def test_a_silent_session_does_not_outlive_its_key_by_more_than_a_second(device: Device, session: Session) -> None:
    assert session.handle_timer(5.0) == b""
    device.key = None

    assert session.next_timer() == 6.0
    assert session.handle_timer(6.0) is None
    assert session.is_over


def test_pings_are_answered(session: Session) -> None:
    assert ask(session, commands.PING) == [(0x03EB, commands.PONG, b"")]


def test_a_quiet_app_is_pinged_and_then_let_go(session: Session) -> None:
    assert session.handle_timer(_session.PING_AFTER_S - 1) == b""
    ping = session.handle_timer(session.next_timer())
    assert ping is not None
    assert frame.decode(ping).command == commands.PING

    assert session.handle_timer(_session.SILENCE_S - 0.1) is not None
    assert session.handle_timer(_session.SILENCE_S) is None


def test_an_app_that_answers_pings_is_pinged_whenever_it_was_quiet_for_as_long(session: Session) -> None:
    pinged_at = []
    for now in range(1, 200):
        if session.handle_timer(float(now)):
            pinged_at.append(now)
            ask(session, commands.PONG, now=now + 0.5)

    assert pinged_at == [30, 61, 92, 123, 154, 185]


def test_any_frame_keeps_a_session(session: Session) -> None:
    for now in range(10, 1000, 10):
        ask(session, commands.HEARTBEAT, lan.heartbeat(), float(now))
        assert session.handle_timer(float(now)) == b""

    assert session.is_open
