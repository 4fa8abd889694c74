"""BLE-only binding: the document's examples byte for byte, and everything that is not one."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.wire.examples import load

from quecbind.wire import ble, ttlv
from quecbind.wire.errors import CipherError, WireError

CODES = load("ble-binding.json")["bind_code"]
SECRETS = load("ble-binding.json")["bind_secret"]
PS, RANDOM = CODES[0]["ps"], CODES[0]["random"]


@pytest.mark.parametrize("record", CODES)
def test_a_bind_code_is_encrypted_as_in_the_document(record: dict[str, str]) -> None:
    assert ble.encrypt_bind_code(record["text"], record["ps"], record["random"]) == record["encrypted"]
    assert ble.decrypt_bind_code(record["encrypted"], record["ps"], record["random"]) == record["text"]


@pytest.mark.parametrize("record", SECRETS)
def test_a_bind_secret_is_encrypted_as_in_the_document(record: dict[str, str]) -> None:
    names = record["pk"], record["dk"], record["bind_secret"]

    assert ble.encrypt_bind_secret(*names, record["ps"], record["random"]) == record["encrypted"]
    assert ble.decrypt_bind_secret(record["encrypted"], record["ps"], record["random"]) == names


@pytest.mark.parametrize(
    "encrypted",
    ["", "A", "====", "not base64!", "ä" * 44, "\ud800" * 44, "A" * 44, "A" * 513, SECRETS[0]["encrypted"][:-4]],
)
def test_what_is_no_ciphertext_is_refused(encrypted: str) -> None:
    with pytest.raises(CipherError):
        ble.decrypt_bind_code(encrypted, PS, RANDOM)


def test_another_spelling_of_the_same_base64_is_refused() -> None:
    with pytest.raises(CipherError):
        ble.decrypt_bind_code(CODES[0]["encrypted"] + "\n", PS, RANDOM)
    with pytest.raises(CipherError):
        ble.decrypt_bind_code(CODES[0]["encrypted"].replace("Q=", "R="), PS, RANDOM)


def test_another_product_secret_opens_nothing() -> None:
    with pytest.raises(CipherError):
        ble.decrypt_bind_secret(SECRETS[0]["encrypted"], PS[::-1], RANDOM)


@pytest.mark.parametrize("text", ["", "one", "one,two", "one,two,three,four"])
def test_a_bind_secret_has_three_parts(text: str) -> None:
    encrypted = ble.encrypt_bind_code(text, PS, RANDOM)

    with pytest.raises(CipherError):
        ble.decrypt_bind_secret(encrypted, PS, RANDOM)


def test_the_random_changes_what_is_read_at_its_begin() -> None:
    """A property of the format that callers must know: see the module."""
    other = "B" + RANDOM[1:]

    read = ble.decrypt_bind_code(SECRETS[0]["encrypted"], PS, other)

    assert read[0] != "p"
    assert read[1:] == "11abc,aabbccddeeff,FEDCBA9876543210"


@pytest.mark.parametrize(
    ("random", "expected"),
    [(RANDOM, True), ("", False), ("A" * 15, False), ("A" * 17, False), ("A" * 15 + ";", False), ("ä" * 16, False)],
)
def test_what_a_random_is(random: str, expected: bool) -> None:
    assert ble.is_random(random) is expected


@given(st.text(alphabet="0123456789ABCDEF", min_size=0, max_size=64))
def test_whatever_is_encrypted_is_read_again(text: str) -> None:
    encrypted = ble.encrypt_bind_code(text, PS, RANDOM)

    assert ble.decrypt_bind_code(encrypted, PS, RANDOM) == text
    assert len(base64.b64decode(encrypted)) % 16 == 0


# --- account authentication ---


def test_a_code_and_the_answer_to_it_travel_and_are_read_again() -> None:
    answer = ble.Authenticated(ble.ACCEPTED, SECRETS[0]["encrypted"], CODES[0]["encrypted"])

    assert ble.parse_authenticate(ble.authenticate(CODES[0]["encrypted"])) == CODES[0]["encrypted"]
    assert ble.parse_authenticated(ble.authenticated(answer)) == answer
    assert ble.parse_authenticated(ble.authenticated(ble.Authenticated(ble.REFUSED))) == ble.Authenticated(1)
    assert SECRETS[0]["encrypted"] not in repr(answer)


def test_bare_ciphertext_is_taken_for_the_code_too() -> None:
    raw = base64.b64decode(CODES[0]["encrypted"])

    assert ble.parse_authenticate(ttlv.encode([(3, raw)])) == CODES[0]["encrypted"]


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"\xff",
        ttlv.encode([(1, 1)]),
        ttlv.encode([(3, 5)]),
        ttlv.encode([(3, "ä")]),
        ttlv.encode([(3, "A" * 513)]),
    ],
)
def test_a_code_that_cannot_be_read_is_refused(payload: bytes) -> None:
    with pytest.raises(WireError):
        ble.parse_authenticate(payload)


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"\xff",
        ttlv.encode([(1, True)]),
        ttlv.encode([(1, 0), (4, 5)]),
        ttlv.encode([(1, 0), (4, b"\x00")]),
        ttlv.encode([(1, 0), (5, "A" * 513)]),
    ],
)
def test_an_answer_that_cannot_be_read_is_refused(payload: bytes) -> None:
    with pytest.raises(WireError):
        ble.parse_authenticated(payload)


def test_an_unbind_and_its_answer_are_read_again() -> None:
    assert ble.parse_unbind(ble.unbind(SECRETS[0]["encrypted"], RANDOM)) == (SECRETS[0]["encrypted"], RANDOM)
    assert [ble.parse_unbound(ble.unbound(result)) for result in (0, 1)] == [0, 1]


@pytest.mark.parametrize(
    "fields", [[(1, RANDOM)], [(3, "A")], [(1, "short"), (3, "A")], [(1, RANDOM), (3, b"\x00")], [(1, 5), (3, "A")]]
)
def test_an_unbind_that_cannot_be_read_is_refused(fields: list[tuple[int, object]]) -> None:
    with pytest.raises(WireError):
        ble.parse_unbind(ttlv.encode(fields))
    with pytest.raises(WireError):
        ble.parse_unbound(ttlv.encode([(1, True)]))
