"""ASGI middleware that puts the address a request counts for where the socket's peer stood (`domain.addresses`).

First of all that looks at a request: whatever limits, logs or audits by address reads `scope["client"]` and nothing
else.
"""

from collections.abc import Sequence

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from quecbind.center.domain.addresses import Network, client_address


class TrustedProxy:
    """Believes proxies within `trusted`, and nobody else."""

    def __init__(self, app: ASGIApp, trusted: Sequence[Network]) -> None:
        self._app = app
        self._trusted = trusted

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request or WebSocket connection."""
        client = scope.get("client")
        if self._trusted and client is not None:
            headers = Headers(scope=scope)
            address = client_address(
                client[0], headers.getlist("x-forwarded-for"), headers.getlist("forwarded"), self._trusted
            )
            if address != client[0]:
                # The port belongs to the proxy's socket.
                scope = {**scope, "client": (address, 0)}
        await self._app(scope, receive, send)
