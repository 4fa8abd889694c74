"""Stand-in for QuecPython's sim: a card of the test network 001/01 that is ready, without a PIN and a phone number."""

_READY = 1


def getStatus() -> int:
    """1: ready."""
    return _READY


def getImsi() -> str:
    """A subscriber of the test network."""
    return "001010000000000"


def getIccid() -> str:
    return "89000000000000000000"


def getPhoneNumber() -> int:
    """-1: none is stored."""
    return -1


def getCurSimid() -> int:
    return 0


def setSimDet(switch: int, triggerLevel: int) -> int:
    """0, and nobody looks whether the card is there."""
    return 0


def getSimDet() -> tuple[int, int]:
    return 0, 0


def setCallback(usrFun: object) -> int:
    """Nobody takes the card out."""
    return 0


def enablePin(pin: str) -> int:
    """-1, as everything about PINs: the card has none."""
    return -1


def disablePin(pin: str) -> int:
    return -1


def verifyPin(pin: str) -> int:
    return -1


def changePin(oldPin: str, newPin: str) -> int:
    return -1


def unblockPin(puk: str, newPin: str) -> int:
    return -1
