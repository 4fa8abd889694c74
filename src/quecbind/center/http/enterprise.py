"""What an enterprise's own server may ask, with an operator's access key in place of a user's token (app-api.md B4)."""

from quecbind.center.domain import refusal
from quecbind.center.http.app_call import AppCall, Endpoint
from quecbind.center.services.errors import Rejected, Unauthenticated
from quecbind.center.services.views import Operator

_MATCHED = 1


async def verify_code(call: AppCall) -> int:
    """Whether the device has reported this bind code: 1, or the reason why not as `code`."""
    by, take = await _operator(call), call.parameters
    tells_device = take.flag("isBinding", default=False)
    await call.center.code_check.verify(
        by, take.text("pk"), take.text("dk"), take.text("bindingCode"), tells_device=tells_device
    )
    return _MATCHED


async def _operator(call: AppCall) -> Operator:
    if not call.authorization:
        raise Rejected(refusal.ENTERPRISE_TOKEN_MISSING)
    try:
        return await call.center.operators.authenticate(call.authorization, call.peer)
    except Unauthenticated:
        raise Rejected(refusal.ENTERPRISE_TOKEN_WRONG) from None


ENDPOINTS = (Endpoint("POST", "/v2/binding/enterpriseapi/verifyBindingCode", verify_code),)
