"""What LAN and BLE frames carry: discovery, pairing, and the log-in that opens a session.

Each message is a builder `x(...) -> payload` and a parser `parse_x(payload) -> values`. Fields nobody knows are
ignored, missing or impossible ones refused. Discovery and pairing come from anyone: they name, they do not prove.
"""

from collections import namedtuple

from quecbind.wire import _text, ttlv
from quecbind.wire._record import Record
from quecbind.wire.errors import LanError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

UDP_PORT = 6606
TCP_PORT = 6607
VERSION = 1
TOKEN_SIZE = 64
RANDOM_SIZE = 16
LOGGED_IN = 0
ALREADY_LOGGED_IN = 2
LOGIN_REFUSED = 1
# Peers escape a length of 0x5500 and more in different ways, so no frame is that long.
MAX_FRAME = 0x54FF + 4  # un-escaped, header included
MAX_DATA = 0x5400  # before encryption

# Short-range messages are flat and small.
_MAX_DEPTH = 2
_MAX_FIELDS = 32

# address: dotted IPv4, or None when the device left it to the datagram's source
Announcement = namedtuple("Announcement", ("product_key", "device_key", "address", "port", "version"))


class Wifi(Record):
    """The network a device is told to join; both None when it is only asked to pair."""

    __slots__ = _fields = ("ssid", "password")
    _hidden = ("password",)

    def __init__(self, ssid: "str | None" = None, password: "str | None" = None) -> None:
        self.ssid = ssid
        self.password = password


class Pairing(Record):
    """What a device tells the App that pairs with it; bind_code is None outside its bind window."""

    __slots__ = _fields = ("effective", "product_key", "device_key", "bind_code")
    _hidden = ("bind_code",)

    def __init__(self, effective: bool, product_key: str, device_key: str, bind_code: "str | None") -> None:
        self.effective = effective
        self.product_key = product_key
        self.device_key = device_key
        self.bind_code = bind_code


def _fields(payload: bytes) -> "list[tuple[int, Any]]":
    return ttlv.decode(payload, _MAX_DEPTH, _MAX_FIELDS)


def _bytes(fields: "list[tuple[int, Any]]", number: int, name: str) -> bytes:
    value = ttlv.first(fields, number)
    if not isinstance(value, bytes):
        raise LanError("%s: field %d is missing or not text" % (name, number))
    return value


def _text_field(fields: "list[tuple[int, Any]]", number: int, name: str) -> str:
    try:
        return _text.decode(_bytes(fields, number, name))
    except UnicodeError:
        raise LanError("%s: field %d is not UTF-8" % (name, number)) from None


def _int(fields: "list[tuple[int, Any]]", number: int, name: str, default: "int | None" = None) -> int:
    value = ttlv.first(fields, number, default)
    if isinstance(value, bool) or not isinstance(value, int):
        raise LanError("%s: field %d is missing or not an integer" % (name, number))
    return value


def _key(fields: "list[tuple[int, Any]]", number: int, name: str) -> str:
    """A product or device key: it ends up in addresses, file names and terminals, so nothing else passes."""
    key = _bytes(fields, number, name)
    if len(key) > 32 or not _text.is_alphanumeric(key):
        raise LanError("%s: field %d must be 1..32 of 0-9 A-Z a-z" % (name, number))
    return key.decode()


def _is_ipv4(address: str) -> bool:
    parts = address.split(".")
    if len(parts) != 4:
        return False
    for part in parts:
        if not 1 <= len(part) <= 3 or not _is_digits(part) or int(part) > 255 or (part[0] == "0" and part != "0"):
            return False
    return True


def _is_digits(text: str) -> bool:
    return all("0" <= letter <= "9" for letter in text)


def _is_hex(text: bytes) -> bool:
    return all(byte in b"0123456789abcdefABCDEF" for byte in text)


def discover_answer(product_key: str, device_key: str, address: str, port: int, version: int = VERSION) -> bytes:
    """0x7031: a device names itself and its TCP port to whoever asked."""
    return ttlv.encode([(3, product_key), (4, device_key), (5, address), (6, port), (7, version)])


def parse_discover_answer(payload: bytes) -> "Announcement":
    """Who answered a discovery, and where its TCP port is."""
    name = "discovery answer"
    fields = _fields(payload)
    address = None
    if ttlv.first(fields, 5) is not None:
        address = _text_field(fields, 5, name)
        if not _is_ipv4(address):
            raise LanError("discovery answer: field 5 must be an IPv4 address")
    port = _int(fields, 6, name, TCP_PORT)
    if not 1 <= port <= 65535:
        raise LanError("discovery answer: field 6 must be a port, 1..65535")
    return Announcement(_key(fields, 3, name), _key(fields, 4, name), address, port, _int(fields, 7, name, VERSION))


def classic_discover_answer(product_key: str, device_key: str) -> bytes:
    """0x7002: what devices of the generation before answered to 0x7001, on UDP 40000."""
    return ttlv.encode([(1, device_key), (2, product_key)])


def provision_request(ssid: "str | None" = None, password: "str | None" = None) -> bytes:
    """0x7010: the Wi-Fi network to join, or nothing: pair only (over LAN, a quecbind extension)."""
    fields: "list[tuple[int, Any]]" = []
    if ssid is not None:
        fields.append((1, ssid))
    if password is not None:
        fields.append((2, password))
    return ttlv.encode(fields) if fields else b""


def parse_provision_request(payload: bytes) -> "Wifi":
    """The network an App asks to join; other fields, a server to move to among them, are ignored."""
    if not payload:
        return Wifi()
    name = "provisioning"
    fields = _fields(payload)
    ssid = password = None
    if ttlv.first(fields, 1) is not None:
        ssid = _text_field(fields, 1, name)
    if ttlv.first(fields, 2) is not None:
        password = _text_field(fields, 2, name)
    return Wifi(ssid, password)


def provision_answer(product_key: str, device_key: str, bind_code: "str | None" = None) -> bytes:
    """0x7011: who the device is and, only while its bind window is open, its bind code."""
    fields: "list[tuple[int, Any]]" = [(6, True), (7, product_key), (8, device_key)]
    if bind_code is not None:
        fields.append((9, bind_code))
    return ttlv.encode(fields)


def provision_refusal() -> bytes:
    """0x7011: the device cannot do what it was asked."""
    return ttlv.encode([(6, False)])


def parse_provision_answer(payload: bytes) -> "Pairing":
    """Who answered; `effective` False means the device refused, and the rest is empty."""
    name = "provisioning answer"
    fields = _fields(payload)
    effective = ttlv.first(fields, 6)
    if effective is False:
        return Pairing(False, "", "", None)
    if effective is not True:
        raise LanError("provisioning answer: field 6 is missing or not a bool")
    code = None
    if ttlv.first(fields, 9) is not None:
        raw = _bytes(fields, 9, name)
        if len(raw) != 16 or not _is_hex(raw):
            raise LanError("provisioning answer: field 9 must be 16 hex digits")
        code = raw.decode()
    return Pairing(True, _key(fields, 7, name), _key(fields, 8, name), code)


def random(text: str) -> bytes:
    """0x7033: the device's random for one session; 16 letters and digits, because it becomes the IV."""
    if len(text) != RANDOM_SIZE or not _text.is_alphanumeric(text.encode()):
        raise LanError("session random: must be 16 of 0-9 A-Z a-z")
    return ttlv.encode([(1, text)])


def parse_random(payload: bytes) -> str:
    """The random to log in with: 16 printable ASCII characters."""
    text = _bytes(_fields(payload), 1, "session random")
    if len(text) != RANDOM_SIZE:
        raise LanError("session random: must be 16 characters")
    for byte in text:
        if not 0x20 <= byte <= 0x7E:
            raise LanError("session random: must be printable ASCII")
    return text.decode()


def login(token: str, share: "bytes | None" = None, permission: "int | None" = None) -> bytes:
    """0x7034: the token of `signing.lan_token`; who was given a share adds the end of its code and its permission."""
    fields: "list[tuple[int, Any]]" = [(2, token)]
    if share is not None:
        fields.append((5, share))
    if permission is not None:
        fields.append((6, permission))
    return ttlv.encode(fields)


def parse_login(payload: bytes) -> str:
    """The token an App logs in with: 64 lower-case hex digits, still to be compared."""
    token = _bytes(_fields(payload), 2, "session log-in")
    if len(token) != TOKEN_SIZE or not _is_hex(token):
        raise LanError("session log-in: token must be 64 hex digits")
    return token.decode().lower()


def login_result(result: int = LOGGED_IN) -> bytes:
    """0x7035: 0 logged in, 2 already logged in, anything else refused."""
    return ttlv.encode([(3, result)])


def parse_login_result(payload: bytes) -> int:
    return _int(_fields(payload), 3, "session log-in result")


def write_ack(result: int = 0) -> bytes:
    """0x7036: how a write went; 0 is well."""
    return ttlv.encode([(1, result)])


def parse_write_ack(payload: bytes) -> int:
    return _int(_fields(payload), 1, "write acknowledgement")


def heartbeat(seconds: int = 30) -> bytes:
    """0x7039: how often the App will show that it is there."""
    return ttlv.encode([(1, seconds), (2, 1)])


def parse_heartbeat(payload: bytes) -> int:
    """The App's interval in seconds, above 0."""
    seconds = _int(_fields(payload), 1, "heartbeat")
    if seconds < 1:
        raise LanError("heartbeat: the interval must be above 0")
    return seconds
