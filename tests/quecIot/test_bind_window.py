"""The time in which a bind code counts, on a clock moved by hand."""

from __future__ import annotations

from quecIot._bind_window import BindWindow

CODE = "0123456789ABCDEF"
OTHER = "FEDCBA9876543210"


def test_it_is_closed_at_first() -> None:
    window = BindWindow()

    assert window.code(0.0) is None
    assert window.seconds_left(0.0) == 0
    assert window.report(0.0) is None


def test_seconds_count_down_and_the_begun_one_counts() -> None:
    window = BindWindow()

    window.open(CODE, 120, now=10.0)

    assert [window.seconds_left(now) for now in (10.0, 10.1, 11.0, 129.0, 129.9)] == [120, 120, 119, 1, 1]
    assert window.code(129.9) == CODE


def test_it_is_over_at_its_last_second() -> None:
    window = BindWindow()
    window.open(CODE, 120, now=10.0)

    assert window.code(130.0) is None
    assert window.seconds_left(130.0) == 0


def test_the_longest_window_counts_exactly() -> None:
    window = BindWindow()

    window.open(CODE, 4294967295, now=12345.678)

    assert window.seconds_left(12345.678) == 4294967295


def test_a_second_call_replaces_code_and_time() -> None:
    window = BindWindow()
    window.open(CODE, 120, now=0.0)

    window.open(OTHER, 10, now=100.0)

    assert window.code(100.0) == OTHER
    assert window.seconds_left(100.0) == 10


def test_zero_seconds_close_it_and_are_told() -> None:
    window = BindWindow()
    window.open(CODE, 120, now=0.0)

    window.open(CODE, 0, now=5.0)

    assert window.code(5.0) is None
    report = window.report(5.0)
    assert report is not None
    assert report[:2] == (CODE, 0)
    assert window.told(report[2])


def test_the_report_says_what_is_left_when_it_is_sent() -> None:
    window = BindWindow()
    window.open(CODE, 120, now=0.0)

    report = window.report(50.5)

    assert report is not None
    assert report[:2] == (CODE, 70)


def test_it_is_told_once() -> None:
    window = BindWindow()
    window.open(CODE, 120, now=0.0)
    report = window.report(0.0)
    assert report is not None

    assert not window.told(report[2])

    assert window.report(1.0) is None
    assert window.code(1.0) == CODE


def test_an_answer_to_an_older_report_settles_nothing() -> None:
    window = BindWindow()
    window.open(CODE, 120, now=0.0)
    report = window.report(0.0)
    assert report is not None
    window.open(CODE, 300, now=1.0)

    window.told(report[2])

    newer = window.report(1.0)
    assert newer is not None
    assert newer[:2] == (CODE, 300)


def test_a_window_that_ended_by_itself_need_not_be_told() -> None:
    window = BindWindow()
    window.open(CODE, 10, now=0.0)

    assert window.report(10.0) is None
    assert not window.is_due


def test_a_new_identity_is_told_again_while_it_is_open() -> None:
    window = BindWindow()
    window.open(CODE, 10, now=0.0)
    report = window.report(0.0)
    assert report is not None
    window.told(report[2])

    window.tell_again(5.0)
    assert window.report(5.0) is not None

    window.forget()
    window.tell_again(5.0)
    assert window.report(5.0) is None


def test_a_restart_closes_it_and_the_end_is_told() -> None:
    window = BindWindow(left_open=CODE)

    assert window.code(0.0) is None
    report = window.report(0.0)
    assert report is not None
    assert report[:2] == (CODE, 0)
