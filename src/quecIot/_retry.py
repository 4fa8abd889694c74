"""When a packet is repeated and when a failed connection is tried again: the protocol document's timings as data.

Seconds everywhere. `fraction` is a random number 0..1 that spreads devices over each span.
"""

# packet -> (sends, shortest and longest wait after each)
CONNECT = (3, 5.0, 5.2)
SUBSCRIBE = (3, 5.0, 5.2)
PUBLISH = (3, 2.0, 2.2)

# after a failure -> shortest and longest wait, times the failures in a row
QUICK = (0.5, 2.499)
SLOW = (30.0, 30.2)
LONG = (600.0, 600.2)

PAUSE_AFTER = 7  # failures in a row
PAUSE_S = 1800.0

MIN_KEEP_ALIVE_S = 21
PING_MARGIN_S = 20
PONG_WAIT_S = 5.0
PING_SENDS = 2

# quecbind's own: the vendor's device waits for ever, and never repeats a bind code
SECRET_WAIT_S = 120.0
BIND_REPORT_AGAIN_S = 10.0

# tries at a place that 0x00B4 named, before the old one is used again
MOVE_TRIES = 3


def spread(span: "tuple[float, float]", fraction: float) -> float:
    """A point of the span."""
    return span[0] + (span[1] - span[0]) * fraction


def ping_waits(keep_alive_s: int) -> "tuple[float, float]":
    """Seconds from CONNACK to the first PINGREQ, and between later ones."""
    between = float(keep_alive_s - PING_MARGIN_S)
    return between / 2, between


class Ladder:
    """Failures in a row, and the wait that each earns."""

    def __init__(self) -> None:
        self.failure_count = 0

    def reset(self) -> None:
        self.failure_count = 0

    def failed(self, span: "tuple[float, float]", fraction: float) -> float:
        """Seconds to wait after one more failure; the 7th earns half an hour and a fresh start."""
        self.failure_count += 1
        if self.failure_count >= PAUSE_AFTER:
            self.failure_count = 0
            return PAUSE_S
        return spread(span, fraction) * self.failure_count


class Flight:
    """The one packet that waits for its answer, and when it goes out again."""

    __slots__ = ("data", "due_at", "kind", "message", "packet_id", "sends_left", "span")

    def __init__(
        self, kind: str, data: bytes, rule: "tuple[int, float, float]", packet_id: int = 0, message: object = None
    ) -> None:
        self.kind = kind
        self.data = data
        self.span = (rule[1], rule[2])
        self.sends_left = rule[0]
        self.packet_id = packet_id
        self.message = message
        self.due_at = 0.0

    def send(self, now: float, fraction: float) -> "bytes | None":
        """What goes out now; None when it has been sent often enough and was never answered."""
        if not self.sends_left:
            return None
        self.sends_left -= 1
        self.due_at = now + spread(self.span, fraction)
        return self.data
