"""Who on the local network is answered, and how often: datagrams of discovery, and new connections.

Nothing here proves who asks. Answers to datagrams are limited per source and in total, because a sender's address can
be forged and an answer is several times larger than its question.
"""

from quecbind.wire import commands, frame, lan
from quecbind.wire.errors import WireError
from quecIot._allowance import Allowance

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

MAX_DATAGRAM = 64
MIN_PORT = 1024  # services live below; an App never asks from there, a forged question might

# answers: at once, and per second after that
PER_SOURCE = (4, 1.0)
IN_TOTAL = (20, 10.0)
MAX_SOURCES = 256

# connections of those who have not logged in, and of those who have
MAX_STRANGERS = 16  # so many Apps lose their sessions together, and come back together
MAX_STRANGERS_PER_SOURCE = 3
MAX_SESSIONS = 32


class Discovery:
    """Answers to datagrams."""

    def __init__(self, is_own_network: "Callable[[str], bool]", now: float) -> None:
        self._is_own_network = is_own_network
        self._total = Allowance(IN_TOTAL, now)
        self._by_source: "dict[str, Allowance]" = {}

    def answer(
        self,
        data: bytes,
        source: "tuple[str, int]",
        now: float,
        question: int,
        identity: "Callable[[], tuple[str, str, str | None]]",
        place: "Callable[[str], tuple[str, int]]",
    ) -> "bytes | None":
        """What the datagram is answered with; None when it gets no answer.

        Args:
            question: what it has to ask.
            identity: gives product key and device key.
            place: gives address and port of the device for a peer at an address.
        """
        packet_id = self.packet_id(data, source, now, question)
        if packet_id is None:
            return None
        product_key, device_key, _ = identity()
        if not product_key:
            return None
        if question == commands.DISCOVER:
            payload = lan.discover_answer(product_key, device_key, *place(source[0]))
        else:
            payload = lan.classic_discover_answer(product_key, device_key)
        return frame.encode(packet_id, question + 1, payload)

    def packet_id(
        self, data: bytes, source: "tuple[str, int]", now: float, question: int = commands.DISCOVER
    ) -> "int | None":
        """The packet id to answer the question with; None when this datagram gets no answer."""
        if len(data) > MAX_DATAGRAM or source[1] < MIN_PORT or not self._is_allowed(source[0], now):
            return None
        try:
            asked = frame.decode(data)
        except WireError:
            return None
        if asked.command != question or asked.payload or not self._is_own_network(source[0]):
            return None
        if not 1 <= asked.packet_id <= 0xFFFE:
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


def may_connect(
    source: str, strangers: "list[str]", session_count: int, is_own_network: "Callable[[str], bool]"
) -> bool:
    """Whether one more connection from this source is served, beside those that are open.

    Args:
        strangers: the sources of connections that have not logged in. They cannot take the place of those that have.
    """
    if session_count >= MAX_SESSIONS:
        return False
    return strangers.count(source) < MAX_STRANGERS_PER_SOURCE and is_own_network(source)


def has_to_give_way(strangers: "list[str]", most: int = MAX_STRANGERS) -> bool:
    """Whether the stranger that has been there longest is closed for the next one.

    Whoever has business here is done in a moment, so nobody keeps others out by sitting in every place.
    """
    return len(strangers) >= most
