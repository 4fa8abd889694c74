"""Stand-in for QuecPython's machine: pins, timers, serial lines, clock, watchdog, interrupts, with no wire behind them.

A pin keeps its level and writes each change to the log (logger `quecpython`). A timer fires, on a thread of its own.
What is sent on a serial line goes nowhere; what arrives is what `board.feed` brings. The clock can be read, not set.
The watchdog does not bite.
"""

import time
from collections.abc import Callable
from typing import Any

from quecbind.testing.quecpython.board import board
from quecbind.testing.quecpython.stand_in import logger
from quecbind.testing.quecpython.ticking import Ticking

_GPIO_COUNT = 47


class Pin:
    """One pin: `Pin(Pin.GPIO1, Pin.OUT, Pin.PULL_DISABLE, 0)`."""

    IN, OUT = 0, 1
    PULL_DISABLE, PULL_PU, PULL_PD = 0, 1, 2

    def __init__(self, GPIOn: int, direction: int = 0, pullMode: int = 0, level: int = 0) -> None:
        self._gpio, self._direction = GPIOn, direction
        if direction == self.OUT:
            board.set_level(GPIOn, int(bool(level)))
        elif GPIOn not in board.level_by_gpio:
            board.level_by_gpio[GPIOn] = int(pullMode == self.PULL_PU)

    def __repr__(self) -> str:
        return f"<stand-in for pin GPIO{self._gpio}>"

    def read(self) -> int:
        """0 low, 1 high."""
        return board.level_by_gpio.get(self._gpio, 0)

    def write(self, value: int) -> int:
        """0, or -1 when the pin is an input."""
        if self._direction != self.OUT:
            return -1
        board.set_level(self._gpio, int(bool(value)))
        return 0

    def set_dir(self, value: int) -> int:
        self._direction = value
        return 0

    def get_dir(self) -> int:
        return self._direction


class Timer:
    """One of four timers: `Timer(Timer.Timer1).start(period=1000, mode=Timer.PERIODIC, callback=tick)`."""

    Timer0, Timer1, Timer2, Timer3 = 0, 1, 2, 3
    ONE_SHOT, PERIODIC = 0, 1

    def __init__(self, Timern: int = 0) -> None:
        self._number = Timern
        self._ticking = Ticking()

    def __repr__(self) -> str:
        return f"<stand-in for Timer{self._number}>"

    def start(self, period: int, mode: int, callback: Callable[[Any], object]) -> int:
        """`period` is in milliseconds; the callback gets this object."""
        return self._ticking.start(period, callback, self, is_periodic=mode == self.PERIODIC)

    def stop(self) -> int:
        return self._ticking.stop()


class UART:
    """A serial line with nobody at the other end."""

    UART0, UART1, UART2, UART3, UART4 = 0, 1, 2, 3, 4

    def __init__(
        self,
        UARTn: int,
        baudrate: int = 115200,
        databits: int = 8,
        parity: int = 0,
        stopbits: int = 1,
        flowctl: int = 0,
    ) -> None:
        self._number = UARTn

    def __repr__(self) -> str:
        return f"<stand-in for UART{self._number}>"

    def any(self) -> int:
        """How many bytes wait to be read."""
        return board.received_count(self._number)

    def read(self, nbytes: int = 1024) -> bytes:
        return board.take(self._number, nbytes)

    def write(self, data: bytes | str) -> int:
        """How many bytes were sent; the log tells how many, and not which."""
        size = len(data.encode() if isinstance(data, str) else data)
        logger.info("UART%d: %d bytes sent", self._number, size)
        return size

    def set_callback(self, fun: Callable[[Any], object]) -> int:
        """It gets [0, the line, how many bytes have arrived]."""
        board.on_received(self._number, fun)
        return 0

    def control_485(self, GPIOn: int, direction: int) -> int:
        return 0

    def close(self) -> int:
        return 0


class ExtInt:
    """Calls back when the level of a pin changes: here when `board.set_level`, or a Pin of this script, changes it."""

    IRQ_RISING, IRQ_FALLING, IRQ_RISING_FALLING = 0, 1, 2
    PULL_DISABLE, PULL_PU, PULL_PD = 0, 1, 2

    def __init__(self, GPIOn: int, mode: int, pull: int, callback: Callable[[Any], object], *_: object) -> None:
        self._gpio, self._mode, self._callback = GPIOn, mode, callback
        self._is_enabled = False
        self._counts = [0, 0]
        Pin(GPIOn, Pin.IN, pull)
        board.watch(GPIOn, self._changed)

    def __repr__(self) -> str:
        return f"<stand-in for the interrupt of GPIO{self._gpio}>"

    def _changed(self, gpio: int, level: int) -> None:
        edge = self.IRQ_RISING if level else self.IRQ_FALLING
        if self._is_enabled and self._mode in {edge, self.IRQ_RISING_FALLING}:
            self._counts[edge] += 1
            board.call(self._callback, (gpio, edge))

    def enable(self) -> int:
        self._is_enabled = True
        return 0

    def disable(self) -> int:
        self._is_enabled = False
        return 0

    def line(self) -> int:
        return self._gpio

    def read_level(self) -> int:
        return board.level_by_gpio.get(self._gpio, 0)

    def read_count(self, is_reset: int) -> list[int]:
        """[rising, falling] so far."""
        counts = list(self._counts)
        if is_reset:
            self._counts = [0, 0]
        return counts

    def count_reset(self) -> int:
        self._counts = [0, 0]
        return 0


for _number in range(_GPIO_COUNT + 1):
    for _kind in (Pin, ExtInt):
        setattr(_kind, f"GPIO{_number}", _number)


class RTC:
    """This machine's clock, local time. It cannot be set, and rings no alarm: both give -1."""

    def __repr__(self) -> str:
        return "<stand-in for the real-time clock>"

    def datetime(self, args: tuple[int, ...] = ()) -> "tuple[int, ...] | int":
        """(year, month, day, weekday with Sunday 0, hour, minute, second, 0)."""
        if args:
            logger.warning("the clock of this machine is not set by a script")
            return -1
        now = time.localtime()
        return (*now[:3], (now.tm_wday + 1) % 7, *now[3:6], 0)

    def set_alarm(self, data_e: object) -> int:
        return -1

    def register_callback(self, fun: object) -> int:
        return -1

    def enable_alarm(self, on_off: int) -> int:
        return -1


class WDT:
    """A watchdog that takes its food and never bites."""

    def __init__(self, period: int) -> None:
        self._period = period

    def __repr__(self) -> str:
        return "<stand-in for the watchdog>"

    def feed(self) -> int:
        return 0

    def stop(self) -> int:
        return 0
