"""A device and an App written from docs/protocol alone, with the standard library and one AES: not our encoder.

If quecbind.wire and this file disagree, one of them is wrong, and a test says so. It imports nothing of quecbind.
"""

from __future__ import annotations

import base64
import hashlib
import secrets
import socket
import string
import struct
from typing import Self

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

LETTERS = string.ascii_letters + string.digits


def random_text(length: int = 16) -> str:
    return "".join(secrets.choice(LETTERS) for _ in range(length))


def aes_cbc(key: bytes, iv: bytes, plain: bytes) -> bytes:
    pad = 16 - len(plain) % 16
    encryptor = Cipher(algorithms.AES(key), modes.CBC(iv)).encryptor()
    return encryptor.update(plain + bytes([pad]) * pad) + encryptor.finalize()


def sign(*parts: str) -> str:
    return base64.b64encode(hashlib.sha256(";".join(parts).encode()).digest()).decode()


def enrolment_password(pk: str, ps: str, dk: str, nonce: str | None = None, flag: str = "0000") -> bytes:
    nonce = nonce or random_text()
    data = f"{dk};{nonce};{sign(dk, ps, nonce)}".encode()
    key = ps.encode()[:16].ljust(16, b"\0")
    cipher = aes_cbc(key, hashlib.sha256(ps.encode()).digest()[:16], data)
    return f"0;{flag};{pk};{base64.b64encode(cipher).decode()}".encode()


def login_password(ps: str, ds: str, nonce: str | None = None, flag: str = "0000") -> bytes:
    nonce = nonce or random_text()
    return f"1;{flag};{nonce};{sign(ds, ps, nonce)}".encode()


def app_password(password: str, nonce: str) -> str:
    key = hashlib.md5(nonce.encode(), usedforsecurity=False).hexdigest().upper()[8:24]
    return base64.b64encode(aes_cbc(key.encode(), (key[8:] + key[:8]).encode(), password.encode())).decode()


def text(value: bytes) -> bytes:
    return struct.pack(">H", len(value)) + value


def packet(first: int, body: bytes) -> bytes:
    length, out = len(body), bytearray([first])
    while True:
        length, low = divmod(length, 128)
        out.append(low | (0x80 if length else 0))
        if not length:
            return bytes(out) + body


def connect(client_id: str, password: bytes, user_name: bytes | None = None, keep_alive: int = 120) -> bytes:
    flags = 0x42 | (0x80 if user_name is not None else 0)
    body = text(b"MQTT") + bytes([4, flags]) + struct.pack(">H", keep_alive) + text(client_id.encode())
    if user_name is not None:
        body += text(user_name)
    return packet(0x10, body + text(password))


def frame(packet_id: int, command: int, payload: bytes) -> bytes:
    inside = struct.pack(">HH", packet_id, command) + payload
    plain = struct.pack(">HB", len(inside) + 1, sum(inside) & 0xFF) + inside
    out, previous = bytearray(b"\xaa"), 0xAA
    rest = b"\xaa" + plain
    for place, byte in enumerate(rest):
        if place and previous == 0xAA and byte in {0xAA, 0x55}:
            out.append(0x55)
        out.append(byte)
        previous = byte
    return bytes(out) + (b"\x55" if previous == 0xAA else b"")


def unframe(data: bytes) -> tuple[int, int, bytes]:
    assert data[:2] == b"\xaa\xaa"
    plain = bytearray()
    for place in range(2, len(data)):
        if not (data[place] == 0x55 and data[place - 1] == 0xAA):
            plain.append(data[place])
    length = struct.unpack_from(">H", plain)[0]
    inside = bytes(plain[3 : 2 + length])
    assert plain[2] == sum(inside) & 0xFF
    packet_id, command = struct.unpack_from(">HH", inside)
    return packet_id, command, inside[4:]


def ttlv_bytes(field: int, value: bytes) -> bytes:
    return struct.pack(">HH", field << 3 | 3, len(value)) + value


def ttlv_number(field: int, value: int) -> bytes:
    magnitude = value.to_bytes(max(1, (value.bit_length() + 7) // 8), "big")
    return struct.pack(">HB", field << 3 | 2, len(magnitude) - 1) + magnitude


def untext(data: bytes) -> dict[int, bytes | int]:
    """TTLV with numbers and texts only, as a dict."""
    fields: dict[int, bytes | int] = {}
    place = 0
    while place < len(data):
        tag = struct.unpack_from(">H", data, place)[0]
        place += 2
        if tag & 7 == 3:
            size = struct.unpack_from(">H", data, place)[0]
            fields[tag >> 3] = data[place + 2 : place + 2 + size]
            place += 2 + size
        elif tag & 7 == 2:
            size = (data[place] & 7) + 1
            fields[tag >> 3] = int.from_bytes(data[place + 1 : place + 1 + size], "big")
            place += 1 + size
        else:
            fields[tag >> 3] = tag & 7
    return fields


def read_until(line: socket.socket, end: bytes) -> None:
    """Reads byte by byte, so that nothing behind the end is taken."""
    heard = b""
    while end not in heard:
        byte = line.recv(1)
        assert byte, heard
        heard += byte


class RawDevice:
    """One TCP connection of a device; every step is spelled out by the test."""

    def __init__(self, port: int, pk: str, dk: str, timeout: float = 10, source: str = "127.0.0.1") -> None:
        self.pk, self.dk, self.client_id = pk, dk, f"qd{pk}{dk}"
        self.socket = socket.create_connection(("127.0.0.1", port), timeout, (source, 0))
        self._inbox = b""
        self.auth_key = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.socket.close()

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def receive(self) -> tuple[int, bytes] | None:
        """The next packet as (first byte, body); None when the server closed.

        An auth key (0x00B4 with field 12) is taken and passed over.
        """
        while True:
            whole = self._cut()
            if whole and not self._is_auth_key(*whole):
                return whole
            if whole:
                continue
            try:
                more = self.socket.recv(65536)
            except ConnectionResetError:
                return None
            if not more:
                return None
            self._inbox += more

    def _is_auth_key(self, first: int, body: bytes) -> bool:
        """Whether this is 0x00B4 with nothing but field 12, which comes unasked after each log-in of an owned device.

        It is acknowledged and kept in `auth_key`, sealed as it is.
        """
        if first >> 4 != 3 or not first & 6:
            return False
        size = struct.unpack_from(">H", body)[0]
        _, command, payload = unframe(body[4 + size :]) if body[4 + size : 6 + size] == b"\xaa\xaa" else (0, 0, b"")
        if command != 0x00B4 or payload[:2] != b"\x00\x63":
            return False
        self.send(packet(0x40, body[2 + size : 4 + size]))
        self.auth_key = payload[4:]
        return True

    def _cut(self) -> tuple[int, bytes] | None:
        length, place = 0, 1
        while place < len(self._inbox):
            byte = self._inbox[place]
            length |= (byte & 0x7F) << 7 * (place - 1)
            place += 1
            if byte < 0x80:
                if len(self._inbox) < place + length:
                    return None
                found = self._inbox[0], self._inbox[place : place + length]
                self._inbox = self._inbox[place + length :]
                return found
        return None

    def connect(self, password: bytes, user_name: bytes | None = None) -> int | None:
        """CONNACK's return code; None when the server closed without one."""
        self.send(connect(self.client_id, password, user_name))
        answer = self.receive()
        if answer is None:
            return None
        assert answer[0] == 0x20
        return answer[1][1]

    def message(self) -> tuple[str, int, bytes] | None:
        """The next PUBLISH as (topic, command, payload), acknowledged when it asks for it; None at the end."""
        while True:
            got = self.receive()
            if got is None:
                return None
            first, body = got
            if first >> 4 != 3:
                continue
            size = struct.unpack_from(">H", body)[0]
            topic, rest = body[2 : 2 + size].decode(), body[2 + size :]
            if first & 6:
                self.send(packet(0x40, rest[:2]))
                rest = rest[2:]
            _, command, payload = unframe(rest)
            return topic, command, payload

    def enrol(self, ps: str, user_name: bytes | None = None) -> str:
        """First-time log-in; the DeviceSecret that 0x00B4 field 5 brings."""
        assert self.connect(enrolment_password(self.pk, ps, self.dk), user_name) == 0
        message = self.message()
        assert message is not None
        topic, command, payload = message
        assert (topic, command) == (f"q/1/d/{self.client_id}/sys", 0x00B4)
        secret = untext(payload)[5]
        assert isinstance(secret, bytes)
        return secret.decode()

    def complaint(self, password: bytes, user_name: bytes | None = None) -> int:
        """A log-in that is let in only to be told why not: the code of 0x00A3."""
        assert self.connect(password, user_name) == 0
        message = self.message()
        assert message is not None
        assert message[1] == 0x00A3
        code = untext(message[2])[1]
        assert isinstance(code, int)
        return code

    def subscribe(self) -> int:
        """SUBACK's return code for the device's own filter."""
        self.send(packet(0x82, b"\0\1" + text(f"q/1/d/{self.client_id}/+".encode()) + b"\1"))
        got = self.receive()
        assert got is not None
        assert got[0] == 0x90
        assert got[1][:2] == b"\0\1"
        return got[1][2]

    def publish(self, command: int, payload: bytes, packet_id: int = 1, kind: str = "sys") -> None:
        topic = f"q/2/d/{self.client_id}/{kind}".encode()
        self.send(packet(0x32, text(topic) + struct.pack(">H", packet_id) + frame(packet_id, command, payload)))

    def wait_puback(self, packet_id: int) -> None:
        """Until that PUBACK comes; other messages are acknowledged and dropped."""
        while True:
            got = self.receive()
            assert got is not None, "the connection closed before the PUBACK"
            if got == (0x40, struct.pack(">H", packet_id)):
                return

    def report_bind_code(self, code: str, seconds: int | None = None, packet_id: int = 2) -> None:
        """0x00B5, and its PUBACK: from here on the Developer Center holds the code."""
        payload = ttlv_bytes(11, code.encode()) + ttlv_bytes(15, b"FEDCBA9876543210")
        if seconds is not None:
            payload += ttlv_number(100, seconds)
        self.publish(0x00B5, payload, packet_id)
        self.wait_puback(packet_id)
