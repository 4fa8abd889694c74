"""What a device advertises: the document's example, old devices without flags, and whatever else is in the air."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.wire.examples import DEVICE_KEY, PRODUCT_KEY, load

from quecbind.wire import ble_advertising as ble
from quecbind.wire.errors import BleError

EXAMPLES = load("ble-binding.json")["advertisement"]
EXAMPLE = bytes.fromhex(EXAMPLES[0]["hex"])


@pytest.mark.parametrize("record", EXAMPLES)
def test_the_example_of_the_document(record: dict[str, Any]) -> None:
    data = bytes.fromhex(record["hex"])

    assert ble.manufacturer_data(record["pk"], record["dk"], record["status"], record["capabilities"]) == data
    assert ble.parse_manufacturer_data(data) == (record["pk"], record["dk"], 1, False, False, False, 7)


def test_status_bits_say_network_bound_and_bindable() -> None:
    read = [
        ble.parse_manufacturer_data(ble.manufacturer_data(PRODUCT_KEY, DEVICE_KEY, 1 << bit, 7)) for bit in range(3)
    ]

    assert [(one.has_network, one.is_bound, one.is_bindable) for one in read] == [
        (True, False, False),
        (False, True, False),
        (False, False, True),
    ]


def test_an_old_device_says_nothing_of_its_capabilities() -> None:
    without_flags, half_flags = EXAMPLE[:-2], EXAMPLE[:-1]

    for data in (without_flags, half_flags):
        assert ble.parse_manufacturer_data(data) == (PRODUCT_KEY, DEVICE_KEY, 1, False, False, False, None)


def test_what_a_later_version_appends_is_ignored() -> None:
    assert ble.parse_manufacturer_data(EXAMPLE + b"more") == ble.parse_manufacturer_data(EXAMPLE)


@pytest.mark.parametrize("device_key", ["861122334455667", "AABBCCDDEEFF", "aabbccddeef", "A", "0123456789ABCDEF"])
def test_odd_length_and_upper_case_survive(device_key: str) -> None:
    data = ble.manufacturer_data(PRODUCT_KEY, device_key, 0, ble.BLE)

    read = ble.parse_manufacturer_data(data)

    assert (read.device_key, read.capabilities) == (device_key, ble.BLE)


@pytest.mark.parametrize("device_key", ["861122334455667", "AABBCCDDEEFF", "aabbccddeeff"])
@pytest.mark.parametrize("capabilities", [1, 4, 7])
def test_flags_the_other_way_round_are_read_where_only_that_makes_sense(device_key: str, capabilities: int) -> None:
    data = ble.manufacturer_data(PRODUCT_KEY, device_key, 0, capabilities)

    read = ble.parse_manufacturer_data(data[:-2] + data[:-3:-1])

    assert (read.device_key, read.capabilities) == (device_key, capabilities)


def test_flags_that_make_sense_either_way_are_little_endian() -> None:
    data = ble.manufacturer_data(PRODUCT_KEY, "aabbccddee00", 0, ble.WAN)

    assert ble.parse_manufacturer_data(data[:-2] + b"\x00\x01").device_key == "aabbccddee0"


@pytest.mark.parametrize("device_key", ["", "xyz", "aaBB", "lamp1", "ä"])
def test_a_device_key_that_cannot_be_packed_is_refused(device_key: str) -> None:
    assert not ble.can_advertise(device_key)
    with pytest.raises(BleError):
        ble.manufacturer_data(PRODUCT_KEY, device_key, 0, 7)


@pytest.mark.parametrize(
    "data",
    [
        *[EXAMPLE[:size] for size in range(len(EXAMPLE) - 2)],
        b"XX" + EXAMPLE[2:],
        EXAMPLE.replace(b"p11abc", b"p1;abc"),
        EXAMPLE[:4] + b"\x00" + EXAMPLE[11:],
    ],
)
def test_what_is_cut_off_or_of_another_kind_is_refused(data: bytes) -> None:
    with pytest.raises(BleError):
        ble.parse_manufacturer_data(data)


def test_it_fits_an_advertisement_and_names_company_service_and_name() -> None:
    assert ble.advertisement(PRODUCT_KEY, DEVICE_KEY, 0, 7).hex() == "020106" + "18ff5155" + EXAMPLE.hex()
    assert ble.scan_response(DEVICE_KEY) == bytes.fromhex("03030a18") + b"\x0e\x09QUEC_BLE_EEFF"
    assert ble.is_name("QUEC_BLE_EEFF")


def test_keys_that_are_too_long_together_are_refused() -> None:
    with pytest.raises(BleError):
        ble.advertisement("p" * 10, "0" * 16, 0, 7)


@given(st.binary(max_size=64))
def test_whatever_is_in_the_air_is_read_or_refused(data: bytes) -> None:
    try:
        read = ble.parse_manufacturer_data(b"EC" + data)
    except BleError:
        return
    assert read.product_key.isalnum()
    assert read.device_key.isalnum()
