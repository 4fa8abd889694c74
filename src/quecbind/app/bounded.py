"""What every short exchange with a device that proves nothing has in common: an end in time, and an end in bytes.

Bytes and time in, bytes and an outcome out. Frames that mean nothing here are skipped, up to the limit.
"""

from abc import ABC, abstractmethod

from quecbind.app.errors import PairingError
from quecbind.wire import frame, lan
from quecbind.wire.errors import WireError

MAX_ANSWER = 4096  # bytes; genuine answers have 60 to 200
MAX_WAIT_S = 5.0


class BoundedExchange(ABC):
    """One exchange on one connection, begun with a question that is ready to be sent.

    Attributes:
        pairing: what the device said, None until it has.
        error: why there will be no answer, None while there still may be one.
    """

    late = "the device did not answer in time"

    def __init__(self, question: bytes, now: float, max_wait_s: float) -> None:
        self.pairing: lan.Pairing | None = None
        self.error: PairingError | None = None
        self._to_send = question
        self._deadline = now + max_wait_s
        self._left = MAX_ANSWER
        self._reader = frame.FrameReader(MAX_ANSWER)

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
            self.error = PairingError(self.late)

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
            try:
                self.receive(received)
            except WireError as error:
                self.error = PairingError(f"the device's answer cannot be read: {error}")
            if self.is_over():
                return
        if self._left <= 0:
            self.error = PairingError("the device sent too much that is no answer")

    @abstractmethod
    def receive(self, received: frame.Frame) -> None:
        """What a frame means here; sets `pairing` or `error` when it ends the exchange.

        Raises:
            WireError: it is one of this exchange and cannot be read.
        """
