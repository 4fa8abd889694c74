"""Each way a connection fails: its event, what becomes of the secret, and when it is tried again."""

from __future__ import annotations

import pytest

from quecbind.wire import mqtt
from quecIot import _codes
from tests.quecIot.bench import DS, PK, Bench


def wait_of(bench: Bench) -> float:
    timer = bench.agent.next_timer()
    assert timer is not None, "no further try"
    return timer - bench.now


@pytest.mark.parametrize(
    ("code", "event", "low", "high"),
    [(1, 10471, 600, 601), (6, 10500, 0.5, 2.5), (255, 10500, 0.5, 2.5)],
)
@pytest.mark.parametrize("secret", [DS, ""])
def test_connack_that_keeps_the_secret(secret: str, code: int, event: int, low: float, high: float) -> None:
    bench = Bench(secret=secret)
    bench.agent.start()
    bench.open()

    bench.receive(mqtt.Connack(code))

    assert bench.events() == [(_codes.CONN, event)]
    assert bench.agent.work_state == _codes.REGISTRATION_FAILED
    assert bench.store.values["device_secret"] == secret
    assert low <= wait_of(bench) <= high


@pytest.mark.parametrize("code", [2, 3, 4, 5])
def test_connack_that_ends_the_secret_and_the_trying(code: int) -> None:
    bench = Bench()
    bench.agent.start()
    bench.open()

    bench.receive(mqtt.Connack(code))

    assert bench.events() == [(_codes.CONN, 10430)]
    assert bench.store.values["device_secret"] == ""
    assert bench.store.values["reset"] is None  # a refused secret proves nothing
    assert bench.agent.mode == 1
    assert bench.agent.next_timer() is None
    bench.advance(100000)
    assert bench.agent.link() is None
    bench.agent.stop()
    bench.agent.start()
    assert (bench.open().password or b"").startswith(b"0;")


@pytest.mark.parametrize(
    ("code", "low", "high"),
    [
        (10422, 600, 601),
        (10426, 600, 601),
        (10430, 600, 601),
        (10423, 30, 30.3),
        (10424, 30, 30.3),
        (10425, 30, 30.3),
        (10427, 30, 30.3),
        (10431, 0.5, 2.5),
        (10432, 0.5, 2.5),
    ],
)
@pytest.mark.parametrize("secret", [DS, ""])
def test_exception_that_ends_the_connection(secret: str, code: int, low: float, high: float) -> None:
    bench = Bench(secret=secret)
    bench.connect()
    bench.sent()

    bench.refuse(code)

    assert bench.events() == [(_codes.AUTH, code)]
    assert bench.sent() == []  # the close is the receipt
    assert bench.agent.link() is None
    assert bench.agent.work_state == _codes.AUTHENTICATION_FAILED
    assert bench.store.values["device_secret"] == secret
    assert low <= wait_of(bench) <= high


@pytest.mark.parametrize(
    "code", [10404, 10420, 10428, 10429, 10436, 10437, 10438, 10440, 10442, 10450, 10466, 10500, 10300, 10201]
)
def test_exception_that_only_informs(code: int) -> None:
    bench = Bench()
    bench.ready()

    bench.refuse(code)

    assert bench.events() == [(_codes.SERVER, code)]
    assert bench.agent.work_state == _codes.SUBSCRIBED
    assert bench.sent() == [mqtt.Puback(9)]


@pytest.mark.parametrize("code", [0, 1, 10200, -10425])
def test_exception_without_an_error_code_is_nothing(code: int) -> None:
    bench = Bench()
    bench.ready()

    bench.refuse(code)

    assert bench.events() == []
    assert bench.agent.work_state == _codes.SUBSCRIBED


def test_an_exception_while_subscribed_keeps_the_secret_and_signs_in_again() -> None:
    bench = Bench()
    bench.ready()

    bench.refuse(10425)
    bench.advance(30.5)

    assert (bench.open().password or b"").startswith(b"1;")


@pytest.mark.parametrize(("secret", "event"), [("", _codes.AUTH), (DS, _codes.CONN)])
def test_a_link_that_cannot_be_opened(secret: str, event: int) -> None:
    bench = Bench(secret=secret)
    bench.agent.start()
    link = bench.agent.link()
    assert link is not None

    bench.agent.link_failed(link.number, bench.now)

    assert bench.events() == [(event, 10450)]
    assert 0.5 <= wait_of(bench) <= 2.5


def test_refused_connections_climb_the_ladder_and_pause_at_the_seventh() -> None:
    bench = Bench()
    bench.agent.start()
    waits = []

    for _ in range(8):
        link = bench.agent.link()
        assert link is not None
        bench.agent.link_failed(link.number, bench.now)
        waits.append(wait_of(bench))
        bench.advance(waits[-1])

    for number, wait in enumerate(waits[:6], 1):
        assert 0.5 * number <= wait <= 2.5 * number
    assert waits[6] == 1800
    assert 0.5 <= waits[7] <= 2.5


def test_a_connection_that_works_starts_the_ladder_again() -> None:
    bench = Bench()
    bench.agent.start()
    for _ in range(5):
        link = bench.agent.link()
        assert link is not None
        bench.agent.link_failed(link.number, bench.now)
        bench.advance(30)
    bench.events()
    bench.ready()

    bench.lose()

    assert wait_of(bench) <= 2.5


def test_the_server_closes() -> None:
    bench = Bench()
    bench.ready()

    bench.lose()

    assert bench.events() == [(_codes.CONN, 10474)]
    assert bench.agent.work_state == _codes.REGISTRATION_FAILED
    assert 0.5 <= wait_of(bench) <= 2.5


def test_bytes_that_are_not_mqtt_end_the_connection() -> None:
    bench = Bench()
    bench.ready()

    bench.agent.receive_data(b"HTTP/1.1 400 Bad Request\r\n\r\n", bench.now)

    assert bench.events() == [(_codes.CONN, 10474)]


def test_what_came_before_the_bad_bytes_counts() -> None:
    bench = Bench()
    bench.ready()

    bench.agent.receive_data(bench.downlink(0x0023, b"on").encode() + b"\xff\xff", bench.now)

    assert bench.events() == [(_codes.RECV, 10200, b"on"), (_codes.CONN, 10474)]


def test_connect_is_sent_three_times_on_one_connection() -> None:
    bench = Bench()
    bench.agent.start()
    first = bench.open()

    bench.advance(14.9)
    assert bench.sent() == [first, first]
    assert bench.events() == []
    bench.advance(0.8)

    assert bench.events() == [(_codes.CONN, 10474)]
    assert bench.agent.link() is None


def test_subscribe_is_sent_three_times() -> None:
    bench = Bench()
    bench.connect()
    (first,) = bench.sent()

    bench.advance(14.9)
    assert bench.sent() == [first, first]
    bench.advance(0.8)

    assert bench.events() == [(_codes.SUBSCRIBE, 10300)]
    assert bench.agent.work_state == _codes.SUBSCRIPTION_FAILED


def test_a_refused_subscription_is_a_failure() -> None:
    bench = Bench()
    bench.connect()

    bench.receive(mqtt.Suback(1, [0x80]))

    assert bench.events() == [(_codes.SUBSCRIBE, 10300)]


def test_a_suback_for_another_packet_is_none() -> None:
    bench = Bench()
    bench.connect()

    bench.receive(mqtt.Suback(2, [1]))

    assert bench.agent.work_state == _codes.REGISTERED


def test_pings_and_their_end() -> None:
    bench = Bench(lifetime=60)
    bench.ready()

    bench.advance(20.0)
    assert bench.sent() == [mqtt.Pingreq()]
    bench.receive(mqtt.Pingresp())
    bench.advance(40.0)
    assert bench.sent() == [mqtt.Pingreq()]
    bench.advance(5.0)
    assert bench.sent() == [mqtt.Pingreq()]
    bench.advance(5.0)

    assert bench.events() == [(_codes.CONN, 10473)]
    assert bench.agent.work_state == _codes.REGISTRATION_FAILED


def test_a_second_connack_changes_nothing() -> None:
    bench = Bench()
    bench.ready()

    bench.receive(mqtt.Connack(0), mqtt.Connack(5))

    assert bench.agent.work_state == _codes.SUBSCRIBED
    assert bench.store.values["device_secret"] == DS


def test_a_message_before_connack_is_nothing() -> None:
    bench = Bench()
    bench.agent.start()
    bench.open()

    bench.receive(bench.downlink(0x0023, b"on"))

    assert bench.events() == []
    assert bench.sent() == []


def test_words_of_an_old_link_are_not_heard() -> None:
    bench = Bench()
    bench.ready()
    old = bench.agent.link()
    assert old is not None
    bench.lose()
    bench.advance(3)
    bench.open()
    bench.events()

    bench.agent.link_lost(old.number, bench.now)
    bench.agent.link_failed(old.number, bench.now)
    bench.agent.link_up(old.number, bench.now)

    assert bench.events() == []
    assert bench.sent() == []


def test_nothing_secret_is_logged() -> None:
    bench = Bench()
    bench.agent.start()
    bench.open()
    bench.receive(mqtt.Connack(0))
    bench.receive(mqtt.Suback(1, [1]))
    bench.configure((5, "x" * 33), (10, b"\x00"), (6, b"short"), (7, PK), (1, [(2, "a.b")]))

    assert len(bench.logged) == 5
    assert not [text for text in bench.logged if "xxx" in text or DS in text]
