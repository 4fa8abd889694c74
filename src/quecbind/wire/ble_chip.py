"""Account commands and session encryption of BLE chips of the generation before (short-range.md D.6).

An unbound chip takes the first auth key it is given for that of its administrator; 0x8011 shows the key, 0x8012 lists
the accounts, 0x8014 grants and revokes. The document contradicts itself on what 0x801C carries, so any subset of the
known fields is read. The session key is the chip's MAC address, which is on every advertisement: this hides nothing
from whoever is near, and is here to read such devices, not to make any. No I/O, no randomness.
"""

from quecbind.wire import _aes, ttlv
from quecbind.wire._record import Record
from quecbind.wire.errors import BleError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

AUTH_KEY, ACCOUNT, PIN, RANDOM, RESULT, PAIR_MODE = 1, 2, 3, 4, 5, 6  # field ids
NUMERIC_COMPARISON, JUST_WORKS, PASSKEY, OUT_OF_BAND = 1, 2, 3, 4  # pair modes
KEY_SIZE = 16
LOWEST_PIN, HIGHEST_PIN = 100000, 999999
MAX_ACCOUNTS = 64

_DIGITS = "0123456789ABCDEF"


class Account(Record):
    """Who asks (0x8011), and the passkey that the chip shall have; pin is None when it is to have none."""

    __slots__ = _fields = ("auth_key", "pin")
    _hidden = ("auth_key",)

    def __init__(self, auth_key: bytes, pin: "int | None" = None) -> None:
        self.auth_key = auth_key
        self.pin = pin

    def __repr__(self) -> str:
        return "Account(auth_key=<%d hidden>, pin=%s)" % (len(self.auth_key), None if self.pin is None else "<hidden>")


class Accepted(Record):
    """What 0x801C says: the random that becomes the iv, the pair mode, and whether the chip keeps a passkey."""

    __slots__ = _fields = ("random", "pair_mode", "has_pin")

    def __init__(self, random: "bytes | None", pair_mode: "int | None", has_pin: bool) -> None:
        self.random = random
        self.pair_mode = pair_mode
        self.has_pin = has_pin


def _key(fields: "list[tuple[int, Any]]", number: int, name: str) -> bytes:
    value = ttlv.first(fields, number)
    if not isinstance(value, bytes) or len(value) != KEY_SIZE:
        raise BleError("%s: field %d must be 16 bytes" % (name, number))
    return value


def _check_pin(pin: "Any", name: str) -> int:
    if isinstance(pin, bool) or not isinstance(pin, int) or not LOWEST_PIN <= pin <= HIGHEST_PIN:
        raise BleError("%s: the PIN must be 100000..999999" % name)
    return pin


def _fields(payload: bytes) -> "list[tuple[int, Any]]":
    return ttlv.decode(payload, 2, MAX_ACCOUNTS) if payload else []


def authenticate(auth_key: bytes, pin: "int | None" = None) -> bytes:
    """0x8011."""
    fields: "list[tuple[int, Any]]" = [(AUTH_KEY, auth_key)]
    if pin is not None:
        fields.append((PIN, _check_pin(pin, "BLE chip log-in")))
    return ttlv.encode(fields)


def parse_authenticate(payload: bytes) -> "Account":
    name = "BLE chip log-in"
    fields = _fields(payload)
    pin = ttlv.first(fields, PIN)
    return Account(_key(fields, AUTH_KEY, name), None if pin is None else _check_pin(pin, name))


def authenticated(random: bytes, pair_mode: int = JUST_WORKS) -> bytes:
    """0x801C, as the document's argument table has it: random and pair mode."""
    return ttlv.encode([(RANDOM, random), (PAIR_MODE, pair_mode)])


def parse_authenticated(payload: bytes) -> "Accepted":
    """Any subset of the fields that the document names."""
    name = "BLE chip log-in answer"
    fields = _fields(payload)
    random = None if ttlv.first(fields, RANDOM) is None else _key(fields, RANDOM, name)
    mode = ttlv.first(fields, PAIR_MODE)
    if mode is not None and (isinstance(mode, bool) or mode not in (1, 2, 3, 4)):
        raise BleError("%s: the pair mode must be 1..4" % name)
    return Accepted(random, mode, ttlv.first(fields, PIN) is not None)


def accounts(auth_keys: "list[bytes]") -> bytes:
    """0x8013: everybody whom the chip knows; the question, 0x8012, has no data."""
    return ttlv.encode([(AUTH_KEY, auth_key) for auth_key in auth_keys])


def parse_accounts(payload: bytes) -> "list[bytes]":
    auth_keys = []
    for number, value in _fields(payload):
        if number == AUTH_KEY:
            auth_keys.append(_key([(number, value)], AUTH_KEY, "BLE chip accounts"))
    return auth_keys


def grant(auth_key: bytes, is_granted: bool) -> bytes:
    """0x8014: lets somebody in, or out."""
    return ttlv.encode([(AUTH_KEY, auth_key), (ACCOUNT, is_granted)])


def parse_grant(payload: bytes) -> "tuple[bytes, bool]":
    name = "BLE chip grant"
    fields = _fields(payload)
    is_granted = ttlv.first(fields, ACCOUNT)
    if not isinstance(is_granted, bool):
        raise BleError("%s: field 2 is missing or not a bool" % name)
    return _key(fields, AUTH_KEY, name), is_granted


def granted(is_done: bool) -> bytes:
    """0x801D."""
    return ttlv.encode([(RESULT, is_done)])


def parse_granted(payload: bytes) -> bool:
    is_done = ttlv.first(_fields(payload), RESULT)
    if not isinstance(is_done, bool):
        raise BleError("BLE chip grant answer: field 5 is missing or not a bool")
    return is_done


def session_key(mac: str) -> bytes:
    """The key that everybody knows: "!!", twelve hex digits, "!!"."""
    digits = mac.replace(":", "").upper()
    if len(digits) != 12 or not all([digit in _DIGITS for digit in digits]):
        raise BleError("BLE chip: a MAC address has 12 hex digits")
    return ("!!%s!!" % digits).encode()


def encrypt(mac: str, random: bytes, data: bytes) -> bytes:
    """Data of a frame, once 0x801C has given its random.

    Raises:
        CipherError: the random is not 16 bytes.
    """
    return _aes.encrypt(session_key(mac), random, data)


def decrypt(mac: str, random: bytes, data: bytes) -> bytes:
    """
    Raises:
        CipherError: not encrypted so.
    """
    return _aes.decrypt(session_key(mac), random, data)
