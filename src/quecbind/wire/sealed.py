"""Sealed pairing (quecbind extension): the bind code, readable only with a PIN that App and device both know.

    App     0x70E0 {1: its SPAKE2 element}
    device  0x70E1 {1: its element}                        or {3: NOT_NOW}
    App     0x70E2 {2: proof that it has the common key}
    device  0x70E3 {3: DONE, 9: the bind code, sealed}     or {3: WRONG_PIN, 4: tries left} or {3: NOT_NOW}

SPAKE2 gives both sides the same 32 bytes when they began with the same PIN, and a listener nothing, not even something
to try PINs on later. What is made of these bytes is here; the group arithmetic belongs to a library, and who may try
how often to the device. The App proves first, so whoever does not know the PIN gets no answer to compare guesses with.
"""

from collections import namedtuple

from quecbind.wire import _aes, _hmac, _text, ttlv
from quecbind.wire.errors import CipherError, LanError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

ELEMENT_SIZE = 33
PROOF_SIZE = 32
KEY_SIZE = 32
SEALED_SIZE = 64
MIN_PIN = 6
MAX_PIN = 16

DONE = 0
WRONG_PIN = 1
NOT_NOW = 2

APP_IDENTITY = b"quecbind App"

# sealed: None unless result is DONE; tries_left: None unless it is WRONG_PIN
Outcome = namedtuple("Outcome", ("result", "sealed", "tries_left"))


def is_pin(text: str) -> bool:
    """Whether the text can be a PIN: 6 to 16 digits."""
    return MIN_PIN <= len(text) <= MAX_PIN and all("0" <= letter <= "9" for letter in text)


def device_identity(product_key: str, device_key: str) -> bytes:
    """What SPAKE2 calls the device: an exchange with one device is none with another."""
    return ("quecbind device;%s;%s" % (product_key, device_key)).encode()


def proof(key: bytes) -> bytes:
    """The App's proof that it has the common key; 32 bytes."""
    return _hmac.sha256(_sized(key), b"App")


def is_proof(key: bytes, given: bytes) -> bool:
    """Whether these bytes prove it, compared in constant time."""
    return _hmac.compare(proof(key), given)


def seal(key: bytes, bind_code: str) -> bytes:
    """The bind code under a common key, which serves this once: AES-128-CBC, then HMAC-SHA256 over it; 64 bytes."""
    both = _hmac.sha256(_sized(key), b"cipher")
    encrypted = _aes.encrypt(both[:16], both[16:], bind_code.encode())
    return encrypted + _hmac.sha256(key, b"device" + encrypted)


def unseal(key: bytes, sealed: bytes) -> str:
    """The bind code: the device that sent it knows the PIN.

    Raises:
        CipherError: made with another key, or changed on the way.
    """
    encrypted, tag = sealed[:-PROOF_SIZE], sealed[-PROOF_SIZE:]
    if not _hmac.compare(_hmac.sha256(_sized(key), b"device" + encrypted), tag):
        raise CipherError("sealed bind code: not made with this PIN, or changed on the way")
    both = _hmac.sha256(key, b"cipher")
    code = _aes.decrypt(both[:16], both[16:], encrypted)
    if len(code) != 16 or not _text.is_alphanumeric(code):
        raise CipherError("sealed bind code: must be 16 letters and digits")
    return code.decode()


def _sized(key: bytes) -> bytes:
    if len(key) != KEY_SIZE:
        raise CipherError("sealed pairing: the common key must be 32 bytes")
    return key


def ask(element: bytes) -> bytes:
    """0x70E0: an App would like to have the bind code."""
    return ttlv.encode([(1, element)])


def parse_ask(payload: bytes) -> bytes:
    """The App's element."""
    return _bytes(_fields(payload), 1, ELEMENT_SIZE)


def answer(element: bytes) -> bytes:
    """0x70E1: the device's element."""
    return ttlv.encode([(1, element)])


def not_now() -> bytes:
    """0x70E1, 0x70E3: no bind window is open, the device has no PIN, or it has been asked too often."""
    return ttlv.encode([(3, NOT_NOW)])


def parse_answer(payload: bytes) -> "bytes | None":
    """The device's element; None for "not now"."""
    fields = _fields(payload)
    return None if ttlv.first(fields, 3) == NOT_NOW else _bytes(fields, 1, ELEMENT_SIZE)


def prove(given: bytes) -> bytes:
    """0x70E2: the App's proof."""
    return ttlv.encode([(2, given)])


def parse_prove(payload: bytes) -> bytes:
    """The App's proof, still to be compared."""
    return _bytes(_fields(payload), 2, PROOF_SIZE)


def hand_over(sealed: bytes) -> bytes:
    """0x70E3: the PIN was right."""
    return ttlv.encode([(3, DONE), (9, sealed)])


def refuse(tries_left: int) -> bytes:
    """0x70E3: the PIN was wrong; at 0 the bind window has closed."""
    return ttlv.encode([(3, WRONG_PIN), (4, tries_left)])


def parse_outcome(payload: bytes) -> "Outcome":
    """How the exchange ended."""
    fields = _fields(payload)
    result = ttlv.first(fields, 3)
    if result == DONE and not isinstance(result, bool):
        return Outcome(DONE, _bytes(fields, 9, SEALED_SIZE), None)
    if result == NOT_NOW:
        return Outcome(NOT_NOW, None, None)
    left = ttlv.first(fields, 4, 0)
    if result != WRONG_PIN or isinstance(result, bool) or not isinstance(left, int) or not 0 <= left <= 255:
        raise LanError("sealed pairing: field 3 must be 0, 1 or 2, field 4 the tries left")
    return Outcome(WRONG_PIN, None, int(left))


def _fields(payload: bytes) -> "list[tuple[int, Any]]":
    return ttlv.decode(payload, 1, 8)


def _bytes(fields: "list[tuple[int, Any]]", number: int, size: int) -> bytes:
    value = ttlv.first(fields, number)
    if not isinstance(value, bytes) or len(value) != size:
        raise LanError("sealed pairing: field %d must be %d bytes" % (number, size))
    return value
