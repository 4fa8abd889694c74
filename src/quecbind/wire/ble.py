"""What App, BLE-only device and Developer Center tell each other through the App: bind codes and bind secrets.

Everything is Base64(AES-128-CBC-PKCS7(text, key = product secret, iv = the device's random)). The text is a bind code,
or "PK,DK,bind secret" for bind secrets and for the credentials of a reset. Only the Developer Center and the devices of
the product hold the key, so an App carries what it cannot read. The format has no check of its own: whoever may choose
the random can change the first 16 bytes of what is read, so the random must be the one that the bind code was made for.
No randomness is drawn here.

Between App and device they travel in the account authentication, whose field ids are not published: 1 result and 3 code
are what an experiment in the field uses, 4 and 5 are ours, and so is what the unbind (0x7063) carries.
"""

import binascii

from quecbind.wire import _aes, _text, ttlv
from quecbind.wire._record import Record
from quecbind.wire.errors import BleError, CipherError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

RANDOM_SIZE = 16
MAX_TEXT = 512
ACCEPTED = 0
REFUSED = 1


class Authenticated(Record):
    """A device's answer to an encrypted bind code: result 0 took it; its bind secrets, encrypted, or None."""

    __slots__ = _fields = ("result", "new_secret", "old_secret")
    _hidden = ("new_secret", "old_secret")

    def __init__(self, result: int, new_secret: "str | None" = None, old_secret: "str | None" = None) -> None:
        self.result = result
        self.new_secret = new_secret
        self.old_secret = old_secret


def is_random(random: str) -> bool:
    """Whether it is 16 of 0-9 A-Z a-z."""
    return len(random) == RANDOM_SIZE and _text.is_alphanumeric(random.encode())


def _cipher(product_secret: str, random: str) -> "tuple[bytes, bytes]":
    return (product_secret.encode() + bytes(16))[:16], random.encode()


def _encrypt(text: str, product_secret: str, random: str) -> str:
    key, iv = _cipher(product_secret, random)
    return binascii.b2a_base64(_aes.encrypt(key, iv, text.encode()))[:-1].decode()


def _decrypt(encrypted: str, product_secret: str, random: str) -> str:
    key, iv = _cipher(product_secret, random)
    try:
        data = _text.encode(encrypted) if len(encrypted) <= MAX_TEXT else b""
        ciphertext = binascii.a2b_base64(data)
        text = _text.decode(_aes.decrypt(key, iv, ciphertext))
    except ValueError:  # CipherError and UnicodeError are two of them
        raise CipherError("BLE: not encrypted with this secret and random") from None
    if binascii.b2a_base64(ciphertext)[:-1] != data:
        raise CipherError("BLE: not the one spelling of Base64")
    return text


def encrypt_bind_code(bind_code: str, product_secret: str, random: str) -> str:
    """A bind code for the device that gave `random`."""
    return _encrypt(bind_code, product_secret, random)


def decrypt_bind_code(encrypted: str, product_secret: str, random: str) -> str:
    """What was encrypted; whether it is a bind code is for the caller to see.

    Raises:
        CipherError: not encrypted with this product secret and random.
    """
    return _decrypt(encrypted, product_secret, random)


def encrypt_bind_secret(product_key: str, device_key: str, bind_secret: str, product_secret: str, random: str) -> str:
    """A bind secret on its way to the Developer Center, or the credentials of a reset on their way to the device."""
    return _encrypt("%s,%s,%s" % (product_key, device_key, bind_secret), product_secret, random)


def decrypt_bind_secret(encrypted: str, product_secret: str, random: str) -> "tuple[str, str, str]":
    """Product key, device key and bind secret.

    Raises:
        CipherError: not encrypted with this product secret and random, or not of three parts.
    """
    parts = _decrypt(encrypted, product_secret, random).split(",")
    if len(parts) != 3:
        raise CipherError("BLE: a bind secret comes as product key, device key and secret")
    return parts[0], parts[1], parts[2]


def authenticate(encrypted_code: str) -> bytes:
    """0x7016: the bind code as the Developer Center encrypted it."""
    return ttlv.encode([(1, 1), (3, encrypted_code)])


def parse_authenticate(payload: bytes) -> str:
    """The encrypted bind code, Base64; bare ciphertext is taken too."""
    data = ttlv.first(_fields_of(payload), 3)
    if not isinstance(data, bytes) or not 1 <= len(data) <= MAX_TEXT:
        raise BleError("account authentication: field 3 is missing or not text")
    if len(data) == 2 * _aes.BLOCK:
        return binascii.b2a_base64(data)[:-1].decode()
    return _ascii(data, "account authentication")


def authenticated(answer: "Authenticated") -> bytes:
    """0x7017 or 0x7018."""
    fields: "list[tuple[int, Any]]" = [(1, answer.result)]
    if answer.new_secret is not None:
        fields.append((4, answer.new_secret))
    if answer.old_secret is not None:
        fields.append((5, answer.old_secret))
    return ttlv.encode(fields)


def parse_authenticated(payload: bytes) -> "Authenticated":
    """What the device made of the bind code."""
    fields = _fields_of(payload)
    result = ttlv.first(fields, 1)
    if isinstance(result, bool) or not isinstance(result, int):
        raise BleError("account authentication answer: field 1 is missing or not an integer")
    texts: "list[str | None]" = []
    for number in (4, 5):
        data = ttlv.first(fields, number)
        if data is not None and (not isinstance(data, bytes) or len(data) > MAX_TEXT):
            raise BleError("account authentication answer: field %d is not text" % number)
        texts.append(None if data is None else _ascii(data, "account authentication answer"))
    return Authenticated(result, texts[0], texts[1])


def unbind(credentials: str, random: str) -> bytes:
    """0x7063: credentials of a reset as the Developer Center encrypted them, and the random it drew for that."""
    return ttlv.encode([(1, random), (3, credentials)])


def parse_unbind(payload: bytes) -> "tuple[str, str]":
    """Credentials and random."""
    fields = _fields_of(payload)
    texts = []
    for number in (3, 1):
        data = ttlv.first(fields, number)
        if not isinstance(data, bytes) or len(data) > MAX_TEXT:
            raise BleError("unbind: field %d is missing or not text" % number)
        texts.append(_ascii(data, "unbind"))
    if not is_random(texts[1]):
        raise BleError("unbind: the random must be 16 of 0-9 A-Z a-z")
    return texts[0], texts[1]


def unbound(result: int) -> bytes:
    """0x7064: 0 the device has forgotten its owner."""
    return ttlv.encode([(1, result)])


def parse_unbound(payload: bytes) -> int:
    result = ttlv.first(_fields_of(payload), 1)
    if isinstance(result, bool) or not isinstance(result, int):
        raise BleError("unbind answer: field 1 is missing or not an integer")
    return result


def _fields_of(payload: bytes) -> "list[tuple[int, Any]]":
    return ttlv.decode(payload, 2, 32)


def _ascii(data: bytes, where: str) -> str:
    for byte in data:
        if not 0x20 <= byte <= 0x7E:
            raise BleError("%s: text must be printable ASCII" % where)
    return data.decode()
