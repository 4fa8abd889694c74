"""The HTTP side of the Developer Center as one ASGI app: App API, operator API, health, metrics.

Only wiring. A path nobody serves is 404 and a method nobody serves 405, in the words of the API it looks like; a path
is never redirected, its query may hold what must not be sent twice.
"""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from http import HTTPStatus

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Match, Route

from quecbind.center.domain.addresses import Network
from quecbind.center.http import (
    app_call,
    envelope,
    operation,
    operators,
    problem,
)
from quecbind.center.http.app_tables import TABLES
from quecbind.center.http.headers import SafeHeaders
from quecbind.center.http.limits import DEFAULT_LIMITS, Limits
from quecbind.center.http.one_reading import OneReading
from quecbind.center.http.problem import HttpProblemError
from quecbind.center.http.trusted_proxy import TrustedProxy
from quecbind.center.services.center import Center

_SENTENCE_BY_STATUS = {
    HTTPStatus.NOT_FOUND: "there is nothing at this path",
    HTTPStatus.METHOD_NOT_ALLOWED: "this path does not answer this method",
}


def build(
    center: Center,
    registry: CollectorRegistry | None = None,
    limits: Limits = DEFAULT_LIMITS,
    more_routes: Iterable[BaseRoute] = (),
    *,
    trusted_proxies: Sequence[Network] = (),
) -> Starlette:
    """The ASGI app that serves `center`.

    Args:
        registry: what /metrics shows; without one the path does not exist.
        limits: how much of an App API request is read.
        more_routes: what else is served on the same port.
        trusted_proxies: where a proxy may be that says whose request it passes on.
    """
    routes: list[BaseRoute] = [
        *(route for _, table in TABLES for route in app_call.routes(table, center, limits)),
        *operation.routes(operators.OPERATIONS, center, operators.PREFIX),
        Route("/healthz", _healthz, methods=["GET"]),
    ]
    routes += more_routes
    if registry is not None:
        routes.append(Route("/metrics", _metrics(registry), methods=["GET"]))
    app = Starlette(
        routes=routes,
        middleware=[
            Middleware(TrustedProxy, trusted=tuple(trusted_proxies)),
            Middleware(SafeHeaders),
            Middleware(OneReading, operator_prefix=operators.PREFIX),
        ],
        exception_handlers={HTTPException: _no_such_route},
    )
    app.router.redirect_slashes = False
    return app


async def _healthz(_request: Request) -> Response:
    return Response(b'{"status":"ok"}', media_type="application/json")


def _metrics(registry: CollectorRegistry) -> Callable[[Request], Awaitable[Response]]:
    async def show(_request: Request) -> Response:
        return Response(generate_latest(registry), headers={"content-type": CONTENT_TYPE_LATEST})

    return show


async def _no_such_route(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    status = HTTPStatus(error.status_code)
    sentence = _SENTENCE_BY_STATUS.get(status, status.phrase)
    allowed = _methods_at(request) if status == HTTPStatus.METHOD_NOT_ALLOWED else ""
    if allowed and request.method == "OPTIONS":
        return Response(status_code=HTTPStatus.NO_CONTENT, headers={"allow": allowed})
    if request.scope["path"].startswith(operators.PREFIX):
        answer = problem.response(HttpProblemError(status, sentence), operators.PREFIX)
    else:
        answer = envelope.no_such_path(status, sentence)
    if allowed:
        answer.headers["allow"] = allowed
    return answer


def _methods_at(request: Request) -> str:
    methods = {"OPTIONS"}
    for route in request.app.routes:
        if isinstance(route, Route) and route.matches(request.scope)[0] is not Match.NONE:
            methods |= route.methods or set()
    return ", ".join(sorted(methods))
