"""How long a right outlives its end: from the request that ends it until the last byte its holder gets, and until HTTP
refuses.

A device that reports without a pause, an App that listens over WebSocket v1 and one over MQTT v2, all over real
sockets. A right ends in three ways: the owner unbinds, the device is reset and proves it, or the owner revokes a share,
and then it is its member who listens. The clock starts before the first byte of that request is written. What the
listeners get last is the notice; anything after it is a failure.
"""

import asyncio
import contextlib
import json
import secrets
import statistics
import string
import time
from pathlib import Path
from typing import Any, Self, cast

from websockets.asyncio.client import ClientConnection, connect
from websockets.typing import Subprotocol

from quecbind.app.client import AppClient
from quecbind.app.errors import RefusedError
from quecbind.cli.bench_bind import make_product_and_user
from quecbind.cli.bench_center import start_center
from quecbind.cli.center_api import ask
from quecbind.cli.children import ChildError, Children
from quecbind.cli.output import show_progress
from quecbind.wire import commands, frame, mqtt, signing, ttlv

_DEVICE_KEY = "BENCH3"
_STEP_S = 20.0
_WARM_UP_ROUNDS = 5
_REPORT_S = 0.005
_INVITED_MS = 60_000
# So long after the notice a byte would still be noticed.
_AFTER_S = 0.05


async def measure(directory: Path, round_count: int) -> dict[str, Any]:
    """Times in milliseconds.

    Raises:
        ChildError: the server did not start, or a listener heard something after the end of its right.
    """
    async with Children() as children:
        data = directory / "data"
        _, urls = await start_center(children, data)
        product, domain = await asyncio.to_thread(make_product_and_user, data)
        member_account = await asyncio.to_thread(_make_member, data, domain)
        result: dict[str, Any] = {"rounds": round_count}
        async with (
            _client(urls, domain) as owner_app,
            _client(urls, domain) as member_app,
            asyncio.timeout(_STEP_S + 2 * round_count),
        ):
            await owner_app.sign_in(domain["email"], domain["password"])
            await member_app.sign_in(member_account["email"], member_account["password"])
            device = _Device(product, urls["mqtt"])
            await device.enrol()
            base = urls["http"].replace("http", "ws", 1)
            async with _Holder(owner_app, base, device) as owner, _Holder(member_app, base, device) as member:
                for way in (_Unbind(owner), _Reset(owner), _Revoke(owner, member)):
                    result |= await _rounds(way, device, round_count)
            await device.close()
    return result


def _client(urls: dict[str, str], domain: dict[str, Any]) -> AppClient:
    return AppClient(urls["http"], domain["user_domain"], domain["user_domain_secret"])


def _make_member(data: Path, domain: dict[str, Any]) -> dict[str, str]:
    account = {
        "email": "member@example.com",
        "user_domain": domain["user_domain"],
        "password": secrets.token_hex(8),
    }
    ask(data, "POST", "/users", account)
    return account


class _Holder:
    """A user with a right to the device, who listens in two ways."""

    def __init__(self, app: AppClient, base: str, device: "_Device") -> None:
        self.app = app
        self._base = base
        self._device = device
        self._open = contextlib.AsyncExitStack()
        self.listeners: tuple[_V1, _V2]

    async def __aenter__(self) -> Self:
        v1_socket = await self._open.enter_async_context(connect(self._base + "/ws/v1"))
        v2_socket = await self._open.enter_async_context(
            connect(self._base + "/ws/v2", subprotocols=[Subprotocol("mqtt")])
        )
        self.listeners = _V1(v1_socket, self._device), _V2(v2_socket, self._device)
        for listener in self.listeners:
            await listener.log_in(self.app)
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._open.aclose()

    async def refused_at(self) -> float:
        """When the first request came back refused; one follows the other."""
        while True:
            try:
                await self.app.device(self._device.product_key, _DEVICE_KEY)
            except RefusedError:
                return time.perf_counter()


class _Unbind:
    """The owner gives the device up."""

    name = "unbind"

    def __init__(self, owner: _Holder) -> None:
        self.holder = owner

    async def begin(self, device: "_Device") -> None:
        await self.holder.app.bind_by_code(device.product_key, _DEVICE_KEY, await device.report_code())

    async def end(self, device: "_Device") -> float:
        began_at = time.perf_counter()
        await self.holder.app.unbind(device.product_key, _DEVICE_KEY)
        return began_at


class _Reset(_Unbind):
    """The device starts over, and proves that it may."""

    name = "reset"

    async def end(self, device: "_Device") -> float:
        return await device.reset()


class _Revoke:
    """The owner ends the share of a member."""

    name = "revoke"

    def __init__(self, owner: _Holder, member: _Holder) -> None:
        self.holder = member
        self._owner = owner.app
        self._is_bound = False
        self._code = ""

    async def begin(self, device: "_Device") -> None:
        if not self._is_bound:
            await self._owner.bind_by_code(device.product_key, _DEVICE_KEY, await device.report_code())
            self._is_bound = True
        until_ms = time.time_ns() // 1_000_000 + _INVITED_MS
        self._code = await self._owner.share(device.product_key, _DEVICE_KEY, until_ms)
        await self.holder.app.accept_share(self._code)

    async def end(self, device: "_Device") -> float:
        began_at = time.perf_counter()
        await self._owner.revoke_share(self._code)
        return began_at


async def _rounds(way: "_Unbind | _Revoke", device: "_Device", round_count: int) -> dict[str, dict[str, float]]:
    v1_ms: list[float] = []
    v2_ms: list[float] = []
    http_ms: list[float] = []
    holder = way.holder
    for number in range(round_count + _WARM_UP_ROUNDS):
        await way.begin(device)
        for listener in holder.listeners:
            await listener.subscribe()
        device.start_reporting()
        hearing = [asyncio.create_task(listener.hear_the_end(), name="listener") for listener in holder.listeners]
        await asyncio.sleep(_REPORT_S * 2)
        refused = asyncio.create_task(holder.refused_at(), name="HTTP")
        began_at = await way.end(device)
        ends = await asyncio.gather(*hearing)
        refused_at = await refused
        await device.stop_reporting()
        if number >= _WARM_UP_ROUNDS:
            for times, end in zip((v1_ms, v2_ms, http_ms), (*ends, refused_at), strict=True):
                times.append((end - began_at) * 1000)
        show_progress(number + 1, round_count + _WARM_UP_ROUNDS, f"rounds of {way.name}")
    return {
        f"{way.name}_to_last_byte_v1_ms": _spread(v1_ms),
        f"{way.name}_to_last_byte_v2_ms": _spread(v2_ms),
        f"{way.name}_to_refusal_http_ms": _spread(http_ms),
    }


def _spread(values: list[float]) -> dict[str, float]:
    cuts = statistics.quantiles(values, n=100, method="inclusive")
    return {"p50": round(cuts[49], 2), "p99": round(cuts[98], 2), "max": round(max(values), 2)}


class _V1:
    """Listens over WebSocket v1."""

    def __init__(self, socket: ClientConnection, device: "_Device") -> None:
        self._socket = socket
        self._device = device

    async def log_in(self, app: AppClient) -> None:
        await self._ask("login", {"token": _token(app)}, "login_resp")

    async def subscribe(self) -> None:
        keys = {"productKey": self._device.product_key, "deviceKey": _DEVICE_KEY}
        types = ["ONLINE", "STATUS", "RAW-UPLINK", "MATTR-REPORT"]
        answer = await self._ask("subscribe", [{**keys, "messageType": types}], "subscribe_resp")
        if answer[0]["code"] != 1:
            raise ChildError(f"WebSocket v1 refused a subscription with {answer[0]['code']}")

    async def hear_the_end(self) -> float:
        while True:
            heard = json.loads(await self._socket.recv())
            if heard["cmd"] == "message" and _is_end(heard["data"]):
                break
        ended_at = time.perf_counter()
        await _expect_silence(self._socket)
        return ended_at

    async def _ask(self, command: str, data: object, answer: str) -> Any:
        await self._socket.send(json.dumps({"cmd": command, "data": data}))
        while True:
            heard = json.loads(await self._socket.recv())
            if heard["cmd"] == answer:
                return heard["data"]
            if heard["cmd"] == "error":
                raise ChildError(f"WebSocket v1 answered {heard['data']['code']}")


class _V2:
    """Listens over MQTT v2."""

    def __init__(self, socket: ClientConnection, device: "_Device") -> None:
        self._socket = socket
        self._device = device
        self._packets = mqtt.PacketReader(from_server=True)

    async def log_in(self, app: AppClient) -> None:
        client_id = f"qu_{app.uid}_{time.time_ns() // 1_000_000}"
        await self._ask(mqtt.Connect(client_id, 60, True, None, _token(app).encode()), mqtt.Connack(0))

    async def subscribe(self) -> None:
        topics = [(f"q/2/d/{self._device.client_id}/{name}", 1) for name in ("bus_", "sys_", "onl_")]
        await self._ask(mqtt.Subscribe(1, topics), mqtt.Suback(1, [0, 0, 0]))

    async def hear_the_end(self) -> float:
        while True:
            packets = self._packets.feed(cast(bytes, await self._socket.recv()))
            if any(isinstance(each, mqtt.Publish) and _is_end(json.loads(each.payload)) for each in packets):
                break
        ended_at = time.perf_counter()
        await _expect_silence(self._socket)
        return ended_at

    async def _ask(self, packet: mqtt.Packet, answer: mqtt.Packet) -> None:
        await self._socket.send(packet.encode())
        while True:
            packets = self._packets.feed(cast(bytes, await self._socket.recv()))
            if answer in packets:
                return
            if any(isinstance(each, mqtt.Suback | mqtt.Connack) for each in packets):
                raise ChildError("MQTT v2 refused a log-in or a subscription")


async def _expect_silence(socket: ClientConnection) -> None:
    try:
        async with asyncio.timeout(_AFTER_S):
            await socket.recv()
    except TimeoutError:
        return
    raise ChildError("a listener heard something after the end of its right")


def _token(app: AppClient) -> str:
    assert app.tokens is not None
    return app.tokens.access_token


def _is_end(message: dict[str, Any]) -> bool:
    return message["type"] == "ENDUSER" and bool(json.loads(message["data"])["value"] != 1)


class _Device:
    """A bare device that enrols, reports, and can prove a reset."""

    def __init__(self, product: dict[str, Any], server: str) -> None:
        self.product_key: str = product["product_key"]
        self.client_id = f"qd{self.product_key}{_DEVICE_KEY}"
        self._product_secret: str = product["product_secret"]
        self._host, _, port = server.removeprefix("mqtt://").rpartition(":")
        self._port = int(port)
        self._number = 0
        self._secret = ""
        self._reporting: asyncio.Task[None] | None = None

    async def enrol(self, user_name: bytes | None = None) -> float:
        """A first log-in on a connection of its own; when it was about to be sent."""
        self._reader, self._writer = await asyncio.open_connection(self._host, self._port)
        self._packets = mqtt.PacketReader(from_server=True)
        password = signing.first_login(self.product_key, self._product_secret, _DEVICE_KEY, _random())
        hello = mqtt.Connect(self.client_id, 120, True, user_name, password.encode()).encode()
        began_at = time.perf_counter()
        self._writer.write(hello)
        await self._wait_for_secret()
        return began_at

    async def reset(self) -> float:
        """Forget the secret and say so with a proof; when the CONNECT was about to be sent."""
        await self.stop_reporting()
        earlier = self._writer
        key = signing.reset_key(self._secret, _DEVICE_KEY)
        began_at = await self.enrol(signing.reset_user_name(key, _random()).encode())
        earlier.close()
        return began_at

    async def close(self) -> None:
        self._writer.close()
        await self._writer.wait_closed()

    async def report_code(self) -> str:
        """A bind code that the Developer Center holds."""
        code = "".join(secrets.choice("0123456789ABCDEF") for _ in range(16))
        fields = [(commands.BIND_CODE_CODE, code), (commands.BIND_CODE_SECONDS_LEFT, 120)]
        number = self._publish(commands.BIND_CODE, ttlv.encode(fields), "sys")
        while mqtt.Puback(number) not in await self._received():
            pass
        return code

    def start_reporting(self) -> None:
        """Report a property again and again from now on."""
        self._reporting = asyncio.create_task(self._report_on(), name="reports")

    async def stop_reporting(self) -> None:
        """Be silent. Doing it twice is fine."""
        if self._reporting is not None:
            self._reporting.cancel()
            await asyncio.gather(self._reporting, return_exceptions=True)
            self._reporting = None

    async def _report_on(self) -> None:
        while True:
            self._publish(commands.TSL_REPORT, ttlv.encode([(1, self._number)]), "bus")
            await asyncio.sleep(_REPORT_S)

    def _publish(self, command: int, payload: bytes, kind: str) -> int:
        self._number = self._number % 60_000 + 1
        content = frame.encode(self._number, command, payload)
        topic = f"q/2/d/{self.client_id}/{kind}"
        self._writer.write(mqtt.Publish(topic, content, 1, False, False, self._number).encode())
        return self._number

    async def _wait_for_secret(self) -> None:
        while True:
            for packet in await self._received():
                if not isinstance(packet, mqtt.Publish):
                    continue
                if packet.qos:
                    self._writer.write(mqtt.Puback(packet.packet_id).encode())
                secret = ttlv.first(ttlv.decode(frame.decode(packet.payload).payload), commands.CONFIGURE_SECRET)
                if isinstance(secret, bytes):
                    self._secret = secret.decode()
                    return

    async def _received(self) -> list[mqtt.Packet]:
        data = await self._reader.read(65_536)
        if not data:
            raise ChildError("the Developer Center has closed the device's connection")
        return self._packets.feed(data)


def _random() -> str:
    return "".join(secrets.choice(string.ascii_letters) for _ in range(signing.RANDOM_SIZE))
