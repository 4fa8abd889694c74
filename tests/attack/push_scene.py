"""A server that pushes, an owner who listens on both lines while others attack, and a peer that never reads."""

from __future__ import annotations

import itertools
import json
import select
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Self

from tests.attack.app_lines import ALL_TYPES, TOPICS, V1, V2, connect_packet, subscribe_packet, topic
from tests.attack.crowd import Caller, Crowd, Device, run_crowd
from tests.e2e.center_process import CenterProcess
from tests.e2e.wire_by_hand import read_until, ttlv_number

LOG_IN_TIME_S, QUEUE_SIZE, PER_USER = 2, 65_536, 10
_numbers = itertools.count(100)


def run_push(place: Path, count: int) -> Iterator[Crowd]:
    yield from run_crowd(
        place, count, "--push-log-in-time", str(LOG_IN_TIME_S), "--push-queue-size", str(QUEUE_SIZE),
        has_stepped_clock=True,
    )  # fmt: skip


class Honest:
    """A device, its owner, and the owner's two sessions."""

    def __init__(self, crowd: Crowd) -> None:
        self.crowd, self.owner = crowd, crowd.person()
        self.device = crowd.device().bound_to(self.owner)
        assert self.device.log_in() == 0
        assert self.device.link.subscribe() == 1
        self.v1, self.v2 = V1(crowd.center, self.owner), V2.of(self.owner, crowd.center)
        assert self.v1.subscribe(self.device) == 1
        assert self.v2.hear(self.device) == [0] * len(TOPICS)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        for line in (self.v1, self.v2):
            line.__exit__(None, None, None)
        self.device.leave()

    def report(self) -> None:
        """The device reports, the owner hears it."""
        number = next(_numbers)
        self.device.link.publish(0x0014, ttlv_number(1, number), number, "bus")
        self.device.link.wait_puback(number)
        assert len(self.v1.heard()) == len(self.v2.heard()) == 1

    def undisturbed(self) -> str:
        """ "undisturbed" when the device was sent nothing, and both sessions hear one report and nothing else."""
        number = next(_numbers)
        self.device.link.publish(0x0014, ttlv_number(1, number), number, "bus")
        got = self.device.link.receive()
        if got is None or got != (0x40, number.to_bytes(2, "big")):
            return f"the device was sent {got}"
        heard = [self.v1.heard(), [content for _, content in self.v2.heard()]]
        values = [[one["data"]["kv"] if one["type"] == "MATTR" else one for one in line] for line in heard]
        return "undisturbed" if values == [[{"1": number}]] * 2 else f"heard {values}"


class Sleeper:
    """A WebSocket that logs in, subscribes, and never reads again; by hand, because clients read in the background."""

    def __init__(self, center: CenterProcess, path: str) -> None:
        self.socket = socket.socket()
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.socket.settimeout(10)
        self.socket.connect((center.host, center.http_port))
        self.socket.sendall(
            f"GET {path} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Protocol: mqtt\r\n"
            "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n".encode()
        )
        read_until(self.socket, b"\r\n\r\n")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.socket.close()

    @classmethod
    def listening(cls, center: CenterProcess, version: int, who: Caller, device: Device) -> Self:
        """Logged in, and subscribed to what the device reports."""
        self = cls(center, f"/ws/v{version}")
        if version == 1:
            asked = {"productKey": device.product.key, "deviceKey": device.dk, "messageType": ALL_TYPES}
            self.frame(1, json.dumps({"cmd": "login", "data": {"token": who.token}}).encode())
            self.frame(1, json.dumps({"cmd": "subscribe", "data": [asked]}).encode())
            read_until(self.socket, b"subscribe_resp")
        else:
            self.frame(2, connect_packet(f"qu_{who.uid}_99", who.token) + subscribe_packet(topic(device, "bus_")))
            read_until(self.socket, b"\x90\x03\0\x07\0")
        return self

    def frame(self, opcode: int, content: bytes, *, first: int = 0x80, masked: bool = True) -> None:
        """One WebSocket frame with a mask of zeros, or without any."""
        length, size = len(content), b""
        if length > 125:
            length, size = 126, length.to_bytes(2, "big")
        head = bytes([first | opcode, (0x80 if masked else 0) | length])
        self.socket.sendall(head + size + (bytes(4) if masked else b"") + content)

    def end(self) -> str:
        """The close code that comes, or "cut"."""
        heard = b""
        try:
            while more := self.socket.recv(65_536):
                heard = (heard + more)[-200:]
        except ConnectionResetError:
            pass
        place = heard.rfind(b"\x88")
        return (
            str(int.from_bytes(heard[place + 2 : place + 4], "big")) if place >= 0 and heard[place + 1] >= 2 else "cut"
        )

    def dribble(self, data: bytes, within_s: float) -> str:
        """Send byte by byte for so long; "closed" when the server ends that, else "let in"."""
        for place in range(len(data)):
            if select.select([self.socket], [], [], within_s / len(data))[0]:
                return "closed"
            self.socket.sendall(data[place : place + 1])
        return "let in"
