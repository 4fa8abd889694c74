"""The sockets a Developer Center listens on: bound ports, the TLS context, and HTTP within limits.

Opens and closes them and nothing else; every failure is a sentence for the operator.
"""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

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


def tls_context(certificate: Path, key: Path) -> ssl.SSLContext:
    """What devices see that connect over TLS 1.2 or later.

    Raises:
        StartError: a file cannot be read, is no PEM, is encrypted, or the two do not belong together.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    for file in (certificate, key):
        try:
            file.open("rb").close()
        except OSError as error:
            raise StartError(f"the TLS file {file} cannot be read: {error.strerror}") from None
    try:
        context.load_cert_chain(certificate, key, password=_no_password)
    except (ssl.SSLError, ValueError) as error:
        raise StartError(f"{certificate} and {key} are no certificate and its key in PEM form ({error})") from None
    return context


def _no_password() -> str:
    raise ValueError("the key is encrypted: a server cannot type its password")


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
    """uvicorn in a loop that is not its own: the signals stay with whoever runs the loop."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield
