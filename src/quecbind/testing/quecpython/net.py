"""Stand-in for QuecPython's net: registered in the test network 001/01 while the radio is on, with full signal.

Switching the radio off (`setModemFun(0)`) tells `dataCall`'s callback; it does not cut quecIot, which uses this
machine's network. Cells there are none.
"""

import time

from quecbind.testing.quecpython.board import board

_FULL_SIGNAL = 31
_UNKNOWN = 99
_MCC, _MNC = "001", "01"
_LTE_ONLY = 5
_HOME = 1

_apn = ""


def csqQueryPoll() -> int:
    """0 to 31; 99 with the radio off."""
    return _FULL_SIGNAL if board.is_radio_on else _UNKNOWN


def getSignal(sinrEnable: int = 0) -> tuple[list[int], list[int]]:
    """What is not measured: 99 and 255 stand for unknown."""
    return [_UNKNOWN, _UNKNOWN, 255, 255], [_UNKNOWN, _UNKNOWN, 255, 255, *([255] if sinrEnable else [])]


def getState() -> tuple[list[int], list[int]]:
    """([voice ...], [data ...]), the first number of each 1 when registered at home, 0 when not."""
    state = _HOME if board.is_radio_on else 0
    return [state, 0, 0, 0, 0, 0], [state, 0, 0, 0, 0, 0]


def getModemFun() -> int:
    return int(board.is_radio_on)


def setModemFun(fun: int, rst: int = 0) -> int:
    """1 radio on, 0 and 4 radio off; -1 for anything else. With `rst` the module starts again."""
    if fun not in {0, 1, 4}:
        return -1
    board.set_radio(is_on=fun == 1)
    if rst:
        board.power("restart")
    return 0


def operatorName() -> "tuple[str, str, str, str] | int":
    return ("stand-in", "stand-in", _MCC, _MNC) if board.is_radio_on else -1


def nitzTime() -> tuple[str, int, int]:
    """This machine's clock, UTC."""
    now = int(time.time())
    return time.strftime("%y/%m/%d %H:%M:%S", time.gmtime(now)), now, 0


def getConfig() -> tuple[int, bool]:
    return _LTE_ONLY, False


def setConfig(mode: int, roaming: int = 0) -> int:
    """-1: there is nothing to configure."""
    return -1


def getNetMode() -> tuple[int, str, str, int]:
    return 0, _MCC, _MNC, 7


def setApn(apn: str, simid: int = 0) -> int:
    global _apn  # noqa: PLW0603 - kept as the module keeps it
    _apn = apn
    return 0


def getApn(simid: int = 0) -> str:
    return _apn


def getCellInfo() -> tuple[list[object], list[object], list[object]]:
    return [], [], []


def getCi() -> list[int]:
    return []


def getLac() -> list[int]:
    return []


def getMcc() -> list[int]:
    return []


def getMnc() -> list[int]:
    return []


def getServingCi() -> int:
    return -1


def getServingLac() -> int:
    return -1


def getServingMcc() -> int:
    return -1


def getServingMnc() -> int:
    return -1
