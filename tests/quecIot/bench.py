"""A device on the bench: the agent with a clock that is moved by hand, files in memory, and the Developer Center's
side of its connection, built on `quecbind.wire` alone.
"""

from __future__ import annotations

from typing import Any

from quecbind.wire import commands, frame, mqtt, signing, topics, ttlv
from quecIot import _codes
from quecIot._agent import Agent
from quecIot._bind_window import BindWindow
from quecIot._board import Board
from quecIot._profile import DEFAULTS, LATER, Profile
from quecIot._store import Store

PK = "p1115X"
PS = "d2c5Q1FsVWpwT1k3"
DK = "861122334455667"
DS = "abcdefghijklmnopqrstuvwxyz012345"
NEW_DS = "N" * 32
SERVER = "center.example:1883"
CODE = "0123456789ABCDEF"
KEY = bytes(range(16))

READY_EVENTS = [(_codes.CONN, _codes.OK), (_codes.SUBSCRIBE, _codes.OK)]
ENROLLED_EVENTS = [(_codes.AUTH, _codes.OK), *READY_EVENTS]


class MemoryFiles:
    """`_platform.Files` on a dict."""

    def __init__(self) -> None:
        self.content: dict[str, bytes] = {}
        self.is_writable = True

    def read(self, path: str) -> bytes | None:
        return self.content.get(path)

    def make_directory(self, path: str) -> None:
        pass

    def create(self, path: str) -> None:
        if not self.is_writable:
            raise OSError(30, "Read-only file system")
        self.content[path] = b""

    def write(self, path: str, data: bytes) -> None:
        self.content[path] = data

    def rename(self, old: str, new: str) -> None:
        self.content[new] = self.content.pop(old)

    def sync_directory(self, path: str) -> None:
        pass


class CountingEntropy:
    """Bytes that never repeat within a test and are the same in every run."""

    def __init__(self) -> None:
        self._next = 0

    def __call__(self, count: int) -> bytes:
        self._next += 1
        return bytes((self._next * 7 + at * 13) % 248 for at in range(count))


class Bench:
    def __init__(self, secret: str = DS, server_override: str = "", **values: Any) -> None:
        self.now = 1000.0
        self.files = MemoryFiles()
        self.logged: list[str] = []
        self.entropy = CountingEntropy()
        self._override = server_override
        self.store = self._open_store()
        self.store.save({"product_key": PK, "product_secret": PS, "server": SERVER, "device_secret": secret, **values})
        self._build()

    def _open_store(self) -> Store:
        store = Store("/home", DK + ".json", self.files, DEFAULTS, LATER)  # type: ignore[arg-type]
        store.load(self.log)
        return store

    def _build(self) -> None:
        self.profile = Profile(self.store, DK, self._override, self.entropy)
        self.window = BindWindow(self.store.values["bind_code"] or None)
        board = Board(self.files, "/")  # type: ignore[arg-type]
        self.agent = Agent(self.profile, self.window, board, self.entropy, self.log)
        self._reader = mqtt.PacketReader()
        self._number = 0

    def restart(self) -> None:
        """Power off and on: only the files are left."""
        self.store = self._open_store()
        self._build()

    def log(self, level: str, text: str) -> None:
        self.logged.append(text)

    # --- time ---

    def advance(self, seconds: float) -> None:
        """Moves the clock, stopping at every timer as the I/O thread does."""
        end = self.now + seconds
        for _ in range(10000):
            timer = self.agent.next_timer()
            if timer is None or timer > end:
                break
            self.now = max(self.now, timer)
            self.agent.handle_timer(self.now)
        else:
            raise AssertionError("a timer is never satisfied")
        self.now = end

    # --- the owner of the sockets ---

    def open(self) -> mqtt.Connect:
        """Opens the connection the agent wants; its CONNECT."""
        link = self.agent.link()
        assert link is not None, "the agent wants no connection"
        self._reader = mqtt.PacketReader()
        self._number = link.number
        self.agent.link_up(link.number, self.now)
        (packet,) = self.sent()
        assert isinstance(packet, mqtt.Connect)
        return packet

    def lose(self) -> None:
        self.agent.link_lost(self._number, self.now)

    def sent(self) -> list[Any]:
        """MQTT packets that left since the last call."""
        return list(self._reader.feed(self.agent.data_to_send()))

    def receive(self, *packets: Any) -> None:
        self.agent.receive_data(b"".join(packet.encode() for packet in packets), self.now)

    def events(self) -> list[tuple[Any, ...]]:
        return self.agent.take_events()

    # --- the Developer Center ---

    def connect(self) -> mqtt.Connect:
        """Up to and including SUBSCRIBE."""
        if not self.agent.mode:
            self.agent.start()
        packet = self.open()
        self.receive(mqtt.Connack(0))
        return packet

    def ready(self) -> None:
        """Connected with a secret, first reports acknowledged, nothing left to see."""
        self.connect()
        self.receive(mqtt.Suback(1, [1]))
        self.acknowledge()
        assert self.events() == READY_EVENTS

    def acknowledge(self) -> list[frame.Frame]:
        """Acknowledges PUBLISHes with QoS 1 until there is none; their frames."""
        frames = []
        while True:
            publishes = [packet for packet in self.sent() if isinstance(packet, mqtt.Publish)]
            if not publishes:
                return frames
            for publish in publishes:
                frames.append(frame.decode(publish.payload))
                if publish.qos == 1:
                    self.receive(mqtt.Puback(publish.packet_id))

    def downlink(
        self, command: int, payload: bytes = b"", packet_id: int = 7, qos: int = 1, key: bytes = b"", **topic: str
    ) -> mqtt.Publish:
        data = frame.encode(packet_id, command, payload)
        if key:
            data = signing.session_encrypt(key, data)
        name = topic.get("topic") or topics.downlink("qd" + PK + DK, topic.get("kind", "sys"))
        return mqtt.Publish(name, data, qos, packet_id=9 if qos else 0)

    def configure(self, *fields: tuple[int, Any]) -> None:
        self.receive(self.downlink(commands.CONFIGURE, ttlv.encode(list(fields))))

    def refuse(self, code: int) -> None:
        self.receive(self.downlink(commands.EXCEPTION_DOWN, ttlv.encode([(1, code)])))

    def window_open(self, code: str = CODE, seconds: int = 120) -> None:
        """bindcodeSet, without its arguments' checks."""
        self.profile.save(bind_code=code)
        self.window.open(code, seconds, self.now)
        self.agent.report_bind_code(self.now)


def fields_of(one: frame.Frame) -> dict[int, Any]:
    return dict(ttlv.decode(one.payload))
