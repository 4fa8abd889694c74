"""The script's callback: its own thread, one event at a time, in order, whatever it does."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from quecIot import _events
from quecIot._events import Events


@pytest.fixture
def events() -> Iterator[Events]:
    events = Events()
    yield events
    events.stop()


class Script:
    """A callback that collects, and lets a test wait for what it collected."""

    def __init__(self, wanted: int) -> None:
        self.seen: list[tuple[Any, ...]] = []
        self.threads: set[int] = set()
        self._wanted = wanted
        self._done = threading.Event()

    def __call__(self, event: tuple[Any, ...]) -> None:
        self.seen.append(event)
        self.threads.add(threading.get_ident())
        if len(self.seen) == self._wanted:
            self._done.set()

    def wait(self) -> None:
        assert self._done.wait(10)


def test_events_come_in_order_on_one_thread_that_is_not_the_callers(events: Events) -> None:
    script = Script(200)
    events.set_callback(script)

    for number in range(100):
        events.put([(5, number), (4, number, 1)])
    script.wait()

    assert script.seen == [event for number in range(100) for event in ((5, number), (4, number, 1))]
    assert len(script.threads) == 1
    assert threading.get_ident() not in script.threads


@pytest.mark.parametrize("slip", [RuntimeError("a slip of the script"), SystemExit("a slip of the script")])
def test_an_exception_is_logged_and_harms_nothing(
    events: Events, caplog: pytest.LogCaptureFixture, slip: BaseException
) -> None:
    script = Script(2)

    def callback(event: tuple[Any, ...]) -> None:
        script(event)
        raise slip

    events.set_callback(callback)

    with caplog.at_level(logging.ERROR, "quecIot"):
        events.put([(1, 10200), (2, 10200)])
        script.wait()
        events.put([(3, 10200)])

    assert script.seen[:2] == [(1, 10200), (2, 10200)]
    assert "the callback failed at event 1,10200" in caplog.text
    assert "a slip of the script" in caplog.text


def test_a_callback_may_make_calls_that_make_events(events: Events) -> None:
    script = Script(2)

    def callback(event: tuple[Any, ...]) -> None:
        if event[0] == 1:
            events.put([(2, 10200)])
        script(event)

    events.set_callback(callback)

    events.put([(1, 10200)])
    script.wait()

    assert script.seen == [(1, 10200), (2, 10200)]


def test_a_callback_that_hangs_costs_the_oldest_events_and_no_memory(
    events: Events, caplog: pytest.LogCaptureFixture
) -> None:
    inside, go_on = threading.Event(), threading.Event()
    script = Script(1 + _events.MAX_WAITING)

    def callback(event: tuple[Any, ...]) -> None:
        inside.set()
        assert go_on.wait(10)
        script(event)

    events.set_callback(callback)
    events.put([(0, 0)])
    assert inside.wait(10)

    with caplog.at_level(logging.WARNING, "quecIot"):
        for number in range(1, 1001):
            events.put([(5, number)])
        go_on.set()
        script.wait()

    assert script.seen[1:] == [(5, number) for number in range(1001 - _events.MAX_WAITING, 1001)]
    assert f"{1000 - _events.MAX_WAITING} events lost" in caplog.text


def test_without_a_callback_events_are_dropped(events: Events) -> None:
    script = Script(1)

    events.put([(1, 10200)])
    events.put([])
    events.set_callback(script)
    events.put([(2, 10200)])
    script.wait()

    assert script.seen[-1] == (2, 10200)
