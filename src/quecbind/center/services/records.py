"""Rows as values: what storage hands to the services and takes from them, beside `Product` and `Device`.

All times are UTC milliseconds. Secrets are sealed by storage on the way in and opened on the way out.
"""

from dataclasses import dataclass, field

from quecbind.center.domain.control import Kind
from quecbind.center.domain.device import Device, DeviceFacts
from quecbind.center.domain.ids import ClientId, DeviceKey, ProductKey, Secret, Uid, UserDomain
from quecbind.center.domain.product import BindMode


@dataclass(frozen=True, slots=True, kw_only=True)
class Domain:
    """A user domain: the users of one App brand."""

    user_domain: UserDomain
    user_domain_secret: Secret
    name: str
    created_at: int
    disabled_at: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class User:
    """A user of one domain."""

    uid: Uid
    user_domain: UserDomain
    email: str
    password_hash: str = field(repr=False)
    nickname: str = ""
    lang: str = ""
    timezone: str = ""
    nationality: str = ""
    registered_at: int
    last_login_at: int | None = None
    disabled_at: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A sign-in. `refresh_mac` belongs to the one refresh token that is good now, the `rotation`-th."""

    id: str
    uid: Uid
    user_domain: UserDomain
    refresh_mac: bytes = field(repr=False)
    rotation: int
    created_at: int
    expires_at: int
    ended_at: int | None
    user_disabled_at: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EmailCode:
    """A code sent by mail, as a keyed hash."""

    code_mac: bytes = field(repr=False)
    expires_at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """A user's control of a device."""

    device_id: int
    product_key: ProductKey
    bind_mode: BindMode
    uid: Uid
    user_domain: UserDomain
    epoch: int
    device_name: str
    capabilities: int
    binding_type: int
    bound_at: int
    email: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """Who may use a device because it was shared with them."""

    share_id: int
    device_id: int
    client_id: ClientId
    product_key: ProductKey
    device_key: DeviceKey
    uid: Uid
    user_domain: UserDomain


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptDownlink:
    """A command that waits for a device; `share_id` is the share it was given by, None for an owner's."""

    id: int
    device_id: int
    uid: Uid
    share_id: int | None
    kind: Kind
    payload: bytes
    ticket: str
    queued_at: int
    expires_at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnedRow:
    """A user's hold on a device together with the device, for the lists a user reads.

    Attributes:
        owner: the hold; for a member, what the share gives them under their own name for the device.
        owner_uid: who owns it: the user, or who shared it with them.
        held_since: when the longest of the holds that the user has now began.
        share_code, sharing_expires_at: of the share; None for an owner.
        facts: of the status only what was told since `held_since`.
    """

    owner: Owner
    owner_uid: Uid
    held_since: int
    share_code: Secret | None = None
    sharing_expires_at: int | None = None
    device_key: DeviceKey
    product_name: str
    is_active: bool
    auth_key: Secret
    facts: DeviceFacts
    ble_used_at: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceRow:
    """A device together with what it told, for the lists an operator reads."""

    device: Device
    facts: DeviceFacts


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRow:
    """A product's thing model as the TSL document it renders to."""

    product_key: ProductKey
    document: str
    imported_at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LastValue:
    """What a device last reported: of one property, as the TTLV of the field; of where it is (property 0), its text."""

    property_id: int
    field: bytes
    at: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """One report as it came, TTLV."""

    at: int
    payload: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Presence:
    """When a device was last here; `recent_randoms` is None where they are not kept over a restart."""

    device_id: int
    last_online_at: int | None
    last_offline_at: int | None
    last_address: str
    recent_randoms: bytes | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessKey:
    """An operator's key for the operator API, kept as a keyed hash."""

    id: str
    name: str
    created_at: int
    revoked_at: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningKey:
    """A key that signs access tokens; both halves as PEM text."""

    kid: str
    private_key: Secret
    public_key: str
    created_at: int
