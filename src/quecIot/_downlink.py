"""What a frame from the Developer Center asks for: bytes to a decision, and nothing done yet.

A decision is a tuple whose first element is one of the words below. Payloads that cannot be read, and the firmware
updates and locations that this module does not serve, become the exception that the device owes for them; commands
that nobody knows are ignored.
"""

from quecbind.wire import commands, ttlv
from quecbind.wire.errors import WireError
from quecIot import _codes, _options

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from quecbind.wire.frame import Frame

EVENT = "event"  # (EVENT, code, data): event 5
ANSWER_STATUS = "answer status"  # (ANSWER_STATUS, ids)
ANSWER_INFO = "answer info"
COMPLAIN = "complain"  # (COMPLAIN, exception code)
REFUSED = "refused"  # (REFUSED, code): 0x00A3
CONFIGURE = "configure"  # (CONFIGURE, Configuration)
NOTHING = "nothing"  # (NOTHING, why)

# What may move a device on before it is authenticated: nothing else is believed then.
BEFORE_AUTHENTICATION = (commands.CONFIGURE, commands.EXCEPTION_DOWN)

SESSION_KEY_SIZE = 16
MAX_SECRET = 32


class Configuration:
    """0x00B4, field by field; empty or None where a field is absent or not what it must be.

    Attributes:
        server: (whether TLS was asked for, host, port).
        auth_key: as it came, sealed.
        complaints: sentences for the log.
    """

    __slots__ = (
        "auth_key",
        "authenticate",
        "complaints",
        "device_secret",
        "new_secret",
        "product_key",
        "product_secret",
        "server",
        "session_key",
    )

    def __init__(self) -> None:
        self.server: "tuple[bool, str, int] | None" = None
        self.device_secret = ""
        self.session_key = b""
        self.product_key = ""
        self.product_secret = ""
        self.authenticate = False
        self.new_secret = ""
        self.auth_key = b""
        self.complaints: "list[str]" = []


def decide(frame: "Frame") -> "tuple[Any, ...]":
    """What the frame asks for. Packet ids 0 and 0xFFFF are dropped by every device."""
    if not 1 <= frame.packet_id <= 0xFFFE:
        return NOTHING, "a frame with packet id %d is dropped" % frame.packet_id
    reader = _READERS.get(frame.command)
    return (NOTHING, "command 0x%04X is not known" % frame.command) if reader is None else reader(frame)


def _transparent(frame: "Frame") -> "tuple[Any, ...]":
    return EVENT, _codes.TRANSPARENT_RECEIVED, frame.payload


def _write(frame: "Frame") -> "tuple[Any, ...]":
    try:
        return EVENT, _codes.TSL_WRITTEN, properties(ttlv.decode(frame.payload))
    except WireError:
        return COMPLAIN, _codes.TTLV_NOT_READABLE


def _read(frame: "Frame") -> "tuple[Any, ...]":
    try:
        return EVENT, _codes.TSL_READ, [frame.packet_id, commands.decode_ids(frame.payload)]
    except WireError:
        return COMPLAIN, _codes.LENGTH_WRONG


def _read_status(frame: "Frame") -> "tuple[Any, ...]":
    return _asked(ANSWER_STATUS, frame.payload)


def _read_info(frame: "Frame") -> "tuple[Any, ...]":
    return _asked(ANSWER_INFO, frame.payload)


def _asked(word: str, payload: bytes) -> "tuple[Any, ...]":
    """The ids once each, whatever they are: none of them makes the others unreadable."""
    if len(payload) % 2:
        return COMPLAIN, _codes.LENGTH_WRONG
    ids: "list[int]" = []
    seen = set()
    for at in range(0, len(payload), 2):
        number = payload[at] << 8 | payload[at + 1]
        if number not in seen:
            seen.add(number)
            ids.append(number)
    return word, ids


def _exception(frame: "Frame") -> "tuple[Any, ...]":
    try:
        code = ttlv.first(ttlv.decode(frame.payload), commands.EXCEPTION_CODE)
    except WireError:
        return NOTHING, "an exception that cannot be read is ignored"
    if type(code) is not int or code <= _codes.OK:
        return NOTHING, "an exception without an error code is ignored"
    return REFUSED, code


def _not_served(frame: "Frame") -> "tuple[Any, ...]":
    return COMPLAIN, _codes.COMMAND_NOT_KNOWN


def _nothing(frame: "Frame") -> "tuple[Any, ...]":
    return NOTHING, "command 0x%04X needs nothing done" % frame.command


def _configure(frame: "Frame") -> "tuple[Any, ...]":
    try:
        fields = ttlv.decode(frame.payload)
    except WireError:
        return COMPLAIN, _codes.TTLV_NOT_READABLE
    return CONFIGURE, configuration(fields)


_READERS: "dict[int, Callable[[Frame], tuple[Any, ...]]]" = {
    commands.TSL_READ: _read,
    commands.TSL_WRITE: _write,
    commands.TRANSPARENT_DOWN: _transparent,
    commands.STATUS_READ: _read_status,
    commands.INFO_READ: _read_info,
    commands.EXCEPTION_DOWN: _exception,
    commands.CONFIGURE: _configure,
    0x00B3: _nothing,
    0x0111: _not_served,  # OTA
    0x0113: _not_served,
    0x0123: _not_served,  # location
}


def properties(fields: "list[tuple[int, Any]]") -> "dict[int, Any] | list[Any]":
    """Fields as scripts get them: structs as dicts, arrays as lists, UTF-8 as str; the first of an id counts."""
    if fields and fields[0][0] == 0:
        return [_property(value) for _, value in fields]
    values: "dict[int, Any]" = {}
    for number, value in fields:
        if number not in values:
            values[number] = _property(value)
    return values


def _property(value: "Any") -> "Any":
    if isinstance(value, list):
        return properties(value)
    if isinstance(value, bytes):
        try:
            return value.decode()
        except UnicodeError:
            return value
    return value


def configuration(fields: "list[tuple[int, Any]]") -> Configuration:
    """0x00B4 with what cannot be used left out and complained of."""
    asked = Configuration()
    asked.authenticate = ttlv.first(fields, commands.CONFIGURE_AUTHENTICATE) is True
    asked.device_secret = _secret(fields, commands.CONFIGURE_SECRET, asked)
    asked.new_secret = _secret(fields, commands.CONFIGURE_NEW_SECRET, asked)
    key = ttlv.first(fields, commands.CONFIGURE_SESSION_KEY)
    if isinstance(key, bytes) and len(key) == SESSION_KEY_SIZE:
        asked.session_key = key
    elif key is not None:
        asked.complaints.append("the session key is not 16 bytes")
    sealed = ttlv.first(fields, commands.CONFIGURE_AUTH_KEY)
    if isinstance(sealed, bytes):
        asked.auth_key = sealed
    elif sealed is not None:
        asked.complaints.append("the auth key is no text")
    _product(fields, asked)
    place = ttlv.first(fields, commands.CONFIGURE_SERVER)
    if isinstance(place, list):
        asked.server = _server(place, asked)
    elif place is not None:
        asked.complaints.append("the new server is not a struct")
    return asked


def _ascii(value: "Any") -> str:
    """Visible ASCII, or nothing."""
    if not isinstance(value, bytes):
        return ""
    for byte in value:
        if not 0x21 <= byte <= 0x7E:
            return ""
    return value.decode()


def _secret(fields: "list[tuple[int, Any]]", number: int, asked: Configuration) -> str:
    value = ttlv.first(fields, number)
    secret = _ascii(value)
    if value is not None and not 1 <= len(secret) <= MAX_SECRET:
        asked.complaints.append("a device secret is not 1 to 32 ASCII characters")
        return ""
    return secret


def _product(fields: "list[tuple[int, Any]]", asked: Configuration) -> None:
    keys = (commands.CONFIGURE_PRODUCT_KEY, commands.CONFIGURE_PRODUCT_SECRET)
    given = tuple([_ascii(ttlv.first(fields, number)) for number in keys])
    if given == ("", ""):
        return
    try:
        asked.product_key, asked.product_secret = _options.check("setProductinfo", given)
    except _options.Wrong:
        asked.complaints.append("a new product needs a product key and a product secret that can be ones")


def _server(place: "list[tuple[int, Any]]", asked: Configuration) -> "tuple[bool, str, int] | None":
    domain = _ascii(ttlv.first(place, commands.CONFIGURE_SERVER_DOMAIN))
    address = _ascii(ttlv.first(place, commands.CONFIGURE_SERVER_ADDRESS))
    port = ttlv.first(place, commands.CONFIGURE_SERVER_PORT)
    if domain and address and type(port) is int:
        server = _options.split_server("%s:%d" % (domain, port))
        if server is not None:
            return server
    asked.complaints.append("a new server needs domain, address and port that can be ones")
    return None
