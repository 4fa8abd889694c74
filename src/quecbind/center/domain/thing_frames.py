"""A write that an App has put into a frame itself, taken back to what it asks for by code.

So that it passes through the same rules as one by code: `thing_model.write_fields` and `call_fields` decide, nothing is
decided here but whether each value has the type of its property. Unlike a device an App is not taken at its word: a
number is no truth value, and text is UTF-8. Knows no TTLV, only pairs of a number and a value.
"""

from collections.abc import Iterable
from decimal import Decimal
from typing import Any, Final

from quecbind.center.domain.control import Kind
from quecbind.center.domain.thing_model import ThingModel
from quecbind.center.domain.thing_types import (
    Array,
    Bool,
    Date,
    Enum,
    Fields,
    Number,
    Parameter,
    Plain,
    Raw,
    Struct,
    Text,
    Type,
    WriteError,
)

_OTHER_TYPE: Final = "has another type"


def asked_by(model: ThingModel, fields: Fields) -> tuple[Kind, Plain]:
    """The properties, or the one service, that the fields of a frame set or call.

    Raises:
        WriteError: the model does not know a number, a value is of another type, or something comes twice.
    """
    service = model.service_by_id(fields[0][0]) if len(fields) == 1 else None
    if service is not None:
        given = fields[0][1]
        if service.inputs:
            return "service", {service.code: _members(service.inputs, given, service.code)}
        if given is not True:
            raise WriteError(service.code, "takes no inputs")
        return "service", {service.code: None}
    values: dict[str, Plain] = {}
    for number, value in fields:
        known = model.property_by_id(number)
        if known is None:
            raise WriteError(str(number), "is no property of this product")
        if known.code in values:
            raise WriteError(known.code, "comes twice")
        values[known.code] = _plain(known.type, value, known.code)
    return "properties", values


def _plain(kind: Type, value: Any, code: str) -> Plain:
    if isinstance(kind, Bool) and isinstance(value, bool):
        return value
    if isinstance(kind, Number | Enum | Date) and isinstance(value, int | Decimal) and not isinstance(value, bool):
        return value
    if isinstance(kind, Text) and isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeDecodeError:
            raise WriteError(code, "is a text") from None
    if isinstance(kind, Raw) and isinstance(value, bytes):
        return value.hex()
    if isinstance(kind, Struct):
        return _members(kind.members, value, code)
    if isinstance(kind, Array) and isinstance(value, list) and not any(number for number, _ in value):
        return [_plain(kind.element, each, f"{code}[{place}]") for place, (_, each) in enumerate(value)]
    raise WriteError(code, _OTHER_TYPE)


def _members(members: Iterable[Parameter], value: Any, code: str) -> dict[str, Plain]:
    if not isinstance(value, list):
        raise WriteError(code, _OTHER_TYPE)
    known = {each.id: each for each in members}
    values: dict[str, Plain] = {}
    for number, given in value:
        member = known.get(number)
        if member is None:
            raise WriteError(code, "has a member the model does not name")
        if member.code in values:
            raise WriteError(f"{code}.{member.code}", "comes twice")
        values[member.code] = _plain(member.type, given, f"{code}.{member.code}")
    return values
