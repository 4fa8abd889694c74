"""The App's session with a BLE chip: its own log-in and its accounts. Bytes by hand from short-range.md D.6."""

from __future__ import annotations

import pytest

from quecbind.app.chip_session import ChipSession
from quecbind.app.control_session import (
    Answered,
    Closed,
    Happening,
    LoggedIn,
    LogInRefused,
    Reported,
    Unanswered,
    Written,
)
from quecbind.app.errors import ControlError
from quecbind.wire.errors import BleError
from tests.quecIot.app_by_hand import build, cut
from tests.quecIot.test_chip import ASK, DONE, KEY, MAC, REFUSED, SECOND, seal, unseal

RANDOM = bytes(range(0x10, 0x20))
ACCEPTED = bytes.fromhex("00230010") + RANDOM + bytes.fromhex("00320002")


def begun(pin: int | None = None) -> ChipSession:
    session = ChipSession(MAC, KEY, pin)
    session.start(0.0)
    return session


def sent(session: ChipSession) -> list[tuple[int, int, bytes]]:
    return cut(session.data_to_send())[0]


def opened() -> ChipSession:
    session = begun()
    sent(session)
    assert session.receive_data(build(1000, 0x801C, ACCEPTED), 0.0) == [LoggedIn()]
    sent(session)
    return session


def answer(session: ChipSession, command: int, plain: bytes, packet_id: int) -> list[Happening]:
    return session.receive_data(build(packet_id, command, seal(RANDOM, plain)), 1.0)


def test_it_asks_as_the_document_does() -> None:
    ((_, command, data),) = sent(begun(123456))

    assert (command, data) == (0x8011, ASK + KEY + bytes.fromhex("001a0201e240"))


@pytest.mark.parametrize(
    "fields",
    [
        bytes.fromhex("00230010") + RANDOM,
        ACCEPTED,
        ACCEPTED + bytes.fromhex("0019"),
        bytes.fromhex("001a0201e240") + ACCEPTED,
        ACCEPTED + bytes.fromhex("0029"),
    ],
    ids=["random", "and pair mode", "a PIN is kept", "the PIN itself", "a result"],
)
def test_any_of_the_fields_open_it_when_the_random_is_there(fields: bytes) -> None:
    session = begun()

    assert session.receive_data(build(1000, 0x801C, fields), 0.0) == [LoggedIn()]
    assert session.is_open


@pytest.mark.parametrize("fields", [b"", bytes.fromhex("00320002"), bytes.fromhex("001900320003")])
def test_without_a_random_there_is_nothing_to_encrypt_with(fields: bytes) -> None:
    session = begun()

    assert session.receive_data(build(1000, 0x801C, fields), 0.0) == [Closed("the chip gave no random to encrypt with")]
    assert session.is_over


def test_a_refusal_ends_it() -> None:
    assert begun().receive_data(build(1000, 0x801C, REFUSED), 0.0) == [LogInRefused(1)]


def test_an_answer_that_cannot_be_read_ends_it() -> None:
    (closed,) = begun().receive_data(build(1000, 0x801C, b"\xff"), 0.0)

    assert isinstance(closed, Closed)


def test_the_answers_of_another_log_in_are_none() -> None:
    session = begun()

    assert session.receive_data(build(1000, 0x7033, ASK + RANDOM) + build(1000, 0x7035, b""), 0.0) == []
    assert (session.skipped_count, session.is_open) == (2, False)


def test_the_write_of_the_document() -> None:
    session = opened()
    packet_id = session.write([(1, True)], 0.0)

    assert sent(session) == [(packet_id, 0x0013, bytes.fromhex("ef882282b14d334c0f4667bb44c8988e"))]
    assert answer(session, 0x7036, bytes.fromhex("000a0000"), packet_id) == [Written(packet_id, 0)]
    assert answer(session, 0x0014, bytes.fromhex("0009"), 7) == [Reported(((1, True),))]


def test_accounts_are_listed() -> None:
    session = opened()
    packet_id = session.list_accounts(0.0)

    assert sent(session) == [(packet_id, 0x8012, b"")]
    assert answer(session, 0x8013, ASK + KEY + ASK + SECOND, packet_id) == [Answered(packet_id, [KEY, SECOND])]
    assert answer(session, 0x8013, ASK + KEY, packet_id) == []  # answered already


def test_a_list_that_is_refused_is_false() -> None:
    session = opened()
    packet_id = session.list_accounts(0.0)

    assert answer(session, 0x8013, REFUSED, packet_id) == [Answered(packet_id, False)]


@pytest.mark.parametrize(("is_granted", "field"), [(True, "0011"), (False, "0010")])
@pytest.mark.parametrize(("said", "is_done"), [(DONE, True), (REFUSED, False)])
def test_accounts_are_changed(is_granted: bool, field: str, said: bytes, is_done: bool) -> None:
    session = opened()
    packet_id = session.change_account(SECOND, is_granted, 0.0)

    ((_, command, data),) = sent(session)
    assert (command, unseal(RANDOM, data)) == (0x8014, ASK + SECOND + bytes.fromhex(field))
    assert answer(session, 0x801D, said, packet_id) == [Answered(packet_id, is_done)]
    assert answer(session, 0x801D, said, packet_id) == []


def test_a_change_that_is_not_answered_is_told() -> None:
    session = opened()
    packet_id = session.change_account(SECOND, True, 0.0, seconds=5.0)

    assert session.tick(5.0) == [Unanswered(packet_id)]


def test_what_cannot_be_is_refused_at_once() -> None:
    with pytest.raises(ControlError):
        ChipSession(MAC, KEY[:15])
    for mac, pin in (("aabbcc", None), (MAC, 99999)):
        with pytest.raises(BleError):
            ChipSession(mac, KEY, pin)
