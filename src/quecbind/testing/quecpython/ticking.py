"""A timer that fires on a thread of its own, once or again and again, until it is stopped."""

import threading
from collections.abc import Callable
from typing import Any

from quecbind.testing.quecpython.board import board, run_callback


class Ticking:
    """One timer. Starting it again begins anew; stopping it from within its own callback is fine."""

    def __init__(self) -> None:
        self._stopped = threading.Event()

    def start(self, period_ms: int, callback: Callable[[Any], object], argument: Any, *, is_periodic: bool) -> int:
        """Call back every `period_ms`, or once; 0, and -1 for a period that cannot be or what cannot be called."""
        if period_ms < 1 or not callable(callback):
            return -1
        self.stop()
        self._stopped = stopped = threading.Event()
        board.keep_timer(self.stop)

        def run() -> None:
            while not stopped.wait(period_ms / 1000):
                run_callback(callback, argument)
                if not is_periodic:
                    return

        threading.Thread(target=run, name="quecpython timer", daemon=True).start()
        return 0

    def stop(self) -> int:
        """0, whether it ran or not."""
        self._stopped.set()
        board.drop_timer(self.stop)
        return 0
