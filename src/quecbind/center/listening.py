"""The sockets a Developer Center listens on: bound ports, and HTTP and HTTPS within limits.

Opens and closes them and nothing else; every failure is a sentence for the operator.
"""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Callable, Iterator, Sized

import uvicorn
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from quecbind.center.access.tls_door import Handshakes, Places, TlsDoor
from quecbind.center.services.errors import StartError

BACKLOG = 4096
# Requests of one connection that wait for the answer to another.
MAX_WAITING = 64
# What is read of a body that its request's answer did not wait for.
MAX_UNREAD = 65_536
# Empty lines in a chunked body, each of which might be its end.
MAX_SPLITS = 1_024
# What was read is taken apart in slices: a connection that is closed in one costs nobody the time for the rest.
SLICE_SIZE = 8_192
_END = b"\r\n\r\n"


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


class _OneByOne(FlowControl):
    """Reads on only while no request waits for its turn: whoever sends many need not be answered to send more."""

    def __init__(self, transport: asyncio.Transport, waiting: Sized) -> None:
        super().__init__(transport)
        self._waiting = waiting

    def resume_reading(self) -> None:
        """As far as that goes."""
        if not self._waiting:
            super().resume_reading()


def bounded_http(max_header_size: int, max_header_time_s: float, places: Places) -> type[HttpToolsProtocol]:
    """uvicorn's HTTP protocol, which by itself takes any number of connections, and of requests before it has answered
    the first, waits for the end of a request's headers for ever and takes any size.

    The parser does not tell where in what it was given a head begins and ends. So it is given pieces that end where a
    head does, or the last of a chunked body, and bodies as long as they say they are: a head counts with its own bytes,
    and the empty lines before it. What is around the chunks of a body is measured by what is in them.
    """

    class BoundedHttp(HttpToolsProtocol):
        _is_in_body = False
        _head_size = 0
        _body_left = 0
        _body_size = _around_size = _unread_size = _split_count = 0
        _last = b""
        _too_slow: asyncio.TimerHandle | None = None
        _place: str | None = None

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as its base
            super().connection_made(transport)
            self.flow = _OneByOne(transport, self.pipeline)
            address = self.client[0] if self.client else ""
            if not places.begin(address):
                transport.close()
                return
            self._place = address
            self._too_slow = self.loop.call_later(max_header_time_s, transport.close)

        def data_received(self, data: bytes) -> None:
            for begin in range(0, len(data), SLICE_SIZE):
                self._take(data[begin : begin + SLICE_SIZE])
                if self.transport.get_protocol() is not self:
                    self._leave()
                    return  # it is a WebSocket now

        def _take(self, data: bytes) -> None:
            begin = 0
            while begin < len(data) and not self.transport.is_closing() and self.parser is not None:
                piece = data[begin : self._end_of_piece(data, begin)]
                begin += len(piece)
                if not self._is_in_body:
                    self._head_size += len(piece)
                else:
                    self._around_size += len(piece)
                    self._split_count += begin < len(data)
                if self._head_size > max_header_size:
                    self.send_400_response("The headers of this request are too large.")
                    return
                super().data_received(piece)
                if self.transport.get_protocol() is not self:
                    return
                # A chunk of one byte has five around it.
                if self._around_size > max_header_size + 8 * self._body_size or self._split_count > MAX_SPLITS:
                    self.transport.close()
                if len(self.pipeline) > MAX_WAITING:
                    self.transport.close()
            # What comes behind an answer stops the clock of an idle connection, and nothing would start it again.
            cycle: RequestResponseCycle | None = self.cycle  # None until the first request, whatever its type says
            is_answered = cycle is not None and cycle.response_complete
            if (self._head_size or is_answered) and self._too_slow is None:
                self._too_slow = self.loop.call_later(max_header_time_s, self.transport.close)

        def _end_of_piece(self, data: bytes, begin: int) -> int:
            if self._body_left:
                end = min(begin + self._body_left, len(data))
                self._body_left -= end - begin
                return end
            # It may have begun in what came before.
            across = (self._last + data[begin : begin + 3]).find(_END)
            found = begin + across - len(self._last) if across >= 0 else data.find(_END, begin)
            if across >= 0 or found >= 0:
                self._last = b""
                return found + len(_END)
            self._last = (self._last + data[max(begin, len(data) - 3) :])[-3:]
            return len(data)

        def connection_lost(self, exc: Exception | None) -> None:
            self._in_time()
            self._leave()
            super().connection_lost(exc)

        def on_header(self, name: bytes, value: bytes) -> None:
            # What comes behind a body is no header, whatever it is called.
            if not self._is_in_body:
                super().on_header(name, value)

        def on_body(self, body: bytes) -> None:
            super().on_body(body)
            self._body_size += len(body)
            if self.cycle.response_complete:
                self._unread_size += len(body)
                if self._unread_size > MAX_UNREAD:
                    self.transport.close()

        def on_headers_complete(self) -> None:
            self._is_in_body, self._head_size = True, 0
            self._body_size = self._around_size = self._unread_size = self._split_count = 0
            length = next((value for name, value in self.headers if name == b"content-length"), b"")
            self._body_left = int(length) if length.isdigit() else 0
            if self.parser.should_upgrade() and self._should_upgrade():
                named = {name for name, _ in self.headers}
                if self.parser.get_method() != b"GET" or not named.isdisjoint(
                    (b"content-length", b"transfer-encoding")
                ):
                    raise ValueError("a WebSocket request is a GET without a body")  # the parser's caller answers 400
            self._in_time()
            super().on_headers_complete()

        def on_message_complete(self) -> None:
            self._is_in_body, self._body_left = False, 0
            super().on_message_complete()

        def _in_time(self) -> None:
            if self._too_slow is not None:
                self._too_slow.cancel()
                self._too_slow = None

        def _leave(self) -> None:
            if self._place is not None:
                places.end(self._place)
                self._place = None

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
