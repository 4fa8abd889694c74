"""MQTT packets: each one written, read whole, byte by byte, cut at every index, with junk behind; each rule broken."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quecbind.wire import _packets, mqtt
from quecbind.wire.errors import MqttError
from quecbind.wire.mqtt import (
    Connack,
    Connect,
    Disconnect,
    Packet,
    PacketReader,
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
)

CLIENT_ID = "qdp1115X861122334455667"

CLIENT = False
SERVER = True
EXAMPLES = [
    # what a device sends first: flags 42, a password and no user name
    (Connect("qdp1D", 120, True, None, b"pw"), CLIENT, "10 15 00044d515454 04 42 0078 0005716470 3144 00027077"),
    (Connect("a", 0, False, b"u", b"", None, 3), CLIENT, "10 14 00064d5149736470 03 c0 0000 000161 000175 0000"),
    (
        Connect("a", 65535, True, None, None, Will("w", b"x", 2, True)),
        CLIENT,
        "10 13 00044d515454 04 36 ffff 000161 000177 000178",
    ),
    (Connect("", 10), CLIENT, "10 0c 00044d515454 04 02 000a 0000"),
    (Connack(0), SERVER, "20 02 00 00"),
    (Connack(0, True), SERVER, "20 02 01 00"),
    (Connack(5), SERVER, "20 02 00 05"),
    (Connack(6), SERVER, "20 02 00 06"),
    (Publish("t", b"", 0), CLIENT, "30 03 000174"),
    (Publish("t", b"xy", 1, False, False, 258), CLIENT, "32 07 000174 0102 7879"),
    (Publish("t/u", b"x", 2, True, True, 1), SERVER, "3d 08 0003742f75 0001 78"),
    (Publish("\U0001f512é", b"x", 0, True), SERVER, "31 09 0006f09f9492c3a9 78"),
    (Publish("t", b"p" * 200, 0), CLIENT, "30 cb01 000174" + "70" * 200),
    (Puback(1), CLIENT, "40 02 0001"),
    (Pubrec(0x1234), CLIENT, "50 02 1234"),
    (Pubrel(65535), SERVER, "62 02 ffff"),
    (Pubcomp(256), CLIENT, "70 02 0100"),
    (Subscribe(1, [("q/1/d/x/+", 1)]), CLIENT, "82 0e 0001 0009712f312f642f782f2b 01"),
    (Subscribe(9, [("#", 0), ("+", 2), ("a/#", 1)]), CLIENT, "82 10 0009 000123 00 00012b 02 0003612f23 01"),
    (Suback(1, [1]), SERVER, "90 03 0001 01"),
    (Suback(2, [0, 2, 0x80]), SERVER, "90 05 0002 000280"),
    (Unsubscribe(3, ["a", "b/+"]), CLIENT, "a2 0a 0003 000161 0003622f2b"),
    (Unsuback(3), SERVER, "b0 02 0003"),
    (Pingreq(), CLIENT, "c0 00"),
    (Pingresp(), SERVER, "d0 00"),
    (Disconnect(), CLIENT, "e0 00"),
]
each_example = pytest.mark.parametrize(
    ("packet", "from_server", "wire"),
    [(packet, side, bytes.fromhex(wire)) for packet, side, wire in EXAMPLES],
    ids=[wire[:24] for _, _, wire in EXAMPLES],
)


@each_example
def test_packet_is_written_and_read(packet: Packet, from_server: bool, wire: bytes) -> None:
    assert packet.encode() == wire
    assert PacketReader(from_server=from_server).feed(wire) == [packet]
    assert PacketReader(from_server=from_server).feed(bytearray(wire)) == [packet]


@each_example
def test_packet_is_read_byte_by_byte(packet: Packet, from_server: bool, wire: bytes) -> None:
    reader = PacketReader(from_server=from_server)

    for at in range(len(wire) - 1):
        assert reader.feed(wire[at : at + 1]) == []
    assert reader.feed(wire[-1:]) == [packet]
    assert reader.feed(b"") == []


@each_example
def test_packet_cut_at_every_index_waits_for_the_rest(packet: Packet, from_server: bool, wire: bytes) -> None:
    for at in range(len(wire)):
        reader = PacketReader(from_server=from_server)

        assert reader.feed(wire[:at]) == []
        assert reader.feed(wire[at:] + wire) == [packet, packet]


@each_example
def test_packet_whose_length_ends_early_is_refused_or_another_packet(
    packet: Packet, from_server: bool, wire: bytes
) -> None:
    start = 2 if wire[1] < 128 else 3
    body = wire[start:]

    for size in range(len(body)):
        length = bytes((size,)) if size < 128 else bytes((size & 127 | 128, size >> 7))
        try:
            read = PacketReader(from_server=from_server).feed(wire[:1] + length + body[:size])
        except MqttError:
            continue
        # Only what has a tail of free length can lose a part of it and stay right.
        assert read != [packet]
        assert isinstance(read[0], (Publish, Subscribe, Unsubscribe, Suback)) or read[0].level == 3


@each_example
def test_junk_behind_a_packet_is_refused_and_the_packet_is_not_lost(
    packet: Packet, from_server: bool, wire: bytes
) -> None:
    reader = PacketReader(from_server=from_server)

    with pytest.raises(MqttError, match="type 15 is reserved") as caught:
        reader.feed(wire + b"\xff\xff")

    assert caught.value.packets == [packet]


@pytest.mark.parametrize(
    ("from_server", "wire"),
    [
        (side, bytes.fromhex(wire))
        for packet, side, wire in EXAMPLES
        if not isinstance(packet, (Publish, Suback))  # their tails have a free length
    ],
)
def test_a_byte_more_inside_a_packet_is_refused(from_server: bool, wire: bytes) -> None:
    longer = wire[:1] + bytes((wire[1] + 1,)) + wire[2:] + b"\x00"

    with pytest.raises(MqttError):
        PacketReader(from_server=from_server).feed(longer)


def connect(rest: str, name: str = "00044d515454", client_id: str = "000161") -> str:
    body = name + rest[:8] + client_id + rest[8:]
    return "10%02x" % (len(body) // 2) + body


REFUSED = [
    # the fixed header
    ("00", CLIENT, "packet type 0 is reserved"),
    ("f0", CLIENT, "packet type 15 is reserved"),
    ("00", SERVER, "packet type 0 is reserved"),
    ("10", SERVER, "CONNECT: never sent by a server"),
    ("20", CLIENT, "CONNACK: never sent by a client"),
    ("82", SERVER, "SUBSCRIBE: never sent by a server"),
    ("90", CLIENT, "SUBACK: never sent by a client"),
    ("a2", SERVER, "UNSUBSCRIBE: never sent by a server"),
    ("b0", CLIENT, "UNSUBACK: never sent by a client"),
    ("c0", SERVER, "PINGREQ: never sent by a server"),
    ("d0", CLIENT, "PINGRESP: never sent by a client"),
    ("e0", SERVER, "DISCONNECT: never sent by a server"),
    ("11", CLIENT, "CONNECT: reserved flags are wrong"),
    ("21", SERVER, "CONNACK: reserved flags are wrong"),
    ("36", CLIENT, "PUBLISH: QoS is 3"),
    ("3e", SERVER, "PUBLISH: QoS is 3"),
    ("38", CLIENT, "PUBLISH: duplicate with QoS 0"),
    ("39", CLIENT, "PUBLISH: duplicate with QoS 0"),
    ("42", CLIENT, "PUBACK: reserved flags are wrong"),
    ("51", CLIENT, "PUBREC: reserved flags are wrong"),
    ("60", CLIENT, "PUBREL: reserved flags are wrong"),
    ("61", CLIENT, "PUBREL: reserved flags are wrong"),
    ("6a", CLIENT, "PUBREL: reserved flags are wrong"),
    ("72", CLIENT, "PUBCOMP: reserved flags are wrong"),
    ("80", CLIENT, "SUBSCRIBE: reserved flags are wrong"),
    ("8a", CLIENT, "SUBSCRIBE: reserved flags are wrong"),
    ("92", SERVER, "SUBACK: reserved flags are wrong"),
    ("a0", CLIENT, "UNSUBSCRIBE: reserved flags are wrong"),
    ("b1", SERVER, "UNSUBACK: reserved flags are wrong"),
    ("c1", CLIENT, "PINGREQ: reserved flags are wrong"),
    ("d1", SERVER, "PINGRESP: reserved flags are wrong"),
    ("e1", CLIENT, "DISCONNECT: reserved flags are wrong"),
    ("30ffffffff", CLIENT, "remaining length is over 4 bytes"),
    ("30ffffffff01", CLIENT, "remaining length is over 4 bytes"),
    ("c08000", CLIENT, "remaining length is longer than it need be"),
    ("30818000", CLIENT, "remaining length is longer than it need be"),
    ("30ffffff7f", CLIENT, "packet of 268435460 bytes, at most 65536 are allowed"),
    ("30ffff03", CLIENT, "packet of 65539 bytes, at most 65536 are allowed"),
    # CONNECT
    ("1000", CLIENT, "CONNECT: protocol name is neither"),
    ("100a 00044d51545504020000", CLIENT, "CONNECT: protocol name is neither"),
    (connect("04020000", "00054d51545454"), CLIENT, "CONNECT: protocol name is neither"),
    ("1007 00044d51545404", CLIENT, "CONNECT is cut short"),
    ("1009 00044d515454040200", CLIENT, "CONNECT is cut short"),
    (connect("05020000"), CLIENT, "CONNECT: level 5 is not served"),
    (connect("03020000"), CLIENT, "CONNECT: level 3 is not served"),
    (connect("04020000", "00064d5149736470"), CLIENT, "CONNECT: level 4 is not served"),
    (connect("84020000"), CLIENT, "CONNECT: level 132 is not served"),
    (connect("04030000"), CLIENT, "CONNECT: reserved flag is set"),
    (connect("04020000", client_id="000261"), CLIENT, "CONNECT: client id is cut short"),
    (connect("04020000", client_id="00"), CLIENT, "CONNECT: client id is cut short"),
    (connect("04020000", client_id=""), CLIENT, "CONNECT: client id is cut short"),
    (connect("04020000", client_id="0001ff"), CLIENT, "CONNECT: client id is not UTF-8"),
    (connect("04020000", client_id="000100"), CLIENT, "CONNECT: client id holds a NUL"),
    (connect("04020000", client_id="0002c080"), CLIENT, "CONNECT: client id is not UTF-8"),
    (connect("04020000", client_id="0003eda080"), CLIENT, "CONNECT: client id is not UTF-8"),
    (connect("04000000", client_id="0000"), CLIENT, "CONNECT: client id is empty"),
    (connect("03020000", "00064d5149736470", "0000"), CLIENT, "CONNECT: client id is empty"),
    (connect("040a0000"), CLIENT, "CONNECT: will QoS or retain without a will"),
    (connect("04220000"), CLIENT, "CONNECT: will QoS or retain without a will"),
    (connect("041e0000000177000178"), CLIENT, "CONNECT: will QoS is 3"),
    (connect("04060000"), CLIENT, "CONNECT: will topic is cut short"),
    (connect("040600000000000178"), CLIENT, "CONNECT will: topic is empty"),
    (connect("0406000000012b000178"), CLIENT, "CONNECT will: topic holds a wildcard"),
    (connect("04060000000177"), CLIENT, "CONNECT: will message is cut short"),
    (connect("04820000"), CLIENT, "CONNECT: user name is cut short"),
    (connect("048200000001ff"), CLIENT, "CONNECT: user name is not UTF-8"),
    (connect("04820000000100"), CLIENT, "CONNECT: user name holds a NUL"),
    (connect("04420000"), CLIENT, "CONNECT: password is cut short"),
    (connect("04420000000561"), CLIENT, "CONNECT: password is cut short"),
    (connect("03420000000561", "00064d5149736470"), CLIENT, "CONNECT: password is cut short"),
    (connect("0442000000016100"), CLIENT, "CONNECT: 1 bytes are left over"),
    (connect("04020000000161"), CLIENT, "CONNECT: 3 bytes are left over"),
    # CONNACK
    ("200100", SERVER, "CONNACK: length is not 2"),
    ("2003000000", SERVER, "CONNACK: length is not 2"),
    ("20020200", SERVER, "CONNACK: reserved flag is set"),
    ("20020105", SERVER, "CONNACK: a refusal cannot have a session"),
    # PUBLISH
    ("3000", CLIENT, "PUBLISH: topic is cut short"),
    ("30020000", CLIENT, "PUBLISH: topic is empty"),
    ("3003000261", CLIENT, "PUBLISH: topic is cut short"),
    ("300300012b", CLIENT, "PUBLISH: topic holds a wildcard"),
    ("3005000361 2f23", SERVER, "PUBLISH: topic holds a wildcard"),
    ("30030001ff", CLIENT, "PUBLISH: topic is not UTF-8"),
    ("3003000100", CLIENT, "PUBLISH: topic holds a NUL"),
    ("3005 0003eda080", CLIENT, "PUBLISH: topic is not UTF-8"),
    ("3006 0004f4908080", CLIENT, "PUBLISH: topic is not UTF-8"),
    ("3203000174", CLIENT, "PUBLISH: packet id is cut short"),
    ("320400017400", CLIENT, "PUBLISH: packet id is cut short"),
    ("34050001740000", CLIENT, "PUBLISH: packet id is 0"),
    # acknowledgements
    ("400100", CLIENT, "PUBACK: length is not 2"),
    ("4003000100", CLIENT, "PUBACK: length is not 2"),
    ("40020000", CLIENT, "PUBACK: packet id is 0"),
    ("50020000", CLIENT, "PUBREC: packet id is 0"),
    ("6200", CLIENT, "PUBREL: length is not 2"),
    ("62020000", SERVER, "PUBREL: packet id is 0"),
    ("7000", SERVER, "PUBCOMP: length is not 2"),
    ("70020000", SERVER, "PUBCOMP: packet id is 0"),
    ("b0020000", SERVER, "UNSUBACK: packet id is 0"),
    # SUBSCRIBE and UNSUBSCRIBE
    ("820100", CLIENT, "SUBSCRIBE: packet id is cut short"),
    ("82020001", CLIENT, "SUBSCRIBE: no filter"),
    ("82020000", CLIENT, "SUBSCRIBE: packet id is 0"),
    ("8206000000016100", CLIENT, "SUBSCRIBE: packet id is 0"),
    ("82050001000161", CLIENT, "SUBSCRIBE: QoS is cut short"),
    ("8206000100016103", CLIENT, "SUBSCRIBE: QoS must be 0..2"),
    ("8206000100016180", CLIENT, "SUBSCRIBE: QoS must be 0..2"),
    ("8205000100 0000", CLIENT, "SUBSCRIBE: filter is empty"),
    ("820400010001", CLIENT, "SUBSCRIBE: filter is cut short"),
    ("8207 0001 00022361 00", CLIENT, "SUBSCRIBE: # must be the last level alone"),
    ("8207 0001 00026123 00", CLIENT, "SUBSCRIBE: # must be the last level alone"),
    ("8208 0001 0003232f23 00", CLIENT, "SUBSCRIBE: # must be the last level alone"),
    ("8207 0001 0002612b 00", CLIENT, r"SUBSCRIBE: \+ must be a level alone"),
    ("8208 0001 0003612f2b 00 00", CLIENT, "type|SUBSCRIBE|MQTT"),
    ("8206 0001 000100 00", CLIENT, "SUBSCRIBE: filter holds a NUL"),
    ("8206 0001 0001ff 00", CLIENT, "SUBSCRIBE: filter is not UTF-8"),
    ("a2020001", CLIENT, "UNSUBSCRIBE: no filter"),
    ("a2050000000161", CLIENT, "UNSUBSCRIBE: packet id is 0"),
    ("a206000100016100", CLIENT, "UNSUBSCRIBE: filter is cut short"),
    ("a20400010000", CLIENT, "UNSUBSCRIBE: filter is empty"),
    ("a2050001000100", CLIENT, "UNSUBSCRIBE: filter holds a NUL"),
    # SUBACK
    ("900100", SERVER, "SUBACK: packet id is cut short"),
    ("90020001", SERVER, "SUBACK: no return code"),
    ("9003000103", SERVER, "SUBACK: return code must be"),
    ("9003000000", SERVER, "SUBACK: packet id is 0"),
    # no length at all
    ("c00100", CLIENT, "PINGREQ: length is not 0"),
    ("d00100", SERVER, "PINGRESP: length is not 0"),
    ("e00100", CLIENT, "DISCONNECT: length is not 0"),
]


@pytest.mark.parametrize(("wire", "from_server", "sentence"), REFUSED)
def test_packet_outside_the_standard_is_refused_with_a_sentence(wire: str, from_server: bool, sentence: str) -> None:
    data = bytes.fromhex(wire)
    reader = PacketReader(from_server=from_server)

    with pytest.raises(MqttError, match=sentence):
        reader.feed(data)
    with pytest.raises(MqttError, match="after a refused packet"):
        reader.feed(Pingreq().encode())


@pytest.mark.parametrize(("wire", "from_server", "sentence"), REFUSED)
def test_refusal_does_not_depend_on_how_the_bytes_arrive(wire: str, from_server: bool, sentence: str) -> None:
    reader = PacketReader(from_server=from_server)

    def feed_one_by_one() -> None:
        for byte in bytes.fromhex(wire):
            reader.feed(bytes((byte,)))

    with pytest.raises(MqttError, match=sentence):
        feed_one_by_one()


@pytest.mark.parametrize(
    ("wire", "return_code"),
    [
        (connect("05020000"), 1),
        (connect("03020000"), 1),
        (connect("04020000", "00064d5149736470"), 1),
        (connect("04000000", client_id="0000"), 2),
        (connect("03020000", "00064d5149736470", "0000"), 2),
        (connect("04030000"), None),
        ("00", None),
    ],
)
def test_refusal_says_whether_a_connack_is_owed(wire: str, return_code: int | None) -> None:
    with pytest.raises(MqttError) as caught:
        PacketReader().feed(bytes.fromhex(wire))

    assert caught.value.return_code == return_code
    assert caught.value.packets == []


def test_mqtt_31_allows_a_flag_without_its_field_and_311_does_not() -> None:
    wire = bytes.fromhex(connect("03c20000", "00064d5149736470"))

    assert PacketReader().feed(wire) == [Connect("a", 0, True, level=3)]
    with pytest.raises(MqttError, match="user name is cut short"):
        PacketReader().feed(bytes.fromhex(connect("04c20000")))


@pytest.mark.parametrize(
    ("wire", "packet"),
    [
        ("6a020001", Pubrel(1)),
        ("8a06000100016101", Subscribe(1, [("a", 1)])),
        ("aa050001000161", Unsubscribe(1, ["a"])),
    ],
)
def test_mqtt_31_marks_repeats_with_dup(wire: str, packet: Packet) -> None:
    first = Connect("a", level=3)

    assert PacketReader().feed(first.encode() + bytes.fromhex(wire)) == [first, packet]
    with pytest.raises(MqttError, match="reserved flags are wrong"):
        PacketReader().feed(Connect("a").encode() + bytes.fromhex(wire))


def test_mqtt_31_server_repeats_pubrel_with_dup() -> None:
    assert PacketReader(from_server=True, level=3).feed(bytes.fromhex("6a020001")) == [Pubrel(1)]


def test_long_password_without_a_user_name_is_what_devices_send() -> None:
    packet = Connect(CLIENT_ID, 120, True, None, b"0;0000;p1115X;" + b"A" * 128)
    wire = packet.encode()

    assert wire[10] == 0x42
    assert PacketReader().feed(wire) == [packet]


def test_limit_counts_the_whole_packet_and_can_be_moved() -> None:
    wire = Publish("t", bytes(100)).encode()
    reader = PacketReader(max_packet=len(wire))

    assert len(reader.feed(wire)) == 1
    reader.max_packet = len(wire) - 1
    with pytest.raises(MqttError, match="packet of 105 bytes, at most 104 are allowed"):
        reader.feed(wire[:2])


def test_large_packet_in_small_pieces_is_collected_without_being_copied_each_time() -> None:
    wire = Publish("t", bytes(65000), 1, packet_id=7).encode()
    reader = PacketReader()

    read = [packet for at in range(0, len(wire), 3) for packet in reader.feed(wire[at : at + 3])]

    assert read == [Publish("t", bytes(65000), 1, packet_id=7)]


@pytest.mark.parametrize(
    ("packet", "sentence"),
    [
        (Connect("a", level=5), "level must be 3 or 4"),
        (Connect("a", -1), "keep-alive"),
        (Connect("a", 65536), "keep-alive"),
        (Connect("", clean_session=False), "client id is empty"),
        (Connect("", level=3), "client id is empty"),
        (Connect("a\0"), "holds a NUL"),
        (Connect("\ud800"), "holds a surrogate"),
        (Connect("a" * 65536), "over 65535 bytes"),
        (Connect("a", password=bytes(65536)), "over 65535 bytes"),
        (Connect("a", will=Will("", b"")), "topic is empty"),
        (Connect("a", will=Will("a", b"", 3)), "will QoS"),
        (Connack(256), "return code"),
        (Connack(1, True), "cannot have a session"),
        (Publish("", b""), "topic is empty"),
        (Publish("a/+", b""), "wildcard"),
        (Publish("a", b"", 3), "QoS must be"),
        (Publish("a", b"", 1), "packet id"),
        (Publish("a", b"", 0, packet_id=1), "QoS 0 has no packet id"),
        (Publish("a", b"", 0, dup=True), "never a duplicate"),
        (Puback(0), "PUBACK: packet id"),
        (Pubrel(65536), "PUBREL: packet id"),
        (Subscribe(1, []), "no filter"),
        (Subscribe(0, [("a", 1)]), "packet id"),
        (Subscribe(1, [("a", 3)]), "QoS must be"),
        (Subscribe(1, [("a#", 1)]), "# must be"),
        (Suback(1, []), "no return code"),
        (Suback(1, [3]), "return code must be"),
        (Unsubscribe(1, []), "no filter"),
        (Unsubscribe(1, [""]), "filter is empty"),
    ],
)
def test_what_the_standard_forbids_is_not_written(packet: Packet, sentence: str) -> None:
    with pytest.raises(MqttError, match=sentence):
        packet.encode()


def test_remaining_length_has_at_most_4_bytes() -> None:
    assert _packets._header(0x30, 268435455) == b"\x30\xff\xff\xff\x7f"
    with pytest.raises(MqttError, match="over 256 MiB"):
        _packets._header(0x30, 268435456)


def test_repr_hides_passwords_and_payloads() -> None:
    shown = repr(
        [
            Connect("id", 1, True, b"user-secret", b"password-secret", Will("t", b"will-secret")),
            Publish("t", b"payload-secret"),
        ]
    )

    assert "secret" not in shown
    assert "client_id='id'" in shown
    assert "password=<15 hidden>" in shown


def test_packets_are_equal_by_kind_and_fields() -> None:
    assert Puback(1) == Puback(1)
    assert Puback(1) != Puback(2)
    assert Puback(1) != Pubrec(1)
    assert Pingreq() == Pingreq()
    with pytest.raises(TypeError, match="unhashable"):
        hash(Pingreq())


def test_refusal_never_shows_what_was_sent() -> None:
    wire = bytes.fromhex(connect("0442000000ff")) + b"0;0000;hunter2"

    with pytest.raises(MqttError) as caught:
        PacketReader().feed(wire)

    assert "hunter2" not in str(caught.value)


TEXT = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0+#"), min_size=1, max_size=20)
BINARY = st.binary(max_size=40)
IDS = st.integers(1, 65535)
QOS = st.integers(0, 2)
USER = TEXT.map(str.encode)


@st.composite
def publishes(draw: Any) -> Publish:
    qos = draw(QOS)
    dup, packet_id = (draw(st.booleans()), draw(IDS)) if qos else (False, 0)
    return Publish(draw(TEXT), draw(BINARY), qos, draw(st.booleans()), dup, packet_id)


WILLS = st.builds(Will, TEXT, BINARY, QOS, st.booleans())
CONNECTS = st.builds(
    Connect,
    TEXT,
    st.integers(0, 65535),
    st.booleans(),
    st.none() | USER,
    st.none() | BINARY,
    st.none() | WILLS,
    st.sampled_from([3, 4]),
)
FROM_CLIENT = st.one_of(
    CONNECTS,
    publishes(),
    st.builds(Puback, IDS),
    st.builds(Pubrel, IDS),
    st.builds(Subscribe, IDS, st.lists(st.tuples(TEXT, QOS), min_size=1, max_size=4)),
    st.builds(Unsubscribe, IDS, st.lists(TEXT, min_size=1, max_size=4)),
    st.just(Pingreq()),
    st.just(Disconnect()),
)
FROM_SERVER = st.one_of(
    st.builds(Connack, st.integers(0, 255)),
    publishes(),
    st.builds(Pubrec, IDS),
    st.builds(Pubcomp, IDS),
    st.builds(Suback, IDS, st.lists(st.sampled_from([0, 1, 2, 0x80]), min_size=1, max_size=4)),
    st.builds(Unsuback, IDS),
    st.just(Pingresp()),
)


@given(st.data(), st.booleans())
def test_any_packets_round_trip_however_the_stream_is_cut(data: Any, from_server: bool) -> None:
    packets = data.draw(st.lists(FROM_SERVER if from_server else FROM_CLIENT, max_size=4))
    stream = b"".join(packet.encode() for packet in packets)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=6)))
    reader = PacketReader(from_server=from_server)

    read = []
    for start, stop in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        read += reader.feed(stream[start:stop])

    assert read == packets


@given(st.binary(max_size=80), st.booleans())
def test_what_decodes_is_read_back_from_its_encoding(data: bytes, from_server: bool) -> None:
    try:
        packets = PacketReader(from_server=from_server).feed(data)
    except MqttError:
        return

    stream = b"".join(packet.encode() for packet in packets)
    assert PacketReader(from_server=from_server).feed(stream) == packets


def test_module_exports_every_packet() -> None:
    assert {type(packet).__name__ for packet, _, _ in EXAMPLES} | {"Packet", "PacketReader", "Will"} == set(
        mqtt.__all__
    )
