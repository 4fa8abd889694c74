"""The sockets a Developer Center listens on: bound ports, and HTTP and HTTPS within limits.

Opens and closes them and nothing else; every failure is a sentence for the operator.
"""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Callable, Iterator

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from quecbind.center.access.tls_door import Handshakes, TlsDoor
from quecbind.center.services.errors import StartError

BACKLOG = 4096


def bind(host: str, port: int) -> socket.socket:
    """A socket that listens on `host`; port 0 lets the system choose.

    Raises:
        StartError: the port is taken, not allowed, or the host has no address here.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        # A name may have addresses of both kinds; modules speak IPv4.
        family, *_, address = min(found, key=lambda each: each[0] != socket.AF_INET)
        return socket.create_server(address[:2], family=family, backlog=BACKLOG)
    except OSError as error:
        # A message of getaddrinfo has no errno of the system, but its own sentence.
        raise StartError(f"cannot listen on {host} port {port}: {error.strerror or error}") from None


def bounded_http(max_header_size: int, max_header_time_s: float) -> type[HttpToolsProtocol]:
    """uvicorn's HTTP protocol, which by itself waits for the end of a request's headers for ever and takes any size."""

    class BoundedHttp(HttpToolsProtocol):
        _is_in_head = False
        _head_size = 0
        _too_slow: asyncio.TimerHandle | None = None

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as its base
            super().connection_made(transport)
            self._too_slow = self.loop.call_later(max_header_time_s, transport.close)

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            if not self._is_in_head:
                return
            self._head_size += len(data)
            if self._head_size > max_header_size:
                self.send_400_response("The headers of this request are too large.")
            elif self._too_slow is None:
                self._too_slow = self.loop.call_later(max_header_time_s, self.transport.close)

        def connection_lost(self, exc: Exception | None) -> None:
            self._in_time()
            super().connection_lost(exc)

        def on_message_begin(self) -> None:
            super().on_message_begin()
            self._is_in_head = True
            self._head_size = 0

        def on_headers_complete(self) -> None:
            self._is_in_head = False
            self._in_time()
            super().on_headers_complete()

        def _in_time(self) -> None:
            if self._too_slow is not None:
                self._too_slow.cancel()
                self._too_slow = None

    return BoundedHttp


class HttpServer(uvicorn.Server):
    """uvicorn in a loop that is not its own: the signals stay with whoever runs the loop.

    Args:
        https: a bound socket with its context, to serve the same over TLS; None to serve no HTTPS.
        handshakes: counts those of `https`.
    """

    def __init__(
        self, config: uvicorn.Config, https: tuple[socket.socket, ssl.SSLContext] | None, handshakes: Handshakes
    ) -> None:
        super().__init__(config)
        self._https = https
        self._handshakes = handshakes
        self._door: TlsDoor | None = None

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Listen on the plain sockets, then on the one for HTTPS."""
        await super().startup(sockets)
        if self._https is not None:
            listener, context = self._https
            self._door = TlsDoor(listener, context, self._make_protocol, self._handshakes)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Take no more, end what is idle, let the rest finish."""
        if self._door is not None:
            await self._door.close()
        await super().shutdown(sockets)

    def _make_protocol(self) -> asyncio.Protocol:
        make: Callable[..., asyncio.Protocol] = self.config.http_protocol_class
        return make(config=self.config, server_state=self.server_state, app_state=self.lifespan.state)
