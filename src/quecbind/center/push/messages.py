"""A change as the JSON both protocols carry (app-api.md D1, D2), and JSON of an App as the payload of a frame.

Properties have the names of the product's thing model, and numbers are text then, as the platform has it. Without a
model properties have their numbers for names, and numbers are numbers.
"""

import base64
import json
from typing import Any, Final

from quecbind.center.domain.thing_types import pushed
from quecbind.center.services import changes
from quecbind.center.services.changes import Change, EventReported, Located, PresenceChanged, Reported, RightChanged
from quecbind.wire import commands, ttlv
from quecbind.wire.errors import WireError

Json = dict[str, Any]

# authStatus: the binding was proven with a bind code, or is one that counts like that.
_REAL = 1
_LEVEL_BY_RIGHT = {"owner": 1, "member": 2}
_MAX_DEPTH: Final = 4
MAX_IDS: Final = 100


class UnsendableError(ValueError):
    """What an App sent cannot be put into a frame. `is_named`: it names what only a thing model knows."""

    def __init__(self, sentence: str, *, is_named: bool = False) -> None:
        super().__init__(sentence)
        self.is_named = is_named


def message(change: Change, now_ms: int, ticket: str, online: int = 1) -> Json | None:
    """What is said about a change; None when nothing is.

    Args:
        now_ms: UTC milliseconds.
        ticket: names this message.
        online: how a device that has come is counted: 1, or 2 when it was there before.
    """
    if isinstance(change, RightChanged):
        facts: Json = {"type": "ENDUSER", "subtype": "USER-BIND"}
        # A string, as the vendor's sample has it.
        content: object = json.dumps(_user_bind(change))
    elif isinstance(change, PresenceChanged):
        facts, content = {"type": "ONLINE"}, {"value": online if change.is_online else 0}
    elif isinstance(change, EventReported):
        facts = {"type": "MEVENT", "subtype": change.level}
        content = {"packetId": change.packet_id, "code": change.code, "kv": pushed(dict(change.values))}
    elif isinstance(change, Located):
        facts, content = {"type": "LOCATION", "subtype": "INFO-KV"}, _located(change)
    elif isinstance(change, Reported):
        told = _report(change)
        if told is None:
            return None
        facts, content = told
    else:
        return None
    return {
        "productKey": change.product_key,
        "deviceKey": change.device_key,
        **facts,
        "createdAt": now_ms,
        "ticket": ticket,
        "data": content,
    }


def _user_bind(change: RightChanged) -> Json:
    facts: Json = {
        "endUserId": change.uid,
        "endUserDomain": change.user_domain,
        "value": change.value,
        "authStatus": _REAL,
        "authLevel": _LEVEL_BY_RIGHT[change.right],
    }
    if change.value != changes.ADDED:
        facts["invalidCause"] = change.cause
    return facts


def _report(change: Reported) -> tuple[Json, Json] | None:
    if change.command == commands.TRANSPARENT_UP:
        return {"type": "RAW", "subtype": "UPLINK"}, {"raw": base64.b64encode(change.payload).decode()}
    try:
        kv = named(ttlv.decode(change.payload)) if change.values is None else pushed(dict(change.values))
    except WireError:
        return None
    if change.command == commands.STATUS_REPORT:
        return {"type": "STATUS"}, {"kv": kv}
    if change.command in {commands.TSL_REPORT, commands.TSL_READ_ANSWER}:
        return {"type": "MATTR", "subtype": "REPORT"}, {"packetId": change.packet_id, "kv": kv}
    if change.command == commands.INFO_REPORT:
        return {"type": "INFO"}, {"kv": kv}
    return None


def _located(change: Located) -> Json:
    place = change.place
    latitude, longitude = place.degrees
    kv: Json = {
        "lat": float(place.latitude),
        "lng": float(place.longitude),
        "latType": place.north_south,
        "lngType": place.east_west,
        "wgs_84": {"lat": latitude, "lng": longitude},
        "locateTime": change.at,
    }
    if place.satellite_count is not None:
        kv["satellites"] = place.satellite_count
    if place.hdop is not None:
        kv["hdop"] = place.hdop
    return {"packetId": change.packet_id, "type": place.system, "subType": place.system, "kv": kv}


def named(fields: list[tuple[int, Any]]) -> Json:
    """Fields by number. Of two with the same number the first counts, as elsewhere."""
    facts: Json = {}
    for number, value in fields:
        facts.setdefault(str(number), _plain(value))
    return facts


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, list):
        if value and all(number == 0 for number, _ in value):
            return [_plain(each) for _, each in value]
        return named(value)
    return value


def read_payload(kv: object) -> bytes:
    """The payload that asks for properties: a list of ids, an object with ids for names, or nothing for all.

    Raises:
        UnsendableError: it is none of these.
    """
    wanted = [] if kv is None else kv
    if isinstance(wanted, dict):
        wanted = list(wanted)
    if not isinstance(wanted, list) or len(wanted) > MAX_IDS:
        raise UnsendableError(f"kv is a list of at most {MAX_IDS} property ids")
    return commands.encode_ids([_id(each) for each in wanted])


def write_payload(kv: object) -> bytes:
    """The payload that sets properties, from {"<id>": value}; or from a list of such objects.

    Raises:
        UnsendableError: it is none of these, or too large.
    """
    if isinstance(kv, list) and all(isinstance(each, dict) for each in kv):
        pairs = [pair for each in kv for pair in each.items()]
    elif isinstance(kv, dict):
        pairs = list(kv.items())
    else:
        raise UnsendableError("kv is an object of property ids and values")
    if not pairs or len(pairs) > MAX_IDS:
        raise UnsendableError(f"kv has 1 to {MAX_IDS} properties")
    try:
        return ttlv.encode([(_id(name), _fields(value, 1)) for name, value in pairs])
    except WireError as error:
        raise UnsendableError(str(error)) from None


def _fields(value: object, depth: int) -> Any:
    if depth > _MAX_DEPTH:
        raise UnsendableError("kv is nested too deep")
    if isinstance(value, dict):
        return [(_id(name), _fields(each, depth + 1)) for name, each in value.items()]
    if isinstance(value, list):
        return [(0, _fields(each, depth + 1)) for each in value]
    if value is None:
        raise UnsendableError("a property cannot be null")
    return value


def _id(name: object) -> int:
    if isinstance(name, int) and not isinstance(name, bool):
        number = name
    elif isinstance(name, str) and name.isascii() and name.isdigit() and len(name) <= 4:
        number = int(name)
    elif isinstance(name, str):
        raise UnsendableError("properties have names only with a thing model; use their numbers", is_named=True)
    else:
        raise UnsendableError("a property is named by its number")
    if not 1 <= number <= ttlv.MAX_ID:
        raise UnsendableError(f"a property has a number from 1 to {ttlv.MAX_ID}")
    return number


def loads(text: object) -> object:
    """JSON of an App.

    Raises:
        ValueError: it is none, or has numbers that JSON has not, or a key twice, or is nested too deep.
    """
    if not isinstance(text, str | bytes):
        raise ValueError("not a text")  # noqa: TRY004 - one error for whatever an App sends
    try:
        return json.loads(text, parse_constant=_refuse, object_pairs_hook=_object)
    except RecursionError:
        raise ValueError("nested too deep") from None


def _object(pairs: list[tuple[str, object]]) -> Json:
    content = dict(pairs)
    if len(content) != len(pairs):
        raise ValueError("a key is repeated")
    return content


def _refuse(name: str) -> float:
    raise ValueError(f"{name} is not JSON")
