"""Devices on the App API: may I bind, bind, list, name, unbind (app-api.md B1, B2); their data is in `data`.

Takes parameters to the ownership service and its answers back. Whom a device belongs to is decided there; a product
key or device key in a request is a wish, the caller is always the one the token names.
"""

import msgspec

from quecbind.center.domain import refusal
from quecbind.center.http.app_call import AppCall, Endpoint
from quecbind.center.http.app_objects import AuditObject, Bound, DeviceObject, Outlook
from quecbind.center.http.page_info import PageInfo, page_info
from quecbind.center.http.parameters import Parameters
from quecbind.center.services.errors import Rejected
from quecbind.center.services.views import MAX_PAGE_SIZE, DeviceFilter, Page

DEFAULT_PAGE_SIZE = 10
MAX_PAGE = 1_000_000


class AuthKey(msgspec.Struct, rename="camel"):
    """Base64 of the 16 bytes that open LAN and BLE sessions with the device."""

    auth_key: str


class BoundBySerial(msgspec.Struct, rename="camel"):
    """The answer to a bind by serial number: which device that is."""

    auth_key: str
    dk: str
    pk: str
    module_type: str | None = None


class BindingSum(msgspec.Struct, rename="camel"):
    """How many users still own the device after an unbind."""

    binding_sum: int


async def may_bind(call: AppCall) -> Outlook:
    """Whether a bind could succeed, so that an App can stop early."""
    who, take = await call.signed_in(), call.parameters
    return Outlook.of(await call.center.ownership.may_bind(who, take.text("pk"), take.text("dk")))


async def bind_by_code(call: AppCall) -> Bound:
    """Bind by the code that the device reported too."""
    who, take = await call.signed_in(), call.parameters
    result = await call.center.ownership.bind_by_code(
        who,
        take.text("productKey"),
        take.text("deviceKey"),
        take.text("bindingCode"),
        take.text("deviceName"),
        call.peer,
        capabilities(take),
    )
    return Bound.of(result)


async def bind_by_device_key(call: AppCall) -> AuthKey:
    """Bind by the device key alone, where the product allows it. The device's name comes as `name` here."""
    who, take = await call.signed_in(), call.parameters
    result = await call.center.ownership.bind_by_device_key(
        who, take.text("pk"), take.text("dk"), take.text("name"), call.peer, capabilities(take)
    )
    return AuthKey(result.auth_key.reveal())


async def bind_by_serial(call: AppCall) -> BoundBySerial:
    """Bind by an imported serial number, where the product allows it."""
    who, take = await call.signed_in(), call.parameters
    product_key = take.text("pk")
    result = await call.center.ownership.bind_by_serial(
        who, product_key, take.text("sn"), take.text("deviceName"), call.peer, capabilities(take)
    )
    return BoundBySerial(result.auth_key.reveal(), result.device_key, product_key)


async def devices(call: AppCall) -> PageInfo:
    """One page of the caller's devices."""
    who, take = await call.signed_in(), call.parameters
    found = await call.center.ownership.devices(
        who,
        take.whole("page", "pageNumber", default=1, lowest=1, highest=MAX_PAGE),
        take.whole("pageSize", default=DEFAULT_PAGE_SIZE, lowest=1, highest=MAX_PAGE_SIZE),
        DeviceFilter(take.text("deviceName") or None, take.text("dk") or None, tuple(take.texts("pkList"))),
    )
    objects: list[object] = [DeviceObject.of(device) for device in found.items]
    return page_info(Page(objects, found.page, found.page_size, found.total_count))


async def device(call: AppCall) -> DeviceObject:
    """One device of the caller."""
    who, take = await call.signed_in(), call.parameters
    product_key, device_key = take.text("pk"), take.text("dk")
    if not product_key and not device_key:
        if take.text("shareCode"):
            return DeviceObject.of(await call.center.ownership.shared_device(who, take.text("shareCode")))
        raise Rejected(refusal.SHARE_OR_DEVICE_MISSING)
    return DeviceObject.of(await call.center.ownership.device(who, product_key, device_key))


async def rename(call: AppCall) -> None:
    """Give a device of the caller another name. It is stored as it is; showing it safely is the App's part."""
    who, take = await call.signed_in(), call.parameters
    await call.center.ownership.rename(who, take.text("pk"), take.text("dk"), take.text("deviceName"), call.peer)


async def unbind(call: AppCall) -> BindingSum:
    """End the caller's ownership of a device; with `isInit`, and nobody else left, the device starts over too."""
    who, take = await call.signed_in(), call.parameters
    left_count = await call.center.ownership.unbind(
        who,
        take.text("pk"),
        take.text("dk"),
        call.peer,
        is_init=take.flag("isInit", default=False),
        reset_credentials=take.base64("pureBtResetCredentials"),
        random=take.text("random"),
    )
    return BindingSum(left_count)


async def approve_re_enrolment(call: AppCall) -> None:
    """Let a device of the caller enrol again once within 15 minutes. quecbind extension."""
    who, take = await call.signed_in(), call.parameters
    await call.center.ownership.approve_re_enrolment(who, take.text("pk"), take.text("dk"), call.peer)


async def auth_key(call: AppCall) -> AuthKey:
    """The auth key of a device of the caller."""
    who, take = await call.signed_in(), call.parameters
    return AuthKey((await call.center.ownership.auth_key(who, take.text("pk"), take.text("dk"))).reveal())


async def renew_auth_key(call: AppCall) -> AuthKey:
    """Another auth key for a device of the caller."""
    who, take = await call.signed_in(), call.parameters
    fresh = await call.center.ownership.renew_auth_key(who, take.text("pk"), take.text("dk"), call.peer)
    return AuthKey(fresh.reveal())


async def audit(call: AppCall) -> PageInfo:
    """What happened to a device of the caller since they own it."""
    who, take = await call.signed_in(), call.parameters
    found = await call.center.ownership.audit(
        who,
        take.text("pk"),
        take.text("dk"),
        take.whole("page", "pageNumber", default=1, lowest=1, highest=MAX_PAGE),
        take.whole("pageSize", default=DEFAULT_PAGE_SIZE, lowest=1, highest=MAX_PAGE_SIZE),
    )
    objects: list[object] = [AuditObject.of(entry) for entry in found.items]
    return page_info(Page(objects, found.page, found.page_size, found.total_count))


def capabilities(take: Parameters) -> int:
    """What the App told of what the device can talk over; 0 when nothing."""
    return take.whole("capabilitiesBitmask", default=0, lowest=-1, highest=2**63)


_BINDING = "/v2/binding/enduserapi"

ENDPOINTS = (
    Endpoint("GET", _BINDING + "/getDeviceInfoByBinding", may_bind),
    Endpoint("POST", _BINDING + "/v2/deviceBindingByWifi", bind_by_code),
    Endpoint("POST", _BINDING + "/bindDeviceDk", bind_by_device_key),
    Endpoint("POST", _BINDING + "/bindDeviceSn", bind_by_serial),
    Endpoint("GET", _BINDING + "/userDeviceList", devices),
    Endpoint("GET", _BINDING + "/deviceInfo", device),
    Endpoint("PUT", _BINDING + "/setDeviceInfo", rename),
    Endpoint("DELETE", _BINDING + "/unbundlingDeviceDk", unbind),
    Endpoint("POST", _BINDING + "/approveReEnrolment", approve_re_enrolment),
    Endpoint("POST", _BINDING + "/getAuthKey", auth_key),
    Endpoint("POST", _BINDING + "/regenerateAuthKey", renew_auth_key),
    Endpoint("GET", _BINDING + "/deviceAudit", audit),
)
