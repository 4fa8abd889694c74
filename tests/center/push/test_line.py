"""The sockets of push, driven by hand: what becomes of a connection whose peer does nothing more."""

import asyncio
from concurrent.futures import Future
from typing import Any

import pytest
import uvicorn
from uvicorn.server import ServerState

from quecbind.center.push.line import CLOSE_TIME_S, MAX_PINGS, MAX_READ_AHEAD, PIECE_SIZE, PING_RATE, PushProtocol

HEAD = b"Host: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
KEY = b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
REQUEST = b"GET /ws/v1 HTTP/1.1\r\n" + HEAD + KEY


class Socket(asyncio.Transport):
    """A transport whose peer takes nothing: closing it waits."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.closed = self.aborted = False

    def write(self, data: Any) -> None:
        self.written += data

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.aborted = self.closed = True

    def get_write_buffer_size(self) -> int:
        return len(self.written)

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        pass

    def pause_reading(self) -> None:
        pass


class Loop:
    """What is to be done later, and when."""

    def __init__(self) -> None:
        self.later: list[tuple[float, Any]] = []
        self.now = 1_000.0

    def time(self) -> float:
        return self.now

    def create_task(self, work: Any) -> "Future[None]":
        """Never done."""
        work.close()
        return Future()

    def call_later(self, seconds: float, what: Any) -> None:
        self.later.append((seconds, what))


@pytest.fixture
def line() -> PushProtocol:
    config = uvicorn.Config(lambda: None, log_config=None, ws_ping_interval=None)
    config.load()
    line = PushProtocol(config, ServerState(), {}, Loop())  # type: ignore[arg-type]
    line.connection_made(Socket())
    return line


@pytest.mark.parametrize(
    "request_",
    [
        REQUEST.replace(b"/ws/v1", b"/ws/v1?" + b"a" * 9_000) + b"\r\n",
        REQUEST + b"X: " + b"a" * 9_000 + b"\r\n\r\n",
        REQUEST + b"".join(b"X%d: 1\r\n" % number for number in range(200)) + b"\r\n",
        REQUEST + b"Content-Length: 5\r\n\r\n",
        REQUEST + b"Transfer-Encoding: chunked\r\n\r\n",
        REQUEST.replace(b"GET", b"POST") + b"Content-Length: 5\r\n\r\n",
    ],
)
def test_a_request_that_is_no_handshake_is_not_waited_on(line: PushProtocol, request_: bytes) -> None:
    line.data_received(request_)

    assert line.transport.is_closing()
    ((seconds, end),) = line.loop.later  # type: ignore[attr-defined]
    end()
    assert (seconds, line.transport.aborted) == (CLOSE_TIME_S, True)  # type: ignore[attr-defined]


@pytest.mark.parametrize("last", ["", "the peer closed it", "the peer sent what is no text"])
def test_what_is_over_does_not_wait_for_a_peer_that_does_not_read(line: PushProtocol, last: str) -> None:
    line.transport.closed = bool(last)  # type: ignore[attr-defined]
    line.close_sent = last == "the peer sent what is no text"

    line.close(1008)

    assert line.transport.is_closing()
    assert [seconds for seconds, _ in line.loop.later] == [CLOSE_TIME_S]  # type: ignore[attr-defined]


def test_a_line_that_is_gone_has_nothing_to_close(line: PushProtocol) -> None:
    line.connection_lost(None)

    line.close(1008)

    assert line.loop.later == []  # type: ignore[attr-defined]


@pytest.fixture
def opened(line: PushProtocol) -> PushProtocol:
    line.data_received(REQUEST + b"\r\n")
    return line


PING, PONG = b"\x89\x80\0\0\0\0", b"\x8a\x80\0\0\0\0"


@pytest.mark.parametrize("frame", [PING, PONG])
def test_pings_and_pongs_without_end_end_the_connection(opened: PushProtocol, frame: bytes) -> None:
    opened.data_received(frame * MAX_PINGS)
    is_over = [opened.transport.is_closing()]
    opened.data_received(frame)
    is_over.append(opened.transport.is_closing())

    assert is_over == [False, True]


def test_what_comes_behind_the_last_ping_is_not_looked_at(opened: PushProtocol) -> None:
    in_a_piece = PIECE_SIZE // len(PING) + 1

    opened.data_received(PING * 100_000)

    assert opened.transport.written.count(b"\x8a\0") <= MAX_PINGS + in_a_piece  # type: ignore[attr-defined]


def test_a_heartbeat_goes_on_for_ever(opened: PushProtocol) -> None:
    for _ in range(3 * MAX_PINGS):
        opened.loop.now += 1 / PING_RATE  # type: ignore[attr-defined]
        opened.data_received(PING)
        opened.transport.written = b""  # type: ignore[attr-defined]

    assert not opened.transport.is_closing()


def test_messages_without_end_that_nobody_has_looked_at_end_the_connection(opened: PushProtocol) -> None:
    text = b"\x81\x80\0\0\0\0"
    before = opened.queue.qsize()

    opened.data_received(text * (MAX_READ_AHEAD - before))
    is_over = [opened.transport.is_closing()]
    opened.data_received(text * 100_000)
    is_over.append(opened.transport.is_closing())

    assert is_over == [False, True]
    assert opened.queue.qsize() <= MAX_READ_AHEAD + PIECE_SIZE // len(text) + 1
