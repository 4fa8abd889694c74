"""Stand-in for QuecPython's dataCall: one context that is up while the radio is on, at the address 127.0.0.1.

Access points are remembered and used for nothing. The callback hears when the script itself switches the radio or the
context; nothing else ever takes the network away.
"""

from quecbind.testing.quecpython.board import Callback, board

_ADDRESS = "127.0.0.1"
_NO_ADDRESS = "0.0.0.0"  # noqa: S104 - the text by which a module says that it has none
_MAX_PROFILE = 3

_contexts: dict[int, tuple[int, str, str, str, int]] = {}


def setPDPContext(profileID: int, ipType: int, apn: str, username: str, password: str, authType: int) -> int:
    if not 1 <= profileID <= _MAX_PROFILE:
        return -1
    _contexts[profileID] = (ipType, apn, username, password, authType)
    return 0


def getPDPContext(profileID: int) -> "tuple[int, str, str, str, int] | int":
    return _contexts.get(profileID, (0, "", "", "", 0)) if 1 <= profileID <= _MAX_PROFILE else -1


def setApn(profileID: int, ipType: int, apn: str, username: str, password: str, authType: int, simid: int = 0) -> int:
    return setPDPContext(profileID, ipType, apn, username, password, authType)


def getApn(simid: int = 0, profileID: int = 1) -> str:
    return _contexts.get(profileID, (0, "", "", "", 0))[1]


def setAutoActivate(profileID: int, enable: int) -> int:
    return 0


def setAutoConnect(profileID: int, enable: int) -> int:
    return 0


def setDNSServer(profileID: int, simID: int, priDNS: str, secDNS: str) -> int:
    """-1: this machine's own are used."""
    return -1


def setCallback(fun: Callback) -> int:
    """It gets [context, 0 gone or 1 come]."""
    board.on_network(fun)
    return 0


def startCall(profileID: int, ipType: int, apn: str, username: str, password: str, authType: int) -> int:
    setPDPContext(profileID, ipType, apn, username, password, authType)
    return activate(profileID)


def activate(profileID: int) -> int:
    board.set_radio(is_on=True)
    return 0


def deactivate(profileID: int) -> int:
    board.set_radio(is_on=False)
    return 0


def getInfo(profileID: int, ipType: int) -> tuple[object, ...]:
    """(context, 0, [1 up or 0 down, 0, address, DNS, DNS]); there is no IPv6."""
    is_up = board.is_radio_on
    ipv4 = [int(is_up), 0, _ADDRESS if is_up else _NO_ADDRESS, _NO_ADDRESS, _NO_ADDRESS]
    ipv6 = [0, 0, "::", "::", "::"]
    if ipType == 2:
        return profileID, ipType, ipv4, ipv6
    return profileID, ipType, ipv6 if ipType == 1 else ipv4
