"""What strangers on the local network can learn, and that it is no use to them for anything else."""

from __future__ import annotations

from typing import Any

import pytest

from quecbind.wire import commands, frame, lan, ttlv
from quecIot import _pairing
from quecIot._pairing import Conversation, Discovery, may_connect
from tests.quecIot.bench import CODE, DK, PK, CountingEntropy

PROBE = bytes.fromhex("aaaa00058b03e87030")  # protocol document, short-range C.2
APP = ("192.0.2.10", 50000)


def own(peer: str) -> bool:
    return peer.startswith("192.0.2.")


@pytest.fixture
def discovery() -> Discovery:
    return Discovery(own, now=0.0)


def test_a_probe_is_answered_with_its_packet_id(discovery: Discovery) -> None:
    assert discovery.packet_id(PROBE, APP, 0.0) == 0x03E8


@pytest.mark.parametrize("source", ["192.0.3.10", "8.8.8.8", "10.0.0.1", "", "x"])
def test_other_networks_get_no_answer(discovery: Discovery, source: str) -> None:
    assert discovery.packet_id(PROBE, (source, 50000), 0.0) is None


@pytest.mark.parametrize("port", [0, 7, 53, 123, 1023])
def test_ports_of_services_get_no_answer(discovery: Discovery, port: int) -> None:
    assert discovery.packet_id(PROBE, (APP[0], port), 0.0) is None


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xaa\xaa",
        PROBE[:-1],
        frame.encode(1, commands.DISCOVER, b"x"),
        frame.encode(1, commands.TRANSPARENT_DOWN, b"on"),
        frame.encode(1, commands.TSL_WRITE, bytes.fromhex("0009")),
        frame.encode(1, commands.CONFIGURE, ttlv.encode([(5, "x" * 32)])),
        frame.encode(1, commands.PROVISION),
        PROBE + bytes(_pairing.MAX_DATAGRAM),
    ],
)
def test_a_datagram_that_is_no_probe_gets_no_answer(discovery: Discovery, data: bytes) -> None:
    assert discovery.packet_id(data, APP, 0.0) is None


def answers(discovery: Discovery, sources: list[str], seconds: int, per_second: int = 50) -> int:
    count = 0
    for step in range(seconds * per_second):
        for source in sources:
            count += discovery.packet_id(PROBE, (source, 50000), step / per_second) is not None
    return count


def test_one_source_gets_a_few_answers_at_once_and_one_per_second(discovery: Discovery) -> None:
    assert answers(discovery, [APP[0]], seconds=60) <= 4 + 60


def test_all_sources_together_get_ten_per_second(discovery: Discovery) -> None:
    sources = [f"192.0.2.{number}" for number in range(1, 100)]

    assert answers(discovery, sources, seconds=10, per_second=20) <= 20 + 100


def test_a_source_that_asks_as_apps_do_is_always_answered(discovery: Discovery) -> None:
    assert all(discovery.packet_id(PROBE, APP, 3.0 * step) is not None for step in range(100))


def test_forged_sources_do_not_fill_the_memory_nor_lock_out_for_long(discovery: Discovery) -> None:
    for number in range(100000):
        discovery.packet_id(PROBE, (f"198.51.{number // 256 % 256}.{number % 256}", 50000), 1.0)

    assert len(discovery._by_source) <= _pairing.MAX_SOURCES
    assert discovery.packet_id(PROBE, APP, 10.0) is not None


def test_an_answer_is_small() -> None:
    payload = lan.discover_answer("p" * 32, "d" * 16, "255.255.255.255", 65535)

    assert len(frame.encode(0xFFFE, commands.DISCOVER_ANSWER, payload)) <= 120


# --- connections ---


class Peer:
    def __init__(self, bind_code: str | None = None, product_key: str = PK) -> None:
        self.logged: list[str] = []
        self.identity = (product_key, DK, bind_code)
        self.conversation = Conversation(
            APP[0], lambda: self.identity, CountingEntropy(), lambda level, text: self.logged.append(text), now=0.0
        )

    def ask(self, command: int, payload: bytes = b"", packet_id: int = 1000) -> list[frame.Frame]:
        answer = self.conversation.receive_data(frame.encode(packet_id, command, payload), 1.0)
        assert answer is not None
        return frame.FrameReader().feed(answer)


def test_pairing_tells_the_code_only_while_the_window_is_open() -> None:
    (closed,) = Peer().ask(commands.PROVISION)
    (opened,) = Peer(CODE).ask(commands.PROVISION)

    assert ttlv.decode(closed.payload) == [(6, True), (7, PK.encode()), (8, DK.encode())]
    assert ttlv.decode(opened.payload) == [(6, True), (7, PK.encode()), (8, DK.encode()), (9, CODE.encode())]
    assert (opened.packet_id, opened.command) == (1000, commands.PROVISION_ANSWER)


def test_the_code_of_each_moment_counts() -> None:
    peer = Peer(CODE)
    peer.ask(commands.PROVISION)

    peer.identity = (PK, DK, None)

    (answer,) = peer.ask(commands.PROVISION)
    assert lan.parse_provision_answer(answer.payload).bind_code is None


def test_wifi_settings_are_answered_and_ignored() -> None:
    peer = Peer(CODE)

    (answer,) = peer.ask(commands.PROVISION, lan.provision_request("home", "12345678"))

    assert lan.parse_provision_answer(answer.payload).bind_code == CODE
    assert peer.logged == ["pairing over LAN: Wi-Fi settings are ignored"]


def test_a_device_without_product_answers_no_pairing() -> None:
    assert Peer(product_key="").ask(commands.PROVISION) == []


@pytest.mark.parametrize("payload", [b"\xff", bytes.fromhex("000b0001ff")])
def test_a_pairing_request_that_cannot_be_read_gets_no_answer(payload: bytes) -> None:
    assert Peer(CODE).ask(commands.PROVISION, payload) == []


def test_hello_gets_a_new_random_each_time() -> None:
    peer = Peer()

    randoms = {lan.parse_random(peer.ask(commands.HELLO, packet_id=number)[0].payload) for number in range(1, 6)}

    assert len(randoms) == 5


def test_a_log_in_is_refused() -> None:
    peer = Peer()
    peer.ask(commands.HELLO)

    (answer,) = peer.ask(commands.LOGIN, lan.login("0" * 64))

    assert lan.parse_login_result(answer.payload) == lan.LOGIN_REFUSED


@pytest.mark.parametrize(
    "command",
    [
        commands.TSL_READ,
        commands.TSL_WRITE,
        commands.TRANSPARENT_DOWN,
        commands.STATUS_READ,
        commands.INFO_READ,
        commands.CONFIGURE,
        commands.BIND_CODE,
        commands.EXCEPTION_DOWN,
        commands.PING,
        commands.HEARTBEAT,
        commands.DISCOVER,
        0x7001,
        0x7016,
    ],
)
def test_nothing_else_is_answered_or_done_without_a_log_in(command: int) -> None:
    assert Peer(CODE).ask(command, bytes.fromhex("0009")) == []


def test_requests_may_come_in_pieces_and_together() -> None:
    conversation = Peer(CODE).conversation
    data = frame.encode(1, commands.PROVISION) + b"junk" + frame.encode(2, commands.HELLO)

    out = b""
    for at in range(len(data)):
        out += conversation.receive_data(data[at : at + 1], 1.0) or b""

    assert [one.packet_id for one in frame.FrameReader().feed(out)] == [1, 2]


def test_a_connection_is_closed_when_it_has_asked_too_often() -> None:
    conversation = Peer().conversation
    request = frame.encode(1, commands.TSL_READ)

    assert conversation.receive_data(request * _pairing.MAX_REQUESTS, 1.0) == b""
    assert conversation.receive_data(request, 1.0) is None


def test_a_connection_ends_when_it_is_silent_and_when_it_lasts_too_long() -> None:
    conversation = Peer().conversation
    assert conversation.ends_at == _pairing.IDLE_S

    for now in range(10, 121, 10):
        conversation.receive_data(b"x", float(now))

    assert conversation.ends_at == _pairing.LIFE_S


@pytest.mark.parametrize(
    ("source", "present", "allowed"),
    [
        (APP[0], [], True),
        (APP[0], [APP[0]] * 2, True),
        (APP[0], [APP[0]] * 3, False),
        (APP[0], [f"192.0.2.{number}" for number in range(20, 27)], True),
        (APP[0], [f"192.0.2.{number}" for number in range(20, 28)], False),
        ("203.0.113.1", [], False),
    ],
)
def test_connections_are_limited_in_number_and_to_own_networks(source: str, present: list[Any], allowed: bool) -> None:
    assert may_connect(source, present, own) is allowed
