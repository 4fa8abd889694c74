"""Stand-in for QuecPython's utime: this machine's clock, and counters that wrap as the firmware's do.

A time zone that a script sets counts for its own `localtime`, and for nothing else on this machine.
"""

import calendar
import time as _time

_WRAP = 1 << 30
_zone = {"hours": _time.localtime().tm_gmtoff // 3600}


def time() -> int:
    """Seconds since 1970, UTC."""
    return int(_time.time())


def localtime(secs: "int | None" = None) -> tuple[int, ...]:
    """(year, month, day, hour, minute, second, weekday with Monday 0, day of the year)."""
    return tuple(_time.gmtime((time() if secs is None else secs) + _zone["hours"] * 3600))[:8]


def mktime(date: tuple[int, ...]) -> int:
    """Seconds of what `localtime` gives."""
    return calendar.timegm((*date[:6], 0, 0, 0)) - _zone["hours"] * 3600


def getTimeZone() -> int:
    """Hours east of UTC."""
    return _zone["hours"]


def setTimeZone(offset: int) -> int:
    """0, or -1 when it is not -12 to 12."""
    if not -12 <= offset <= 12:
        return -1
    _zone["hours"] = offset
    return 0


def sleep(seconds: float) -> None:
    _time.sleep(seconds)


def sleep_ms(ms: int) -> None:
    _time.sleep(ms / 1000)


def sleep_us(us: int) -> None:
    _time.sleep(us / 1_000_000)


def ticks_ms() -> int:
    return _time.monotonic_ns() // 1_000_000 % _WRAP


def ticks_us() -> int:
    return _time.monotonic_ns() // 1000 % _WRAP


def ticks_cpu() -> int:
    return _time.perf_counter_ns() % _WRAP


def ticks_add(ticks: int, delta: int) -> int:
    return (ticks + delta) % _WRAP


def ticks_diff(ticks1: int, ticks2: int) -> int:
    """How much later the first is, also over a wrap."""
    return (ticks1 - ticks2 + _WRAP // 2) % _WRAP - _WRAP // 2
