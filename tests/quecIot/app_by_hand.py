"""An App's end of a LAN session, written from docs/protocol/short-range.md with the standard library and one AES.

It imports nothing of quecbind: if the two disagree about the wire, a test says so.
"""

from __future__ import annotations

import hashlib
import socket
import struct
from typing import Self

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes


def cut(raw: bytes) -> tuple[list[tuple[int, int, bytes]], bytes]:
    """Frames (packet id, command, data) out of raw bytes, and what is left over."""
    frames = []
    while (start := raw.find(b"\xaa\xaa")) >= 0:
        plain, place, previous = bytearray(), start + 2, 0
        while place < len(raw):
            byte = raw[place]
            if not (byte == 0x55 and previous == 0xAA):
                plain.append(byte)
            previous, place = byte, place + 1
            if len(plain) >= 2 and len(plain) == 2 + struct.unpack(">H", plain[:2])[0]:
                break
        else:
            return frames, raw[start:]
        _, checksum, packet_id, command = struct.unpack(">HBHH", plain[:7])
        assert sum(plain[3:]) & 255 == checksum
        frames.append((packet_id, command, bytes(plain[7:])))
        raw = raw[place:]
    return frames, raw


def build(packet_id: int, command: int, data: bytes = b"") -> bytes:
    body = struct.pack(">HH", packet_id, command) + data
    plain = struct.pack(">HB", len(body) + 1, sum(body) & 255) + body
    out = bytearray(b"\xaa\xaa")
    for place, byte in enumerate(plain):
        out.append(byte)
        if byte == 0xAA and (place + 1 == len(plain) or plain[place + 1] in {0xAA, 0x55}):
            out.append(0x55)
    return bytes(out)


class App:
    """One connection; `ask` sends a frame and gives the next one that comes."""

    def __init__(
        self, port: int, key: bytes, host: str = "127.0.0.1", source: str = "127.0.0.1", buffer_size: int = 0
    ) -> None:
        self.socket = socket.socket()
        self.socket.settimeout(10)
        if buffer_size:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer_size)
        self.socket.bind((source, 0))
        self.socket.connect(("127.0.0.1", port))
        self.key = key
        self.random = b""
        self.packet_id = 1000
        self._raw = b""
        self._frames: list[tuple[int, int, bytes]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()

    def send(self, command: int, data: bytes = b"", packet_id: int | None = None) -> int:
        self.packet_id += 1
        number = self.packet_id if packet_id is None else packet_id
        self.socket.sendall(build(number, command, data))
        return number

    def next(self) -> tuple[int, int, bytes]:
        """The next frame; EOFError when the device has closed."""
        while not self._frames:
            try:
                more = self.socket.recv(4096)
            except ConnectionError:
                more = b""
            if not more:
                raise EOFError
            self._frames, self._raw = cut(self._raw + more)
        return self._frames.pop(0)

    def ask(self, command: int, data: bytes = b"") -> tuple[int, bytes]:
        number = self.send(command, data)
        packet_id, answer, content = self.next()
        assert packet_id == number
        return answer, content

    def token(self) -> bytes:
        text = self.key.hex() + ";" + self.random.decode()
        return hashlib.sha256(text.encode()).hexdigest().encode()

    def hello(self) -> None:
        command, data = self.ask(0x7032)
        assert (command, data[:4]) == (0x7033, bytes.fromhex("000b0010"))
        self.random = data[4:]
        assert len(self.random) == 16

    def log_in(self) -> bytes:
        """The payload of 0x7035: 001a0000 when it went well."""
        self.hello()
        command, data = self.ask(0x7034, bytes.fromhex("00130040") + self.token())
        assert command == 0x7035
        return data

    def seal(self, plain: bytes) -> bytes:
        pad = 16 - len(plain) % 16
        encryptor = Cipher(algorithms.AES(self.key), modes.CBC(self.random)).encryptor()
        return encryptor.update(plain + bytes([pad]) * pad) + encryptor.finalize()

    def open(self, sealed: bytes) -> bytes:
        if not sealed:
            return b""
        decryptor = Cipher(algorithms.AES(self.key), modes.CBC(self.random)).decryptor()
        padded = decryptor.update(sealed) + decryptor.finalize()
        return padded[: -padded[-1]]
