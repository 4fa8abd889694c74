"""Every argument of every call: what it may be, as tables. Nothing is changed here, and no value is ever logged.

A rule takes the argument and gives it in the one form the rest of the module uses (bytes become text, a dict becomes
TTLV fields), or WRONG. Scripts may give bytes for text, and a subclass's value, an IntEnum's for instance; a bool is
never a number. A class whose methods raise is wrong like any other.
"""

from quecbind.wire import sealed, ttlv
from quecbind.wire.errors import WireError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    Rule = tuple[Callable[[Any], Any], str]

WRONG = object()

DEFAULT_SERVER = "iot-south.quectel.com:1883"
_PLAIN = ("mqtt", "tcp", "http")
_TLS = ("mqtts", "https")
_HEX = "0123456789ABCDEF"


class Wrong(ValueError):
    """An argument that breaks its rule; the sentence names call, argument and rule."""


_TYPES: "tuple[tuple[type[Any], Any], ...]" = (
    (int, 0),
    (str, ""),
    (bytes, b""),
    (float, 0.0),
)  # and what changes nothing when it is added


def _plain(value: "Any") -> "Any":
    """The value of a subclass's object in the type itself; anything else as it is."""
    if type(value) is not bool:
        for kind, nothing in _TYPES:
            if isinstance(value, kind):
                return value if type(value) is kind else value + nothing
    return value


def _text(value: "Any") -> "str | None":
    """The argument as text of visible ASCII and spaces, or None."""
    if type(value) is bytes:
        try:
            value = value.decode("ascii")
        except UnicodeError:
            return None
    if type(value) is not str:
        return None
    for letter in value:
        if not " " <= letter <= "~":
            return None
    return value


def _is_alphanumeric(text: str) -> bool:
    return all(["0" <= letter <= "9" or "A" <= letter <= "Z" or "a" <= letter <= "z" for letter in text])


def is_device_key(text: str) -> bool:
    """Whether the text can be a device key of this module: 1 to 16 letters and digits."""
    return 1 <= len(text) <= 16 and _is_alphanumeric(text)


def is_bind_code(text: str) -> bool:
    """Whether the text is exactly 16 of 0-9 A-F."""
    return len(text) == 16 and all([letter in _HEX for letter in text])


def _bind_code(value: "Any") -> "Any":
    if value is None:
        return None
    text = _text(value)
    if text == "":
        return None
    return text if text is not None and is_bind_code(text) else WRONG


def _pin(value: "Any") -> "Any":
    text = "" if value is None else _text(value)
    return text if text == "" or (text is not None and sealed.is_pin(text)) else WRONG


def _int(low: int, high: int) -> "Callable[[Any], Any]":
    def rule(value: "Any") -> "Any":
        return value if type(value) is int and low <= value <= high else WRONG

    return rule


def _ascii(low: int, high: int) -> "Callable[[Any], Any]":
    def rule(value: "Any") -> "Any":
        text = _text(value)
        return WRONG if text is None or not low <= len(text) <= high else text

    return rule


def _alphanumeric(low: int, high: int) -> "Callable[[Any], Any]":
    def rule(value: "Any") -> "Any":
        text = _text(value)
        if text is None or not low <= len(text) <= high or not _is_alphanumeric(text):
            return WRONG
        return text

    return rule


def _bool(value: "Any") -> "Any":
    return value if value is True or value is False else WRONG


def _callback(value: "Any") -> "Any":
    return value if callable(value) else WRONG


def _payload(value: "Any") -> "Any":
    if type(value) is str:
        try:
            value = value.encode()
        except UnicodeError:
            return WRONG
    return value if type(value) is bytes and value else WRONG


def _ids(known: "tuple[int, ...]") -> "Callable[[Any], Any]":
    def rule(value: "Any") -> "Any":
        if not isinstance(value, (list, tuple)) or not value:
            return WRONG
        numbers = [_plain(number) for number in value]
        for number in numbers:
            if type(number) is not int or number not in known:
                return WRONG
        return numbers

    return rule


def split_server(server: str) -> "tuple[bool, str, int] | None":
    """Whether to use TLS, host and port of "host:port" or "scheme://host:port"; None when it is no address."""
    scheme, mark, rest = server.partition("://")
    if not mark:
        scheme, rest = "mqtt", server
    tls = scheme in _TLS
    if (not tls and scheme not in _PLAIN) or len(server) > 63:
        return None
    if rest.startswith("["):  # IPv6
        host, bracket, port_text = rest[1:].partition("]")
        if not bracket or (port_text and not port_text.startswith(":")):
            return None
        port_text = port_text[1:]
    else:
        host, _, port_text = rest.partition(":")
    for letter in host:
        if not _is_alphanumeric(letter) and letter not in (".:-_" if rest.startswith("[") else ".-_"):
            return None
    if not host:
        return None
    if not port_text:
        return None if rest.endswith(":") else (tls, host, 8883 if tls else 1883)
    for letter in port_text:
        if not "0" <= letter <= "9":
            return None
    port = int(port_text)
    return (tls, host, port) if 1 <= port <= 65535 else None


def _server(value: "Any") -> "Any":
    text = _text(value)
    return WRONG if text is None or split_server(text) is None else text


def _value(value: "Any", depth: int) -> "Any":
    """A property's value as the codec wants it: an array is a list of id 0, a struct a list of pairs."""
    value = _plain(value)
    if isinstance(value, (bool, int, float, str, bytes)):
        return value
    if depth and isinstance(value, dict):
        return _fields(value, depth - 1)
    if depth and isinstance(value, (list, tuple)):
        return [(0, _value(element, depth - 1)) for element in value]
    return WRONG


def _fields(value: "dict[Any, Any]", depth: int) -> "list[tuple[int, Any]]":
    values = {_plain(number): one for number, one in value.items()}
    for number in values:
        if type(number) is not int or number < 1:
            raise Wrong("a property id must be an int, 1..8191")
    # sorted: a dict of MicroPython has no order
    return [(number, _value(values[number], depth)) for number in sorted(values)]


def _properties(value: "Any") -> "Any":
    if not isinstance(value, dict) or not value:
        return WRONG
    try:
        return ttlv.encode(_fields(value, ttlv.MAX_DEPTH))
    except WireError as error:
        raise Wrong(str(error)) from None


STATUS_IDS = (1, 2, 3, 4, 5, 6, 7)
INFO_IDS = (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14)

BIND_CODE: "Rule" = (_bind_code, "None, empty, or exactly 16 of 0-9 A-F")
SECONDS: "Rule" = (_int(0, 0xFFFFFFFF), "an int, 0..4294967295 seconds")
QOS: "Rule" = (_int(0, 2), "the QoS: 0, 1 or 2")
PAYLOAD: "Rule" = (_payload, "bytes or str, not empty")
PROPERTIES: "Rule" = (_properties, "a dict {id: bool, int, float, str, bytes, list or dict}, not empty")

# call -> its arguments in order: name and rule
CALLS: "dict[str, tuple[tuple[str, Rule], ...]]" = {
    "bindcodeSet": (("bindcode", BIND_CODE), ("timeout", SECONDS)),
    "setPairingPin": (("pin", (_pin, "None, empty, or 6 to 16 digits")),),
    "setConnmode": (("mode", (_int(0, 1), "0 or 1")),),
    "setEventCB": (("callback", (_callback, "callable")),),
    "setProvisionCB": (("callback", (_callback, "callable")),),
    "setProductinfo": (
        ("pk", (_alphanumeric(1, 32), "1 to 32 of 0-9 A-Z a-z")),
        ("ps", (_ascii(1, 32), "1 to 32 ASCII characters")),
    ),
    "setServer": (
        ("type", (_int(1, 1), "1: MQTT")),
        ("server", (_server, "host:port, mqtt://host:port or mqtts://host:port, at most 63 characters")),
    ),
    "setLifetime": (("lifetime", (_int(1, 65535), "an int, 1..65535 seconds")),),
    "setPdpContextId": (("id", (_int(1, 1), "1")),),
    "setSessionFlag": (("flag", (_bool, "True or False")),),
    "setSoftVersion": (("version", (_ascii(0, 64), "at most 64 ASCII characters")),),
    "setMcuVersion": (
        ("component", (_ascii(1, 32), "1 to 32 ASCII characters")),
        ("version", (_ascii(0, 64), "at most 64 ASCII characters")),
    ),
    "setDkDs": (
        ("dk", (_alphanumeric(0, 16), "at most 16 of 0-9 A-Z a-z")),
        ("ds", (_ascii(0, 32), "at most 32 ASCII characters")),
    ),
    "passTransSend": (("mode", QOS), ("data", PAYLOAD)),
    "passTransSend_ex": (("mode", QOS), ("data", PAYLOAD)),
    "phymodelReport": (("mode", QOS), ("dict", PROPERTIES)),
    "phymodelReport_ex": (("mode", QOS), ("dict", PROPERTIES)),
    "phymodelAck": (
        ("mode", QOS),
        ("pkgid", (_int(1, 0xFFFE), "the packet id of the read: an int, 1..65534")),
        ("dict", PROPERTIES),
    ),
    "statusReport": (("ids", (_ids(STATUS_IDS), "a list of status ids, 1..7")),),
    "getDevStatus": (("ids", (_ids(STATUS_IDS), "a list of status ids, 1..7")),),
    "devInfoReport": (("ids", (_ids(INFO_IDS), "a list of information ids, 1..14")),),
    "getDevInfo": (("ids", (_ids(INFO_IDS), "a list of information ids, 1..14")),),
}


def check(call: str, values: "tuple[Any, ...]") -> "list[Any]":
    """The arguments of a call in the form the module uses.

    Raises:
        Wrong: with a sentence that names the call, the argument and the rule it breaks.
    """
    checked = []
    rules = CALLS[call]
    for index in range(len(rules)):
        name, (rule, sentence) = rules[index]
        try:
            value = rule(_plain(values[index]))
        except Wrong as error:
            raise Wrong("%s: %s: %s" % (call, name, error)) from None
        except Exception:  # noqa: BLE001 - a script's own class may do anything, and a call never raises
            value = WRONG
        if value is WRONG:
            raise Wrong("%s: %s must be %s" % (call, name, sentence))
        checked.append(value)
    return checked
