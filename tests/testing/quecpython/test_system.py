"""Time, threads and the log, as the firmware has them."""

from __future__ import annotations

import threading
import time

import pytest


def test_a_date_comes_back_as_it_went_in(module) -> None:
    utime = module("utime")
    utime.setTimeZone(8)

    date = utime.localtime(1_700_000_000)

    assert date[:6] == (2023, 11, 15, 6, 13, 20)
    assert len(date) == 8
    assert utime.mktime(date) == 1_700_000_000
    assert (utime.getTimeZone(), utime.setTimeZone(13)) == (8, -1)
    assert abs(utime.time() - time.time()) < 5


def test_ticks_wrap_and_their_difference_does_not(module) -> None:
    utime = module("utime")

    start = utime.ticks_add(0, -5)

    assert start == (1 << 30) - 5
    assert utime.ticks_diff(utime.ticks_add(start, 12), start) == 12
    assert utime.ticks_diff(start, utime.ticks_add(start, 12)) == -12
    assert 0 <= utime.ticks_ms() < 1 << 30


def test_sleeping_is_done_in_three_units(module, monkeypatch: pytest.MonkeyPatch) -> None:
    utime, slept = module("utime"), []
    monkeypatch.setattr("time.sleep", slept.append)

    utime.sleep(2)
    utime.sleep_ms(30)
    utime.sleep_us(500)

    assert slept == [2, 0.03, 0.0005]


def test_a_thread_runs_and_is_stopped(module) -> None:
    threads = module("_thread")
    goes, ended = threading.Event(), threading.Event()

    def work(name: str) -> None:
        assert name == "lamp"
        try:
            while True:
                goes.set()
                time.sleep(0.001)
        finally:
            ended.set()

    threads.stack_size(8 * 1024)
    number = threads.start_new_thread(work, ("lamp",))
    assert goes.wait(20)
    assert threads.threadIsRunning(number)
    threads.stop_thread(number)

    assert ended.wait(20)
    assert threads.get_heap_size() > 0


def test_a_semaphore_counts(module) -> None:
    threads = module("_thread")
    semaphore = threads.allocate_semphore(2)

    semaphore.acquire()
    semaphore.acquire()
    empty = semaphore.getCnt()
    semaphore.release()
    semaphore.release()
    semaphore.release()

    assert empty == (2, 0)
    assert semaphore.getCnt() == (2, 2)
    lock = threads.allocate_lock()
    assert (lock.acquire(), lock.locked(), lock.release(), lock.locked()) == (True, True, None, False)


def test_the_log_writes_from_its_level_on(module, capsys) -> None:
    log = module("log")
    log.basicConfig(level=log.WARNING)
    lamp = log.getLogger("lamp")

    lamp.info("on")
    lamp.warning("hot")
    lamp.error("%d degrees", 99)
    lamp.error("degrees:", 99)
    log.basicConfig(log.DEBUG)
    lamp.debug("100 % on")
    log.basicConfig(log.INFO)

    assert (
        capsys.readouterr().out
        == "WARNING:lamp:hot\nERROR:lamp:99 degrees\nERROR:lamp:degrees: 99\nDEBUG:lamp:100 % on\n"
    )
    assert log.getLogger("lamp") is lamp


def test_the_log_goes_where_it_is_sent(module) -> None:
    log, lines = module("log"), []

    class Out:
        def write(self, text: str) -> None:
            lines.append(text)

    log.set_output(Out())
    log.getLogger("lamp").critical("burns")
    log.set_output(None)

    assert lines == ["CRITICAL:lamp:burns\n"]
