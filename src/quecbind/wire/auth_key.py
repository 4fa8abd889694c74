"""The auth key on its way to the device: field 12 of 0x00B4, readable only with the device secret (quecbind extension).

The text is Base64(iv + AES-128-CBC-PKCS7(K, iv, auth key)), 64 characters, where K is the first 16 bytes of
HMAC-SHA256(device secret, "auth key;" + device key) and iv the first 16 bytes of HMAC-SHA256(K, auth key). The iv
follows from the content, so the reader makes it again and refuses whatever was changed on the way. Sixteen zero bytes
in place of a key say that there is none any more. No randomness is drawn and no error holds a key.
"""

import binascii

from quecbind.wire import _aes, _hmac
from quecbind.wire.errors import CipherError

SIZE = 16
TEXT_SIZE = 64
NONE = bytes(SIZE)


def _key(device_secret: str, device_key: str) -> bytes:
    return _hmac.sha256(device_secret.encode(), ("auth key;" + device_key).encode())[:SIZE]


def seal(auth_key: bytes, device_secret: str, device_key: str) -> bytes:
    """The text for the device that holds `device_secret`.

    Raises:
        CipherError: the auth key is not 16 bytes.
    """
    if len(auth_key) != SIZE:
        raise CipherError("auth key: must be 16 bytes")
    key = _key(device_secret, device_key)
    iv = _hmac.sha256(key, auth_key)[:SIZE]
    return binascii.b2a_base64(iv + _aes.encrypt(key, iv, auth_key))[:-1]


def unseal(text: bytes, device_secret: str, device_key: str) -> bytes:
    """The auth key, or `NONE`.

    Raises:
        CipherError: not such a text, made for another secret or device, or changed on the way.
    """
    try:
        sealed = binascii.a2b_base64(text) if len(text) == TEXT_SIZE else b""
    except ValueError:
        sealed = b""
    if len(sealed) != 3 * SIZE:
        raise CipherError("auth key: must be Base64 of 48 bytes")
    key = _key(device_secret, device_key)
    iv = sealed[:SIZE]
    auth_key = _aes.decrypt(key, iv, sealed[SIZE:])
    if not _hmac.compare(_hmac.sha256(key, auth_key)[:SIZE], iv) or len(auth_key) != SIZE:
        raise CipherError("auth key: not made for this device, or changed on the way")
    return auth_key
