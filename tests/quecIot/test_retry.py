"""The protocol document's timings, 1.2, 1.4 and 8.5."""

from __future__ import annotations

import pytest

from quecIot import _retry
from quecIot._keep_alive import DEAD, PING, KeepAlive
from quecIot._retry import Flight, Ladder


def test_quick_waits_grow_with_the_failures_and_the_seventh_is_half_an_hour() -> None:
    ladder = Ladder()

    waits = [ladder.failed(_retry.QUICK, fraction=0.0) for _ in range(7)]

    assert waits == [0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 1800.0]
    assert ladder.failed(_retry.QUICK, fraction=1.0) == 2.499


@pytest.mark.parametrize(("span", "waits"), [(_retry.SLOW, [30.0, 60.0]), (_retry.LONG, [600.0, 1200.0])])
def test_slow_and_long_waits_grow_too(span: tuple[float, float], waits: list[float]) -> None:
    ladder = Ladder()

    assert [ladder.failed(span, 0.0) for _ in range(2)] == waits


def test_a_success_starts_the_ladder_again() -> None:
    ladder = Ladder()
    ladder.failed(_retry.QUICK, 0.0)

    ladder.reset()

    assert ladder.failed(_retry.QUICK, 0.0) == 0.5


@pytest.mark.parametrize(
    ("rule", "times"),
    [
        (_retry.CONNECT, [0.0, 5.0, 10.0, 15.0]),
        (_retry.SUBSCRIBE, [0.0, 5.0, 10.0, 15.0]),
        (_retry.PUBLISH, [0.0, 2.0, 4.0, 6.0]),
    ],
)
def test_a_packet_is_sent_three_times_and_then_given_up(rule: tuple[int, float, float], times: list[float]) -> None:
    flight = Flight("packet", b"data", rule)
    sent = []

    for _ in range(4):
        sent.append((flight.due_at, flight.send(flight.due_at, fraction=0.0)))

    assert sent == [(time, b"data") for time in times[:3]] + [(times[3], None)]


def pings(keep_alive_s: int, seconds: float, answers: bool) -> list[tuple[float, str]]:
    keep_alive = KeepAlive(keep_alive_s, 0.0)
    seen: list[tuple[float, str]] = []
    while keep_alive.due_at() <= seconds:
        now = keep_alive.due_at()
        verdict = keep_alive.tick(now)
        if verdict is not None:
            seen.append((now, verdict))
        if verdict == DEAD:
            break
        if answers:
            keep_alive.pong()
    return seen


@pytest.mark.parametrize(
    ("keep_alive_s", "times"), [(120, [50.0, 150.0, 250.0]), (60, [20.0, 60.0, 100.0]), (21, [0.5, 1.5, 2.5])]
)
def test_pings_go_out_as_measured(keep_alive_s: int, times: list[float]) -> None:
    assert pings(keep_alive_s, times[-1], answers=True) == [(time, PING) for time in times]


@pytest.mark.parametrize(("keep_alive_s", "first"), [(120, 50.0), (21, 0.5)])
def test_a_ping_without_answer_is_sent_once_more_and_then_the_link_is_dead(keep_alive_s: int, first: float) -> None:
    seen = pings(keep_alive_s, first + 60, answers=False)

    assert seen == [(first, PING), (first + 5, PING), (first + 10, DEAD)]


def test_a_clock_that_jumps_sends_one_ping_not_all_of_them() -> None:
    keep_alive = KeepAlive(120, 0.0)

    assert keep_alive.tick(5000.0) == PING
    keep_alive.pong()

    assert keep_alive.tick(5000.0) is None
    assert keep_alive.due_at() > 5000.0
