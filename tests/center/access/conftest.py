"""A Developer Center on a real database with its device listener on loopback, and a device that speaks plain MQTT."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest_asyncio

from quecbind.center.access.server import AccessLimits, AccessServer
from quecbind.center.listening import bind
from quecbind.center.services.views import ProductView
from quecbind.wire import commands, frame, mqtt, signing, ttlv
from tests.center.services.world import World

WAIT_S = 10.0


class Device:
    """A connection of a device; what it reads are packets."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._packets = mqtt.PacketReader(from_server=True)
        self._read: list[mqtt.Packet] = []

    def send(self, *packets: mqtt.Packet) -> None:
        self._writer.write(b"".join(packet.encode() for packet in packets))

    async def packet(self) -> Any:
        """The next packet; None when the connection has ended."""
        while not self._read:
            async with asyncio.timeout(WAIT_S):
                try:
                    data = await self._reader.read(65536)
                except ConnectionError:
                    data = b""
            if not data:
                return None
            self._read = list(self._packets.feed(data))
        return self._read.pop(0)

    async def packet_after_ping(self) -> bool:
        """Whether it is served: a ping is answered."""
        self.send(mqtt.Pingreq())
        return await self.packet() == mqtt.Pingresp()

    async def is_closed(self) -> bool:
        """Whether the connection ends with nothing more to read."""
        return await self.packet() is None

    def stop_reading(self) -> None:
        self._writer.transport.pause_reading()  # type: ignore[attr-defined]

    async def close(self) -> None:
        self._writer.close()
        with contextlib.suppress(ConnectionError):
            await self._writer.wait_closed()


class Site:
    """The listener, what it serves, and devices that connect to it. Its clock is moved by hand."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.now = 1000.0
        self._devices: list[Device] = []
        self._servers: list[AccessServer] = []
        self.product: ProductView

    async def start(
        self, uplink: Any = None, gate: Any = None, tls: ssl.SSLContext | None = None, **limits: float
    ) -> AccessServer:
        center = self.world.center
        self.access = AccessServer(
            gate or center.gate,
            uplink or center.uplink,
            center.presence,
            clock=center.clock,
            limits=AccessLimits(**limits),  # type: ignore[arg-type]
            time=lambda: self.now,
        )
        center.attach(self.access)
        listener = bind("127.0.0.1", 0)
        # Small, so that a device that does not read is noticed soon.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        self.address = listener.getsockname()
        await self.access.listen(listener, tls)
        self._servers.append(self.access)
        return self.access

    async def open(self, tls: ssl.SSLContext | None = None, receive_buffer: int | None = None) -> Device:
        """A connection that has not said anything."""
        client = socket.socket()
        if receive_buffer is not None:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        client.setblocking(False)
        try:
            await asyncio.get_running_loop().sock_connect(client, self.address)
        except OSError:
            client.close()
            raise
        host = None if tls is None else "localhost"
        device = Device(*await asyncio.open_connection(sock=client, ssl=tls, server_hostname=host))
        self._devices.append(device)
        return device

    def client_id(self, device_key: str) -> str:
        return f"qd{self.product.product_key}{device_key}"

    def first_connect(self, device_key: str = "D1", random: str | None = None) -> mqtt.Connect:
        pk, ps = self.product.product_key, self.product.product_secret
        password = signing.first_login(pk, ps, device_key, random or self.world.random())
        return mqtt.Connect(self.client_id(device_key), 120, True, None, password.encode())

    def connect(self, secret: str, device_key: str = "D1") -> mqtt.Connect:
        password = signing.login(self.product.product_secret, secret, self.world.random())
        return mqtt.Connect(self.client_id(device_key), 120, True, None, password.encode())

    async def enrolled(self, device_key: str = "D1") -> str:
        """The secret of a device that has used it."""
        await self.world.device(self.product, device_key)
        entry = self.world.center.registry.entry(self.client_id(device_key))
        assert entry is not None
        return entry.device_secret

    async def online(self, secret: str, device_key: str = "D1", **options: Any) -> Device:
        """A device that has logged in."""
        device = await self.open(**options)
        device.send(self.connect(secret, device_key))
        assert await device.packet() == mqtt.Connack(0, False)
        return device

    def report(self, packet_id: int = 1, device_key: str = "D1", command: int = commands.STATUS_REPORT) -> mqtt.Publish:
        content = frame.encode(packet_id, command, ttlv.encode([(1, packet_id)]))
        return mqtt.Publish(f"q/2/d/{self.client_id(device_key)}/sys", content, 1, False, False, packet_id)

    async def until(self, is_so: Callable[[], bool]) -> None:
        async with asyncio.timeout(WAIT_S):
            while not is_so():
                await asyncio.sleep(0.001)

    async def stop(self) -> None:
        for device in self._devices:
            await device.close()
        for server in self._servers:
            await server.stop(1)


@pytest_asyncio.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    world = await World.open(tmp_path / "data")
    made = Site(world)
    made.product = await world.product()
    yield made
    await made.stop()
    await world.center.close()
