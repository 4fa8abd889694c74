"""Tag-type-length-value: the fields inside a frame, as a list of `(id, value)`.

A tag is u16 = id << 3 | type: 0 false, 1 true, 2 number, 3 and 5 bytes or text (u16 length), 4 a list of fields (u16
count of elements). A number is one byte sign << 7 | decimals << 3 | (size - 1), then its magnitude. id 0 marks the
elements of an array. Numbers are exact decimals, so they are never taken through binary arithmetic here.
Refused, each with a sentence: anything cut or left over, types 6 and 7, numbers outside a signed 64-bit integer,
NaN and infinity, ids outside 1..8191, too many fields, too many levels.
"""

from quecbind.wire import _text
from quecbind.wire.errors import TtlvError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

    Fields = list[tuple[int, Any]]

try:
    from decimal import Decimal

    _DECIMALS: "tuple[type, ...]" = (float, Decimal)
except ImportError:  # MicroPython has floats alone
    _DECIMALS = (float,)

MAX_DEPTH = 8
MAX_FIELDS = 1024
MAX_ID = 8191
MAX_DECIMALS = 15
_MAX_NUMBER = 0x7FFFFFFFFFFFFFFF
_MAX_BYTES = 0xFFFF

_FALSE, _TRUE, _NUMBER, _BYTES, _LIST, _RAW = range(6)


def encode(fields: "Iterable[tuple[int, Any]]", max_depth: int = MAX_DEPTH, max_fields: int = MAX_FIELDS) -> bytes:
    """The bytes of the fields, each number in its shortest exact form.

    Args:
        fields: pairs of id and value: bool, int, float, Decimal (CPython), str, bytes, or a list of pairs. Ids
            are 1..8191, or all 0 in an array. A float becomes the decimal its repr shows, a whole one an
            integer; digits beyond 15 decimals are rounded, half up.
        max_depth: lists inside lists, the outermost counted.
        max_fields: fields in all lists together.

    Raises:
        TtlvError: a value or id that has no encoding, or a limit passed.
    """
    out = bytearray()
    levels = [iter(_checked(fields))]
    count = 0
    while levels:
        for number, value in levels[-1]:
            count += 1
            if count > max_fields:
                raise TtlvError("TTLV: more than %d fields" % max_fields)
            if isinstance(value, (list, tuple)):
                if len(levels) >= max_depth:
                    raise TtlvError("TTLV: more than %d levels of lists" % max_depth)
                inner = _checked(value)
                _tag(out, number, _LIST)
                _u16(out, len(inner))
                levels.append(iter(inner))
                break
            _put(out, number, value)
        else:
            levels.pop()
    return bytes(out)


def _checked(fields: "Iterable[Any]") -> "Fields":
    pairs = []
    zero_count = 0
    for field in fields:
        if not isinstance(field, (list, tuple)) or len(field) != 2:
            raise TtlvError("TTLV: a field is a pair of id and value")
        number = field[0]
        if isinstance(number, bool) or not isinstance(number, int) or not 0 <= number <= MAX_ID:
            raise TtlvError("TTLV: id must be 1..%d, or 0 for an array element" % MAX_ID)
        if number == 0:
            zero_count += 1
        pairs.append((number, field[1]))
    if not pairs:
        raise TtlvError("TTLV: an empty list has no meaning to a device")
    if len(pairs) > 0xFFFF:
        raise TtlvError("TTLV: more than 65535 elements in a list")
    if zero_count and zero_count != len(pairs):
        raise TtlvError("TTLV: ids are all 0 (an array) or none is")
    return pairs


def _tag(out: bytearray, number: int, kind: int) -> None:
    _u16(out, number << 3 | kind)


def _u16(out: bytearray, value: int) -> None:
    out.append(value >> 8)
    out.append(value & 255)


def _put(out: bytearray, number: int, value: "Any") -> None:
    if value is True or value is False:
        _tag(out, number, _TRUE if value else _FALSE)
    elif isinstance(value, int):
        _put_number(out, number, value < 0, abs(value), 0)
    elif isinstance(value, (bytes, bytearray, str)):
        _put_bytes(out, number, value)
    elif isinstance(value, _DECIMALS):
        negative, magnitude, decimals = _exact(_shortest(value) if isinstance(value, float) else str(value))
        _put_number(out, number, negative, magnitude, decimals)
    else:
        raise TtlvError("TTLV: a value must be a bool, number, text, bytes or a list of fields")


def _put_bytes(out: bytearray, number: int, value: "bytes | bytearray | str") -> None:
    if isinstance(value, str):
        try:
            value = _text.encode(value)
        except UnicodeError:
            raise TtlvError("TTLV: text holds a surrogate") from None
    if len(value) > _MAX_BYTES:
        raise TtlvError("TTLV: text or bytes over 65535 bytes")
    _tag(out, number, _BYTES)
    _u16(out, len(value))
    out.extend(value)


def _put_number(out: bytearray, number: int, negative: bool, magnitude: int, decimals: int) -> None:
    if magnitude > _MAX_NUMBER + negative:
        raise TtlvError("TTLV: number does not fit a signed 64-bit integer")
    size = 1
    while magnitude >> (8 * size):
        size += 1
    _tag(out, number, _NUMBER)
    out.append((0x80 if negative and magnitude else 0) | decimals << 3 | (size - 1))
    out.extend(magnitude.to_bytes(size, "big"))


def _shortest(value: float) -> str:
    """The digits of repr. MicroPython's own is off in the last of them: its repr(0.07) is 0.07000000000000001."""
    for form in ("%.15g", "%.16g"):
        text = form % value
        if float(text) == value:
            return text
    return repr(value)


def _exact(text: str) -> "tuple[bool, int, int]":
    """Sign, magnitude and decimals of a decimal text such as -12.50 or 1.5e-07."""
    negative = text[0] == "-"
    if negative:
        text = text[1:]
    if not "0" <= text[0] <= "9":
        raise TtlvError("TTLV: NaN and infinity have no encoding")
    mantissa, _, exponent = text.lower().partition("e")
    whole, _, fraction = mantissa.partition(".")
    digits = (whole + fraction).lstrip("0")
    decimals = len(fraction) - int(exponent or "0")
    if not digits:
        return False, 0, 0
    # Decided before any zeros are written out: an exponent can be astronomical.
    if len(digits) - decimals > 19:
        raise TtlvError("TTLV: number does not fit a signed 64-bit integer")
    if decimals > MAX_DECIMALS:
        cut = len(digits) - (decimals - MAX_DECIMALS)
        if cut < 0:
            return False, 0, 0
        rounded = int(digits[:cut] or "0") + (1 if digits[cut] >= "5" else 0)
        digits = str(rounded)
        decimals = MAX_DECIMALS
    if decimals < 0:
        digits += "0" * -decimals
        decimals = 0
    while decimals and digits[-1] == "0":
        digits = digits[:-1] or "0"
        decimals -= 1
    return negative, int(digits), decimals


def decode(
    data: bytes,
    max_depth: int = MAX_DEPTH,
    max_fields: int = MAX_FIELDS,
    parse_float: "Callable[[str], Any]" = float,
) -> "Fields":
    """The fields in their order; an id that comes twice is kept twice.

    Args:
        data: the payload; an empty one is refused.
        max_depth: lists inside lists, the outermost counted.
        max_fields: fields in all lists together.
        parse_float: gets the exact text of a number with decimals; `decimal.Decimal` keeps it exact.

    Returns:
        A list of `(id, value)`: bool, int, what `parse_float` gave, bytes (text too), or a list of such pairs.

    Raises:
        TtlvError: the payload as a whole, when any part of it is wrong.
    """
    if not data:
        raise TtlvError("TTLV: empty")
    end = len(data)
    at = 0
    count = 0
    fields: "Fields" = []
    left = -1  # elements the open list still has; below zero: until the end
    outer: "list[tuple[Fields, int]]" = []
    while True:
        while left == 0:
            fields, left = outer.pop()
        if at == end and left < 0:
            return fields
        if at + 2 > end:
            raise TtlvError("TTLV: cut short in a tag")
        number = data[at] << 5 | data[at + 1] >> 3
        kind = data[at + 1] & 7
        at += 2
        count += 1
        if count > max_fields:
            raise TtlvError("TTLV: more than %d fields" % max_fields)
        if number and fields and not fields[-1][0]:
            raise TtlvError("TTLV: an id follows an array element")
        left -= 1
        if kind <= _TRUE:
            fields.append((number, kind == _TRUE))
        elif kind == _NUMBER:
            value, at = _number(data, at, end, parse_float)
            fields.append((number, value))
        elif kind in (_BYTES, _RAW):
            size = _length(data, at, end)
            at += 2
            if at + size > end:
                raise TtlvError("TTLV: cut short in text or bytes")
            fields.append((number, bytes(data[at : at + size])))
            at += size
        elif kind == _LIST:
            size = _length(data, at, end)
            at += 2
            if len(outer) + 1 >= max_depth:
                raise TtlvError("TTLV: more than %d levels of lists" % max_depth)
            inner: "Fields" = []
            fields.append((number, inner))
            outer.append((fields, left))
            fields, left = inner, size
        else:
            raise TtlvError("TTLV: type %d is not known" % kind)


def _length(data: bytes, at: int, end: int) -> int:
    if at + 2 > end:
        raise TtlvError("TTLV: cut short in a length")
    return data[at] << 8 | data[at + 1]


def _number(data: bytes, at: int, end: int, parse_float: "Callable[[str], Any]") -> "tuple[Any, int]":
    if at >= end:
        raise TtlvError("TTLV: cut short in a number")
    flags = data[at]
    at += 1
    stop = at + (flags & 7) + 1
    if stop > end:
        raise TtlvError("TTLV: cut short in a number")
    magnitude = int.from_bytes(data[at:stop], "big")
    negative = flags >= 0x80 and magnitude > 0
    if magnitude > _MAX_NUMBER + negative:
        raise TtlvError("TTLV: number does not fit a signed 64-bit integer")
    decimals = flags >> 3 & 15
    if not decimals:
        return (-magnitude if negative else magnitude), stop
    digits = str(magnitude)
    if len(digits) <= decimals:
        digits = "0" * (decimals + 1 - len(digits)) + digits
    text = "-" if negative else ""
    return parse_float(text + digits[:-decimals] + "." + digits[-decimals:]), stop


def first(fields: "Fields", number: int, default: "Any" = None) -> "Any":
    """The value of the first field with this id, as devices read it."""
    for field in fields:
        if field[0] == number:
            return field[1]
    return default
