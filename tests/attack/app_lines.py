"""An App's lines to the server, WebSocket v1 and MQTT over WebSocket v2, every message and packet spelled out.

`websockets` frames and closes; what is said is written by hand and imports nothing of quecbind.
"""

from __future__ import annotations

import contextlib
import json
import struct
from typing import Any, Self

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from tests.attack.crowd import Caller, Device
from tests.e2e.center_process import CenterProcess
from tests.e2e.wire_by_hand import packet, text

WAIT_S = 10
ALL_TYPES = ["ONLINE", "STATUS", "RAW-UPLINK", "MATTR-REPORT"]
TOPICS = ("bus_", "ack_", "onl_", "ota_", "inf_", "loc_", "sys_")
NO_SUCH_COMMAND, CLOSED = 4004, "closed"


class _Line:
    def __init__(self, center: CenterProcess, path: str, address: str, **options: Any) -> None:
        url = center.url.replace("http", "ws") + path
        self._open = contextlib.ExitStack()
        self.socket: ClientConnection = self._open.enter_context(
            connect(url, source_address=(address, 0), compression=None, close_timeout=2, **options)
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._open.close()

    def fate(self, within_s: float = WAIT_S) -> int | str:
        """The close code that comes, whatever is said before it; "aborted" without one, "open" when none comes."""
        try:
            while True:
                self.socket.recv(within_s)
        except ConnectionClosed as end:
            return end.rcvd.code if end.rcvd is not None else "aborted"
        except TimeoutError:
            return "open"


class V1(_Line):
    """WebSocket v1; logged in when `who` is given."""

    def __init__(self, center: CenterProcess, who: Caller | None = None, address: str = "127.0.0.1") -> None:
        super().__init__(center, "/ws/v1", who.address if who is not None else address)
        if who is not None:
            assert self.ask("login", {"token": who.token}) == 1

    def say(self, command: str, data: object) -> None:
        self.socket.send(json.dumps({"cmd": command, "data": data}))

    def hear(self) -> dict[str, Any]:
        return json.loads(self.socket.recv(WAIT_S))  # type: ignore[no-any-return]

    def ask(self, command: str, data: object) -> int | str:
        """The code of the next thing said: of the answer, of its first item, or of the error."""
        try:
            self.say(command, data)
            return self.code()
        except ConnectionClosed:
            return CLOSED

    def code(self) -> int | str:
        try:
            said = self.hear()["data"]
        except ConnectionClosed:
            return CLOSED
        return (said[0] if isinstance(said, list) else said).get("code", "no code")  # type: ignore[no-any-return]

    def subscribe(self, device: Device, types: list[str] | None = None) -> int | str:
        return self.ask("subscribe", [asked(device, types)])

    def told(self) -> dict[str, Any]:
        """The next message about a right; others are passed over."""
        while (one := self.hear()["data"])["type"] != "ENDUSER":
            pass
        return one  # type: ignore[no-any-return]

    def heard(self) -> list[dict[str, Any]]:
        """The messages so far: what is asked now is answered behind them."""
        self.say("nonsense", None)
        came = []
        while (one := self.hear())["cmd"] != "error":
            came.append(one["data"])
        assert one["data"]["code"] == NO_SUCH_COMMAND, one
        return came


def asked(device: Device, types: list[str] | None = None) -> dict[str, object]:
    return {"productKey": device.product.key, "deviceKey": device.dk, "messageType": types or ALL_TYPES}


class V2(_Line):
    """MQTT over WebSocket v2; `log_in` first."""

    def __init__(self, center: CenterProcess, address: str = "127.0.0.1") -> None:
        super().__init__(center, "/ws/v2", address, subprotocols=["mqtt"])
        self._raw = b""

    @classmethod
    def of(cls, who: Caller, center: CenterProcess) -> Self:
        line = cls(center, who.address)
        assert line.log_in(who.token, who.uid) == 0
        return line

    def send(self, data: bytes) -> None:
        self.socket.send(data)

    def receive(self) -> tuple[int, bytes] | None:
        """The next packet as (first byte, body); None when the server closed."""
        while (whole := self._cut()) is None:
            try:
                more = self.socket.recv(WAIT_S)
            except ConnectionClosed:
                return None
            assert isinstance(more, bytes)
            self._raw += more
        return whole

    def _cut(self) -> tuple[int, bytes] | None:
        length, place = 0, 1
        while place < len(self._raw):
            byte = self._raw[place]
            length |= (byte & 0x7F) << 7 * (place - 1)
            place += 1
            if byte < 0x80:
                if len(self._raw) < place + length:
                    return None
                found = self._raw[0], self._raw[place : place + length]
                self._raw = self._raw[place + length :]
                return found
        return None

    def log_in(self, token: str, uid: str, number: int = 1) -> int | str:
        """CONNACK's return code, or "closed"."""
        self.send(connect_packet(f"qu_{uid}_{number}", token))
        got = self.receive()
        return got[1][1] if got is not None else CLOSED

    def subscribe(self, *topics: str, packet_id: int = 7) -> list[int] | str:
        """SUBACK's return codes; what is heard before it is dropped."""
        self.send(subscribe_packet(*topics, packet_id=packet_id))
        while (got := self.receive()) is not None:
            if got[0] == 0x90:
                return list(got[1][2:])
        return CLOSED

    def hear(self, device: Device) -> list[int]:
        """Subscribe to everything of a device."""
        codes = self.subscribe(*(topic(device, name) for name in TOPICS))
        assert isinstance(codes, list)
        return codes

    def publish(self, name: str, payload: bytes, qos: int = 0) -> None:
        number = struct.pack(">H", 9) if qos else b""
        self.send(packet(0x30 | qos << 1, text(name.encode()) + number + payload))

    def told(self) -> tuple[str, Any]:
        """The next (topic, content) about a right; others are passed over."""
        while (got := self.receive()) is not None:
            if got[0] >> 4 == 3 and (one := _message(got[1]))[1].get("type") == "ENDUSER":
                return one
        raise AssertionError("closed")

    def heard(self) -> list[tuple[str, Any]]:
        """(topic, content) of the messages so far: a ping is answered behind them."""
        self.send(b"\xc0\0")
        came = []
        while (got := self.receive()) is not None and got[0] != 0xD0:
            if got[0] >> 4 == 3:
                came.append(_message(got[1]))
        assert got is not None, "closed"
        return came


def _message(body: bytes) -> tuple[str, Any]:
    size = struct.unpack_from(">H", body)[0]
    return body[2 : 2 + size].decode(), json.loads(body[2 + size :])


def topic(device: Device, name: str, way: int = 2) -> str:
    return f"q/{way}/d/{device.link.client_id}/{name}"


def connect_packet(client_id: str, token: str, keep_alive: int = 60) -> bytes:
    body = text(b"MQTT") + b"\x04\x42" + struct.pack(">H", keep_alive) + text(client_id.encode()) + text(token.encode())
    return packet(0x10, body)


def subscribe_packet(*topics: str, packet_id: int = 7) -> bytes:
    return packet(0x82, struct.pack(">H", packet_id) + b"".join(text(name.encode()) + b"\1" for name in topics))
