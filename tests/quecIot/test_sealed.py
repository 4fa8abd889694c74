"""Sealed pairing on the device: who gets the code, what a wrong PIN costs, and that nothing else is told."""

from __future__ import annotations

import pytest
import spake2

from quecbind.wire import commands, frame, lan, sealed, ttlv
from quecIot import _platform, _sealed
from quecIot._sealed import Exchange, Pin, Sealing
from tests.quecIot.bench import CODE, DK, PK
from tests.quecIot.test_conversation import Peer

PIN = "271828"


class Device:
    """What `_device.Device` gives to the exchanges, in a few lines."""

    def __init__(self) -> None:
        self.pin = Pin()
        self.pin.text = PIN
        self.code: str | None = CODE
        self.sealing = Sealing(self.offer, self.settle, _platform.agree, 0.0)

    def offer(self) -> tuple[str, str, str] | None:
        return (self.pin.text, PK, DK) if self.code else None

    def settle(self, pin: str, is_right: bool) -> str | int | None:
        if not self.code or pin != self.pin.text:
            return None
        if is_right:
            return self.code
        left = self.pin.miss()
        if not left:
            self.code = None
        return left


class App:
    """The App's side, from the document and the library alone."""

    def __init__(self, pin: str, product_key: str = PK, device_key: str = DK) -> None:
        identity = b"quecbind device;%s;%s" % (product_key.encode(), device_key.encode())
        self.side = spake2.SPAKE2_A(pin.encode(), idA=b"quecbind App", idB=identity)
        self.element = self.side.start()
        self.key = b""

    def proof(self, answer: bytes) -> bytes:
        ((number, element),) = ttlv.decode(answer)
        assert number == 1
        self.key = self.side.finish(element)
        return sealed.prove(sealed.proof(self.key))


def run(exchange: Exchange, app: App, now: float = 0.0) -> sealed.Outcome:
    proof = app.proof(exchange.ask(sealed.ask(app.element), now))
    return sealed.parse_outcome(exchange.prove(proof))


NOT_NOW = (sealed.NOT_NOW, None, None)


def test_the_right_pin_gets_the_code_and_costs_no_try() -> None:
    device, app = Device(), App(PIN)

    outcome = run(Exchange(device.sealing), app)

    assert sealed.unseal(app.key, outcome.sealed) == CODE
    assert device.pin.tries_left == _sealed.MAX_TRIES


def test_a_proof_counts_while_its_window_is_open_and_its_pin_the_same() -> None:
    device = Device()
    exchange = Exchange(device.sealing)
    run(exchange, App(PIN))
    assert exchange.is_proved

    device.code = None
    assert not exchange.is_proved
    device.code, device.pin.text = CODE, "314159"
    assert not exchange.is_proved


@pytest.mark.parametrize("pin", ["271829", "2718280", "000000"])
def test_a_wrong_pin_gets_nothing_and_costs_a_try(pin: str) -> None:
    device = Device()

    assert run(Exchange(device.sealing), App(pin)) == (sealed.WRONG_PIN, None, 9)
    assert device.code == CODE


@pytest.mark.parametrize(("product_key", "device_key"), [("p11111", DK), (PK, "861122334455668")])
def test_an_exchange_with_another_device_does_not_fit(product_key: str, device_key: str) -> None:
    assert run(Exchange(Device().sealing), App(PIN, product_key, device_key)).result == sealed.WRONG_PIN


def test_the_tenth_wrong_pin_is_the_last() -> None:
    device = Device()
    left = [run(Exchange(device.sealing), App("111111"), now=float(n)).tries_left for n in range(10)]

    assert left == [9, 8, 7, 6, 5, 4, 3, 2, 1, 0]
    assert device.code is None
    assert Exchange(device.sealing).ask(sealed.ask(App(PIN).element), 100.0) == sealed.not_now()


def test_tries_are_counted_over_all_connections_and_begin_again_with_a_window() -> None:
    device = Device()
    exchanges = [Exchange(device.sealing) for _ in range(3)]

    for at, exchange in enumerate(exchanges):
        assert run(exchange, App("111111")).tries_left == 9 - at
    device.pin.renew()

    assert run(exchanges[0], App("111111"), now=9.0).tries_left == 9


def test_breaking_off_costs_no_try_and_tells_nothing() -> None:
    device = Device()
    answer = Exchange(device.sealing).ask(sealed.ask(App("111111").element), 0.0)

    assert [number for number, _ in ttlv.decode(answer)] == [1]
    assert device.pin.tries_left == _sealed.MAX_TRIES


def test_a_common_key_serves_one_proof() -> None:
    device, app = Device(), App(PIN)
    exchange = Exchange(device.sealing)
    proof = app.proof(exchange.ask(sealed.ask(app.element), 0.0))
    exchange.prove(proof)

    assert sealed.parse_outcome(exchange.prove(proof)) == NOT_NOW
    assert device.pin.tries_left == _sealed.MAX_TRIES


def test_a_recorded_exchange_is_no_use_a_second_time() -> None:
    device, app = Device(), App(PIN)
    exchange = Exchange(device.sealing)
    recorded = sealed.ask(app.element)
    proof = app.proof(exchange.ask(recorded, 0.0))
    exchange.prove(proof)

    exchange.ask(recorded, 1.0)

    assert sealed.parse_outcome(exchange.prove(proof)).result == sealed.WRONG_PIN


def test_a_proof_without_a_question_is_not_looked_at() -> None:
    device = Device()

    assert sealed.parse_outcome(Exchange(device.sealing).prove(sealed.prove(bytes(32)))) == NOT_NOW
    assert device.pin.tries_left == _sealed.MAX_TRIES


@pytest.mark.parametrize("payload", [b"", b"\xff", sealed.ask(bytes(33)), ttlv.encode([(2, bytes(31))])])
def test_a_proof_that_cannot_be_read_is_a_wrong_one(payload: bytes) -> None:
    device, app = Device(), App(PIN)
    exchange = Exchange(device.sealing)
    exchange.ask(sealed.ask(app.element), 0.0)

    assert sealed.parse_outcome(exchange.prove(payload)) == (sealed.WRONG_PIN, None, 9)


@pytest.mark.parametrize(
    "element",
    [
        b"A" + bytes(32),
        b"A\x01" + bytes(31),
        b"A" + b"\xff" * 32,
        b"B" + App(PIN).element[1:],
        b"S" + App(PIN).element[1:],
    ],
    ids=["no point", "the neutral element", "out of range", "the other side's", "of no side"],
)
def test_what_is_no_element_is_refused(element: bytes) -> None:
    exchange = Exchange(Device().sealing)

    assert exchange.ask(sealed.ask(element), 0.0) == sealed.not_now()
    assert sealed.parse_outcome(exchange.prove(sealed.prove(bytes(32)))) == NOT_NOW


def test_bytes_that_are_no_point_are_no_element_and_nothing_raises() -> None:
    exchange, answers = Exchange(Device().sealing), []

    for number in range(2, 30):
        answers.append(exchange.ask(sealed.ask(b"A" + number.to_bytes(32, "little")), 10.0 * number))

    assert answers.count(sealed.not_now()) > 10  # about half are on the curve, and few of them in its subgroup


def test_a_closed_window_gives_nothing_before_and_during_an_exchange() -> None:
    device, app = Device(), App(PIN)
    exchange = Exchange(device.sealing)
    proof = app.proof(exchange.ask(sealed.ask(app.element), 0.0))

    device.code = None

    assert sealed.parse_outcome(exchange.prove(proof)) == NOT_NOW
    assert exchange.ask(sealed.ask(App(PIN).element), 0.0) == sealed.not_now()


def test_an_exchange_begun_with_an_earlier_pin_gets_nothing() -> None:
    device, app = Device(), App(PIN)
    exchange = Exchange(device.sealing)
    proof = app.proof(exchange.ask(sealed.ask(app.element), 0.0))

    device.pin.text = "314159"

    assert sealed.parse_outcome(exchange.prove(proof)) == NOT_NOW


def test_the_code_of_the_moment_of_the_proof_is_handed_over() -> None:
    device, app = Device(), App(PIN)
    exchange = Exchange(device.sealing)
    proof = app.proof(exchange.ask(sealed.ask(app.element), 0.0))

    device.code = "FEDCBA9876543210"

    assert sealed.unseal(app.key, sealed.parse_outcome(exchange.prove(proof)).sealed) == "FEDCBA9876543210"


def test_a_flood_of_questions_is_answered_a_few_times_and_costs_no_try() -> None:
    device = Device()
    answers = [Exchange(device.sealing).ask(sealed.ask(App(PIN).element), 5.0) for _ in range(20)]

    assert sum(answer != sealed.not_now() for answer in answers) == _sealed.EXCHANGES[0]
    assert Exchange(device.sealing).ask(sealed.ask(App(PIN).element), 6.0) != sealed.not_now()
    assert device.pin.tries_left == _sealed.MAX_TRIES


def test_a_connection_carries_the_exchange() -> None:
    peer, app = Peer(), App(PIN)
    peer.offer = (PIN, PK, DK)

    (answered,) = peer.ask(commands.SEALED_ASK, sealed.ask(app.element), packet_id=7)
    (outcome,) = peer.ask(commands.SEALED_PROOF, app.proof(answered.payload), packet_id=8)

    assert (answered.packet_id, answered.command) == (7, commands.SEALED_ANSWER)
    assert (outcome.packet_id, outcome.command) == (8, commands.SEALED_OUTCOME)
    assert sealed.unseal(app.key, sealed.parse_outcome(outcome.payload).sealed) == CODE
    assert peer.tries == [(PIN, True)]


def test_without_a_pin_the_exchange_is_refused_and_pairing_stays_open() -> None:
    peer = Peer(CODE)

    (answered,) = peer.ask(commands.SEALED_ASK, sealed.ask(App(PIN).element))
    (paired,) = peer.ask(commands.PROVISION)

    assert answered == frame.Frame(1000, commands.SEALED_ANSWER, sealed.not_now())
    assert lan.parse_provision_answer(paired.payload).bind_code == CODE
