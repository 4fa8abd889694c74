"""A search without a network: probes at the right times, devices where their answers come from."""

import pytest

from quecbind.app.lan.search import MAX_FOUND, FoundDevice, Search
from quecbind.wire import commands, frame, lan

# short-range.md C.2
EXAMPLE = bytes.fromhex(
    "aaaa0035bd03e87031001b00067031316162630023000c616162626363646465656666002b00093132372e302e302e3100320119cf003a0001"
)


def answer(device_key: str = "aabbccddeeff", port: int = 6607, address: str = "192.0.2.1") -> bytes:
    payload = lan.discover_answer("p11abc", device_key, address, port)
    return frame.encode(1000, commands.DISCOVER_ANSWER, payload)


def test_a_probe_is_due_at_once_and_then_every_three_seconds() -> None:
    search = Search(100.0)

    sent = []
    for now in (100.0, 101.0, 102.9, 103.0, 105.9, 106.0):
        search.handle_timer(now)
        sent.append(len(search.data_to_send()))

    assert sent == [1, 0, 0, 1, 0, 1]
    assert search.next_timer() == 109.0


def test_the_probe_is_the_documented_one() -> None:
    search = Search(0.0)
    search.handle_timer(0.0)

    assert search.data_to_send() == [bytes.fromhex("aaaa00058b03e87030")]


def test_the_documented_answer_is_a_device() -> None:
    search = Search(0.0)

    device = search.receive_datagram(EXAMPLE, "127.0.0.1")

    assert device == FoundDevice("p11abc", "aabbccddeeff", "127.0.0.1", 6607, "127.0.0.1", 1)
    assert search.found == [device]


def test_a_device_is_where_its_datagram_came_from_whatever_it_announces() -> None:
    device = Search(0.0).receive_datagram(answer(address="203.0.113.9"), "192.0.2.66")

    assert device is not None
    assert (device.address, device.announced_address) == ("192.0.2.66", "203.0.113.9")


def test_the_same_answer_again_is_no_new_device() -> None:
    search = Search(0.0)

    first, second = search.receive_datagram(EXAMPLE, "127.0.0.1"), search.receive_datagram(EXAMPLE, "127.0.0.1")

    assert first is not None
    assert second is None
    assert len(search.found) == 1


def test_two_senders_that_claim_one_device_are_both_kept() -> None:
    search = Search(0.0)
    search.receive_datagram(EXAMPLE, "127.0.0.1")
    search.receive_datagram(EXAMPLE, "127.0.0.2")

    assert [device.address for device in search.found] == ["127.0.0.1", "127.0.0.2"]


@pytest.mark.parametrize(
    "datagram",
    [
        b"",
        b"\xaa\xaa",
        b"junk" * 20,
        EXAMPLE[:-1],
        EXAMPLE + b"\x00" * 600,
        frame.encode(1000, commands.DISCOVER),
        frame.encode(1000, commands.DISCOVER_ANSWER),
        frame.encode(1000, commands.PROVISION_ANSWER, lan.provision_answer("p11abc", "aabb", "0" * 16)),
        frame.encode(1000, commands.DISCOVER_ANSWER, b"\x00\x09"),
    ],
)
def test_a_datagram_that_is_no_answer_is_counted_and_ignored(datagram: bytes) -> None:
    search = Search(0.0)

    assert search.receive_datagram(datagram, "192.0.2.1") is None
    assert search.ignored_count == 1


def test_a_flood_of_devices_is_kept_to_a_limit() -> None:
    search = Search(0.0)
    for number in range(MAX_FOUND + 10):
        search.receive_datagram(answer(f"{number:012d}"), "192.0.2.1")

    assert len(search.found) == MAX_FOUND
