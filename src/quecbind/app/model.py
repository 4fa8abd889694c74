"""What an App knows of a product's properties: which number, name and kind each has. From the platform's productTSL.

Devices know numbers; people and the Developer Center know codes. Without a model numbers are used everywhere.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Self

from quecbind.app.errors import ControlError

MAX_ID = 8191
_WHOLE = {"INT", "ENUM", "DATE"}
_NUMBERS = {"FLOAT", "DOUBLE"}


@dataclass(frozen=True, slots=True)
class Property:
    """`data_type` is the platform's word, such as BOOL or ENUM; "" when it gave none."""

    number: int
    code: str
    name: str = ""
    data_type: str = ""
    is_writable: bool = True


class Model:
    """The properties of one product; an empty one knows only numbers."""

    def __init__(self, properties: Iterable[Property] = ()) -> None:
        self.properties = tuple(properties)
        self._by_number = {one.number: one for one in self.properties}
        self._by_code = {one.code: one for one in self.properties}

    @classmethod
    def from_data(cls, data: object) -> Self:
        """From an answer of productTSL; what cannot be read in it is left out."""
        if isinstance(data, dict) and isinstance(data.get("tslJson"), str):
            try:
                data = json.loads(data["tslJson"])
            except (ValueError, RecursionError):
                data = None
        listed = data.get("properties") if isinstance(data, dict) else None
        return cls(filter(None, map(_property, listed if isinstance(listed, list) else [])))

    def number_of(self, name: str | int) -> int:
        """The number of a property that is named by code or by number.

        Raises:
            ControlError: no property has this code, or the number cannot be one.
        """
        known = self._by_code.get(name) if isinstance(name, str) else None
        if known is not None:
            return known.number
        text = str(name)
        if not (text.isascii() and text.isdigit()):
            raise ControlError(f"no property of this product is called {text!r}")
        number = int(text) if len(text) <= len(str(MAX_ID)) else 0
        if not 1 <= number <= MAX_ID:
            raise ControlError(f"a property has a number from 1 to {MAX_ID}")
        return number

    def code_of(self, number: int) -> str | int:
        """The code of a property, or its number when there is no code."""
        known = self._by_number.get(number)
        return known.code if known is not None else number

    def told(self, number: int, value: Any) -> Any:
        """A value of this property as the platform tells it, in the form it has on every path."""
        known = self._by_number.get(number)
        return _told(typed(known.data_type, value) if known is not None else value)

    def value_of(self, number: int, text: str) -> Any:
        """A value that a person has typed: JSON, and text where that is no JSON or the property is a text.

        Raises:
            ControlError: it is no value of this property's kind.
        """
        known = self._by_number.get(number)
        kind = known.data_type if known is not None else ""
        if kind == "TEXT":
            return text
        try:
            value = json.loads(text)
        except (ValueError, RecursionError):
            value = text
        if kind == "BOOL":
            value = {"1": True, "0": False, "on": True, "off": False}.get(text.lower(), value)
        if not _fits(kind, value):
            raise ControlError(f"{text!r} is no value for {self.code_of(number)}, which is {kind}")
        return _numbered(value)


def typed(data_type: str, value: Any) -> Any:
    """A value as the platform tells it, which is text as often as not, as a value of its kind."""
    if not isinstance(value, str) or data_type in {"", "TEXT", "RAW"}:
        return value
    if data_type == "BOOL":
        return {"1": True, "0": False}.get(value, value.lower() == "true")
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return value


def _fits(kind: str, value: Any) -> bool:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if kind == "BOOL":
        return isinstance(value, bool)
    if kind in _WHOLE:
        return is_number and isinstance(value, int)
    if kind in _NUMBERS:
        return is_number
    return value is not None


def _told(value: Any) -> Any:
    """A struct by number; the names in JSON are text."""
    if isinstance(value, dict):
        return {int(name) if str(name).isdecimal() else name: _told(each) for name, each in value.items()}
    return [_told(each) for each in value] if isinstance(value, list) else value


def _numbered(value: Any) -> Any:
    """JSON objects are structs, whose keys are numbers."""
    if isinstance(value, dict):
        if not all(name.isascii() and name.isdigit() for name in value):
            raise ControlError("the keys of a struct are numbers")
        return {int(name): _numbered(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_numbered(each) for each in value]
    return value


def _property(data: object) -> Property | None:
    if not isinstance(data, dict):
        return None
    try:
        number = int(data.get("id") or 0)
    except (TypeError, ValueError, OverflowError):
        return None
    code = data.get("code")
    if not 1 <= number <= MAX_ID or not isinstance(code, str) or not code:
        return None
    return Property(
        number=number,
        code=code,
        name=str(data.get("name") or ""),
        data_type=str(data.get("dataType") or "").upper(),
        is_writable="W" in str(data.get("subType") or "RW").upper(),
    )
