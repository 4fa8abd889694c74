"""ASGI middleware that refuses requests which a proxy in front and this server could read differently.

An operator who shuts a path at a proxy must not be got around by another spelling of it, and nobody may be taken for
another by a second Host or token. None of our paths needs a percent sign, so none is decoded here. The rule is pure.
"""

from collections.abc import Iterable
from http import HTTPStatus

from starlette.types import ASGIApp, Receive, Scope, Send

from quecbind.center.http import envelope, problem
from quecbind.center.http.problem import HttpProblemError

# Those that say who asks and how a body is to be read; the same twice is harmless.
_SAID_ONCE = (b"authorization", b"content-type")
_POLICY_VIOLATION = 1008


def refusal_of(
    raw_path: bytes, http_version: str, headers: Iterable[tuple[bytes, bytes]]
) -> tuple[HTTPStatus, str] | None:
    """Status and sentence for a request that can be read in two ways; None for any other.

    Args:
        raw_path: as it came, not decoded.
        http_version: "1.0", "1.1" and so on.
        headers: names in lower case.
    """
    if any(sign in raw_path for sign in (b"%", b";", b"\\", b"//")) or not {b".", b".."}.isdisjoint(
        raw_path.split(b"/")
    ):
        return HTTPStatus.NOT_FOUND, "there is nothing at this path"
    values = list(headers)
    host_count = sum(name == b"host" for name, _ in values)
    if host_count > 1 or (host_count == 0 and http_version == "1.1"):
        return HTTPStatus.BAD_REQUEST, "a request names one host"
    if any(name == b"transfer-encoding" and value.lower() != b"chunked" for name, value in values):
        return HTTPStatus.BAD_REQUEST, "a body is sent as it is or in chunks"
    for once in _SAID_ONCE:
        if len({value for name, value in values if name == once}) > 1:
            return HTTPStatus.BAD_REQUEST, "a header is given twice with different values"
    return None


class OneReading:
    """Answers such requests; `operator_prefix` is where errors are problems and not envelopes."""

    def __init__(self, app: ASGIApp, operator_prefix: str) -> None:
        self._app = app
        self._operator_prefix = operator_prefix

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request or WebSocket connection."""
        # Where a server does not tell the raw path, the decoded one is all that anybody reads.
        raw_path = scope.get("raw_path") or scope["path"].encode()
        refused = refusal_of(raw_path, scope.get("http_version", "1.1"), scope["headers"])
        if refused is None:
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": _POLICY_VIOLATION})
        elif scope["path"].startswith(self._operator_prefix):
            await problem.response(HttpProblemError(*refused), self._operator_prefix)(scope, receive, send)
        else:
            await envelope.no_such_path(*refused)(scope, receive, send)
