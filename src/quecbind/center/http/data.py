"""Data of devices on the App API: thing model, last values, history (app-api.md B2).

Takes parameters to the service and its answers back. What the caller may see is decided there.
"""

from typing import Any, Final

import msgspec

from quecbind.center.domain import refusal
from quecbind.center.domain.sharing import MAX_TIME_MS
from quecbind.center.http.app_call import AppCall, Endpoint
from quecbind.center.http.attributes import AttributesObject
from quecbind.center.http.binding import DEFAULT_PAGE_SIZE, MAX_PAGE
from quecbind.center.http.page_info import PageInfo, page_info
from quecbind.center.services.device_data import ALL_PARTS
from quecbind.center.services.errors import Rejected
from quecbind.center.services.views import MAX_PAGE_SIZE, HistoryEntry, Page

_PART_BY_TEXT: Final = {str(part): part for part in ALL_PARTS}


class HistoryObject(msgspec.Struct, rename="camel"):
    """One report. quecbind extension."""

    time_ts: int
    kv: dict[str, Any]
    events: list[dict[str, Any]]

    @classmethod
    def of(cls, entry: HistoryEntry) -> "HistoryObject":
        """The report as Apps read it."""
        events = [{"code": event.code, "subtype": event.level, "kv": event.values} for event in entry.events]
        return cls(entry.at, entry.values, events)


async def product_model(call: AppCall) -> dict[str, Any]:
    """The thing model of a product the caller has a device of."""
    who, product_key = await call.signed_in(), call.parameters.text("pk")
    return await call.center.device_data.model(who, product_key)


async def attributes(call: AppCall) -> AttributesObject:
    """What a device of the caller last told about itself."""
    who, take = await call.signed_in(), call.parameters
    parts, codes = take.texts("type"), take.texts("codeList")
    product_key, device_key = take.text("pk"), take.text("dk")
    if codes and not parts:
        raise Rejected(refusal.QUERY_TYPE_MISSING)
    if not set(parts) <= _PART_BY_TEXT.keys():
        raise Rejected(refusal.INVALID, "type is 1, 2 or 3, or several of them, by comma")
    wanted = {_PART_BY_TEXT[part] for part in parts} or ALL_PARTS
    found = await call.center.device_data.attributes(who, product_key, device_key, wanted, codes)
    return AttributesObject.of(found, product_key, device_key)


async def history(call: AppCall) -> PageInfo:
    """What a device of the caller reported since they own it."""
    who, take = await call.signed_in(), call.parameters
    found = await call.center.device_data.history(
        who,
        take.text("pk"),
        take.text("dk"),
        take.whole("startTime", default=0, lowest=0, highest=MAX_TIME_MS),
        take.whole("endTime", default=MAX_TIME_MS, lowest=0, highest=MAX_TIME_MS),
        take.whole("page", "pageNumber", default=1, lowest=1, highest=MAX_PAGE),
        take.whole("pageSize", default=DEFAULT_PAGE_SIZE, lowest=1, highest=MAX_PAGE_SIZE),
    )
    objects: list[object] = [HistoryObject.of(entry) for entry in found.items]
    return page_info(Page(objects, found.page, found.page_size, found.total_count))


_BINDING = "/v2/binding/enduserapi"

ENDPOINTS = (
    Endpoint("GET", _BINDING + "/productTSL", product_model),
    Endpoint("GET", _BINDING + "/getDeviceBusinessAttributes", attributes),
    Endpoint("GET", _BINDING + "/getDeviceHistory", history),
)
