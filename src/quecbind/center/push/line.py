"""The sockets of push: uvicorn's WebSocket protocol within limits, and the ASGI routes that drive a session with it.

Writing is a plain call that never waits, so that a right is read and a message sent in one turn of the event loop. What
the peer has not read stays in the subscriber's queue, where it can still be thrown away; little more than
`WRITE_BUFFER_SIZE` is ever given to the transport. Decides nothing about users and devices.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable
from typing import Any, Final, TypeAlias, cast

from starlette.routing import BaseRoute, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.exceptions import InvalidState
from websockets.frames import CloseCode, Frame
from websockets.http11 import Request

from quecbind.center.domain.rates import refilled
from quecbind.center.push.mqtt_v2 import MqttV2Session
from quecbind.center.push.ws_v1 import WsV1Session
from quecbind.center.services.push import Hub
from quecbind.center.services.subscriber import TRY_LATER, Message

logger = logging.getLogger(__name__)

MAX_MESSAGE_SIZE: Final = 65_536
WRITE_BUFFER_SIZE: Final = 16_384
# Pongs are written without being asked for: a peer that pings and does not read is dropped here.
MAX_WRITE_BUFFER_SIZE: Final = 4 * MAX_MESSAGE_SIZE
MAX_FRAGMENTS: Final = 64
# Pings and pongs are answered below everything that counts messages: so many at once, then so many a second.
MAX_PINGS: Final = 100
PING_RATE: Final = 10.0
# What was read is taken apart in pieces: a connection that is dropped in one costs nobody the time for the rest.
PIECE_SIZE: Final = 2_048
# Messages that were read at once and that the session has not seen.
MAX_READ_AHEAD: Final = 2_000
CLOSE_TIME_S: Final = 2.0
_EXTENSION: Final = "quecbind.line"

Session: TypeAlias = WsV1Session | MqttV2Session


class PushProtocol(WebSocketsSansIOProtocol):
    """One WebSocket; a `services.subscriber.Line`."""

    is_unreadable = False
    on_heard: Callable[[], None] | None = None
    on_ready: Callable[[], None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio.Protocol."""
        self._pings = float(MAX_PINGS), self.loop.time()
        super().connection_made(transport)
        self.transport.set_write_buffer_limits(high=WRITE_BUFFER_SIZE)

    def handle_connect(self, event: Request) -> None:
        """Let the endpoint find its line."""
        super().handle_connect(event)
        if hasattr(self, "scope"):
            cast(dict[str, Any], self.scope["extensions"])[_EXTENSION] = self
            # What a query holds is nobody's business, least of all the log's.
            self.scope["query_string"] = b""

    def data_received(self, data: bytes) -> None:
        """See asyncio.Protocol."""
        if self.handshake_initiated:
            for begin in range(0, len(data), PIECE_SIZE):
                super().data_received(data[begin : begin + PIECE_SIZE])
                if self.queue.qsize() > MAX_READ_AHEAD:
                    self.transport.abort()
                if self.transport.is_closing():
                    return
        else:
            super().data_received(data)
        if not self.handshake_initiated:
            # The first data are a whole request. What is wrong with its form nobody else would answer, or ever end.
            self.transport.write(b"".join(self.conn.data_to_send()))
            self.transport.close()
            self._abort_soon()
        elif self.transport.get_write_buffer_size() > MAX_WRITE_BUFFER_SIZE:
            self.transport.abort()

    def handle_ping(self) -> None:
        """A ping is a heartbeat."""
        super().handle_ping()
        self._heard()

    def handle_pong(self, event: Frame) -> None:
        """So is a pong, asked for or not."""
        super().handle_pong(event)
        self._heard()

    def _heard(self) -> None:
        tokens, at = self._pings
        now = self.loop.time()
        tokens = refilled(tokens, at, now, PING_RATE, MAX_PINGS) - 1.0
        self._pings = tokens, now
        if tokens < 0.0:
            self.transport.abort()
        elif self.on_heard is not None:
            self.on_heard()

    def handle_cont(self, event: Frame) -> None:
        """Fragments of no length would never reach the largest message."""
        if len(self.frames) >= MAX_FRAGMENTS:
            self.transport.abort()
            return
        super().handle_cont(event)

    def send_receive_event_to_app(self) -> None:
        """Text that is not UTF-8 ends the connection without a word in the log, which is no peer's to fill."""
        if self.curr_msg_data_type == "text" and not self.close_sent:
            try:
                b"".join(self.frames).decode()
            except UnicodeDecodeError:
                self.frames = []
                self.conn.send_close(CloseCode.INVALID_DATA)
                self.handle_parser_exception()
                return
        super().send_receive_event_to_app()

    def handle_parser_exception(self) -> None:
        """It is no WebSocket any more."""
        self.is_unreadable = True
        super().handle_parser_exception()

    def resume_writing(self) -> None:
        """See asyncio.Protocol."""
        super().resume_writing()
        if self.on_ready is not None:
            self.on_ready()

    def shutdown(self) -> None:
        """The server stops; a peer that does not read does not keep it."""
        super().shutdown()
        self._abort_soon()

    def _abort_soon(self) -> None:
        """What is closed is first written out, and a peer that does not read takes that for ever."""
        self.loop.call_later(CLOSE_TIME_S, self.transport.abort)

    # Line

    def is_ready(self) -> bool:
        """See `services.subscriber.Line`."""
        return self.handshake_complete and self.writable.is_set()

    def write(self, message: Message) -> None:
        """See `services.subscriber.Line`."""
        if self.disconnected or self.close_sent or self.transport.is_closing():
            return
        with contextlib.suppress(InvalidState):
            if isinstance(message, str):
                self.conn.send_text(message.encode())
            else:
                self.conn.send_binary(message)
            self.transport.write(b"".join(self.conn.data_to_send()))

    def close(self, code: int) -> None:
        """See `services.subscriber.Line`."""
        if self.disconnected:
            return
        # Also where the peer, or what it sent, has closed it.
        self._abort_soon()
        if self.close_sent or self.transport.is_closing():
            return
        with contextlib.suppress(InvalidState):
            self.conn.send_close(code)
            self.transport.write(b"".join(self.conn.data_to_send()))
        self.close_sent = True
        self.queue.put_nowait({"type": "websocket.disconnect", "code": code, "reason": ""})
        self.transport.close()

    def abort(self) -> None:
        """See `services.subscriber.Line`."""
        self.transport.abort()


def routes(hub: Hub) -> list[BaseRoute]:
    """/ws/v1 and /ws/v2."""

    async def v1(websocket: WebSocket) -> None:
        await _serve(websocket, hub, WsV1Session(), None)

    async def v2(websocket: WebSocket) -> None:
        if "mqtt" not in websocket.scope["subprotocols"]:
            await websocket.close()
            return
        await _serve(websocket, hub, MqttV2Session(), "mqtt")

    return [WebSocketRoute("/ws/v1", v1), WebSocketRoute("/ws/v2", v2)]


async def _serve(websocket: WebSocket, hub: Hub, session: Session, subprotocol: str | None) -> None:
    line = cast(PushProtocol, websocket.scope["extensions"][_EXTENSION])
    peer = websocket.client.host if websocket.client is not None else ""
    subscriber = hub.admit(peer, line, session.render)
    if subscriber is None:
        await websocket.close(TRY_LATER)
        return
    loop = asyncio.get_running_loop()
    timer: asyncio.TimerHandle | None = None

    def wake() -> None:
        nonlocal timer
        session.handle_timer(loop.time())
        if not subscriber.is_over:
            timer = loop.call_at(session.next_timer(), wake)

    try:
        session.attach(subscriber, loop.time())
        timer = loop.call_at(session.next_timer(), wake)
        await websocket.accept(subprotocol)
        line.on_heard = lambda: session.heard(loop.time())
        line.on_ready = subscriber.flush
        while not subscriber.is_over:
            session.receive(await _message(websocket), loop.time())
            if timer.when() > session.next_timer():
                timer.cancel()
                timer = loop.call_at(session.next_timer(), wake)
    except WebSocketDisconnect:
        pass
    except Exception:
        # One App's trouble ends its own connection; what it sent is not for the log.
        logger.exception("push.failed address=%s", peer)
    finally:
        if timer is not None:
            timer.cancel()
        line.on_heard = line.on_ready = None
        subscriber.end("unreadable" if line.is_unreadable else "closed")


async def _message(websocket: WebSocket) -> str | bytes:
    message = await websocket.receive()
    if message["type"] != "websocket.receive":
        raise WebSocketDisconnect(message.get("code", 1005))
    text = message.get("text")
    return text if text is not None else cast(bytes, message["bytes"])
