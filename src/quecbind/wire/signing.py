"""What proves who is who: log-in passwords, session keys, LAN tokens, reset proofs, App passwords and signatures.

A device has two log-ins. The first one, `0;F;PK;base64(AES(DK;RAND;SIGN))`, proves that it holds the product secret;
every later one, `1;F;RAND;SIGN`, that it holds its device secret too. SIGN is base64(SHA-256(secrets;RAND)), F is
0001 when the device asks for an encrypted session. Both sides of each proof are here, so that one test covers both.
No randomness is drawn here, and a failed check says which rule was broken but never what was expected.
"""

import binascii
import hashlib
from collections import namedtuple

from quecbind.wire import _aes, _hmac, _text
from quecbind.wire.errors import CipherError, LoginError

NO_SUCH_PRODUCT = 10423
NOT_READABLE = 10424
WRONG_SIGNATURE = 10425
WRONG_SECRET = 10430
WRONG_FLAG = 10433
WRONG_DEVICE = 10434

MAX_PASSWORD = 512
RANDOM_SIZE = 16
_SIGN_SIZE = 44  # base64 of 32 bytes

# The reprs below keep a password that can be used again out of logs.


class FirstLogin(namedtuple("FirstLogin", ("session_flag", "product_key", "ciphertext"))):
    """`0;F;PK;...`: session_flag is a bool, product_key text, ciphertext bytes."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "FirstLogin(session_flag=%r, product_key=%r, ciphertext=<hidden>)" % self[:2]


class Login(namedtuple("Login", ("session_flag", "random", "sign"))):
    """`1;F;RAND;SIGN`: session_flag is a bool, random text, sign the bytes of its base64."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "Login(session_flag=%r, random=%r, sign=<hidden>)" % self[:2]


_FLAGS = {b"0000": False, b"0001": True}


def same(a: "str | bytes", b: "str | bytes") -> bool:
    """Whether both are equal, in a time that does not tell where they differ."""
    # surrogatepass: text from JSON may hold what UTF-8 cannot, and must differ, not raise
    if isinstance(a, str):
        a = a.encode("utf-8", "surrogatepass")
    if isinstance(b, str):
        b = b.encode("utf-8", "surrogatepass")
    return _hmac.compare(a, b)


def _base64(data: bytes) -> bytes:
    return binascii.b2a_base64(data)[:-1]


def _unbase64(text: bytes) -> "bytes | None":
    """The bytes, or None unless the text is exactly what encoding them gives."""
    try:
        data = binascii.a2b_base64(text)
    except ValueError:
        return None
    return data if _base64(data) == text else None


def _sha256(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


def _hex(data: bytes) -> str:
    return binascii.hexlify(data).decode()


def _check_random(random: str) -> str:
    if len(random) != RANDOM_SIZE or not _text.is_alphanumeric(random.encode()):
        raise LoginError(NOT_READABLE, "log-in: RAND must be 16 of 0-9 A-Z a-z")
    return random


def _product_cipher(product_secret: str) -> "tuple[bytes, bytes]":
    """AES key and IV of a product: devices cut or fill its secret to 16 bytes."""
    secret = product_secret.encode()
    return (secret + bytes(16))[:16], hashlib.sha256(secret).digest()[:16]


def _sign(secret: str, product_secret: str, random: str) -> bytes:
    return _base64(_sha256("%s;%s;%s" % (secret, product_secret, random)))


def first_login(product_key: str, product_secret: str, device_key: str, random: str, session_flag: bool = False) -> str:
    """The password of a device that has no device secret yet.

    Args:
        product_key: the product's public id.
        product_secret: the secret all its devices hold.
        device_key: the device's id within the product.
        random: 16 letters and digits, never used before.
        session_flag: whether to ask for an encrypted session.
    """
    sign = _sign(device_key, product_secret, _check_random(random)).decode()
    key, iv = _product_cipher(product_secret)
    proof = _aes.encrypt(key, iv, ("%s;%s;%s" % (device_key, random, sign)).encode())
    return "0;000%d;%s;%s" % (bool(session_flag), product_key, _base64(proof).decode())


def login(product_secret: str, device_secret: str, random: str, session_flag: bool = False) -> str:
    """The password of a device that holds its device secret; arguments as in `first_login`."""
    sign = _sign(device_secret, product_secret, _check_random(random)).decode()
    return "1;000%d;%s;%s" % (bool(session_flag), random, sign)


def parse_login(password: "bytes | str") -> "FirstLogin | Login":
    """What a password claims; nothing is proven yet.

    Raises:
        LoginError: 10424 not of either form, 10433 the session flag is neither 0000 nor 0001,
            10423 the product key cannot be one.
    """
    if isinstance(password, str):
        password = password.encode("utf-8", "surrogatepass")
    if len(password) > MAX_PASSWORD:
        raise LoginError(NOT_READABLE, "log-in: password over %d bytes" % MAX_PASSWORD)
    parts = password.split(b";")
    if len(parts) != 4:
        raise LoginError(NOT_READABLE, "log-in: password must have 4 parts between ';'")
    kind, flag, third, fourth = parts
    session_flag = _FLAGS.get(flag)
    if session_flag is None:
        raise LoginError(WRONG_FLAG, "log-in: session flag must be 0000 or 0001")
    if kind == b"1":
        if len(third) != RANDOM_SIZE or not _text.is_alphanumeric(third):
            raise LoginError(NOT_READABLE, "log-in: RAND must be 16 of 0-9 A-Z a-z")
        if len(fourth) != _SIGN_SIZE:
            raise LoginError(NOT_READABLE, "log-in: SIGN must be base64 of 32 bytes")
        return Login(session_flag, third.decode(), fourth)
    if kind != b"0":
        raise LoginError(NOT_READABLE, "log-in: password must begin with 0; or 1;")
    if len(third) > 32 or not _text.is_alphanumeric(third):
        raise LoginError(NO_SUCH_PRODUCT, "log-in: product key must be 1..32 of 0-9 A-Z a-z")
    ciphertext = _unbase64(fourth)
    if not ciphertext or len(ciphertext) % _aes.BLOCK:
        raise LoginError(NOT_READABLE, "log-in: the last part must be base64 of whole AES blocks")
    return FirstLogin(session_flag, third.decode(), ciphertext)


def open_first_login(first: "FirstLogin", product_secret: str, device_key: str) -> str:
    """Checks the proof in a first log-in.

    Args:
        first: what `parse_login` gave.
        product_secret: of the product the password names.
        device_key: the one in the client id.

    Returns:
        Its RAND.

    Raises:
        LoginError: 10424 it cannot be decrypted with this product secret, 10434 it is for another device key,
            10425 the signature is wrong.
    """
    key, iv = _product_cipher(product_secret)
    try:
        parts = _text.decode(_aes.decrypt(key, iv, first.ciphertext)).split(";")
    except (CipherError, UnicodeError):
        raise LoginError(NOT_READABLE, "first log-in: not readable with this product's secret") from None
    if len(parts) != 3:
        raise LoginError(NOT_READABLE, "first log-in: must hold device key, RAND and SIGN")
    claimed, random, sign = parts
    if not same(claimed, device_key):
        raise LoginError(WRONG_DEVICE, "first log-in: for another device key than the client id")
    _check_random(random)
    if not same(sign, _sign(device_key, product_secret, random)):
        raise LoginError(WRONG_SIGNATURE, "first log-in: the signature is wrong")
    return random


def verify_login(login: "Login", product_secret: str, device_secret: str) -> None:
    """Checks the signature of a log-in.

    Raises:
        LoginError: 10430, it was made with other secrets.
    """
    if not _hmac.compare(_sign(device_secret, product_secret, login.random), login.sign):
        raise LoginError(WRONG_SECRET, "log-in: the signature is wrong")


def session_encrypt(key: bytes, data: bytes) -> bytes:
    """A whole frame, encrypted for the PUBLISH of a session with a session key (16 bytes)."""
    return _aes.encrypt(key, hashlib.sha256(key).digest()[:16], data)


def session_decrypt(key: bytes, data: bytes) -> bytes:
    """The frame in an encrypted PUBLISH.

    Raises:
        CipherError: not whole blocks, or not padded as PKCS#7.
    """
    return _aes.decrypt(key, hashlib.sha256(key).digest()[:16], data)


def lan_token(key: bytes, random: str) -> str:
    """The 64 hex digits an App logs in with on LAN or BLE: auth key, and the random the device gave."""
    return _hex(_sha256(_hex(key) + ";" + random))


def lan_encrypt(key: bytes, random: str, data: bytes) -> bytes:
    """A frame's data after the LAN log-in; no data stays no data."""
    return _aes.encrypt(key, random.encode(), data) if data else b""


def lan_decrypt(key: bytes, random: str, data: bytes) -> bytes:
    """The data of a frame after the LAN log-in; nothing may come as nothing or as one block of padding.

    Raises:
        CipherError: not whole blocks, or not padded as PKCS#7.
    """
    return _aes.decrypt(key, random.encode(), data) if data else b""


def reset_key(device_secret: str, device_key: str) -> bytes:
    """What a device keeps of a secret it forgets, to prove later that it held it (quecbind extension)."""
    return _hmac.sha256(device_secret.encode(), ("rst;" + device_key).encode())


def reset_user_name(key: bytes, random: str) -> str:
    """The user name of a first log-in after a reset: `rst;RAND;base64(HMAC-SHA256(key, RAND))`."""
    proof = _base64(_hmac.sha256(key, _check_random(random).encode()))
    return "rst;%s;%s" % (random, proof.decode())


def verify_reset_user_name(user_name: "bytes | str", key: bytes) -> str:
    """Checks a reset proof and returns its RAND.

    Raises:
        LoginError: 10424 not of that form, 10425 made with another key.
    """
    if isinstance(user_name, str):
        user_name = user_name.encode("utf-8", "surrogatepass")
    parts = user_name.split(b";") if len(user_name) <= MAX_PASSWORD else []
    if len(parts) != 3 or parts[0] != b"rst" or len(parts[2]) != _SIGN_SIZE:
        raise LoginError(NOT_READABLE, "reset proof: must be rst;RAND;base64 of 32 bytes")
    if len(parts[1]) != RANDOM_SIZE or not _text.is_alphanumeric(parts[1]):
        raise LoginError(NOT_READABLE, "reset proof: RAND must be 16 of 0-9 A-Z a-z")
    if not _hmac.compare(_base64(_hmac.sha256(key, parts[1])), parts[2]):
        raise LoginError(WRONG_SIGNATURE, "reset proof: made with another key")
    return parts[1].decode()


def _app_cipher(random: str) -> "tuple[bytes, bytes]":
    # The App API fixes MD5 here; it spreads the random over a key and guards nothing.
    digest = hashlib.md5(random.encode()).digest()  # noqa: S324
    key = _hex(digest).upper()[8:24].encode()
    return key, key[8:] + key[:8]


def app_password_encrypt(password: str, random: str) -> str:
    """A user's password as Apps send it: base64(AES-128-CBC), keyed by the random sent beside it."""
    key, iv = _app_cipher(random)
    return _base64(_aes.encrypt(key, iv, password.encode())).decode()


def app_password_decrypt(encrypted: str, random: str) -> str:
    """The password an App sent.

    Raises:
        CipherError: not base64, not encrypted with this random, or not text.
    """
    try:
        # The base64 of Android breaks lines, and ends in a break.
        ciphertext = _unbase64(_text.encode(encrypted.replace("\r", "").replace("\n", "")))
        key, iv = _app_cipher(random)
        if ciphertext is not None:
            return _text.decode(_aes.decrypt(key, iv, ciphertext))
    except UnicodeError:
        raise CipherError("App password: not text after decryption") from None
    raise CipherError("App password: not base64")


def app_signature(*parts: str) -> str:
    """An App request's signature: SHA-256 of the parts one after the other, as lower-case hex.

    Raises:
        CipherError: a part is not text that UTF-8 can hold.
    """
    try:
        return _hex(_sha256("".join(parts)))
    except UnicodeError:
        raise CipherError("App signature: a part holds a surrogate") from None
