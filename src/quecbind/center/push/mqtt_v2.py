"""MQTT 3.1.1 over WebSocket v2 (app-api.md D2), the App's side: packets in, packets out. No I/O and no clock.

The story: CONNECT with the access token as password and a client id that begins `qu_<uid>_`; SUBSCRIBE to topics of
devices the user has a right to now, each by its full name; PUBLISH commands. A session is never kept, messages go out
with QoS 0, a will is ignored. A topic of a device that is not the user's, one of a device that does not exist and one
that makes no sense are refused alike, with 0x80. What is outside the standard ends the connection, and so does QoS 2,
which no App uses.
"""

import json
import re
from collections.abc import Iterable
from typing import Final, get_args

from quecbind.center.domain import json_text
from quecbind.center.domain.control import Command
from quecbind.center.domain.ids import ClientId
from quecbind.center.domain.rates import Pace
from quecbind.center.domain.refusal import Refused
from quecbind.center.push import messages
from quecbind.center.push.messages import Json
from quecbind.center.services.changes import (
    ADDED,
    Change,
    Controlled,
    EventReported,
    Located,
    PresenceChanged,
    Reported,
    RightChanged,
    SessionEnded,
)
from quecbind.center.services.downlink import Downlink
from quecbind.center.services.handed import Handed, NotHanded, Why
from quecbind.center.services.subscriber import MessageKind, Subscriber
from quecbind.wire import commands, frame, mqtt
from quecbind.wire.errors import FrameError, MqttError

SILENCE_S: Final = 130
MAX_SILENCE_S: Final = 900
GRACE: Final = 1.5  # MQTT 3.1.1, 3.1.2.10
MAX_PACKET: Final = 65_536

WRONG_LEVEL, BAD_CREDENTIALS, UNAVAILABLE = 1, 4, 3  # CONNACK return codes
REFUSED: Final = 0x80

NOT_BOUND, OPERATION_UNKNOWN, NOT_SENT, NO_MODEL, PROPERTY_FORMAT, OFFLINE = 4007, 4015, 4017, 4020, 4028, 4030
_CODE_BY_WHY: Final[dict[Why, int]] = {
    "no right": NOT_BOUND,
    "not allowed": OPERATION_UNKNOWN,
    "malformed": PROPERTY_FORMAT,
    "no model": NO_MODEL,
    "too large": PROPERTY_FORMAT,
    "offline": OFFLINE,
    "busy": NOT_SENT,
    "full": NOT_SENT,
    "failed": NOT_SENT,
}
_NO_RIGHT: Final = NotHanded("no right", "device is not bound")
_UNKNOWN: Final = NotHanded("not allowed", "there is no such type of operation")
_MALFORMED: Final = NotHanded("malformed", "the message is malformed")

_TOPIC: Final = re.compile(r"q/([12])/d/(qd[0-9A-Za-z]{2,64})/(bus|ack|onl|ota|inf|loc|sys)(_?)")
_CLIENT_ID: Final = re.compile(r"qu_([0-9A-Za-z]{1,64})_[0-9]{1,20}")
_SUFFIX_BY_COMMAND: Final = {
    commands.TSL_REPORT: "bus",
    commands.TSL_READ_ANSWER: "bus",
    commands.TRANSPARENT_UP: "bus",
    commands.STATUS_REPORT: "sys",
    commands.INFO_REPORT: "inf",
}
_ALL_KINDS: Final[tuple[MessageKind, ...]] = get_args(MessageKind)


class MqttV2Session:
    """One connection. `attach` gives it its subscriber; then `receive`, `heard` and `handle_timer` drive it."""

    def __init__(self) -> None:
        self._subscriber: Subscriber
        self._pace: Pace
        self._reader = mqtt.PacketReader(max_packet=MAX_PACKET)
        self._log_in_by = 0.0
        self._silence_s: float = SILENCE_S
        self._silent_at = 0.0
        self._token_ends_at: float | None = None
        # Topics as they were subscribed to, with or without the underscore, of each device.
        self._topics_by_device: dict[ClientId, set[str]] = {}

    def attach(self, subscriber: Subscriber, now: float) -> None:
        """The connection begins. `now` is in seconds that never go back."""
        self._subscriber = subscriber
        self._pace = Pace(subscriber.limits)
        self._log_in_by = now + subscriber.limits.push_log_in_time_s
        self.heard(now)

    def heard(self, now: float) -> None:
        """The App is there: a ping, or anything else."""
        self._silent_at = now + self._silence_s

    def next_timer(self) -> float:
        """When `handle_timer` has something to do at the earliest."""
        if self._token_ends_at is None:
            return self._log_in_by
        return min(self._silent_at, self._token_ends_at)

    def handle_timer(self, now: float) -> None:
        """End the connection if its time is over."""
        if now < self.next_timer():
            return
        if self._token_ends_at is None:
            self._subscriber.end("log_in_time")
        else:
            self._subscriber.end("token_expired" if now >= self._token_ends_at else "silent")

    def receive(self, data: str | bytes, now: float) -> None:
        """Take what one WebSocket message brought: packets, or parts of some."""
        if isinstance(data, str):
            self._subscriber.end("unreadable")
            return
        self.heard(now)
        refusal: MqttError | None = None
        try:
            packets = self._reader.feed(data)
        except MqttError as error:
            packets, refusal = error.packets, error
        for packet in packets:
            if self._subscriber.is_over:
                return
            if not self._pace.take(now):
                self._subscriber.end("too_fast")
                return
            self._serve(packet, now)
        if refusal is not None:
            if self._token_ends_at is None and refusal.return_code:
                self._put(mqtt.Connack(refusal.return_code))
            self._subscriber.end("unreadable")

    def render(self, change: Change, now_ms: int, ticket: str) -> Iterable[bytes]:
        """How a change reads; see `services.subscriber.Render`."""
        if isinstance(change, SessionEnded):
            return
        client_id = change.client_id
        suffix = _suffix(change)
        if suffix is None:
            return
        topics = self._topics_by_device.get(client_id, set())
        wanted = [_topic(client_id, name) for name in (suffix, suffix + "_") if name in topics]
        if isinstance(change, RightChanged):
            # Without a subscription there is nothing to revoke, and a client that would be surprised.
            if not topics:
                return
            wanted = wanted or [_topic(client_id, "sys_")]
            if change.value != ADDED:
                self._topics_by_device.pop(client_id, None)
        if isinstance(change, Controlled):
            content: Json | None = _result(change)
        else:
            content = messages.message(change, now_ms, ticket) if wanted else None
        if content is not None:
            payload = _json(content)
            for topic in wanted:
                yield mqtt.Publish(topic, payload, 0, False, False, 0).encode()

    def _serve(self, packet: mqtt.Packet, now: float) -> None:
        if isinstance(packet, mqtt.Connect):
            self._connect(packet, now)
        elif self._subscriber.who is None:
            self._subscriber.end("unreadable")
        elif isinstance(packet, mqtt.Subscribe):
            self._subscribe(packet, now)
        elif isinstance(packet, mqtt.Unsubscribe):
            if not self._takes(len(packet.filters), now):
                return
            for topic_filter in packet.filters:
                self._unsubscribe(topic_filter)
            self._put(mqtt.Unsuback(packet.packet_id))
        elif isinstance(packet, mqtt.Publish):
            self._publish(packet)
        elif isinstance(packet, mqtt.Pingreq):
            self._put(mqtt.Pingresp())
        elif isinstance(packet, mqtt.Disconnect):
            self._subscriber.end("disconnected", 1000)
        elif not isinstance(packet, mqtt.Puback):
            self._subscriber.end("unreadable")

    def _connect(self, packet: mqtt.Connect, now: float) -> None:
        if self._subscriber.who is not None:
            self._subscriber.end("unreadable")
            return
        if packet.level != 4:
            self._put(mqtt.Connack(WRONG_LEVEL))
            self._subscriber.end("unreadable")
            return
        name = _CLIENT_ID.fullmatch(packet.client_id)
        if packet.user_name or name is None or not packet.password:
            self._refuse(BAD_CREDENTIALS, "log_in_refused")
            return
        token = packet.password.decode("latin-1")
        answer, seconds_left = self._subscriber.log_in(token, uid=name[1], name=packet.client_id)
        if answer == "full":
            self._refuse(UNAVAILABLE, "refused_user")
        elif answer != "ok":
            self._refuse(BAD_CREDENTIALS, "log_in_refused")
        else:
            self._token_ends_at = now + seconds_left
            self._silence_s = min(packet.keep_alive * GRACE, MAX_SILENCE_S) or SILENCE_S
            self.heard(now)
            self._put(mqtt.Connack(0))

    def _refuse(self, code: int, reason: str) -> None:
        self._put(mqtt.Connack(code))
        self._subscriber.end(reason)

    def _subscribe(self, packet: mqtt.Subscribe, now: float) -> None:
        if not self._takes(len(packet.filters), now):
            return
        self._put(mqtt.Suback(packet.packet_id, [self._grant(topic_filter) for topic_filter, _ in packet.filters]))

    def _takes(self, topic_count: int, now: float) -> bool:
        # Seven topics of a device are one piece of work.
        is_taken = self._pace.take(now, topic_count // 7)
        if not is_taken:
            self._subscriber.end("too_fast")
        return is_taken

    def _grant(self, topic_filter: str) -> int:
        topic = _TOPIC.fullmatch(topic_filter)
        if topic is None:
            return REFUSED
        client_id, name = ClientId(topic[2]), topic[3] + topic[4]
        if not self._subscriber.is_subscribed(client_id):
            self._topics_by_device.pop(client_id, None)  # of a right that has ended
        if self._subscriber.subscribe(client_id, _ALL_KINDS) != "ok":
            return REFUSED
        if topic[1] == "2":
            self._topics_by_device.setdefault(client_id, set()).add(name)
        return 0

    def _unsubscribe(self, topic_filter: str) -> None:
        topic = _TOPIC.fullmatch(topic_filter)
        if topic is None or topic[1] != "2":
            return
        client_id = ClientId(topic[2])
        topics = self._topics_by_device.get(client_id, set())
        topics.discard(topic[3] + topic[4])
        if not topics:
            self._topics_by_device.pop(client_id, None)
            self._subscriber.forget(client_id)

    def _publish(self, packet: mqtt.Publish) -> None:
        topic = _TOPIC.fullmatch(packet.topic)
        if packet.qos == 2 or topic is None or topic[1] != "1" or topic[3] not in {"sys", "bus"}:
            self._subscriber.end("not_allowed")
            return
        client_id = ClientId(topic[2])
        message_id, asked = self._asked(client_id, topic[3], packet.payload)
        if self._subscriber.is_over:
            return
        if packet.qos:
            self._put(mqtt.Puback(packet.packet_id))
        if isinstance(asked, NotHanded):
            self._answer(client_id, message_id, asked)
        else:
            self._subscriber.ask(
                client_id, asked, message_id, lambda handed: self._answer(client_id, message_id, handed)
            )

    def _asked(
        self, client_id: ClientId, kind: str, payload: bytes
    ) -> tuple[int | str, NotHanded | Command | Downlink]:
        """What was published, and the App's own number for it."""
        message_id: int | str = 0
        content: object = None
        try:
            if payload[:2] == b"\xaa\xaa" and kind == "bus":
                message_id, command, fields = frame.decode(payload)
                content = Downlink(command, fields)
            else:
                content = json_text.loads(payload)
        except (ValueError, FrameError):
            pass
        if isinstance(content, dict):
            message_id = _message_id(content.get("msgId", 0))
        # Whatever it was: who has no right learns only that.
        if not self._subscriber.has_right(client_id):
            return message_id, _NO_RIGHT
        if isinstance(content, Downlink):
            return message_id, content
        if not isinstance(content, dict):
            return message_id, _MALFORMED
        if self._subscriber.client_id_of(str(content.get("productKey")), str(content.get("deviceKey"))) != client_id:
            return message_id, _NO_RIGHT
        return message_id, _command(content)

    def _answer(self, client_id: ClientId, message_id: int | str, answer: Handed | NotHanded) -> None:
        """Say what became of a command. What was handed over has its result when the device has acknowledged it."""
        if isinstance(answer, Handed):
            if answer.is_kept:
                content = {"status": "succ", "msg": "kept for the device", "msgId": message_id, "ticket": answer.ticket}
                self._acknowledge(client_id, content)
            return
        code = _CODE_BY_WHY[answer.why]
        self._say(client_id, "sys_", {"code": code, "msg": answer.sentence, "msgId": message_id})
        if code != NOT_BOUND:
            self._acknowledge(client_id, {"status": "fail", "msg": answer.sentence, "msgId": message_id, "code": code})

    def _acknowledge(self, client_id: ClientId, content: Json) -> None:
        for name in sorted({"ack", "ack_"} & self._topics_by_device.get(client_id, set())):
            self._say(client_id, name, content)

    def _say(self, client_id: ClientId, name: str, content: Json) -> None:
        self._put(mqtt.Publish(_topic(client_id, name), _json(content), 0, False, False, 0))

    def _put(self, packet: mqtt.Packet) -> None:
        self._subscriber.put(packet.encode())


def _message_id(given: object) -> int | str:
    return given if isinstance(given, int | str) and len(str(given)) <= 64 else 0


def _command(asked: Json) -> Command | NotHanded:
    try:
        kv = json_text.loads(asked.get("kv"))
    except ValueError:
        return NotHanded("malformed", "kv is no JSON in a text")
    operation = asked.get("type")
    kind = messages.KIND_BY_OPERATION.get(operation) if isinstance(operation, str) else None
    if kind is None:
        return _UNKNOWN
    keep = messages.keep(asked)
    if isinstance(keep, Refused):
        return NotHanded("malformed", keep.sentence)
    return Command(kind, asked=kv, keep=keep)


def _result(change: Controlled) -> Json:
    status, sentence = ("succ", "success") if change.is_acknowledged else ("fail", "the device has not acknowledged it")
    return {"status": status, "msg": sentence, "msgId": change.message_id, "ticket": change.ticket}


def _suffix(change: Change) -> str | None:
    if isinstance(change, Controlled):
        return "ack"
    if isinstance(change, RightChanged):
        return "sys"
    if isinstance(change, PresenceChanged):
        return "onl"
    if isinstance(change, Located):
        return "loc"
    if isinstance(change, EventReported):
        return "bus"
    return _SUFFIX_BY_COMMAND.get(change.command) if isinstance(change, Reported) else None


def _topic(client_id: ClientId, name: str) -> str:
    return f"q/2/d/{client_id}/{name}"


def _json(content: Json) -> bytes:
    return json.dumps(content, separators=(",", ":")).encode()
