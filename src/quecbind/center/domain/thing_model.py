"""The thing model of a product: what its devices can tell, take and do.

A model is a tree of frozen values; `domain.tsl` reads it from the vendor's JSON and writes it back. Here the two
directions of data go through it: what a device reports, fields `(id, value)` as TTLV has them, becomes names and plain
values (`read_fields`, `read_events`); what an App asks for becomes such fields (`write_fields`, `call_fields`,
`read_ids`). What a device reports and the model does not know is left out; what an App asks for is refused unless all
of it is allowed. Knows no TTLV, only pairs of a number and a value.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from quecbind.center.domain.thing_types import (
    Fields,
    Parameter,
    Plain,
    Type,
    WriteError,
    id_of,
    is_numbered,
    read,
    read_members,
    write,
    write_members,
)

Access = Literal["R", "W", "RW"]
Level = Literal["INFO", "WARN", "ERROR"]

MAX_ID: Final = 8191
_CALLED: Final = True  # stands for the input of a service that takes none


@dataclass(frozen=True, slots=True, kw_only=True)
class Property:
    """What a device has: told by it, set by Apps, or both."""

    id: int
    code: str
    name: str
    type: Type
    access: Access
    sort: int = 0
    is_required: bool = False
    description: str = ""

    @property
    def is_writable(self) -> bool:
        """Whether Apps may set it."""
        return "W" in self.access


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """What a device tells when it happens."""

    id: int
    code: str
    name: str
    level: Level
    outputs: tuple[Parameter, ...] = ()
    sort: int = 0
    description: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """What a device does when it is called."""

    id: int
    code: str
    name: str
    inputs: tuple[Parameter, ...] = ()
    outputs: tuple[Parameter, ...] = ()
    call: str = "ASYNC"
    sort: int = 0
    description: str = ""


@dataclass(frozen=True, slots=True)
class ThingModel:
    """A product's properties, events and services. Numbers and codes are each its own over all three."""

    properties: tuple[Property, ...] = ()
    events: tuple[Event, ...] = ()
    services: tuple[Service, ...] = ()
    _by_code: "dict[str, Property | Event | Service]" = field(init=False, repr=False, compare=False)
    _by_id: "dict[int, Property | Event | Service]" = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        features: list[Property | Event | Service] = [*self.properties, *self.events, *self.services]
        object.__setattr__(self, "_by_code", {each.code: each for each in features})
        object.__setattr__(self, "_by_id", {each.id: each for each in features})

    def property_named(self, name: object) -> Property | None:
        """The property with this code, or with this number, as a number or in digits."""
        found = self._by_code.get(name) if isinstance(name, str) else None
        if found is None:
            number = id_of(name)
            found = None if number is None else self._by_id.get(number)
        return found if isinstance(found, Property) else None

    def property_by_id(self, number: int) -> Property | None:
        """The property with this number."""
        found = self._by_id.get(number)
        return found if isinstance(found, Property) else None

    def event_by_id(self, number: int) -> Event | None:
        """The event with this number."""
        found = self._by_id.get(number)
        return found if isinstance(found, Event) else None

    def service_by_id(self, number: int) -> Service | None:
        """The service with this number."""
        found = self._by_id.get(number)
        return found if isinstance(found, Service) else None

    def service_named(self, name: object) -> Service | None:
        """The service with this code, or with this number, as a number or in digits."""
        found = self._by_code.get(name) if isinstance(name, str) else None
        if found is None:
            number = id_of(name)
            found = None if number is None else self._by_id.get(number)
        return found if isinstance(found, Service) else None


def read_fields(model: ThingModel, fields: Iterable[tuple[int, Any]]) -> dict[str, Plain]:
    """The properties that a device reported, by code. Of two with the same number the first counts."""
    values: dict[str, Plain] = {}
    for number, value in fields:
        known = model.property_by_id(number)
        if known is not None and known.code not in values:
            plain = read(known.type, value)
            if plain is not None:
                values[known.code] = plain
    return values


def read_events(model: ThingModel, fields: Iterable[tuple[int, Any]]) -> list[tuple[Event, dict[str, Plain]]]:
    """The events that a device reported, each with what went with it."""
    told = []
    for number, value in fields:
        event = model.event_by_id(number)
        if event is not None:
            inside = value if isinstance(value, list) else [(each.id, value) for each in event.outputs[:1]]
            told.append((event, read_members(event.outputs, inside)))
    return told


def read_ids(model: ThingModel, asked: object) -> list[int]:
    """The numbers of the properties an App asks for: a list of codes, an object with codes for names, None for all.

    In a list a property may be named by an object with its number as "id", as one that is written is.

    Raises:
        WriteError: it is none of these, or names what the model does not have.
    """
    wanted = [] if asked is None else list(asked) if isinstance(asked, dict) else asked
    if not isinstance(wanted, list) or len(wanted) > len(model.properties):
        raise WriteError("", "give a list of property codes")
    ids = []
    for each in wanted:
        name = each.get("id") if isinstance(each, dict) else each
        known = model.property_named(name)
        if known is None:
            raise WriteError(_shown(name), "is no property of this product")
        if known.access == "W":
            raise WriteError(known.code, "can only be written")
        ids.append(known.id)
    return ids


def write_fields(model: ThingModel, asked: object) -> Fields:
    """The fields that set properties.

    Args:
        asked: {code: value}, a list of such objects, or of {"id": number, "value": value} as WebSocket Apps send.
            Numbers and true or false may come as text.

    Raises:
        WriteError: a property is unknown, comes twice, may not be written, or a value breaks a rule of its type.
    """
    fields: Fields = []
    seen = set()
    for name, value in _pairs(model, asked):
        known = model.property_named(name)
        if known is None:
            raise WriteError(_shown(name), "is no property of this product")
        if not known.is_writable:
            raise WriteError(known.code, "can only be read")
        if known.id in seen:
            raise WriteError(known.code, "comes twice")
        seen.add(known.id)
        fields.append((known.id, write(known.type, value, known.code)))
    if not fields:
        raise WriteError("", "give at least one property")
    return fields


def call_fields(model: ThingModel, asked: object) -> Fields:
    """The field that calls a service: its number with a struct of its inputs, or with true when there are none.

    Args:
        asked: {code of the service: {code of an input: value}}, {"id": number, "value": inputs}, or a list with one
            such object.

    Raises:
        WriteError: there is no such service, or its inputs are not what it takes.
    """
    if isinstance(asked, list) and len(asked) == 1:
        asked = asked[0]
    if isinstance(asked, dict) and is_numbered(asked):
        asked = {asked["id"]: asked["value"]}
    if not isinstance(asked, dict) or len(asked) != 1:
        raise WriteError("", "give one service and its inputs")
    ((name, given),) = asked.items()
    service = model.service_named(name)
    if service is None:
        raise WriteError(_shown(name), "is no service of this product")
    if not service.inputs:
        if given not in (None, {}, []):
            raise WriteError(service.code, "takes no inputs")
        return [(service.id, _CALLED)]
    return [(service.id, write_members(service.inputs, given, service.code))]


def _pairs(model: ThingModel, asked: object) -> Iterator[tuple[object, object]]:
    objects: list[Any] = asked if isinstance(asked, list) else [asked]
    if len(objects) > MAX_ID or not all(isinstance(each, dict) for each in objects):
        raise WriteError("", "give an object of property codes and values")
    for each in objects:
        if is_numbered(each) and not all(model.property_named(name) for name in each):
            yield each["id"], each["value"]
        else:
            yield from each.items()


def _shown(name: object) -> str:
    """A name an App gave, if it can be one: what else it sent is not repeated to it."""
    return name if isinstance(name, str) and name.isascii() and name.isidentifier() and len(name) <= 64 else "this"
