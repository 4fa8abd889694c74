"""The operator API, row by row: what the console and the command line do, they do through these operations.

Takes validated requests to the operator services and their answers back. Nothing is decided here.
"""

import functools
from http import HTTPStatus
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta

from quecbind import __version__
from quecbind.center.domain.moment import to_ms
from quecbind.center.http import openapi
from quecbind.center.http.app_tables import TABLES
from quecbind.center.http.operation import BULK_LIMITS, MODEL_LIMITS, Operation, OperatorCall
from quecbind.center.http.operator_bodies import (
    AuditCheckQuery,
    AuditExportQuery,
    AuditQuery,
    DeviceQuery,
    NewAccessKey,
    NewDevice,
    NewDomain,
    NewProduct,
    NewUser,
    PageQuery,
    ProductDomains,
    ProductPatch,
    UserQuery,
)
from quecbind.center.services.views import (
    AccessKeyView,
    AuditCheck,
    AuditExport,
    AuditView,
    DeviceImport,
    DeviceView,
    DomainView,
    ImportResult,
    ModelView,
    Page,
    ProductChanges,
    ProductSpec,
    ProductView,
    UserView,
)

PREFIX = "/api/v1"
MAX_IMPORT = 1_000


class ServerView(msgspec.Struct, kw_only=True):
    """What this server is and holds. `now` is its clock; `addresses`, by scheme, where it listens, and `lan`."""

    version: str
    now: int
    addresses: dict[str, str]
    product_count: int
    device_count: int
    online_count: int


async def create_product(call: OperatorCall[NewProduct, None]) -> ProductView:
    """Make a product."""
    spec = ProductSpec(**msgspec.structs.asdict(call.body))
    return await call.center.operators.create_product(spec, call.operator)


async def list_products(call: OperatorCall[None, PageQuery]) -> Page[ProductView]:
    """Products, oldest first."""
    return await call.center.operators.products(call.query.page, call.query.page_size)


async def get_product(call: OperatorCall[None, None]) -> ProductView:
    """One product."""
    return await call.center.operators.product(call.path["product_key"])


async def change_product(call: OperatorCall[ProductPatch, None]) -> ProductView:
    """Change what the body names."""
    given = {name: value for name, value in msgspec.structs.asdict(call.body).items() if value is not UNSET}
    return await call.center.operators.change_product(call.path["product_key"], ProductChanges(**given), call.operator)


async def delete_product(call: OperatorCall[None, None]) -> None:
    """Delete a product without devices."""
    await call.center.operators.delete_product(call.path["product_key"], call.operator)


async def set_product_domains(call: OperatorCall[ProductDomains, None]) -> ProductView:
    """Choose the user domains."""
    return await call.center.operators.set_product_domains(
        call.path["product_key"], call.body.user_domains, call.operator
    )


async def import_model(call: OperatorCall[dict[str, Any], None]) -> ModelView:
    """Give a product a thing model."""
    return await call.center.operators.import_model(call.path["product_key"], call.body, call.operator)


async def export_model(call: OperatorCall[None, None]) -> dict[str, Any]:
    """Its thing model."""
    return await call.center.operators.model(call.path["product_key"])


async def remove_model(call: OperatorCall[None, None]) -> None:
    """Take it away."""
    await call.center.operators.remove_model(call.path["product_key"], call.operator)


async def list_devices(call: OperatorCall[None, DeviceQuery]) -> Page[DeviceView]:
    """Devices, without their owners."""
    query = call.query
    return await call.center.operators.devices(query.page, query.page_size, query.product_key)


async def get_device(call: OperatorCall[None, None]) -> DeviceView:
    """One device with its owners."""
    return await call.center.operators.device(call.path["product_key"], call.path["device_key"])


async def delete_device(call: OperatorCall[None, None]) -> None:
    """Forget a device."""
    await call.center.operators.delete_device(call.path["product_key"], call.path["device_key"], call.operator)


async def disable_device(call: OperatorCall[None, None]) -> DeviceView:
    """Keep a device out."""
    return await call.center.operators.disable_device(call.path["product_key"], call.path["device_key"], call.operator)


async def enable_device(call: OperatorCall[None, None]) -> DeviceView:
    """Let it in again."""
    return await call.center.operators.enable_device(call.path["product_key"], call.path["device_key"], call.operator)


async def approve_re_enrolment(call: OperatorCall[None, None]) -> DeviceView:
    """Let a device enrol again."""
    return await call.center.operators.approve_re_enrolment(
        call.path["product_key"], call.path["device_key"], call.operator
    )


async def import_devices(call: OperatorCall[list[NewDevice], None]) -> ImportResult:
    """Make devices known."""
    devices = [DeviceImport(**msgspec.structs.asdict(device)) for device in call.body]
    return await call.center.operators.import_devices(devices, call.operator)


async def create_domain(call: OperatorCall[NewDomain, None]) -> DomainView:
    """Make a user domain."""
    body = call.body
    return await call.center.operators.create_domain(
        body.name, call.operator, body.user_domain, body.user_domain_secret
    )


async def list_domains(call: OperatorCall[None, PageQuery]) -> Page[DomainView]:
    """User domains, oldest first."""
    return await call.center.operators.domains(call.query.page, call.query.page_size)


async def create_user(call: OperatorCall[NewUser, None]) -> UserView:
    """Make a user."""
    body = call.body
    return await call.center.operators.create_user(body.email, body.user_domain, body.password, call.operator)


async def list_users(call: OperatorCall[None, UserQuery]) -> Page[UserView]:
    """Users."""
    return await call.center.operators.users(call.query.page, call.query.page_size, call.query.user_domain)


async def disable_user(call: OperatorCall[None, None]) -> UserView:
    """Shut a user out."""
    return await call.center.operators.disable_user(call.path["uid"], call.operator)


async def enable_user(call: OperatorCall[None, None]) -> UserView:
    """Let them in again."""
    return await call.center.operators.enable_user(call.path["uid"], call.operator)


async def create_access_key(call: OperatorCall[NewAccessKey, None]) -> AccessKeyView:
    """Make an access key."""
    return await call.center.operators.create_access_key(call.body.name, call.operator)


async def list_access_keys(call: OperatorCall[None, PageQuery]) -> Page[AccessKeyView]:
    """Access keys, oldest first."""
    return await call.center.operators.access_keys(call.query.page, call.query.page_size)


async def revoke_access_key(call: OperatorCall[None, None]) -> None:
    """End an access key."""
    await call.center.operators.revoke_access_key(call.path["key_id"], call.operator)


async def list_audit(call: OperatorCall[None, AuditQuery]) -> Page[AuditView]:
    """The audit log."""
    query = call.query
    return await call.center.operators.audit(query.page, query.page_size, query.product_key, query.device_key)


async def export_audit(call: OperatorCall[None, AuditExportQuery]) -> AuditExport:
    """The next entries, oldest first."""
    return await call.center.operators.export_audit(call.query.after, call.query.since, call.query.count)


async def check_audit(call: OperatorCall[None, AuditCheckQuery]) -> AuditCheck:
    """Check the audit log's chain."""
    return await call.center.operators.verify_audit(call.query.noted_seq, call.query.noted_hash)


async def get_server(call: OperatorCall[None, None]) -> ServerView:
    """This server."""
    registry = call.center.registry
    return ServerView(
        version=__version__,
        now=to_ms(call.center.clock.now()),
        addresses=dict(call.center.addresses),
        product_count=sum(1 for _ in registry.products()),
        device_count=len(registry),
        online_count=call.center.presence.online_count,
    )


async def get_openapi(_call: OperatorCall[None, None]) -> dict[str, Any]:
    """This document."""
    return _document()


@functools.cache
def _document() -> dict[str, Any]:
    # Anybody may ask for it, and making it takes long enough to keep everybody else waiting.
    return openapi.document(OPERATIONS, PREFIX, TABLES)


_PRODUCT = "/products/{product_key}"
_DEVICE = "/devices/{product_key}/{device_key}"
_Import = Annotated[list[NewDevice], Meta(min_length=1, max_length=MAX_IMPORT)]

OPERATIONS = (
    Operation(
        method="POST",
        path="/products",
        tag="products",
        summary="Create a product; its secret is in this answer and in no other",
        handler=create_product,
        body=NewProduct,
        answer=ProductView,
        status=HTTPStatus.CREATED,
        limits=BULK_LIMITS,
    ),
    Operation(
        method="GET",
        path="/products",
        tag="products",
        summary="List products, oldest first",
        handler=list_products,
        query=PageQuery,
        answer=Page[ProductView],
    ),
    Operation(
        method="GET",
        path=_PRODUCT,
        tag="products",
        summary="Show a product",
        handler=get_product,
        answer=ProductView,
    ),
    Operation(
        method="PATCH",
        path=_PRODUCT,
        tag="products",
        summary="Change a product; the bind mode only while none of its devices is bound",
        handler=change_product,
        body=ProductPatch,
        answer=ProductView,
    ),
    Operation(
        method="DELETE",
        path=_PRODUCT,
        tag="products",
        summary="Delete a product that has no devices",
        handler=delete_product,
        status=HTTPStatus.NO_CONTENT,
    ),
    Operation(
        method="PUT",
        path=_PRODUCT + "/domains",
        tag="products",
        summary="Choose which user domains may bind the product's devices",
        handler=set_product_domains,
        body=ProductDomains,
        answer=ProductView,
        limits=BULK_LIMITS,
    ),
    Operation(
        method="PUT",
        path=_PRODUCT + "/tsl",
        tag="products",
        summary="Import the thing model of a product, in place of the one it has",
        handler=import_model,
        body=dict[str, Any],
        answer=ModelView,
        limits=MODEL_LIMITS,
    ),
    Operation(
        method="GET",
        path=_PRODUCT + "/tsl",
        tag="products",
        summary="Export the thing model of a product as TSL",
        handler=export_model,
        answer=dict[str, Any],
    ),
    Operation(
        method="DELETE",
        path=_PRODUCT + "/tsl",
        tag="products",
        summary="Leave a product without a thing model",
        handler=remove_model,
        status=HTTPStatus.NO_CONTENT,
    ),
    Operation(
        method="GET",
        path="/devices",
        tag="devices",
        summary="List devices, of one product or of all",
        handler=list_devices,
        query=DeviceQuery,
        answer=Page[DeviceView],
    ),
    Operation(
        method="POST",
        path="/devices/import",
        tag="devices",
        summary="Make devices known before they come; known ones stay as they are",
        handler=import_devices,
        body=_Import,
        answer=ImportResult,
        limits=BULK_LIMITS,
    ),
    Operation(
        method="GET",
        path=_DEVICE,
        tag="devices",
        summary="Show a device with its owners",
        handler=get_device,
        answer=DeviceView,
    ),
    Operation(
        method="DELETE",
        path=_DEVICE,
        tag="devices",
        summary="Forget a device with its owners; its session ends",
        handler=delete_device,
        status=HTTPStatus.NO_CONTENT,
    ),
    Operation(
        method="POST",
        path=_DEVICE + "/disable",
        tag="devices",
        summary="Keep a device out; its session ends, its owners stay",
        handler=disable_device,
        answer=DeviceView,
    ),
    Operation(
        method="POST",
        path=_DEVICE + "/enable",
        tag="devices",
        summary="Let a disabled device in again",
        handler=enable_device,
        answer=DeviceView,
    ),
    Operation(
        method="POST",
        path=_DEVICE + "/approve-re-enrolment",
        tag="devices",
        summary="Let a device enrol again once within 15 minutes; that resets it",
        handler=approve_re_enrolment,
        answer=DeviceView,
    ),
    Operation(
        method="POST",
        path="/domains",
        tag="domains",
        summary="Create a user domain; its secret is in this answer and in no other",
        handler=create_domain,
        body=NewDomain,
        answer=DomainView,
        status=HTTPStatus.CREATED,
    ),
    Operation(
        method="GET",
        path="/domains",
        tag="domains",
        summary="List user domains, oldest first",
        handler=list_domains,
        query=PageQuery,
        answer=Page[DomainView],
    ),
    Operation(
        method="POST",
        path="/users",
        tag="users",
        summary="Create a user without a mail code",
        handler=create_user,
        body=NewUser,
        answer=UserView,
        status=HTTPStatus.CREATED,
    ),
    Operation(
        method="GET",
        path="/users",
        tag="users",
        summary="List users, of one user domain or of all",
        handler=list_users,
        query=UserQuery,
        answer=Page[UserView],
    ),
    Operation(
        method="POST",
        path="/users/{uid}/disable",
        tag="users",
        summary="Shut a user out; their sessions end, their devices stay theirs",
        handler=disable_user,
        answer=UserView,
    ),
    Operation(
        method="POST",
        path="/users/{uid}/enable",
        tag="users",
        summary="Let a disabled user sign in again",
        handler=enable_user,
        answer=UserView,
    ),
    Operation(
        method="POST",
        path="/keys",
        tag="keys",
        summary="Create an access key; it is in this answer and in no other",
        handler=create_access_key,
        body=NewAccessKey,
        answer=AccessKeyView,
        status=HTTPStatus.CREATED,
    ),
    Operation(
        method="GET",
        path="/keys",
        tag="keys",
        summary="List access keys, oldest first, revoked ones included",
        handler=list_access_keys,
        query=PageQuery,
        answer=Page[AccessKeyView],
    ),
    Operation(
        method="DELETE",
        path="/keys/{key_id}",
        tag="keys",
        summary="Revoke an access key at once",
        handler=revoke_access_key,
        status=HTTPStatus.NO_CONTENT,
    ),
    Operation(
        method="GET",
        path="/audit",
        tag="audit",
        summary="Read the audit log, newest first, of one product or device or of all",
        handler=list_audit,
        query=AuditQuery,
        answer=Page[AuditView],
    ),
    Operation(
        method="GET",
        path="/audit/export",
        tag="audit",
        summary="Read the whole audit log in pieces, oldest first; ask for what is `after` the last one",
        handler=export_audit,
        query=AuditExportQuery,
        answer=AuditExport,
    ),
    Operation(
        method="GET",
        path="/audit/check",
        tag="audit",
        summary="Check the audit log for changes and gaps",
        handler=check_audit,
        query=AuditCheckQuery,
        answer=AuditCheck,
    ),
    Operation(
        method="GET",
        path="/server",
        tag="server",
        summary="Show this server's version, clock and counts",
        handler=get_server,
        answer=ServerView,
    ),
    Operation(
        method="GET",
        path="/openapi.json",
        tag="server",
        summary="Show the OpenAPI document of this API and of the App API",
        handler=get_openapi,
        answer=dict[str, Any],
        is_open=True,
    ),
)
