"""The sending half of the link: what leaves, in which order, and what becomes of it. No I/O, clock or randomness.

One packet at a time waits for its answer: CONNECT, SUBSCRIBE, or a PUBLISH with QoS 1 or 2. Once the link is ready the
bind code goes before everything, then the first reports, then the outbox. What a broken link leaves unanswered goes
back to the front of the outbox; the bind code stays due until it is acknowledged.
"""

from quecbind.wire import commands, frame, mqtt, signing, topics, ttlv
from quecIot import _codes, _draw, _retry
from quecIot._outbox import Message, Outbox
from quecIot._store import StoreError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from quecIot._bind_window import BindWindow
    from quecIot._draw import Entropy
    from quecIot._profile import Profile

CONNECT = "CONNECT"
SUBSCRIBE = "SUBSCRIBE"
_PUBLISH = "PUBLISH"
_PUBREL = "PUBREL"

MAX_UNSENT = 64 * 1024  # answers wait here for the socket; more are not given


class Delivery:
    """
    Attributes:
        client_id: of this connection, "" before CONNECT.
        session_key: 16 bytes once the Developer Center has given one for this connection.
    """

    def __init__(
        self,
        profile: "Profile",
        window: "BindWindow",
        entropy: "Entropy",
        log: "Callable[[str, str], None]",
        event: "Callable[..., None]",
    ) -> None:
        self._profile = profile
        self._window = window
        self._entropy = entropy
        self._log = log
        self._event = event
        self._outbox = Outbox()
        self._frame_id = 0  # one counter for all frames, kept across connections
        self._report_at = 0.0
        self._start_afresh()

    def _start_afresh(self) -> None:
        self.client_id = ""
        self.session_key = b""
        self._out = bytearray()
        self._is_ready = False
        self._mqtt_id = 0
        self._flight: "_retry.Flight | None" = None
        self._first: "list[tuple[int, bytes]]" = []
        self._report: "tuple[Message, int] | None" = None  # the bind code report in flight and its serial

    # --- from the script ---

    def send(
        self,
        command: int,
        payload: bytes,
        qos: int,
        codes: "tuple[int, int] | None",
        now: float,
        user: "str | None" = None,
    ) -> int:
        """Takes a message for as soon as the link allows; its packet id, or 0 when there is no room."""
        packet_id = self._frame_id % 0xFFFE + 1
        if not self._outbox.put(Message(command, packet_id, payload, qos, codes, user=user)):
            return 0
        self._frame_id = packet_id
        self.pump(now)
        return packet_id

    def report_bind_code(self, now: float) -> None:
        """The bind window has changed."""
        self._report_at = now
        self.pump(now)

    def forget_report(self, now: float) -> None:
        """The bind code report in flight, if there is one, is not repeated."""
        if self._flight is not None and self._report is not None and self._flight.message is self._report[0]:
            self._flight = None
        self._report = None
        self.pump(now)

    def give_up(self) -> None:
        """Nothing that waits will be sent."""
        for message in self._outbox.clear():
            self._failed(message)

    # --- the connection ---

    def write(self, data: bytes) -> None:
        self._out += data

    def take_data(self) -> bytes:
        data = bytes(self._out)
        self._out = bytearray()
        return data

    def connect(self, packet: "mqtt.Connect", now: float) -> None:
        self.client_id = packet.client_id
        self._fly(_retry.Flight(CONNECT, packet.encode(), _retry.CONNECT), now)

    def subscribe(self, now: float) -> None:
        packet_id = self._next_mqtt_id()
        data = mqtt.Subscribe(packet_id, [(topics.downlink_filter(self.client_id), 1)]).encode()
        self._fly(_retry.Flight(SUBSCRIBE, data, _retry.SUBSCRIBE, packet_id), now)

    def is_subscribe_answered(self, packet: "mqtt.Suback") -> bool:
        flight = self._flight
        if flight is None or flight.kind != SUBSCRIBE or flight.packet_id != packet.packet_id:
            return False
        self._flight = None
        return True

    def ready(self, first_reports: "list[tuple[int, bytes]]", now: float) -> None:
        """The Developer Center serves this device: messages may go, these reports first."""
        self._is_ready = True
        self._report_at = now
        self._first = list(first_reports)
        self.pump(now)

    def drop(self) -> None:
        """The connection is over."""
        flight = self._flight
        if flight is not None and isinstance(flight.message, Message):
            if flight.kind == _PUBREL:  # the server has it already
                self._sent(flight.message)
            elif flight.message.is_kept:
                self._outbox.put_back(flight.message)
        self._start_afresh()

    def due_at(self) -> "float | None":
        if self._flight is not None:
            return self._flight.due_at
        return self._report_at if self._is_ready and self._window.is_due else None

    def handle_timer(self, now: float) -> "str | None":
        """Repeats what is due; CONNECT or SUBSCRIBE when that was repeated often enough in vain."""
        flight = self._flight
        if flight is not None and now >= flight.due_at and not self._send(flight, now):
            if not isinstance(flight.message, Message):
                return flight.kind
            self._flight = None
            if self._report is not None and flight.message is self._report[0]:
                self._log("warning", "the bind code report was not answered; it is sent again")
                self._report_at = now + _retry.BIND_REPORT_AGAIN_S
            self._failed(flight.message)
        self.pump(now)
        return None

    # --- messages ---

    def answer(self, command: int, packet_id: int, payload: bytes, user: "str | None" = None) -> bool:
        """An answer to a request, QoS 0, now or never."""
        if not self._is_ready or len(self._out) > MAX_UNSENT:
            return False
        self._out += self._encode(Message(command, packet_id, payload, 0, user=user), 0)
        return True

    def pump(self, now: float) -> None:
        """Sends until one message waits for its answer, or none is left."""
        while self._is_ready and self._flight is None:
            message = self._bind_report(now) or self._first_report() or self._outbox.take()
            if message is None:
                return
            if message.qos:
                mqtt_id = self._next_mqtt_id()
                data = self._encode(message, mqtt_id)
                self._fly(_retry.Flight(_PUBLISH, data, _retry.PUBLISH, mqtt_id, message), now)
            else:
                self._out += self._encode(message, 0)
                self._sent(message)

    def _bind_report(self, now: float) -> "Message | None":
        report = self._window.report(now) if now >= self._report_at else None
        if report is None:
            return None
        code, seconds_left, serial = report
        fields: "list[tuple[int, Any]]" = [(commands.BIND_CODE_CODE, code)]
        try:
            fields.append((commands.BIND_CODE_SECRET, self._profile.bind_secret()))
        except StoreError as error:
            self._log("error", str(error))
        fields.append((commands.BIND_CODE_SECONDS_LEFT, seconds_left))
        message = self._own(commands.BIND_CODE, ttlv.encode(fields))
        self._report = message, serial
        return message

    def _first_report(self) -> "Message | None":
        return self._own(*self._first.pop(0)) if self._first else None

    def _own(self, command: int, payload: bytes) -> Message:
        """A message of the module's own, made anew on every connection."""
        self._frame_id = self._frame_id % 0xFFFE + 1
        return Message(command, self._frame_id, payload, 1, is_kept=False)

    def _encode(self, message: Message, mqtt_id: int) -> bytes:
        data = frame.encode(message.packet_id, message.command, message.payload)
        if self.session_key:
            data = signing.session_encrypt(self.session_key, data)
        topic = topics.uplink(self.client_id, commands.topic_kind(message.command) or "sys", message.user)
        return mqtt.Publish(topic, data, message.qos, packet_id=mqtt_id).encode()

    def _next_mqtt_id(self) -> int:
        self._mqtt_id = self._mqtt_id % 0xFFFF + 1
        return self._mqtt_id

    def _fly(self, flight: "_retry.Flight", now: float) -> None:
        self._flight = flight
        self._send(flight, now)

    def _send(self, flight: "_retry.Flight", now: float) -> bool:
        data = flight.send(now, _draw.fraction(self._entropy))
        if data is None:
            return False
        self._out += data
        return True

    def acknowledged(self, packet: "mqtt.Puback | mqtt.Pubcomp", now: float) -> None:
        flight = self._flight
        wanted = _PUBREL if isinstance(packet, mqtt.Pubcomp) else _PUBLISH
        if flight is None or flight.kind != wanted or packet.packet_id != flight.packet_id:
            return
        self._flight = None
        message = flight.message
        assert isinstance(message, Message)
        self._sent(message)
        if self._report is not None and message is self._report[0]:
            self._told(self._report[1])
        self.pump(now)

    def received(self, packet: "mqtt.Pubrec", now: float) -> None:
        """QoS 2, half way: the server has the message."""
        flight = self._flight
        if flight is not None and flight.kind == _PUBLISH and packet.packet_id == flight.packet_id:
            data = mqtt.Pubrel(packet.packet_id).encode()
            self._fly(_retry.Flight(_PUBREL, data, _retry.PUBLISH, packet.packet_id, flight.message), now)

    def _told(self, serial: int) -> None:
        if not self._window.told(serial):
            return
        try:
            self._profile.save(bind_code="")
        except StoreError as error:
            self._log("error", str(error))

    def _sent(self, message: Message) -> None:
        if message.codes is not None:
            self._event(_codes.SEND, message.codes[0], message.packet_id)

    def _failed(self, message: Message) -> None:
        if message.codes is not None:
            self._event(_codes.SEND, message.codes[1], message.packet_id)
