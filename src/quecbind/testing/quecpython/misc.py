"""Stand-in for QuecPython's misc: power, the power key, voltages.

Switching off ends the process, starting again starts it again. Nobody presses the key, and there is no battery: its
voltage is 3300 mV, what quecIot reports for a device without one; an analog input reads 0.
"""

from collections.abc import Callable
from typing import Any

from quecbind.testing.quecpython.board import board


class Power:
    """Off, on again, and why."""

    @staticmethod
    def powerDown() -> None:
        board.power("down")

    @staticmethod
    def powerRestart() -> None:
        board.power("restart")

    @staticmethod
    def powerOnReason() -> int:
        """0: unknown."""
        return 0

    @staticmethod
    def powerDownReason() -> int:
        """0: unknown."""
        return 0

    @staticmethod
    def getVbatt() -> int:
        """Millivolts."""
        return 3300


class PowerKey:
    """A key that nobody presses."""

    def powerKeyEventRegister(self, usrFun: Callable[[Any], object]) -> int:
        return 0


class ADC:
    """Analog inputs on which there is no voltage."""

    ADC0, ADC1, ADC2, ADC3 = 0, 1, 2, 3

    def open(self) -> int:
        return 0

    def read(self, ADCn: int) -> int:
        """Millivolts: 0."""
        return 0

    def close(self) -> int:
        return 0
