"""A device that does exactly what a test tells it, speaking raw MQTT over TCP.

It has no retries, no timers and no memory but its secret, so a test sees what the Developer Center does and nothing
else. For a device that behaves, use quecIot.
"""

import asyncio
import secrets
import string
from types import TracebackType
from typing import Self, TypeVar

from quecbind.wire import commands, frame, mqtt, signing, topics, ttlv

P = TypeVar("P", bound=mqtt.Packet)

_ALPHABET = string.ascii_letters + string.digits


class DeviceError(Exception):
    """The Developer Center did not do what the device waited for."""


class LinkClosedError(DeviceError):
    """The Developer Center closed the connection."""


class FakeDevice:
    """One device of a product; usable again after `close`.

    Attributes:
        device_secret: what enrolment brought, None before.
        session_key: what the Developer Center gave for this session, None when none was asked for.
        return_code: of the last CONNACK.
    """

    def __init__(
        self,
        host: str,
        port: int,
        product_key: str,
        product_secret: str,
        device_key: str,
        device_secret: str | None = None,
        wait_s: float = 10.0,
    ) -> None:
        self.client_id = topics.client_id(product_key, device_key)
        self.device_secret = device_secret
        self.session_key: bytes | None = None
        self.return_code: int | None = None
        self._address = (host, port)
        self._product_key = product_key
        self._product_secret = product_secret
        self._device_key = device_key
        self._wait_s = wait_s
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._packets = mqtt.PacketReader(from_server=True)
        self._arrived: list[mqtt.Packet] = []
        self._frames: list[frame.Frame] = []
        self._packet_id = 0

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    # --- log-ins ---

    async def enrol(self, reset_key: bytes | None = None, session_flag: bool = False) -> str:
        """Logs in with the product secret and returns the device secret it gets.

        Args:
            reset_key: of the secret that was forgotten (`signing.reset_key`), to prove the reset.
            session_flag: whether to ask for a session key too.

        Raises:
            DeviceError: something else than a secret came; an exception frame's code is in the message.
        """
        password = signing.first_login(
            self._product_key, self._product_secret, self._device_key, new_random(), session_flag
        )
        user_name = None if reset_key is None else signing.reset_user_name(reset_key, new_random()).encode()
        await self.log_in(password.encode(), user_name)
        self._ask_for(topics.downlink_filter(self.client_id))
        # A refused enrolment is told why at once; its SUBSCRIBE is never answered.
        configured = await self.receive()
        if configured.command != commands.CONFIGURE:
            raise DeviceError(f"enrolment was answered with {_described(configured)}")
        secret = self._keep(configured)
        await self.packet(mqtt.Suback)
        return secret

    async def connect(self, session_flag: bool = False) -> None:
        """Logs in with the device secret and subscribes.

        Raises:
            DeviceError: there is no secret, or CONNACK says no (`return_code`).
        """
        if self.device_secret is None:
            raise DeviceError("the device has no secret: enrol first")
        password = signing.login(self._product_secret, self.device_secret, new_random(), session_flag)
        await self.log_in(password.encode())
        if session_flag:
            self._keep(await self.receive())
        await self.subscribe()

    async def log_in(self, password: bytes | None, user_name: bytes | None = None, keep_alive: int = 120) -> int:
        """Opens a connection, sends CONNECT and returns the code of CONNACK.

        Raises:
            LinkClosedError: the Developer Center closed without CONNACK.
            DeviceError: the code is not 0.
        """
        await self.close()
        self._packets = mqtt.PacketReader(from_server=True)
        self._arrived, self._frames = [], []
        self.session_key = None
        self._reader, self._writer = await asyncio.open_connection(*self._address)
        self.send(mqtt.Connect(self.client_id, keep_alive, True, user_name, password))
        connack = await self.packet(mqtt.Connack)
        self.return_code = connack.return_code
        if connack.return_code != 0:
            raise DeviceError(f"CONNACK {connack.return_code}")
        return self.return_code

    def _keep(self, configured: frame.Frame) -> str:
        fields = ttlv.decode(configured.payload)
        secret = ttlv.first(fields, commands.CONFIGURE_SECRET)
        if secret is not None:
            self.device_secret = secret.decode()
        self.session_key = ttlv.first(fields, commands.CONFIGURE_SESSION_KEY)
        if self.device_secret is None:
            raise DeviceError("the configuration holds no device secret")
        return self.device_secret

    # --- messages ---

    async def subscribe(self, topic_filter: str | None = None, qos: int = 1) -> int:
        """Subscribes, to its own downlink unless told otherwise, and returns the code of SUBACK."""
        self._ask_for(topic_filter or topics.downlink_filter(self.client_id), qos)
        return int((await self.packet(mqtt.Suback)).return_codes[0])

    def _ask_for(self, topic_filter: str, qos: int = 1) -> None:
        self.send(mqtt.Subscribe(self._next_id(), [(topic_filter, qos)]))

    async def report_bind_code(
        self, bind_code: str, seconds_left: int | None = None, bind_secret: str | None = None, kind: str = "sys"
    ) -> None:
        """Reports a bind code and waits until it is acknowledged, which is when it is stored."""
        fields: list[tuple[int, object]] = [(commands.BIND_CODE_CODE, bind_code)]
        if bind_secret is not None:
            fields.append((commands.BIND_CODE_SECRET, bind_secret))
        if seconds_left is not None:
            fields.append((commands.BIND_CODE_SECONDS_LEFT, seconds_left))
        await self.publish(commands.BIND_CODE, ttlv.encode(fields), kind)

    async def publish(self, command: int, payload: bytes = b"", kind: str = "sys", qos: int = 1) -> None:
        """Publishes one frame on its own topic; with QoS 1, waits for PUBACK."""
        packet_id = self._next_id()
        data = frame.encode(packet_id, command, payload)
        if self.session_key is not None:
            data = signing.session_encrypt(self.session_key, data)
        topic = topics.uplink(self.client_id, kind)
        self.send(mqtt.Publish(topic, data, qos, packet_id=packet_id if qos else 0))
        if qos == 1:
            await self.packet(mqtt.Puback)

    async def receive(self) -> frame.Frame:
        """The next frame the Developer Center sends, acknowledged."""
        while not self._frames:
            await self._read()
        return self._frames.pop(0)

    async def packet(self, kind: type[P]) -> P:
        """The next packet of this kind; others that came before it stay."""
        while True:
            for packet in self._arrived:
                if isinstance(packet, kind):
                    self._arrived.remove(packet)
                    return packet
            await self._read()

    async def closed(self) -> None:
        """Waits until the Developer Center closes the connection."""
        try:
            while True:
                await self._read()
        except LinkClosedError:
            return

    def send(self, packet: mqtt.Packet) -> None:
        """Sends any packet, also one that no device sends."""
        self.send_bytes(packet.encode())

    def send_bytes(self, data: bytes) -> None:
        if self._writer is None:
            raise DeviceError("not connected")
        self._writer.write(data)

    async def close(self) -> None:
        """Closes TCP without DISCONNECT, as devices do."""
        writer, self._writer, self._reader = self._writer, None, None
        if writer is not None:
            writer.close()
            try:
                await writer.wait_closed()
            except OSError:
                return

    def _next_id(self) -> int:
        self._packet_id = self._packet_id % 0xFFFE + 1
        return self._packet_id

    async def _read(self) -> None:
        if self._reader is None:
            raise DeviceError("not connected")
        try:
            async with asyncio.timeout(self._wait_s):
                data = await self._reader.read(65536)
        except TimeoutError:
            raise DeviceError(f"nothing came in {self._wait_s:g} s") from None
        except OSError:
            data = b""
        if not data:
            raise LinkClosedError("the Developer Center closed the connection")
        for packet in self._packets.feed(data):
            if isinstance(packet, mqtt.Publish):
                self._take(packet)
            else:
                self._arrived.append(packet)

    def _take(self, message: mqtt.Publish) -> None:
        data = message.payload
        if self.session_key is not None:
            data = signing.session_decrypt(self.session_key, data)
        self._frames.append(frame.decode(data))
        if message.qos == 1:
            self.send(mqtt.Puback(message.packet_id))


def new_random() -> str:
    """16 letters and digits, as a device puts into its log-in."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(signing.RANDOM_SIZE))


def _described(received: frame.Frame) -> str:
    if received.command == commands.EXCEPTION_DOWN:
        return f"exception {ttlv.first(ttlv.decode(received.payload), commands.EXCEPTION_CODE)}"
    return commands.NAMES.get(received.command, f"command 0x{received.command:04x}")
