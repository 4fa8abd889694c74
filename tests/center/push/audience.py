"""Apps that listen: sessions of both protocols on a real hub and a real database, on lines that keep what they got."""

import json
from typing import Any

from quecbind.center.domain.limits import PushLimits
from quecbind.center.push.mqtt_v2 import MqttV2Session
from quecbind.center.push.ws_v1 import WsV1Session
from quecbind.center.services.push import Hub
from quecbind.center.services.views import SignedIn
from quecbind.wire import mqtt
from tests.center.services.world import World

ALL_TYPES = ["ONLINE", "STATUS", "RAW-UPLINK", "MATTR-REPORT"]


class FakeLine:
    """A line that is ready until it is told otherwise."""

    def __init__(self) -> None:
        self.written: list[Any] = []
        self.is_open = True
        self.close_code: int | None = None
        self.was_aborted = False
        self.takes = True

    def is_ready(self) -> bool:
        return self.takes

    def write(self, message) -> None:
        self.written.append(message)

    def close(self, code: int) -> None:
        self.is_open, self.close_code = False, code

    def abort(self) -> None:
        self.is_open, self.was_aborted = False, True


class FakeLink:
    """Devices that are online when a test says so, and what was sent to them."""

    def __init__(self) -> None:
        self.online: set[str] = set()
        self.sent: list[tuple[str, int, bytes, str]] = []
        self.deliveries: list[Any] = []
        self.room = 32
        # Devices that acknowledge before whoever sends to them goes on.
        self.is_quick = False

    def is_online(self, client_id: str) -> bool:
        return client_id in self.online

    def send(self, client_id: str, command: int, payload: bytes, kind: str = "sys") -> bool:
        if client_id in self.online:
            self.sent.append((client_id, command, payload, kind))
        return client_id in self.online

    def deliver(self, client_id: str, command: int, payload: bytes, kind: str, delivery) -> bool:
        if len(self.deliveries) >= self.room or not self.send(client_id, command, payload, kind):
            return False
        self.deliveries.append(delivery)
        if self.is_quick:
            self.answer()
        return True

    def answer(self, is_acknowledged: bool = True) -> None:
        """The device acknowledges what it was sent, or its session ends before."""
        taken, self.deliveries = self.deliveries, []
        for delivery in taken:
            delivery(is_acknowledged)

    def disconnect(self, client_id: str, reason: str) -> None:
        self.online.discard(client_id)


class Connection:
    """What both kinds of Apps have."""

    def __init__(self, audience: "Audience", session: WsV1Session | MqttV2Session, peer: str) -> None:
        self.audience, self.session, self.line = audience, session, FakeLine()
        subscriber = audience.hub.admit(peer, self.line, session.render)
        assert subscriber is not None
        self.subscriber = subscriber
        session.attach(subscriber, self.now)

    @property
    def now(self) -> float:
        return self.audience.world.clock.monotonic()

    def wait(self, seconds: float) -> None:
        self.audience.world.clock.move(seconds)
        self.session.handle_timer(self.now)


class V1(Connection):
    """WebSocket v1."""

    def __init__(self, audience: "Audience", peer: str = "10.1.1.1") -> None:
        super().__init__(audience, WsV1Session(), peer)

    def take(self) -> list[Any]:
        """What was said since the last time."""
        said, self.line.written = [json.loads(each) for each in self.line.written], []
        return said

    def say(self, command: str, data: object = None) -> list[Any]:
        self.session.receive(json.dumps({"cmd": command, "data": data}), self.now)
        return self.take()

    async def log_in(self, who: SignedIn) -> "V1":
        assert self.say("login", {"token": await self.audience.token(who)})[0]["cmd"] == "login_resp"
        return self

    def subscribe(self, entry, types=None, command: str = "subscribe") -> int:
        item = {
            "productKey": entry.product_key,
            "deviceKey": entry.device_key,
            "messageType": ALL_TYPES if types is None else types,
        }
        (answer,) = self.say(command, [item])
        return answer["data"][0]["code"] if "resp" in answer["cmd"] else answer["data"]["code"]

    def code(self, command: str, data: object = None) -> int:
        """The code of the one answer."""
        (answer,) = self.say(command, data)
        return answer["data"]["code"]


class V2(Connection):
    """MQTT."""

    def __init__(self, audience: "Audience", peer: str = "10.1.1.1") -> None:
        super().__init__(audience, MqttV2Session(), peer)
        self._packets = mqtt.PacketReader(from_server=True)

    def take(self) -> list[Any]:
        said, self.line.written = self._packets.feed(b"".join(self.line.written)), []
        return said

    def say(self, packet: mqtt.Packet) -> list[Any]:
        self.session.receive(packet.encode(), self.now)
        return self.take()

    async def log_in(self, who: SignedIn, keep_alive: int = 60, number: int = 1) -> "V2":
        token = (await self.audience.token(who)).encode()
        assert self.say(mqtt.Connect(f"qu_{who.uid}_{number}", keep_alive, True, None, token)) == [mqtt.Connack(0)]
        return self

    def subscribe(self, *topics: str) -> list[int]:
        (answer,) = self.say(mqtt.Subscribe(7, [(topic, 1) for topic in topics]))
        return answer.return_codes

    def publish(self, topic: str, payload: bytes, qos: int = 0) -> list[Any]:
        return self.say(mqtt.Publish(topic, payload, qos, False, False, 9 if qos else 0))


class Audience:
    """A product, a device, its owner, and a stranger of the same user domain."""

    world: World
    hub: Hub
    link: FakeLink

    @classmethod
    async def gather(cls, world: World) -> "Audience":
        self = cls()
        self.world, self.link = world, FakeLink()
        world.center.attach(self.link)
        self.hub = self.new_hub()
        self.product, self.domain = await world.product(), await world.domain()
        self.owner = await world.user(self.domain)
        (self.stranger,) = await world.users(self.domain, 1)
        self.device = await world.device(self.product)
        await world.report(self.device)
        await world.bind(self.owner, self.device)
        return self

    def new_hub(self, **limits: int) -> Hub:
        """The hub from now on: the earlier one has nobody."""
        center = self.world.center
        self.hub = Hub(
            center.storage,
            center.accounts,
            center.control,
            center.changes,
            clock=self.world.clock,
            limits=PushLimits(**limits),
        )
        return self.hub

    async def token(self, who: SignedIn) -> str:
        """A fresh sign-in's access token."""
        center = self.world.center
        user = center.storage.read(lambda tx: tx.users.get(who.uid))
        return (await center.accounts._open_session(user, "10.1.1.1")).access_token

    async def sign_out(self, connection: Connection) -> None:
        """Sign out the session with which a connection logged in."""
        assert connection.subscriber.who is not None
        await self.world.center.accounts.sign_out(connection.subscriber.who)

    async def report(self, **fields: int) -> None:
        """The device reports properties by number: report(_1=5)."""
        await self.world.frame(self.device, 0x0014, [(int(name[1:]), value) for name, value in fields.items()])

    async def unbind(self) -> None:
        await self.world.center.ownership.unbind(self.owner, self.device.product_key, self.device.device_key)

    def topic(self, name: str, direction: int = 2) -> str:
        return f"q/{direction}/d/{self.device.client_id}/{name}"
