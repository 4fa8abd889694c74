"""The BLE chip's account commands: the document's examples byte for byte, and what is refused."""

from collections.abc import Callable
from typing import Any

import pytest
from tests.wire.examples import load

from quecbind.wire import _aes, ble_chip, commands, frame, ttlv
from quecbind.wire.errors import CipherError, WireError

VECTORS = load("ble-binding.json")["chip"]
KEY = bytes(range(16))


def test_the_log_in_of_the_document() -> None:
    record = VECTORS["authenticate"]
    key, wire = bytes.fromhex(record["auth_key"]), bytes.fromhex(record["frame"])

    assert (
        frame.encode(record["packet_id"], commands.CHIP_AUTHENTICATE, ble_chip.authenticate(key, record["pin"])) == wire
    )
    read = ble_chip.parse_authenticate(frame.decode(wire).payload)
    assert (read.auth_key, read.pin) == (key, record["pin"])
    assert "123456" not in repr(read)


def test_the_encrypted_write_of_the_document() -> None:
    record = VECTORS["write"]
    random, plain = bytes.fromhex(record["random"]), bytes.fromhex(record["plain"])
    sealed = ble_chip.encrypt(record["mac"], random, plain)

    assert frame.encode(record["packet_id"], int(record["command"], 16), sealed).hex() == record["frame"]
    assert ble_chip.decrypt("aa:bb:cc:dd:ee:ff", random, sealed) == plain


def test_what_is_built_is_read_again() -> None:
    assert ble_chip.parse_authenticate(ble_chip.authenticate(KEY)) == ble_chip.Account(KEY)
    accepted = ble_chip.parse_authenticated(ble_chip.authenticated(KEY, ble_chip.PASSKEY))
    assert accepted == ble_chip.Accepted(KEY, ble_chip.PASSKEY, False)
    assert ble_chip.parse_authenticated(ble_chip.authenticated(KEY, has_pin=True)) == ble_chip.Accepted(KEY, 2, True)
    assert ble_chip.parse_accounts(ble_chip.accounts([KEY, KEY[::-1]])) == [KEY, KEY[::-1]]
    assert ble_chip.parse_accounts(b"") == []
    for is_granted in (True, False):
        assert ble_chip.parse_grant(ble_chip.grant(KEY, is_granted)) == (KEY, is_granted)
        assert ble_chip.parse_granted(ble_chip.granted(is_granted)) is is_granted


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ([], (None, None, False)),
        ([(4, KEY)], (KEY, None, False)),
        ([(3, 123456), (6, 2)], (None, 2, True)),
        ([(3, True), (4, KEY), (6, 4), (9, 1)], (KEY, 4, True)),
    ],
)
def test_an_answer_may_have_any_of_its_fields(fields: list[tuple[int, Any]], expected: tuple[Any, ...]) -> None:
    read = ble_chip.parse_authenticated(ttlv.encode(fields) if fields else b"")

    assert read is not None
    assert (read.random, read.pair_mode, read.has_pin) == expected


def test_a_refusal_is_field_5_false_whatever_else_is_there() -> None:
    assert ble_chip.refused() == bytes.fromhex("0028")
    assert ble_chip.parse_authenticated(bytes.fromhex("0028")) is None
    assert ble_chip.parse_authenticated(ttlv.encode([(4, KEY), (5, False)])) is None
    assert ble_chip.parse_authenticated(ttlv.encode([(4, KEY), (5, True)])) is not None
    assert ble_chip.parse_accounts(bytes.fromhex("0028")) is None


@pytest.mark.parametrize(
    ("parse", "payload"),
    [
        (ble_chip.parse_authenticate, b""),
        (ble_chip.parse_authenticate, b"\xff"),
        (ble_chip.parse_authenticate, ttlv.encode([(1, KEY[:-1])])),
        (ble_chip.parse_authenticate, ttlv.encode([(1, KEY), (3, 99999)])),
        (ble_chip.parse_authenticate, ttlv.encode([(1, KEY), (3, True)])),
        (ble_chip.parse_authenticated, ttlv.encode([(4, b"short")])),
        (ble_chip.parse_authenticated, ttlv.encode([(6, 5)])),
        (ble_chip.parse_authenticated, ttlv.encode([(6, True)])),
        (ble_chip.parse_accounts, ttlv.encode([(1, b"short")])),
        (ble_chip.parse_grant, ttlv.encode([(1, KEY)])),
        (ble_chip.parse_grant, ttlv.encode([(2, True)])),
        (ble_chip.parse_granted, ttlv.encode([(5, 1)])),
        (ble_chip.parse_manufacturer_data, b""),
        (ble_chip.parse_manufacturer_data, KEY[:5]),
        (ble_chip.parse_manufacturer_data, KEY[:7]),
        (ble_chip.parse_manufacturer_data, KEY[:12]),
        (ble_chip.parse_manufacturer_data, bytes.fromhex("454300010670")),
        (ble_chip.parse_manufacturer_data, bytes.fromhex("aabbccddeeff") + b"p11abcd"),
    ],
)
def test_what_is_missing_or_wrong_is_refused(parse: Callable[[bytes], Any], payload: bytes) -> None:
    with pytest.raises(WireError):
        parse(payload)


@pytest.mark.parametrize("mac", ["", "AABBCCDDEE", "AABBCCDDEEFG", "AABBCCDDEEFF0"])
def test_what_is_no_mac_address_is_refused(mac: str) -> None:
    with pytest.raises(WireError):
        ble_chip.session_key(mac)


def test_an_advertisement_has_the_mac_and_while_unbound_the_product_key() -> None:
    unbound = ble_chip.manufacturer_data("aabbccddeeff", "p11abc")
    bound = ble_chip.manufacturer_data("AA:BB:CC:DD:EE:FF", None)

    assert (unbound.hex(), bound.hex()) == ("aabbccddeeff703131616263", "aabbccddeeff")
    assert ble_chip.parse_manufacturer_data(unbound) == ("AABBCCDDEEFF", "p11abc")
    assert ble_chip.parse_manufacturer_data(bound) == ("AABBCCDDEEFF", None)


@pytest.mark.parametrize(
    ("mac", "product_key"), [("aabbccddee", None), ("aabbccddeeff", ""), ("aabbccddeeff", "p11-bc")]
)
def test_what_does_not_fit_an_advertisement_is_refused(mac: str, product_key: str | None) -> None:
    with pytest.raises(WireError):
        ble_chip.manufacturer_data(mac, product_key)


def test_no_data_stays_no_data_and_one_block_of_nothing_is_nothing() -> None:
    assert ble_chip.encrypt("AABBCCDDEEFF", KEY, b"") == ble_chip.decrypt("AABBCCDDEEFF", KEY, b"") == b""
    assert ble_chip.decrypt("AABBCCDDEEFF", KEY, _aes.encrypt(b"!!AABBCCDDEEFF!!", KEY, b"")) == b""


def test_a_pin_out_of_range_and_a_short_random_are_refused() -> None:
    with pytest.raises(WireError):
        ble_chip.authenticate(KEY, 1)
    with pytest.raises(CipherError):
        ble_chip.encrypt("AABBCCDDEEFF", b"short", b"x")
