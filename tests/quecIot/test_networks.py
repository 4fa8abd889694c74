"""Own networks, read from what Linux says."""

from __future__ import annotations

import pytest

from quecIot import _platform
from quecIot._networks import (
    LOOPBACK,
    Networks,
    broadcast_of,
    is_within,
    parse_address,
    parse_own_addresses,
    parse_routes,
)
from tests.quecIot.bench import MemoryFiles

ROUTES = """\
Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT
eth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0
eth0\t000200C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0
wlan0\t0000A8C0\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0
vpn0\t0000000A\t010200C0\t0003\t0\t0\t0\t000000FF\t0\t0\t0
eth1\t006433C6\t00000000\t0000\t0\t0\t0\t00FFFFFF\t0\t0\t0
ppp0\t00000000\t00000000\t0001\t0\t0\t0\t00000000\t0\t0\t0
broken
eth2\tzz\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0
"""
TRIE = """\
Main:
     +-- 192.0.2.0/24 2 0 2
        +-- 192.0.2.0/30 2 0 2
           |-- 192.0.2.0
              /24 link UNICAST
           |-- 192.0.2.2
              /32 host LOCAL
        |-- 192.0.2.255
           /32 link BROADCAST
           |-- 127.0.0.1
              /32 host LOCAL
Local:
           |-- 192.0.2.2
              /32 host LOCAL
"""


@pytest.fixture
def networks(monkeypatch: pytest.MonkeyPatch) -> Networks:
    monkeypatch.setattr(_platform, "address_towards", lambda peer: None)
    files = MemoryFiles()
    files.content = {"/proc/net/route": ROUTES.encode(), "/proc/net/fib_trie": TRIE.encode()}
    return Networks(files)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("0.0.0.0", 0),
        ("192.0.2.1", 0xC0000201),
        ("255.255.255.255", 0xFFFFFFFF),
        ("256.0.0.1", None),
        ("1.2.3", None),
        ("1.2.3.4.5", None),
        ("1.2.3.", None),
        ("1.2.3.+4", None),
        ("::1", None),
    ],
)
def test_address(text: str, number: int | None) -> None:
    assert parse_address(text) == number


def test_routes_without_gateway_are_own_networks() -> None:
    assert parse_routes(ROUTES) == [(0xC0000200, 0xFFFFFF00), (0xC0A80000, 0xFFFF0000)]


def test_own_addresses() -> None:
    assert parse_own_addresses(TRIE) == ["192.0.2.2", "127.0.0.1"]


@pytest.mark.parametrize(
    ("peer", "own"),
    [
        ("127.0.0.1", True),
        ("127.255.255.254", True),
        ("192.0.2.77", True),
        ("192.168.200.1", True),
        ("192.0.3.1", False),
        ("10.0.0.1", False),
        ("198.51.100.1", False),
        ("8.8.8.8", False),
        ("fe80::1", False),
        ("", False),
    ],
)
def test_who_is_in_an_own_network(networks: Networks, peer: str, own: bool) -> None:
    assert networks.is_own(peer) is own


def test_without_a_netmask_the_24_around_the_own_address_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_platform, "address_towards", lambda peer: "203.0.113.5")
    networks = Networks(MemoryFiles())  # type: ignore[arg-type]

    assert networks.is_own("203.0.113.200")
    assert not networks.is_own("203.0.114.1")
    assert networks.is_own("127.0.0.1")


def test_without_anything_loopback_counts_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_platform, "address_towards", lambda peer: None)
    networks = Networks(MemoryFiles())  # type: ignore[arg-type]

    assert networks.is_own("127.0.0.1")
    assert not networks.is_own("192.0.2.1")
    assert networks.address_towards("192.0.2.1") == "0.0.0.0"


def test_the_address_to_tell_is_the_one_in_the_peers_network(networks: Networks) -> None:
    assert networks.address_towards("192.0.2.77") == "192.0.2.2"
    assert networks.address_towards("127.0.0.9") == "127.0.0.1"
    assert networks.address_towards("192.168.1.1") == "0.0.0.0"


def test_within() -> None:
    assert is_within("127.1.2.3", [LOOPBACK])
    assert not is_within("128.0.0.1", [LOOPBACK])
    assert not is_within("128.0.0.1", [])


@pytest.mark.parametrize(
    ("address", "broadcasts"),
    [
        ("192.0.2.7", ["192.0.2.255"]),
        ("192.168.3.4", ["192.168.255.255"]),
        ("127.0.1.9", ["127.255.255.255"]),
        ("8.8.8.8", []),
        ("junk", []),
    ],
)
def test_an_address_hears_what_is_sent_to_its_network(networks: Networks, address: str, broadcasts: list[str]) -> None:
    assert [broadcast_of(network) for network in networks.around(address)] == broadcasts
