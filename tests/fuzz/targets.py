"""What must hold for any bytes: each function is given some, and raises only when the wire breaks its promise.

The promise: a value or a `WireError`; a value that is written reads back as itself; a stream means the same
however it is cut. `SEEDS` are where a fuzzer starts.
"""

import contextlib
import itertools
import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

from quecbind.app.chip_session import ChipSession
from quecbind.app.cloud_session import CloudSession
from quecbind.app.control_session import ControlSession, Happening
from quecbind.wire import ble, ble_advertising, ble_chip, commands, frame, lan, mqtt, signing, topics, ttlv
from quecbind.wire.errors import FrameError, LoginError, MqttError, TtlvError, WireError

VECTORS = Path(__file__).parent.parent / "vectors"
KEY = bytes(range(16))
PRODUCT_SECRET = "d2c5Q1FsVWpwT1k3"
DEVICE_KEY = "861122334455667"


def read_all(data: bytes, from_server: bool, size: int) -> tuple[list[Any], str]:
    """The packets of a stream cut into pieces, and the sentence it was refused with, if it was."""
    reader = mqtt.PacketReader(max_packet=4096, from_server=from_server)
    packets: list[Any] = []
    try:
        for at in range(0, len(data), size):
            packets += reader.feed(data[at : at + size])
    except MqttError as refusal:
        return packets + refusal.packets, str(refusal)
    return packets, ""


def fuzz_mqtt(data: bytes) -> None:
    for from_server in (False, True):
        packets, sentence = read_all(data, from_server, len(data) or 1)
        assert read_all(data, from_server, 1) == (packets, sentence), "the answer depends on the chunks"
        assert read_all(data, from_server, 7) == (packets, sentence), "the answer depends on the chunks"
        stream = b"".join(packet.encode() for packet in packets)
        assert read_all(stream, from_server, len(stream) or 1) == (packets, ""), "a packet reads back as another"
        repr(packets)


def fuzz_frame(data: bytes) -> None:
    whole, single = frame.FrameReader(4096), frame.FrameReader(4096)
    found = whole.feed(data)
    assert [one for at in range(len(data)) for one in single.feed(data[at : at + 1])] == found
    assert single.skipped_count == whole.skipped_count
    for one in found:
        assert frame.decode(frame.encode(*one)) == one
    try:
        packet = frame.decode(data, 4096)
    except FrameError:
        return
    assert found[0] == packet, "a message and a stream mean the same"


def fuzz_ttlv(data: bytes) -> None:
    with contextlib.suppress(TtlvError):
        assert commands.encode_ids(commands.decode_ids(data)) == data
    try:
        fields = ttlv.decode(data, parse_float=Decimal)
        ttlv.decode(data)
    except TtlvError:
        return
    try:
        again = ttlv.encode(fields)
    except TtlvError:
        return  # more is read than is written: empty lists, and elements after ids
    assert ttlv.decode(again, parse_float=Decimal) == fields, "fields read back as others"


PARSERS: list[Callable[[bytes], Any]] = [
    lan.parse_discover_answer,
    lan.parse_provision_request,
    lan.parse_provision_answer,
    lan.parse_random,
    lan.parse_login,
    lan.parse_login_result,
    lan.parse_write_ack,
    lan.parse_heartbeat,
    ble_advertising.parse_manufacturer_data,
    ble.parse_authenticate,
    ble.parse_authenticated,
    ble.parse_unbind,
    ble.parse_unbound,
    ble_chip.parse_authenticate,
    ble_chip.parse_authenticated,
    ble_chip.parse_accounts,
    ble_chip.parse_grant,
    ble_chip.parse_granted,
    ble_chip.parse_manufacturer_data,
]


def fuzz_lan(data: bytes) -> None:
    for parse in PARSERS:
        with contextlib.suppress(WireError):
            repr(parse(data))
    with contextlib.suppress(WireError):
        signing.lan_decrypt(KEY, "A1b2C3d4E5f6G7h8", data)


def fuzz_signing(data: bytes) -> None:
    with contextlib.suppress(WireError):
        signing.session_decrypt(KEY, data)
    with contextlib.suppress(LoginError):
        signing.verify_reset_user_name(data, KEY)
    text = data.decode("utf-8", "surrogateescape")
    with contextlib.suppress(WireError):
        topics.parse(text)
    with contextlib.suppress(WireError):
        topics.client_id(text, text)
    with contextlib.suppress(WireError):
        signing.app_password_decrypt(text, text)
    with contextlib.suppress(WireError):
        signing.app_signature(text)
    assert signing.same(text, text)
    with contextlib.suppress(LoginError):
        login = signing.parse_login(data)
        if isinstance(login, signing.FirstLogin):
            signing.open_first_login(login, PRODUCT_SECRET, DEVICE_KEY)
        else:
            signing.verify_login(login, PRODUCT_SECRET, "secret")


def _vectors(name: str) -> dict[str, Any]:
    with (VECTORS / name).open() as file:
        vectors: dict[str, Any] = json.load(file)
    return vectors


def _frames() -> list[bytes]:
    vectors = _vectors("framing.json")
    found = [bytes.fromhex(record["frame_hex"]) for record in vectors["frames"]]
    return [*found, *(bytes.fromhex(record["hex"]) for record in vectors["invalid"]), b"".join(found)]


def _fields() -> list[bytes]:
    vectors = _vectors("ttlv.json")
    return [bytes.fromhex(record["hex"]) for record in vectors["encode"] + vectors["decode_edge"]]


def _passwords() -> list[bytes]:
    vectors = _vectors("device-auth.json")
    found = [record["password"].encode() for record in vectors["first_login"] + vectors["login"]]
    return [*found, signing.reset_user_name(KEY, "A1b2C3d4E5f6G7h8").encode(), b"q/2/d/qdp1115X1/sys"]


def _packets() -> list[bytes]:
    connects = [
        mqtt.Connect("qdp1115X1", 120, True, None, password, None, level)
        for password in _passwords()
        for level in (3, 4)
    ]
    will = mqtt.Connect("a", 0, False, b"u", b"p", mqtt.Will("w", b"x", 2, True))
    from_client = [
        mqtt.Subscribe(1, [("q/1/d/qdp1115X1/+", 1), ("#", 0)]),
        mqtt.Unsubscribe(2, ["a/+"]),
        mqtt.Pingreq(),
        mqtt.Disconnect(),
    ]
    both = [mqtt.Publish("q/2/d/qdp1115X1/sys", _frames()[0], 1, packet_id=3), mqtt.Puback(1), mqtt.Pubrec(1)]
    both += [mqtt.Pubrel(1), mqtt.Pubcomp(1)]
    from_server = [mqtt.Connack(0), mqtt.Suback(1, [1, 0x80]), mqtt.Unsuback(2), mqtt.Pingresp()]
    every = [*connects, will, *from_client, *both, *from_server]
    session = b"".join(packet.encode() for packet in [connects[0], *from_client, *both])
    return [*(packet.encode() for packet in every), session]


def _messages() -> list[bytes]:
    return [
        lan.discover_answer("p11abc", "aabbccddeeff", "127.0.0.1", 6607),
        lan.provision_request("home", "12345678"),
        lan.provision_answer("p11abc", "aabbccddeeff", "0123456789ABCDEF"),
        lan.random("A1b2C3d4E5f6G7h8"),
        lan.login("b4" * 32),
        lan.login_result(),
        lan.heartbeat(),
        ble_advertising.manufacturer_data("p11abc", "aabbccddeef", 7, 7),
        ble.authenticate("HOZShycuWyllWQV2J30Vz5dR3PQOCpijX648Cvk432Q="),
        ble.authenticated(ble.Authenticated(0, "A" * 64, "B" * 64)),
        ble.unbind("A" * 64, "A1b2C3d4E5f6G7h8"),
        ble_chip.authenticate(KEY, 123456),
        ble_chip.authenticated(KEY),
        ble_chip.accounts([KEY, KEY]),
        ble_chip.grant(KEY, True),
        ble_chip.manufacturer_data("aabbccddeeff", "p11abc"),
        signing.lan_encrypt(KEY, "A1b2C3d4E5f6G7h8", b"\x01\x31"),
    ]


RANDOM = "A1b2C3d4E5f6G7h8"


def _logged_in(is_logged_in: bool) -> ControlSession:
    session = ControlSession(KEY)
    session.start(0.0)
    if is_logged_in:
        session.receive_data(
            frame.encode(1, commands.RANDOM, lan.random(RANDOM))
            + frame.encode(2, commands.LOGIN_RESULT, lan.login_result()),
            0.0,
        )
        session.read([1], 0.0)
        session.write([(1, True)], 0.0)
    return session


def _chip(is_logged_in: bool) -> ControlSession:
    session = ChipSession("aabbccddeeff", KEY)
    session.start(0.0)
    if is_logged_in:
        session.receive_data(frame.encode(1, commands.CHIP_AUTHENTICATE_ANSWER, ble_chip.authenticated(KEY)), 0.0)
        session.list_accounts(0.0)
        session.change_account(KEY, True, 0.0)
    return session


def fuzz_control(data: bytes) -> None:
    """A device, or whoever claims to be one, against the App: never an error, whatever way it is cut."""
    for make, is_logged_in in itertools.product((_logged_in, _chip), (False, True)):
        whole, single = make(is_logged_in), make(is_logged_in)
        happenings: list[Happening] = whole.receive_data(data, 1.0) if data else []
        told = [one for at in range(len(data)) for one in single.receive_data(data[at : at + 1], 1.0)]
        assert told == happenings
        assert single.data_to_send() == whole.data_to_send()
        whole.tick(1000.0)
        assert whole.is_over
    cloud = CloudSession("p11abc", "aabbccddeeff", "Bearer t")
    cloud.receive('{"cmd": "login_resp", "data": {"code": 1}}')
    cloud.receive(data)
    cloud.receive(data.decode("utf-8", "replace"))


def _control_frames() -> list[bytes]:
    seal = signing.lan_encrypt
    answers = [
        (1003, commands.TSL_READ_ANSWER, b""),
        (1003, commands.TSL_READ_ANSWER, seal(KEY, RANDOM, b"\x00\x09")),
        (0, commands.TSL_REPORT, seal(KEY, RANDOM, ttlv.encode([(3, 36.6), (6, [(1, True)])]))),
        (1004, commands.WRITE_ACK, seal(KEY, RANDOM, lan.write_ack())),
        (9, commands.TRANSPARENT_UP, seal(KEY, RANDOM, b"\xaa\x55")),
        (9, commands.PING, b""),
    ]
    log_in = [(1, commands.RANDOM, lan.random(RANDOM)), (2, commands.LOGIN_RESULT, lan.login_result())]
    frames = [frame.encode(*one) for one in log_in + answers]
    return [*frames, b"".join(frames), b'{"cmd": "message", "data": {"type": "MATTR", "data": {"kv": {"1": 2}}}}']


TARGETS: dict[str, Callable[[bytes], None]] = {
    "mqtt": fuzz_mqtt,
    "frame": fuzz_frame,
    "ttlv": fuzz_ttlv,
    "lan": fuzz_lan,
    "signing": fuzz_signing,
    "control": fuzz_control,
}
SEEDS: dict[str, Callable[[], list[bytes]]] = {
    "mqtt": _packets,
    "frame": _frames,
    "ttlv": _fields,
    "lan": lambda: _messages() + _fields(),
    "signing": _passwords,
    "control": _control_frames,
}
