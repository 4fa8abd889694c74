"""What App, BLE-only device and Developer Center tell each other through the App: bind codes and bind secrets.

Everything is Base64(AES-128-CBC-PKCS7(text, key = product secret, iv = the device's random)). The text is a bind code,
or "PK,DK,bind secret" for bind secrets and for the credentials of a reset. Only the Developer Center and the devices of
the product hold the key, so an App carries what it cannot read. The format has no check of its own: whoever may choose
the random can change the first 16 bytes of what is read, so the random must be the one that the bind code was made for.
No randomness is drawn here.
"""

import binascii

from quecbind.wire import _aes, _text
from quecbind.wire.errors import CipherError

RANDOM_SIZE = 16
MAX_TEXT = 512


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
