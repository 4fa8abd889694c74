"""The board that the stand-ins share: levels of pins, serial lines, whether the radio is on, whom to call back.

There is one in a process, as there is one on a module. What would come from outside, a level on an input, bytes on a
serial line, comes from whoever holds `board`: a test, or a script that plays its own surroundings. Callbacks run on
one thread, one at a time, and an exception in one is logged and harms no other.
"""

import queue
import threading
from collections.abc import Callable
from typing import Any

from quecbind.testing.quecpython.stand_in import logger

Callback = Callable[[Any], object]
Watcher = Callable[[int, int], None]


class Board:
    """What there is to a board that is not there.

    Attributes:
        level_by_gpio: the level of each pin that has been written, driven or pulled up.
        is_radio_on: what `net.setModemFun` has said.
    """

    def __init__(self) -> None:
        self._timers: set[Callable[[], object]] = set()
        self._reset()

    def _reset(self) -> None:
        self.level_by_gpio: dict[int, int] = {}
        self.is_radio_on = True
        self._lock = threading.Lock()
        self._watchers: dict[int, list[Watcher]] = {}
        self._network_callbacks: list[Callback] = []
        self._received: dict[int, bytearray] = {}
        self._uart_callbacks: dict[int, Callback] = {}
        self._calls: queue.SimpleQueue[tuple[Callback, Any] | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._on_power: Callable[[str], None] = _ignore

    def start(self, on_power: Callable[[str], None]) -> None:
        """A board as it comes out of the box."""
        self._reset()
        self._on_power = on_power
        self._thread = threading.Thread(target=self._run, args=(self._calls,), name="quecpython callbacks", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """No timer fires and nobody is called back any more."""
        for stop in list(self._timers):
            stop()
        self._calls.put(None)
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join(1)
        self._thread = None

    # Callbacks

    def call(self, callback: Callback, argument: Any) -> None:
        """Call back soon, on the thread for that."""
        self._calls.put((callback, argument))

    @staticmethod
    def _run(calls: "queue.SimpleQueue[tuple[Callback, Any] | None]") -> None:
        while (call := calls.get()) is not None:
            run_callback(*call)

    def keep_timer(self, stop: Callable[[], object]) -> None:
        """`stop` is called when the board stops."""
        self._timers.add(stop)

    def drop_timer(self, stop: Callable[[], object]) -> None:
        self._timers.discard(stop)

    # Pins

    def set_level(self, gpio: int, level: int) -> None:
        """The level of a pin changes, whoever drives it; those who watch the pin are called back."""
        with self._lock:
            before = self.level_by_gpio.get(gpio, 0)
            self.level_by_gpio[gpio] = level
        if before == level:
            return
        logger.info("GPIO%d is %s", gpio, "high" if level else "low")
        for watcher in self._watchers.get(gpio, ()):
            watcher(gpio, level)

    def watch(self, gpio: int, watcher: Watcher) -> None:
        self._watchers.setdefault(gpio, []).append(watcher)

    # Serial lines

    def feed(self, uart: int, data: bytes) -> None:
        """Bytes arrive on a serial line."""
        with self._lock:
            self._received.setdefault(uart, bytearray()).extend(data)
        callback = self._uart_callbacks.get(uart)
        if callback is not None:
            self.call(callback, [0, uart, len(data)])

    def received_count(self, uart: int) -> int:
        return len(self._received.get(uart, b""))

    def take(self, uart: int, count: int) -> bytes:
        """At most so many bytes of those that have arrived."""
        with self._lock:
            buffer = self._received.setdefault(uart, bytearray())
            taken = bytes(buffer[:count])
            del buffer[:count]
        return taken

    def on_received(self, uart: int, callback: Callback) -> None:
        self._uart_callbacks[uart] = callback

    # Network and power

    def set_radio(self, *, is_on: bool) -> None:
        """Switch the radio; those who asked are told that the network has come or gone."""
        if is_on == self.is_radio_on:
            return
        self.is_radio_on = is_on
        for callback in self._network_callbacks:
            self.call(callback, [1, int(is_on)])

    def on_network(self, callback: Callback) -> None:
        self._network_callbacks[:] = [callback]

    def power(self, how: str) -> None:
        """The script wants the module off ("down") or started again ("restart")."""
        logger.info("power %s", how)
        self._on_power(how)


def run_callback(callback: Callback, argument: Any) -> None:
    """Call, and log what is raised: it is the script's own."""
    try:
        callback(argument)
    except Exception:  # noqa: BLE001 - whatever a script's callback does wrong is its own
        logger.exception("a callback of the script failed")


def _ignore(how: str) -> None:
    pass


board = Board()
