"""One App API call: a row of the route table, what its handler gets to see, and the way from request to envelope.

A handler sees parameters, never carriers, and the address the request counts for: the socket's peer, or what a proxy
says that the operator trusts (`trusted_proxy`).
"""

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, replace

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from quecbind.center.http import body, envelope, parameters
from quecbind.center.http.limits import Limits
from quecbind.center.http.parameters import Parameters
from quecbind.center.services.center import Center
from quecbind.center.services.views import SignedIn


@dataclass(frozen=True, slots=True)
class AppCall:
    """What a handler sees of a request.

    Attributes:
        rows: the objects of a JSON list, where the endpoint takes one.
        authorization: the token exactly as it came, "Bearer " included; "" when there is none.
        peer: the address the request counts for; "" when the socket has none.
        is_paced: it may change something, and nothing else limits how often.
    """

    center: Center
    parameters: Parameters
    rows: list[Parameters]
    authorization: str
    peer: str
    is_paced: bool = False

    async def signed_in(self) -> SignedIn:
        """Who calls.

        Raises:
            Rejected: 5106 without a token, 5032 with one that is not valid now, 8429 for who changes too much too fast.
        """
        who = await self.center.accounts.authenticate(self.authorization)
        if self.is_paced:
            self.center.accounts.pace(who)
        return who


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One row of the App API: what `handler` returns becomes `data` of the envelope.

    Attributes:
        takes_list: the body is a JSON list; the handler finds its objects in `AppCall.rows`.
        max_fields: for a body that holds a list; None for as many fields as any call may have.
        has_own_limits: where it may change something, something else limits how often.
    """

    method: str
    path: str
    handler: Callable[[AppCall], Awaitable[object]]
    takes_list: bool = False
    max_fields: int | None = None
    has_own_limits: bool = False


def peer_of(request: Request) -> str:
    """The address the request counts for."""
    return request.client.host if request.client is not None else ""


def routes(endpoints: Iterable[Endpoint], center: Center, limits: Limits) -> list[Route]:
    """The endpoints as routes of the ASGI app."""
    return [_route(endpoint, center, limits) for endpoint in endpoints]


def _route(endpoint: Endpoint, center: Center, limits: Limits) -> Route:
    if endpoint.max_fields is not None:
        limits = replace(limits, max_fields=endpoint.max_fields)

    async def serve(request: Request) -> Response:
        try:
            content = await body.read(request, limits)
            rows, content = (parameters.rows(content, limits), b"") if endpoint.takes_list else ([], content)
            call = AppCall(
                center=center,
                parameters=parameters.read(
                    request.scope["query_string"], request.headers.get("content-type", ""), content, limits
                ),
                rows=rows,
                authorization=request.headers.get("authorization", ""),
                peer=peer_of(request),
                is_paced=endpoint.method != "GET" and not endpoint.has_own_limits,
            )
            return envelope.success(await endpoint.handler(call))
        except ClientDisconnect:
            return Response(status_code=400)
        except Exception as error:  # noqa: BLE001  every error becomes an envelope, here and nowhere else
            return envelope.failure(error, endpoint.path)

    return Route(endpoint.path, serve, methods=[endpoint.method], name=endpoint.path)
