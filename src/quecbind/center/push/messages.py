"""A change as the JSON both protocols carry (app-api.md D1, D2).

Properties have the names of the product's thing model, and numbers are text then, as the platform has it. Without a
model properties have their numbers for names, and numbers are numbers. What a device says of itself has the platform's
names for it, and is text.
"""

import base64
import json
from typing import Any, Final

from quecbind.center.domain import control
from quecbind.center.domain.control import Keep, Kind
from quecbind.center.domain.refusal import Refused
from quecbind.center.domain.status_names import INFO_NAME_BY_ID, STATUS_NAME_BY_ID
from quecbind.center.domain.thing_types import pushed
from quecbind.center.services import changes
from quecbind.center.services.changes import Change, EventReported, Located, PresenceChanged, Reported, RightChanged
from quecbind.wire import commands, ttlv
from quecbind.wire.errors import WireError

Json = dict[str, Any]

KIND_BY_OPERATION: Final[dict[str, Kind]] = {"READ-ATTR": "read", "WRITE-ATTR": "properties", "EXE-SERV": "service"}

# authStatus: the binding was proven with a bind code, or is one that counts like that.
_REAL = 1
_LEVEL_BY_RIGHT = {"owner": 1, "member": 2}


def keep(asked: Json) -> Keep | Refused | None:
    """Whether and for how long an App wants a command to be kept: numbers, texts, or true and false."""
    return control.keep_of(_yes(asked.get("isCache")), _text(asked.get("cacheTime")), _yes(asked.get("isCover")))


def _yes(given: object) -> str:
    """1 for yes or 2 for no, as over HTTP; JSON has words for that too."""
    word = str(given).lower() if isinstance(given, bool) else _text(given)
    return {"true": "1", "false": "2", "0": "2"}.get(word, word)


def _text(given: object) -> str:
    """A number or a text as it comes over HTTP: "" when it is missing, and for anything else what no parameter is."""
    is_told = isinstance(given, int | str) and not isinstance(given, bool)
    return "" if given is None else str(given) if is_told else "?"


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
    content: Json = {"packetId": change.packet_id}
    if change.command == commands.TRANSPARENT_UP:
        return {"type": "RAW", "subtype": "UPLINK"}, {**content, "raw": base64.b64encode(change.payload).decode()}
    try:
        fields = ttlv.decode(change.payload) if change.values is None else []
    except WireError:
        return None
    if change.command == commands.STATUS_REPORT:
        return {"type": "STATUS"}, {**content, "kv": _of_itself(fields, STATUS_NAME_BY_ID)}
    if change.command == commands.INFO_REPORT:
        return {"type": "STATUS"}, {**content, "kv": _of_itself(fields, INFO_NAME_BY_ID)}
    if change.command in {commands.TSL_REPORT, commands.TSL_READ_ANSWER}:
        kv = named(fields) if change.values is None else pushed(dict(change.values))
        return {"type": "MATTR", "subtype": "REPORT"}, {**content, "kv": kv}
    return None


def _of_itself(fields: list[tuple[int, Any]], name_by_id: dict[int, str]) -> Json:
    """What a device says of itself; what the platform has no name for keeps its number."""
    return {name_by_id.get(int(number), number): pushed(value) for number, value in named(fields).items()}


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
