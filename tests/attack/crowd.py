"""A running Developer Center with a crowd already signed in, and a caller who speaks HTTP by hand from any address.

The crowd is laid down before the server starts, without a password hash for each: a race of many needs many tokens,
not many sign-ins. What attacks, attacks over sockets alone.
"""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import itertools
import json
import socket
import sys
import time
import urllib.parse
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.center.services.world import World
from tests.e2e.center_process import CenterProcess
from tests.e2e.wire_by_hand import RawDevice, login_password

BINDING = "/v2/binding/enduserapi/"
ENDUSER = "/v2/enduser/enduserapi/"
CODE = "1234567890ABCDEF"
OTHER_CODE = "FEDCBA0987654321"
AT_ONCE = 50  # the server turns more away
STEPPED = Path(__file__).with_name("stepped_clock.py")
EMAIL, PASSWORD = "ann@example.com", "secret1!"  # of the first of the crowd


@dataclass
class Product:
    key: str
    secret: str


@dataclass
class Caller:
    """Somebody with an address of their own on the loopback network, with or without a token."""

    center: CenterProcess
    address: str
    token: str = ""
    uid: str = ""
    refresh_token: str = ""

    def call(self, method: str, path: str, body: object = None, /, **query: object) -> dict[str, Any]:
        headers = {"Authorization": self.token} if self.token else {}
        content = None
        if body is not None:
            content = body if isinstance(body, bytes) else json.dumps(body).encode()
            headers["Content-Type"] = "application/json"
        if query:
            path += "?" + urllib.parse.urlencode(query)
        _, _, answer = self.request(method, path, content, headers)
        return json.loads(answer)

    def request(
        self, method: str, path: str, content: bytes | None = None, headers: dict[str, str] | None = None
    ) -> tuple[int, list[tuple[str, str]], bytes]:
        """Status, headers, body."""
        line = http.client.HTTPConnection(
            self.center.host, self.center.http_port, timeout=20, source_address=(self.address, 0)
        )
        try:
            line.request(method, path, content, headers or {})
            answer = line.getresponse()
            return answer.status, answer.getheaders(), answer.read()
        finally:
            line.close()

    def raw(self, data: bytes, within_s: float = 10) -> bytes:
        """All that the server says to these bytes until it closes; ends the test when it does not."""
        with socket.create_connection((self.center.host, self.center.http_port), within_s) as line:
            said = bytearray()
            try:
                line.sendall(data)
                while more := line.recv(65536):
                    said += more
            except (ConnectionResetError, BrokenPipeError):
                pass  # closed while we still spoke
            return bytes(said)

    def bind(self, product: Product, dk: str, code: object, **more: object) -> int:
        body = {"productKey": product.key, "deviceKey": dk, "bindingCode": code, **more}
        return self.call("POST", BINDING + "v2/deviceBindingByWifi", body)["code"]

    def unbind(self, product: Product, dk: str) -> int:
        return self.call("DELETE", BINDING + "unbundlingDeviceDk", pk=product.key, dk=dk)["code"]

    def device_keys(self) -> list[str]:
        answer = self.call("GET", BINDING + "userDeviceList", page=1, pageSize=100)
        assert answer["code"] == 200, answer
        return [device["deviceKey"] for device in answer["data"]["list"]]


@dataclass
class Crowd:
    """The server, three products (single, multi, alternate), and a row of people who have not met before."""

    center: CenterProcess
    products: dict[str, Product]
    domain: str
    domain_secret: str
    tokens: list[tuple[str, str, str]]
    public_key: str
    _people: Iterator[int] = field(default_factory=itertools.count)
    devices: list[Device] = field(default_factory=list)
    device_secrets: list[str] = field(default_factory=list)
    _device_keys: Iterator[int] = field(default_factory=lambda: itertools.count(861000000000000))
    _ahead_s: float = 0

    def step(self, seconds: float) -> None:
        """The clock of the server goes ahead; needs `has_stepped_clock`."""
        self._ahead_s += seconds
        told = self.center.data.parent / "ahead"
        told.with_suffix(".new").write_text(str(self._ahead_s))
        told.with_suffix(".new").rename(told)

    def now_ms(self) -> int:
        """What the server's clock shows."""
        return int((time.time() + self._ahead_s) * 1000)

    @property
    def single(self) -> Product:
        return self.products["single"]

    def secrets(self) -> Iterator[str]:
        """What nobody may find in a log."""
        yield self.domain_secret
        yield from (product.secret for product in self.products.values())
        for _, *pair in self.tokens:
            yield from (token.removeprefix("Bearer ") for token in pair)
        yield from self.device_secrets

    def person(self, address: str | None = None) -> Caller:
        """The next of the crowd, at an address nobody else has used."""
        number = next(self._people)
        uid, token, refresh = self.tokens[number]
        return Caller(self.center, address or f"127.1.{number // 250}.{number % 250 + 1}", token, uid, refresh)

    def people(self, count: int) -> list[Caller]:
        return [self.person() for _ in range(count)]

    def device(self, product: Product | None = None) -> Device:
        self.devices.append(Device(self, product or self.single, str(next(self._device_keys))))
        return self.devices[-1]


class Device:
    """A device that has enrolled; its connection stays open until the test ends, or `leave`."""

    def __init__(self, crowd: Crowd, product: Product, dk: str) -> None:
        self.crowd, self.product, self.dk = crowd, product, dk
        self.link = RawDevice(crowd.center.mqtt_port, product.key, dk)
        self.secret = self._enrolled()
        self._packet_ids = itertools.count(2)

    def report(self, code: str = CODE, seconds: int | None = 120) -> None:
        self.link.report_bind_code(code, seconds, next(self._packet_ids))

    def tell(self, command: int, payload: bytes) -> None:
        """And its PUBACK: the Developer Center has it."""
        packet_id = next(self._packet_ids)
        self.link.publish(command, payload, packet_id)
        self.link.wait_puback(packet_id)

    def log_in(self, secret: str | None = None) -> int | None:
        """On a new connection; CONNACK's return code."""
        self.link.socket.close()
        self.link = RawDevice(self.crowd.center.mqtt_port, self.product.key, self.dk)
        return self.link.connect(login_password(self.product.secret, secret or self.secret))

    def enrol_again(self) -> None:
        self.link.socket.close()
        self.link = RawDevice(self.crowd.center.mqtt_port, self.product.key, self.dk)
        self.secret = self._enrolled()

    def _enrolled(self) -> str:
        self.crowd.device_secrets.append(self.link.enrol(self.product.secret))
        return self.crowd.device_secrets[-1]

    def leave(self) -> None:
        self.link.socket.close()

    def owners(self) -> list[str]:
        status, shown = self.crowd.center.operator("GET", f"/devices/{self.product.key}/{self.dk}")
        assert status == 200, shown
        return [owner["uid"] for owner in shown["owners"]]

    def bound_to(self, owner: Caller) -> Device:
        self.report()
        assert owner.bind(self.product, self.dk, CODE) == 200
        return self


def run_crowd(place: Path, count: int, *options: str, has_stepped_clock: bool = False) -> Iterator[Crowd]:
    """Lay a crowd of `count` down in `place`, serve it, stop it."""
    data = place / "data"
    laid = asyncio.run(_lay_down(data, count))
    center = CenterProcess(data, place / "serve.log", options=options)
    if has_stepped_clock:
        center.command = (sys.executable, str(STEPPED), str(place / "ahead"))
    crowd = Crowd(center.start(), *laid)
    try:
        yield crowd
    finally:
        if center.process is not None:
            assert center.stop() == 0
    said = center.log.read_text()
    assert [secret for secret in crowd.secrets() if secret in said] == []


# For a test that needs a crowd of its own.
own_crowd = contextlib.contextmanager(run_crowd)


async def _lay_down(data: Path, count: int) -> tuple[dict[str, Product], str, str, list[tuple[str, str, str]], str]:
    from quecbind.center.system import SystemClock

    world = await World.open(data, clock=SystemClock())  # type: ignore[arg-type]  # tokens must be good today
    try:
        products = {}
        for mode in ("single", "multi", "alternate"):
            made = await world.product(name=mode, bind_mode=mode)
            products[mode] = Product(made.product_key, made.product_secret)
        domain = await world.domain()
        first = await world.user(domain, EMAIL)
        people = [first, *await world.users(domain, count - 1)]
        read, accounts = world.center.storage.read, world.center.accounts
        users = read(lambda tx: [tx.users.get(who.uid) for who in people])
        pairs = []
        for start in range(0, count, AT_ONCE):
            few = users[start : start + AT_ONCE]
            pairs += await asyncio.gather(*(accounts._open_session(user, "") for user in few))
        tokens = [
            (str(who.uid), pair.access_token, pair.refresh_token) for who, pair in zip(people, pairs, strict=True)
        ]
        public_key = read(lambda tx: tx.signing_keys.all()[0].public_key)
        return products, domain.user_domain, domain.user_domain_secret, tokens, public_key
    finally:
        await world.center.close()
