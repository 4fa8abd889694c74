"""The operator API, row by row: what the console and the command line do, they do through these operations.

Takes validated requests to the operator services and their answers back. Nothing is decided here, nor in the two files
with the rows for products and devices, and for domains, users and access keys.
"""

import functools
from typing import Any

import msgspec

from quecbind import __version__
from quecbind.center.domain.moment import to_ms
from quecbind.center.http import openapi, operator_fleet, operator_people
from quecbind.center.http.app_tables import TABLES
from quecbind.center.http.operation import Operation, OperatorCall
from quecbind.center.http.operator_bodies import AuditCheckQuery, AuditExportQuery, AuditQuery
from quecbind.center.services.views import AuditCheck, AuditExport, AuditView, Page

PREFIX = "/api/v1"


class ServerView(msgspec.Struct, kw_only=True):
    """What this server is and holds. `now` is its clock; `addresses`, by scheme, where it listens, and `lan`."""

    version: str
    now: int
    addresses: dict[str, str]
    product_count: int
    device_count: int
    online_count: int


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


OPERATIONS = (
    *operator_fleet.OPERATIONS,
    *operator_people.OPERATIONS,
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
