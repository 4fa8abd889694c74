"""BLE chips of the generation before: advertisement, account commands, session encryption (short-range.md D.6).

An unbound chip takes the first auth key it is given for that of its administrator; 0x8011 shows the key, 0x8012 lists
the accounts, 0x8014 grants and revokes. The document contradicts itself on what 0x801C carries, so any subset of the
known fields is read. It does not say what a refusal looks like either: field 5 false is ours, for all three answers.
The session key is the chip's MAC address, which is on every advertisement: this hides nothing from whoever is near.
No I/O, no randomness.
"""

import binascii
from collections import namedtuple

from quecbind.wire import _aes, _text, ttlv
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
MAC_SIZE = 6
PRODUCT_KEY_SIZE = 6  # of an advertisement, which has no room for the length of another

_DIGITS = "0123456789ABCDEF"

# mac: 12 hex digits, upper case; product_key: None while the chip is bound
Advertised = namedtuple("Advertised", ("mac", "product_key"))


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


def authenticated(random: bytes, pair_mode: int = JUST_WORKS, has_pin: bool = False) -> bytes:
    """0x801C: random, pair mode, and whether the chip keeps a passkey; never which."""
    fields: "list[tuple[int, Any]]" = [(RANDOM, random), (PAIR_MODE, pair_mode)]
    return ttlv.encode(fields + ([(PIN, True)] if has_pin else []))


def refused() -> bytes:
    """0x801C, 0x8013: not for this auth key, or not now."""
    return ttlv.encode([(RESULT, False)])


def _is_refusal(fields: "list[tuple[int, Any]]") -> bool:
    return ttlv.first(fields, RESULT) is False


def parse_authenticated(payload: bytes) -> "Accepted | None":
    """Any subset of the fields that the document names; None for a refusal."""
    name = "BLE chip log-in answer"
    fields = _fields(payload)
    if _is_refusal(fields):
        return None
    random = None if ttlv.first(fields, RANDOM) is None else _key(fields, RANDOM, name)
    mode = ttlv.first(fields, PAIR_MODE)
    if mode is not None and (isinstance(mode, bool) or mode not in (1, 2, 3, 4)):
        raise BleError("%s: the pair mode must be 1..4" % name)
    return Accepted(random, mode, ttlv.first(fields, PIN) is not None)


def accounts(auth_keys: "list[bytes]") -> bytes:
    """0x8013: everybody whom the chip knows; the question, 0x8012, has no data."""
    return ttlv.encode([(AUTH_KEY, auth_key) for auth_key in auth_keys])


def parse_accounts(payload: bytes) -> "list[bytes] | None":
    """Auth keys in the chip's order; None for a refusal."""
    fields = _fields(payload)
    if _is_refusal(fields):
        return None
    auth_keys = []
    for number, value in fields:
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


# --- the MAC address: whom an advertisement names, and the key of sessions ---


def is_mac(text: str) -> bool:
    """Whether it is 12 hex digits, with or without colons."""
    digits = text.replace(":", "").upper()
    return len(digits) == 2 * MAC_SIZE and all([digit in _DIGITS for digit in digits])


def mac_of(text: str) -> str:
    """Twelve hex digits, upper case.

    Raises:
        BleError: it is no MAC address.
    """
    if not is_mac(text):
        raise BleError("BLE chip: a MAC address has 12 hex digits")
    return text.replace(":", "").upper()


def manufacturer_data(mac: str, product_key: "str | None") -> bytes:
    """The manufacturer data behind the company id: the product key only while the chip is unbound.

    Raises:
        BleError: not a MAC address, or a product key that is not 6 letters and digits.
    """
    data = binascii.unhexlify(mac_of(mac))
    if product_key is None:
        return data
    if len(product_key) != PRODUCT_KEY_SIZE or not _text.is_alphanumeric(product_key.encode()):
        raise BleError("BLE chip: a product key that is advertised has 6 letters and digits")
    return data + product_key.encode()


def parse_manufacturer_data(data: bytes) -> "Advertised":
    """Whom the manufacturer data behind the company id names.

    Raises:
        BleError: not of this kind. "EC" begins what later devices say, and no address of one device.
    """
    product_key = data[MAC_SIZE:]
    if len(data) not in (MAC_SIZE, MAC_SIZE + PRODUCT_KEY_SIZE) or data[:2] == b"EC":
        raise BleError("BLE chip: not its advertisement")
    if product_key and not _text.is_alphanumeric(product_key):
        raise BleError("BLE chip: a product key that is advertised has 6 letters and digits")
    mac = binascii.hexlify(data[:MAC_SIZE]).decode().upper()
    return Advertised(mac, product_key.decode() if product_key else None)


def session_key(mac: str) -> bytes:
    """The key that everybody knows: "!!", twelve hex digits, "!!"."""
    return ("!!%s!!" % mac_of(mac)).encode()


def encrypt(mac: str, random: bytes, data: bytes) -> bytes:
    """Data of a frame, once 0x801C has given its random; no data stays no data.

    Raises:
        CipherError: the random is not 16 bytes.
    """
    return _aes.encrypt(session_key(mac), random, data) if data else b""


def decrypt(mac: str, random: bytes, data: bytes) -> bytes:
    """Nothing may come as nothing or as one block of padding.

    Raises:
        CipherError: not encrypted so.
    """
    return _aes.decrypt(session_key(mac), random, data) if data else b""
