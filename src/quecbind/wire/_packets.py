"""The fourteen packets of MQTT 3.1 and 3.1.1 as values, and how each is written.

`encode` refuses what the standard forbids, with one exception that devices need: a password without a user name.
`repr` never shows a password or a payload.
"""

from quecbind.wire import _text
from quecbind.wire._record import Record
from quecbind.wire.errors import MqttError

MAX_REMAINING = 268435455
PROTOCOL_NAMES = {3: b"\x00\x06MQIsdp", 4: b"\x00\x04MQTT"}


def _header(head: int, length: int) -> bytes:
    if length > MAX_REMAINING:
        raise MqttError("MQTT: packet over 256 MiB")
    if length < 128:
        return bytes((head, length))
    out = bytearray((head,))
    while length > 127:
        out.append(length & 127 | 128)
        length >>= 7
    out.append(length)
    return bytes(out)


def _binary(data: bytes, name: str) -> bytes:
    size = len(data)
    if size > 0xFFFF:
        raise MqttError("%s over 65535 bytes" % name)
    return bytes((size >> 8, size & 255)) + data


def _string(text: str, name: str) -> bytes:
    try:
        data = _text.encode(text)
    except UnicodeError:
        raise MqttError("%s holds a surrogate" % name) from None
    if b"\0" in data:
        raise MqttError("%s holds a NUL" % name)
    return _binary(data, name)


def _id(packet_id: int, name: str) -> bytes:
    if not 1 <= packet_id <= 0xFFFF:
        raise MqttError("%s: packet id must be 1..65535" % name)
    return bytes((packet_id >> 8, packet_id & 255))


def check_topic(topic: str, name: str) -> None:
    """Refuses what is no topic to publish to."""
    if not topic:
        raise MqttError("%s: topic is empty" % name)
    if "+" in topic or "#" in topic:
        raise MqttError("%s: topic holds a wildcard" % name)


def check_filter(topic_filter: str, name: str) -> None:
    """Refuses what is no filter to subscribe to: wildcards fill a level, # is the last."""
    if not topic_filter:
        raise MqttError("%s: filter is empty" % name)
    if "#" in topic_filter and (
        topic_filter.find("#") != len(topic_filter) - 1 or topic_filter[-2:] not in ("#", "/#")
    ):
        raise MqttError("%s: # must be the last level alone" % name)
    if "+" in topic_filter:
        for level in topic_filter.split("/"):
            if "+" in level and level != "+":
                raise MqttError("%s: + must be a level alone" % name)


class Packet(Record):
    """A packet; equal to another of its kind with the same fields."""

    __slots__ = ()

    def encode(self) -> bytes:
        raise NotImplementedError


class Will(Record):
    """What the server publishes when the connection is lost; a part of Connect, not a packet of its own."""

    __slots__ = _fields = ("topic", "payload", "qos", "retain")
    _hidden = ("payload",)

    def __init__(self, topic: str, payload: bytes, qos: int = 0, retain: bool = False) -> None:
        self.topic = topic
        self.payload = payload
        self.qos = qos
        self.retain = retain

    def encode(self) -> bytes:
        """The will's topic and message as they stand in CONNECT."""
        if not 0 <= self.qos <= 2:
            raise MqttError("CONNECT: will QoS must be 0..2")
        check_topic(self.topic, "CONNECT will")
        return _string(self.topic, "CONNECT: will topic") + _binary(self.payload, "CONNECT: will message")


class Connect(Packet):
    """Level 3 is MQTT 3.1, level 4 is MQTT 3.1.1."""

    __slots__ = _fields = ("client_id", "keep_alive", "clean_session", "user_name", "password", "will", "level")
    _hidden = ("user_name", "password")

    def __init__(
        self,
        client_id: str,
        keep_alive: int = 120,
        clean_session: bool = True,
        user_name: "bytes | None" = None,
        password: "bytes | None" = None,
        will: "Will | None" = None,
        level: int = 4,
    ) -> None:
        self.client_id = client_id
        self.keep_alive = keep_alive
        self.clean_session = clean_session
        self.user_name = user_name
        self.password = password
        self.will = will
        self.level = level

    def encode(self) -> bytes:
        name = PROTOCOL_NAMES.get(self.level)
        if name is None:
            raise MqttError("CONNECT: level must be 3 or 4")
        if not 0 <= self.keep_alive <= 0xFFFF:
            raise MqttError("CONNECT: keep-alive must be 0..65535 s")
        if not self.client_id and (self.level == 3 or not self.clean_session):
            raise MqttError("CONNECT: client id is empty")
        flags = 2 if self.clean_session else 0
        body = _string(self.client_id, "CONNECT: client id")
        if self.will is not None:
            flags |= 4 | self.will.qos << 3 | (32 if self.will.retain else 0)
            body += self.will.encode()
        if self.user_name is not None:
            flags |= 128
            body += _binary(self.user_name, "CONNECT: user name")
        if self.password is not None:
            flags |= 64
            body += _binary(self.password, "CONNECT: password")
        body = name + bytes((self.level, flags, self.keep_alive >> 8, self.keep_alive & 255)) + body
        return _header(0x10, len(body)) + body


class Connack(Packet):
    """return_code: 0 accepted, 1 level, 2 client id, 3 unavailable, 4 password, 5 not allowed; others reserved."""

    __slots__ = _fields = ("return_code", "session_present")

    def __init__(self, return_code: int = 0, session_present: bool = False) -> None:
        self.return_code = return_code
        self.session_present = session_present

    def encode(self) -> bytes:
        if not 0 <= self.return_code <= 255:
            raise MqttError("CONNACK: return code must be 0..255")
        if self.return_code and self.session_present:
            raise MqttError("CONNACK: a refusal cannot have a session")
        return bytes((0x20, 2, 1 if self.session_present else 0, self.return_code))


class Publish(Packet):
    """packet_id is 0 exactly when qos is."""

    __slots__ = _fields = ("topic", "payload", "qos", "retain", "dup", "packet_id")
    _hidden = ("payload",)

    def __init__(
        self,
        topic: str,
        payload: bytes,
        qos: int = 0,
        retain: bool = False,
        dup: bool = False,
        packet_id: int = 0,
    ) -> None:
        self.topic = topic
        self.payload = payload
        self.qos = qos
        self.retain = retain
        self.dup = dup
        self.packet_id = packet_id

    def encode(self) -> bytes:
        if not 0 <= self.qos <= 2:
            raise MqttError("PUBLISH: QoS must be 0..2")
        check_topic(self.topic, "PUBLISH")
        body = _string(self.topic, "PUBLISH: topic")
        if self.qos:
            body += _id(self.packet_id, "PUBLISH")
        elif self.dup or self.packet_id:
            raise MqttError("PUBLISH: QoS 0 has no packet id and is never a duplicate")
        head = 0x30 | (8 if self.dup else 0) | self.qos << 1 | (1 if self.retain else 0)
        return _header(head, len(body) + len(self.payload)) + body + self.payload


class _Acknowledgement(Packet):
    __slots__ = _fields = ("packet_id",)
    _head = 0

    def __init__(self, packet_id: int) -> None:
        self.packet_id = packet_id

    def encode(self) -> bytes:
        packet_id = self.packet_id
        if not 1 <= packet_id <= 0xFFFF:
            raise MqttError("%s: packet id must be 1..65535" % type(self).__name__.upper())
        return bytes((self._head, 2, packet_id >> 8, packet_id & 255))


class Puback(_Acknowledgement):
    __slots__ = ()
    _head = 0x40


class Pubrec(_Acknowledgement):
    __slots__ = ()
    _head = 0x50


class Pubrel(_Acknowledgement):
    __slots__ = ()
    _head = 0x62


class Pubcomp(_Acknowledgement):
    __slots__ = ()
    _head = 0x70


class Unsuback(_Acknowledgement):
    __slots__ = ()
    _head = 0xB0


class Subscribe(Packet):
    """filters: pairs of topic filter and the highest QoS wanted."""

    __slots__ = _fields = ("packet_id", "filters")

    def __init__(self, packet_id: int, filters: "list[tuple[str, int]]") -> None:
        self.packet_id = packet_id
        self.filters = filters

    def encode(self) -> bytes:
        body = _id(self.packet_id, "SUBSCRIBE")
        if not self.filters:
            raise MqttError("SUBSCRIBE: no filter")
        for topic_filter, qos in self.filters:
            check_filter(topic_filter, "SUBSCRIBE")
            if not 0 <= qos <= 2:
                raise MqttError("SUBSCRIBE: QoS must be 0..2")
            body += _string(topic_filter, "SUBSCRIBE: filter") + bytes((qos,))
        return _header(0x82, len(body)) + body


class Suback(Packet):
    """return_codes: the QoS granted to each filter, or 0x80 for one refused."""

    __slots__ = _fields = ("packet_id", "return_codes")

    def __init__(self, packet_id: int, return_codes: "list[int]") -> None:
        self.packet_id = packet_id
        self.return_codes = return_codes

    def encode(self) -> bytes:
        body = _id(self.packet_id, "SUBACK")
        if not self.return_codes:
            raise MqttError("SUBACK: no return code")
        for code in self.return_codes:
            if code not in (0, 1, 2, 0x80):
                raise MqttError("SUBACK: return code must be 0, 1, 2 or 0x80")
        body += bytes(self.return_codes)
        return _header(0x90, len(body)) + body


class Unsubscribe(Packet):
    __slots__ = _fields = ("packet_id", "filters")

    def __init__(self, packet_id: int, filters: "list[str]") -> None:
        self.packet_id = packet_id
        self.filters = filters

    def encode(self) -> bytes:
        body = _id(self.packet_id, "UNSUBSCRIBE")
        if not self.filters:
            raise MqttError("UNSUBSCRIBE: no filter")
        for topic_filter in self.filters:
            check_filter(topic_filter, "UNSUBSCRIBE")
            body += _string(topic_filter, "UNSUBSCRIBE: filter")
        return _header(0xA2, len(body)) + body


class Pingreq(Packet):
    __slots__ = ()

    def encode(self) -> bytes:
        return b"\xc0\x00"


class Pingresp(Packet):
    __slots__ = ()

    def encode(self) -> bytes:
        return b"\xd0\x00"


class Disconnect(Packet):
    __slots__ = ()

    def encode(self) -> bytes:
        return b"\xe0\x00"
