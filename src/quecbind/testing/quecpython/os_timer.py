"""Stand-in for QuecPython's osTimer: as many timers as one likes, each on a thread of its own."""

from collections.abc import Callable
from typing import Any

from quecbind.testing.quecpython.ticking import Ticking


class osTimer:
    """One timer."""

    def __init__(self) -> None:
        self._ticking = Ticking()

    def __repr__(self) -> str:
        return "<stand-in for an osTimer>"

    def start(self, initialTime: int, cyclialEn: int, callback: Callable[[Any], object]) -> int:
        """Milliseconds; 1 to go on and on. The callback gets None."""
        return self._ticking.start(initialTime, callback, None, is_periodic=bool(cyclialEn))

    def stop(self) -> int:
        return self._ticking.stop()

    def delete_timer(self) -> int:
        return self._ticking.stop()
