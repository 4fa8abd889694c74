"""Every argument of every call: the table of what is refused and what is taken, and in which form."""

from __future__ import annotations

import enum
from typing import Any

import pytest

from quecbind.wire import ttlv
from quecIot import _options
from quecIot._options import Wrong, check, split_server

CODE = "1234567890123456"
REFUSED_CODES = [
    "123456789012345",
    "12345678901234567",
    "abcdef7890123456",
    "\uff11234567890123456"[:16],
    "\uff11\uff12\uff13\uff14\uff15\uff16\uff17\uff18\uff19\uff10\uff11\uff12\uff13\uff14\uff15\uff16",
    "123456789012345\x00",
    "\x00" * 16,
    "1234567890 23456",
    " 123456789012345",
    " " * 16,
    b"\xff\xfe" + b"3" * 14,
    b"\xff" * 16,
    "123456789012345G",
    "12345678901234-6",
    1234567890123456,
    True,
    False,
    1.5,
    [],
    bytearray(b"1234567890123456"),
]
REFUSED_TIMEOUTS = [-1, 2**32, 2**64, 1.5, 120.0, "120", b"120", "", True, False, None, [120]]


@pytest.mark.parametrize("code", REFUSED_CODES)
def test_bind_code_is_refused(code: Any) -> None:
    with pytest.raises(Wrong, match="bindcodeSet: bindcode must be None, empty, or exactly 16 of 0-9 A-F"):
        check("bindcodeSet", (code, 120))


@pytest.mark.parametrize("timeout", REFUSED_TIMEOUTS)
def test_timeout_is_refused(timeout: Any) -> None:
    with pytest.raises(Wrong, match="bindcodeSet: timeout must be an int, 0..4294967295 seconds"):
        check("bindcodeSet", (CODE, timeout))


@pytest.mark.parametrize(
    ("code", "taken"),
    [
        (CODE, CODE),
        (CODE.encode(), CODE),
        ("ABCDEF0123456789", "ABCDEF0123456789"),
        (None, None),
        ("", None),
        (b"", None),
    ],
)
def test_bind_code_is_taken(code: Any, taken: str | None) -> None:
    assert check("bindcodeSet", (code, 120)) == [taken, 120]


@pytest.mark.parametrize("timeout", [0, 1, 120, 4294967295])
def test_timeout_is_taken(timeout: int) -> None:
    assert check("bindcodeSet", (CODE, timeout)) == [CODE, timeout]


REFUSED: list[tuple[str, tuple[Any, ...]]] = [
    *[
        ("setPairingPin", (pin,))
        for pin in ("12345", "1" * 17, "12345a", " 12345", 123456, True, "１２３４５６", b"\xff" * 6)
    ],
    *[("setConnmode", (mode,)) for mode in (2, -1, True, "1", None, 1.0)],
    *[(call, (callback,)) for call in ("setEventCB", "setProvisionCB") for callback in (None, 5, "print")],
    *[("setProductinfo", (pk, "secret")) for pk in ("", "p" * 33, "p;1", "p/1", "p+1", "p 1", "pé", 5, None, b"\xff")],
    *[("setProductinfo", ("p1", ps)) for ps in ("", "s" * 33, "s\n", "s\x00", "é", 5, None, b"\xff")],
    *[("setServer", (kind, "a.b:1")) for kind in (0, 2, True, "1", None)],
    *[("setServer", (1, server)) for server in ("", 5, None, "a.b:0", "a" * 60 + ":123", "ftp://a.b", "a b", "é.b")],
    *[("setLifetime", (seconds,)) for seconds in (0, 65536, -1, True, "120", None, 1.0)],
    *[("setPdpContextId", (number,)) for number in (0, 2, True, "1", None)],
    *[("setSessionFlag", (flag,)) for flag in (0, 1, "True", None)],
    *[("setSoftVersion", (version,)) for version in ("v" * 65, 1, None, "é", "a\n")],
    *[("setMcuVersion", (component, "1")) for component in ("", "c" * 33, 1, None, "é")],
    *[("setMcuVersion", ("c", version)) for version in ("v" * 65, 1, None, "é")],
    *[("setDkDs", (dk, "")) for dk in ("d" * 17, "d-1", "d 1", 5, None, "é")],
    *[("setDkDs", ("d1", ds)) for ds in ("s" * 33, 5, None, "é", "\x00")],
    *[("passTransSend", (mode, b"x")) for mode in (-1, 3, True, "0", None)],
    *[("passTransSend", (0, data)) for data in (b"", "", 5, None, [1], "\ud800")],
    *[
        ("phymodelReport", (0, values))
        for values in (
            {},
            [],
            None,
            {0: 1},
            {8192: 1},
            {True: 1},
            {"1": 1},
            {1: None},
            {1: {}},
            {1: []},
            {1: object()},
            {1: float("nan")},
            {1: float("inf")},
            {1: 2**63},
            {1: "\ud800"},
            {1: {0: 1}},
        )
    ],
    *[("phymodelAck", (0, packet_id, {1: 1})) for packet_id in (0, 0xFFFF, True, "1", None)],
    *[("getDevStatus", (ids,)) for ids in ([], [0], [8], [True], "1", 1, None, ["1"])],
    *[("getDevInfo", (ids,)) for ids in ([], [0], [15], [True], None)],
]


@pytest.mark.parametrize(("call", "arguments"), REFUSED)
def test_argument_is_refused_with_the_name_of_the_call(call: str, arguments: tuple[Any, ...]) -> None:
    with pytest.raises(Wrong, match=f"^{call}: "):
        check(call, arguments)


TAKEN: list[tuple[str, tuple[Any, ...], list[Any]]] = [
    ("setPairingPin", (None,), [""]),
    ("setPairingPin", ("",), [""]),
    ("setPairingPin", (b"012345",), ["012345"]),
    ("setPairingPin", ("9" * 16,), ["9" * 16]),
    ("setProductinfo", ("p" * 32, "s" * 32), ["p" * 32, "s" * 32]),
    ("setProductinfo", (b"p1115X", b"~ !;"), ["p1115X", "~ !;"]),
    ("setServer", (1, b"mqtts://a.b:8883"), [1, "mqtts://a.b:8883"]),
    ("setLifetime", (1,), [1]),
    ("setLifetime", (65535,), [65535]),
    ("setSoftVersion", ("",), [""]),
    ("setMcuVersion", (b"MCU1", b"1_0_0"), ["MCU1", "1_0_0"]),
    ("setMcuVersion", ("c" * 32, "v" * 64), ["c" * 32, "v" * 64]),
    ("setDkDs", ("d" * 16, "s" * 32), ["d" * 16, "s" * 32]),
    ("setDkDs", ("", ""), ["", ""]),
    ("passTransSend", (2, "é"), [2, "é".encode()]),
    ("phymodelAck", (0, 0xFFFE, {1: True}), [0, 0xFFFE, b"\x00\x09"]),
    ("getDevStatus", ((1, 7),), [[1, 7]]),
]


@pytest.mark.parametrize(("call", "arguments", "taken"), TAKEN)
def test_argument_is_taken(call: str, arguments: tuple[Any, ...], taken: list[Any]) -> None:
    assert check(call, arguments) == taken


def test_properties_become_fields_in_the_order_of_their_ids() -> None:
    values = {
        9: "text",
        1: True,
        2: -300,
        3: 36.6,
        4: b"\x00",
        6: {2: 25, 1: True},
        7: [1, 2, 300],
        8: [{1: 1}, {1: 2}],
    }

    (_, payload) = check("phymodelReport", (1, values))

    assert payload == bytes.fromhex(
        "0009001281012c001a09016e002300010000340002000900120019003c0003000200010002000200020101 2c".replace(" ", "")
        + "00440002"
        + "00040001000a0001"
        + "00040001000a0002"
        + "004b000474657874"
    )


def test_a_refusal_never_shows_the_value() -> None:
    with pytest.raises(Wrong) as refusal:
        check("setProductinfo", ("p1", "a secret that is much too long for a product"))

    assert "a secret" not in str(refusal.value)


@pytest.mark.parametrize(
    ("server", "place"),
    [
        ("iot-south.quectel.com:1883", (False, "iot-south.quectel.com", 1883)),
        ("mqtt://a.b", (False, "a.b", 1883)),
        ("mqtts://a.b", (True, "a.b", 8883)),
        ("mqtts://a.b:443", (True, "a.b", 443)),
        ("http://iot-south.quectel.com:2883", (False, "iot-south.quectel.com", 2883)),
        ("localhost:1", (False, "localhost", 1)),
        ("[::1]:65535", (False, "::1", 65535)),
        ("mqtts://[fe80::1]", (True, "fe80::1", 8883)),
        ("a.b:65536", None),
        ("a.b:", None),
        ("a.b:+1", None),
        ("a.b:1:2", None),
        ("[::1", None),
        ("[::1]x", None),
        ("mqtts://", None),
        ("://a.b", None),
        ("a.b/path", None),
        ("user@a.b", None),
    ],
)
def test_server_address_is_taken_apart(server: str, place: tuple[bool, str, int] | None) -> None:
    assert split_server(server) == place


def test_a_server_of_63_characters_is_the_longest() -> None:
    assert split_server("a" * 58 + ":1883") is not None
    assert split_server("a" * 59 + ":1883") is None


def test_every_call_with_arguments_has_its_row() -> None:
    calls = {name for name, _ in REFUSED} | {"bindcodeSet"}
    same_rules = {"passTransSend_ex", "phymodelReport_ex", "statusReport", "devInfoReport"}

    assert set(_options.CALLS) == calls | same_rules


class Number(enum.IntEnum):
    ONE = 1
    ELEVEN = 11


class Word(enum.StrEnum):
    CODE = "1234567890123456"


class Text(str):
    pass


class Data(bytes):
    pass


class Real(float):
    pass


@pytest.mark.parametrize(
    ("call", "arguments", "taken"),
    [
        ("setConnmode", (Number.ONE,), [1]),
        ("setLifetime", (Number.ELEVEN,), [11]),
        ("bindcodeSet", (Word.CODE, Number.ELEVEN), ["1234567890123456", 11]),
        ("setServer", (Number.ONE, Text("a.b:1")), [1, "a.b:1"]),
        ("setProductinfo", (Data(b"p1"), Text("secret")), ["p1", "secret"]),
        ("passTransSend", (Number.ONE, Data(b"x")), [1, b"x"]),
        ("passTransSend", (Number.ONE, Text("x")), [1, b"x"]),
        ("getDevInfo", ([Number.ELEVEN, 1],), [[11, 1]]),
        ("phymodelReport", (0, {Number.ONE: Number.ELEVEN}), [0, ttlv.encode([(1, 11)])]),
        ("phymodelReport", (0, {1: Text("x"), 2: [Real(0.5)]}), [0, ttlv.encode([(1, "x"), (2, [(0, 0.5)])])]),
        ("phymodelReport", (0, {1: True}), [0, ttlv.encode([(1, True)])]),
    ],
)
def test_a_subclass_counts_as_its_value(call: str, arguments: tuple[Any, ...], taken: list[Any]) -> None:
    checked = check(call, arguments)

    assert checked == taken
    assert [type(value) for value in checked] == [type(value) for value in taken]


def _raise(*_: Any) -> Any:
    raise RuntimeError("hostile")


HOSTILE = {
    name: type(name, (kind,), dict.fromkeys(methods, _raise))
    for name, kind, methods in (
        ("HostileInt", int, ("__add__", "__le__", "__lt__", "__ge__", "__eq__", "__hash__", "__int__")),
        ("HostileStr", str, ("__add__", "__len__", "__iter__", "__eq__", "__hash__", "encode", "__bool__")),
        ("HostileBytes", bytes, ("__add__", "__len__", "__iter__", "decode", "__bool__", "__eq__", "__hash__")),
        ("HostileList", list, ("__len__", "__iter__", "__bool__", "__eq__")),
        ("HostileDict", dict, ("items", "__iter__", "__len__", "__getitem__", "__bool__")),
        ("HostileObject", object, ("__eq__", "__hash__", "__len__", "__bool__")),
    )
}
HOSTILE["HostileClass"] = type("HostileClass", (), {"__class__": property(_raise)})


GOOD: dict[str, tuple[Any, ...]] = {
    **{call: arguments for call, arguments, _ in TAKEN},
    "bindcodeSet": (CODE, 120),
    "setConnmode": (1,),
    "setEventCB": (print,),
    "setProvisionCB": (print,),
    "setServer": (1, "a.b:1"),
    "setPdpContextId": (1,),
    "setSessionFlag": (True,),
    "passTransSend_ex": (0, b"x"),
    **dict.fromkeys(("phymodelReport", "phymodelReport_ex"), (0, {1: 1})),
    **dict.fromkeys(("statusReport", "devInfoReport", "getDevInfo"), ([1],)),
}


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("call", sorted(_options.CALLS))
def test_a_class_whose_methods_raise_is_refused_or_taken_and_nothing_raises(call: str, name: str) -> None:
    good = GOOD[call]
    for index in range(len(good)):
        arguments = list(good)
        arguments[index] = HOSTILE[name]()

        try:
            checked = check(call, tuple(arguments))
        except Wrong:
            continue
        assert not any(type(value) is HOSTILE[name] for value in checked)


@pytest.mark.parametrize("name", HOSTILE)
def test_nor_within_a_dict_or_a_list(name: str) -> None:
    for call, arguments in (
        ("phymodelReport", (0, {1: HOSTILE[name]()})),
        ("phymodelReport", (0, {1: [HOSTILE[name]()]})),
        ("getDevInfo", ([HOSTILE[name]()],)),
    ):
        with pytest.raises(Wrong, match=f"^{call}: "):
            check(call, arguments)
