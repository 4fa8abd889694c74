"""BLE-only devices on the App API (app-api.md B1): a code, the bind, reset credentials, the last use.

Takes parameters to the ownership service and its answers back; the App carries what neither it nor this file can read.
"""

import msgspec

from quecbind.center.domain import refusal
from quecbind.center.http.app_call import AppCall, Endpoint
from quecbind.center.http.binding import capabilities
from quecbind.center.services.ble_binding import MAX_LAST_USE_MS, BleParts
from quecbind.center.services.errors import Rejected

MAX_DEVICES = 100
_VERIFIED = "1"


class EncryptedCode(msgspec.Struct, rename="camel"):
    """A bind code that only the device can read."""

    encrypted_binding_code: str


class Verified(msgspec.Struct):
    """Whether the binding is a real one; this server makes no others."""

    verified: str = _VERIFIED


class Credentials(msgspec.Struct, rename="camel"):
    """What makes a device forget its binding; `random` is what it was encrypted with."""

    pk: str
    dk: str
    reset_credentials: str
    random: str


class NoCredentials(msgspec.Struct):
    """A device there are none for."""

    pk: str
    dk: str
    msg: str


class CredentialsAnswer(msgspec.Struct, rename="camel"):
    """One row for each device that was asked for."""

    success_list: list[Credentials]
    failed_list: list[NoCredentials]


async def make_code(call: AppCall) -> EncryptedCode:
    """A bind code for the device that gave `random`."""
    who, take = await call.signed_in(), call.parameters
    made = await call.center.ownership.make_ble_code(who, take.text("pk"), take.text("dk"), take.text("random"))
    return EncryptedCode(made)


async def bind(call: AppCall) -> Verified:
    """Bind a device that has no network."""
    who, take = await call.signed_in(), call.parameters
    parts = BleParts(
        random=take.text("random"),
        signature=take.text("signature"),
        new_secret=take.base64("encryptedNewBindingSecret"),
        old_secret=take.base64("encryptedOldBindingSecret"),
        code=take.text("bindingCode"),
        encrypted_code=take.base64("encryptedBindingCode"),
        password=take.text("pwd"),
    )
    await call.center.ownership.bind_by_ble(
        who, take.text("pk"), take.text("dk"), take.text("deviceName"), parts, call.peer, capabilities(take)
    )
    return Verified()


async def reset_credentials(call: AppCall) -> CredentialsAnswer:
    """What makes devices of the caller forget their bindings."""
    who = await call.signed_in()
    if not call.rows:
        raise Rejected(refusal.DEVICE_LIST_MISSING)
    if len(call.rows) > MAX_DEVICES:
        raise Rejected(refusal.DEVICE_LIST_TOO_LONG, f"at most {MAX_DEVICES} devices at once")
    answer = CredentialsAnswer([], [])
    for row in call.rows:
        pk, dk = row.text("pk"), row.text("dk")
        made = await call.center.ownership.reset_credentials(who, pk, dk)
        if made is None:
            answer.failed_list.append(NoCredentials(pk, dk, refusal.SENTENCE_BY_CODE[refusal.NOT_BOUND]))
        else:
            answer.success_list.append(Credentials(pk, dk, made.credentials.reveal(), made.random))
    return answer


async def note_use(call: AppCall) -> None:
    """Remember when the caller last used a device of theirs over BLE."""
    who, take = await call.signed_in(), call.parameters
    used_at = take.whole("btLastUseTime", default=-1, lowest=-1, highest=MAX_LAST_USE_MS)
    await call.center.ownership.note_ble_use(who, take.text("pk"), take.text("dk"), used_at)


_BINDING = "/v2/binding/enduserapi"

ENDPOINTS = (
    Endpoint("POST", _BINDING + "/getEncryptedBindingCode", make_code),
    Endpoint("POST", _BINDING + "/deviceBindingByPureBt", bind),
    Endpoint("POST", _BINDING + "/batchGetPureBtResetCredentials", reset_credentials, takes_list=True),
    Endpoint("PUT", _BINDING + "/setBtLastUseTime", note_use),
)
