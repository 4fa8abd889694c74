"""MQTT 3.1 (level 3) and 3.1.1 (level 4): bytes to packets, in both directions, every length and flag checked.

A packet outside the standard ends the connection, so the reader refuses everything after it. It refuses as soon as
it can tell: a bad first byte or a length over the limit does not wait for the rest. One thing the standard forbids
is let through because every device does it: CONNECT with a password and no user name.
Sessions, keep-alive and acknowledgements are not decided here.
"""

from quecbind.wire import _text
from quecbind.wire._packets import (
    Connack,
    Connect,
    Disconnect,
    Packet,
    Pingreq,
    Pingresp,
    Puback,
    Pubcomp,
    Publish,
    Pubrec,
    Pubrel,
    Suback,
    Subscribe,
    Unsuback,
    Unsubscribe,
    Will,
    check_filter,
    check_topic,
)
from quecbind.wire.errors import MqttError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    Decoder = Callable[[int, bytes], Packet]

__all__ = (
    "Connack",
    "Connect",
    "Disconnect",
    "Packet",
    "PacketReader",
    "Pingreq",
    "Pingresp",
    "Puback",
    "Pubcomp",
    "Publish",
    "Pubrec",
    "Pubrel",
    "Suback",
    "Subscribe",
    "Unsuback",
    "Unsubscribe",
    "Will",
)

MAX_PACKET = 65536
WRONG_LEVEL = 1  # CONNACK return codes
WRONG_CLIENT_ID = 2


def _text_at(body: bytes, at: int, name: str) -> "tuple[str, int]":
    data, at = _binary_at(body, at, name)
    try:
        text = _text.decode(data)
    except UnicodeError:
        raise MqttError("%s is not UTF-8" % name) from None
    if "\0" in text:
        raise MqttError("%s holds a NUL" % name)
    return text, at


def _binary_at(body: bytes, at: int, name: str) -> "tuple[bytes, int]":
    start = at + 2
    if start > len(body):
        raise MqttError("%s is cut short" % name)
    stop = start + (body[at] << 8 | body[at + 1])
    if stop > len(body):
        raise MqttError("%s is cut short" % name)
    return body[start:stop], stop


def _id_at(body: bytes, at: int, name: str) -> int:
    if at + 2 > len(body):
        raise MqttError("%s: packet id is cut short" % name)
    packet_id = body[at] << 8 | body[at + 1]
    if not packet_id:
        raise MqttError("%s: packet id is 0" % name)
    return packet_id


def _connect(head: int, body: bytes) -> Packet:
    if body.startswith(b"\x00\x04MQTT"):
        at, right_level = 6, 4
    elif body.startswith(b"\x00\x06MQIsdp"):
        at, right_level = 8, 3
    else:
        raise MqttError("CONNECT: protocol name is neither MQTT nor MQIsdp")
    if len(body) < at + 4:
        raise MqttError("CONNECT is cut short")
    level = body[at]
    if level != right_level:
        raise MqttError("CONNECT: level %d is not served" % level, WRONG_LEVEL)
    flags = body[at + 1]
    if flags & 1:
        raise MqttError("CONNECT: reserved flag is set")
    keep_alive = body[at + 2] << 8 | body[at + 3]
    client_id, at = _text_at(body, at + 4, "CONNECT: client id")
    clean_session = flags & 2 != 0
    if not client_id and (level == 3 or not clean_session):
        raise MqttError("CONNECT: client id is empty", WRONG_CLIENT_ID)
    will = None
    if flags & 0x3C:
        will, at = _will(flags, body, at)
    user_name = password = None
    end = len(body)
    # MQTT 3.1 allows a set flag without its field at the end of the packet.
    if flags & 128 and not (level == 3 and at == end):
        user_name, at = _binary_at(body, at, "CONNECT: user name")
        _check_user_name(user_name)
    if flags & 64 and not (level == 3 and at == end):
        password, at = _binary_at(body, at, "CONNECT: password")
    if at != end:
        raise MqttError("CONNECT: %d bytes are left over" % (end - at))
    return Connect(client_id, keep_alive, clean_session, user_name, password, will, level)


def _check_user_name(user_name: bytes) -> None:
    """Kept as bytes, because it is a proof as often as a name; still it must be a string of the standard."""
    try:
        _text.decode(user_name)
    except UnicodeError:
        raise MqttError("CONNECT: user name is not UTF-8") from None
    if b"\0" in user_name:
        raise MqttError("CONNECT: user name holds a NUL")


def _will(flags: int, body: bytes, at: int) -> "tuple[Will, int]":
    qos = flags >> 3 & 3
    if not flags & 4:
        raise MqttError("CONNECT: will QoS or retain without a will")
    if qos == 3:
        raise MqttError("CONNECT: will QoS is 3")
    topic, at = _text_at(body, at, "CONNECT: will topic")
    check_topic(topic, "CONNECT will")
    payload, at = _binary_at(body, at, "CONNECT: will message")
    return Will(topic, payload, qos, flags & 32 != 0), at


def _connack(head: int, body: bytes) -> Packet:
    if len(body) != 2:
        raise MqttError("CONNACK: length is not 2")
    if body[0] > 1:
        raise MqttError("CONNACK: reserved flag is set")
    if body[0] and body[1]:
        raise MqttError("CONNACK: a refusal cannot have a session")
    return Connack(body[1], body[0] == 1)


def _publish(head: int, body: bytes) -> Packet:
    topic, at = _text_at(body, 0, "PUBLISH: topic")
    if not topic or "+" in topic or "#" in topic:
        check_topic(topic, "PUBLISH")
    qos = head >> 1 & 3
    packet_id = 0
    if qos:
        packet_id = _id_at(body, at, "PUBLISH")
        at += 2
    return Publish(topic, body[at:], qos, head & 1 != 0, head & 8 != 0, packet_id)


def _subscribe(head: int, body: bytes) -> Packet:
    packet_id = _id_at(body, 0, "SUBSCRIBE")
    filters = []
    at = 2
    end = len(body)
    while at < end:
        topic_filter, at = _text_at(body, at, "SUBSCRIBE: filter")
        check_filter(topic_filter, "SUBSCRIBE")
        if at == end:
            raise MqttError("SUBSCRIBE: QoS is cut short")
        qos = body[at]
        if qos > 2:
            raise MqttError("SUBSCRIBE: QoS must be 0..2")
        filters.append((topic_filter, qos))
        at += 1
    if not filters:
        raise MqttError("SUBSCRIBE: no filter")
    return Subscribe(packet_id, filters)


def _suback(head: int, body: bytes) -> Packet:
    packet_id = _id_at(body, 0, "SUBACK")
    codes = list(body[2:])
    if not codes:
        raise MqttError("SUBACK: no return code")
    for code in codes:
        if code > 2 and code != 0x80:
            raise MqttError("SUBACK: return code must be 0, 1, 2 or 0x80")
    return Suback(packet_id, codes)


def _unsubscribe(head: int, body: bytes) -> Packet:
    packet_id = _id_at(body, 0, "UNSUBSCRIBE")
    filters = []
    at = 2
    while at < len(body):
        topic_filter, at = _text_at(body, at, "UNSUBSCRIBE: filter")
        check_filter(topic_filter, "UNSUBSCRIBE")
        filters.append(topic_filter)
    if not filters:
        raise MqttError("UNSUBSCRIBE: no filter")
    return Unsubscribe(packet_id, filters)


_ACKNOWLEDGEMENTS = {4: Puback, 5: Pubrec, 6: Pubrel, 7: Pubcomp, 11: Unsuback}
_EMPTY = {12: Pingreq, 13: Pingresp, 14: Disconnect}
_NAMES = (
    "CONNECT",
    "CONNACK",
    "PUBLISH",
    "PUBACK",
    "PUBREC",
    "PUBREL",
    "PUBCOMP",
    "SUBSCRIBE",
    "SUBACK",
    "UNSUBSCRIBE",
    "UNSUBACK",
    "PINGREQ",
    "PINGRESP",
    "DISCONNECT",
)


def _acknowledgement(head: int, body: bytes) -> Packet:
    kind = head >> 4
    if len(body) != 2:
        raise MqttError("%s: length is not 2" % _NAMES[kind - 1])
    return _ACKNOWLEDGEMENTS[kind](_id_at(body, 0, _NAMES[kind - 1]))


def _empty(head: int, body: bytes) -> Packet:
    kind = head >> 4
    if body:
        raise MqttError("%s: length is not 0" % _NAMES[kind - 1])
    return _EMPTY[kind]()


# PUBLISH: DUP, QoS and RETAIN in any combination but QoS 3, and DUP with QoS 0.
_PUBLISH_HEADS = (0x30, 0x31, 0x32, 0x33, 0x34, 0x35, 0x3A, 0x3B, 0x3C, 0x3D)
_BOTH_WAYS: "list[tuple[int, Decoder]]" = [(head, _publish) for head in _PUBLISH_HEADS]
_BOTH_WAYS += [(head, _acknowledgement) for head in (0x40, 0x50, 0x62, 0x70)]
_FROM_CLIENT: "dict[int, Decoder]" = dict(_BOTH_WAYS)
_FROM_CLIENT.update({0x10: _connect, 0x82: _subscribe, 0xA2: _unsubscribe, 0xC0: _empty, 0xE0: _empty})
_FROM_SERVER: "dict[int, Decoder]" = dict(_BOTH_WAYS)
_FROM_SERVER.update({0x20: _connack, 0x90: _suback, 0xB0: _acknowledgement, 0xD0: _empty})
# MQTT 3.1 marks repeats of these with DUP.
_FROM_CLIENT_31 = dict(_FROM_CLIENT)
_FROM_CLIENT_31.update({0x6A: _acknowledgement, 0x8A: _subscribe, 0xAA: _unsubscribe})
_FROM_SERVER_31 = dict(_FROM_SERVER)
_FROM_SERVER_31[0x6A] = _acknowledgement


class PacketReader:
    """Packets out of a byte stream, whatever way it is cut into chunks.

    Attributes:
        max_packet: largest packet let through, fixed header included; may be changed at any time.
    """

    def __init__(self, max_packet: int = MAX_PACKET, from_server: bool = False, level: int = 4) -> None:
        """A reader for one connection.

        Args:
            max_packet: largest packet let through, fixed header included.
            from_server: whether the peer is the server; its packets differ from a client's.
            level: of the connection; a reader on the server takes it from CONNECT.
        """
        self.max_packet = max_packet
        self._from_server = from_server
        self._rest = bytearray()
        self._needed = 0  # bytes that must be there before it is worth looking again
        self._refusal: "MqttError | None" = None
        self._decoders = self._decoders_of(level)

    def _decoders_of(self, level: int) -> "dict[int, Decoder]":
        if self._from_server:
            return _FROM_SERVER_31 if level == 3 else _FROM_SERVER
        return _FROM_CLIENT_31 if level == 3 else _FROM_CLIENT

    @property
    def is_between_packets(self) -> bool:
        """Whether nothing of an unfinished packet is kept here."""
        return not self._rest

    def feed(self, data: "bytes | bytearray | memoryview") -> "list[Packet]":
        """Takes what arrived and gives the packets it completed, oldest first.

        Raises:
            MqttError: for a packet outside the standard, and for every call after it. Its `packets` are those
                that the same call completed before.
        """
        if self._refusal is not None:
            raise MqttError("MQTT: data after a refused packet", self._refusal.return_code)
        rest = self._rest
        if rest:
            rest += data
            if len(rest) < self._needed:
                return []
            data = bytes(rest)
            self._rest = bytearray()
        elif not isinstance(data, bytes):
            data = bytes(data)
        packets: "list[Packet]" = []
        try:
            at = self._read(data, packets)
        except MqttError as error:
            error.packets.extend(packets)
            self._refusal = error
            raise
        if at < len(data):
            self._rest = bytearray(data[at:])
        return packets

    def _read(self, data: bytes, packets: "list[Packet]") -> int:
        """Decodes every whole packet and returns where the first unfinished one begins."""
        at = 0
        end = len(data)
        decoders = self._decoders
        while at < end:
            head = data[at]
            decoder = decoders.get(head)
            if decoder is None:
                raise MqttError(self._why_not(head))
            start = at + 2
            if start > end:
                self._needed = 2
                break
            length = data[at + 1]
            if length > 127:
                length, start = _long_length(data, at, end)
                if not start:
                    self._needed = end - at + 1
                    break
            stop = start + length
            if stop - at > self.max_packet:
                raise MqttError("MQTT: packet of %d bytes, at most %d are allowed" % (stop - at, self.max_packet))
            if stop > end:
                self._needed = stop - at
                break
            packet = decoder(head, data[start:stop])
            packets.append(packet)
            at = stop
            if head == 0x10 and packet.level == 3:  # type: ignore[attr-defined]  # 0x10 is Connect
                decoders = self._decoders = self._decoders_of(3)
        return at

    def _why_not(self, head: int) -> str:
        kind = head >> 4
        if not 1 <= kind <= 14:
            return "MQTT: packet type %d is reserved" % kind
        name = _NAMES[kind - 1]
        if kind == 3:
            return "PUBLISH: QoS is 3" if head & 6 == 6 else "PUBLISH: duplicate with QoS 0"
        for known in self._decoders:
            if known >> 4 == kind:
                return "%s: reserved flags are wrong" % name
        return "%s: never sent by a %s" % (name, "server" if self._from_server else "client")


def _long_length(data: bytes, at: int, end: int) -> "tuple[int, int]":
    """A remaining length of more than one byte and where it ends; an end of 0 when it is not there yet."""
    length = shift = 0
    for index in range(at + 1, min(at + 5, end)):
        byte = data[index]
        length |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            if not byte:
                raise MqttError("MQTT: remaining length is longer than it need be")
            return length, index + 1
    if end >= at + 5:
        raise MqttError("MQTT: remaining length is over 4 bytes")
    return 0, 0
