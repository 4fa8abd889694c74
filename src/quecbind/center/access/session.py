"""One device's MQTT connection as a state machine: bytes and verdicts in, bytes and questions out; no I/O, no clock.

    authenticating --CONNECT--> deciding --Accepted---> connected --silence, violation, DISCONNECT--> closed
          |                        |-----Complaint, StartOver--> complaining --5 s--> closed
          `--10 s, violation--.    `-----Denied (CONNACK 5), Unavailable (nothing)--> closed

The session never decides who may log in and never stores: it hands out `mqtt.Connect` and `Message` values, and
whoever runs it brings the answers back with `answer_connect` and `answer_message`.

What a device gets is what real devices need, which is not all of MQTT:
- The same CONNECT again on one connection is a device that got no answer in time; a different one is a violation.
- Always a clean session; a will is ignored; nothing is retained; a device may subscribe to its own downlink and publish
  to its own uplink, and to nothing else.
- Downlink is QoS 1, which is all that devices handle well, with ids that they take: `departures`. It does not depend on
  a subscription, because devices take what they did not ask for.
- What it publishes is acknowledged in order, and only when it is safe: `arrivals`.
- A refused SUBSCRIBE gets 0x80. MQTT 3.1 has no such code and a client would read it as granted, so there the
  connection is closed.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from quecbind.center.access.arrivals import ANSWERED, NEW, TOO_MANY, Arrivals, Message
from quecbind.center.access.departures import Acknowledged, Departures
from quecbind.center.domain.connection import Accepted, Complaint, Denied, StartOver, Unavailable
from quecbind.center.domain.ids import Secret
from quecbind.center.services.ports import Delivery
from quecbind.center.services.registry import DeviceEntry
from quecbind.wire import commands, frame, mqtt, signing, topics, ttlv
from quecbind.wire.errors import CipherError, FrameError, MqttError

Verdict: TypeAlias = Accepted[DeviceEntry] | StartOver | Complaint | Denied | Unavailable

AUTHENTICATING: Final = "authenticating"
DECIDING: Final = "deciding"
CONNECTED: Final = "connected"
COMPLAINING: Final = "complaining"
CLOSED: Final = "closed"

MAX_CLIENT_ID = 66  # "qd" and two keys of 32
MAX_PACKET_BEFORE_LOG_IN = 2048
MAX_HELD_BEFORE_LOG_IN = 16
COMPLAINT_S = 5.0  # the device is expected to hang up itself by then
LINGER_S = 5.0  # time a closed connection has to take its last bytes

_KINDS = ("sys", "bus", "ota")
_CONNACK_ACCEPTED = b"\x20\x02\x00\x00"
_CONNACK_WRONG_CLIENT_ID = b"\x20\x02\x00\x02"
_CONNACK_NOT_AUTHORIZED = b"\x20\x02\x00\x05"
_PINGRESP = b"\xd0\x00"
_USUAL_SUBACK = b"\x90\x03\x00\x01\x01"
_REFUSED_FILTER = 0x80


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionLimits:
    """What a session allows its device; one object serves all sessions. Spans in seconds, sizes in bytes."""

    log_in_time_s: float = 10.0
    max_keep_alive_s: float = 1800.0
    max_packet_size: int = 65_600
    max_unanswered: int = 64


Ask: TypeAlias = mqtt.Connect | Message | Acknowledged
_NOTHING: Sequence[Ask] = ()


class Session:
    """One connection, from accept to close.

    Attributes:
        phase: one of the five words of the drawing above.
        client_id: what CONNECT said; empty before it.
        entry: the device, once it is connected.
        close_reason: why it was closed, as a word to count by; empty while open.
        is_full: whether the device sent faster than it can be answered, and must not be read from for now.
        unreadable_count: messages acknowledged and dropped because they held no frame, or one of another topic.
    """

    __slots__ = (
        "_arrivals",
        "_connect_key",
        "_deadline",
        "_departures",
        "_heard_at",
        "_is_fresh",
        "_keep_alive_s",
        "_level",
        "_limits",
        "_out",
        "_reader",
        "_secret_is_new",
        "_session_key",
        "_uplink",
        "_waiting",
        "client_id",
        "close_reason",
        "entry",
        "is_full",
        "phase",
        "unreadable_count",
    )

    def __init__(self, limits: SessionLimits, now: float) -> None:
        self.phase: str = AUTHENTICATING
        self.client_id = ""
        self.entry: DeviceEntry | None = None
        self.close_reason = ""
        self.is_full = False
        self.unreadable_count = 0
        self._limits = limits
        self._reader = mqtt.PacketReader(MAX_PACKET_BEFORE_LOG_IN)
        self._out: list[bytes] = []
        self._deadline = now + limits.log_in_time_s
        self._heard_at = now
        self._keep_alive_s = 0.0
        self._level = 4
        self._is_fresh = False
        self._connect_key = 0
        self._uplink = ""
        self._session_key: bytes | None = None
        self._secret_is_new = False
        # Most sessions never need these; an empty container for each of 100,000 would cost more than the sessions.
        self._departures: Departures | None = None
        self._waiting: deque[mqtt.Packet] | None = None
        self._arrivals: Arrivals | None = None

    # What came in

    def receive_data(self, data: bytes, now: float) -> Sequence[Ask]:
        """Take what arrived; gives what must be asked, in order, each answered exactly once."""
        if self.phase is CLOSED or self.phase is COMPLAINING:
            return _NOTHING
        self._heard_at = now
        if self._is_fresh:
            self._is_fresh = False
            if data == _usual_subscribe(self.client_id):
                self._out.append(_USUAL_SUBACK)
                return _NOTHING
        try:
            packets = self._reader.feed(data)
        except MqttError as error:
            return self._refuse(error, now)
        if self._waiting:
            self._hold(packets, now)
            return _NOTHING
        return self._serve(packets, now)

    def answer_connect(self, verdict: Verdict, now: float) -> Sequence[Ask]:
        """Bring the verdict on the `mqtt.Connect` that was handed out; gives what is to be asked next."""
        if self.phase is not DECIDING:
            return _NOTHING
        if isinstance(verdict, Accepted):
            self._accept(verdict, now)
            return self._resume(now) if self._waiting else _NOTHING
        self._waiting = None
        if isinstance(verdict, Complaint | StartOver):
            self._out.append(_CONNACK_ACCEPTED)
            if isinstance(verdict, StartOver):
                self._push(commands.CONFIGURE, ttlv.encode([(commands.CONFIGURE_AUTHENTICATE, True)]), "sys", now)
            else:
                self._push(commands.EXCEPTION_DOWN, ttlv.encode([(commands.EXCEPTION_CODE, verdict.code)]), "sys", now)
            self.phase = COMPLAINING
            self._deadline = now + COMPLAINT_S
            return _NOTHING
        if isinstance(verdict, Denied):
            self._out.append(_CONNACK_NOT_AUTHORIZED)
            self.close("denied", now)
        else:
            self.close("unavailable", now)
        return _NOTHING

    def answer_message(self, message: Message, now: float) -> Sequence[Ask]:
        """Say that a `Message` is safe; acknowledges all that are safe from the oldest on. Gives what was held back."""
        message.is_answered = True
        arrivals = self._arrivals
        if arrivals is None or self.phase is not CONNECTED:
            return _NOTHING
        for safe in arrivals.take_answered():
            self._confirm(safe.qos, safe.packet_id)
        if self._waiting and arrivals.is_drained:
            self._heard_at = now
            return self._resume(now)
        return _NOTHING

    # What goes out

    def data_to_send(self) -> bytes:
        """The bytes to write now; each is given once."""
        out = self._out
        if not out:
            return b""
        data = out[0] if len(out) == 1 else b"".join(out)
        out.clear()
        return data

    def send_frame(self, command: int, payload: bytes, kind: str, now: float, delivery: Delivery | None = None) -> bool:
        """Send one frame to the device; False when it is not connected or has too many unacknowledged.

        Args:
            delivery: comes back in an `Acknowledged`, or from `take_undelivered`.

        Raises:
            FrameError: the payload is too large for a frame.
        """
        return self.phase is CONNECTED and self._push(command, payload, kind, now, delivery)

    def take_undelivered(self) -> list[Delivery]:
        """What was sent, was to be followed and is not acknowledged; for when the session is over."""
        departures, self._departures = self._departures, None
        return [] if departures is None else departures.undelivered()

    def close(self, reason: str, now: float) -> None:
        """End the session. What `data_to_send` still holds may go out before the connection is cut."""
        if self.phase is CLOSED:
            return
        self.phase = CLOSED
        self.close_reason = reason
        self._deadline = now + LINGER_S
        self.is_full = False
        self._waiting = self._arrivals = None

    # Time

    def next_timer(self) -> float | None:
        """When `handle_timer` is due; None while the device is not read from, for its silence is ours then."""
        if self.phase is CONNECTED:
            return None if self._waiting else self._heard_at + self._keep_alive_s
        return self._deadline

    def handle_timer(self, now: float) -> None:
        """Act on the time that has passed: too slow to log in, silent, done complaining."""
        due = self.next_timer()
        if due is None or now < due:
            return
        if self.phase is CONNECTED:
            self.close("silent", now)
        elif self.phase is COMPLAINING:
            self.close("complaint", now)
        else:
            self.close("slow_log_in", now)

    # Packets

    def _refuse(self, error: MqttError, now: float) -> Sequence[Ask]:
        """Serve what came before the malformed packet, then close."""
        asks = _NOTHING
        if not self._waiting:
            asks = self._serve(error.packets, now)
        if self.phase is AUTHENTICATING and error.return_code is not None:
            self._out.append(mqtt.Connack(error.return_code, False).encode())
        self.close("malformed", now)
        return asks if self.entry is not None else _NOTHING

    def _serve(self, packets: Sequence[mqtt.Packet], now: float) -> Sequence[Ask]:
        asks: list[Ask] = []
        for place, packet in enumerate(packets):
            phase = self.phase
            if phase is CONNECTED:
                if self._arrivals is not None and self._arrivals.is_full:
                    self._hold(packets[place:], now)
                    break
                ask = self._serve_connected(packet, now)
                if ask is not None:
                    asks.append(ask)
            elif phase is AUTHENTICATING:
                if type(packet) is mqtt.Connect:
                    self._first_connect(packet, asks, now)
                else:
                    self.close("not_connect_first", now)
            elif phase is DECIDING:
                self._hold(packets[place:], now)
                break
            else:
                break
        if self.phase is CLOSED and self.entry is None:
            return _NOTHING  # nobody is to be asked about a log-in that is over
        return asks

    def _serve_connected(self, packet: mqtt.Packet, now: float) -> Message | Acknowledged | None:
        kind = type(packet)
        if kind is mqtt.Publish:
            return self._publish(packet, now)  # type: ignore[arg-type]  # narrowed by its exact type
        if kind is mqtt.Pingreq:
            self._out.append(_PINGRESP)
        elif kind is mqtt.Puback:
            if self._departures is not None:
                return self._departures.acknowledge(packet.packet_id)  # type: ignore[attr-defined]
        elif kind is mqtt.Subscribe:
            self._subscribe(packet, now)  # type: ignore[arg-type]
        elif kind is mqtt.Pubrel:
            if self._arrivals is not None:
                self._arrivals.release(packet.packet_id)  # type: ignore[attr-defined]
            self._out.append(mqtt.Pubcomp(packet.packet_id).encode())  # type: ignore[attr-defined]
        elif kind is mqtt.Unsubscribe:
            self._out.append(mqtt.Unsuback(packet.packet_id).encode())  # type: ignore[attr-defined]
        elif kind is mqtt.Connect:
            if _key_of(packet) == self._connect_key:  # type: ignore[arg-type]
                self._out.append(_CONNACK_ACCEPTED)
            else:
                self.close("second_connect", now)
        elif kind is mqtt.Disconnect:
            self.close("left", now)
        # PUBREC and PUBCOMP answer QoS 2, which is never sent: nothing waits for them.
        return None

    def _hold(self, packets: Sequence[mqtt.Packet], now: float) -> None:
        """Keep packets until they may be served; a repeated CONNECT asks for nothing new."""
        waiting = self._waiting
        if waiting is None:
            waiting = self._waiting = deque()
        if self.phase is not DECIDING:
            waiting.extend(packets)
            self.is_full = True
            return
        for packet in packets:
            if type(packet) is mqtt.Connect:
                if _key_of(packet) != self._connect_key:
                    self.close("second_connect", now)
                    return
            else:
                waiting.append(packet)
        if len(waiting) > MAX_HELD_BEFORE_LOG_IN:
            self.close("too_much_before_log_in", now)

    def _resume(self, now: float) -> Sequence[Ask]:
        waiting, self._waiting = self._waiting, None
        self.is_full = False
        return self._serve(tuple(waiting), now) if waiting else _NOTHING

    def _first_connect(self, connect: mqtt.Connect, asks: list[Ask], now: float) -> None:
        client_id = connect.client_id
        if len(client_id) > MAX_CLIENT_ID or not (client_id.isascii() and client_id.isalnum()):
            self._out.append(_CONNACK_WRONG_CLIENT_ID)
            self.close("wrong_client_id", now)
            return
        self.phase = DECIDING
        self.client_id = client_id
        self._level = connect.level
        self._connect_key = _key_of(connect)
        self._keep_alive_s = 1.5 * (connect.keep_alive or self._limits.max_keep_alive_s)
        asks.append(connect)

    def _accept(self, verdict: Accepted[DeviceEntry], now: float) -> None:
        self.phase = CONNECTED
        self.entry = verdict.entry
        self._heard_at = now
        self._reader.max_packet = self._limits.max_packet_size
        self._is_fresh = self._reader.is_between_packets
        self._out.append(_CONNACK_ACCEPTED)
        secret, session_key = verdict.secret, verdict.session_key
        if secret is not None or session_key is not None:
            self._give_secrets(secret, session_key, now)
        auth_key = verdict.entry.sealed_auth_key()
        if auth_key is not None:
            self._push(commands.CONFIGURE, ttlv.encode([(commands.CONFIGURE_AUTH_KEY, auth_key)]), "sys", now)

    def _give_secrets(self, secret: Secret | None, session_key: bytes | None, now: float) -> None:
        fields: list[tuple[int, object]] = []
        if secret is not None:
            fields.append((commands.CONFIGURE_SECRET, secret.reveal()))
            self._secret_is_new = True
        if session_key is not None:
            fields.append((commands.CONFIGURE_SESSION_KEY, session_key))
        # In plain: the device has no key before it has read this.
        self._push(commands.CONFIGURE, ttlv.encode(fields), "sys", now)
        self._session_key = session_key

    def _subscribe(self, packet: mqtt.Subscribe, now: float) -> None:
        own = topics.downlink(self.client_id, "")
        codes = []
        for topic_filter, qos in packet.filters:
            if topic_filter.startswith(own) and topic_filter[len(own) :] in ("+", *_KINDS):
                codes.append(1 if qos else 0)
            elif self._level == 3:
                self.close("foreign_filter", now)
                return
            else:
                codes.append(_REFUSED_FILTER)
        self._out.append(mqtt.Suback(packet.packet_id, codes).encode())

    # Messages

    def _publish(self, packet: mqtt.Publish, now: float) -> Message | None:
        kind = self._kind_of(packet.topic)
        if kind is None:
            self.close("foreign_topic", now)
            return None
        arrivals = self._arrivals
        if arrivals is None:
            arrivals = self._arrivals = Arrivals(self._limits.max_unanswered)
        qos = packet.qos
        verdict = arrivals.judge(packet, now)
        if verdict is not NEW:
            if verdict is ANSWERED:
                self._confirm(qos, packet.packet_id)
            elif verdict is TOO_MANY:
                self.close("too_many_unreleased", now)
            return None
        content = self._open(packet.payload)
        if kind == "ota" and content is not None and commands.topic_kind(content.command) != kind:
            # Where sys and bus are mixed up the command counts; nothing of ours comes as firmware.
            content = None
        if content is None:
            self.unreadable_count += 1
            if not arrivals:
                self._confirm(qos, packet.packet_id)
                return None
        message = Message(content, qos, packet.packet_id)
        arrivals.add(message)
        if content is None:
            return None
        if self._secret_is_new:
            self._secret_is_new = False
            message.proves_secret = True
        return message

    def _kind_of(self, topic: str) -> str | None:
        """What kind of uplink of this device the topic is; None for none."""
        if not self._uplink:
            self._uplink = topics.uplink(self.client_id, "")
        if not topic.startswith(self._uplink):
            return None
        kind, slash, user = topic[len(self._uplink) :].partition("/")
        return kind if kind in _KINDS and (not slash or (user != "" and "/" not in user)) else None

    def _open(self, payload: bytes) -> frame.Frame | None:
        """The frame a message holds, in plain or under the session key; None when it holds none."""
        if payload.startswith(b"\xaa\xaa"):
            try:
                return frame.decode(payload)
            except FrameError:
                pass  # one ciphertext in 65536 begins like a frame
        if self._session_key is None:
            return None
        try:
            return frame.decode(signing.session_decrypt(self._session_key, payload))
        except (CipherError, FrameError):
            return None

    def _confirm(self, qos: int, packet_id: int) -> None:
        if qos:
            head = b"\x40\x02" if qos == 1 else b"\x50\x02"
            self._out.append(head + packet_id.to_bytes(2, "big"))

    def _push(self, command: int, payload: bytes, kind: str, now: float, delivery: Delivery | None = None) -> bool:
        departures = self._departures
        if departures is None:
            departures = self._departures = Departures()
        ids = departures.next_ids(now)
        if ids is None:
            return False
        packet_id, frame_id = ids
        data = frame.encode(frame_id, command, payload)
        if self._session_key is not None:
            data = signing.session_encrypt(self._session_key, data)
        topic = topics.downlink(self.client_id, kind)
        self._out.append(mqtt.Publish(topic, data, 1, False, False, packet_id).encode())
        departures.add(packet_id, frame_id, now, delivery)
        return True


def _usual_subscribe(client_id: str) -> bytes:
    """What a device sends after CONNACK, byte for byte. Half of all packets in a storm of log-ins are this one, so
    it is recognised without being taken apart; anything else takes the long way to the same answer."""
    topic_filter = b"q/1/d/%b/+" % client_id.encode()
    size = len(topic_filter)
    return b"\x82%c\x00\x01\x00%c%b\x01" % (size + 5, size, topic_filter)


def _key_of(connect: mqtt.Connect) -> int:
    """What tells a repeated CONNECT from a different one, without keeping the password."""
    return hash((connect.client_id, connect.user_name, connect.password, connect.keep_alive, connect.level))
