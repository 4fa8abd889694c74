"""The sealed auth key: one example made by hand from the description, and everything that must be refused."""

import base64
import hashlib
import hmac

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC

from quecbind.wire import auth_key
from quecbind.wire.errors import CipherError

DS = "abcdefghijklmnopqrstuvwxyz012345"
DK = "861122334455667"
KEY = bytes(range(16))


def by_hand(content: bytes, iv: bytes | None = None) -> bytes:
    """As the document says it, with other libraries than `wire`."""
    key = hmac.new(DS.encode(), b"auth key;" + DK.encode(), hashlib.sha256).digest()[:16]
    iv = hmac.new(key, content, hashlib.sha256).digest()[:16] if iv is None else iv
    encryptor = Cipher(AES(key), CBC(iv)).encryptor()
    padded = content + bytes([16 - len(content) % 16]) * (16 - len(content) % 16)
    return base64.b64encode(iv + encryptor.update(padded) + encryptor.finalize())


def test_it_is_sealed_as_the_document_says() -> None:
    sealed = auth_key.seal(KEY, DS, DK)

    assert sealed == by_hand(KEY) == b"q4lg7zKpL9KeJ1D7FpYd8QdbRt1LUyngQzs9kCk3WpB+Z10GjfsF859wlKilUHNQ"
    assert len(sealed) == auth_key.TEXT_SIZE


@pytest.mark.parametrize("key", [KEY, auth_key.NONE, b"\xff" * 16])
def test_the_device_reads_what_was_sealed_for_it(key: bytes) -> None:
    assert auth_key.unseal(auth_key.seal(key, DS, DK), DS, DK) == key


@pytest.mark.parametrize(("secret", "device"), [(DS[:-1] + "6", DK), (DS, DK + "0"), ("", DK), (DS, "")])
def test_another_secret_or_device_reads_nothing(secret: str, device: str) -> None:
    with pytest.raises(CipherError):
        auth_key.unseal(auth_key.seal(KEY, DS, DK), secret, device)


@pytest.mark.parametrize("at", range(48))
def test_a_changed_byte_is_refused_wherever_it_is(at: int) -> None:
    sealed = bytearray(base64.b64decode(auth_key.seal(KEY, DS, DK)))
    sealed[at] ^= 1

    with pytest.raises(CipherError):
        auth_key.unseal(base64.b64encode(sealed), DS, DK)


def test_an_iv_that_does_not_follow_from_the_key_is_refused() -> None:
    with pytest.raises(CipherError, match="changed on the way"):
        auth_key.unseal(by_hand(KEY, iv=bytes(16)), DS, DK)


@pytest.mark.parametrize("content", [b"", bytes(15), bytes(17), bytes(31)])
def test_a_sealed_text_of_another_size_is_no_auth_key(content: bytes) -> None:
    with pytest.raises(CipherError):
        auth_key.unseal(by_hand(content), DS, DK)


@pytest.mark.parametrize("text", [b"", b"A" * 63, b"A" * 65, b"*" * 64, b"=" * 64, b"\xff" * 64, b"A" * 62 + b"=="])
def test_what_is_no_base64_of_48_bytes_is_refused(text: bytes) -> None:
    with pytest.raises(CipherError):
        auth_key.unseal(text, DS, DK)


@pytest.mark.parametrize("key", [b"", bytes(15), bytes(17), bytes(32)])
def test_only_16_bytes_are_sealed(key: bytes) -> None:
    with pytest.raises(CipherError):
        auth_key.seal(key, DS, DK)


def test_no_error_holds_a_key() -> None:
    with pytest.raises(CipherError) as raised:
        auth_key.unseal(auth_key.seal(KEY, DS, DK), "other", DK)

    assert KEY.hex() not in str(raised.value)
    assert DS not in str(raised.value)
