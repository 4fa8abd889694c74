"""Controlling devices on the App API (app-api.md B2): one command for a list of them.

Takes parameters to the control service and its outcomes back.
"""

import msgspec

from quecbind.center.domain import control
from quecbind.center.domain.refusal import Refused
from quecbind.center.http.app_call import AppCall, Endpoint
from quecbind.center.http.parameters import MAX_LIST_FIELDS
from quecbind.center.services.errors import Rejected


class Device(msgspec.Struct, rename="camel"):
    """A device as it was named."""

    product_key: str
    device_key: str


class Success(msgspec.Struct):
    """A device that has been sent the command, or for which it is kept."""

    data: Device
    ticket: str


class Failure(msgspec.Struct):
    """A device for which it goes nowhere, and why."""

    data: Device
    msg: str


class ControlAnswer(msgspec.Struct, rename="camel"):
    """One row for each device."""

    success_list: list[Success]
    failure_list: list[Failure]


async def control_devices(call: AppCall) -> ControlAnswer:
    """Send raw data, set properties or call a service, on each device of a list."""
    who, take = await call.signed_in(), call.parameters
    devices = [(each.text("productKey"), each.text("deviceKey")) for each in take.objects("deviceList")]
    command = control.parse(
        take.text("data"),
        take.text("type"),
        take.text("dataFormat"),
        take.text("isCache"),
        take.text("cacheTime"),
        take.text("isCover"),
        take.text("qos"),
    )
    if isinstance(command, Refused):
        raise Rejected(command)
    answer = ControlAnswer([], [])
    for outcome in await call.center.control.batch(who, command, devices):
        device = Device(outcome.product_key, outcome.device_key)
        if outcome.ticket:
            answer.success_list.append(Success(device, outcome.ticket))
        else:
            answer.failure_list.append(Failure(device, outcome.sentence))
    return answer


ENDPOINTS = (
    Endpoint(
        "POST",
        "/v2/binding/enduserapi/batchControlDevice",
        control_devices,
        max_fields=MAX_LIST_FIELDS,
        has_own_limits=True,
    ),
)
