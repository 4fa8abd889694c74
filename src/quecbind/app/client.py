"""The App API as a typed client: one method per endpoint, values out, AppError when it did not work.

A client acts for one user at a time. `sign_in` keeps the tokens; when the platform says that the access token is
no longer valid (5032), they are renewed once and the call is made once more. Concurrent calls renew them together,
because a refresh token may be used only once. Nothing is stored on disk and no password is kept.
"""

import asyncio
import base64
import binascii
import json
import secrets
import string
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

import httpx

from quecbind.app.errors import AnswerError, ControlError, RefusedError, UnreachableError
from quecbind.app.model import Model
from quecbind.app.results import (
    Attribute,
    Binding,
    BindPreview,
    Control,
    Device,
    DevicePage,
    ResetCredentials,
    Tokens,
    User,
    auth_key_of,
    binding_sum_of,
    encrypted_code_of,
    share_code_of,
    uid_of,
)
from quecbind.wire import auth_key, signing

EMAIL_REGISTER, EMAIL_RESET, EMAIL_LINK, EMAIL_UNLINK, EMAIL_CANCEL = 1, 2, 3, 4, 5
CAPABILITY_WAN, CAPABILITY_LAN, CAPABILITY_BLE = 1, 2, 4

_OK = 200
_TOKEN_INVALID = 5032
_NO_PERMISSION = 5041
_RANDOM_ALPHABET = string.ascii_letters + string.digits
_TIMEOUT_S = 15.0

_MAIL = "/v2/mail/enduserapi"
_USER = "/v2/enduser/enduserapi"
_BINDING = "/v2/binding/enduserapi"


def _random() -> str:
    return "".join(secrets.choice(_RANDOM_ALPHABET) for _ in range(signing.RANDOM_SIZE))


def uid_in_token(token: str) -> str:
    """The uid claim of an access token, read as Apps do: without checking the signature."""
    try:
        claims = token.removeprefix("Bearer ").split(".")[1]
        uid = json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))["uid"]
    except (IndexError, KeyError, TypeError, ValueError, RecursionError):
        return ""
    return str(uid)


class AppClient:
    """An App of one user domain, talking to the platform at `base_url`.

    Args:
        base_url: scheme, host and port, such as https://dc.example:443.
        user_domain: the App's id.
        user_domain_secret: signs sign-ins.
        transport: the network; None for the real one.

    Every method raises RefusedError (the platform said no), UnreachableError or AnswerError.
    """

    def __init__(
        self,
        base_url: str,
        user_domain: str,
        user_domain_secret: str,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self.base_url = base_url.rstrip("/")
        self.user_domain = user_domain
        self._secret = user_domain_secret
        self._tokens: Tokens | None = None
        self._renewing = asyncio.Lock()
        try:
            self._http = httpx.AsyncClient(base_url=self.base_url, transport=transport, timeout=_TIMEOUT_S)
        except httpx.InvalidURL as error:
            raise UnreachableError(self.base_url, str(error)) from None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        await self._http.aclose()

    @property
    def tokens(self) -> Tokens | None:
        """The session, None when nobody is signed in."""
        return self._tokens

    @property
    def uid(self) -> str:
        """Who is signed in, "" when nobody is."""
        return uid_in_token(self._tokens.access_token) if self._tokens else ""

    # --- account ---

    async def send_email_code(self, email: str, email_type: int = EMAIL_REGISTER) -> None:
        """Has a code mailed to the address."""
        form = {"email": email, "emailType": email_type, "userDomain": self.user_domain}
        await self._call("POST", f"{_MAIL}/v2/sendEmail", form=form)

    async def register(self, email: str, password: str, email_code: str, **profile: str) -> str:
        """Opens an account and returns its uid; profile: lang, timezone, nationality, mcc."""
        form = {**profile, **self._by_mail(email, password, email_code)}
        return uid_of(await self._call("POST", f"{_USER}/v2/emailPwdRegister", form=form))

    async def reset_password(self, email: str, password: str, email_code: str) -> None:
        """Sets another password, by a code that was mailed for it (EMAIL_RESET); every session of the user ends."""
        await self._call("PUT", f"{_USER}/userPwdReset", form=self._by_mail(email, password, email_code))

    def _by_mail(self, email: str, password: str, email_code: str) -> dict[str, str]:
        """A new password, by the code that came with the mail."""
        random = _random()
        return {
            "email": email,
            "code": email_code,
            "pwd": signing.app_password_encrypt(password, random),
            "random": random,
            "userDomain": self.user_domain,
        }

    async def sign_in(self, email: str, password: str) -> Tokens:
        """Signs the user in; the client uses and renews the tokens from here on."""
        random = _random()
        encrypted = signing.app_password_encrypt(password, random)
        form = {
            "email": email,
            "pwd": encrypted,
            "random": random,
            "userDomain": self.user_domain,
            "signature": signing.app_signature(email, encrypted, random, self._secret),
        }
        self._tokens = None
        self._tokens = Tokens.from_data(await self._call("POST", f"{_USER}/emailPwdLogin", form=form))
        return self._tokens

    def resume(self, tokens: Tokens) -> None:
        """Goes on with a session that was kept elsewhere."""
        self._tokens = tokens

    async def refresh(self) -> Tokens:
        """Trades the refresh token for a new pair; the old pair is dead afterwards, also when this fails."""
        async with self._renewing:
            return await self._refresh()

    async def _refresh(self) -> Tokens:
        tokens = self._tokens
        if tokens is None:
            raise RefusedError(5106, "nobody is signed in")
        try:
            data = await self._call("PUT", f"{_USER}/refreshToken", form={"refreshToken": tokens.refresh_token})
        except RefusedError:
            self._tokens = None
            raise
        self._tokens = Tokens.from_data(data)
        return self._tokens

    async def user_info(self) -> User:
        return User.from_data(await self._signed_in("GET", f"{_USER}/userInfo"))

    async def sign_out(self) -> None:
        """Ends the session on the platform and forgets it here."""
        try:
            await self._signed_in("DELETE", f"{_USER}/userLogout")
        finally:
            self._tokens = None

    # --- binding ---

    async def may_bind(self, product_key: str, device_key: str | None = None) -> BindPreview:
        """What binding this device would mean; raises RefusedError when the user may not."""
        query = {"pk": product_key, "dk": device_key}
        return BindPreview.from_data(await self._signed_in("GET", f"{_BINDING}/getDeviceInfoByBinding", query=query))

    async def bind_by_code(
        self,
        product_key: str,
        device_key: str,
        bind_code: str,
        device_name: str | None = None,
        capabilities: int = CAPABILITY_WAN | CAPABILITY_LAN,
    ) -> Binding:
        """Binds with the code the device handed over; 5460 means that the device has not reported it yet."""
        body = {
            "productKey": product_key,
            "deviceKey": device_key,
            "bindingCode": bind_code,
            "deviceName": device_name,
            "capabilitiesBitmask": capabilities,
        }
        return Binding.from_data(await self._signed_in("POST", f"{_BINDING}/v2/deviceBindingByWifi", body=body))

    async def encrypted_bind_code(self, product_key: str, device_key: str, random: str) -> str:
        """A bind code that only the BLE-only device that gave `random` can read; it is good for two minutes."""
        body = {"pk": product_key, "dk": device_key, "random": random}
        return encrypted_code_of(await self._signed_in("POST", f"{_BINDING}/getEncryptedBindingCode", body=body))

    async def bind_by_ble(
        self,
        product_key: str,
        device_key: str,
        random: str,
        encrypted_code: str,
        new_secret: str,
        old_secret: str | None = None,
        device_name: str | None = None,
    ) -> None:
        """Binds a BLE-only device with what it answered to the encrypted bind code."""
        body = {
            "pk": product_key,
            "dk": device_key,
            "random": random,
            "encryptedBindingCode": encrypted_code,
            "encryptedNewBindingSecret": new_secret,
            "encryptedOldBindingSecret": old_secret,
            "deviceName": device_name,
            "capabilitiesBitmask": CAPABILITY_BLE,
            "signature": signing.app_signature(product_key, device_key, encrypted_code, "", self._secret),
        }
        await self._signed_in("POST", f"{_BINDING}/deviceBindingByPureBt", body=body)

    async def reset_credentials(self, product_key: str, device_key: str) -> ResetCredentials:
        """What makes the user's BLE-only device forget them; RefusedError 5052 when there is nothing of the kind."""
        rows = [{"pk": product_key, "dk": device_key}]
        data = await self._signed_in("POST", f"{_BINDING}/batchGetPureBtResetCredentials", body=rows)
        credentials = ResetCredentials.from_data(data)
        if credentials is None:
            raise RefusedError(5052, "the platform has no reset credentials for this device")
        return credentials

    async def unbind_by_ble(self, product_key: str, device_key: str, credentials: ResetCredentials) -> int:
        """Ends the user's control of a BLE-only device that has forgotten them; how many users still hold it."""
        query = {
            "pk": product_key,
            "dk": device_key,
            "pureBtResetCredentials": credentials.credentials,
            "random": credentials.random,
        }
        return binding_sum_of(await self._signed_in("DELETE", f"{_BINDING}/unbundlingDeviceDk", query=query))

    async def bind_by_device_key(self, product_key: str, device_key: str, name: str | None = None) -> Binding:
        """Binds by the device key alone, where the product allows it (5499 otherwise)."""
        query = {"pk": product_key, "dk": device_key, "name": name}
        return Binding.from_data(await self._signed_in("POST", f"{_BINDING}/bindDeviceDk", query=query))

    async def devices(self, page: int = 1, page_size: int = 10, **filters: str) -> DevicePage:
        """One page of the user's devices; filters: deviceName, dk, pkList (comma separated)."""
        query = {**filters, "page": page, "pageSize": page_size}
        return DevicePage.from_data(await self._signed_in("GET", f"{_BINDING}/userDeviceList", query=query))

    async def device(self, product_key: str, device_key: str) -> Device:
        query = {"pk": product_key, "dk": device_key}
        return Device.from_data(await self._signed_in("GET", f"{_BINDING}/deviceInfo", query=query))

    async def rename(self, product_key: str, device_key: str, device_name: str) -> None:
        query = {"pk": product_key, "dk": device_key, "deviceName": device_name}
        await self._signed_in("PUT", f"{_BINDING}/setDeviceInfo", query=query)

    async def unbind(self, product_key: str, device_key: str) -> int:
        """Ends the user's control of the device; returns how many users still hold it."""
        query = {"pk": product_key, "dk": device_key}
        return binding_sum_of(await self._signed_in("DELETE", f"{_BINDING}/unbundlingDeviceDk", query=query))

    async def approve_re_enrolment(self, product_key: str, device_key: str) -> None:
        """Lets a device that lost its secret enrol again, once, within 15 minutes; that resets it: its owners go."""
        form = {"pk": product_key, "dk": device_key}
        await self._signed_in("POST", f"{_BINDING}/approveReEnrolment", form=form)

    async def auth_key(self, product_key: str, device_key: str) -> str:
        """The key for LAN and BLE sessions with the device, base64 of 16 bytes."""
        form = {"pk": product_key, "dk": device_key}
        return auth_key_of(await self._signed_in("POST", f"{_BINDING}/getAuthKey", form=form))

    # --- sharing ---

    async def share(
        self,
        product_key: str,
        device_key: str,
        accept_until_ms: int,
        expires_ms: int | None = None,
        cover_mark: int | None = None,
    ) -> str:
        """A share code for whoever brings it until `accept_until_ms`, for use until `expires_ms` (UTC milliseconds)."""
        form = {
            "pk": product_key,
            "dk": device_key,
            "acceptingExpireAt": accept_until_ms,
            "sharingExpireAt": expires_ms,
            "coverMark": cover_mark,
        }
        return share_code_of(await self._signed_in("POST", f"{_BINDING}/shareInfo", form=form))

    async def accept_share(self, share_code: str, device_name: str | None = None) -> None:
        """Uses the device that the code was given for."""
        form = {"shareCode": share_code, "deviceName": device_name}
        await self._signed_in("POST", f"{_BINDING}/shareDevice", form=form)

    async def revoke_share(self, share_code: str) -> None:
        """Ends a share of the user's own device, or takes an invitation back."""
        await self._signed_in("DELETE", f"{_BINDING}/ownerUserUnshareDevice", query={"shareCode": share_code})

    async def leave_share(self, share_code: str) -> None:
        """Gives up a share that the user has accepted."""
        await self._signed_in("DELETE", f"{_BINDING}/shareUserUnshareDevice", query={"shareCode": share_code})

    # --- data ---

    async def thing_model(self, product_key: str) -> Model:
        """What the product's properties are called; empty when the platform knows none."""
        query = {"pk": product_key}
        return Model.from_data(await self._signed_in("GET", f"{_BINDING}/productTSL", query=query))

    async def attributes(self, product_key: str, device_key: str) -> tuple[Attribute, ...]:
        """The last values of the device's properties that the platform keeps."""
        query = {"pk": product_key, "dk": device_key, "type": "2"}
        return Attribute.from_data(await self._signed_in("GET", f"{_BINDING}/getDeviceBusinessAttributes", query=query))

    async def control(
        self, product_key: str, device_key: str, values: Mapping[str, Any], keep_s: int | None = None
    ) -> Control:
        """Sets properties by code; with `keep_s` the platform keeps them that long for a device that is offline."""
        body = {
            "data": json.dumps([{code: value} for code, value in values.items()]),
            "deviceList": [{"productKey": product_key, "deviceKey": device_key}],
            "type": 2,
            "isCache": None if keep_s is None else 1,
            "cacheTime": keep_s,
            "isCover": None if keep_s is None else 1,
        }
        return Control.from_data(await self._signed_in("POST", f"{_BINDING}/batchControlDevice", body=body))

    async def session_key(self, product_key: str, device_key: str) -> bytes:
        """The auth key as the 16 bytes that open a session, for the owner and for whom the device is shared with.

        Raises:
            ControlError: the platform has none for this user.
        """
        try:
            text = await self.auth_key(product_key, device_key)
        except RefusedError as error:
            if error.code != _NO_PERMISSION:
                raise
            text = (await self.device(product_key, device_key)).auth_key
        try:
            key = base64.b64decode(text, validate=True)
        except binascii.Error:
            key = b""
        if len(key) != auth_key.SIZE:
            raise ControlError("the platform has no auth key for this device and user")
        return key

    # --- the one place that talks HTTP ---

    async def _signed_in(
        self,
        method: str,
        path: str,
        query: dict[str, Any] | None = None,
        form: dict[str, Any] | None = None,
        body: dict[str, Any] | list[Any] | None = None,
    ) -> object:
        used = self._tokens
        try:
            return await self._call(method, path, query, form, body)
        except RefusedError as error:
            if error.code != _TOKEN_INVALID or used is None:
                raise
        async with self._renewing:
            if self._tokens is used:  # otherwise another call has renewed them meanwhile
                await self._refresh()
        return await self._call(method, path, query, form, body)

    async def _call(
        self,
        method: str,
        path: str,
        query: dict[str, Any] | None = None,
        form: dict[str, Any] | None = None,
        body: dict[str, Any] | list[Any] | None = None,
    ) -> object:
        """The `data` of a successful answer; values that are None are not sent."""
        try:
            response = await self._http.request(
                method,
                path,
                params=_given(query),
                data=_given(form),
                json=body if isinstance(body, list) else _given(body),
                headers={"Authorization": self._tokens.access_token} if self._tokens else None,
            )
        except httpx.HTTPError as error:
            # the text of some httpx errors is empty, their name never is
            raise UnreachableError(self.base_url, str(error) or type(error).__name__) from error
        return _data_of(self.base_url, response)


def _given(values: dict[str, Any] | None) -> dict[str, Any] | None:
    return None if values is None else {name: value for name, value in values.items() if value is not None}


def _data_of(where: str, response: httpx.Response) -> object:
    try:
        envelope = response.json()
    except (ValueError, RecursionError):
        envelope = None
    if not isinstance(envelope, dict) or "code" not in envelope:
        raise AnswerError(where, f"HTTP {response.status_code} without the envelope of the App API")
    try:
        code = int(envelope["code"])
    except (TypeError, ValueError, OverflowError):
        raise AnswerError(where, "the envelope's code is not a number") from None
    if code == _OK:
        return envelope.get("data")
    raise RefusedError(code, str(envelope.get("msg") or ""), _retry_after_s(envelope.get("extMsg")))


def _retry_after_s(ext_msg: object) -> float | None:
    value = ext_msg.get("retryAfter") if isinstance(ext_msg, dict) else None
    try:
        return float(value) if isinstance(value, int | float) else None
    except OverflowError:
        return None
