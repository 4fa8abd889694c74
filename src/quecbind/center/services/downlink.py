"""What a user asks of a device as a frame: commands of the domain become a command number and a payload.

A product with a thing model has its properties and services set, read and called as the model says, by code or by
number. Without one, properties are named by their numbers and there are no services. Only the commands of
`USER_COMMANDS` can come of it, or of a frame that an App made itself: configuration and firmware are not among them,
they would let a member move a device. Such a frame is taken apart, held to the same rules, and written anew; raw data
alone is nobody's business but the device's.
"""

from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from quecbind.center.domain import control
from quecbind.center.domain.control import Command, Kind
from quecbind.center.domain.thing_frames import asked_by
from quecbind.center.domain.thing_model import ThingModel, call_fields, read_ids, write_fields
from quecbind.center.domain.thing_types import WriteError, id_of
from quecbind.wire import commands, ttlv
from quecbind.wire.errors import WireError

USER_COMMANDS: Final = frozenset(
    {commands.TSL_READ, commands.TSL_WRITE, commands.TRANSPARENT_DOWN, commands.STATUS_READ, commands.INFO_READ}
)

_NUMBER_BY_KIND: Final[dict[Kind, int]] = {
    "raw": commands.TRANSPARENT_DOWN,
    "properties": commands.TSL_WRITE,
    "service": commands.TSL_WRITE,
    "read": commands.TSL_READ,
}
_MAX_NESTING: Final = 4


class UnsendableError(ValueError):
    """What an App asks for cannot be put into a frame. `is_named`: it names what only a thing model knows."""

    def __init__(self, sentence: str, *, is_named: bool = False) -> None:
        super().__init__(sentence)
        self.is_named = is_named


@dataclass(frozen=True, slots=True)
class Downlink:
    """A frame for a device, without its packet id.

    Attributes:
        kind: what can cover it; None for a frame that an App made.
        numbers: the properties it sets.
    """

    command: int
    payload: bytes
    kind: Kind | None = None
    numbers: frozenset[int] = frozenset()


def encode(command: Command, model: ThingModel | None) -> Downlink:
    """The frame of a command for a device of a product with that thing model.

    Raises:
        UnsendableError: it cannot be one.
    """
    number = _NUMBER_BY_KIND[command.kind]
    if command.kind == "raw":
        return Downlink(number, command.raw, "raw")
    try:
        if command.kind == "read":
            ids = _read(command.asked) if model is None else read_ids(model, command.asked)
            return Downlink(number, commands.encode_ids(ids), "read")
        if command.kind == "properties":
            fields = _write(command.asked) if model is None else write_fields(model, command.asked)
        elif model is None:
            raise UnsendableError("this needs a thing model, which is not known", is_named=True)
        else:
            fields = call_fields(model, command.asked)
        return Downlink(number, ttlv.encode(fields), command.kind, frozenset(field for field, _ in fields))
    except (WireError, WriteError) as error:
        raise UnsendableError(str(error)) from None


def checked(frame: Downlink, model: ThingModel | None) -> Downlink:
    """The frame that an App made, for a device of a product with that thing model, as it may be sent.

    Raises:
        UnsendableError: it cannot be read, or asks for what could not be asked for by name.
    """
    try:
        if frame.command == commands.TSL_WRITE:
            if model is not None:
                kind, asked = asked_by(model, ttlv.decode(frame.payload, parse_float=Decimal))
                return Downlink(frame.command, encode(Command(kind, asked=asked), model).payload)
            fields = ttlv.decode(frame.payload, max_depth=_MAX_NESTING, parse_float=Decimal)
            return Downlink(frame.command, ttlv.encode(_none_empty(_numbered(fields))))
        if frame.command == commands.TSL_READ:
            ids = commands.decode_ids(frame.payload)
            return Downlink(frame.command, encode(Command("read", asked=ids), model).payload)
        if frame.command != commands.TRANSPARENT_DOWN:
            commands.decode_ids(frame.payload)
    except (WireError, WriteError) as error:
        raise UnsendableError(str(error)) from None
    return frame


def _read(asked: object) -> list[int]:
    """A list of numbers, an object with numbers for names, or nothing for all."""
    wanted = [] if asked is None else list(asked) if isinstance(asked, dict) else asked
    if not isinstance(wanted, list) or len(wanted) > control.MAX_VALUES:
        raise UnsendableError(f"give a list of at most {control.MAX_VALUES} property ids")
    return [_id(each) for each in wanted]


def kept_command(kind: Kind) -> int:
    """The command number of what was kept."""
    return _NUMBER_BY_KIND[kind]


def numbers_in(kind: Kind, payload: bytes) -> frozenset[int]:
    """The properties that a kept frame sets."""
    return frozenset(number for number, _ in ttlv.decode(payload)) if kind == "properties" else frozenset()


def without(payload: bytes, left: frozenset[int]) -> bytes:
    """The frame with those properties and no others."""
    return ttlv.encode([field for field in ttlv.decode(payload, parse_float=Decimal) if field[0] in left])


def _write(asked: object) -> list[tuple[int, Any]]:
    if isinstance(asked, list) and all(isinstance(each, dict) for each in asked):
        pairs = [pair for each in asked for pair in each.items()]
    elif isinstance(asked, dict):
        pairs = list(asked.items())
    else:
        raise UnsendableError("give an object of property ids and values")
    return _none_empty([(number, _fields(value, 1)) for number, value in _numbered(pairs)])


def _numbered(pairs: list[tuple[Any, Any]]) -> list[tuple[int, Any]]:
    if not pairs or len(pairs) > control.MAX_VALUES:
        raise UnsendableError(f"give 1 to {control.MAX_VALUES} properties")
    return [(_id(name), value) for name, value in pairs]


def _fields(value: object, depth: int) -> Any:
    if depth > _MAX_NESTING:
        raise UnsendableError("a property is nested too deep")
    if isinstance(value, dict):
        return [(_id(name), _fields(each, depth + 1)) for name, each in value.items()]
    if isinstance(value, list):
        return [(0, _fields(each, depth + 1)) for each in value]
    if value is None:
        raise UnsendableError("a property cannot be null")
    if isinstance(value, str) and "\0" in value:
        raise UnsendableError("to a device a NUL is the end of a text")
    return value


def _none_empty(fields: list[tuple[int, Any]]) -> list[tuple[int, Any]]:
    for _, value in fields:
        if isinstance(value, list):
            _none_empty(value)
        elif value in ("", b""):
            raise UnsendableError("to a device an empty text is none at all")
    return fields


def _id(name: object) -> int:
    number = id_of(name)
    if number is None and isinstance(name, str):
        raise UnsendableError("properties have names only with a thing model; use their numbers", is_named=True)
    if number is None:
        raise UnsendableError("a property is named by its number")
    if not 1 <= number <= ttlv.MAX_ID:
        raise UnsendableError(f"a property has a number from 1 to {ttlv.MAX_ID}")
    return number
