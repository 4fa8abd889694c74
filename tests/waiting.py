"""Waiting for another process: looked at again and again, for a bounded time."""

import time
from collections.abc import Callable

EVERY_S = 0.05


def until(holds: Callable[[], object], within_s: float = 30) -> bool:
    """Whether it came to hold in that time."""
    deadline = time.monotonic() + within_s
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(EVERY_S)
    return True
