"""The OpenAPI 3.1 document of the operator API, made from its route table and types: it cannot fall behind the code."""

import re
from collections.abc import Sequence
from typing import Any

import msgspec

from quecbind import __version__
from quecbind.center.http.operation import Operation
from quecbind.center.http.problem import MEDIA_TYPE, Problem

_PATH_ID = re.compile(r"\{(\w+)\}")
_REF = "#/components/schemas/{name}"


def document(operations: Sequence[Operation], prefix: str) -> dict[str, Any]:
    """The document as JSON values."""
    types = [kind for row in operations for kind in (row.body, row.answer, row.query) if kind is not None]
    types.append(Problem)
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
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "quecbind operator API",
            "version": __version__,
            "description": "For those who run products. Times are UTC milliseconds, errors problem+json (RFC 9457).",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {"accessKey": {"type": "http", "scheme": "bearer", "description": "an access key"}},
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
