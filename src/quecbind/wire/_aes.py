"""AES-128-CBC with PKCS#7, the only cipher of the wire, from `cryptography` or from MicroPython's `cryptolib`.

The protocol fixes key and IV for a whole product or session; nothing here makes that choice better or worse.
"""

import sys

from quecbind.wire.errors import CipherError

BLOCK = 16

if sys.implementation.name == "micropython":
    from cryptolib import aes  # type: ignore[import-not-found]  # a module of MicroPython

    def _encrypt(key: bytes, iv: bytes, data: bytes) -> bytes:
        return bytes(aes(key, 2, iv).encrypt(data))  # 2: CBC

    def _decrypt(key: bytes, iv: bytes, data: bytes) -> bytes:
        return bytes(aes(key, 2, iv).decrypt(data))

else:
    from cryptography.hazmat.primitives.ciphers import Cipher
    from cryptography.hazmat.primitives.ciphers.algorithms import AES
    from cryptography.hazmat.primitives.ciphers.modes import CBC

    def _encrypt(key: bytes, iv: bytes, data: bytes) -> bytes:
        context = Cipher(AES(key), CBC(iv)).encryptor()
        return context.update(data) + context.finalize()

    def _decrypt(key: bytes, iv: bytes, data: bytes) -> bytes:
        context = Cipher(AES(key), CBC(iv)).decryptor()
        return context.update(data) + context.finalize()


def _check(key: bytes, iv: bytes) -> None:
    if len(key) != BLOCK or len(iv) != BLOCK:
        raise CipherError("AES: key and IV must be 16 bytes each")


def encrypt(key: bytes, iv: bytes, data: bytes) -> bytes:
    _check(key, iv)
    pad = BLOCK - len(data) % BLOCK
    return _encrypt(key, iv, data + bytes((pad,)) * pad)


def decrypt(key: bytes, iv: bytes, data: bytes) -> bytes:
    """The plain bytes, the padding checked to its last byte and removed."""
    _check(key, iv)
    if not data or len(data) % BLOCK:
        raise CipherError("AES: ciphertext must be whole blocks of 16 bytes")
    plain = _decrypt(key, iv, data)
    pad = plain[-1]
    if not 1 <= pad <= BLOCK or plain[-pad:] != bytes((pad,)) * pad:
        raise CipherError("AES: padding is wrong")
    return plain[:-pad]
