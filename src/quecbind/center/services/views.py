"""What the services answer with: plain frozen values, ready to become JSON.

A field named `..._at` is UTC milliseconds. No view holds a secret, except that one which a caller gets once when it is
made; such a field is left out of the repr and None everywhere else.
"""

from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from quecbind.center.domain.device import DeviceState
from quecbind.center.domain.ids import ClientId, DeviceKey, ProductKey, Secret, Uid, UserDomain
from quecbind.center.domain.location import Place
from quecbind.center.domain.product import BindMode, DomainAccess, ReEnrol
from quecbind.center.domain.thing_model import Access, Level

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """One page of a list; `page` counts from 1, `total_count` is over all pages."""

    items: list[T]
    page: int
    page_size: int
    total_count: int


MAX_PAGE_SIZE = 100


def bounded_page(page: int, page_size: int) -> tuple[int, int, int]:
    """The page, its size (1 to 100) and its offset; a page out of any range becomes the nearest there can be."""
    page, page_size = min(max(1, page), 2**53), min(max(1, page_size), MAX_PAGE_SIZE)
    return page, page_size, (page - 1) * page_size


@dataclass(frozen=True, slots=True)
class SignedIn:
    """The user behind an access token."""

    uid: Uid
    user_domain: UserDomain
    session_id: str


@dataclass(frozen=True, slots=True)
class Tokens:
    """Both tokens with their "Bearer " prefix. `..._expires_at` is UTC **seconds**, as the App API wants it."""

    access_token: str = field(repr=False)
    access_expires_at: int
    refresh_token: str = field(repr=False)
    refresh_expires_at: int


@dataclass(frozen=True, slots=True)
class UserInfo:
    """What a user may see of their own account."""

    uid: Uid
    user_domain: UserDomain
    email: str
    nickname: str
    lang: str
    timezone: str
    nationality: str
    registered_at: int
    last_login_at: int | None


@dataclass(frozen=True, slots=True)
class BindOutlook:
    """The answer to "may I bind?"."""

    bind_mode: BindMode
    binding_mode: int
    product_name: str
    is_ble_only: bool


@dataclass(frozen=True, slots=True)
class BindResult:
    """The caller owns the device now. `auth_key` is Base64 of 16 bytes; `is_new` is False when they owned it before."""

    auth_key: Secret
    bind_mode: BindMode
    binding_mode: int
    product_name: str
    is_new: bool
    device_key: str = ""


@dataclass(frozen=True, slots=True)
class DeviceFilter:
    """Which of a user's devices to list; None or empty means any. `name` matches any part, `device_key` the whole."""

    name: str | None = None
    device_key: str | None = None
    product_keys: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnedDevice:
    """One device as its owner sees it, or who uses it by a share.

    `binding_type`: 1 SN, 2 Wi-Fi, 3 device key, 4 BLE (app-api.md B2).
    """

    product_key: ProductKey
    device_key: DeviceKey
    device_name: str
    product_name: str
    bind_mode: BindMode
    binding_mode: int
    binding_type: int
    capabilities: int
    is_online: bool
    is_active: bool
    auth_key: Secret
    uid: Uid
    owner_uid: Uid
    share_code: Secret | None = None
    sharing_expires_at: int | None = None
    bound_at: int
    last_online_at: int | None
    last_offline_at: int | None
    status: dict[str, object]
    info: dict[str, object]
    serial: str | None = None
    ble_used_at: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PropertyValue:
    """A property with the value its device last reported, as text, and when."""

    id: int
    code: str
    name: str
    data_type: str
    access: Access
    text: str
    at: int


@dataclass(frozen=True, slots=True)
class LastPlace:
    """Where a device said it was; `place` is None when its words tell none."""

    text: str
    place: Place | None
    at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Attributes:
    """What a device last told: status and information by their ids, its properties, its place; None: not asked for.

    A place may also be None because none is known.
    """

    status: dict[str, object] | None
    info: dict[str, object] | None
    values: list[PropertyValue] | None
    place: LastPlace | None
    is_place_asked: bool = True


@dataclass(frozen=True, slots=True)
class HistoryEvent:
    """An event a device told, and what it brought."""

    code: str
    level: Level
    values: dict[str, Any]


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """One report of a device; numbers are text."""

    at: int
    values: dict[str, Any]
    events: list[HistoryEvent]


@dataclass(frozen=True, slots=True)
class ResetCredentials:
    """What makes a BLE-only device forget its binding, and the random it was encrypted with."""

    credentials: Secret
    random: str


@dataclass(frozen=True, slots=True)
class Operator:
    """Who asks on the operator side (the access key's name), and from which address."""

    name: str
    peer: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProductSpec:
    """A product to create. `product_key` and `product_secret` are drawn when None; no `user_domains` means all."""

    name: str
    bind_mode: BindMode = "multi"
    re_enrol: ReEnrol = "approve"
    device_limit: int = 100_000
    default_window_s: int = 120
    allow_device_key_binding: bool = False
    static_secrets: bool = False
    dynamic_enrolment: bool = True
    replay_strict: bool = False
    allow_serial_binding: bool = False
    ble_only: bool = False
    allow_sharing: bool = True
    user_domains: list[str] | None = None
    product_key: str | None = None
    product_secret: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProductChanges:
    """What to change about a product; None leaves a field as it is."""

    name: str | None = None
    bind_mode: BindMode | None = None
    re_enrol: ReEnrol | None = None
    device_limit: int | None = None
    default_window_s: int | None = None
    allow_device_key_binding: bool | None = None
    static_secrets: bool | None = None
    dynamic_enrolment: bool | None = None
    replay_strict: bool | None = None
    allow_serial_binding: bool | None = None
    ble_only: bool | None = None
    allow_sharing: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ProductView:
    """A product as an operator sees it; `product_secret` only in the answer that creates it."""

    product_key: ProductKey
    product_secret: str | None = field(default=None, repr=False)
    name: str
    bind_mode: BindMode
    re_enrol: ReEnrol
    device_limit: int
    device_count: int
    default_window_s: int
    allow_device_key_binding: bool
    static_secrets: bool
    dynamic_enrolment: bool
    replay_strict: bool
    allow_serial_binding: bool
    ble_only: bool
    allow_sharing: bool
    domain_access: DomainAccess
    user_domains: list[UserDomain]
    created_at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelView:
    """What a product's thing model holds; `version` names this state of it, as the platform does."""

    product_key: ProductKey
    version: str
    property_count: int
    event_count: int
    service_count: int
    imported_at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DomainView:
    """A user domain; `user_domain_secret` only in the answer that creates it."""

    user_domain: UserDomain
    user_domain_secret: str | None = field(default=None, repr=False)
    name: str
    created_at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class UserView:
    """A user as an operator sees them."""

    uid: Uid
    email: str
    user_domain: UserDomain
    is_disabled: bool
    registered_at: int
    last_login_at: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnerView:
    """Who owns a device, and since when."""

    uid: Uid
    email: str
    user_domain: UserDomain
    bound_at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceView:
    """A device as an operator sees it. `owners` is filled for a single device, empty in lists."""

    product_key: ProductKey
    device_key: DeviceKey
    client_id: ClientId
    state: DeviceState
    epoch: int
    is_online: bool
    last_online_at: int | None
    last_offline_at: int | None
    last_address: str | None
    bind_window_end_at: int | None
    approved_until_at: int | None
    status: dict[str, object]
    info: dict[str, object]
    serial: str | None
    created_at: int
    owners: list[OwnerView] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceImport:
    """A device made known before it comes. With `device_secret` it logs in with that; without, it enrols.

    `serial` is what users may bind it by, where its product allows that.
    """

    product_key: str
    device_key: str
    device_secret: str | None = field(default=None, repr=False)
    serial: str | None = None


@dataclass(frozen=True, slots=True)
class ImportResult:
    """How many devices were new, and how many were there already and stayed as they were."""

    imported_count: int
    known_count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessKeyView:
    """An access key; `access_key` only in the answer that creates it."""

    id: str
    name: str
    access_key: str | None = field(default=None, repr=False)
    created_at: int
    revoked_at: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditView:
    """One audit entry. `hash` chains it to the one before."""

    seq: int
    at: int
    who: str
    action: str
    result: str
    product_key: str | None
    device_key: str | None
    peer: str
    details: dict[str, object]
    hash: str


@dataclass(frozen=True, slots=True)
class AuditCheck:
    """Whether the audit log is whole; `problem` is a sentence about the first entry that is not.

    `last_hash` is that of the last entry: noted elsewhere, it shows later whether the log was put back to an earlier
    state.
    """

    entry_count: int
    problem: str | None
    last_hash: str


@dataclass(frozen=True, slots=True)
class AuditExport:
    """The next entries of the audit log, oldest first; `last_seq` is where the log ends now."""

    items: list[AuditView]
    last_seq: int
