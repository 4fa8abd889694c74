"""Command numbers, their field ids and the topic each travels on.

Numbers of the protocol only: what a command does is decided by whoever receives it. Read requests
(0x0011, 0x0031, 0x0041) carry a plain list of ids instead of TTLV; it is packed here.
"""

from quecbind.wire.errors import TtlvError

TSL_READ = 0x0011
TSL_READ_ANSWER = 0x0012
TSL_WRITE = 0x0013
TSL_REPORT = 0x0014
TRANSPARENT_DOWN = 0x0023
TRANSPARENT_UP = 0x0024
STATUS_READ = 0x0031
STATUS_ANSWER = 0x0032
STATUS_REPORT = 0x0034
INFO_READ = 0x0041
INFO_ANSWER = 0x0042
INFO_REPORT = 0x0044
EXCEPTION_DOWN = 0x00A3
EXCEPTION_UP = 0x00A4
CONFIGURE = 0x00B4
BIND_CODE = 0x00B5
OTA_TASK = 0x0111
OTA_CONFIRM = 0x0112
OTA_FIRMWARE = 0x0113
OTA_STATUS = 0x0114
OTA_REQUEST = 0x0115
LOCATION_REPORT = 0x0122
LOCATION_READ = 0x0123
LOCATION_ANSWER = 0x0124

# Short range: LAN and BLE.
CLASSIC_DISCOVER = 0x7001  # of the generation before, UDP 40000
CLASSIC_DISCOVER_ANSWER = 0x7002
PROVISION = 0x7010
PROVISION_ANSWER = 0x7011
AUTHENTICATE = 0x7016  # answered by 0x7017; some Apps ask by 0x7017, which is answered by 0x7018
AUTHENTICATE_ANSWER = 0x7017
AUTHENTICATE_SECOND_ANSWER = 0x7018
UNBIND = 0x7063
UNBIND_ANSWER = 0x7064
DISCOVER = 0x7030
DISCOVER_ANSWER = 0x7031
HELLO = 0x7032
RANDOM = 0x7033
LOGIN = 0x7034
LOGIN_RESULT = 0x7035
WRITE_ACK = 0x7036
PING = 0x7037
PONG = 0x7038
HEARTBEAT = 0x7039

# BLE chips of the generation before: wire.ble_chip
CHIP_AUTHENTICATE = 0x8011
CHIP_ACCOUNTS = 0x8012
CHIP_ACCOUNTS_ANSWER = 0x8013
CHIP_GRANT = 0x8014
CHIP_AUTHENTICATE_ANSWER = 0x801C
CHIP_GRANT_ANSWER = 0x801D

# Sealed pairing, a quecbind extension: wire.sealed.
SEALED_ASK = 0x70E0
SEALED_ANSWER = 0x70E1
SEALED_PROOF = 0x70E2
SEALED_OUTCOME = 0x70E3

# 0x00A3, 0x00A4
EXCEPTION_CODE = 1
EXCEPTION_PACKET_ID = 2
EXCEPTION_PRODUCT_KEY = 3
EXCEPTION_DEVICE_KEY = 4

# 0x00B4; the three parts of CONFIGURE_SERVER are fields of the struct it holds
CONFIGURE_SERVER = 1
CONFIGURE_SERVER_DOMAIN = 2
CONFIGURE_SERVER_ADDRESS = 3
CONFIGURE_SERVER_PORT = 4
CONFIGURE_SECRET = 5
CONFIGURE_SESSION_KEY = 6
CONFIGURE_PRODUCT_KEY = 7
CONFIGURE_PRODUCT_SECRET = 8
CONFIGURE_AUTHENTICATE = 9
CONFIGURE_NEW_SECRET = 10
CONFIGURE_AUTH_KEY = 12  # what it holds is a quecbind extension: wire.auth_key
CONFIGURE_CODE_CHECKED = 14  # quecbind extension: an enterprise compared a bind code, 1 the same, 0 another

# 0x00B5; the seconds left are a quecbind extension
BIND_CODE_CODE = 11
BIND_CODE_SECRET = 15
BIND_CODE_SECONDS_LEFT = 100

NAMES = {
    TSL_READ: "TSL read",
    TSL_READ_ANSWER: "TSL read answer",
    TSL_WRITE: "TSL write",
    TSL_REPORT: "TSL report",
    TRANSPARENT_DOWN: "transparent data down",
    TRANSPARENT_UP: "transparent data up",
    STATUS_READ: "status read",
    STATUS_ANSWER: "status answer",
    STATUS_REPORT: "status report",
    INFO_READ: "module information read",
    INFO_ANSWER: "module information answer",
    INFO_REPORT: "module information report",
    EXCEPTION_DOWN: "exception down",
    EXCEPTION_UP: "exception up",
    CONFIGURE: "device configuration",
    BIND_CODE: "bind code",
    OTA_TASK: "OTA task",
    OTA_CONFIRM: "OTA confirm",
    OTA_FIRMWARE: "OTA firmware information",
    OTA_STATUS: "OTA status",
    OTA_REQUEST: "OTA request",
    LOCATION_REPORT: "location report",
    LOCATION_READ: "location read",
    LOCATION_ANSWER: "location answer",
    0x7000: "acknowledgement (classic LAN)",
    CLASSIC_DISCOVER: "discovery (classic LAN)",
    CLASSIC_DISCOVER_ANSWER: "discovery answer (classic LAN)",
    PROVISION: "provisioning",
    PROVISION_ANSWER: "provisioning answer",
    0x7012: "Wi-Fi scan",
    0x7013: "Wi-Fi scan answer",
    AUTHENTICATE: "account authentication",
    AUTHENTICATE_ANSWER: "account authentication answer",
    AUTHENTICATE_SECOND_ANSWER: "account authentication answer",
    UNBIND: "unbind",
    UNBIND_ANSWER: "unbind answer",
    DISCOVER: "discovery",
    DISCOVER_ANSWER: "discovery answer",
    HELLO: "session hello",
    RANDOM: "session random",
    LOGIN: "session log-in",
    LOGIN_RESULT: "session log-in result",
    WRITE_ACK: "write acknowledgement",
    PING: "ping",
    PONG: "pong",
    HEARTBEAT: "heartbeat set-up",
    CHIP_AUTHENTICATE: "account authentication (BLE chip)",
    CHIP_AUTHENTICATE_ANSWER: "account authentication answer (BLE chip)",
    CHIP_ACCOUNTS: "accounts (BLE chip)",
    CHIP_ACCOUNTS_ANSWER: "accounts answer (BLE chip)",
    CHIP_GRANT: "account grant (BLE chip)",
    CHIP_GRANT_ANSWER: "account grant answer (BLE chip)",
    SEALED_ASK: "sealed pairing",
    SEALED_ANSWER: "sealed pairing answer",
    SEALED_PROOF: "sealed pairing proof",
    SEALED_OUTCOME: "sealed pairing outcome",
}

_TOPIC_KINDS = {
    "sys": (
        STATUS_READ,
        STATUS_ANSWER,
        STATUS_REPORT,
        INFO_READ,
        INFO_ANSWER,
        INFO_REPORT,
        EXCEPTION_DOWN,
        EXCEPTION_UP,
        CONFIGURE,
        BIND_CODE,
    ),
    "bus": (
        TSL_READ,
        TSL_READ_ANSWER,
        TSL_WRITE,
        TSL_REPORT,
        TRANSPARENT_DOWN,
        TRANSPARENT_UP,
        LOCATION_REPORT,
        LOCATION_READ,
        LOCATION_ANSWER,
    ),
    "ota": (OTA_TASK, OTA_CONFIRM, OTA_FIRMWARE, OTA_STATUS, OTA_REQUEST),
}
_KIND_BY_COMMAND = {command: kind for kind, commands in _TOPIC_KINDS.items() for command in commands}


def topic_kind(command: int) -> "str | None":
    """The last level of the command's topic: "sys", "bus", "ota", or None for a command that has no topic."""
    return _KIND_BY_COMMAND.get(command)


def encode_ids(ids: "list[int] | tuple[int, ...]") -> bytes:
    """The payload of a read request: two bytes per id, big endian. No ids ask for everything."""
    out = bytearray()
    for number in ids:
        if not 1 <= number <= 8191:
            raise TtlvError("id to read: must be 1..8191")
        out.append(number >> 8)
        out.append(number & 255)
    return bytes(out)


def decode_ids(payload: bytes) -> "list[int]":
    """The ids a read request asks for, in its order; an empty list asks for everything."""
    if len(payload) % 2:
        raise TtlvError("read request: an id is two bytes, one byte is left over")
    ids = [payload[at] << 8 | payload[at + 1] for at in range(0, len(payload), 2)]
    for number in ids:
        if not 1 <= number <= 8191:
            raise TtlvError("read request: id outside 1..8191")
    return ids
