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
    """uvicorn's HTTP protocol, which by itself waits for the end of a request's headers for ever and takes any size.

    The parser does not tell where in what it was given a head begins and ends. So it is given lines, as heads end with
    one, and bodies as long as they say they are: a head counts with its own bytes, and the empty lines before it.
    """

    class BoundedHttp(HttpToolsProtocol):
        _is_in_body = False
        _head_size = 0
        _body_left = 0
        _too_slow: asyncio.TimerHandle | None = None

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as its base
            super().connection_made(transport)
            self._too_slow = self.loop.call_later(max_header_time_s, transport.close)

        def data_received(self, data: bytes) -> None:
            begin = 0
            while begin < len(data) and not self.transport.is_closing() and self.parser is not None:
                end = begin + self._body_left if self._body_left else data.find(b"\n", begin) + 1 or len(data)
                piece = data[begin:end]
                begin += len(piece)
                if self._body_left:
                    self._body_left -= len(piece)
                elif not self._is_in_body:
                    self._head_size += len(piece)
                if self._head_size > max_header_size:
                    self.send_400_response("The headers of this request are too large.")
                    return
                super().data_received(piece)
                if self.transport.get_protocol() is not self:
                    return  # it is a WebSocket now
            if self._head_size and self._too_slow is None:
                self._too_slow = self.loop.call_later(max_header_time_s, self.transport.close)

        def connection_lost(self, exc: Exception | None) -> None:
            self._in_time()
            super().connection_lost(exc)

        def on_header(self, name: bytes, value: bytes) -> None:
            # What comes behind a body is no header, whatever it is called.
            if not self._is_in_body:
                super().on_header(name, value)

        def on_headers_complete(self) -> None:
            self._is_in_body, self._head_size = True, 0
            length = next((value for name, value in self.headers if name == b"content-length"), b"")
            self._body_left = int(length) if length.isdigit() else 0
            self._in_time()
            super().on_headers_complete()

        def on_message_complete(self) -> None:
            self._is_in_body, self._body_left = False, 0
            super().on_message_complete()

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
