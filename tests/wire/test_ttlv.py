"""TTLV: every measured example, exact numbers, and a table of what is refused."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.wire.examples import load

from quecbind.wire import ttlv
from quecbind.wire.errors import TtlvError

VECTORS = load("ttlv.json")
MAX = 2**63 - 1


def value_of(kind: str, value: Any) -> Any:
    if kind == "struct":
        return fields_of(value)
    if kind == "bool":
        return bool(value)
    return bytes.fromhex(value) if kind == "bytes" else value


def fields_of(items: list[Any]) -> list[tuple[int, Any]]:
    return [(number, value_of(kind, value)) for number, kind, value in items]


def as_decoded(fields: list[tuple[int, Any]]) -> list[tuple[int, Any]]:
    """What comes back: text as bytes, a whole float as an integer."""
    decoded: list[tuple[int, Any]] = []
    for number, value in fields:
        if isinstance(value, str):
            decoded.append((number, value.encode()))
        elif isinstance(value, list):
            decoded.append((number, as_decoded(value)))
        else:
            decoded.append((number, value))
    return decoded


@pytest.mark.parametrize("record", VECTORS["encode"], ids=lambda record: record["name"])
def test_measured_fields_are_written_and_read(record: dict[str, Any]) -> None:
    fields = fields_of(record["items"])

    assert ttlv.encode(fields).hex() == record["hex"]
    assert ttlv.decode(bytes.fromhex(record["hex"])) == as_decoded(fields)


@pytest.mark.parametrize("record", VECTORS["encode"], ids=lambda record: record["name"])
def test_what_a_device_emits_decodes_to_the_same_fields(record: dict[str, Any]) -> None:
    theirs = ttlv.decode(bytes.fromhex(record["device_emits_hex"]))
    ours = as_decoded(fields_of(record["items"]))

    if isinstance(ours[0][1], float):
        assert theirs[0][1] == pytest.approx(ours[0][1], rel=1e-14)  # devices multiply binary floats
    else:
        assert theirs == ours


@pytest.mark.parametrize("record", VECTORS["decode_edge"], ids=lambda record: record["name"])
def test_measured_edge_is_decoded_as_a_device_does(record: dict[str, Any]) -> None:
    data = bytes.fromhex(record["hex"])
    # A device takes type 5 for unreadable and shows -2^63 as 0; Apps send type 5, and the wire holds 64 bits.
    if record["name"] == "2^63 negative":
        assert ttlv.decode(data) == [(1, -(2**63))]
    elif record["device_decodes"] is None:
        with pytest.raises(TtlvError):
            ttlv.decode(data)
    else:
        expected = [
            (field["id"], field.get("api_value", field.get("value", field.get("items"))))
            for field in record["device_decodes"]
        ]
        assert ttlv.decode(data) == expected


@pytest.mark.parametrize(
    ("fields", "wire"),
    [
        ([(1, True)], "0009"),
        ([(1, False)], "0008"),
        ([(43, True)], "0159"),
        ([(8191, True)], "fff9"),
        ([(1, 0)], "000a0000"),
        ([(1, 256)], "000a010100"),
        ([(1, -1)], "000a8001"),
        ([(1, -300)], "000a81012c"),
        ([(2, 2**31)], "00120380000000"),
        ([(2, MAX)], "0012077fffffffffffffff"),
        ([(2, -MAX - 1)], "0012878000000000000000"),
        ([(100, 3)], "03220003"),
        ([(3, 36.6)], "001a09016e"),
        ([(3, -12.5)], "001a887d"),
        ([(3, 4.35)], "001a1101b3"),
        ([(3, 0.1)], "001a0801"),
        ([(3, -0.5)], "001a8805"),
        ([(3, 100.0)], "001a0064"),
        ([(4, "abc")], "00230003616263"),
        ([(4, "")], "00230000"),
        ([(11, "0123456789ABCDEF")], "005b001030313233343536373839414243444546"),
        ([(6, [(1, True), (2, 25), (3, 23.5)])], "0034000300090012 0019001a08eb"),
        ([(7, [(0, 1), (0, 2), (0, 300)])], "003c0003000200010002000200020 1012c"),
        (
            [(8, [(0, [(1, 1), (2, True)]), (0, [(1, 2), (2, False)])])],
            "0044000200040002000a0001001100040002000a00020010",
        ),
    ],
)
def test_short_range_example(fields: list[tuple[int, Any]], wire: str) -> None:
    data = bytes.fromhex(wire.replace(" ", ""))

    assert ttlv.encode(fields) == data
    assert ttlv.decode(data) == as_decoded(fields)


@pytest.mark.parametrize(
    ("value", "negative_magnitude_decimals"),
    [
        (0.07, (0, 7, 2)),
        (1.005, (0, 1005, 3)),
        (1e-15, (0, 1, 15)),
        (5e-16, (0, 1, 15)),
        (4e-16, (0, 0, 0)),
        (1e-300, (0, 0, 0)),
        (-1e-300, (0, 0, 0)),
        (-0.0, (0, 0, 0)),
        (1e15, (0, 10**15, 0)),
        (9e18, (0, 9 * 10**18, 0)),
        (2 / 3, (0, 666666666666667, 15)),
        (1.5e-07, (0, 15, 8)),
        (Decimal("36.600"), (0, 366, 1)),
        (Decimal("1E+3"), (0, 1000, 0)),
        (Decimal("-1.23E-5"), (1, 123, 7)),
        (Decimal("922337203685477580.7"), (0, MAX, 1)),
        (Decimal("-922337203685477580.8"), (1, MAX + 1, 1)),
        (Decimal("0.9999999999999999"), (0, 1, 0)),
        (Decimal("1E-999999"), (0, 0, 0)),
        (Decimal("0E+999999"), (0, 0, 0)),
    ],
)
def test_decimal_number_is_its_shortest_digits(
    value: float | Decimal, negative_magnitude_decimals: tuple[int, int, int]
) -> None:
    negative, magnitude, decimals = negative_magnitude_decimals

    data = ttlv.encode([(1, value)])

    assert data[2] >> 7 == negative
    assert data[2] >> 3 & 15 == decimals
    assert int.from_bytes(data[3:], "big") == magnitude


@pytest.mark.parametrize(
    ("wire", "text"),
    [
        ("000a7801", "0.000000000000001"),
        ("000a0801", "0.1"),
        ("000a887d", "-12.5"),
        ("000a080a", "1.0"),
        ("000a8800", "0.0"),
        ("000a7e03920acbffcfff", "1.004999999999999"),
        ("000a0f7fffffffffffffff", "922337203685477580.7"),
    ],
)
def test_parse_float_gets_the_exact_text(wire: str, text: str) -> None:
    data = bytes.fromhex(wire)

    assert ttlv.decode(data, parse_float=str) == [(1, text)]
    assert ttlv.decode(data, parse_float=Decimal) == [(1, Decimal(text))]
    assert ttlv.decode(data) == [(1, float(text))]


def test_number_without_decimals_is_an_int_whatever_parses_floats() -> None:
    ((_, value),) = ttlv.decode(bytes.fromhex("000a0005"), parse_float=Decimal)

    assert type(value) is int


def test_type_5_is_bytes() -> None:
    assert ttlv.decode(bytes.fromhex("000d0002abcd")) == [(1, b"\xab\xcd")]


def test_array_element_after_an_id_is_accepted_and_an_id_after_an_element_is_not() -> None:
    assert ttlv.decode(bytes.fromhex("00090001")) == [(1, True), (0, True)]
    with pytest.raises(TtlvError, match="an id follows an array element"):
        ttlv.decode(bytes.fromhex("00010009"))


def test_first_is_the_first_of_an_id() -> None:
    fields = [(1, 5), (2, b"x"), (1, 6)]

    assert ttlv.first(fields, 1) == 5
    assert ttlv.first(fields, 3) is None
    assert ttlv.first(fields, 3, 7) == 7


@pytest.mark.parametrize(
    ("wire", "sentence"),
    [
        ("", "empty"),
        ("00", "cut short in a tag"),
        ("000900", "cut short in a tag"),
        ("000a", "cut short in a number"),
        ("000a00", "cut short in a number"),
        ("000a0100", "cut short in a number"),
        ("019202", "cut short in a number"),
        ("000b", "cut short in a length"),
        ("000b00", "cut short in a length"),
        ("000b00056162", "cut short in text or bytes"),
        ("000d00056162", "cut short in text or bytes"),
        ("000c", "cut short in a length"),
        ("000c0001", "cut short in a tag"),
        ("000c00020009", "cut short in a tag"),
        ("000e", "type 6 is not known"),
        ("000f", "type 7 is not known"),
        ("000a078000000000000000", "does not fit a signed 64-bit integer"),
        ("000a07ffffffffffffffff", "does not fit a signed 64-bit integer"),
        ("000a878000000000000001", "does not fit a signed 64-bit integer"),
        ("000a0f8000000000000000", "does not fit a signed 64-bit integer"),
    ],
)
def test_malformed_payload_is_refused_with_a_sentence(wire: str, sentence: str) -> None:
    with pytest.raises(TtlvError, match=sentence):
        ttlv.decode(bytes.fromhex(wire))


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ([], "an empty list"),
        ([(1, [])], "an empty list"),
        ([(-1, True)], "id must be 1..8191"),
        ([(8192, True)], "id must be 1..8191"),
        ([(True, True)], "id must be 1..8191"),
        ([("1", True)], "id must be 1..8191"),
        ([(1, True), (0, True)], "ids are all 0"),
        ([(0, True), (1, True)], "ids are all 0"),
        ([(1,)], "a pair of id and value"),
        ([5], "a pair of id and value"),
        ([(1, MAX + 1)], "does not fit a signed 64-bit integer"),
        ([(1, -MAX - 2)], "does not fit a signed 64-bit integer"),
        ([(1, 1e19)], "does not fit a signed 64-bit integer"),
        ([(1, 1e300)], "does not fit a signed 64-bit integer"),
        ([(1, Decimal("1E+999999"))], "does not fit a signed 64-bit integer"),
        ([(1, Decimal("922337203685477580.8"))], "does not fit a signed 64-bit integer"),
        ([(1, 10**5000)], "does not fit a signed 64-bit integer"),
        ([(1, float("nan"))], "NaN and infinity"),
        ([(1, float("inf"))], "NaN and infinity"),
        ([(1, float("-inf"))], "NaN and infinity"),
        ([(1, Decimal("sNaN123"))], "NaN and infinity"),
        ([(1, Decimal("-Infinity"))], "NaN and infinity"),
        ([(1, None)], "a value must be"),
        ([(1, 1j)], "a value must be"),
        ([(1, {1: 2})], "a value must be"),
        ([(1, "\ud800")], "surrogate"),
        ([(1, bytes(65536))], "over 65535 bytes"),
        ([(1, "ä" * 32768)], "over 65535 bytes"),
    ],
)
def test_what_has_no_encoding_is_refused_with_a_sentence(fields: Any, sentence: str) -> None:
    with pytest.raises(TtlvError, match=sentence):
        ttlv.encode(fields)


def nested(levels: int) -> list[tuple[int, Any]]:
    fields: list[tuple[int, Any]] = [(1, True)]
    for _ in range(levels - 1):
        fields = [(1, fields)]
    return fields


def test_depth_is_limited_in_both_directions() -> None:
    data = ttlv.encode(nested(8))

    assert ttlv.decode(data) == nested(8)
    with pytest.raises(TtlvError, match="more than 8 levels"):
        ttlv.encode(nested(9))
    with pytest.raises(TtlvError, match="more than 7 levels"):
        ttlv.decode(data, max_depth=7)


def test_depth_costs_no_recursion() -> None:
    data = bytes.fromhex("000c0001") * 50_000 + bytes.fromhex("0009")

    with pytest.raises(TtlvError, match="more than 8 levels"):
        ttlv.decode(data)
    fields = ttlv.decode(data, max_depth=100_000, max_fields=100_000)
    for _ in range(50_000):
        ((_, fields),) = fields
    assert fields == [(1, True)]


def test_field_count_is_limited_over_all_lists() -> None:
    fields = [(1, [(0, True)] * 3), (2, True)]
    data = ttlv.encode(fields)

    assert ttlv.decode(data, max_fields=5) == fields
    with pytest.raises(TtlvError, match="more than 4 fields"):
        ttlv.decode(data, max_fields=4)
    with pytest.raises(TtlvError, match="more than 4 fields"):
        ttlv.encode(fields, max_fields=4)
    with pytest.raises(TtlvError, match="more than 65535 elements"):
        ttlv.encode([(0, True)] * 65536, max_fields=10**6)


@pytest.mark.parametrize("record", VECTORS["encode"], ids=lambda record: record["name"])
def test_truncated_at_every_index_or_with_junk_behind_is_never_read_as_the_whole(record: dict[str, Any]) -> None:
    data = bytes.fromhex(record["hex"])
    whole = ttlv.decode(data)

    for size in range(len(data)):
        try:
            part = ttlv.decode(data[:size])
        except TtlvError:
            continue
        assert part == whole[: len(part)], "a cut between fields leaves fewer fields"
        assert len(part) < len(whole)
    with pytest.raises(TtlvError):
        ttlv.decode(data + b"\x00")


SCALARS = st.one_of(
    st.booleans(),
    st.integers(-MAX - 1, MAX),
    st.binary(max_size=40),
    st.decimals(min_value=-(10**9), max_value=10**9, places=6),
)


def lists_of(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[list[tuple[int, Any]]]:
    values = st.one_of(SCALARS, inner)
    return st.one_of(
        st.lists(st.tuples(st.integers(1, 8191), values), min_size=1, max_size=4),
        st.lists(st.tuples(st.just(0), values), min_size=1, max_size=4),
    )


@given(st.recursive(lists_of(SCALARS), lists_of, max_leaves=12))
def test_any_fields_round_trip_exactly(fields: list[tuple[int, Any]]) -> None:
    data = ttlv.encode(fields, max_depth=100)

    assert ttlv.decode(data, max_depth=100, parse_float=Decimal) == fields


@given(st.floats(min_value=-1e12, max_value=1e12))
def test_any_float_keeps_what_15_decimals_can_hold(value: float) -> None:
    ((_, back),) = ttlv.decode(ttlv.encode([(1, value)]))

    assert back == pytest.approx(value, rel=1e-15, abs=5.1e-16)


@given(st.floats(allow_nan=False, allow_infinity=False, allow_subnormal=False))
def test_shortest_digits_are_those_of_repr(value: float) -> None:
    assert Decimal(ttlv._shortest(value)) == Decimal(repr(value))


@given(st.binary(max_size=80))
def test_what_decodes_encodes_to_something_that_decodes_alike(data: bytes) -> None:
    try:
        fields = ttlv.decode(data, parse_float=Decimal)
        again = ttlv.encode(fields)
    except TtlvError:
        return

    assert ttlv.decode(again, parse_float=Decimal) == fields
