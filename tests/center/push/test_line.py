"""The sockets of push, driven by hand: what becomes of a connection whose peer does nothing more."""

import asyncio
from typing import Any

import pytest
import uvicorn
from uvicorn.server import ServerState
from websockets.protocol import State

from quecbind.center.push.line import CLOSE_TIME_S, HEARTBEAT_S, PushProtocol

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
        self.aborted = True

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

    def call_later(self, seconds: float, what: Any) -> None:
        self.later.append((seconds, what))

    def time(self) -> float:
        return 0.0


@pytest.fixture
def line() -> PushProtocol:
    config = uvicorn.Config(lambda: None, log_config=None)
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


def test_an_app_is_pinged_again_and_again_and_not_ended_for_its_silence(line: PushProtocol) -> None:
    line.conn.state = State.OPEN
    line.scope = {"subprotocols": []}  # type: ignore[typeddict-item]
    line.start_keepalive()

    for count in (1, 2, 3):
        (seconds, ping), *more = line.loop.later[count - 1 :]  # type: ignore[attr-defined]
        assert (seconds, more) == (HEARTBEAT_S, [])
        ping()
        assert line.transport.written.count(b"\x89\x04") == count  # type: ignore[attr-defined]
    assert not line.transport.is_closing()


def test_a_line_of_mqtt_is_left_to_its_own_pings(line: PushProtocol) -> None:
    line.scope = {"subprotocols": ["mqtt"]}  # type: ignore[typeddict-item]

    line.start_keepalive()

    assert line.loop.later == []  # type: ignore[attr-defined]
