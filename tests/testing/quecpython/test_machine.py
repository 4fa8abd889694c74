"""Pins, interrupts, timers and serial lines: what a script sees of them, and what it does not."""

from __future__ import annotations

import logging

import pytest

from quecbind.testing.quecpython.board import board
from tests.testing.quecpython.conftest import Called


def test_a_pin_keeps_its_level_and_tells_each_change_in_the_log(module, caplog: pytest.LogCaptureFixture) -> None:
    Pin = module("machine").Pin

    with caplog.at_level(logging.INFO, "quecpython"):
        lamp = Pin(Pin.GPIO1, Pin.OUT, Pin.PULL_DISABLE, 0)
        levels = [lamp.read(), lamp.write(1), lamp.read(), lamp.write(1), lamp.write(0), lamp.read()]

    assert levels == [0, 0, 1, 0, 0, 0]
    assert caplog.messages == ["GPIO1 is high", "GPIO1 is low"]
    assert "stand-in" in repr(lamp)


def test_an_input_reads_its_pull_until_it_is_driven_and_cannot_be_written(module) -> None:
    Pin = module("machine").Pin
    up, down = Pin(Pin.GPIO2, Pin.IN, Pin.PULL_PU, 0), Pin(Pin.GPIO3, Pin.IN, Pin.PULL_PD, 0)

    before = up.read(), down.read()
    board.set_level(2, 0)

    assert before == (1, 0)
    assert up.read() == 0
    assert up.write(1) == -1
    assert (up.set_dir(Pin.OUT), up.get_dir(), up.write(1), up.read()) == (0, 1, 0, 1)


@pytest.mark.parametrize(("mode", "edges"), [("IRQ_RISING", [0]), ("IRQ_FALLING", [1]), ("IRQ_RISING_FALLING", [0, 1])])
def test_an_interrupt_calls_back_for_its_edges_once_it_is_enabled(module, mode: str, edges: list[int]) -> None:
    ExtInt = module("machine").ExtInt
    called = Called(len(edges))
    button = ExtInt(ExtInt.GPIO4, getattr(ExtInt, mode), ExtInt.PULL_PD, called)

    board.set_level(4, 1)
    board.set_level(4, 0)
    button.enable()
    board.set_level(4, 1)
    board.set_level(4, 0)
    seen = called.wait()
    button.disable()
    board.set_level(4, 1)

    assert seen == [(4, edge) for edge in edges]
    assert sum(button.read_count(1)) == len(edges)
    assert button.read_count(0) == [0, 0]


def test_a_periodic_timer_fires_again_and_again_until_it_is_stopped(module) -> None:
    Timer = module("machine").Timer
    timer, called = Timer(Timer.Timer1), Called(3)

    assert timer.start(period=1, mode=Timer.PERIODIC, callback=called) == 0
    assert called.wait()[:3] == [timer] * 3
    assert timer.stop() == 0


def test_a_one_shot_timer_fires_once(module) -> None:
    Timer = module("machine").Timer
    once, other = Called(), Called(5)
    Timer(Timer.Timer0).start(1, Timer.ONE_SHOT, once)
    again = Timer(Timer.Timer1)
    again.start(5, Timer.PERIODIC, other)
    other.wait()
    again.stop()

    assert len(once.wait()) == 1


def test_a_timer_refuses_a_period_that_cannot_be(module) -> None:
    Timer = module("machine").Timer

    assert Timer(Timer.Timer0).start(0, Timer.ONE_SHOT, print) == -1
    assert Timer(Timer.Timer0).start(10, Timer.ONE_SHOT, None) == -1


def test_a_callback_that_fails_is_logged_and_the_timer_goes_on(module, caplog: pytest.LogCaptureFixture) -> None:
    os_timer = module("osTimer")
    called, timer = Called(2), os_timer()  # the firmware's module is the class itself
    assert type(timer) is os_timer.osTimer

    def fail(argument: object) -> None:
        called(argument)
        raise ValueError("too bright")

    timer.start(1, 1, fail)
    seen = called.wait()
    timer.stop()

    assert seen[:2] == [None, None]
    assert "a callback of the script failed" in caplog.messages


def test_a_timer_is_stopped_when_the_script_is_over(tmp_path) -> None:
    from quecbind.testing import quecpython
    from quecbind.testing.quecpython.os_timer import osTimer

    called = Called()
    with quecpython.installed(tmp_path, print):
        timer = osTimer()
        timer.start(1, 1, called)
        called.wait()

    assert timer._ticking._stopped.is_set()


def test_a_serial_line_reads_what_arrives_and_sends_into_the_void(module) -> None:
    UART = module("machine").UART
    line, called = UART(UART.UART2, 115200, 8, 0, 1, 0), Called()
    line.set_callback(called)

    board.feed(2, b"hello")

    assert called.wait() == [[0, 2, 5]]
    assert (line.any(), line.read(2), line.read(100), line.any()) == (5, b"he", b"llo", 0)
    assert (line.write(b"12345"), line.write("ä"), line.close()) == (5, 2, 0)


def test_the_clock_is_read_and_not_set(module) -> None:
    rtc = module("machine").RTC()

    assert rtc.datetime()[0] >= 2024
    assert len(rtc.datetime()) == 8
    assert rtc.datetime((2000, 1, 1, 0, 0, 0, 0, 0)) == -1
    assert rtc.datetime()[0] >= 2024


def test_the_watchdog_does_not_bite(module) -> None:
    watchdog = module("machine").WDT(1)

    assert (watchdog.feed(), watchdog.stop()) == (0, 0)
