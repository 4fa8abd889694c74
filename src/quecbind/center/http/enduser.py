"""Accounts on the App API: mail codes, registration, sign-in, tokens (app-api.md A4).

Takes parameters to the account service and its answers back. Whether a caller may is decided there, not here.
"""

from quecbind.center.http.app_call import AppCall, Endpoint
from quecbind.center.http.app_objects import TokenPair, UserObject
from quecbind.center.http.parameters import Parameters


async def send_email(call: AppCall) -> None:
    """Send a code. The answer does not tell whether the address is known."""
    take = call.parameters
    await call.center.accounts.send_email_code(
        take.text("email"),
        take.whole("emailType", default=0, lowest=0, highest=99),
        take.text("userDomain"),
        call.peer,
    )


async def register(call: AppCall) -> dict[str, str]:
    """Make an account from a mail code."""
    take = call.parameters
    uid = await call.center.accounts.register(
        take.text("email"),
        take.text("code"),
        _password(take),
        take.text("random"),
        take.text("userDomain"),
        call.peer,
        lang=take.text("lang"),
        nationality=take.text("nationality"),
        timezone=take.text("timezone"),
    )
    return {"uid": uid}


async def reset_password(call: AppCall) -> None:
    """Set another password, given the code that was mailed for it."""
    take = call.parameters
    await call.center.accounts.reset_password(
        take.text("email"),
        take.text("code"),
        _password(take),
        take.text("random"),
        take.text("userDomain"),
        call.peer,
    )


async def sign_in(call: AppCall) -> TokenPair:
    """Both tokens for the right password."""
    take = call.parameters
    tokens = await call.center.accounts.sign_in(
        take.text("email"),
        _password(take),
        take.text("random"),
        take.text("signature"),
        take.text("userDomain"),
        call.peer,
    )
    return TokenPair.of(tokens)


async def refresh(call: AppCall) -> TokenPair:
    """Two new tokens for a refresh token, which is used up by it."""
    tokens = await call.center.accounts.refresh(call.authorization, call.parameters.text("refreshToken"), call.peer)
    return TokenPair.of(tokens)


async def user_info(call: AppCall) -> UserObject:
    """The caller's account."""
    return UserObject.of(await call.center.accounts.user_info(await call.signed_in()))


async def sign_out(call: AppCall) -> None:
    """End the session: both its tokens are worth nothing from here on."""
    await call.center.accounts.sign_out(await call.signed_in(), call.peer)


async def cancel(call: AppCall) -> None:
    """End the caller's account, given the password or the code that was mailed for this."""
    who, take = await call.signed_in(), call.parameters
    await call.center.accounts.cancel(who, _password(take), take.text("random"), take.text("code"), call.peer)


def _password(take: Parameters) -> str:
    """As it was encrypted with `random`, which makes it Base64, or plain."""
    return take.base64("pwd") if take.text("random") else take.text("pwd")


_ENDUSER = "/v2/enduser/enduserapi"

ENDPOINTS = (
    Endpoint("POST", "/v2/mail/enduserapi/v2/sendEmail", send_email),
    Endpoint("POST", _ENDUSER + "/emailPwdRegister", register),
    Endpoint("POST", _ENDUSER + "/v2/emailPwdRegister", register),
    Endpoint("POST", _ENDUSER + "/emailPwdLogin", sign_in),
    Endpoint("PUT", _ENDUSER + "/userPwdReset", reset_password),
    Endpoint("PUT", _ENDUSER + "/refreshToken", refresh),
    Endpoint("GET", _ENDUSER + "/userInfo", user_info),
    Endpoint("DELETE", _ENDUSER + "/userLogout", sign_out, has_own_limits=True),
    Endpoint("DELETE", _ENDUSER + "/userDelete", cancel),
    Endpoint("POST", _ENDUSER + "/userDelete", cancel),
)
