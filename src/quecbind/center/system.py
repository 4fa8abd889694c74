"""The clock and the randomness of this machine, behind the services' ports."""

import secrets
import string
import time

_ALPHABET = string.digits + string.ascii_uppercase + string.ascii_lowercase


class SystemClock:
    """UTC that does not step: the wall clock once, and from then on the monotonic one.

    A wall clock that is set back while the server runs must not re-open a bind window or lengthen a token's life.
    """

    def __init__(self) -> None:
        self._offset_s = time.time() - time.monotonic()

    def now(self) -> float:
        """See `services.ports.Clock`."""
        return self._offset_s + time.monotonic()


class SystemEntropy:
    """The system's secure random."""

    def text(self, length: int) -> str:
        """See `services.ports.Entropy`."""
        return "".join(secrets.choice(_ALPHABET) for _ in range(length))

    def digits(self, length: int) -> str:
        """See `services.ports.Entropy`."""
        return "".join(secrets.choice(string.digits) for _ in range(length))

    def octets(self, length: int) -> bytes:
        """See `services.ports.Entropy`."""
        return secrets.token_bytes(length)
