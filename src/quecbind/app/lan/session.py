"""The pairing exchange, without the network: bytes and time in, bytes and an outcome out.

Over TCP the App sends 0x7010 without a network name; the device answers 0x7011 with its product key, its device key
and, only while its bind window is open, its bind code. (That use over LAN is a quecbind extension; over BLE the same
pair of commands also gives the device a network.) One question, one answer, then the connection has served.
Whatever else the peer sends is skipped, up to a limit; it never has longer than the deadline.
"""

from quecbind.app.errors import PairingError
from quecbind.wire import commands, frame, lan
from quecbind.wire.errors import WireError

MAX_ANSWER = 4096  # bytes; a genuine answer has some 60
MAX_WAIT_S = 5.0
_PACKET_ID = 1000


class PairingSession:
    """One exchange on one connection, begun with a question that is ready to be sent.

    Attributes:
        pairing: what the device said, None until it has.
        error: why there will be no answer, None while there still may be one.
    """

    def __init__(self, now: float, max_wait_s: float = MAX_WAIT_S, max_answer: int = MAX_ANSWER) -> None:
        self.pairing: lan.Pairing | None = None
        self.error: PairingError | None = None
        self._deadline = now + max_wait_s
        self._left = max_answer
        self._reader = frame.FrameReader(max_answer)
        self._to_send = frame.encode(_PACKET_ID, commands.PROVISION, lan.provision_request())

    def is_over(self) -> bool:
        return self.pairing is not None or self.error is not None

    def data_to_send(self) -> bytes:
        """What to write now; asking takes it away."""
        data, self._to_send = self._to_send, b""
        return data

    def next_timer(self) -> float | None:
        """When `handle_timer` wants to be called; None when the exchange is over."""
        return None if self.is_over() else self._deadline

    def handle_timer(self, now: float) -> None:
        if not self.is_over() and now >= self._deadline:
            self.error = PairingError("the device did not answer in time")

    def receive_data(self, data: bytes, now: float) -> None:
        """Takes what arrived; b"" is the end of the connection."""
        self.handle_timer(now)
        if self.is_over():
            return
        if not data:
            self.error = PairingError("the device closed the connection without an answer")
            return
        fits = data[: self._left]
        self._left -= len(data)
        for received in self._reader.feed(fits):
            self._receive(received)
            if self.is_over():
                return
        if self._left <= 0:
            self.error = PairingError("the device sent too much that is no answer")

    def _receive(self, received: frame.Frame) -> None:
        # The demonstration App of the vendor goes by the command alone, and devices may answer with an id of theirs.
        if received.command != commands.PROVISION_ANSWER:
            return
        try:
            pairing = lan.parse_provision_answer(received.payload)
        except WireError as error:
            self.error = PairingError(f"the device's answer cannot be read: {error}")
            return
        if pairing.effective:
            self.pairing = pairing
        else:
            self.error = PairingError("the device refused to pair")
