"""A thing model from the vendor's TSL JSON (app-api.md B2, D3); `domain.tsl_document` is the way back.

Tolerant of how a file came about: fields it does not know are ignored, numbers may come as text, types in any case or
by their App numbers, the whole of it inside `data` or as the text `tslJson`. Strict about what the model then means: a
wrong type, a range upside down, a number or code that comes twice are errors that name the place.
"""

import json
import re
from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Any, Final, NoReturn, TypeVar, get_args

from quecbind.center.domain.text import is_text
from quecbind.center.domain.thing_model import MAX_ID, Access, Event, Level, Property, Service, ThingModel
from quecbind.center.domain.thing_types import (
    MAX_ARRAY,
    MAX_TEXT,
    Array,
    Bool,
    Date,
    Enum,
    Number,
    NumberKind,
    Parameter,
    Raw,
    Struct,
    Text,
    Type,
    decimal_of,
)

T = TypeVar("T")
Json = dict[str, Any]

MAX_FEATURES: Final = 512
MAX_MEMBERS: Final = 100
MAX_CHOICES: Final = 256
MAX_DEPTH: Final = 4
MAX_NAME: Final = 256
MAX_DESCRIPTION: Final = 1024
_CODE: Final = re.compile(r"[A-Za-z_][0-9A-Za-z_]{0,63}")
_REFERENCE: Final = re.compile(r"#/properties/id/([0-9]{1,4})")
# What Apps use inside (short-range.md B.1).
_TYPE_BY_NUMBER: Final = {
    "1": "BOOL",
    "2": "INT",
    "3": "FLOAT",
    "4": "DOUBLE",
    "5": "ENUM",
    "6": "TEXT",
    "7": "DATE",
    "8": "STRUCT",
    "9": "ARRAY",
    "11": "RAW",
}


class TslError(ValueError):
    """This is no thing model. `path` is the place, such as properties[3].specs.min."""

    def __init__(self, path: str, sentence: str) -> None:
        super().__init__(f"{path}: {sentence}" if path else sentence)
        self.path = path


def parse(document: object) -> ThingModel:
    """The model of a TSL document.

    Args:
        document: decoded JSON.

    Raises:
        TslError: it is not one.
    """
    document = _unwrapped(document)
    if not any(name in document for name in ("properties", "events", "services")):
        _fail("", "there are no properties, events or services")
    properties = _each(document, "properties", "properties", MAX_FEATURES, _property)
    by_id = {each.id: each for each in properties}
    events = _each(document, "events", "events", MAX_FEATURES, lambda given, path: _event(given, path, by_id))
    services = _each(document, "services", "services", MAX_FEATURES, lambda given, path: _service(given, path, by_id))
    features = [*properties, *events, *services]
    if len(features) > MAX_FEATURES:
        _fail("", f"there are more than {MAX_FEATURES} properties, events and services")
    paths = [
        f"{name}[{place}]"
        for name, group in (("properties", properties), ("events", events), ("services", services))
        for place in range(len(group))
    ]
    _unique(features, paths)
    return ThingModel(properties, events, services)


def _unwrapped(document: object) -> Json:
    for name in ("data", "tslJson"):
        if isinstance(document, dict) and name in document and "properties" not in document:
            document = document[name]
    if isinstance(document, str):
        try:
            document = json.loads(document)
        except (ValueError, RecursionError):
            _fail("tslJson", "is not JSON")
    if not isinstance(document, dict):
        _fail("", "a thing model is a JSON object")
    return document


def _property(given: Json, path: str) -> Property:
    return Property(
        id=_number_id(given, path),
        code=_code(given, path),
        name=_text(given, "name", path, MAX_NAME),
        type=_type(given, path, 1),
        access=_one_of(given, "subType", path, get_args(Access), "R"),
        sort=_sort(given, path),
        is_required=_flag(given, "required", path),
        description=_text(given, "desc", path, MAX_DESCRIPTION),
    )


def _event(given: Json, path: str, properties: dict[int, Property]) -> Event:
    return Event(
        id=_number_id(given, path),
        code=_code(given, path),
        name=_text(given, "name", path, MAX_NAME),
        level=_one_of(given, "subType", path, get_args(Level), "INFO"),
        outputs=_parameters(given, "outputData", path, properties, 1),
        sort=_sort(given, path),
        description=_text(given, "desc", path, MAX_DESCRIPTION),
    )


def _service(given: Json, path: str, properties: dict[int, Property]) -> Service:
    return Service(
        id=_number_id(given, path),
        code=_code(given, path),
        name=_text(given, "name", path, MAX_NAME),
        inputs=_parameters(given, "inputData", path, properties, 1),
        outputs=_parameters(given, "outputData", path, properties, 1),
        call=_one_of(given, "subType", path, ("ASYNC", "SYNC"), "ASYNC"),
        sort=_sort(given, path),
        description=_text(given, "desc", path, MAX_DESCRIPTION),
    )


def _parameters(
    given: Json, name: str, path: str, properties: dict[int, Property], depth: int
) -> tuple[Parameter, ...]:
    def one(item: Json, where: str) -> Parameter:
        reference = item.get("$ref")
        if reference is None:
            return _parameter(item, where, depth)
        found = _REFERENCE.fullmatch(reference) if isinstance(reference, str) else None
        target = properties.get(int(found[1])) if found is not None else None
        if target is None:
            _fail(where, "$ref names no property of this model")
        return Parameter(id=target.id, code=target.code, name=target.name, type=target.type, is_reference=True)

    parameters = _each(given, name, f"{path}.{name}", MAX_MEMBERS, one)
    _unique(parameters, [f"{path}.{name}[{place}]" for place in range(len(parameters))])
    return parameters


def _parameter(given: Json, path: str, depth: int) -> Parameter:
    return Parameter(
        id=_number_id(given, path),
        code=_code(given, path),
        name=_text(given, "name", path, MAX_NAME),
        type=_type(given, path, depth),
        is_required=_flag(given, "required", path),
        description=_text(given, "desc", path, MAX_DESCRIPTION),
    )


def _type(given: Json, path: str, depth: int) -> Type:
    kind = _data_type(given, path)
    specs, where = given.get("specs"), f"{path}.specs"
    if kind == "BOOL":
        names = {value.lower(): name for value, name in _choices(specs, where)}
        return Bool(names.get("true", names.get("1", "")), names.get("false", names.get("0", "")))
    if kind == "ENUM":
        return _enum(specs, where)
    if kind == "STRUCT":
        return _struct(specs, where, depth)
    if kind == "DATE":
        return Date()
    limits = _object(specs, where)
    if kind == "ARRAY":
        return _array(limits, where, depth)
    if kind == "TEXT":
        return Text(_length(limits, where))
    if kind == "RAW":
        return Raw(_length(limits, where))
    return _number(kind, limits, where)


def _number(kind: NumberKind, limits: Json, path: str) -> Number:
    number = Number(
        kind=kind,
        min=_decimal(limits, "min", path),
        max=_decimal(limits, "max", path),
        step=_decimal(limits, "step", path),
        unit=_text(limits, "unit", path, 64),
        multiple=_decimal(limits, "multiple", path),
    )
    if number.min is not None and number.max is not None and number.min > number.max:
        _fail(f"{path}.min", "is above the maximum")
    if number.step is not None and number.step < 0:
        _fail(f"{path}.step", "is below zero")
    if kind == "INT":
        for name in ("min", "max", "step"):
            value = getattr(number, name)
            if value is not None and value != value.to_integral_value():
                _fail(f"{path}.{name}", "is no whole number")
    return number


def _enum(specs: object, path: str) -> Enum:
    names: dict[int, str] = {}
    for place, (value, name) in enumerate(_choices(specs, path)):
        number = decimal_of(value)
        if number is None or number != number.to_integral_value() or abs(number) > 2**31:
            _fail(f"{path}[{place}].value", "is no whole number")
        if int(number) in names:
            _fail(f"{path}[{place}].value", "comes twice")
        names[int(number)] = name
    if not names:
        _fail(path, "an ENUM names at least one value")
    return Enum(tuple(names.items()))


def _struct(specs: object, path: str, depth: int) -> Struct:
    if depth >= MAX_DEPTH:
        _fail(path, "is nested too deep")
    if not isinstance(specs, list) or not specs:
        _fail(path, "a STRUCT is a list of members")
    members = _each({"specs": specs}, "specs", path, MAX_MEMBERS, lambda item, at: _parameter(item, at, depth + 1))
    _unique(members, [f"{path}[{place}]" for place in range(len(members))])
    return Struct(members)


def _array(limits: Json, path: str, depth: int) -> Array:
    if depth >= MAX_DEPTH:
        _fail(path, "is nested too deep")
    size = _whole(limits, "size", path, 1, MAX_ARRAY)
    # The range of its numbers stands beside the size; everything else is where a type has it.
    inner = {"dataType": limits.get("dataType"), "specs": limits.get("numberSpecs", limits.get("specs"))}
    return Array(_type(inner, path, depth + 1), MAX_ARRAY if size is None else size)


def _choices(specs: object, path: str) -> list[tuple[str, str]]:
    if specs is None:
        return []
    if not isinstance(specs, list) or len(specs) > MAX_CHOICES:
        _fail(path, f"is a list of at most {MAX_CHOICES} values and names")
    choices = []
    for place, item in enumerate(specs):
        where = f"{path}[{place}]"
        given = _object(item, where)
        value = given.get("value")
        if not isinstance(value, str | int):
            _fail(f"{where}.value", "is missing")
        choices.append((str(value), _text(given, "name", where, MAX_NAME)))
    return choices


def _data_type(given: Json, path: str) -> Any:
    word = given.get("dataType")
    kind = str(word).upper() if isinstance(word, str | int) else ""
    kind = _TYPE_BY_NUMBER.get(kind, kind)
    if kind not in _TYPE_BY_NUMBER.values():
        _fail(f"{path}.dataType", "is none of " + " ".join(_TYPE_BY_NUMBER.values()))
    return kind


def _each(given: Json, name: str, path: str, most: int, read: Callable[[Json, str], T]) -> tuple[T, ...]:
    items = given.get(name)
    if items is None:
        return ()
    if not isinstance(items, list) or len(items) > most:
        _fail(path, f"is a list of at most {most}")
    return tuple(read(_object(item, f"{path}[{place}]"), f"{path}[{place}]") for place, item in enumerate(items))


def _object(given: object, path: str) -> Json:
    if given is None:
        return {}
    if not isinstance(given, dict):
        _fail(path, "is an object")
    return given


def _unique(features: Iterable[Any], paths: list[str]) -> None:
    ids: set[int] = set()
    codes: set[str] = set()
    for each, path in zip(features, paths, strict=True):
        if each.id in ids:
            _fail(f"{path}.id", "comes twice")
        if each.code in codes:
            _fail(f"{path}.code", "comes twice")
        ids.add(each.id)
        codes.add(each.code)


def _number_id(given: Json, path: str) -> int:
    number = _whole(given, "id", path, 1, MAX_ID)
    if number is None:
        _fail(f"{path}.id", "is missing")
    return number


def _code(given: Json, path: str) -> str:
    code = given.get("code")
    if not isinstance(code, str) or _CODE.fullmatch(code) is None:
        _fail(f"{path}.code", "has 1 to 64 letters, digits or _, and begins with no digit")
    return code


def _text(given: Json, name: str, path: str, most: int) -> str:
    text = given.get(name)
    if text is None:
        return ""
    if not isinstance(text, str) or len(text) > most or not is_text(text) or "\0" in text:
        _fail(f"{path}.{name}", f"is a text of at most {most} characters")
    return text


def _one_of(given: Json, name: str, path: str, words: tuple[Any, ...], default: str) -> Any:
    word = given.get(name)
    if word is None:
        return default
    found = str(word).upper()
    if found not in words:
        _fail(f"{path}.{name}", "is none of " + " ".join(words))
    return found


def _sort(given: Json, path: str) -> int:
    return _whole(given, "sort", path, 0, 2**31) or 0


def _flag(given: Json, name: str, path: str) -> bool:
    word = str(given.get(name, False)).lower()
    if word not in {"true", "1", "false", "0", "none", ""}:
        _fail(f"{path}.{name}", "is true or false")
    return word in {"true", "1"}


def _length(limits: Json, path: str) -> int | None:
    return _whole(limits, "length", path, 1, MAX_TEXT)


def _whole(given: Json, name: str, path: str, low: int, high: int) -> int | None:
    number = _decimal(given, name, path)
    if number is None:
        return None
    if number != number.to_integral_value() or not low <= number <= high:
        _fail(f"{path}.{name}", f"is a whole number from {low} to {high}")
    return int(number)


def _decimal(given: Json, name: str, path: str) -> Decimal | None:
    value = given.get(name)
    if value is None or value == "":
        return None
    number = decimal_of(value)
    if number is None:
        _fail(f"{path}.{name}", "is no number")
    return number


def _fail(path: str, sentence: str) -> NoReturn:
    raise TslError(path, sentence)
