"""Ports: what cannot be used is refused with a sentence. Heads of requests: how large one is, however it comes."""

from __future__ import annotations

import asyncio
import socket
from typing import Any

import pytest
import uvicorn
from uvicorn.server import ServerState

from quecbind.center.access.tls_door import Places
from quecbind.center.listening import MAX_SPLITS, MAX_UNREAD, MAX_WAITING, bind, bounded_http
from quecbind.center.services.errors import StartError

pytestmark = pytest.mark.enable_socket


def test_port_0_lets_the_system_choose() -> None:
    with bind("127.0.0.1", 0) as first, bind("127.0.0.1", 0) as second:
        assert first.getsockname()[1] != second.getsockname()[1] != 0


def test_a_host_name_is_listened_to_over_ipv4() -> None:
    with bind("localhost", 0) as listener:
        assert listener.getsockname()[0] == "127.0.0.1"


def test_a_server_that_was_restarted_gets_its_port_back() -> None:
    with bind("127.0.0.1", 0) as listener:
        address = listener.getsockname()
        with socket.create_connection(address, timeout=5):
            accepted, _ = listener.accept()
            accepted.close()

    with bind(*address) as again:
        assert again.getsockname() == address


def test_a_port_that_is_taken_is_refused() -> None:
    with bind("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(StartError, match=f"127.0.0.1 port {port}: Address already in use"):
            bind("127.0.0.1", port)


def test_a_host_that_does_not_exist_is_refused() -> None:
    with pytest.raises(StartError, match=r"cannot listen on nowhere\.invalid"):
        bind("nowhere.invalid", 0)


class Wire(asyncio.Transport):
    """Keeps what is written."""

    def __init__(self) -> None:
        super().__init__({"peername": ("10.0.0.1", 1), "sockname": ("10.0.0.2", 80)})
        self.said, self.is_closed, self.is_read, self._protocol = b"", False, True, None

    def write(self, data: Any) -> None:
        self.said += bytes(data)

    def close(self) -> None:
        self.is_closed = True

    def is_closing(self) -> bool:
        return self.is_closed

    def set_protocol(self, protocol: Any) -> None:
        self._protocol = protocol

    def get_protocol(self) -> Any:
        return self._protocol

    def pause_reading(self) -> None:
        self.is_read = False

    def resume_reading(self) -> None:
        self.is_read = True


async def echo(scope: Any, receive: Any, send: Any) -> None:
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            break
    answer = b"[%d %d]" % (len(scope["headers"]), len(body))
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(answer))]})
    await send({"type": "http.response.body", "body": answer})


def connected(app: Any = echo, max_size: int = 100, places: Places | None = None) -> tuple[Any, Wire]:
    config = uvicorn.Config(app, log_config=None, access_log=False, lifespan="off")
    config.load()
    protocol = bounded_http(max_size, 60, places or Places(1, 1))(config, ServerState(), {})
    wire = Wire()
    wire.set_protocol(protocol)
    protocol.connection_made(wire)
    return protocol, wire


async def said_to(pieces: list[bytes], max_size: int = 100) -> bytes:
    protocol, wire = connected(max_size=max_size)
    for piece in pieces:
        protocol.data_received(piece)
    while protocol.tasks and not wire.is_closed:
        await asyncio.wait(set(protocol.tasks))
    protocol.connection_lost(None)
    return wire.said


GET = b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n"
POST = b"POST /b HTTP/1.1\r\nContent-Length: 150\r\n\r\n" + b"\r\n\r\n a" * 25
CHUNKED = (
    b"POST /c HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n78\r\n" + b"\r\n\r\n\r" * 24 + b"\r\n0\r\nX: y\r\n\r\n"
)
STREAM = GET + POST + CHUNKED + GET
ANSWERS = [b"[1 0]", b"[1 150]", b"[1 120]", b"[1 0]"]


def bodies(said: bytes) -> list[bytes]:
    return [part.rpartition(b"\r\n\r\n")[2] for part in said.split(b"HTTP/1.1 200 OK")[1:]]


async def test_requests_in_one_breath_are_answered_in_order_wherever_it_is_cut() -> None:
    for cut in range(len(STREAM) + 1):
        assert bodies(await said_to([STREAM[:cut], STREAM[cut:]])) == ANSWERS, cut


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 7])
async def test_requests_that_come_in_small_pieces_are_answered_in_order(size: int) -> None:
    stream = STREAM * 3
    assert bodies(await said_to([stream[at : at + size] for at in range(0, len(stream), size)])) == ANSWERS * 3


@pytest.mark.parametrize("before", [b"", GET, POST, CHUNKED, b"\r\n", b"\r\n\r\n"])
@pytest.mark.parametrize("size", [1, 3, 50, 1000])
async def test_a_head_is_measured_by_itself_to_the_byte(before: bytes, size: int) -> None:
    blank = len(before) if before.startswith(b"\r") else 0
    head = GET[:-2] + b"X: %s\r\n\r\n" % (b"x" * (100 - len(GET) - 5 - blank))
    longer = head.replace(b"X: ", b"X: x")

    def cut(stream: bytes) -> list[bytes]:
        return [stream[at : at + size] for at in range(0, len(stream), size)]

    assert b" 400 " not in await said_to(cut(before + head))
    assert b" 400 " in await said_to(cut(before + longer))


class Slow:
    """Answers one request each time it is told to."""

    def __init__(self) -> None:
        self.turns = asyncio.Semaphore(0)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self.turns.acquire()
        await echo(scope, receive, send)


async def answered(wire: Wire, count: int) -> None:
    async with asyncio.timeout(10):
        while wire.said.count(b"HTTP/1.1 200 OK") < count:
            await asyncio.sleep(0)


async def test_nothing_more_is_read_while_a_request_waits_for_the_answer_to_another() -> None:
    app = Slow()
    protocol, wire = connected(app)

    protocol.data_received(GET * 3)
    is_read = [wire.is_read]
    for count in (1, 2, 3):
        app.turns.release()
        await answered(wire, count)
        is_read.append(wire.is_read)
    protocol.connection_lost(None)

    # Behind the second answer nothing waits any more; the third request asks for its body, and then all is read.
    assert (is_read[:2], is_read[-1]) == ([False, False], True)


async def test_a_body_behind_a_request_that_waits_is_read_in_its_turn() -> None:
    app = Slow()
    protocol, wire = connected(app)

    protocol.data_received(GET + POST[:-10])
    app.turns.release()
    app.turns.release()
    await answered(wire, 1)
    while not wire.is_read:
        await asyncio.sleep(0)
    protocol.data_received(POST[-10:])
    await answered(wire, 2)
    protocol.connection_lost(None)

    assert bodies(wire.said) == [b"[1 0]", b"[1 150]"]


@pytest.mark.parametrize(("more", "is_closed"), [(0, False), (1, True), (10_000, True)])
async def test_more_requests_than_may_wait_close_the_connection(more: int, is_closed: bool) -> None:
    protocol, wire = connected(Slow())

    protocol.data_received(GET * (1 + MAX_WAITING + more))
    found = wire.is_closed, len(protocol.pipeline)
    for task in set(protocol.tasks):
        task.cancel()
    protocol.connection_lost(None)

    assert found == (is_closed, MAX_WAITING + is_closed)


async def test_connections_of_one_address_and_of_all_are_limited() -> None:
    places = Places(2, 3)
    first, _ = connected(places=places)
    second, _ = connected(places=places)
    _, third = connected(places=places)

    second.connection_lost(None)
    _, fourth = connected(places=places)
    places.begin("10.0.0.9")

    assert (third.is_closed, fourth.is_closed) == (True, False)
    assert places.begin("10.0.0.8") is False
    assert (places.count, places.refused_count) == (3, 2)
    first.connection_lost(None)


async def test_a_websocket_has_no_place_among_the_requests() -> None:
    places = Places(1, 1)
    protocol, wire = connected(places=places, max_size=1_000)

    protocol.data_received(
        b"GET /ws HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    count = places.count
    wire.get_protocol().connection_lost(None)

    assert (wire.get_protocol() is protocol, count) == (False, 0)


def test_a_trusted_proxy_stands_for_many() -> None:
    places = Places(1, 3, is_of_many=lambda address: address == "10.0.0.7")

    begun = [places.begin(address) for address in ("10.0.0.7", "10.0.0.7", "10.0.0.8", "10.0.0.9")]

    assert begun == [True, True, True, False]


async def ignore_body(scope: Any, receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
    await send({"type": "http.response.body", "body": b""})


BEGUN = b"POST /c HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.mark.parametrize(("size", "is_closed"), [(MAX_UNREAD, False), (MAX_UNREAD + 1, True)])
async def test_a_body_that_the_answer_did_not_wait_for_is_read_so_far(size: int, is_closed: bool) -> None:
    protocol, wire = connected(ignore_body)
    protocol.data_received(BEGUN)
    await answered(wire, 1)

    protocol.data_received(b"%x\r\n%s\r\n" % (size, b"a" * size))
    found = wire.is_closed
    protocol.connection_lost(None)

    assert found == is_closed


class Later:
    """A loop, and what is to be done later."""

    def __init__(self, loop: Any) -> None:
        self._loop = loop
        self.later: list[tuple[float, Any]] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loop, name)

    def call_later(self, seconds: float, what: Any) -> asyncio.TimerHandle:
        self.later.append((seconds, what))
        return self._loop.call_later(seconds, what)


@pytest.mark.parametrize("rest", [b"1", b"1\r\na\r\n0\r\n\r\n"])
async def test_a_body_behind_its_answer_has_the_time_of_a_head_to_go_on(rest: bytes) -> None:
    protocol, wire = connected(ignore_body)
    protocol.data_received(BEGUN)
    await answered(wire, 1)
    protocol.loop = Later(protocol.loop)

    protocol.data_received(rest)
    protocol.connection_lost(None)

    assert protocol.loop.later == [(60, wire.close)]


@pytest.mark.parametrize(
    ("stream", "is_closed"),
    [
        (b"1\r\na\r\n" * 10_000, False),
        (b"4\r\n\r\n\r\n\r\n" * (MAX_SPLITS // 2 - 10), False),
        (b"4\r\n\r\n\r\n\r\n" * (MAX_SPLITS * 2), True),
        (b"1\r\na\r\n0\r\n" + b"X: y\r\n" * 10, False),
        (b"1\r\na\r\n0\r\n" + b"X: y\r\n" * 100, True),
        (b"1;" + b"x" * 1_000, True),
    ],
)
@pytest.mark.parametrize("size", [7, 100_000])
async def test_what_is_around_a_body_is_limited(stream: bytes, is_closed: bool, size: int) -> None:
    protocol, wire = connected()
    protocol.data_received(BEGUN)

    for at in range(0, len(stream), size):
        protocol.data_received(stream[at : at + size])
    found = wire.is_closed
    for task in set(protocol.tasks):
        task.cancel()
    protocol.connection_lost(None)

    assert found == is_closed
