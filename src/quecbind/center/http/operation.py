"""One operation of the operator API: a row of its route table, and the way from request to JSON or problem+json.

The row is all there is: routing, validation and the OpenAPI document are made from it. Nothing is read of a request
before its access key is known to be good, except by rows that are open to all.
"""

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Generic, TypeVar

import msgspec
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from quecbind.center.http import body, json_body, problem
from quecbind.center.http.app_call import peer_of
from quecbind.center.http.limits import Limits
from quecbind.center.http.parameters import query_fields, without_contradiction
from quecbind.center.http.problem import HttpProblemError
from quecbind.center.services.center import Center
from quecbind.center.services.views import Operator

B = TypeVar("B")
Q = TypeVar("Q")

LIMITS = Limits()
# For lists of devices and domains.
BULK_LIMITS = Limits(max_body_size=262_144, max_fields=8_192)

# For thing models.
MODEL_LIMITS = Limits(max_body_size=524_288, max_fields=65_536, max_depth=16)

_encoder = msgspec.json.Encoder()


@dataclass(frozen=True, slots=True)
class OperatorCall(Generic[B, Q]):
    """What a handler sees of a request: who asks, the ids in the path, the validated body and query."""

    center: Center
    operator: Operator
    path: dict[str, str]
    body: B
    query: Q


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One row of the operator API.

    Attributes:
        path: relative to /api/v1, with `{name}` for ids.
        tag: the noun it belongs to.
        body, query: types the request is validated against; None when it has none.
        answer: type of what the handler returns; None when the answer has no body.
        is_open: True for what needs no access key.
    """

    method: str
    path: str
    tag: str
    summary: str
    handler: Callable[[OperatorCall[Any, Any]], Awaitable[object]]
    answer: Any = None
    body: Any = None
    query: type[msgspec.Struct] | None = None
    status: HTTPStatus = HTTPStatus.OK
    limits: Limits = LIMITS
    is_open: bool = False


def routes(operations: Iterable[Operation], center: Center, prefix: str) -> list[Route]:
    """The operations as routes of the ASGI app."""
    return [_route(operation, center, prefix) for operation in operations]


def _route(operation: Operation, center: Center, prefix: str) -> Route:
    async def serve(request: Request) -> Response:
        try:
            return await _answer(operation, center, request)
        except ClientDisconnect:
            return Response(status_code=HTTPStatus.BAD_REQUEST)
        except Exception as error:  # noqa: BLE001  every error becomes a problem, here and nowhere else
            return problem.response(error, prefix + operation.path)

    return Route(prefix + operation.path, serve, methods=[operation.method], name=operation.summary)


async def _answer(operation: Operation, center: Center, request: Request) -> Response:
    if operation.is_open:
        operator = Operator("", peer_of(request))
    else:
        operator = await center.operators.authenticate(request.headers.get("authorization"), peer_of(request))
    result = await operation.handler(
        OperatorCall(
            center=center,
            operator=operator,
            path=request.path_params,
            body=await _body(operation, request),
            query=_query(operation, request),
        )
    )
    if operation.answer is None:
        return Response(status_code=operation.status)
    return Response(_encoder.encode(result), operation.status, media_type="application/json")


async def _body(operation: Operation, request: Request) -> object:
    content = await body.read(request, operation.limits)
    if operation.body is None:
        return None
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/json":
        raise HttpProblemError(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "send application/json")
    return msgspec.convert(json_body.parse(content, operation.limits), operation.body)


def _query(operation: Operation, request: Request) -> object:
    if operation.query is None:
        return None
    fields = query_fields(request.scope["query_string"], operation.limits)
    return msgspec.convert(without_contradiction(fields), operation.query, strict=False)
