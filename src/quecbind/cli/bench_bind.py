"""How long binding takes: from the moment `bindcodeSet` has returned on the device until the user's list shows it.

Device, Developer Center and App are the real ones, over real sockets; the bind code goes from the device to the App by
hand, because how long a search on a LAN takes is another question. A second figure leaves our device out: it begins
when a bare MQTT client has sent the bind code.
"""

import asyncio
import os
import secrets
import string
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from quecbind.app.client import AppClient
from quecbind.app.errors import RefusedError
from quecbind.cli.bench import spread
from quecbind.cli.bench_center import start_center
from quecbind.cli.center_api import ask
from quecbind.cli.children import ChildError, Children
from quecbind.cli.output import show_progress
from quecbind.wire import commands, frame, mqtt, signing, ttlv

_DEVICE_KEY, _BARE_DEVICE_KEY = "BENCH1", "BENCH2"
_NO_CODE_YET = 5460
_CONNECTED = (3, 10200)
_STEP_S = 20.0
_WARM_UP_ROUNDS = 5


async def measure(directory: Path, round_count: int) -> dict[str, Any]:
    """Times in milliseconds.

    Raises:
        ChildError: a server or the device did not start, or the device could not be bound.
    """
    async with Children() as children:
        data = directory / "data"
        _, urls = await start_center(children, data)
        product, domain = await asyncio.to_thread(make_product_and_user, data)
        async with AppClient(urls["http"], domain["user_domain"], domain["user_domain_secret"]) as app:
            await app.sign_in(domain["email"], domain["password"])
            device = _Device(directory / "device", product, urls["mqtt"])
            await device.start()
            whole = await _rounds(app, product["product_key"], _DEVICE_KEY, device.report_code, round_count)
            await device.stop()
            bare = _BareDevice(product, urls["mqtt"])
            await bare.start()
            server_only = await _rounds(app, product["product_key"], _BARE_DEVICE_KEY, bare.report_code, round_count)
            await bare.stop()
    return {
        "rounds": round_count,
        "from_bindcodeSet_ms": spread(whole),
        "from_0x00B5_sent_ms": spread(server_only),
        "0x00B5_to_PUBACK_ms": spread(bare.acknowledged_ms[_WARM_UP_ROUNDS:]),
    }


def make_product_and_user(data: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """A product, and a user domain with one user in it."""
    product = ask(data, "POST", "/products", {"name": "bench", "bind_mode": "single"})
    domain = ask(data, "POST", "/domains", {"name": "bench"})
    user = {"email": "bench@example.com", "user_domain": domain["user_domain"], "password": secrets.token_hex(8)}
    ask(data, "POST", "/users", user)
    return product, {**domain, **user}


async def _rounds(
    app: AppClient, product_key: str, device_key: str, report_code: Callable[[], Awaitable[str]], round_count: int
) -> list[float]:
    times_ms = []
    for number in range(round_count + _WARM_UP_ROUNDS):
        code = await report_code()
        began_at = time.perf_counter()
        await _bind(app, product_key, device_key, code)
        listed = await app.devices()
        took_ms = (time.perf_counter() - began_at) * 1000
        if device_key not in [device.device_key for device in listed.devices]:
            raise ChildError("the device was bound and is not in the user's list")
        if number >= _WARM_UP_ROUNDS:
            times_ms.append(took_ms)
        await app.unbind(product_key, device_key)
        show_progress(number + 1, round_count + _WARM_UP_ROUNDS, "rounds")
    return times_ms


async def _bind(app: AppClient, product_key: str, device_key: str, code: str) -> None:
    """As an App does, but asking again at once when the device's report has not arrived yet."""
    try:
        async with asyncio.timeout(_STEP_S):
            while True:
                try:
                    await app.bind_by_code(product_key, device_key, code)
                except RefusedError as refused:
                    if refused.code != _NO_CODE_YET:
                        raise
                else:
                    return
    except TimeoutError:
        raise ChildError(f"the bind code did not arrive in {_STEP_S:g} s") from None


class _Device:
    """Our quecIot, in this process; its calls block, so they run on a thread."""

    def __init__(self, home: Path, product: dict[str, Any], server: str) -> None:
        self._product = product
        # quecIot reads these when it is imported or initialised; nothing else in this process does.
        os.environ |= {
            "QUECIOT_HOME": str(home),
            "QUECIOT_SERVER": server,
            "QUECIOT_DK": _DEVICE_KEY,
            "QUECIOT_LAN": "off",
        }
        self._connected = asyncio.Event()

    async def start(self) -> None:
        import quecIot  # noqa: PLC0415 - it reads its environment

        loop = asyncio.get_running_loop()

        def hear(event: Any) -> None:
            if tuple(event[:2]) == _CONNECTED:
                loop.call_soon_threadsafe(self._connected.set)

        self._quec_iot = quecIot
        is_started = (
            quecIot.init()
            and quecIot.setEventCB(hear)
            and quecIot.setProductinfo(self._product["product_key"], self._product["product_secret"])
            and await asyncio.to_thread(quecIot.setConnmode, 1)
        )
        try:
            async with asyncio.timeout(_STEP_S):
                await self._connected.wait()
        except TimeoutError:
            is_started = False
        if not is_started:
            raise ChildError("the device did not connect")

    async def report_code(self) -> str:
        if not await asyncio.to_thread(self._quec_iot.bindcodeSet, None, 120):
            raise ChildError("bindcodeSet was refused")
        shown = self._quec_iot.bindcodeGet()
        assert shown is not None
        return str(shown[0])

    async def stop(self) -> None:
        await asyncio.to_thread(self._quec_iot.setConnmode, 0)


class _BareDevice:
    """The shortest client that can enrol and report a bind code."""

    def __init__(self, product: dict[str, Any], server: str) -> None:
        self._product = product
        self._host, _, port = server.removeprefix("mqtt://").rpartition(":")
        self._port = int(port)
        self._client_id = f"qd{product['product_key']}{_BARE_DEVICE_KEY}"
        self._packets = mqtt.PacketReader(from_server=True)
        self._waiting: list[mqtt.Packet] = []
        self._number = 0
        self._reading: asyncio.Task[None] | None = None
        self.acknowledged_ms: list[float] = []

    async def start(self) -> None:
        random = "".join(secrets.choice(string.ascii_letters) for _ in range(signing.RANDOM_SIZE))
        password = signing.first_login(
            self._product["product_key"], self._product["product_secret"], _BARE_DEVICE_KEY, random
        )
        self._reader, self._writer = await asyncio.open_connection(self._host, self._port)
        self._writer.write(mqtt.Connect(self._client_id, 120, True, None, password.encode()).encode())
        for packet in [await self._packet(), await self._packet()]:
            if isinstance(packet, mqtt.Publish):
                self._writer.write(mqtt.Puback(packet.packet_id).encode())

    async def report_code(self) -> str:
        if self._reading is not None:
            await self._reading
        code = "".join(secrets.choice("0123456789ABCDEF") for _ in range(16))
        self._number += 1
        fields = [(commands.BIND_CODE_CODE, code), (commands.BIND_CODE_SECONDS_LEFT, 120)]
        content = frame.encode(self._number, commands.BIND_CODE, ttlv.encode(fields))
        topic = f"q/2/d/{self._client_id}/sys"
        self._writer.write(mqtt.Publish(topic, content, 1, False, False, self._number).encode())
        self._reading = asyncio.create_task(self._await_puback(time.perf_counter()), name="PUBACK")
        return code

    async def stop(self) -> None:
        if self._reading is not None:
            await self._reading
        self._writer.close()
        await self._writer.wait_closed()

    async def _await_puback(self, sent_at: float) -> None:
        while not isinstance(await self._packet(), mqtt.Puback):
            pass
        self.acknowledged_ms.append((time.perf_counter() - sent_at) * 1000)

    async def _packet(self) -> object:
        while not self._waiting:
            async with asyncio.timeout(_STEP_S):
                data = await self._reader.read(4096)
            if not data:
                raise ChildError("the Developer Center has closed the device's connection")
            self._waiting += self._packets.feed(data)
        return self._waiting.pop(0)
