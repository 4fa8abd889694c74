"""Says what bytes of the protocol mean: frames, fields, MQTT packets. Pure: bytes in, nested plain values out.

An explanation is made of dicts, lists, numbers and text, ready to become JSON; `as_text` draws it as a tree for
people. It never raises on content: what cannot be read is shown as hex with the reason.
"""

from decimal import Decimal
from typing import Any, Literal

from quecbind.wire import commands, frame, mqtt, ttlv
from quecbind.wire.errors import MqttError, WireError

Explanation = dict[str, Any]
Form = Literal["auto", "frame", "ttlv", "mqtt"]

_MAX_SHOWN_BYTES = 256

_STATUS = {1: "battery %", 2: "voltage V", 3: "RSSI", 4: "free flash", 5: "RSRP", 6: "RSRQ", 7: "SNR"}
_INFO = {
    1: "model",
    2: "module version",
    3: "MCU versions",
    4: "cell id",
    5: "ICCID",
    6: "MCC",
    7: "MNC",
    8: "LAC",
    9: "phone",
    10: "IMSI",
    11: "SDK version",
    12: "location kinds",
    13: "data protocol",
    14: "communication protocol",
}
_EXCEPTION = {1: "code", 2: "packet id", 3: "product key", 4: "device key"}
_OTA = {
    1: "URL",
    2: "size",
    3: "MD5",
    4: "component",
    5: "source version",
    6: "target version",
    7: "component type",
    8: "battery limit",
    9: "space",
    10: "min signal",
    11: "submit",
    12: "delay",
    13: "status",
    14: "status text",
    15: "CRC",
    16: "SHA-256",
    25: "module version",
    26: "MCU versions",
}
FIELD_NAMES: dict[int, dict[int, str]] = {
    commands.STATUS_ANSWER: _STATUS,
    commands.STATUS_REPORT: _STATUS,
    commands.INFO_ANSWER: _INFO,
    commands.INFO_REPORT: _INFO,
    commands.EXCEPTION_DOWN: _EXCEPTION,
    commands.EXCEPTION_UP: _EXCEPTION,
    commands.CONFIGURE: {
        1: "move to server",
        2: "domain",
        3: "address",
        4: "port",
        5: "device secret",
        6: "session key",
        7: "new product key",
        8: "new product secret",
        9: "authenticate again",
        10: "ask for a new device secret",
        12: "auth key, sealed (quecbind extension)",
        14: "bind code checked (quecbind extension)",
    },
    commands.BIND_CODE: {11: "bind code", 15: "bind secret", 100: "seconds left (quecbind extension)"},
    commands.OTA_TASK: _OTA,
    commands.OTA_FIRMWARE: _OTA,
    commands.OTA_STATUS: _OTA,
    commands.OTA_REQUEST: _OTA,
    commands.LOCATION_REPORT: {2: "NMEA sentences"},
    commands.LOCATION_READ: {1: "location kinds"},
    commands.LOCATION_ANSWER: {2: "NMEA sentences"},
    commands.PROVISION: {1: "SSID", 2: "Wi-Fi password", 13: "server URL"},
    commands.PROVISION_ANSWER: {6: "effective", 7: "product key", 8: "device key", 9: "bind code"},
    commands.AUTHENTICATE: {3: "encrypted bind code"},
    commands.AUTHENTICATE_ANSWER: {
        1: "result",
        3: "encrypted bind code",
        4: "new bind secret, encrypted (quecbind extension)",
        5: "old bind secret, encrypted (quecbind extension)",
    },
    commands.UNBIND: {1: "random (quecbind extension)", 3: "reset credentials (quecbind extension)"},
    commands.UNBIND_ANSWER: {1: "result"},
    commands.DISCOVER_ANSWER: {3: "product key", 4: "device key", 5: "address", 6: "TCP port", 7: "version"},
    0x7002: {1: "device key", 2: "product key"},
    commands.RANDOM: {1: "random"},
    commands.LOGIN: {2: "token", 5: "share code", 6: "permission code"},
    commands.LOGIN_RESULT: {3: "result"},
    commands.WRITE_ACK: {1: "result"},
    commands.HEARTBEAT: {1: "interval s"},
}
_READS = {commands.TSL_READ: {}, commands.STATUS_READ: _STATUS, commands.INFO_READ: _INFO}
_RAW = (commands.TRANSPARENT_DOWN, commands.TRANSPARENT_UP)


def explain(data: bytes, form: Form = "auto") -> Explanation:
    """What the bytes are: frames, an MQTT packet or bare TTLV, found out from the bytes when `form` is "auto".

    The result has a `kind`; kind "unknown" with a `reason` when nothing fits.
    """
    if not data:
        return {"kind": "unknown", "reason": "no bytes", "hex": ""}
    if form == "auto":
        form = _guess(data)
    if form == "frame":
        return _frames(data)
    if form == "mqtt":
        return _mqtt(data)
    return _ttlv(data, {})


def _guess(data: bytes) -> Form:
    if data[:2] == b"\xaa\xaa":
        return "frame"
    # A TTLV id below 512 gives a first byte below 0x10, which no MQTT packet has.
    if data[0] >= 0x10 and _packets(data):
        return "mqtt"
    return "frame" if frame.FrameReader().feed(data) else "ttlv"


def _hex(data: bytes) -> str:
    shown = data[:_MAX_SHOWN_BYTES].hex()
    return shown if len(data) <= _MAX_SHOWN_BYTES else f"{shown}... ({len(data)} bytes)"


def _unknown(data: bytes, reason: str) -> Explanation:
    return {"kind": "unknown", "reason": reason, "hex": _hex(data)}


# --- frames ---


def _frames(data: bytes) -> Explanation:
    reader = frame.FrameReader()
    found = reader.feed(data)
    if not found:
        try:
            frame.decode(data)
        except WireError as error:
            return _unknown(data, str(error))
        return _unknown(data, "frame: cannot be read")
    explained = [_frame(one) for one in found]
    if len(explained) == 1 and not reader.skipped_count:
        return explained[0]
    return {"kind": "frames", "frames": explained, "skipped_count": reader.skipped_count}


def _frame(one: frame.Frame) -> Explanation:
    explained: Explanation = {
        "kind": "frame",
        "packet_id": one.packet_id,
        "command": f"0x{one.command:04x}",
        "name": commands.NAMES.get(one.command, "unknown command"),
        "topic": commands.topic_kind(one.command),
        "payload_bytes": len(one.payload),
    }
    if one.packet_id in {0, 0xFFFF}:
        explained["note"] = f"devices ignore packet id 0x{one.packet_id:04x}"
    explained["payload"] = _payload(one.command, one.payload)
    return explained


def _payload(command: int, payload: bytes) -> Explanation:
    if command in _READS:
        return _ids(payload, _READS[command])
    if not payload:
        return {"kind": "empty"}
    if command in _RAW:
        return {"kind": "raw", **_bytes(payload)}
    explained = _ttlv(payload, FIELD_NAMES.get(command, {}))
    if explained["kind"] == "unknown" and len(payload) % 16 == 0:
        explained["reason"] += "; whole AES blocks, so it may be encrypted"
    return explained


def _ids(payload: bytes, names: dict[int, str]) -> Explanation:
    try:
        ids = commands.decode_ids(payload)
    except WireError as error:
        return _unknown(payload, str(error))
    if not ids:
        return {"kind": "ids", "ids": [], "note": "everything is asked for"}
    return {"kind": "ids", "ids": [{"id": one, "name": names.get(one)} for one in ids]}


# --- fields ---


def _ttlv(payload: bytes, names: dict[int, str]) -> Explanation:
    try:
        fields = ttlv.decode(payload, parse_float=Decimal)
    except WireError as error:
        return _unknown(payload, str(error))
    return {"kind": "ttlv", "fields": [_field(number, value, names) for number, value in fields]}


def _field(number: int, value: Any, names: dict[int, str]) -> Explanation:
    explained: Explanation = {"id": number, "name": names.get(number)}
    if isinstance(value, bool):
        explained.update(type="bool", value=value)
    elif isinstance(value, int):
        explained.update(type="integer", value=value)
    elif isinstance(value, Decimal):
        # text, because a JSON number would lose digits on its way through binary fractions
        explained.update(type="decimal", value=str(value))
    elif isinstance(value, list):
        kind = "array" if value and value[0][0] == 0 else "struct"
        explained.update(type=kind, value=[_field(inner, held, names) for inner, held in value])
    else:
        explained.update(type="bytes", **_bytes(value))
    return explained


def _bytes(data: bytes) -> Explanation:
    explained: Explanation = {"hex": _hex(data)}
    try:
        text = data[:_MAX_SHOWN_BYTES].decode()
    except UnicodeDecodeError:
        return explained
    if text.isprintable():
        explained["text"] = text
    return explained


# --- MQTT ---


def _packets(data: bytes) -> list[mqtt.Packet]:
    """The packets if all of the bytes are packets of one direction, nothing otherwise."""
    for from_server in (False, True):
        reader = mqtt.PacketReader(max_packet=len(data) + 1, from_server=from_server)
        try:
            packets = reader.feed(data)
        except MqttError:
            continue
        if packets and b"".join(packet.encode() for packet in packets) == data:
            return packets
    return []


def _mqtt(data: bytes) -> Explanation:
    packets = _packets(data)
    if not packets:
        return _unknown(data, "MQTT: not whole packets of one direction")
    explained = [_packet(packet) for packet in packets]
    return explained[0] if len(explained) == 1 else {"kind": "mqtt packets", "packets": explained}


def _packet(packet: mqtt.Packet) -> Explanation:
    explained: Explanation = {"kind": "mqtt", "packet": type(packet).__name__.upper()}
    if isinstance(packet, mqtt.Publish):
        explained.update(topic=packet.topic, qos=packet.qos, packet_id=packet.packet_id, dup=packet.dup)
        carried = _frames(packet.payload) if packet.payload else {"kind": "empty"}
        if carried["kind"] == "unknown" and packet.payload and len(packet.payload) % 16 == 0:
            carried["reason"] += "; whole AES blocks, so the session may be encrypted"
        explained["payload"] = carried
    elif isinstance(packet, mqtt.Connect):
        explained.update(
            client_id=packet.client_id,
            keep_alive=packet.keep_alive,
            clean_session=packet.clean_session,
            user_name=_optional_text(packet.user_name),
            password=_password(packet.password),
        )
    elif isinstance(packet, mqtt.Subscribe):
        explained.update(packet_id=packet.packet_id, filters=[f"{name} QoS {qos}" for name, qos in packet.filters])
    elif isinstance(packet, mqtt.Connack):
        explained.update(return_code=packet.return_code)
    elif isinstance(packet, mqtt.Suback):
        explained.update(packet_id=packet.packet_id, return_codes=list(packet.return_codes))
    elif hasattr(packet, "packet_id"):
        explained.update(packet_id=packet.packet_id)
    return explained


def _optional_text(data: bytes | None) -> str | None:
    return None if data is None else data.decode("utf-8", "replace")


def _password(password: bytes | None) -> str | None:
    """What kind of log-in it is; the proof itself stays where it is."""
    if password is None:
        return None
    if password.startswith(b"0;"):
        return f"first log-in (enrolment), {len(password)} bytes"
    if password.startswith(b"1;"):
        return f"log-in with the device secret, {len(password)} bytes"
    return f"{len(password)} bytes of no log-in form"


# --- for people ---


def as_text(explained: Explanation) -> str:
    """The explanation as an indented tree, without anything that could steer a terminal."""
    return "\n".join(
        "".join(letter if letter.isprintable() else "?" for letter in line) for line in _lines(explained, 0)
    )


def _lines(explained: Explanation, depth: int) -> list[str]:
    pad = "  " * depth
    kind = explained["kind"]
    if kind == "frames":
        lines = [f"{pad}{len(explained['frames'])} frames, {explained['skipped_count']} skipped"]
        for one in explained["frames"]:
            lines += _lines(one, depth + 1)
        return lines
    if kind == "mqtt packets":
        return [line for one in explained["packets"] for line in _lines(one, depth)]
    if kind == "frame":
        topic = f", topic kind {explained['topic']}" if explained["topic"] else ""
        lines = [
            f"{pad}frame {explained['command']} {explained['name']}, packet id {explained['packet_id']}{topic}",
        ]
        if "note" in explained:
            lines.append(f"{pad}  note: {explained['note']}")
        return lines + _lines(explained["payload"], depth + 1)
    if kind == "mqtt":
        lines = [f"{pad}MQTT {explained['packet']}"]
        lines += [
            f"{pad}  {name.replace('_', ' ')}: {value}"
            for name, value in explained.items()
            if name not in {"kind", "packet", "payload"} and value is not None
        ]
        return lines + (_lines(explained["payload"], depth + 1) if "payload" in explained else [])
    if kind == "ids":
        if not explained["ids"]:
            return [f"{pad}asks for everything"]
        return [f"{pad}asks for {one['id']}{_named(one)}" for one in explained["ids"]]
    if kind == "ttlv":
        return [line for one in explained["fields"] for line in _field_lines(one, depth)]
    if kind == "raw":
        return [f"{pad}raw {_shown_bytes(explained)}"]
    if kind == "empty":
        return [f"{pad}no payload"]
    return [f"{pad}not readable: {explained['reason']}", f"{pad}hex {explained['hex']}"]


def _named(one: Explanation) -> str:
    return f" {one['name']}" if one["name"] else ""


def _shown_bytes(one: Explanation) -> str:
    return f'"{one["text"]}"' if one.get("text") else f"hex {one['hex'] or '(empty)'}"


def _field_lines(one: Explanation, depth: int) -> list[str]:
    head = f"{'  ' * depth}{one['id']}{_named(one)}: "
    if one["type"] in {"struct", "array"}:
        lines = [f"{head}{one['type']} of {len(one['value'])}"]
        for inner in one["value"]:
            lines += _field_lines(inner, depth + 1)
        return lines
    if one["type"] == "bytes":
        return [f"{head}{_shown_bytes(one)}"]
    return [f"{head}{one['value']} ({one['type']})"]
