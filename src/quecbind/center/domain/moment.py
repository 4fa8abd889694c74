"""The one place where a clock's seconds become the milliseconds that rules and rows are written in."""


def to_ms(seconds: float) -> int:
    """UTC milliseconds of UTC seconds, to the nearest one."""
    return round(seconds * 1000)
