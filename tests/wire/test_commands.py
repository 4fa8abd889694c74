"""Command numbers as QuecThing devices use them."""

import pytest
from tests.wire.examples import load

from quecbind.wire import commands, ttlv
from quecbind.wire.errors import TtlvError

NUMBERS = {
    name: value
    for name, value in vars(commands).items()
    if name.isupper() and isinstance(value, int) and value > 0x10 and not name.startswith(("BIND_CODE_", "CONFIGURE_"))
}


def test_every_command_has_a_number_of_its_own_and_a_name() -> None:
    assert len(set(NUMBERS.values())) == len(NUMBERS)
    assert set(NUMBERS.values()) <= set(commands.NAMES)


@pytest.mark.parametrize(
    ("kind", "numbers"),
    [
        ("sys", [0x31, 0x32, 0x34, 0x41, 0x42, 0x44, 0xA3, 0xA4, 0xB4, 0xB5]),
        ("bus", [0x11, 0x12, 0x13, 0x14, 0x23, 0x24, 0x122, 0x123, 0x124]),
        ("ota", [0x111, 0x112, 0x113, 0x114, 0x115]),
        (None, [0x0000, 0x00B3, 0x7030, 0x7039, 0xFFFF]),
    ],
)
def test_command_travels_on_its_topic(kind: str | None, numbers: list[int]) -> None:
    assert [commands.topic_kind(number) for number in numbers] == [kind] * len(numbers)


def test_bind_code_fields_are_those_devices_report() -> None:
    (record,) = (record for record in load("framing.json")["frames"] if record["name"] == "bind code of AA")

    assert int(record["command"], 16) == commands.BIND_CODE
    assert ttlv.decode(bytes.fromhex(record["payload_hex"])) == [(commands.BIND_CODE_CODE, b"\xaa" * 16)]


def test_read_request_is_a_plain_list_of_ids() -> None:
    assert commands.encode_ids([1, 2, 8191]).hex() == "000100021fff"
    assert commands.encode_ids([]) == b""
    assert commands.decode_ids(bytes.fromhex("000100021fff")) == [1, 2, 8191]
    assert commands.decode_ids(b"") == []


@pytest.mark.parametrize("wire", ["00", "000100", "0000", "2000", "ffff"])
def test_malformed_read_request_is_refused(wire: str) -> None:
    with pytest.raises(TtlvError, match="read request"):
        commands.decode_ids(bytes.fromhex(wire))


@pytest.mark.parametrize("number", [-1, 0, 8192])
def test_id_that_no_field_can_have_is_not_asked_for(number: int) -> None:
    with pytest.raises(TtlvError, match=r"must be 1\.\.8191"):
        commands.encode_ids([number])
