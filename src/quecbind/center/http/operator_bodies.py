"""What operators send: request bodies and query strings of the operator API, as types that are also its schemas.

An unknown field is refused, so that a misspelt one is not silently without effect. Ranges that the schema can say are
said here; what needs to look at data is decided in the services.
"""

from typing import Annotated

import msgspec
from msgspec import UNSET, Meta, UnsetType

from quecbind.center.domain.product import (
    DEFAULT_DEVICE_LIMIT,
    DEFAULT_WINDOW_S,
    MAX_WINDOW_S,
    BindMode,
    ReEnrol,
)
from quecbind.center.services.keys import MAX_EXPORT
from quecbind.center.services.products import MAX_DEVICE_LIMIT
from quecbind.center.services.views import MAX_PAGE_SIZE

# `$` alone would let a line end behind it pass.
_END = r"$(?!\n)"

Name = Annotated[str, Meta(min_length=1, max_length=128, pattern=r"^[^\x00-\x1f\x7f]*" + _END)]
Key = Annotated[str, Meta(pattern=r"^[0-9A-Za-z]{1,32}" + _END)]
DeviceLimit = Annotated[int, Meta(ge=0, le=MAX_DEVICE_LIMIT)]
WindowS = Annotated[int, Meta(ge=1, le=MAX_WINDOW_S)]
PageNumber = Annotated[int, Meta(ge=1, le=1_000_000)]
PageSize = Annotated[int, Meta(ge=1, le=MAX_PAGE_SIZE)]
UserDomainName = Annotated[str, Meta(min_length=1, max_length=64, pattern=r"^[0-9A-Za-z.]+" + _END)]
UserDomainList = Annotated[list[UserDomainName], Meta(max_length=1_000)]


class Body(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A request body."""

    def __repr__(self) -> str:
        # Fields may be secrets.
        return f"<{type(self).__name__}>"


class NewProduct(Body):
    """A product to create. Its key and secret are drawn when they are not given; null user domains mean all."""

    name: Name
    bind_mode: BindMode = "multi"
    re_enrol: ReEnrol = "approve"
    device_limit: DeviceLimit = DEFAULT_DEVICE_LIMIT
    default_window_s: WindowS = DEFAULT_WINDOW_S
    allow_device_key_binding: bool = False
    static_secrets: bool = False
    dynamic_enrolment: bool = True
    replay_strict: bool = False
    allow_serial_binding: bool = False
    ble_only: bool = False
    allow_sharing: bool = True
    user_domains: UserDomainList | None = None
    product_key: Key | None = None
    product_secret: Annotated[str, Meta(pattern=r"^[0-9A-Za-z]{1,64}" + _END)] | None = None


class ProductPatch(Body):
    """What to change about a product; what is not given stays as it is."""

    name: Name | UnsetType = UNSET
    bind_mode: BindMode | UnsetType = UNSET
    re_enrol: ReEnrol | UnsetType = UNSET
    device_limit: DeviceLimit | UnsetType = UNSET
    default_window_s: WindowS | UnsetType = UNSET
    allow_device_key_binding: bool | UnsetType = UNSET
    static_secrets: bool | UnsetType = UNSET
    dynamic_enrolment: bool | UnsetType = UNSET
    replay_strict: bool | UnsetType = UNSET
    allow_serial_binding: bool | UnsetType = UNSET
    ble_only: bool | UnsetType = UNSET
    allow_sharing: bool | UnsetType = UNSET


class ProductDomains(Body):
    """Which user domains may bind devices of a product; null means all."""

    user_domains: UserDomainList | None


class NewDomain(Body):
    """A user domain to create. Its id and secret are drawn when they are not given."""

    name: Name
    user_domain: UserDomainName | None = None
    user_domain_secret: Annotated[str, Meta(pattern=r"^[0-9A-Za-z]{1,44}" + _END)] | None = None


class NewUser(Body):
    """A user to create, without a mail code."""

    email: Annotated[str, Meta(min_length=3, max_length=254)]
    user_domain: UserDomainName
    password: Annotated[str, Meta(min_length=1, max_length=128)]


class NewDevice(Body):
    """A device to make known before it comes."""

    product_key: Key
    device_key: Key
    device_secret: Annotated[str, Meta(pattern="^[0-9A-Za-z]{1,32}" + _END)] | None = None
    serial: Annotated[str, Meta(pattern=r"^[0-9A-Za-z._-]{1,64}" + _END)] | None = None


class NewAccessKey(Body):
    """An access key to make; its name is what the audit log shows."""

    name: Name


class PageQuery(Body):
    """Which page of a list."""

    page: PageNumber = 1
    page_size: PageSize = 50


class DeviceQuery(PageQuery):
    """Which devices to list."""

    product_key: Key | None = None


class UserQuery(PageQuery):
    """Which users to list."""

    user_domain: UserDomainName | None = None


class AuditExportQuery(Body):
    """Which audit entries to export, oldest first."""

    after: Annotated[int, Meta(ge=0, le=2**53)] = 0
    since: Annotated[int, Meta(ge=0, le=2**53)] = 0
    count: Annotated[int, Meta(ge=1, le=MAX_EXPORT)] = MAX_EXPORT


class AuditCheckQuery(Body):
    """An entry that was noted elsewhere, and must still be the same; 0 for none."""

    noted_seq: Annotated[int, Meta(ge=0, le=2**53)] = 0
    noted_hash: Annotated[str, Meta(pattern=r"^([0-9a-f]{64})?" + _END)] = ""


class AuditQuery(PageQuery):
    """Which audit entries to list, newest first."""

    product_key: Key | None = None
    device_key: Key | None = None
