"""Sealed pairing on the device's side: the PIN, how many wrong ones a bind window bears, and one App's exchange.

While a PIN is set the bind code is told to nobody in the clear. A wrong PIN costs one of ten tries, whoever tried and
over whatever connections; with the last one the window closes. An exchange that is broken off before the proof costs
none, for it has told nothing. No I/O, no clock, no randomness of its own, no group arithmetic: `agree` does that.
"""

from quecbind.wire import sealed
from quecbind.wire.errors import WireError
from quecIot._allowance import Allowance

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    # (PIN, identity of the device, the App's element) -> (the device's element, common key); None: no such element
    Agree = Callable[[str, bytes, bytes], "tuple[bytes, bytes] | None"]
    # PIN, product key and device key while there are a PIN and an open bind window, else None
    Terms = Callable[[], "tuple[str, str, str] | None"]
    # (PIN that was tried, whether it was right) -> the bind code, or how many tries are left; None: not now
    Settle = Callable[[str, bool], "str | int | None"]

MAX_TRIES = 10
EXCHANGES = (4, 1.0)  # at once, and per second after that: each costs this device some arithmetic


class Pin:
    """
    Attributes:
        text: the PIN; "" when pairing is not sealed.
        tries_left: wrong ones that the present bind window still bears.
    """

    def __init__(self) -> None:
        self.text = ""
        self.tries_left = MAX_TRIES

    def renew(self) -> None:
        """Another bind window has begun."""
        self.tries_left = MAX_TRIES

    def miss(self) -> int:
        """One wrong try; how many are left."""
        self.tries_left = max(0, self.tries_left - 1)
        return self.tries_left


class Sealing:
    """What the exchanges of all connections and transports share."""

    def __init__(self, terms: "Terms", settle: "Settle", agree: "Agree", now: float) -> None:
        """`settle` judges one try at one moment, and closes the bind window with the last wrong one."""
        self.terms = terms
        self.settle = settle
        self.agree = agree
        self._allowance = Allowance(EXCHANGES, now)

    def is_allowed(self, now: float) -> bool:
        """Whether one more exchange may begin; it is counted."""
        if self._allowance.refill(now) < 1:
            return False
        self._allowance.take()
        return True


class Exchange:
    """One App's tries on one connection."""

    def __init__(self, sealing: "Sealing | None") -> None:
        self._is_proved = False
        self._sealing = sealing
        self._pin = ""
        self._key = b""

    @property
    def is_proved(self) -> bool:
        """Whether it has proved that it knows the PIN of this moment, whose bind window is open."""
        terms = self._sealing.terms() if self._is_proved and self._sealing is not None else None
        return terms is not None and terms[0] == self._pin

    def ask(self, payload: bytes, now: float) -> bytes:
        """The payload of 0x70E1; an earlier exchange on this connection is over."""
        self._key, self._is_proved = b"", False
        try:
            element = sealed.parse_ask(payload)
        except WireError:
            return sealed.not_now()
        terms = None if self._sealing is None else self._sealing.terms()
        if self._sealing is None or terms is None or not self._sealing.is_allowed(now):
            return sealed.not_now()
        self._pin, product_key, device_key = terms
        agreed = self._sealing.agree(self._pin, sealed.device_identity(product_key, device_key), element)
        if agreed is None:
            return sealed.not_now()
        own_element, self._key = agreed
        return sealed.answer(own_element)

    def prove(self, payload: bytes) -> bytes:
        """The payload of 0x70E3. A common key serves one proof; PIN, window and code are those of this moment."""
        key, self._key = self._key, b""
        if self._sealing is None or not key:
            return sealed.not_now()
        try:
            is_right = sealed.is_proof(key, sealed.parse_prove(payload))
        except WireError:
            is_right = False
        settled = self._sealing.settle(self._pin, is_right)
        if settled is None:
            return sealed.not_now()
        if isinstance(settled, int):
            return sealed.refuse(settled)
        self._is_proved = True
        return sealed.hand_over(sealed.seal(key, settled))
