"""The types a value of a thing model can have, and both ways of a value: what a device said, what an App asks for.

A device is taken at its word: what it reports is shown though it lies outside the range, and what is of another type is
None. An App is not: each value is checked against type, range and step. Values of Apps are what JSON can say; numbers
and true or false may come as text too. Values of devices are those of TTLV, where a list of pairs with the number 0 is
an array and any other list a struct.
"""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Any, Final, Literal, TypeAlias

from quecbind.center.domain import json_text
from quecbind.center.domain.text import is_text

NumberKind = Literal["INT", "FLOAT", "DOUBLE"]
Fields: TypeAlias = list[tuple[int, Any]]
# bool, int, float, str, a list or an object of these: what JSON can say.
Plain: TypeAlias = Any

MAX_TEXT: Final = 10_240  # bytes, what the platform allows where a model names no length
MAX_ARRAY: Final = 100
MAX_DECIMALS: Final = 15
_MAX_NUMBER: Final = 2**63 - 1
# What devices read of a whole number; a wider range in a model does not widen them.
_INT_MIN, _INT_MAX = Decimal(-(2**31)), Decimal(2**31 - 1)
_MAX_DATE: Final = 253_402_300_799_999  # the last millisecond of the year 9999
_MAX_DIGITS: Final = 40
_MOMENT: Final = re.compile(r"[0-9]{1,18}")
_HEX: Final = re.compile(r"([0-9A-Fa-f]{2})*")
_NUMBER: Final = re.compile(r"[+-]?[0-9]{1,40}(\.[0-9]{1,40})?([eE][+-]?[0-9]{1,3})?")


class WriteError(ValueError):
    """What an App asked for is not what the model allows.

    Attributes:
        code: the path of codes to what is wrong, "" where it is the request as a whole.
        rule: what it breaks, to be read after the code.
    """

    def __init__(self, code: str, rule: str) -> None:
        super().__init__(f"{code} {rule}" if code else rule)
        self.code = code
        self.rule = rule


@dataclass(frozen=True, slots=True)
class Bool:
    """True or false, and what an App may show for each."""

    true_name: str = ""
    false_name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Number:
    """INT (32 bits), FLOAT or DOUBLE. `multiple` is kept for Apps and changes no value."""

    kind: NumberKind
    min: Decimal | None = None
    max: Decimal | None = None
    step: Decimal | None = None
    unit: str = ""
    multiple: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Enum:
    """One of some whole numbers, each with the name an App shows."""

    names: tuple[tuple[int, str], ...]


@dataclass(frozen=True, slots=True)
class Date:
    """UTC milliseconds."""


@dataclass(frozen=True, slots=True)
class Text:
    """UTF-8, at most `length` bytes."""

    length: int | None = None


@dataclass(frozen=True, slots=True)
class Raw:
    """Bytes, at most `length`; in JSON two hex digits each."""

    length: int | None = None


@dataclass(frozen=True, slots=True)
class Struct:
    """Named members."""

    members: "tuple[Parameter, ...]"


@dataclass(frozen=True, slots=True)
class Array:
    """1 to `size` elements of one type."""

    element: "Type"
    size: int = MAX_ARRAY


Type: TypeAlias = Bool | Number | Enum | Date | Text | Raw | Struct | Array


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """A member of a struct, or what goes with an event or into a service.

    Attributes:
        is_reference: it is one of the product's properties, named here by its number.
    """

    id: int
    code: str
    name: str
    type: Type
    is_required: bool = False
    is_reference: bool = False
    description: str = ""


def data_type(kind: Type) -> str:
    """The platform's word for the type."""
    return kind.kind if isinstance(kind, Number) else type(kind).__name__.upper()


def pushed(value: Plain) -> Plain:
    """A value as the platform says it to Apps: numbers, also those inside others, as text."""
    if isinstance(value, bool | str):
        return value
    if isinstance(value, dict):
        return {code: pushed(each) for code, each in value.items()}
    if isinstance(value, list):
        return [pushed(each) for each in value]
    return digits_of(value)


def as_text(value: Plain) -> str:
    """A value as one text: true and false in words, structs and arrays as JSON."""
    told = pushed(value)
    return told if isinstance(told, str) else json.dumps(told, separators=(",", ":"), ensure_ascii=False)


def read(kind: Type, value: Any) -> Plain | None:
    """What was reported, as a plain value; None when it is of another type."""
    if isinstance(kind, Bool):
        return bool(value) if isinstance(value, bool) or value in (0, 1) else None
    if isinstance(kind, Number | Enum | Date):
        number = _reported_number(value)
        if number is None or (isinstance(kind, Number) and kind.kind != "INT"):
            return number
        return int(number) if number == int(number) else None
    if isinstance(kind, Text):
        return value.decode("utf-8", "replace") if isinstance(value, bytes) else None
    if isinstance(kind, Raw):
        return value.hex().upper() if isinstance(value, bytes) else None
    if not isinstance(value, list):
        return None
    if isinstance(kind, Struct):
        return read_members(kind.members, value)
    elements = [read(kind.element, each) for number, each in value if number == 0]
    return None if len(elements) != len(value) or None in elements else elements


def read_members(members: tuple[Parameter, ...], fields: Iterable[tuple[int, Any]]) -> dict[str, Plain]:
    """What was reported of these, by code; the rest is left out."""
    known = {each.id: each for each in members}
    values: dict[str, Plain] = {}
    for number, value in fields:
        member = known.get(number)
        plain = None if member is None else read(member.type, value)
        if member is not None and plain is not None:
            values.setdefault(member.code, plain)
    return values


def _reported_number(value: Any) -> int | float | None:
    if isinstance(value, bytes):  # a moment may come as text
        digits = value.decode("ascii", "replace")
        return int(digits) if _MOMENT.fullmatch(digits) else None
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        return None
    return value if isinstance(value, int) else float(value)


def is_numbered(asked: dict[str, object]) -> bool:
    """Whether it looks like {"id": number, "name": ..., "type": ..., "value": value}, as WebSocket Apps send."""
    return {"id", "value"} <= asked.keys() <= {"id", "value", "name", "code", "type", "dataType"}


def write(kind: Type, value: object, code: str) -> Any:
    """A value ready for the wire: bool, int, Decimal, str, bytes, or a list of fields.

    Raises:
        WriteError: it breaks a rule of its type; `code` says which value that was.
    """
    if isinstance(kind, Bool):
        return _write_bool(value, code)
    if isinstance(kind, Number):
        return _write_number(kind, value, code)
    if isinstance(kind, Enum):
        choice = _whole(value, code)
        if not _INT_MIN <= choice <= _INT_MAX:
            raise WriteError(code, "is more than devices can read")
        if choice not in {number for number, _ in kind.names}:
            raise WriteError(code, "is none of the values the model names")
        return choice
    if isinstance(kind, Date):
        moment = _whole(value, code)
        if not 0 <= moment <= _MAX_DATE:
            raise WriteError(code, "is no moment in UTC milliseconds")
        return moment
    if isinstance(kind, Text):
        return _write_text(kind, value, code)
    if isinstance(kind, Raw):
        return _write_raw(kind, value, code)
    if isinstance(kind, Struct):
        return write_members(kind.members, value, code)
    elements = _elements(kind, _unpacked(value))
    if not isinstance(elements, list) or not 1 <= len(elements) <= kind.size:
        raise WriteError(code, f"is a list of 1 to {kind.size}")
    return [(0, write(kind.element, each, f"{code}[{place}]")) for place, each in enumerate(elements)]


def _elements(kind: Array, given: object) -> object:
    """The elements of a list whose every one is {"0": value} or {"id": 0, "value": ...}; else what was given."""
    if not isinstance(given, list) or not all(isinstance(each, dict) for each in given):
        return given
    if all(each.keys() == {"0"} for each in given):  # which is no code
        return [each["0"] for each in given]
    if not all(map(is_numbered, given)):
        return given
    members = kind.element.members if isinstance(kind.element, Struct) else ()
    if {"id", "value"} <= {each.code for each in members} or any(id_of(each["id"]) != 0 for each in given):
        return given
    return [each["value"] for each in given]


def _write_bool(value: object, code: str) -> bool:
    word = str(value).lower() if isinstance(value, str | int) else ""
    if word not in {"true", "1", "false", "0"}:
        raise WriteError(code, "is true or false")
    return word in {"true", "1"}


def _write_number(kind: Number, value: object, code: str) -> int | Decimal:
    number = decimal_of(value)
    if number is None:
        raise WriteError(code, "is a number")
    low, high = kind.min, kind.max
    if kind.kind == "INT":
        if number != number.to_integral_value():
            raise WriteError(code, "is a whole number")
        low = _INT_MIN if low is None else max(low, _INT_MIN)
        high = _INT_MAX if high is None else min(high, _INT_MAX)
    if low is not None and number < low:
        raise WriteError(code, f"is at least {digits_of(low)}")
    if high is not None and number > high:
        raise WriteError(code, f"is at most {digits_of(high)}")
    # Fractions, because the arithmetic of decimals rounds.
    if kind.step and (Fraction(number) - Fraction(kind.min or 0)) % Fraction(kind.step):
        raise WriteError(code, f"goes in steps of {digits_of(kind.step)}")
    decimals = len(digits_of(number).partition(".")[2])
    if decimals > MAX_DECIMALS or abs(Fraction(number)) * 10**decimals > _MAX_NUMBER:
        raise WriteError(code, "has too many digits")
    return number if decimals else int(number)


def _write_text(kind: Text, value: object, code: str) -> str:
    if not isinstance(value, str) or not is_text(value):
        raise WriteError(code, "is a text")
    # To a device an empty text is none at all, and a NUL is the end.
    if not value or "\0" in value:
        raise WriteError(code, "holds a NUL" if value else "is empty")
    length = MAX_TEXT if kind.length is None else kind.length
    if len(value.encode()) > length:
        raise WriteError(code, f"has at most {length} bytes")
    return value


def _write_raw(kind: Raw, value: object, code: str) -> bytes:
    length = MAX_TEXT if kind.length is None else kind.length
    if not isinstance(value, str) or _HEX.fullmatch(value) is None:
        raise WriteError(code, "is bytes as hex digits")
    if not value:
        raise WriteError(code, "is empty")
    if len(value) > 2 * length:
        raise WriteError(code, f"has at most {length} bytes")
    return bytes.fromhex(value)


def write_members(members: tuple[Parameter, ...], value: object, code: str) -> Fields:
    """An object of these, ready for the wire.

    Raises:
        WriteError: it is none, lacks what is required or has what nobody knows.
    """
    given = _unpacked(value)
    if isinstance(given, list) and all(isinstance(each, dict) and is_numbered(each) for each in given):
        names = {each.id: each.code for each in members}
        given = [{names.get(id_of(each["id"]) or 0, ""): each["value"]} for each in given]
    if isinstance(given, list) and given and all(isinstance(each, dict) for each in given):
        merged = {name: each for one in given for name, each in one.items()}
        if len(merged) != sum(map(len, given)):
            raise WriteError(code, "has a member that comes twice")
        given = merged
    if not isinstance(given, dict):
        raise WriteError(code, "is an object of its members")
    if not given.keys() <= {each.code for each in members}:
        raise WriteError(code, "has a member the model does not name")
    for member in members:
        if member.is_required and member.code not in given:
            raise WriteError(f"{code}.{member.code}", "is missing")
    if not given:
        raise WriteError(code, "has at least one member")
    return [
        (member.id, write(member.type, given[member.code], f"{code}.{member.code}"))
        for member in members
        if member.code in given
    ]


def _unpacked(value: object) -> object:
    """Structs and arrays come as they are or, as Apps read them, as JSON in a text."""
    if not isinstance(value, str):
        return value
    try:
        return json_text.loads(value, parse_float=Decimal)
    except ValueError:
        return value


def _whole(value: object, code: str) -> int:
    number = decimal_of(value)
    if number is None or number != number.to_integral_value():
        raise WriteError(code, "is a whole number")
    return int(number)


def decimal_of(value: object) -> Decimal | None:
    """A number of JSON, or one in a text, exactly; None for anything else, also for what is too long to count with."""
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal | str):
        return None
    if isinstance(value, str) and _NUMBER.fullmatch(value) is None:
        return None
    number = Decimal(repr(value) if isinstance(value, float) else value)
    if not number.is_finite() or not -_MAX_DIGITS <= number.adjusted() <= _MAX_DIGITS:
        return None
    return number if len(number.as_tuple().digits) <= 2 * _MAX_DIGITS else None


def digits_of(number: float | Decimal) -> str:
    """A number in plain digits, no exponent and no zeros at the end."""
    if isinstance(number, int):
        return str(number)
    text = format(Decimal(repr(number)) if isinstance(number, float) else number, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def id_of(name: object) -> int | None:
    """A number given as such or in up to four digits; None for anything else."""
    if isinstance(name, int) and not isinstance(name, bool):
        return name
    if isinstance(name, str) and name.isascii() and name.isdigit() and len(name) <= 4:
        return int(name)
    return None
