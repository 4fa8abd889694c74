"""One session with a device, from the App's end: log-in, reads, writes, raw data, and how it ends. Any transport.

The story: `start` asks for a random (0x7032), the device gives one (0x7033), the token made of key and random proves
the key (0x7034, 0x7035), and from then on the data of every frame is AES-128-CBC under that key with the random as iv.
The App says at once and every 12 s that it is there (0x7039), pings a device that has gone quiet, and answers pings.
Reads are taken (an empty 0x0012) or answered (0x0012 with values); values come as reports (0x0014) whenever the device
likes. Writes are acknowledged (0x7036) by packet id.

Bytes and time in, happenings out, bytes to send by `data_to_send`. What arrives twice, too early, under another key or
unreadable is skipped and counted: a radio repeats, and anybody can reach a port. The device proves itself only by what
it encrypts; a log-in that was answered well proves nothing about who answered.
"""

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from quecbind.app.errors import ControlError
from quecbind.wire import auth_key, commands, frame, lan, signing, ttlv
from quecbind.wire.errors import WireError

LOG_IN_S = 10.0
ANSWER_S = 10.0
HEARTBEAT_EVERY_S = 12.0  # some devices find 20 s too slow
SILENCE_S = 40.0  # three unanswered pings, and some
MAX_WAITING = 64
FIRST_PACKET_ID = 1000  # Apps count from here
LAST_PACKET_ID = 0xFFFE

Fields = Sequence[tuple[int, Any]]


@dataclass(frozen=True, slots=True)
class LoggedIn:
    """The device took the token; from here on it can be asked."""


@dataclass(frozen=True, slots=True)
class LogInRefused:
    """The device did not take the token: another key, or the sender has to wait. The session is over."""

    result: int


@dataclass(frozen=True, slots=True)
class Reported:
    """What the device told by itself: (id, value) pairs as `wire.ttlv` decodes them."""

    fields: Fields


@dataclass(frozen=True, slots=True)
class RawReceived:
    data: bytes


@dataclass(frozen=True, slots=True)
class ReadTaken:
    """The device will report what it was asked for."""

    packet_id: int


@dataclass(frozen=True, slots=True)
class ReadAnswered:
    packet_id: int
    fields: Fields


@dataclass(frozen=True, slots=True)
class Written:
    """How a write went; 0 is well."""

    packet_id: int
    result: int


@dataclass(frozen=True, slots=True)
class Answered:
    """What came of a question that only some devices understand: `chip_session`."""

    packet_id: int
    answer: Any


@dataclass(frozen=True, slots=True)
class Unanswered:
    """A read or write that the device did not answer in time; whether it was done is not known."""

    packet_id: int


@dataclass(frozen=True, slots=True)
class Closed:
    """The session is over, and why."""

    reason: str


Happening = (
    LoggedIn
    | LogInRefused
    | Reported
    | RawReceived
    | ReadTaken
    | ReadAnswered
    | Written
    | Answered
    | Unanswered
    | Closed
)

_NEW, _WANTS_RANDOM, _WANTS_RESULT, _OPEN, _OVER = range(5)


class ControlSession:
    """
    Attributes:
        skipped_count: frames that meant nothing here and now.
        is_proven: whether the peer has encrypted anything, and so shown that it knows the key.
    """

    def __init__(self, key: bytes, share: bytes | None = None, permission: int | None = None) -> None:
        """
        Args:
            key: the 16 bytes of the auth key; of a device that has BLE only, the 16 letters of its bind code.
            share: the last 16 bytes of the share code, for a device that somebody shared (0x7034 field 5).
            permission: the permission code that goes with it (field 6).

        Raises:
            ControlError: the key is not 16 bytes.
        """
        if len(key) != auth_key.SIZE:
            raise ControlError(f"a session key has {auth_key.SIZE} bytes")
        self.skipped_count = 0
        self.is_proven = False
        self._key = key
        self._share = share
        self._permission = permission
        self._phase = _NEW
        self._random = ""
        self._reader = frame.FrameReader()
        self._out = bytearray()
        self._packet_id = FIRST_PACKET_ID - 1
        self._waiting: dict[int, tuple[int, float]] = {}  # packet id: (command, until when)
        self._own: deque[bytes] = deque(maxlen=MAX_WAITING)  # what was encrypted here: sent back, it proves nothing
        self._held: list[int] = []  # writes that somebody acknowledged without a byte of proof
        self._deadline = 0.0  # of the log-in
        self._heartbeat_at = 0.0
        self._heard_at = 0.0

    @property
    def is_open(self) -> bool:
        """Whether the device can be asked."""
        return self._phase == _OPEN

    @property
    def is_over(self) -> bool:
        return self._phase == _OVER

    def data_to_send(self) -> bytes:
        """What to write now; asking takes it away."""
        data, self._out = bytes(self._out), bytearray()
        return data

    # --- what the App wants ---

    def start(self, now: float, seconds: float = LOG_IN_S) -> None:
        """Begins the log-in, on a connection that has just been made; it has so many seconds."""
        if self._phase != _NEW:
            raise ControlError("a session starts once")
        self._phase = _WANTS_RANDOM
        self._deadline = now + seconds
        self._send(*self._first_question())

    def read(self, ids: Iterable[int], now: float, seconds: float = ANSWER_S) -> int:
        """Asks for properties, all of them when `ids` is empty; the packet id of the question.

        Raises:
            ControlError: no session, an id outside 1..8191, or too many questions without an answer.
        """
        return self._ask(commands.TSL_READ, lambda: commands.encode_ids(list(ids)), now + seconds)

    def write(self, fields: Fields, now: float, seconds: float = ANSWER_S) -> int:
        """Sets properties, each (id, value); the packet id that `Written` will name.

        Raises:
            ControlError: no session, values that cannot be sent, or too many questions without an answer.
        """
        return self._ask(commands.TSL_WRITE, lambda: ttlv.encode(fields), now + seconds)

    def send_raw(self, data: bytes) -> None:
        """Bytes for the device's script; nothing acknowledges them.

        Raises:
            ControlError: no session, no data, or too much.
        """
        self._check_open()
        if not data:
            raise ControlError("there is nothing to send")
        self._send(commands.TRANSPARENT_DOWN, self._encrypted(data))

    # --- what arrives ---

    def receive_data(self, data: bytes, now: float) -> list[Happening]:
        """Takes what arrived; b"" is the end of the connection."""
        if self._phase in {_NEW, _OVER}:
            return []
        if not data:
            return [self._end("the device closed the connection")]
        happenings: list[Happening] = []
        for received in self._reader.feed(data):
            happening = self._received(received, now)
            if happening is not None:
                happenings.append(happening)
            if self.is_proven and self._held:
                held, self._held = self._held, []
                happenings += [Written(number, 0) for number in held if self._is_answer(number, commands.TSL_WRITE)]
            if self._phase == _OVER:
                break
        return happenings

    def _received(self, received: frame.Frame, now: float) -> Happening | None:
        if self._phase == _OPEN:
            return self._told(received, now)
        try:
            return self._opened_by(received, now)
        except WireError as error:
            return self._end(f"the device's answer to the log-in cannot be read: {error}")

    # --- the log-in ---

    def _first_question(self) -> tuple[int, bytes]:
        """Command and data."""
        return commands.HELLO, b""

    def _opened_by(self, received: frame.Frame, now: float) -> Happening | None:
        """The next step, if this is its answer; it ends in `_open` or `_refused`.

        Raises:
            WireError: it is, and cannot be read.
        """
        if self._phase == _WANTS_RANDOM and received.command == commands.RANDOM:
            self._answer_random(received.payload)
        elif self._phase == _WANTS_RESULT and received.command == commands.LOGIN_RESULT:
            result = lan.parse_login_result(received.payload)
            return self._open(now) if result in {lan.LOGGED_IN, lan.ALREADY_LOGGED_IN} else self._refused(result)
        else:
            self.skipped_count += 1
        return None

    def _answer_random(self, payload: bytes) -> None:
        self._random = lan.parse_random(payload)
        token = signing.lan_token(self._key, self._random)
        self._phase = _WANTS_RESULT
        self._send(commands.LOGIN, lan.login(token, self._share, self._permission))

    def _open(self, now: float) -> Happening:
        self._phase = _OPEN
        self._heard_at = now
        self._beat(now)
        return LoggedIn()

    def _refused(self, result: int) -> Happening:
        self._phase = _OVER
        return LogInRefused(result)

    # --- after it ---

    def _told(self, received: frame.Frame, now: float) -> Happening | None:
        command = received.command
        if command in {commands.PING, commands.PONG}:
            self._heard_at = now
            if command == commands.PING:
                self._out += frame.encode(self._answer_id(received.packet_id), commands.PONG)
            return None
        if command == commands.WRITE_ACK and not received.payload and not self.is_proven:
            self._hold(received.packet_id)
            return None
        happening = None
        try:
            data = self._unsealed(received.payload)
            happening = self._meaning(received.packet_id, command, data)
        except WireError:
            pass
        if happening is None:
            self.skipped_count += 1
        else:
            self._heard_at = now
            self.is_proven = self.is_proven or (bool(received.payload) and received.payload not in self._own)
        return happening

    def _hold(self, packet_id: int) -> None:
        """Some devices acknowledge with nothing, which anybody can: it counts once the peer shows the key."""
        if self._waiting.get(packet_id, (0, 0.0))[0] == commands.TSL_WRITE and packet_id not in self._held:
            self._held.append(packet_id)
            self._send(commands.TSL_READ, self._encrypted(b""))

    def _meaning(self, packet_id: int, command: int, data: bytes) -> Happening | None:
        if command == commands.TSL_REPORT:
            return Reported(tuple(ttlv.decode(data)))
        if command == commands.TRANSPARENT_UP:
            return RawReceived(data)
        if command == commands.TSL_READ_ANSWER:
            fields = tuple(ttlv.decode(data)) if data else ()
            if not self._is_answer(packet_id, commands.TSL_READ):
                return Reported(fields) if fields else None
            return ReadAnswered(packet_id, fields) if fields else ReadTaken(packet_id)
        if command == commands.WRITE_ACK:
            result = lan.parse_write_ack(data) if data else 0
            return Written(packet_id, result) if self._is_answer(packet_id, commands.TSL_WRITE) else None
        return None

    def _is_answer(self, packet_id: int, command: int) -> bool:
        """Whether this was asked and not answered yet; asking settles it."""
        if self._waiting.get(packet_id, (0, 0.0))[0] != command:
            return False
        del self._waiting[packet_id]
        return True

    # --- time ---

    def next_deadline(self) -> float | None:
        """When `tick` wants to be called; None before the start and after the end."""
        if self._phase in {_NEW, _OVER}:
            return None
        if self._phase != _OPEN:
            return self._deadline
        return min([self._heartbeat_at, self._heard_at + SILENCE_S, *(until for _, until in self._waiting.values())])

    def tick(self, now: float) -> list[Happening]:
        if self._phase in {_WANTS_RANDOM, _WANTS_RESULT} and now >= self._deadline:
            return [self._end("the device did not answer the log-in in time")]
        if self._phase != _OPEN:
            return []
        late = [packet_id for packet_id, (_, until) in self._waiting.items() if now >= until]
        for packet_id in late:
            del self._waiting[packet_id]
        happenings: list[Happening] = [Unanswered(packet_id) for packet_id in late]
        if now >= self._heard_at + SILENCE_S:
            return [*happenings, self._end("the device has gone silent")]
        if now >= self._heartbeat_at:
            self._beat(now)
        return happenings

    def _beat(self, now: float) -> None:
        self._send(commands.HEARTBEAT, self._encrypted(lan.heartbeat()))
        # No device has been seen to answer a heartbeat, so a quiet one is also pinged.
        if now >= self._heard_at + HEARTBEAT_EVERY_S:
            self._send(commands.PING)
        self._heartbeat_at = now + HEARTBEAT_EVERY_S

    # --- frames ---

    def _ask(self, command: int, encode: Callable[[], bytes], until: float) -> int:
        self._check_open()
        if len(self._waiting) >= MAX_WAITING:
            raise ControlError("too many questions wait for the device's answer")
        try:
            data = encode()
        except WireError as error:
            raise ControlError(f"this cannot be sent: {error}") from None
        packet_id = self._send(command, self._encrypted(data))
        self._waiting[packet_id] = (command, until)
        return packet_id

    def _check_open(self) -> None:
        if self._phase != _OPEN:
            raise ControlError("there is no session with the device")

    def _encrypted(self, data: bytes) -> bytes:
        if len(data) > lan.MAX_DATA:
            raise ControlError(f"this cannot be sent: {len(data)} bytes, at most {lan.MAX_DATA} fit")
        sealed = self._sealed(data)
        self._own.append(sealed)
        return sealed

    def _sealed(self, data: bytes) -> bytes:
        return signing.lan_encrypt(self._key, self._random, data)

    def _unsealed(self, data: bytes) -> bytes:
        return signing.lan_decrypt(self._key, self._random, data)

    def _send(self, command: int, payload: bytes = b"") -> int:
        packet_id = self._next_packet_id()
        self._out += frame.encode(packet_id, command, payload)
        return packet_id

    def _next_packet_id(self) -> int:
        self._packet_id = FIRST_PACKET_ID if self._packet_id >= LAST_PACKET_ID else self._packet_id + 1
        return self._packet_id

    def _answer_id(self, packet_id: int) -> int:
        """Devices push under packet id 0, which an App may never send."""
        return packet_id if 1 <= packet_id <= LAST_PACKET_ID else self._next_packet_id()

    def _end(self, reason: str) -> Closed:
        self._phase = _OVER
        self._waiting.clear()
        return Closed(reason)
