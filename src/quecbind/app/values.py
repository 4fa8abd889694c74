"""Properties as programs have them, and as fields of a frame.

A struct is a dict by id and an array a list; text is str where it is UTF-8 and bytes where it is not. Of two fields
with the same id the first counts, as devices read them.
"""

from collections.abc import Iterable, Mapping
from typing import Any

Values = dict[int, Any]


def from_fields(fields: Iterable[tuple[int, Any]]) -> Values:
    """Fields as `wire.ttlv` decodes them, by id."""
    values: Values = {}
    for number, value in fields:
        if number not in values:
            values[number] = _value(value)
    return values


def to_fields(values: Mapping[int, Any]) -> list[tuple[int, Any]]:
    """Values by id as `wire.ttlv` encodes them."""
    return [(number, _field(value)) for number, value in values.items()]


def _value(value: Any) -> Any:
    if isinstance(value, list):
        if value and all(number == 0 for number, _ in value):
            return [_value(each) for _, each in value]
        return from_fields(value)
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeError:
            return value
    return value


def _field(value: Any) -> Any:
    if isinstance(value, Mapping):
        return to_fields(value)
    if isinstance(value, list | tuple):
        return [(0, _field(each)) for each in value]
    return value
