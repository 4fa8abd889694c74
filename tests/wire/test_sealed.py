"""Sealed pairing's bytes: made again by hand from the description, and everything that must be refused."""

import hashlib
import hmac

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CBC

from quecbind.wire import sealed, ttlv
from quecbind.wire.errors import CipherError, LanError

KEY = bytes(range(32))
CODE = "0123456789ABCDEF"
ELEMENT = b"A" + bytes(range(32))
TAG = b"\x07" * 64


def mac(message: bytes) -> bytes:
    return hmac.new(KEY, message, hashlib.sha256).digest()


def by_hand(content: bytes) -> bytes:
    """As the document says it, with other libraries than `wire`."""
    both = mac(b"cipher")
    pad = 16 - len(content) % 16
    encryptor = Cipher(AES(both[:16]), CBC(both[16:])).encryptor()
    encrypted = encryptor.update(content + bytes([pad]) * pad) + encryptor.finalize()
    return encrypted + mac(b"device" + encrypted)


def test_code_and_proof_are_made_as_the_document_says() -> None:
    assert sealed.seal(KEY, CODE) == by_hand(CODE.encode())
    assert len(sealed.seal(KEY, CODE)) == sealed.SEALED_SIZE
    assert sealed.proof(KEY) == mac(b"App")
    assert sealed.device_identity("p11abc", "aabbccddeeff") == b"quecbind device;p11abc;aabbccddeeff"


def test_the_code_is_read_with_the_same_key() -> None:
    assert sealed.unseal(KEY, by_hand(CODE.encode())) == CODE


@pytest.mark.parametrize("at", range(0, 64, 7))
def test_a_changed_bit_is_refused(at: int) -> None:
    changed = bytearray(by_hand(CODE.encode()))
    changed[at] ^= 1

    with pytest.raises(CipherError):
        sealed.unseal(KEY, bytes(changed))


@pytest.mark.parametrize("content", [b"", b"0123456789ABCDE", b"0123456789ABCDEFG", b"0123456789ABCDE\n", b"\xff" * 16])
def test_what_is_no_bind_code_is_refused_even_when_it_is_sealed_well(content: bytes) -> None:
    with pytest.raises(CipherError):
        sealed.unseal(KEY, by_hand(content))


def test_another_key_is_refused() -> None:
    with pytest.raises(CipherError, match="not made with this PIN"):
        sealed.unseal(bytes(32), by_hand(CODE.encode()))


@pytest.mark.parametrize("given", [b"", bytes(32), mac(b"App")[:-1], mac(b"App") + b"\x00", mac(b"device")])
def test_only_the_proof_itself_is_the_proof(given: bytes) -> None:
    assert sealed.is_proof(KEY, mac(b"App"))
    assert not sealed.is_proof(KEY, given)


@pytest.mark.parametrize("key", [b"", bytes(31), bytes(33)])
def test_a_key_of_another_size_is_not_used(key: bytes) -> None:
    for use in (lambda: sealed.proof(key), lambda: sealed.seal(key, CODE), lambda: sealed.unseal(key, TAG)):
        with pytest.raises(CipherError):
            use()


@pytest.mark.parametrize(
    ("text", "is_pin"),
    [
        ("123456", True),
        ("0" * 16, True),
        ("12345", False),
        ("1" * 17, False),
        ("", False),
        ("12345a", False),
        ("12345 ", False),
        ("１２３４５６", False),
    ],
)
def test_a_pin_is_6_to_16_digits(text: str, is_pin: bool) -> None:
    assert sealed.is_pin(text) is is_pin


def test_messages_are_the_documented_fields() -> None:
    assert ttlv.decode(sealed.ask(ELEMENT)) == [(1, ELEMENT)]
    assert ttlv.decode(sealed.answer(ELEMENT)) == [(1, ELEMENT)]
    assert ttlv.decode(sealed.not_now()) == [(3, 2)]
    assert ttlv.decode(sealed.prove(bytes(32))) == [(2, bytes(32))]
    assert ttlv.decode(sealed.hand_over(TAG)) == [(3, 0), (9, TAG)]
    assert ttlv.decode(sealed.refuse(9)) == [(3, 1), (4, 9)]


def test_messages_are_read_and_unknown_fields_ignored() -> None:
    extra = ttlv.encode([(77, b"later")])

    assert sealed.parse_ask(sealed.ask(ELEMENT) + extra) == ELEMENT
    assert sealed.parse_answer(sealed.answer(ELEMENT) + extra) == ELEMENT
    assert sealed.parse_answer(sealed.not_now()) is None
    assert sealed.parse_prove(sealed.prove(bytes(32)) + extra) == bytes(32)
    assert sealed.parse_outcome(sealed.hand_over(TAG)) == (sealed.DONE, TAG, None)
    assert sealed.parse_outcome(sealed.refuse(9)) == (sealed.WRONG_PIN, None, 9)
    assert sealed.parse_outcome(sealed.not_now()) == (sealed.NOT_NOW, None, None)


@pytest.mark.parametrize(
    ("parse", "fields"),
    [
        (sealed.parse_ask, [(1, ELEMENT[:-1])]),
        (sealed.parse_ask, [(1, ELEMENT + b"x")]),
        (sealed.parse_ask, [(1, 5)]),
        (sealed.parse_ask, [(2, ELEMENT)]),
        (sealed.parse_answer, [(3, 0)]),
        (sealed.parse_answer, [(1, ELEMENT[:-1])]),
        (sealed.parse_prove, [(2, bytes(31))]),
        (sealed.parse_prove, [(2, True)]),
        (sealed.parse_outcome, [(3, 0)]),
        (sealed.parse_outcome, [(3, 0), (9, TAG[:-1])]),
        (sealed.parse_outcome, [(3, False), (9, TAG)]),
        (sealed.parse_outcome, [(3, True)]),
        (sealed.parse_outcome, [(3, 3)]),
        (sealed.parse_outcome, [(3, 1), (4, -1)]),
        (sealed.parse_outcome, [(3, 1), (4, 256)]),
        (sealed.parse_outcome, [(3, 1), (4, b"9")]),
        (sealed.parse_outcome, [(9, TAG)]),
    ],
)
def test_a_field_that_is_missing_or_of_another_size_is_refused(parse, fields) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(LanError):
        parse(ttlv.encode(fields))
