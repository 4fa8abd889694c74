"""The objects of the App API with the names Apps read, misspelt ones included (app-api.md A4, A5, B1, B2).

Text times are UTC `YYYY-MM-DD HH:MM:SS`, their `...Ts` twins milliseconds. What this server does not have is null:
Apps know fields of the platform to be null.
"""

from datetime import UTC, datetime, timedelta
from typing import Self

import msgspec

from quecbind.center.domain.audit import OwnerEntry
from quecbind.center.domain.product import NUMBER_BY_BIND_MODE
from quecbind.center.services.becoming_owner import BY_BLE
from quecbind.center.services.views import BindOutlook, BindResult, OwnedDevice, Tokens, UserInfo

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_OWN_DEVICE, _SHARED_DEVICE = 1, 2
_NORMAL = 1
_BLE_NETWORK = 5


class Token(msgspec.Struct, rename="camel"):
    """A token with its "Bearer " prefix; `expiration_time` is UTC seconds."""

    token: str
    expiration_time: int


class TokenPair(msgspec.Struct, rename="camel"):
    """What sign-in and refresh answer with; Apps need both."""

    access_token: Token
    refresh_token: Token

    @classmethod
    def of(cls, tokens: Tokens) -> Self:
        """Both tokens as Apps read them."""
        return cls(
            Token(tokens.access_token, tokens.access_expires_at),
            Token(tokens.refresh_token, tokens.refresh_expires_at),
        )


class UserObject(msgspec.Struct, rename="camel", kw_only=True):
    """The account of the caller. `status` 1 is normal."""

    uid: str
    email: str
    nike_name: str
    user_domain: str
    lang: str
    timezone: str
    nationality: str
    register_time: str | None
    register_time_ts: int | None
    last_login_time: str | None
    last_login_time_ts: int | None
    status: int = _NORMAL
    phone: str | None = None
    headimg: str | None = None
    sex: int | None = None
    address: str | None = None

    @classmethod
    def of(cls, user: UserInfo) -> Self:
        """The user as Apps read it."""
        return cls(
            uid=user.uid,
            email=user.email,
            nike_name=user.nickname,
            user_domain=user.user_domain,
            lang=user.lang,
            timezone=user.timezone,
            nationality=user.nationality,
            register_time=text_time(user.registered_at),
            register_time_ts=user.registered_at,
            last_login_time=text_time(user.last_login_at),
            last_login_time_ts=user.last_login_at,
        )


class Outlook(msgspec.Struct, rename="camel"):
    """The answer to "may I bind?"."""

    binding_mode: int
    product_name: str
    product_logo: str | None = None
    active_bluetooth: bool = False

    @classmethod
    def of(cls, outlook: BindOutlook) -> Self:
        """The outlook as Apps read it."""
        return cls(outlook.binding_mode, outlook.product_name, active_bluetooth=outlook.is_ble_only)


class Bound(msgspec.Struct, rename="camel"):
    """The answer to a bind by bind code."""

    auth_key: str
    binding_mode: int
    product_name: str
    product_logo: str | None = None

    @classmethod
    def of(cls, result: BindResult) -> Self:
        """The result as Apps read it, auth key included: it is the caller's now."""
        return cls(result.auth_key.reveal(), result.binding_mode, result.product_name)


class AuditObject(msgspec.Struct, rename="camel"):
    """One entry of deviceAudit, a quecbind extension. `address` is the caller's own, null for what others did."""

    time: str | None
    time_ts: int
    who: str
    action: str
    result: str
    address: str | None
    details: dict[str, object]

    @classmethod
    def of(cls, entry: OwnerEntry) -> Self:
        """The entry as Apps read it."""
        return cls(
            text_time(entry.at), entry.at, entry.who, entry.action, entry.result, entry.peer or None, entry.details
        )


class DeviceObject(msgspec.Struct, rename="camel", kw_only=True):
    """A device of the caller. Numbers: `deviceType` 1 own 2 shared, `verified` 1 real binding, `status` 1 normal,
    `bindMode` 1 multi 2 single 3 alternate, `bindingType` 1 serial number 2 Wi-Fi 3 device key 4 BLE,
    `networkType` 5 BLE."""

    product_key: str
    device_key: str
    device_name: str
    product_name: str
    device_status: str
    online_status: int
    auth_key: str
    bind_mode: int
    binding_type: int
    bind_type: int
    capabilities_bitmask: int
    uid: str
    owner_uid: str
    signal_strength: object
    device_bind_time: str | None
    device_bind_time_ts: int | None
    last_conn_time: str | None
    last_conn_time_ts: int | None
    last_offline_time: str | None
    last_offline_time_ts: int | None
    device_type: int = _OWN_DEVICE
    verified: int = 1
    status: int = _NORMAL
    bind_status: int = _NORMAL
    access_type: int = 0
    protocol: str = "MQTT"
    is_matter: int = 0
    is_common_device: bool = True
    is_share: bool = False
    network_type: int | None = None
    share_code: str | None = None
    sharing_expire_at: int | None = None
    sharing_expire_time_ts: int | None = None
    auth_code: str | None = None
    binding_code: str | None = None
    bt_pwd: str | None = None
    bt_last_use_time: int | None = None
    sn: str | None = None
    user_name: str | None = None
    phone: str | None = None
    # (sic) on the platform
    invaild_time: str | None = None
    invaild_time_ts: int | None = None
    logo_image: str | None = None
    fid: str | None = None
    frid: str | None = None
    matter_info: object = None

    @classmethod
    def of(cls, device: OwnedDevice) -> Self:
        """The device as Apps read it, auth key included: the caller may use it nearby."""
        return cls(
            product_key=device.product_key,
            device_key=device.device_key,
            device_name=device.device_name,
            product_name=device.product_name,
            device_status="Online" if device.is_online else "Offline",
            online_status=int(device.is_online),
            auth_key=device.auth_key.reveal(),
            bind_mode=NUMBER_BY_BIND_MODE[device.bind_mode],
            binding_type=device.binding_type,
            bind_type=device.binding_type,
            capabilities_bitmask=device.capabilities,
            uid=device.uid,
            owner_uid=device.owner_uid,
            network_type=_BLE_NETWORK if device.binding_type == BY_BLE else None,
            device_type=_OWN_DEVICE if device.owner_uid == device.uid else _SHARED_DEVICE,
            is_share=device.owner_uid != device.uid,
            share_code=None if device.share_code is None else device.share_code.reveal(),
            sharing_expire_at=device.sharing_expires_at,
            sharing_expire_time_ts=device.sharing_expires_at,
            signal_strength=device.status.get("3"),
            device_bind_time=text_time(device.bound_at),
            device_bind_time_ts=device.bound_at,
            last_conn_time=text_time(device.last_online_at),
            last_conn_time_ts=device.last_online_at,
            last_offline_time=text_time(device.last_offline_at),
            last_offline_time_ts=device.last_offline_at,
            sn=device.serial,
            bt_last_use_time=device.ble_used_at,
        )


def text_time(at: int | None) -> str | None:
    """UTC milliseconds as the text Apps show; None for never."""
    if at is None:
        return None
    return (_EPOCH + timedelta(milliseconds=at)).strftime("%Y-%m-%d %H:%M:%S")
