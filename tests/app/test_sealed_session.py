"""Sealed pairing on the App's side, against a device made of the document and the library."""

from __future__ import annotations

import os

import pytest
import spake2
from spake2.ed25519_basic import NotOnCurve

from quecbind.app.bounded import MAX_ANSWER
from quecbind.app.errors import NoBindCodeError, PairingError, UnconfirmedPinError, WrongPinError
from quecbind.app.sealed_session import SealedSession
from quecbind.wire import commands, frame, lan, sealed, ttlv

PK, DK, PIN, CODE = "p11abc", "aabbccddeeff", "271828", "0123456789ABCDEF"


class Device:
    """The other side of one exchange."""

    def __init__(self, pin: str = PIN, device_key: str = DK) -> None:
        identity = b"quecbind device;%s;%s" % (PK.encode(), device_key.encode())
        self.side = spake2.SPAKE2_B(pin.encode(), idA=b"quecbind App", idB=identity)
        self.element = self.side.start()
        self.key = b""

    def answer(self, asked: bytes) -> bytes:
        question = frame.decode(asked)
        assert question.command == commands.SEALED_ASK
        ((number, element),) = ttlv.decode(question.payload)
        assert number == 1
        self.key = self.side.finish(element)
        return frame.encode(question.packet_id, commands.SEALED_ANSWER, sealed.answer(self.element))

    def outcome(self, proved: bytes) -> bytes:
        proof = frame.decode(proved)
        assert proof.command == commands.SEALED_PROOF
        is_right = ttlv.decode(proof.payload) == [(2, sealed.proof(self.key))]
        payload = sealed.hand_over(sealed.seal(self.key, CODE)) if is_right else sealed.refuse(4)
        return frame.encode(proof.packet_id, commands.SEALED_OUTCOME, payload)


def session(pin: str = PIN) -> SealedSession:
    return SealedSession(pin, PK, DK, os.urandom, 100.0, 5.0)


def run(app: SealedSession, device: Device) -> None:
    app.receive_data(device.answer(app.data_to_send()), 100.1)
    app.receive_data(device.outcome(app.data_to_send()), 100.2)


def test_with_the_right_pin_the_app_gets_the_code() -> None:
    app = session()

    run(app, Device())

    assert app.pairing == lan.Pairing(True, PK, DK, CODE)
    assert app.next_timer() is None
    assert CODE not in repr(app.pairing)


def test_answers_may_come_byte_by_byte_and_amid_other_frames() -> None:
    app, device = session(), Device()
    noise = frame.encode(0, commands.TSL_REPORT, b"\x00\x09")

    for answer in (device.answer, device.outcome):
        data = noise + answer(app.data_to_send())
        for at in range(len(data)):
            app.receive_data(data[at : at + 1], 100.1)

    assert app.pairing is not None
    assert app.pairing.bind_code == CODE


@pytest.mark.parametrize("device", [Device(pin="271829"), Device(device_key="aabbccddee00")], ids=["pin", "device"])
def test_another_pin_or_device_gives_no_code_and_says_how_many_tries_are_left(device: Device) -> None:
    app = session()

    run(app, device)

    assert app.pairing is None
    assert isinstance(app.error, WrongPinError)
    assert app.error.tries_left == 4
    assert "4 more" in app.error.help


def test_a_peer_that_does_not_know_the_pin_cannot_hand_over_a_code_of_its_own() -> None:
    app, liar = session(), Device(pin="000000")
    app.receive_data(liar.answer(app.data_to_send()), 100.1)
    app.data_to_send()

    payload = sealed.hand_over(sealed.seal(liar.key, "FEDCBA9876543210"))
    app.receive_data(frame.encode(1001, commands.SEALED_OUTCOME, payload), 100.2)

    assert app.pairing is None
    assert app.error is not None
    assert "not made with this PIN" in app.error.message


def test_a_code_in_the_clear_is_not_taken() -> None:
    app = session()
    app.data_to_send()

    app.receive_data(frame.encode(1000, commands.PROVISION_ANSWER, lan.provision_answer(PK, DK, CODE)), 100.1)

    assert not app.is_over()
    app.handle_timer(105.0)
    assert isinstance(app.error, PairingError)
    assert "may not know pairing with a PIN" in app.error.message


def test_an_outcome_before_the_proof_is_not_taken() -> None:
    app = session()
    app.data_to_send()

    app.receive_data(frame.encode(1000, commands.SEALED_OUTCOME, sealed.hand_over(bytes(64))), 100.1)

    assert not app.is_over()


def test_not_now_says_that_the_device_is_not_in_pairing_mode() -> None:
    app = session()
    app.data_to_send()

    app.receive_data(frame.encode(1000, commands.SEALED_ANSWER, sealed.not_now()), 100.1)

    assert isinstance(app.error, NoBindCodeError)


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"\xff",
        sealed.answer(b"B" + bytes(32)),
        sealed.answer(b"A" + bytes(32)),
        sealed.answer(b"B\x01" + bytes(31)),
    ],
)
def test_an_answer_that_is_no_part_of_the_exchange_ends_it(payload: bytes) -> None:
    app = session()
    app.data_to_send()

    app.receive_data(frame.encode(1000, commands.SEALED_ANSWER, payload), 100.1)

    assert isinstance(app.error, PairingError)
    assert app.data_to_send() == b""


def test_the_apps_own_element_is_not_taken_for_the_devices() -> None:
    app = session()
    ((_, element),) = ttlv.decode(frame.decode(app.data_to_send()).payload)

    app.receive_data(frame.encode(1000, commands.SEALED_ANSWER, sealed.answer(b"B" + element[1:])), 100.1)

    assert isinstance(app.error, PairingError)


def test_the_end_of_the_connection_too_much_data_and_silence_end_it() -> None:
    closed, flooded, silent = session(), session(), session()

    closed.receive_data(b"", 100.1)
    flooded.receive_data(bytes(MAX_ANSWER), 100.1)
    silent.handle_timer(105.0)

    for app, words in ((closed, "closed"), (flooded, "too much"), (silent, "in time")):
        assert app.error is not None
        assert words in app.error.message


@pytest.mark.parametrize("pin", ["", "12345", "12345a", "1" * 17])
def test_what_is_no_pin_is_refused_before_anything_is_sent(pin: str) -> None:
    with pytest.raises(PairingError, match="6 to 16 digits"):
        session(pin)


def not_on_the_curve() -> bytes:
    """An element of the right size and side that the library cannot even decode."""
    for number in range(2, 50):
        element = b"B" + number.to_bytes(32, "little")
        side = spake2.SPAKE2_A(b"123456")
        side.start()
        try:
            side.finish(element)
        except NotOnCurve:
            return element
        except ValueError:
            continue
    raise AssertionError("every number is one")


def test_an_answer_that_is_no_point_ends_the_exchange_with_a_sentence() -> None:
    app = session()
    app.data_to_send()

    app.receive_data(frame.encode(1000, commands.SEALED_ANSWER, sealed.answer(not_on_the_curve())), 100.1)

    assert app.error is not None
    assert app.error.message == "the device's answer is not part of this exchange"
    assert app.data_to_send() == b""


@pytest.mark.parametrize(
    "end",
    [
        b"",
        frame.encode(1001, commands.SEALED_OUTCOME, sealed.not_now()),
        frame.encode(1001, commands.SEALED_OUTCOME, b"\xff"),
        frame.encode(1001, commands.SEALED_OUTCOME, sealed.hand_over(bytes(64))),
        bytes(MAX_ANSWER),
        None,
    ],
    ids=["closed", "not now", "unreadable", "another key's", "too much", "silence"],
)
def test_who_takes_the_proof_and_gives_none_has_guessed_once_and_is_not_asked_again(end: bytes | None) -> None:
    app, liar = session(), Device(pin="000000")
    app.receive_data(liar.answer(app.data_to_send()), 100.1)
    app.data_to_send()

    if end is None:
        app.handle_timer(105.0)
    else:
        app.receive_data(end, 100.2)

    assert isinstance(app.error, UnconfirmedPinError)
    assert app.error.tries_left is None
    assert PIN not in str(app.error) + app.error.help


def test_an_exchange_that_ends_before_the_proof_may_be_begun_again() -> None:
    app = session()
    app.data_to_send()

    app.receive_data(b"", 100.1)

    assert not isinstance(app.error, WrongPinError)
