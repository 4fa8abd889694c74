"""What an attacker holds: sockets, MQTT and proofs written by hand, and patience. Nothing of quecbind.

Every function gives what came of a try as a short text, because that is what a row of the table shows.
"""

from __future__ import annotations

import base64
import hmac
import socket

from tests.e2e.wire_by_hand import RawDevice, connect, packet, random_text, unframe, untext

ELSEWHERE = "127.0.0.66"  # an address of the attacker's own
PINGREQ, PINGRESP = b"\xc0\0", (0xD0, b"")
CONFIGURE, EXCEPTION = 0x00B4, 0x00A3


def reset_proof(secret: str, dk: str, nonce: str | None = None) -> bytes:
    """The user name that shows that its sender held this device secret."""
    nonce = nonce or random_text()
    key = hmac.digest(secret.encode(), f"rst;{dk}".encode(), "sha256")
    return f"rst;{nonce};{base64.b64encode(hmac.digest(key, nonce.encode(), 'sha256')).decode()}".encode()


def log_in(device: RawDevice, password: bytes | None, user_name: bytes | None = None) -> str:
    """What a CONNECT gets: "in", "secret", "refused CODE", "CONNACK N", or "closed"."""
    if password is None:
        body = connect(device.client_id, b"")[2:-2]
        device.send(packet(0x10, body[:7] + b"\x02" + body[8:]))
    else:
        device.send(connect(device.client_id, password, user_name))
    answer = device.receive()
    if answer is None:
        return "closed"
    assert answer[0] == 0x20, answer
    if answer[1] != b"\0\0":
        return f"CONNACK {answer[1][1]}"
    if password is None or not password.startswith(b"1;") or user_name is not None:
        return first_message(device)
    # A complaint comes in the same breath as its CONNACK, so before the answer to a ping, which it never gives.
    device.send(PINGREQ)
    return first_message(device)


def first_message(device: RawDevice) -> str:
    """ "in" when a PINGRESP comes first, "secret" when a configuration does, or "refused CODE"."""
    while True:
        got = device.receive()
        if got is None:
            return "closed"
        if got == PINGRESP:
            return "in"
        if got[0] >> 4 != 3:
            continue
        _, command, fields = opened(got[1])
        if command == CONFIGURE:
            return "secret" if 5 in fields else "configured"
        if command == EXCEPTION:
            return f"refused {fields[1]}"


def opened(body: bytes) -> tuple[str, int, dict[int, bytes | int]]:
    """A QoS 1 PUBLISH: topic, command, fields."""
    size = int.from_bytes(body[:2], "big")
    _, command, payload = unframe(body[4 + size :])
    return body[2 : 2 + size].decode(), command, untext(payload)


def fate(device: RawDevice, data: bytes) -> str:
    """Of a connection after this: "closed", or "ignored" when it goes on and answers a ping."""
    try:
        device.send(data + PINGREQ)
    except OSError:
        return "closed"
    while True:
        got = device.receive()
        if got is None:
            return "closed"
        if got == PINGRESP:
            return "ignored"


def end_of(device: RawDevice, data: bytes, *, half_close: bool = False) -> bytes:
    """All that comes after this until the server closes; fails when it does not within the socket's time."""
    came = bytearray()
    try:
        device.send(data)
        if half_close:
            device.socket.shutdown(socket.SHUT_WR)
        while more := device.socket.recv(65536):
            came += more
    except (ConnectionResetError, BrokenPipeError):
        pass
    return bytes(came)


def tally(results: list[str]) -> str:
    """ "closed" when all are; else how many of each."""
    kinds = sorted(set(results))
    return kinds[0] if len(kinds) == 1 else ", ".join(f"{kind} {results.count(kind)}" for kind in kinds)
