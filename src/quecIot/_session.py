"""One App's session with this device, log-in included: a decision for each frame, the answers, and when it ends.

The story: the App asks for a random (0x7032, 0x7033), proves with it that it knows the auth key (0x7034, 0x7035), and
from then on the data of every frame is encrypted with that key. It reads and writes properties and sends raw data,
which become events 5 for the script exactly as they do when the Developer Center sends them, and gets what the script
reports. A session lives by traffic; either side may ping. It ends at once when the auth key is no longer the device's:
whoever has lost the device must not go on using it. A device that lets Apps in another way (`_chip`) begins it with
`begin`; all that follows is the same.

The same for every transport that carries frames. No I/O, no clock, no randomness of its own.
"""

from quecbind.wire import commands, frame, lan, signing, ttlv
from quecbind.wire.errors import WireError
from quecIot import _downlink, _draw
from quecIot._delays import Delays

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from quecIot._draw import Entropy

    Key = Callable[[], bytes | None]
    Offers = Callable[[], list[bytes]]
    Accept = Callable[[bytes], bool]
    CarryOut = Callable[[tuple[Any, ...]], bytes]
    Answer = tuple[int, int, bytes]

SILENCE_S = 90.0  # heartbeats are due every 10 to 30 s; some Apps are late
PING_AFTER_S = 30.0
KEY_CHECK_S = 1.0  # so long at most a session outlives its key
MAX_REPORT = 512  # a larger set of properties is sent in several frames
MAX_READS = 16
MAX_ALL_READS = 512
WRITE_FAILED = 1


class Door:
    """What all sessions have in common.

    Judges log-ins: the key of this moment, and how long a source that was wrong has to wait. Numbers reads: Apps count
    their packet ids alike, and the script must be able to answer each.
    """

    def __init__(self, key: "Key", offers: "Offers | None" = None, accept: "Accept | None" = None) -> None:
        """
        Args:
            key: gives the 16 bytes of the auth key, None while the device has no owner.
            offers: gives keys that become the auth key when somebody proves one.
            accept: makes one of them the auth key; whether it could.
        """
        self.key = key
        self._offers = offers
        self._accept = accept
        self._delays = Delays()
        self._reads: "list[int]" = []

    def open(self, source: str, random: str, token: str, now: float) -> "bytes | None":
        """The key that the token proves, None when it proves none. Within its delay a source is not even looked at."""
        key = self.key()
        offers = self._offers() if self._offers is not None else []
        if (key is None and not offers) or self._delays.is_waiting(source, now):
            return None
        if key is not None and signing.same(signing.lan_token(key, random), token):
            self._delays.was_right(source)
            return key
        for offer in offers:
            if signing.same(signing.lan_token(offer, random), token):
                self._delays.was_right(source)
                return offer if self._accept is not None and self._accept(offer) else None
        self._delays.was_wrong(source, now)
        return None

    def knows(self, key: bytes) -> bool:
        """Whether who once proved this key may go on."""
        return key == self.key()

    def number_read(self, packet_id: int) -> int:
        """The packet id, or the next one that no other read without an answer has."""
        while packet_id in self._reads:
            packet_id = packet_id % 0xFFFE + 1
        self._reads = self._reads[1 - MAX_ALL_READS :] + [packet_id]
        return packet_id

    def read_is_answered(self, number: int) -> None:
        if number in self._reads:
            self._reads.remove(number)


class Session:
    """
    Attributes:
        also: what else its App may ask: a command, and what makes of its data the command and data of the answer.
        key: what the App has proved.
        is_open: whether the App has logged in.
        is_over: whether it had, and has lost its key or gone silent: the connection has served.
    """

    def __init__(self, source: str, door: Door, carry_out: "CarryOut", entropy: "Entropy", now: float) -> None:
        """`carry_out(decision)` does what a decision of `_downlink` asks for; the payload of the answer, or b""."""
        self.also: "dict[int, Callable[[bytes], tuple[int, bytes]]]" = {}
        self.is_open = False
        self.is_over = False
        self.key = b""
        self._source = source
        self._door = door
        self._carry_out = carry_out
        self._entropy = entropy
        self._random = ""
        self._cipher_key = b""
        self._iv = ""
        self._packet_id = 0
        self._heard_at = now
        self._pinged_at = now
        self._checked_at = now
        self._reads: "list[int]" = []

    # --- before the log-in ---

    def hello(self, packet_id: int) -> "Answer":
        """A random for one log-in; an earlier one is void, and so is an open session."""
        return packet_id, commands.RANDOM, lan.random(self.draw_random())

    def draw_random(self) -> str:
        """What `hello` tells."""
        self.leave()
        self._random = _draw.letters(self._entropy, lan.RANDOM_SIZE)
        return self._random

    def take_random(self) -> str:
        """The random of the last hello, "" when it has served: each serves once, an overheard token is void."""
        random, self._random = self._random, ""
        return random

    def log_in(self, packet_id: int, payload: bytes, now: float) -> "Answer":
        return packet_id, commands.LOGIN_RESULT, lan.login_result(self._judged(payload, now))

    def _judged(self, payload: bytes, now: float) -> int:
        random = self.take_random()
        try:
            token = lan.parse_login(payload)
        except WireError:
            return lan.LOGIN_REFUSED
        if self.is_valid() and signing.same(signing.lan_token(self.key, self._iv), token):
            return lan.ALREADY_LOGGED_IN  # it has not had, or not awaited, the answer to its log-in
        key = self._door.open(self._source, random, token, now) if random else None
        if key is None:
            return lan.LOGIN_REFUSED
        self.begin(key, key, random, now)
        return lan.LOGGED_IN

    def begin(self, key: bytes, cipher_key: bytes, random: str, now: float) -> None:
        """The App has proved `key`; from here on data is encrypted under `cipher_key` with the random as iv."""
        self.key, self._cipher_key, self._iv = key, cipher_key, random
        self._heard_at = self._pinged_at = self._checked_at = now
        self.is_open = True

    # --- after it ---

    def receive(self, asked: "frame.Frame", now: float) -> "list[Answer]":
        """What the App asks for, done; the answers, already encrypted."""
        if not self.is_valid():
            return []
        self._heard_at = now
        if asked.command == commands.PING:
            return [(asked.packet_id, commands.PONG, b"")]
        if asked.command not in _SERVED and asked.command not in self.also:
            return []
        try:
            data = signing.lan_decrypt(self._cipher_key, self._iv, asked.payload)
        except WireError:
            return []
        if asked.command in self.also:
            command, plain = self.also[asked.command](data)
            return [(asked.packet_id, command, self._encrypted(plain))]
        decision = _downlink.decide(frame.Frame(asked.packet_id, asked.command, data))
        if asked.command == commands.TSL_READ and decision[0] not in _FAILED:
            decision = self._numbered(decision)
        payload = b"" if decision[0] in _FAILED else self._carry_out(decision)
        return [
            (asked.packet_id, command, self._encrypted(plain))
            for command, plain in self._answers(asked, decision, payload)
        ]

    def _answers(self, asked: "frame.Frame", decision: "tuple[Any, ...]", payload: bytes) -> "list[tuple[int, bytes]]":
        failed = decision[0] in _FAILED
        if asked.command == commands.TSL_WRITE:
            return [(commands.WRITE_ACK, lan.write_ack(WRITE_FAILED if failed else 0))]
        if failed:
            return []
        if asked.command == commands.TSL_READ:
            # The script's answer follows as a report: it may take its time.
            return [(commands.TSL_READ_ANSWER, b"")]
        if asked.command == commands.STATUS_READ:
            return [(commands.STATUS_ANSWER, payload)]
        return []

    def _numbered(self, decision: "tuple[Any, ...]") -> "tuple[Any, ...]":
        """The read under a number of its own, by which the script answers it."""
        event, code, (packet_id, ids) = decision
        number = self._door.number_read(packet_id)
        for old in self._reads[: 1 - MAX_READS]:
            self._door.read_is_answered(old)
        self._reads = self._reads[1 - MAX_READS :] + [number]
        return event, code, [number, ids]

    def report(self, command: int, payload: bytes) -> bytes:
        """Frames that tell the App what the script reports; b"" when nobody is logged in. Without what fits in none."""
        if not self.is_valid():
            return b""
        out = b""
        for part in parts(command, payload):
            if len(part) > lan.MAX_DATA:
                continue
            self._packet_id = self._packet_id % 0xFFFE + 1
            out += frame.encode(self._packet_id, command, self._encrypted(part))
        return out

    def has_asked(self, number: int) -> bool:
        """Whether the App waits for the properties of the read with that number."""
        return number in self._reads

    def answer_read(self, number: int, payload: bytes) -> bytes:
        """Frames with the properties that the App asked for by the read with that number; b"" when it did not."""
        if not self.has_asked(number):
            return b""
        self._reads.remove(number)
        self._door.read_is_answered(number)
        return self.report(commands.TSL_REPORT, payload)

    def is_valid(self) -> bool:
        """Whether the App is logged in with a key that is good now."""
        if self.is_open and not self._door.knows(self.key):
            self.end()
        return self.is_open

    # --- time ---

    def next_timer(self) -> float:
        """When `handle_timer` has something to do, while the session is open."""
        return min(self._heard_at + SILENCE_S, self._ping_at(), self._checked_at + KEY_CHECK_S)

    def handle_timer(self, now: float) -> "bytes | None":
        """A ping when it is time for one, else b""; None when the session is over."""
        self._checked_at = now
        if now >= self._heard_at + SILENCE_S:
            self.end()
        if not self.is_valid():
            return None
        if now < self._ping_at():
            return b""
        self._pinged_at = now
        self._packet_id = self._packet_id % 0xFFFE + 1
        return frame.encode(self._packet_id, commands.PING)

    def _ping_at(self) -> float:
        return max(self._heard_at, self._pinged_at) + PING_AFTER_S

    def leave(self) -> None:
        """The App is a stranger again, on a connection that goes on."""
        self.is_open = False

    def end(self) -> None:
        """Nothing more comes of it: the App is gone, silent, or has lost its key."""
        for number in self._reads:
            self._door.read_is_answered(number)
        self._reads = []
        self.is_open = False
        self.is_over = True

    def _encrypted(self, data: bytes) -> bytes:
        return signing.lan_encrypt(self._cipher_key, self._iv, data)


_SERVED = (commands.TSL_READ, commands.TSL_WRITE, commands.TRANSPARENT_DOWN, commands.STATUS_READ)
_FAILED = (_downlink.COMPLAIN, _downlink.NOTHING)


def fits(command: int, payload: bytes) -> bool:
    """Whether `report` leaves out nothing of it."""
    return len(payload) <= lan.MAX_DATA or all([len(part) <= lan.MAX_DATA for part in parts(command, payload)])


def parts(command: int, payload: bytes) -> "list[bytes]":
    """The properties of a report in sets that fit a frame each; one that is large by itself stays whole."""
    if len(payload) <= MAX_REPORT or command != commands.TSL_REPORT:
        return [payload]
    whole: "list[bytes]" = []
    part = b""
    for field in ttlv.decode(payload):
        one = ttlv.encode([field])
        if part and len(part) + len(one) > MAX_REPORT:
            whole.append(part)
            part = b""
        part += one
    return whole + [part]
