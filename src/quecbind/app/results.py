"""What the platform's answers hold, as values; no request is made here.

Answers wobble: a field may be missing, null, a number in one place and text in another. Every reader below takes
all of these, so a value always has the type it says. Secrets are kept out of `repr`.
"""

from dataclasses import dataclass, field
from typing import Any

from quecbind.app.errors import AnswerError
from quecbind.app.model import typed

Answer = dict[str, Any]


def _text(answer: Answer, name: str) -> str:
    value = answer.get(name)
    return "" if value is None else str(value)


def _number(answer: Answer, name: str) -> int:
    value = answer.get(name)
    try:
        return int(value) if value is not None else 0
    except (TypeError, ValueError, OverflowError):
        return 0


def _inner(answer: Answer, name: str) -> Answer:
    value = answer.get(name)
    return value if isinstance(value, dict) else {}


def _object(data: object, what: str) -> Answer:
    if not isinstance(data, dict):
        raise AnswerError("The platform", f"{what} is not an object")
    return data


@dataclass(frozen=True, slots=True)
class Tokens:
    """A session: the access token for every call, the refresh token for the next pair."""

    access_token: str = field(repr=False)
    refresh_token: str = field(repr=False)
    access_expiration: int
    refresh_expiration: int

    @classmethod
    def from_data(cls, data: object) -> "Tokens":
        tokens = _object(data, "the pair of tokens")
        access, refresh = _inner(tokens, "accessToken"), _inner(tokens, "refreshToken")
        if not _text(access, "token") or not _text(refresh, "token"):
            raise AnswerError("The platform", "an access or refresh token is missing")
        return cls(
            access_token=_text(access, "token"),
            refresh_token=_text(refresh, "token"),
            access_expiration=_number(access, "expirationTime"),
            refresh_expiration=_number(refresh, "expirationTime"),
        )


@dataclass(frozen=True, slots=True)
class User:
    uid: str
    email: str
    nickname: str
    language: str
    timezone: str

    @classmethod
    def from_data(cls, data: object) -> "User":
        user = _object(data, "the user")
        return cls(
            uid=_text(user, "uid"),
            email=_text(user, "email"),
            nickname=_text(user, "nikeName"),
            language=_text(user, "lang"),
            timezone=_text(user, "timezone"),
        )


@dataclass(frozen=True, slots=True)
class BindPreview:
    """What a user is told before binding: the product and whether others may hold the device too.

    bind_mode: 1 multi, 2 single, 3 alternate.
    """

    product_name: str
    product_logo: str
    bind_mode: int

    @classmethod
    def from_data(cls, data: object) -> "BindPreview":
        preview = _object(data, "the product")
        return cls(
            product_name=_text(preview, "productName"),
            product_logo=_text(preview, "productLogo"),
            bind_mode=_number(preview, "bindingMode"),
        )


@dataclass(frozen=True, slots=True)
class Binding:
    """A device that has just become the user's; auth_key opens LAN and BLE sessions with it."""

    auth_key: str = field(repr=False)
    bind_mode: int
    product_name: str

    @classmethod
    def from_data(cls, data: object) -> "Binding":
        binding = _object(data, "the binding")
        return cls(
            auth_key=_text(binding, "authKey"),
            bind_mode=_number(binding, "bindingMode"),
            product_name=_text(binding, "productName"),
        )


@dataclass(frozen=True, slots=True)
class Device:
    """A device as its user sees it. is_shared: somebody else's, shared with this user."""

    product_key: str
    device_key: str
    name: str
    product_name: str
    is_online: bool
    is_verified: bool
    is_shared: bool
    bind_mode: int
    owner_uid: str
    auth_key: str = field(repr=False)

    @classmethod
    def from_data(cls, data: object) -> "Device":
        device = _object(data, "the device")
        return cls(
            product_key=_text(device, "productKey"),
            device_key=_text(device, "deviceKey"),
            name=_text(device, "deviceName"),
            product_name=_text(device, "productName"),
            is_online=_number(device, "onlineStatus") == 1,
            is_verified=_number(device, "verified") == 1,
            is_shared=_number(device, "deviceType") == 2,
            bind_mode=_number(device, "bindMode"),
            owner_uid=_text(device, "ownerUid") or _text(device, "uid"),
            auth_key=_text(device, "authKey"),
        )


@dataclass(frozen=True, slots=True)
class DevicePage:
    """One page of a user's devices; `pages` is how many there are, `total` the devices on all of them."""

    devices: tuple[Device, ...]
    total: int
    page: int
    pages: int

    @classmethod
    def from_data(cls, data: object) -> "DevicePage":
        page = _object(data, "the page of devices")
        listed = page.get("list")
        return cls(
            devices=tuple(Device.from_data(one) for one in listed) if isinstance(listed, list) else (),
            total=_number(page, "total"),
            page=_number(page, "pageNum"),
            pages=_number(page, "pages"),
        )


@dataclass(frozen=True, slots=True)
class Attribute:
    """The last value of a property that the platform keeps: by code, as the property's kind wants it."""

    code: str
    value: Any

    @classmethod
    def from_data(cls, data: object) -> "tuple[Attribute, ...]":
        listed = _object(data, "the device's attributes").get("customizeTslInfo")
        rows = [one for one in listed if isinstance(one, dict)] if isinstance(listed, list) else []
        return tuple(
            cls(_text(row, "resourceCode"), typed(_text(row, "dataType").upper(), row["resourceValce"]))
            for row in rows
            if row.get("resourceValce") is not None
        )


@dataclass(frozen=True, slots=True)
class Control:
    """What became of a control through the platform: its ticket, or why the device did not get it."""

    ticket: str
    failure: str

    @classmethod
    def from_data(cls, data: object) -> "Control":
        answer = _object(data, "the result of a control")
        failures, successes = (
            [one for one in listed if isinstance(one, dict)] if isinstance(listed, list) else []
            for listed in (answer.get("failureList"), answer.get("successList"))
        )
        if failures or not successes:
            return cls("", (_text(failures[0], "msg") if failures else "") or "the platform did not say why")
        return cls(_text(successes[0], "ticket"), "")


def uid_of(data: object) -> str:
    """The uid in a registration's answer: bare, or in an object, as editions differ."""
    return _text(data, "uid") if isinstance(data, dict) else "" if data is None else str(data)


def auth_key_of(data: object) -> str:
    return _text(_object(data, "the auth key"), "authKey")


@dataclass(frozen=True, slots=True)
class ResetCredentials:
    """What makes a BLE-only device forget its owner; the App carries both parts and reads neither."""

    credentials: str = field(repr=False)
    random: str

    @classmethod
    def from_data(cls, data: object) -> "ResetCredentials | None":
        """Those of the one device that was asked for; None when there are none."""
        rows = _object(data, "the reset credentials").get("successList")
        if not isinstance(rows, list) or not rows:
            return None
        row = _object(rows[0], "the reset credentials")
        return cls(_text(row, "resetCredentials"), _text(row, "random"))


def encrypted_code_of(data: object) -> str:
    return _text(_object(data, "the encrypted bind code"), "encryptedBindingCode")


def binding_sum_of(data: object) -> int:
    """How many users still hold the device after an unbind."""
    return _number(_object(data, "the result of unbinding"), "bindingSum")


def share_code_of(data: object) -> str:
    """The code that the owner hands to whom they share with."""
    if not isinstance(data, str) or not data:
        raise AnswerError("The platform", "the share code is no text")
    return data
