"""Sealed pairing on the App's side (quecbind extension), without the network: a PIN in, the bind code out.

The user reads the PIN from the device or its label. SPAKE2 makes one common key of it on both sides; the App proves
that it has it, and gets the bind code under it. Neither who listens nor who answers in the device's place learns the
code or the PIN; the latter learns whether one PIN that they guessed was right, and so an exchange that breaks off
behind the proof is not begun again (`UnconfirmedPinError`). There is no way back to the open exchange: a device that
does not know this one gives no answer, and the App gets no code. Wire: `quecbind.wire.sealed`.
"""

from collections.abc import Callable

from quecbind.app.bounded import MAX_WAIT_S, BoundedExchange
from quecbind.app.errors import NoBindCodeError, PairingError, UnconfirmedPinError, WrongPinError
from quecbind.wire import commands, frame, lan, sealed

_PACKET_ID = 1000


class SealedSession(BoundedExchange):
    late = "the device did not answer in time; it may not know pairing with a PIN"

    def __init__(
        self,
        pin: str,
        product_key: str,
        device_key: str,
        entropy: Callable[[int], bytes],
        now: float,
        max_wait_s: float = MAX_WAIT_S,
    ) -> None:
        """
        Args:
            pin: 6 to 16 digits.
            product_key, device_key: the device that the PIN is for.
            entropy: gives so many bytes of secure random.

        Raises:
            PairingError: not such a PIN, or the library is not installed.
        """
        if not sealed.is_pin(pin):
            raise PairingError("a PIN has 6 to 16 digits", help_sentence="Enter the PIN of the device: 6 to 16 digits.")
        try:
            import spake2  # type: ignore[import-untyped]  # noqa: PLC0415 - an extra that most Apps do without
        except ImportError:
            raise PairingError("pairing with a PIN needs a library: pip install 'quecbind[sealed]'") from None
        self._device = product_key, device_key
        identity = sealed.device_identity(product_key, device_key)
        self._side = spake2.SPAKE2_A(pin.encode(), idA=sealed.APP_IDENTITY, idB=identity, entropy_f=entropy)
        self._key: bytes | None = None
        question = frame.encode(_PACKET_ID, commands.SEALED_ASK, sealed.ask(self._side.start()))
        super().__init__(question, now, max_wait_s)

    def handle_timer(self, now: float) -> None:
        super().handle_timer(now)
        self._judge()

    def receive_data(self, data: bytes, now: float) -> None:
        super().receive_data(data, now)
        self._judge()

    def _judge(self) -> None:
        """Behind the proof only the code, or a plain "wrong", is an end that may be believed."""
        if self._key is not None and self.error is not None and not isinstance(self.error, WrongPinError):
            self.error = UnconfirmedPinError(self.error.message)

    def receive(self, received: frame.Frame) -> None:
        if received.command == commands.SEALED_ANSWER and self._key is None:
            self._prove(sealed.parse_answer(received.payload))
        elif received.command == commands.SEALED_OUTCOME and self._key is not None:
            self._finish(self._key, sealed.parse_outcome(received.payload))

    def _prove(self, element: bytes | None) -> None:
        if element is None:
            self.error = NoBindCodeError("the device is not in pairing mode, or has no PIN")
            return
        try:
            self._key = self._side.finish(element)
        except Exception:  # noqa: BLE001 - what the library raises at bytes that are no element has no common base
            self.error = PairingError("the device's answer is not part of this exchange")
            return
        self._to_send = frame.encode(_PACKET_ID + 1, commands.SEALED_PROOF, sealed.prove(sealed.proof(self._key)))

    def _finish(self, key: bytes, outcome: sealed.Outcome) -> None:
        if outcome.result == sealed.DONE:
            self.pairing = lan.Pairing(True, *self._device, sealed.unseal(key, outcome.sealed))
        elif outcome.result == sealed.WRONG_PIN:
            self.error = WrongPinError(outcome.tries_left)
        else:
            self.error = NoBindCodeError("the device is no longer in pairing mode")
