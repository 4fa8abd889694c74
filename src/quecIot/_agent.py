"""The device's side of the link to its Developer Center, as a state machine without I/O, clock or randomness.

The story of one connection:

1. `start` asks for a link (`link`); whoever owns sockets opens it and says `link_up` or `link_failed`.
2. CONNECT: without a device secret the password proves the product secret ("0;"), with one it proves both ("1;").
   After a reset the user name proves that the secret now forgotten was held, in either: a script may have set it again.
3. CONNACK 0, SUBSCRIBE to the own downlink, SUBACK. A "1;" log-in is ready. A "0;" one waits for its secret (0x00B4
   field 5), which is on disk before anything else happens; until then nothing but 0x00B4 and 0x00A3 is believed.
4. Ready: `_delivery` sends the bind code if it is due, the two first reports, then what waits.
5. A failure is one event, a dropped link and a wait on the ladder; CONNACK 2 to 5 ends the trying altogether.
   `link` changes its number with every attempt, so the owner of the sockets knows which one is meant.
"""

from collections import namedtuple

from quecbind.wire import commands, frame, mqtt, signing, topics, ttlv
from quecbind.wire.errors import MqttError, TopicError, WireError
from quecIot import _board, _codes, _configuration, _delivery, _downlink, _draw, _keep_alive, _retry
from quecIot._askers import Askers
from quecIot._options import split_server
from quecIot._store import StoreError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from quecIot._bind_window import BindWindow
    from quecIot._board import Board
    from quecIot._draw import Entropy
    from quecIot._profile import Profile

Link = namedtuple("Link", ("number", "host", "port", "tls"))

MAX_DOWNLINK = 2 * 65536 + 1024  # the largest frame, escaped throughout, and its topic
_MAX_QOS2_IDS = 32
_MAX_USER = 128  # characters

_IDLE, _WAITING, _STOPPED, _OPENING, _CONNECTING, _UP, _CLOSING = range(7)

# 0x00A3 -> the wait before the next try; other codes leave the connection up and are event 8
_REFUSALS = {
    10422: _retry.LONG,
    10426: _retry.LONG,
    10430: _retry.LONG,
    10423: _retry.SLOW,
    10424: _retry.SLOW,
    10425: _retry.SLOW,
    10427: _retry.SLOW,
    10431: _retry.QUICK,
    10432: _retry.QUICK,
}
_FAILED_STATES = {
    _codes.AUTH: _codes.AUTHENTICATION_FAILED,
    _codes.CONN: _codes.REGISTRATION_FAILED,
    _codes.SUBSCRIBE: _codes.SUBSCRIPTION_FAILED,
}
_UNANSWERED = {
    _delivery.CONNECT: (_codes.CONN, _codes.NETWORK),
    _delivery.SUBSCRIBE: (_codes.SUBSCRIBE, _codes.FAILED),
}


class Agent:
    """
    Attributes:
        mode: 0 or 1, what setConnmode last said.
        work_state: what getWorkState says.
    """

    def __init__(
        self,
        profile: "Profile",
        window: "BindWindow",
        board: "Board",
        entropy: "Entropy",
        log: "Callable[[str, str], None]",
    ) -> None:
        self.mode = 0
        self.work_state = _codes.INITIALISED
        self._profile = profile
        self._window = window
        self._board = board
        self._entropy = entropy
        self._log = log
        self._delivery = _delivery.Delivery(profile, window, entropy, log, self._event)
        self._configuration = _configuration.Configuration(profile, window, log)
        self._ladder = _retry.Ladder()
        self._events: "list[tuple[Any, ...]]" = []
        self._phase = _IDLE
        self._number = 0
        self._retry_at = 0.0
        self._trial_failure_count = 0
        self._handlers: "dict[type, Callable[[Any, float], None]]" = {
            mqtt.Connack: self._connack,
            mqtt.Suback: self._suback,
            mqtt.Publish: self._received,
            mqtt.Puback: self._puback,
            mqtt.Pubrec: self._pubrec,
            mqtt.Pubrel: self._pubrel,
            mqtt.Pubcomp: self._puback,
            mqtt.Pingresp: self._pong,
        }
        self._doers: "dict[str, Callable[[tuple[Any, ...], int, float], None]]" = {
            _downlink.EVENT: self._tell_script,
            _downlink.ANSWER_STATUS: self._answer_status,
            _downlink.ANSWER_INFO: self._answer_info,
            _downlink.COMPLAIN: self._complain,
            _downlink.REFUSED: self._refused,
            _downlink.CONFIGURE: self._configure,
            _downlink.NOTHING: self._ignore,
        }
        self._start_afresh()

    def _start_afresh(self) -> None:
        """Everything that ends with a connection, and is not about sending."""
        self._reader = mqtt.PacketReader(MAX_DOWNLINK, from_server=True)
        self._session_asked = False
        self._is_enrolling = False
        self._proves_reset = False
        self._is_registered = False
        self._is_subscribed = False
        self._secret_by: "float | None" = None
        self._keep_alive: "_keep_alive.KeepAlive | None" = None
        self._qos2_ids: "list[int]" = []
        self._user: "str | None" = None  # the App user whose message is being handled
        self._askers = Askers()

    # --- what the script asks for ---

    def start(self) -> None:
        """Connection mode 1."""
        if self.mode:
            return
        self.mode = 1
        self._left()
        self._ladder.reset()
        self._open()

    def stop(self) -> None:
        """Connection mode 0: what waits to be sent is given up."""
        if not self.mode:
            return
        self.mode = 0
        linked = self._phase in (_OPENING, _CONNECTING, _UP)
        self._drop_link()
        self._delivery.give_up()
        self._phase = _CLOSING
        self.work_state = _codes.DEREGISTERING
        if not linked:
            self._left()

    def send(self, command: int, payload: bytes, qos: int, codes: "tuple[int, int] | None", now: float) -> int:
        """Takes a message for as soon as the link allows; its packet id, or 0 when it was not taken."""
        return self._delivery.send(command, payload, qos, codes, now) if self.mode else 0

    def answer(self, command: int, packet_id: int, payload: bytes) -> bool:
        """The script's answer to a read, QoS 0, now or never; to the App user that asked, if it was one."""
        if not self._delivery.answer(command, packet_id, payload, self._askers.of(packet_id)):
            return False
        self._askers.forget(packet_id)
        return True

    def report_bind_code(self, now: float) -> None:
        """The bind window has changed."""
        self._delivery.report_bind_code(now)

    def reset(self) -> None:
        """The profile has forgotten its secret: enrol again, now if a connection is wanted at all."""
        self._drop_link()
        self._delivery.give_up()
        if self.mode:
            self._ladder.reset()
            self._open()

    # --- what the owner of the sockets asks and tells ---

    def link(self) -> "Link | None":
        """The connection that should exist now; another number means another connection."""
        if self._phase not in (_OPENING, _CONNECTING, _UP):
            return None
        server = split_server(self._profile.server)
        if server is None:
            return None
        return Link(self._number, server[1], server[2], server[0])

    def link_up(self, number: int, now: float) -> None:
        if self._phase == _OPENING and number == self._number:
            self._phase = _CONNECTING
            self._connect(now)

    def link_failed(self, number: int, now: float) -> None:
        """Name not found, nobody listening, or TLS refused."""
        if self._phase == _OPENING and number == self._number:
            event = _codes.CONN if self._profile.device_secret else _codes.AUTH
            self._fail(event, _codes.INTERNAL, _retry.QUICK, now)

    def link_lost(self, number: int, now: float) -> None:
        """The peer closed, or the connection broke."""
        if self._phase in (_CONNECTING, _UP) and number == self._number:
            self._fail(_codes.CONN, _codes.NETWORK, _retry.QUICK, now)

    def link_closed(self) -> None:
        """No connection exists any more."""
        self._left()

    def data_to_send(self) -> bytes:
        """What goes out on the current link, each byte given once."""
        return self._delivery.take_data()

    def take_events(self) -> "list[tuple[Any, ...]]":
        """What the script's callback is to be told, each event given once."""
        events = self._events
        self._events = []
        return events

    def receive_data(self, data: bytes, now: float) -> None:
        number = self._number
        broken = False
        try:
            packets = self._reader.feed(data)
        except MqttError as error:
            self._log("warning", "the server broke the MQTT standard: %s" % error)
            packets = error.packets
            broken = True
        for packet in packets:
            if self._phase not in (_CONNECTING, _UP) or number != self._number:
                return
            handler = self._handlers.get(type(packet))
            if handler is not None:
                handler(packet, now)
        if broken and number == self._number:
            self.link_lost(number, now)

    def next_timer(self) -> "float | None":
        """When `handle_timer` has something to do, or None."""
        times: "list[float | None]" = []
        if self._phase == _WAITING:
            times.append(self._retry_at)
        if self._phase in (_CONNECTING, _UP):
            times.append(self._delivery.due_at())
            times.append(self._secret_by)
            if self._keep_alive is not None:
                times.append(self._keep_alive.due_at())
        known = [time for time in times if time is not None]
        return min(known) if known else None

    def handle_timer(self, now: float) -> None:
        if self._phase == _WAITING and now >= self._retry_at:
            self._open()
        if self._phase not in (_CONNECTING, _UP):
            return
        unanswered = self._delivery.handle_timer(now)
        if unanswered is not None:
            event, code = _UNANSWERED[unanswered]
            self._fail(event, code, _retry.QUICK, now)
        elif self._secret_by is not None and now >= self._secret_by:
            self._fail(_codes.AUTH, _codes.UNKNOWN, _retry.QUICK, now)
        elif self._keep_alive is not None:
            verdict = self._keep_alive.tick(now)
            if verdict == _keep_alive.PING:
                self._delivery.write(mqtt.Pingreq().encode())
            elif verdict == _keep_alive.DEAD:
                self._fail(_codes.CONN, _codes.HEARTBEAT, _retry.QUICK, now)

    # --- one connection ---

    def _open(self) -> None:
        self._phase = _OPENING
        self._number += 1
        self.work_state = _codes.REGISTERING if self._profile.device_secret else _codes.AUTHENTICATING

    def _connect(self, now: float) -> None:
        profile = self._profile
        random = _draw.letters(self._entropy, 16)
        product_key, secret = profile.product_key, profile.device_secret
        self._session_asked = profile.setting("session_flag")
        self._is_enrolling = not secret
        client_id = topics.client_id(product_key, profile.device_key)
        proof = profile.reset_proof()
        user_name = None
        if proof is not None:
            user_name = signing.reset_user_name(proof, _draw.letters(self._entropy, 16)).encode()
        self._proves_reset = proof is not None
        if secret:
            password = signing.login(profile.product_secret, secret, random, self._session_asked)
        else:
            password = signing.first_login(
                product_key, profile.product_secret, profile.device_key, random, self._session_asked
            )
        packet = mqtt.Connect(client_id, self._keep_alive_s(), user_name=user_name, password=password.encode())
        self._delivery.connect(packet, now)

    def _keep_alive_s(self) -> int:
        return max(int(self._profile.setting("lifetime")), _retry.MIN_KEEP_ALIVE_S)

    def _connack(self, packet: "mqtt.Connack", now: float) -> None:
        if self._phase != _CONNECTING:
            return
        code = packet.return_code
        if code == 1:
            self._fail(_codes.CONN, _codes.VERSION, _retry.LONG, now)
        elif 2 <= code <= 5:
            self._refused_for_good(now)
        elif code:
            self._fail(_codes.CONN, _codes.UNKNOWN, _retry.QUICK, now)
        else:
            self._phase = _UP
            self._keep_alive = _keep_alive.KeepAlive(self._keep_alive_s(), now)
            if self._is_enrolling:
                self._secret_by = now + _retry.SECRET_WAIT_S
            else:
                self.work_state = _codes.REGISTERED
            self._delivery.subscribe(now)

    def _refused_for_good(self, now: float) -> None:
        if self._profile.trial is not None:  # the new place does not know the secret; the old one still may
            self._fail(_codes.CONN, _codes.DEVICE_SECRET_WRONG, _retry.QUICK, now)
            return
        try:
            self._profile.drop_secret()
        except StoreError as error:
            self._log("error", str(error))
        self._fail(_codes.CONN, _codes.DEVICE_SECRET_WRONG, None, now)

    def _suback(self, packet: "mqtt.Suback", now: float) -> None:
        if not self._delivery.is_subscribe_answered(packet):
            return
        if packet.return_codes[0] == 0x80:
            self._fail(_codes.SUBSCRIBE, _codes.FAILED, _retry.QUICK, now)
            return
        self._is_subscribed = True
        if not self._is_enrolling:
            self._register(now)

    def _register(self, now: float) -> None:
        """The device secret is accepted; ready as soon as the subscription is."""
        self._ladder.reset()
        if not self._is_registered:
            self._is_registered = True
            self._event(_codes.CONN, _codes.OK)
            self.work_state = _codes.REGISTERED
        if self._is_subscribed:
            self._ready(now)

    def _ready(self, now: float) -> None:
        self._event(_codes.SUBSCRIBE, _codes.OK)
        self.work_state = _codes.SUBSCRIBED
        try:
            if self._proves_reset:
                self._profile.reset_proved()
            if self._profile.trial is not None:
                self._window.tell_again(now)
                self._profile.trial_worked()
        except StoreError as error:
            self._log("error", str(error))
        status = ttlv.encode(self._board.status(_board.FIRST_STATUS_IDS))
        info = ttlv.encode(self.information(_board.FIRST_INFO_IDS))
        self._delivery.ready([(commands.STATUS_REPORT, status), (commands.INFO_REPORT, info)], now)

    def information(self, ids: "list[int] | tuple[int, ...]") -> "list[tuple[int, str]]":
        """Module information, with the versions the script has set."""
        setting = self._profile.setting
        return self._board.info(ids, setting("soft_version"), setting("mcu_versions"))

    def _fail(self, event: int, code: int, wait: "tuple[float, float] | None", now: float) -> None:
        """One failure: its event, the link dropped, and a wait; None as wait ends the trying."""
        self._event(event, code)
        self.work_state = _FAILED_STATES[event]
        self._drop_link()
        if wait is None:
            self._phase = _STOPPED
            return
        if self._profile.trial is not None:
            self._trial_failure_count += 1
            if self._trial_failure_count >= _retry.MOVE_TRIES:
                self._log("warning", "the new place cannot be reached, going back to the old one")
                self._profile.trial_failed()
                self._ladder.reset()
        self._phase = _WAITING
        self._retry_at = now + self._ladder.failed(wait, self._fraction())

    def _drop_link(self) -> None:
        self._delivery.drop()
        self._start_afresh()

    def _left(self) -> None:
        if self._phase == _CLOSING:
            self._phase = _IDLE
            self.work_state = _codes.DEREGISTERED
            self._event(_codes.LOGOUT, _codes.OK)

    # --- what the Developer Center sends ---

    def _received(self, packet: "mqtt.Publish", now: float) -> None:
        if self._phase != _UP:
            return
        number = self._number
        if packet.qos < 2 or packet.packet_id not in self._qos2_ids:
            self._handle(packet, now)
        # a link that the message ended gets no acknowledgement: its close is the receipt
        if number != self._number or self._phase != _UP:
            return
        if packet.qos == 1:
            self._delivery.write(mqtt.Puback(packet.packet_id).encode())
        elif packet.qos == 2:
            if packet.packet_id not in self._qos2_ids:
                self._qos2_ids = self._qos2_ids[1 - _MAX_QOS2_IDS :] + [packet.packet_id]
            self._delivery.write(mqtt.Pubrec(packet.packet_id).encode())

    def _pubrel(self, packet: "mqtt.Pubrel", now: float) -> None:
        self._qos2_ids = [number for number in self._qos2_ids if number != packet.packet_id]
        self._delivery.write(mqtt.Pubcomp(packet.packet_id).encode())

    def _puback(self, packet: "mqtt.Puback | mqtt.Pubcomp", now: float) -> None:
        self._delivery.acknowledged(packet, now)

    def _pubrec(self, packet: "mqtt.Pubrec", now: float) -> None:
        self._delivery.received(packet, now)

    def _pong(self, packet: "mqtt.Pingresp", now: float) -> None:
        if self._keep_alive is not None:
            self._keep_alive.pong()

    def _handle(self, packet: "mqtt.Publish", now: float) -> None:
        try:
            topic = topics.parse(packet.topic)
        except TopicError:
            topic = None
        if topic is None or topic[:2] != (topics.DOWN, self._delivery.client_id) or len(topic.user or "") > _MAX_USER:
            self._log("warning", "a message on a topic that is not this device's own is ignored")
            return
        data = packet.payload
        try:
            if self._delivery.session_key:
                data = signing.session_decrypt(self._delivery.session_key, data)
            received = frame.decode(data)
        except WireError as error:
            self._log("warning", "a message that cannot be read is ignored: %s" % error)
            return
        if self._is_enrolling and received.command not in _downlink.BEFORE_AUTHENTICATION:
            self._log("warning", "command 0x%04X before authentication is ignored" % received.command)
            return
        self._user = topic.user
        decision = _downlink.decide(received)
        self._doers[decision[0]](decision, received.packet_id, now)

    def _tell_script(self, decision: "tuple[Any, ...]", packet_id: int, now: float) -> None:
        if decision[1] == _codes.TSL_READ:
            self._askers.note(packet_id, self._user)
        self._event(_codes.RECV, decision[1], decision[2])

    def _answer_status(self, decision: "tuple[Any, ...]", packet_id: int, now: float) -> None:
        self._reply(commands.STATUS_ANSWER, packet_id, self._board.status(decision[1]))

    def _answer_info(self, decision: "tuple[Any, ...]", packet_id: int, now: float) -> None:
        self._reply(commands.INFO_ANSWER, packet_id, self.information(decision[1]))

    def _reply(self, command: int, packet_id: int, fields: "list[tuple[int, Any]]") -> None:
        """Of nothing that was asked for: an empty payload."""
        self._delivery.answer(command, packet_id, ttlv.encode(fields) if fields else b"", self._user)

    def _complain(self, decision: "tuple[Any, ...]", packet_id: int, now: float) -> None:
        fields = [(commands.EXCEPTION_CODE, decision[1]), (commands.EXCEPTION_PACKET_ID, packet_id)]
        self._delivery.send(commands.EXCEPTION_UP, ttlv.encode(fields), 1, None, now, self._user)

    def _ignore(self, decision: "tuple[Any, ...]", packet_id: int, now: float) -> None:
        self._log("info", decision[1])

    def _refused(self, decision: "tuple[Any, ...]", packet_id: int, now: float) -> None:
        code = decision[1]
        if code in _REFUSALS:
            self._fail(_codes.AUTH, code, _REFUSALS[code], now)
        else:
            self._event(_codes.SERVER, code)

    def _configure(self, decision: "tuple[Any, ...]", packet_id: int, now: float) -> None:
        """0x00B4: the secret first, then what ends this connection. Field 9 wins over fields 5 and 10."""
        asked = decision[1]
        for sentence in asked.complaints:
            self._log("warning", "configuration: %s; left out" % sentence)
        if asked.session_key and self._session_asked:
            self._delivery.session_key = asked.session_key
        if asked.device_secret and not asked.authenticate and not self._take_secret(asked.device_secret, now):
            return
        if asked.auth_key and not self._is_enrolling and self._configuration.take_auth_key(asked.auth_key):
            self._delivery.forget_report(now)
        outcome = self._configuration.take(asked, now)
        if outcome == _configuration.STAYS:
            return
        if outcome == _configuration.NEW_PLACE:
            self._trial_failure_count = 0
        self._event(_codes.CONN, _codes.SERVER_CHANGED)
        self.work_state = _codes.REGISTRATION_FAILED
        self._drop_link()
        self._phase = _WAITING
        self._retry_at = now + _retry.spread(_retry.QUICK, self._fraction())

    def _take_secret(self, secret: str, now: float) -> bool:
        profile = self._profile
        is_known_so = secret == profile.device_secret and profile.trial is None
        try:
            profile.take_secret(secret)
        except StoreError as error:
            # used but not kept, it would lock the device out after a restart; unused, it is issued again
            self._log("error", str(error))
            self._fail(_codes.AUTH, _codes.INTERNAL, _retry.LONG, now)
            return False
        self._is_enrolling = False
        self._secret_by = None
        if not is_known_so:
            self._window.tell_again(now)
        self._event(_codes.AUTH, _codes.OK)
        self.work_state = _codes.AUTHENTICATED
        self._is_registered = False
        self._register(now)
        return True

    def _event(self, event: int, code: int, data: "Any" = None) -> None:
        self._events.append((event, code) if data is None else (event, code, data))

    def _fraction(self) -> float:
        return _draw.fraction(self._entropy)
