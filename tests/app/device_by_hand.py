"""A device's end of a LAN session, written from docs/protocol/short-range.md with the standard library and one AES.

It imports nothing of quecbind. Its manners can be set to those of unlike devices: which result it gives to a log-in,
how it spells empty data, whether reads are answered with values or with reports, whether it hangs up afterwards.
"""

from __future__ import annotations

import contextlib
import hashlib
import socket
import threading
from dataclasses import dataclass, field
from typing import Self

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from tests.quecIot.app_by_hand import build, cut

RANDOM = b"A1b2C3d4E5f6G7h8"


@dataclass
class Device:
    """One device on a port of its own; serves one App after the other."""

    key: bytes
    taken: int = 0  # the result of a good log-in
    empty_is_a_block: bool = False
    reads_are_answered: bool = False  # with values; otherwise empty, and a report follows
    pushes_under_0: bool = True
    hangs_up_after_read: bool = False
    pings_first: bool = False
    says_nothing: bool = False
    takes_any_token: bool = False  # and has no key to answer with: an impostor
    write_result: int = 0
    properties: dict[int, bytes] = field(
        default_factory=lambda: {38: bytes.fromhex("0131"), 3: bytes.fromhex("001a09016e")}
    )
    heard: list[tuple[int, bytes]] = field(default_factory=list)

    def __enter__(self) -> Self:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._connections: list[socket.socket] = []
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        for one in (self._listener, *self._connections):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()
        self._thread.join(10)

    def _run(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self._connections.append(connection)
            with contextlib.suppress(OSError):
                self._serve(connection)
            connection.close()

    def _serve(self, connection: socket.socket) -> None:
        raw, self._is_open = b"", False
        while more := connection.recv(4096):
            frames, raw = cut(raw + more)
            for packet_id, command, data in frames:
                if self.says_nothing:
                    continue
                out = self._answer(packet_id, command, data)
                if out is None:
                    return
                connection.sendall(out)

    def _answer(self, packet_id: int, command: int, data: bytes) -> bytes | None:
        if command == 0x7032:
            return build(packet_id, 0x7033, bytes.fromhex("000b0010") + RANDOM)
        if command == 0x7034:
            token = hashlib.sha256((self.key.hex() + ";" + RANDOM.decode()).encode()).hexdigest().encode()
            self._is_open = data[:4] == bytes.fromhex("00130040") and data[4:] == token
            if self.takes_any_token:
                return build(packet_id, 0x7035, bytes.fromhex("001a0000"))
            if not self._is_open:
                return build(packet_id, 0x7035, bytes.fromhex("001a8001"))
            ping = build(9, 0x7037) if self.pings_first else b""
            return build(packet_id, 0x7035, bytes.fromhex("001a00") + bytes([self.taken])) + ping
        if self.takes_any_token:
            self.heard.append((command, data))
            answer = {0x0011: 0x0012, 0x0013: 0x7036, 0x7037: 0x7038}.get(command)
            return build(packet_id, answer, bytes.fromhex("000a0000") if answer == 0x7036 else b"") if answer else b""
        if not self._is_open:
            return b""
        plain = self.open(data)
        self.heard.append((command, plain))
        if command == 0x7037:
            return build(packet_id, 0x7038)
        if command == 0x0013:
            return build(packet_id, 0x7036, self.seal(bytes.fromhex("000a00") + bytes([self.write_result])))
        if command == 0x0011:
            return self._read(packet_id, plain)
        return b""

    def _read(self, packet_id: int, plain: bytes) -> bytes | None:
        asked = [plain[at] << 8 | plain[at + 1] for at in range(0, len(plain), 2)] or list(self.properties)
        values = [self.properties[number] for number in asked if number in self.properties]
        if self.reads_are_answered:
            return build(packet_id, 0x0012, self.seal(b"".join(values)))
        empty = self.seal(b"") if self.empty_is_a_block else b""
        pushes = b"".join(build(0 if self.pushes_under_0 else 77, 0x0014, self.seal(value)) for value in values)
        out = build(packet_id, 0x0012, empty) + pushes
        if self.hangs_up_after_read:
            self._connections[-1].sendall(out)
            return None
        return out

    def push(self, command: int, plain: bytes) -> None:
        self._connections[-1].sendall(build(0, command, self.seal(plain)))

    def hang_up(self) -> None:
        self._connections[-1].shutdown(socket.SHUT_RDWR)

    def seal(self, plain: bytes) -> bytes:
        pad = 16 - len(plain) % 16
        encryptor = Cipher(algorithms.AES(self.key), modes.CBC(RANDOM)).encryptor()
        return encryptor.update(plain + bytes([pad]) * pad) + encryptor.finalize()

    def open(self, sealed: bytes) -> bytes:
        if not sealed:
            return b""
        decryptor = Cipher(algorithms.AES(self.key), modes.CBC(RANDOM)).decryptor()
        padded = decryptor.update(sealed) + decryptor.finalize()
        return padded[: -padded[-1]]
