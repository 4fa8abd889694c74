"""What this device answers on its local network: who it is to anybody there, its bind code while the window is open.

Nothing here proves who asks, so nothing here changes the device: no command is executed, Wi-Fi settings in 0x7010
are ignored, a session log-in is refused (there is no auth key yet). Answers to datagrams are limited per source and in
total, because a sender's address can be forged and an answer is several times larger than its question.
"""

from quecbind.wire import commands, frame, lan
from quecbind.wire.errors import WireError
from quecIot import _draw

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from quecIot._draw import Entropy

MAX_DATAGRAM = 64
MAX_FRAME = 1024
MIN_PORT = 1024  # services live below; an App never asks from there, a forged question might

# answers: at once, and per second after that
PER_SOURCE = (4, 1.0)
IN_TOTAL = (20, 10.0)
MAX_SOURCES = 256

# connections
MAX_CONNECTIONS = 8
MAX_CONNECTIONS_PER_SOURCE = 3
IDLE_S = 15.0
LIFE_S = 120.0
MAX_REQUESTS = 64


class Allowance:
    """A number of answers at once, and so many per second after that."""

    __slots__ = ("_burst", "_left", "_per_second", "_seen_at")

    def __init__(self, rule: "tuple[int, float]", now: float) -> None:
        self._burst = float(rule[0])
        self._per_second = rule[1]
        self._left = self._burst
        self._seen_at = now

    def refill(self, now: float) -> float:
        """What it holds now."""
        self._left = min(self._burst, self._left + (now - self._seen_at) * self._per_second)
        self._seen_at = now
        return self._left

    def take(self) -> None:
        self._left -= 1

    def is_full(self, now: float) -> bool:
        return self.refill(now) >= self._burst


class Discovery:
    """Answers to datagrams."""

    def __init__(self, is_own_network: "Callable[[str], bool]", now: float) -> None:
        self._is_own_network = is_own_network
        self._total = Allowance(IN_TOTAL, now)
        self._by_source: "dict[str, Allowance]" = {}

    def packet_id(self, data: bytes, source: "tuple[str, int]", now: float) -> "int | None":
        """The packet id to answer 0x7030 with; None when this datagram gets no answer."""
        if len(data) > MAX_DATAGRAM or source[1] < MIN_PORT or not self._is_allowed(source[0], now):
            return None
        try:
            asked = frame.decode(data)
        except WireError:
            return None
        if asked.command != commands.DISCOVER or asked.payload or not self._is_own_network(source[0]):
            return None
        self._total.take()
        self._by_source[source[0]].take()
        return int(asked.packet_id)

    def _is_allowed(self, source: str, now: float) -> bool:
        """Decided before anything else is looked at, so that a flood costs next to nothing."""
        if self._total.refill(now) < 1:
            return False
        allowance = self._by_source.get(source)
        if allowance is None:
            if len(self._by_source) >= MAX_SOURCES:
                self._forget_rested(now)
            if len(self._by_source) >= MAX_SOURCES:
                return False
            allowance = self._by_source[source] = Allowance(PER_SOURCE, now)
        return allowance.refill(now) >= 1

    def _forget_rested(self, now: float) -> None:
        for source in list(self._by_source):
            if self._by_source[source].is_full(now):
                del self._by_source[source]


class Conversation:
    """One TCP connection.

    Attributes:
        source: the peer's address.
        ends_at: when it is closed for having been silent, or for having lasted long enough.
    """

    def __init__(
        self,
        source: str,
        identity: "Callable[[], tuple[str, str, str | None]]",
        entropy: "Entropy",
        log: "Callable[[str, str], None]",
        now: float,
    ) -> None:
        """`identity()` gives product key, device key, and the bind code while its window is open."""
        self.source = source
        self.ends_at = now + IDLE_S
        self._last_at = now + LIFE_S
        self._identity = identity
        self._entropy = entropy
        self._log = log
        self._reader = frame.FrameReader(MAX_FRAME)
        self._request_count = 0

    def receive_data(self, data: bytes, now: float) -> "bytes | None":
        """The answers; None when the peer has asked often enough and is closed."""
        self.ends_at = min(now + IDLE_S, self._last_at)
        out = bytearray()
        for asked in self._reader.feed(data):
            self._request_count += 1
            if self._request_count > MAX_REQUESTS:
                return None
            answer = self._answer(asked)
            if answer is not None:
                out += frame.encode(asked.packet_id, answer[0], answer[1])
        return bytes(out)

    def _answer(self, asked: "frame.Frame") -> "tuple[int, bytes] | None":
        if asked.command == commands.PROVISION:
            return self._pair(asked.payload)
        if asked.command == commands.HELLO:
            return commands.RANDOM, lan.random(_draw.letters(self._entropy, lan.RANDOM_SIZE))
        if asked.command == commands.LOGIN:
            return commands.LOGIN_RESULT, lan.login_result(lan.LOGIN_REFUSED)
        return None

    def _pair(self, payload: bytes) -> "tuple[int, bytes] | None":
        product_key, device_key, bind_code = self._identity()
        if not product_key:
            return None
        try:
            if lan.parse_provision_request(payload).ssid is not None:
                self._log("info", "pairing over LAN: Wi-Fi settings are ignored")
        except WireError:
            return None
        return commands.PROVISION_ANSWER, lan.provision_answer(product_key, device_key, bind_code)


def may_connect(source: str, sources: "list[str]", is_own_network: "Callable[[str], bool]") -> bool:
    """Whether one more connection from this source is served, beside those that are open."""
    if len(sources) >= MAX_CONNECTIONS or sources.count(source) >= MAX_CONNECTIONS_PER_SOURCE:
        return False
    return is_own_network(source)
