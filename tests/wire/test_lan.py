"""LAN and BLE messages: the examples of the protocol document, and what is refused in each."""

from collections.abc import Callable
from typing import Any

import pytest
from tests.wire.examples import BIND_CODE, DEVICE_KEY, PRODUCT_KEY, RANDOM, TOKEN

from quecbind.wire import commands, frame, lan, ttlv
from quecbind.wire.errors import LanError, TtlvError, WireError
from quecbind.wire.lan import Announcement, Pairing, Wifi


@pytest.mark.parametrize(
    ("packet_id", "command", "payload", "wire"),
    [
        (0x03E8, commands.DISCOVER, b"", "aaaa00058b03e87030"),
        (
            0x03E8,
            commands.DISCOVER_ANSWER,
            lan.discover_answer(PRODUCT_KEY, DEVICE_KEY, "127.0.0.1", 6607),
            (
                "aaaa0035bd03e87031001b00067031316162630023000c616162626363646465656666"
                "002b00093132372e302e302e3100320119cf003a0001"
            ),
        ),
        (
            0x03E8,
            commands.PROVISION,
            lan.provision_request("home", "12345678"),
            "aaaa0019e203e87010000b0004686f6d65001300083132333435363738",
        ),
        (
            0x03E8,
            commands.PROVISION_ANSWER,
            lan.provision_answer(PRODUCT_KEY, DEVICE_KEY, BIND_CODE),
            (
                "aaaa0035cc03e870110031003b00067031316162630043000c616162626363646465656666"
                "004b001030313233343536373839414243444546"
            ),
        ),
        (0x03E9, commands.HELLO, b"", "aaaa00058e03e97032"),
        (
            0x03E9,
            commands.RANDOM,
            lan.random(RANDOM),
            "aaaa0019f203e97033000b001041316232433364344535663647376838",
        ),
        (0x03EA, commands.LOGIN, lan.login(TOKEN), "aaaa00497a03ea703400130040" + TOKEN.encode().hex()),
        (0x03EA, commands.LOGIN_RESULT, lan.login_result(), "aaaa0009ac03ea7035001a0000"),
        (0x0001, commands.HELLO, b"", "aaaa0005a300017032"),
    ],
)
def test_example_of_the_protocol_document(packet_id: int, command: int, payload: bytes, wire: str) -> None:
    assert frame.encode(packet_id, command, payload).hex() == wire


def test_short_payloads_of_the_protocol_document() -> None:
    assert lan.write_ack().hex() == "000a0000"
    assert lan.heartbeat().hex() == "000a001e00120001"


def test_every_message_is_read_back() -> None:
    announcement = Announcement(PRODUCT_KEY, DEVICE_KEY, "192.168.1.20", 6607, 1)

    assert lan.parse_discover_answer(lan.discover_answer(*announcement)) == announcement
    assert lan.parse_provision_request(lan.provision_request("home", "12345678")) == Wifi("home", "12345678")
    assert lan.parse_provision_request(lan.provision_request("open")) == Wifi("open", None)
    assert lan.parse_provision_answer(lan.provision_answer(PRODUCT_KEY, DEVICE_KEY, BIND_CODE)) == Pairing(
        True, PRODUCT_KEY, DEVICE_KEY, BIND_CODE
    )
    assert lan.parse_provision_answer(lan.provision_answer(PRODUCT_KEY, DEVICE_KEY)).bind_code is None
    assert lan.parse_random(lan.random(RANDOM)) == RANDOM
    assert lan.parse_login(lan.login(TOKEN)) == TOKEN
    assert lan.parse_login(lan.login(TOKEN.upper())) == TOKEN
    assert lan.parse_login_result(lan.login_result(-1)) == -1
    assert lan.parse_write_ack(lan.write_ack(5)) == 5
    assert lan.parse_heartbeat(lan.heartbeat(12)) == 12


def test_pairing_without_a_network_is_an_empty_payload() -> None:
    assert lan.provision_request() == b""
    assert lan.parse_provision_request(b"") == Wifi(None, None)


def test_what_a_device_leaves_out_of_its_discovery_answer_has_a_default() -> None:
    payload = ttlv.encode([(3, PRODUCT_KEY), (4, DEVICE_KEY)])

    assert lan.parse_discover_answer(payload) == Announcement(PRODUCT_KEY, DEVICE_KEY, None, 6607, 1)


def test_unknown_fields_are_ignored() -> None:
    payload = ttlv.encode([(11, 30), (12, 380), (13, "mqtt://somewhere.example:1883"), (1, "home")])

    assert lan.parse_provision_request(payload) == Wifi("home", None)


def test_a_device_that_refuses_to_pair_says_no_more() -> None:
    assert lan.parse_provision_answer(ttlv.encode([(6, False)])) == Pairing(False, "", "", None)


def test_secrets_are_not_shown() -> None:
    assert "12345678" not in repr(Wifi("home", "12345678"))
    assert BIND_CODE not in repr(Pairing(True, PRODUCT_KEY, DEVICE_KEY, BIND_CODE))
    assert "bind_code=None" in repr(Pairing(True, PRODUCT_KEY, DEVICE_KEY, None))


def test_the_classic_answer_is_the_documents() -> None:
    payload = lan.classic_discover_answer("p11abc", "AABBCCDDEEFF")

    assert frame.encode(1, commands.CLASSIC_DISCOVER_ANSWER, payload).hex() == (
        "aaaa001fc500017002000b000c41414242434344444545464600130006703131616263"
    )


def test_a_share_goes_with_the_log_in_and_is_passed_over() -> None:
    payload = lan.login(TOKEN, b"S" * 16, 3)

    assert ttlv.decode(payload) == [(2, TOKEN.encode()), (5, b"S" * 16), (6, 3)]
    assert lan.parse_login(payload) == TOKEN


KEYS = [(3, PRODUCT_KEY), (4, DEVICE_KEY)]


@pytest.mark.parametrize(
    ("parse", "fields", "sentence"),
    [
        (lan.parse_discover_answer, [(4, DEVICE_KEY)], "field 3 is missing or not text"),
        (lan.parse_discover_answer, [(3, PRODUCT_KEY)], "field 4 is missing or not text"),
        (lan.parse_discover_answer, [(3, 5), (4, DEVICE_KEY)], "field 3 is missing or not text"),
        (lan.parse_discover_answer, [(3, ""), (4, DEVICE_KEY)], "field 3 must be 1..32"),
        (lan.parse_discover_answer, [(3, PRODUCT_KEY), (4, "x" * 33)], "field 4 must be 1..32"),
        (lan.parse_discover_answer, [(3, PRODUCT_KEY), (4, "../x")], "field 4 must be 1..32"),
        (lan.parse_discover_answer, [(3, PRODUCT_KEY), (4, "\x1b[2J")], "field 4 must be 1..32"),
        (lan.parse_discover_answer, [*KEYS, (5, 7)], "field 5 is missing or not text"),
        (lan.parse_discover_answer, [*KEYS, (5, b"\xff")], "field 5 is not UTF-8"),
        (lan.parse_discover_answer, [*KEYS, (5, "host.example")], "field 5 must be an IPv4"),
        (lan.parse_discover_answer, [*KEYS, (5, "1.2.3")], "field 5 must be an IPv4"),
        (lan.parse_discover_answer, [*KEYS, (5, "1.2.3.256")], "field 5 must be an IPv4"),
        (lan.parse_discover_answer, [*KEYS, (5, "1.2.3.04")], "field 5 must be an IPv4"),
        (lan.parse_discover_answer, [*KEYS, (5, "1.2.3.²")], "field 5 must be an IPv4"),
        (lan.parse_discover_answer, [*KEYS, (6, 0)], "field 6 must be a port"),
        (lan.parse_discover_answer, [*KEYS, (6, 65536)], "field 6 must be a port"),
        (lan.parse_discover_answer, [*KEYS, (6, "6607")], "field 6 is missing or not an integer"),
        (lan.parse_discover_answer, [*KEYS, (7, 1.5)], "field 7 is missing or not an integer"),
        (lan.parse_provision_request, [(1, True)], "field 1 is missing or not text"),
        (lan.parse_provision_request, [(1, b"\xff")], "field 1 is not UTF-8"),
        (lan.parse_provision_request, [(2, b"\xed\xa0\x80")], "field 2 is not UTF-8"),
        (lan.parse_provision_answer, [(7, PRODUCT_KEY)], "field 6 is missing or not a bool"),
        (lan.parse_provision_answer, [(6, 1)], "field 6 is missing or not a bool"),
        (lan.parse_provision_answer, [(6, True)], "field 7 is missing"),
        (lan.parse_provision_answer, [(6, True), (7, PRODUCT_KEY)], "field 8 is missing"),
        (
            lan.parse_provision_answer,
            [(6, True), (7, PRODUCT_KEY), (8, DEVICE_KEY), (9, "0123456789ABCDE")],
            "field 9 must be 16 hex digits",
        ),
        (
            lan.parse_provision_answer,
            [(6, True), (7, PRODUCT_KEY), (8, DEVICE_KEY), (9, "0123456789ABCDEG")],
            "field 9 must be 16 hex digits",
        ),
        (lan.parse_random, [(1, "short")], "must be 16 characters"),
        (lan.parse_random, [(1, "0123456789ABCD\x00\x00")], "printable ASCII"),
        (lan.parse_random, [(2, RANDOM)], "field 1 is missing"),
        (lan.parse_login, [(2, TOKEN[:-1])], "token must be 64 hex digits"),
        (lan.parse_login, [(2, "z" * 64)], "token must be 64 hex digits"),
        (lan.parse_login, [(1, TOKEN)], "field 2 is missing"),
        (lan.parse_login_result, [(3, True)], "field 3 is missing or not an integer"),
        (lan.parse_login_result, [(1, 0)], "field 3 is missing or not an integer"),
        (lan.parse_write_ack, [(1, "0")], "field 1 is missing or not an integer"),
        (lan.parse_heartbeat, [(1, 0)], "above 0"),
        (lan.parse_heartbeat, [(2, 1)], "field 1 is missing"),
    ],
)
def test_impossible_message_is_refused_with_a_sentence(
    parse: Callable[[bytes], Any], fields: list[Any], sentence: str
) -> None:
    with pytest.raises(LanError, match=sentence):
        parse(ttlv.encode(fields))


@pytest.mark.parametrize("text", ["", "short", RANDOM + "0", "0123456789ABCDE;", "0123456789ABCDEé"])
def test_random_that_could_not_be_an_iv_is_not_sent(text: str) -> None:
    with pytest.raises(LanError, match="must be 16"):
        lan.random(text)


@pytest.mark.parametrize(
    "parse",
    [
        lan.parse_discover_answer,
        lan.parse_provision_answer,
        lan.parse_random,
        lan.parse_login,
        lan.parse_login_result,
        lan.parse_write_ack,
        lan.parse_heartbeat,
    ],
)
def test_no_payload_is_refused(parse: Callable[[bytes], Any]) -> None:
    with pytest.raises(WireError):
        parse(b"")


def test_message_is_flat_and_small() -> None:
    deep = ttlv.encode([(20, [(1, [(1, True)])]), (1, "home")])
    wide = ttlv.encode([(1, "home")] + [(20, True)] * 32)

    for payload in (deep, wide):
        with pytest.raises(TtlvError, match="more than"):
            lan.parse_provision_request(payload)
