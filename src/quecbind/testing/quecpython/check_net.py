"""Stand-in for QuecPython's checkNet: the network is ready at once, unless the script has switched the radio off."""

from quecbind.testing.quecpython import modem
from quecbind.testing.quecpython.board import board

_REGISTRATION, _CONTEXT = 2, 3


def waitNetworkReady(timeout: int = 60) -> tuple[int, int]:
    """(3, 1): ready. (2, 0), without waiting: the radio is off, and waiting would not switch it on."""
    return (_CONTEXT, 1) if board.is_radio_on else (_REGISTRATION, 0)


class CheckNetwork:
    """The older form of the same."""

    def __init__(self, project_name: str, project_version: str) -> None:
        self._lines = (
            f"PROJECT_NAME     : {project_name}",
            f"PROJECT_VERSION  : {project_version}",
            f"FIRMWARE_VERSION : {modem.getDevFwVersion()}",
            "POWERON_REASON   : 0",
            "SIM_CARD_STATUS  : 1",
        )

    def poweron_print_once(self) -> None:
        print("\n".join(self._lines))

    def wait_network_connected(self, timeout: int = 60) -> tuple[int, int]:
        return waitNetworkReady(timeout)
