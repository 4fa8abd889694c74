"""The OpenAPI 3.1 document of the HTTP APIs, made from their route tables and types: it cannot fall behind the code."""

import re
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from quecbind import __version__
from quecbind.center.http import app_openapi
from quecbind.center.http.app_call import Endpoint
from quecbind.center.http.operation import Operation
from quecbind.center.http.problem import MEDIA_TYPE, Problem

_PATH_ID = re.compile(r"\{(\w+)\}")
_REF = "#/components/schemas/{name}"


def document(
    operations: Sequence[Operation], prefix: str, app_tables: Sequence[tuple[str, Iterable[Endpoint]]] = ()
) -> dict[str, Any]:
    """The document as JSON values; `app_tables` are the endpoints of the App API by the noun they belong to."""
    types = [kind for row in operations for kind in (row.body, row.answer, row.query) if kind is not None]
    types.append(Problem)
    types += [app_openapi.answer_type(endpoint) for _, table in app_tables for endpoint in table]
    schemas, components = msgspec.json.schema_components(types, schema_hook=_any_json, ref_template=_REF)
    schema_by_type = {repr(kind): schema for kind, schema in zip(types, schemas, strict=True)}
    paths: dict[str, dict[str, Any]] = {}
    for row in operations:
        query = components[schema_by_type[repr(row.query)]["$ref"].rpartition("/")[2]] if row.query else {}
        paths.setdefault(prefix + row.path, {})[row.method.lower()] = _operation(row, query, schema_by_type)
    for row in operations:
        if row.query is not None:
            # Its fields stand as parameters.
            components.pop(schema_by_type[repr(row.query)]["$ref"].rpartition("/")[2], None)
    paths |= app_openapi.operations(app_tables, schema_by_type)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "quecbind",
            "version": __version__,
            "description": (
                "The operator API (/api/v1) for those who run products: times are UTC milliseconds, errors problem+json"
                " (RFC 9457). The App API (/v2) for Apps: every answer is an envelope, with HTTP 200 also when it"
                " refuses; parameters come as query, form, multipart or JSON alike, and are named here in one of these."
            ),
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {
                "accessKey": {"type": "http", "scheme": "bearer", "description": "an access key"},
                "userToken": {"type": "http", "scheme": "bearer", "description": "an access token of a user"},
            },
        },
        "security": [{"accessKey": []}],
    }


def _any_json(kind: type) -> dict[str, Any]:
    if kind is object:
        return {"description": "any JSON value"}
    raise NotImplementedError(f"{kind} has no schema")


def _operation(row: Operation, query: dict[str, Any], schema_by_type: dict[str, Any]) -> dict[str, Any]:
    success: dict[str, Any] = {"description": row.status.phrase}
    if row.answer is not None:
        success["content"] = {"application/json": {"schema": schema_by_type[repr(row.answer)]}}
    described: dict[str, Any] = {
        "operationId": row.handler.__name__,
        "tags": [row.tag],
        "summary": row.summary,
        "responses": {
            str(row.status.value): success,
            "default": {
                "description": "refused",
                "content": {MEDIA_TYPE: {"schema": schema_by_type[repr(Problem)]}},
            },
        },
    }
    parameters = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in _PATH_ID.findall(row.path)
    ]
    required = query.get("required", [])
    parameters += [
        {"name": name, "in": "query", "required": name in required, "schema": schema}
        for name, schema in query.get("properties", {}).items()
    ]
    if parameters:
        described["parameters"] = parameters
    if row.body is not None:
        described["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": schema_by_type[repr(row.body)]}},
        }
    if row.is_open:
        described["security"] = []
    return described
