"""Run by MicroPython, never imported: every wire module, every measured example, and the checks CPython does natively.

Arguments: the folder of the vectors, then the names of all modules of quecbind.wire.
"""

import json
import sys

from quecbind.wire import _hmac, _text, auth_key, ble, frame, lan, mqtt, signing, topics, ttlv
from quecbind.wire.errors import (
    CipherError,
    FrameError,
    LoginError,
    MqttError,
    TopicError,
    TtlvError,
    WireError,
)

CHECKED = [0]


def check(condition, name):
    CHECKED[0] += 1
    if not condition:
        raise AssertionError(name)


def refused(error, call, *arguments):
    CHECKED[0] += 1
    try:
        call(*arguments)
    except error as refusal:
        return refusal
    raise AssertionError("not refused: " + repr(arguments))


def load(name):
    with open(sys.argv[1] + "/" + name) as file:
        return json.load(file)


def value_of(kind, value):
    if kind == "struct":
        return fields_of(value)
    if kind == "bytes":
        return bytes.fromhex(value)
    if kind == "bool":
        return bool(value)
    return float(value) if kind == "float" else value


def fields_of(items):
    return [(number, value_of(kind, value)) for number, kind, value in items]


def as_decoded(value):
    if isinstance(value, str):
        return value.encode()
    if isinstance(value, list):
        return [(number, as_decoded(inner)) for number, inner in value]
    return value


def frames():
    vectors = load("framing.json")
    for record in vectors["frames"]:
        packet = (record["packet_id"], int(record["command"], 16), bytes.fromhex(record["payload_hex"]))
        wire = bytes.fromhex(record["frame_hex"])
        check(frame.encode(*packet) == wire, record["name"])
        check(tuple(frame.decode(wire)) == packet, record["name"])
        reader = frame.FrameReader()
        found = [one for byte in wire for one in reader.feed(bytes((byte,)))]
        check(len(found) == 1 and tuple(found[0]) == packet, record["name"])
    for record in vectors["invalid"]:
        refused(FrameError, frame.decode, bytes.fromhex(record["hex"]))


def fields():
    vectors = load("ttlv.json")
    for record in vectors["encode"]:
        values = fields_of(record["items"])
        wire = bytes.fromhex(record["hex"])
        check(ttlv.encode(values) == wire, record["name"])
        check(ttlv.decode(wire) == as_decoded(values), record["name"])
        ttlv.decode(bytes.fromhex(record["device_emits_hex"]))
    for record in vectors["decode_edge"]:
        if record["device_decodes"] is None:
            refused(TtlvError, ttlv.decode, bytes.fromhex(record["hex"]))
        else:
            ttlv.decode(bytes.fromhex(record["hex"]))
    for value in (2**63, -(2**63) - 1, 1e19, float("nan"), float("inf"), None, b"x" * 65536):
        refused(TtlvError, ttlv.encode, [(1, value)])
    for number in (-1, 8192, True, "1"):
        refused(TtlvError, ttlv.encode, [(number, 1)])
    for cents in range(0, 20000, 7):
        number = cents / 100
        check(ttlv.decode(ttlv.encode([(1, number)])) == [(1, number)], "hundredths")
        check(len(ttlv.encode([(1, number)])) <= 6, "hundredths are short")
    check(ttlv.decode(bytes.fromhex("000a7801"), parse_float=str) == [(1, "0.000000000000001")], "exact text")


def proofs():
    vectors = load("device-auth.json")
    for record in vectors["first_login"]:
        flag = bool(record["session_flag"])
        password = signing.first_login(record["pk"], record["ps"], record["dk"], record["random"], flag)
        check(password == record["password"], record["client_id"])
        first = signing.parse_login(password)
        check(signing.open_first_login(first, record["ps"], record["dk"]) == record["random"], "opened")
        check(topics.client_id(record["pk"], record["dk"]) == record["client_id"], "client id")
        refused(LoginError, signing.open_first_login, first, record["ps"], record["dk"] + "0")
    for record in vectors["login"]:
        password = signing.login(record["ps"], record["ds"], record["random"], bool(record["session_flag"]))
        check(password == record["password"], record["ds"])
        signing.verify_login(signing.parse_login(password), record["ps"], record["ds"])
        refusal = refused(
            LoginError, signing.verify_login, signing.parse_login(password), record["ps"], record["ds"] + "0"
        )
        check(refusal.code == 10430, "code")
    for record in vectors["session_payload"]:
        key, plain = bytes.fromhex(record["key_hex"]), bytes.fromhex(record["plain_hex"])
        cipher = bytes.fromhex(record["cipher_hex"])
        check(signing.session_encrypt(key, plain) == cipher, "session")
        check(signing.session_decrypt(key, cipher) == plain, "session")
        refused(CipherError, signing.session_decrypt, key, cipher[:-1])
    key = signing.reset_key("secret", "device")
    check(signing.verify_reset_user_name(signing.reset_user_name(key, "A1b2C3d4E5f6G7h8"), key), "reset proof")
    check(
        _hmac.sha256(b"Jefe", b"what do ya want for nothing?").hex()
        == "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
        "RFC 4231",
    )
    check(len(_hmac.sha256(b"k" * 100, b"")) == 32, "long HMAC key")
    check(signing.same("a", b"a") and not signing.same("a", "b") and not signing.same("a", "ab"), "same")
    token = signing.lan_token(bytes(range(16)), "A1b2C3d4E5f6G7h8")
    check(token == "b4a50f328c7a789fc79a519a0894a9b33a3f0a14224728215d88716f25a5b3f2", "LAN token")
    check(
        signing.lan_encrypt(bytes(range(16)), "A1b2C3d4E5f6G7h8", b"\x01\x31").hex()
        == "3bd0c625992d63206229b918923a5c96",
        "LAN cipher",
    )
    sealed = auth_key.seal(bytes(range(16)), "abcdefghijklmnopqrstuvwxyz012345", "861122334455667")
    check(sealed == b"q4lg7zKpL9KeJ1D7FpYd8QdbRt1LUyngQzs9kCk3WpB+Z10GjfsF859wlKilUHNQ", "auth key")
    opened = auth_key.unseal(sealed, "abcdefghijklmnopqrstuvwxyz012345", "861122334455667")
    check(opened == bytes(range(16)), "auth key")
    for wrong in (sealed[:-1], b"*" * 64, b"\xff" * 64, sealed[:20] + b"AAAA" + sealed[24:]):
        refused(CipherError, auth_key.unseal, wrong, "abcdefghijklmnopqrstuvwxyz012345", "861122334455667")
    refused(CipherError, auth_key.unseal, sealed, "other", "861122334455667")
    check(signing.app_password_encrypt("china1234", "j1acpdj2bmtqZXVb") == "lkZMvj0KDSJXlp66jBieHA==", "App password")


def through_the_app():
    vectors = load("ble-binding.json")
    for record in vectors["bind_code"]:
        arguments = record["ps"], record["random"]
        check(ble.encrypt_bind_code(record["text"], *arguments) == record["encrypted"], "bind code")
        check(ble.decrypt_bind_code(record["encrypted"], *arguments) == record["text"], "bind code")
        for wrong in ("", "not base64!", "A" * 44, record["encrypted"][:-4]):
            refused(CipherError, ble.decrypt_bind_code, wrong, *arguments)
    for record in vectors["bind_secret"]:
        arguments = record["ps"], record["random"]
        names = record["pk"], record["dk"], record["bind_secret"]
        check(ble.encrypt_bind_secret(*names, *arguments) == record["encrypted"], "bind secret")
        check(ble.decrypt_bind_secret(record["encrypted"], *arguments) == names, "bind secret")


def messages():
    answer = lan.discover_answer("p11abc", "aabbccddeeff", "127.0.0.1", 6607)
    check(lan.parse_discover_answer(answer).device_key == "aabbccddeeff", "discovery")
    pairing = lan.parse_provision_answer(lan.provision_answer("p11abc", "aabbccddeeff", "0123456789ABCDEF"))
    check(pairing.bind_code == "0123456789ABCDEF", "pairing")
    check("0123456789ABCDEF" not in repr(pairing), "a bind code is not shown")
    check("hunter2" not in repr(lan.Wifi("home", "hunter2")), "a password is not shown")
    refused(WireError, lan.parse_login, b"\x00")


def packets():
    both = [
        mqtt.Publish("t/ü", b"x", 1, False, False, 258),
        mqtt.Puback(1),
        mqtt.Pubrec(2),
        mqtt.Pubrel(3),
        mqtt.Pubcomp(4),
    ]
    client = [
        mqtt.Connect("qdp1D", 120, True, None, b"hunter2"),
        mqtt.Subscribe(1, [("q/1/d/qdp1D/+", 1)]),
        mqtt.Unsubscribe(2, ["a"]),
        mqtt.Pingreq(),
        mqtt.Disconnect(),
    ]
    server = [mqtt.Connack(0), mqtt.Suback(1, [1]), mqtt.Unsuback(2), mqtt.Pingresp()]
    for from_server, sent in ((False, client + both), (True, server + both)):
        reader = mqtt.PacketReader(from_server=from_server)
        read = []
        for packet in sent:
            for byte in packet.encode():
                read += reader.feed(bytes((byte,)))
        check(read == sent, "packets")
        check("hunter2" not in repr(read), "a password is not shown")
    for topic in ("0002c080", "0003eda080", "0001ff", "000100", "00012b"):
        body = bytes.fromhex(topic)
        refused(MqttError, mqtt.PacketReader().feed, bytes((0x30, len(body))) + body)
    refusal = refused(MqttError, mqtt.PacketReader().feed, bytes.fromhex("100d00044d5154540502000000016100"))
    check(refusal.return_code == 1, "wrong level")
    refused(TopicError, topics.client_id, "ä", "1")
    refused(UnicodeError, _text.decode, b"\xf5\x80\x80\x80")


for module in sys.argv[2:]:
    __import__("quecbind.wire." + module)
for part in (frames, fields, proofs, through_the_app, messages, packets):
    part()
print(sys.implementation.name + ":", CHECKED[0], "checks")
