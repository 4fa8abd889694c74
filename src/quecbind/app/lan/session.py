"""The pairing exchange, without the network: bytes and time in, bytes and an outcome out.

Over TCP the App sends 0x7010 without a network name; the device answers 0x7011 with its product key, its device key
and, only while its bind window is open, its bind code. (That use over LAN is a quecbind extension; over BLE the same
pair of commands also gives the device a network.) One question, one answer, then the connection has served.
Whatever else the peer sends is skipped, up to a limit; it never has longer than the deadline.
"""

from quecbind.app.bounded import MAX_WAIT_S, BoundedExchange
from quecbind.app.errors import PairingError
from quecbind.wire import commands, frame, lan

_PACKET_ID = 1000


class PairingSession(BoundedExchange):
    def __init__(self, now: float, max_wait_s: float = MAX_WAIT_S) -> None:
        super().__init__(frame.encode(_PACKET_ID, commands.PROVISION, lan.provision_request()), now, max_wait_s)

    def receive(self, received: frame.Frame) -> None:
        # The demonstration App of the vendor goes by the command alone, and devices may answer with an id of theirs.
        if received.command != commands.PROVISION_ANSWER:
            return
        pairing = lan.parse_provision_answer(received.payload)
        if pairing.effective:
            self.pairing = pairing
        else:
            self.error = PairingError("the device refused to pair")
