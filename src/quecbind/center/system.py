"""The clock and the randomness of this machine, behind the services' ports."""

import math
import secrets
import string
import time

_ALPHABET = string.digits + string.ascii_uppercase + string.ascii_lowercase


class SystemClock:
    """UTC that never goes back: the wall clock, and where that is set back, the monotonic one from there on.

    A wall clock that is set back while the server runs must not re-open a bind window or lengthen a token's life. One
    that is set ahead is followed: that ends rights and gives none, and a machine that slept has not stopped their time.
    """

    def __init__(self) -> None:
        self._ahead_s = -math.inf

    def now(self) -> float:
        """See `services.ports.Clock`."""
        # The wall clock first: what comes between the two readings then makes the difference smaller, never larger.
        wall_s = time.time()
        monotonic_s = time.monotonic()
        self._ahead_s = max(self._ahead_s, wall_s - monotonic_s)
        return self._ahead_s + monotonic_s


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
