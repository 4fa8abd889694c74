"""What a device has published on one connection and is still to be answered for: order, repeats, QoS 2.

PUBACK and PUBREC go out in the order the messages came, and only when the answer is in. A device that gets none within
2 s sends the same bytes again without DUP, so repeats are known by packet id and content. Sends nothing itself and
keeps at most `limit` messages of each kind.
"""

from collections import deque
from collections.abc import Iterator
from typing import Final

from quecbind.wire import frame, mqtt

REPEAT_S = 6.0  # a device sends a message three times, 2.2 s apart

NEW: Final = "new"
PENDING: Final = "pending"  # a repeat whose answer is still to come
ANSWERED: Final = "answered"  # a repeat that crossed its answer: answer again
TOO_MANY: Final = "too_many"


class Message:
    """A frame a device published; `Session.answer_message` takes it back when it may be acknowledged.

    Attributes:
        frame: what the PUBLISH held, or None when it is only waiting for its place in the order.
        proves_secret: the first on a connection that was given a new device secret: the device has it now.
    """

    __slots__ = ("frame", "is_answered", "packet_id", "proves_secret", "qos")

    def __init__(self, content: frame.Frame | None, qos: int, packet_id: int) -> None:
        self.frame = content
        self.qos = qos
        self.packet_id = packet_id
        self.is_answered = content is None
        self.proves_secret = False


class Arrivals:
    """The messages of one connection; its length is how many are unanswered."""

    __slots__ = ("_limit", "_recent", "_unanswered", "_unreleased")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._unanswered: deque[Message] = deque()
        self._unreleased: set[int] = set()
        self._recent: dict[tuple[int, int], float] = {}

    def __len__(self) -> int:
        return len(self._unanswered)

    @property
    def is_full(self) -> bool:
        """Whether nothing more should be taken before something is answered."""
        return len(self._unanswered) >= self._limit

    @property
    def is_drained(self) -> bool:
        """Whether enough was answered to take more."""
        return len(self._unanswered) <= self._limit // 2

    def judge(self, packet: mqtt.Publish, now: float) -> str:
        """`NEW`, or what kind of repeat this is; a new QoS 2 message is `TOO_MANY` when none is ever released."""
        qos, packet_id = packet.qos, packet.packet_id
        if qos == 2:
            if packet_id not in self._unreleased:
                self._unreleased.add(packet_id)
                return NEW if len(self._unreleased) <= self._limit else TOO_MANY
        elif not qos or not self._is_recent((packet_id, hash(packet.payload)), now):
            return NEW
        is_pending = any(message.packet_id == packet_id and message.qos == qos for message in self._unanswered)
        return PENDING if is_pending else ANSWERED

    def add(self, message: Message) -> None:
        """Give a message its place in the order."""
        self._unanswered.append(message)

    def take_answered(self) -> Iterator[Message]:
        """The messages that may be acknowledged now, oldest first; each is given once."""
        while self._unanswered and self._unanswered[0].is_answered:
            yield self._unanswered.popleft()

    def release(self, packet_id: int) -> None:
        """The device has released a QoS 2 message: its packet id is free again."""
        self._unreleased.discard(packet_id)

    def _is_recent(self, key: tuple[int, int], now: float) -> bool:
        recent = self._recent
        while recent:
            oldest = next(iter(recent))
            if recent[oldest] >= now - REPEAT_S and len(recent) <= self._limit:
                break
            del recent[oldest]
        if key in recent:
            return True
        recent[key] = now
        return False
