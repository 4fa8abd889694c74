"""The operator API for products, their thing models, and devices."""

from http import HTTPStatus
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta

from quecbind.center.http.operation import BULK_LIMITS, MODEL_LIMITS, Operation, OperatorCall
from quecbind.center.http.operator_bodies import (
    DeviceQuery,
    NewDevice,
    NewProduct,
    PageQuery,
    ProductDomains,
    ProductPatch,
)
from quecbind.center.services.views import (
    DeviceImport,
    DeviceView,
    ImportResult,
    ModelView,
    Page,
    ProductChanges,
    ProductSpec,
    ProductView,
)

MAX_IMPORT = 1_000


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
)
