"""Moments as rules and rows are written in them, milliseconds; the one place where a clock's seconds become those."""


def to_ms(seconds: float) -> int:
    """UTC milliseconds of UTC seconds, to the nearest one."""
    return round(seconds * 1000)


def is_within(begin_ms: int, end_ms: int, now_ms: int) -> bool:
    """Whether what was given at `begin_ms` is good at `now_ms`: until before its end.

    Before it was given is not in time: then the clock was set back.
    """
    return begin_ms <= now_ms < end_ms
