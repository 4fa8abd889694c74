"""Messages that wait to be sent, oldest first, within a bound; a full one refuses instead of forgetting.

The bound is what the module this one replaces holds: 50 KiB. Nothing is encoded here, because a frame is encrypted
with the key of the connection it leaves on.
"""

MAX_BYTES = 50 * 1024
MAX_COUNT = 64

# What a message costs beside its payload, so that empty ones are not free.
_OVERHEAD = 32


class Message:
    """One uplink frame to be.

    Attributes:
        codes: the sent and the failed code of event 4, None when no event is due.
        is_kept: whether it survives the end of a connection.
        user: the App user whom it answers, None when it is the Developer Center itself.
    """

    __slots__ = ("codes", "command", "is_kept", "packet_id", "payload", "qos", "user")

    def __init__(
        self,
        command: int,
        packet_id: int,
        payload: bytes,
        qos: int,
        codes: "tuple[int, int] | None" = None,
        is_kept: bool = True,
        user: "str | None" = None,
    ) -> None:
        self.command = command
        self.packet_id = packet_id
        self.payload = payload
        self.qos = qos
        self.codes = codes
        self.is_kept = is_kept
        self.user = user


class Outbox:
    def __init__(self) -> None:
        self._messages: "list[Message]" = []
        self._size = 0

    def put(self, message: Message) -> bool:
        """Whether there was room."""
        size = len(message.payload) + _OVERHEAD
        if len(self._messages) >= MAX_COUNT or self._size + size > MAX_BYTES:
            return False
        self._messages.append(message)
        self._size += size
        return True

    def put_back(self, message: Message) -> None:
        """Returns the message that was last taken; it had its room and keeps its turn."""
        self._messages.insert(0, message)
        self._size += len(message.payload) + _OVERHEAD

    def take(self) -> "Message | None":
        if not self._messages:
            return None
        message = self._messages.pop(0)
        self._size -= len(message.payload) + _OVERHEAD
        return message

    def clear(self) -> "list[Message]":
        """Empties it and gives what was in it."""
        messages = self._messages
        self._messages = []
        self._size = 0
        return messages
