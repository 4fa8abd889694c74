"""The pairing exchange without a network: one question, one answer, or a reason."""

import pytest

from quecbind.app.bounded import MAX_ANSWER
from quecbind.app.lan.session import PairingSession
from quecbind.wire import commands, frame, lan

# short-range.md D.4
EXAMPLE = bytes.fromhex(
    "aaaa0035cc03e870110031003b00067031316162630043000c616162626363646465656666004b001030313233343536373839414243444546"
)


def started() -> PairingSession:
    session = PairingSession(100.0, 5.0)
    session.data_to_send()
    return session


def test_the_question_is_0x7010_without_a_network_name() -> None:
    session = PairingSession(100.0)

    asked = frame.decode(session.data_to_send())

    assert (asked.command, asked.payload) == (commands.PROVISION, b"")
    assert session.data_to_send() == b""


def test_the_documented_answer_ends_the_exchange() -> None:
    session = started()

    session.receive_data(EXAMPLE, 100.1)

    assert session.is_over()
    assert session.pairing == lan.Pairing(True, "p11abc", "aabbccddeeff", "0123456789ABCDEF")
    assert session.next_timer() is None


def test_the_answer_may_come_byte_by_byte() -> None:
    session = started()

    for at in range(len(EXAMPLE)):
        assert not session.is_over()
        session.receive_data(EXAMPLE[at : at + 1], 100.1)

    assert session.pairing is not None


def test_what_comes_before_the_answer_is_skipped() -> None:
    session = started()
    noise = frame.encode(0, commands.TSL_REPORT, b"\x00\x09")

    session.receive_data(b"junk" + noise + EXAMPLE, 100.1)

    assert session.pairing is not None


def test_a_closed_window_leaves_the_bind_code_out() -> None:
    session = started()

    session.receive_data(frame.encode(1, commands.PROVISION_ANSWER, lan.provision_answer("p11abc", "aabb")), 100.1)

    assert session.pairing is not None
    assert session.pairing.bind_code is None


@pytest.mark.parametrize(
    ("payload", "sentence"),
    [
        (bytes.fromhex("0030"), "refused"),
        (b"", "cannot be read"),
        (bytes.fromhex("0031"), "cannot be read"),
        (b"\xff" * 40, "cannot be read"),
    ],
)
def test_an_answer_that_gives_nothing_is_an_error_with_its_reason(payload: bytes, sentence: str) -> None:
    session = started()

    session.receive_data(frame.encode(1, commands.PROVISION_ANSWER, payload), 100.1)

    assert session.pairing is None
    assert sentence in str(session.error)


def test_silence_ends_at_the_deadline() -> None:
    session = started()

    assert session.next_timer() == 105.0
    session.handle_timer(104.9)
    assert not session.is_over()
    session.handle_timer(105.0)

    assert "in time" in str(session.error)


def test_a_drip_of_bytes_does_not_move_the_deadline() -> None:
    session = started()

    for tenth in range(60):
        session.receive_data(b"\x00", 100.0 + tenth / 10)

    assert "in time" in str(session.error)


def test_the_end_of_the_connection_is_an_error() -> None:
    session = started()

    session.receive_data(b"", 100.1)

    assert "closed" in str(session.error)


def test_more_than_an_answer_could_be_is_refused() -> None:
    session = started()

    session.receive_data(b"\x00" * (MAX_ANSWER + 1), 100.1)

    assert "too much" in str(session.error)


def test_an_answer_behind_the_limit_does_not_count() -> None:
    session = started()

    session.receive_data(b"\x00" * MAX_ANSWER + EXAMPLE, 100.1)

    assert session.pairing is None
    assert session.error is not None


def test_a_frame_that_claims_to_be_huge_is_skipped() -> None:
    session = started()

    session.receive_data(bytes.fromhex("aaaaffff00") + EXAMPLE, 100.1)

    assert session.pairing is not None


def test_nothing_changes_after_the_end() -> None:
    session = started()
    session.receive_data(EXAMPLE, 100.1)

    session.receive_data(b"", 100.2)
    session.handle_timer(200.0)

    assert session.error is None
    assert "0123456789ABCDEF" not in repr(session.pairing)
