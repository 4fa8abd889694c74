"""MQTT packets of every type, malformed every way: written out from the standard, not from our codec.

Each way gives (what it is, bytes). `after log-in` and `instead of CONNECT` use the same bytes; those in `IGNORED` are
not malformed enough to be a violation, and a server may go on behind them.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from tests.e2e.wire_by_hand import frame, packet, text

BAD_TEXT = {
    "a byte that UTF-8 never has": b"q\xff",
    "an overlong form": b"q\xc0\x80",
    "a surrogate": b"q\xed\xa0\x80",
    "beyond Unicode": b"q\xf4\x90\x80\x80",
    "a cut character": b"q\xe2\x82",
    "a NUL": b"q\0q",
}
LEGAL_FLAGS = {
    "PUBACK": {0}, "PUBREC": {0}, "PUBREL": {2}, "PUBCOMP": {0}, "SUBSCRIBE": {2}, "UNSUBSCRIBE": {2}, "PINGREQ": {0},
    "DISCONNECT": {0}, "PUBLISH": set(range(16)) - {6, 7, 8, 9, 14, 15}, "CONNECT": {0},
}  # fmt: skip
NUMBERS = {
    "CONNECT": 1, "PUBLISH": 3, "PUBACK": 4, "PUBREC": 5, "PUBREL": 6, "PUBCOMP": 7, "SUBSCRIBE": 8, "UNSUBSCRIBE": 10,
    "PINGREQ": 12, "DISCONNECT": 14,
}  # fmt: skip
WITH_ID = ("PUBACK", "PUBREC", "PUBREL", "PUBCOMP", "SUBSCRIBE", "UNSUBSCRIBE")
IDENTIFIER = b"\0\x07"

Case = tuple[str, bytes]


def bodies(client_id: str) -> dict[str, bytes]:
    """A right body of each packet that a device may send once it is logged in."""
    topic, wanted = f"q/2/d/{client_id}/sys".encode(), f"q/1/d/{client_id}/+".encode()
    return {
        "PUBLISH": text(topic) + IDENTIFIER + frame(1, 0x0034, b"\0\x0a\0\x05"),
        "PUBACK": IDENTIFIER,
        "PUBREC": IDENTIFIER,
        "PUBREL": IDENTIFIER,
        "PUBCOMP": IDENTIFIER,
        "SUBSCRIBE": IDENTIFIER + text(wanted) + b"\1",
        "UNSUBSCRIBE": IDENTIFIER + text(wanted),
        "PINGREQ": b"",
        "DISCONNECT": b"",
    }


def head(name: str) -> int:
    return NUMBERS[name] << 4 | (2 if name in {"PUBLISH", "PUBREL", "SUBSCRIBE", "UNSUBSCRIBE"} else 0)


def wrong_flags(client_id: str) -> Iterator[Case]:
    for name, body in bodies(client_id).items():
        for flags in sorted(set(range(16)) - LEGAL_FLAGS[name]):
            yield f"{name} flags {flags}", packet(NUMBERS[name] << 4 | flags, body)


def reserved_types(client_id: str) -> Iterator[Case]:
    for number in (0, 15):
        for flags in range(16):
            yield f"type {number} flags {flags}", packet(number << 4 | flags, b"")
    for number, body in ((2, b"\0\0"), (9, IDENTIFIER + b"\1"), (11, IDENTIFIER), (13, b"")):
        yield f"type {number}, which only servers send", packet(number << 4, body)


def short_bodies(client_id: str) -> Iterator[Case]:
    """Cut at every byte, with the length that the cut body has."""
    for name, body in bodies(client_id).items():
        # A PUBLISH that is cut behind its packet id is a shorter message, not a malformed packet.
        fixed = len(f"q/2/d/{client_id}/sys") + 4 if name == "PUBLISH" else len(body)
        for end in range(fixed):
            yield f"{name} of {end} bytes", packet(head(name), body[:end])


def long_bodies(client_id: str) -> Iterator[Case]:
    for name, body in bodies(client_id).items():
        if name != "PUBLISH":  # what is left over there is message
            for more in (b"\0", b"\xff", b"\0\1", bytes(100)):
                yield f"{name} and {len(more)} bytes", packet(head(name), body + more)


def wrong_lengths(client_id: str) -> Iterator[Case]:
    """A remaining length that no packet can have: five bytes of it, and one over every limit."""
    for name, body in bodies(client_id).items():
        for length in (b"\x80\x80\x80\x80\x01", b"\xff\xff\xff\xff\x7f", b"\xff\xff\xff\x7f"):
            yield f"{name} length {length.hex()}", bytes([head(name)]) + length + body


def identifier_0(client_id: str) -> Iterator[Case]:
    for name, body in bodies(client_id).items():
        if name in WITH_ID:
            yield f"{name} id 0", packet(head(name), b"\0\0" + body[2:])
        elif name == "PUBLISH":
            size = len(f"q/2/d/{client_id}/sys") + 2
            for flags in (2, 4):
                yield f"PUBLISH flags {flags} id 0", packet(0x30 | flags, body[:size] + b"\0\0" + body[size + 2 :])


def bad_text(client_id: str) -> Iterator[Case]:
    for what, bad in BAD_TEXT.items():
        yield f"PUBLISH topic with {what}", packet(0x32, text(bad) + IDENTIFIER + b"x")
        yield f"SUBSCRIBE filter with {what}", packet(0x82, IDENTIFIER + text(bad) + b"\1")
        yield f"UNSUBSCRIBE filter with {what}", packet(0xA2, IDENTIFIER + text(bad))


def bad_fields(client_id: str) -> Iterator[Case]:
    own = f"q/1/d/{client_id}/+".encode()
    for qos in (3, 4, 0x80, 0xFF):
        yield f"SUBSCRIBE QoS {qos}", packet(0x82, IDENTIFIER + text(own) + bytes([qos]))
    yield "SUBSCRIBE without a filter", packet(0x82, IDENTIFIER)
    yield "UNSUBSCRIBE without a filter", packet(0xA2, IDENTIFIER)
    yield "PUBLISH to no topic", packet(0x32, text(b"") + IDENTIFIER + b"x")
    for wrong in (b"", b"a+", b"+a", b"#/a", b"a/#/b", b"a#"):
        yield f"SUBSCRIBE filter {wrong!r}", packet(0x82, IDENTIFIER + text(wrong) + b"\1")
        yield f"UNSUBSCRIBE filter {wrong!r}", packet(0xA2, IDENTIFIER + text(wrong))


WAYS = {
    "wrong flags": wrong_flags,
    "reserved and foreign types": reserved_types,
    "cut at every byte": short_bodies,
    "trailing bytes": long_bodies,
    "impossible lengths": wrong_lengths,
    "packet id 0": identifier_0,
    "bad UTF-8": bad_text,
    "fields out of range": bad_fields,
}


def connects(client_id: str, password: bytes) -> Iterator[Case]:
    """CONNECT, malformed every way; the password is right, so that only the form keeps it out."""
    name, keep = client_id.encode(), struct.pack(">H", 60)
    tail = text(name) + text(password)

    def build(protocol: bytes = text(b"MQTT"), level: int = 4, flags: int = 0x42, rest: bytes = tail) -> bytes:
        return packet(0x10, protocol + bytes([level, flags]) + keep + rest)

    for flags in range(1, 16):
        yield f"header flags {flags}", bytes([0x10 | flags]) + build()[1:]
    for protocol in (b"", b"MQT", b"mqtt", b"MQTTT", b"MQIsd", b"HTTP", b"MQ\0T", b"\xff\xff\xff\xff"):
        yield f"protocol {protocol!r}", build(text(protocol))
    for level in (0, 1, 2, 3, 5, 6, 0x84, 255):
        yield f"level {level}", build(level=level)
    yield "reserved connect flag", build(flags=0x43)
    for flags in (0x4A, 0x52, 0x62, 0x6A, 0x7A):
        yield f"will parts without a will, flags {flags:02x}", build(flags=flags)
    will = text(name) + text(b"t") + text(b"m") + text(password)
    yield "will QoS 3", build(flags=0x5E, rest=will)
    for topic in (b"", b"#", b"a/+", *BAD_TEXT.values()):
        yield f"will topic {topic!r}", build(flags=0x46, rest=text(name) + text(topic) + text(b"m") + text(password))
    for what, bad in BAD_TEXT.items():
        yield f"client id with {what}", build(rest=text(bad) + text(password))
        yield f"user name with {what}", build(flags=0xC2, rest=text(name) + text(bad) + text(password))
    for wrong in (b"", b"a" * 67, b"a" * 1500, name + b"/", name + b"+", name + b"#", b"../" + name, name + b" "):
        yield f"client id {wrong[-8:]!r} of {len(wrong)}", build(rest=text(wrong) + text(password))
    yield "a user name announced and missing", build(flags=0xC2)
    yield "a password announced and missing", build(rest=text(name))
    for more in (b"\0", b"\0\0", bytes(100)):
        yield f"{len(more)} bytes more", build(rest=tail + more)
    right = build()
    body = right[-(len(right) - 2) :] if right[1] < 0x80 else right[3:]
    for end in range(len(body)):
        yield f"cut to {end} bytes", packet(0x10, body[:end])
    yield "longer than a log-in may be", build(rest=text(name) + text(password) + bytes(4000))
    for length in (b"\x80\x80\x80\x80\x01", b"\xff\xff\xff\x7f"):
        yield f"length {length.hex()}", b"\x10" + length + body
