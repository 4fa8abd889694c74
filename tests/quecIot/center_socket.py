"""A Developer Center that is just enough for one device: a thread behind a real socket, with TLS if wanted."""

from __future__ import annotations

import contextlib
import queue
import socket
import ssl
import threading
from typing import Any

from quecbind.wire import commands, frame, mqtt, topics, ttlv
from tests.quecIot.bench import NEW_DS


class CenterSocket:
    """
    Attributes:
        packets: everything devices sent, in order.
    """

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        self.packets: queue.Queue[Any] = queue.Queue()
        self._context = context
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._connections: list[socket.socket] = []
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def close(self) -> None:
        # shutdown, not close alone: a thread is inside accept
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.hang_up()
        self._thread.join(10)

    def hang_up(self) -> None:
        for sock in self._connections:
            with contextlib.suppress(OSError):
                # not SSLSocket's own, which would turn the reading thread's socket into a plain one
                socket.socket.shutdown(sock, socket.SHUT_RDWR)

    def expect(self, kind: type[Any]) -> Any:
        """The next packet of that kind; others before it are skipped."""
        while True:
            packet = self.packets.get(timeout=20)
            if isinstance(packet, kind):
                return packet

    def expect_frame(self, command: int) -> frame.Frame:
        while True:
            received = frame.decode(self.expect(mqtt.Publish).payload)
            if received.command == command:
                return received

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            self._connections.append(sock)
            try:
                if self._context is not None:
                    sock = self._context.wrap_socket(sock, server_side=True)
                    self._connections[-1] = sock
                self._serve(sock)
            except OSError:
                pass
            finally:
                sock.close()

    def _serve(self, sock: socket.socket) -> None:
        reader = mqtt.PacketReader()
        while data := sock.recv(65536):
            for packet in reader.feed(data):
                self.packets.put(packet)
                for answer in self._answers(packet):
                    sock.sendall(answer.encode())

    def _answers(self, packet: Any) -> list[Any]:
        if isinstance(packet, mqtt.Connect):
            self._client_id = packet.client_id
            answers: list[Any] = [mqtt.Connack(0)]
            if (packet.password or b"").startswith(b"0;"):
                secret = frame.encode(1, commands.CONFIGURE, ttlv.encode([(5, NEW_DS)]))
                answers.append(mqtt.Publish(topics.downlink(packet.client_id, "sys"), secret, 1, packet_id=1))
            return answers
        if isinstance(packet, mqtt.Subscribe):
            return [mqtt.Suback(packet.packet_id, [1])]
        if isinstance(packet, mqtt.Publish) and packet.qos == 1:
            return [mqtt.Puback(packet.packet_id)]
        if isinstance(packet, mqtt.Publish) and packet.qos == 2:
            return [mqtt.Pubrec(packet.packet_id)]
        if isinstance(packet, mqtt.Pubrel):
            return [mqtt.Pubcomp(packet.packet_id)]
        return []
