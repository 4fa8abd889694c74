"""Who on the local network is answered, and that forged senders gain nothing."""

from __future__ import annotations

import pytest

from quecbind.wire import commands, frame, lan, ttlv
from quecIot import _pairing
from quecIot._pairing import Discovery, has_to_give_way, may_connect
from tests.quecIot.bench import DK, PK

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
        frame.encode(0, commands.DISCOVER),
        frame.encode(0xFFFF, commands.DISCOVER),
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


@pytest.mark.parametrize(
    ("source", "strangers", "session_count", "allowed"),
    [
        (APP[0], [], 0, True),
        (APP[0], [APP[0]] * 2, 0, True),
        (APP[0], [APP[0]] * 3, 0, False),
        (APP[0], [f"192.0.2.{number}" for number in range(20, 28)], 0, True),
        (APP[0], [], 31, True),
        (APP[0], [], 32, False),
        ("203.0.113.1", [], 0, False),
    ],
)
def test_connections_are_limited_in_number_and_to_own_networks(
    source: str, strangers: list[str], session_count: int, allowed: bool
) -> None:
    assert may_connect(source, strangers, session_count, own) is allowed


def test_sixteen_apps_may_come_at_once_and_nobody_gives_way() -> None:
    sources = [f"192.0.2.{number}" for number in range(20, 36)]

    assert has_to_give_way(sources[:15]) is False
    assert has_to_give_way(sources) is True


def test_a_question_is_answered_with_who_and_where_the_device_is_for_that_peer(discovery: Discovery) -> None:
    places = {APP[0]: ("192.0.2.1", 6607)}

    answer = discovery.answer(PROBE, APP, 0.0, commands.DISCOVER, lambda: (PK, DK, None), places.__getitem__)

    assert answer is not None
    said = frame.decode(answer)
    assert (said.packet_id, said.command) == (0x03E8, commands.DISCOVER_ANSWER)
    assert lan.parse_discover_answer(said.payload) == (PK, DK, "192.0.2.1", 6607, 1)


def test_a_device_without_product_and_a_peer_of_another_network_have_no_answer(discovery: Discovery) -> None:
    for keys, source in ((("", DK, None), APP), ((PK, DK, None), ("8.8.8.8", 50000))):
        answer = discovery.answer(PROBE, source, 0.0, commands.DISCOVER, lambda keys=keys: keys, lambda peer: ("", 0))
        assert answer is None
