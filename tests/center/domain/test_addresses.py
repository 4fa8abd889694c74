"""Whose address counts: the peer's, unless a trusted proxy names another, and then only as far as trust reaches."""

import ipaddress

import pytest

from quecbind.center.domain.addresses import client_address, counted_address

TRUSTED = tuple(ipaddress.ip_network(text) for text in ("10.0.0.0/8", "fd00::/8"))


@pytest.mark.parametrize("header", [["1.2.3.4"], ["10.0.0.9"], [""], ["unknown"]])
def test_a_peer_that_is_not_trusted_names_nobody(header: list[str]) -> None:
    assert client_address("203.0.113.5", header, [f"for={header[0]}"], TRUSTED) == "203.0.113.5"
    assert client_address("203.0.113.5", header, [], ()) == "203.0.113.5"
    assert client_address("10.0.0.1", header, [], ()) == "10.0.0.1"


@pytest.mark.parametrize(
    ("x_forwarded_for", "address"),
    [
        (["203.0.113.5"], "203.0.113.5"),
        # What the client itself sent stands to the left of what the proxy saw.
        (["1.1.1.1, 203.0.113.5"], "203.0.113.5"),
        (["1.1.1.1", "203.0.113.5"], "203.0.113.5"),
        (["1.1.1.1, 203.0.113.5, 10.0.0.7"], "203.0.113.5"),
        (["10.0.0.8, 10.0.0.7"], "10.0.0.8"),
        (["203.0.113.5:4711"], "203.0.113.5"),
        (["[2001:db8::1]:4711"], "2001:db8::1"),
        (["2001:db8::1"], "2001:db8::1"),
        (["::ffff:203.0.113.5"], "203.0.113.5"),
        # A forged entry that looks trusted ends the walk one hop earlier than the forger would like.
        (["10.6.6.6, 203.0.113.5"], "203.0.113.5"),
        (["203.0.113.5, unknown"], "10.0.0.1"),
        (["203.0.113.5, unknown, 10.0.0.7"], "10.0.0.7"),
        (["203.0.113.5,"], "10.0.0.1"),
        ([""], "10.0.0.1"),
        (["1.2.3.4.5"], "10.0.0.1"),
        (["0x7f.1"], "10.0.0.1"),
        ([], "10.0.0.1"),
    ],
)
def test_a_trusted_peer_names_the_rightmost_hop_that_is_not_trusted(x_forwarded_for: list[str], address: str) -> None:
    assert client_address("10.0.0.1", x_forwarded_for, [], TRUSTED) == address


@pytest.mark.parametrize(
    ("forwarded", "address"),
    [
        (["for=203.0.113.5"], "203.0.113.5"),
        (["For=1.1.1.1, for=203.0.113.5;proto=https;by=10.0.0.1"], "203.0.113.5"),
        (['for="[2001:db8::1]:4711"'], "2001:db8::1"),
        (['for="203.0.113.5:80", for=10.0.0.7'], "203.0.113.5"),
        (["for=_hidden"], "10.0.0.1"),
        (["for=unknown"], "10.0.0.1"),
        (["proto=https"], "10.0.0.1"),
        (["for=1.1.1.1;for=203.0.113.5"], "10.0.0.1"),
        (['for="203.0.113.5, for=1.1.1.1'], "1.1.1.1"),
    ],
)
def test_forwarded_is_read_alike(forwarded: list[str], address: str) -> None:
    assert client_address("10.0.0.1", [], forwarded, TRUSTED) == address


def test_headers_that_disagree_count_for_the_proxy() -> None:
    assert client_address("10.0.0.1", ["203.0.113.5"], ["for=1.1.1.1"], TRUSTED) == "10.0.0.1"
    assert client_address("10.0.0.1", ["203.0.113.5"], ["for=203.0.113.5"], TRUSTED) == "203.0.113.5"


def test_a_proxy_on_ipv6_is_known_by_its_network() -> None:
    assert client_address("fd00::1", ["203.0.113.5"], [], TRUSTED) == "203.0.113.5"
    assert client_address("::ffff:10.0.0.1", ["203.0.113.5"], [], TRUSTED) == "203.0.113.5"


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("203.0.113.5", "203.0.113.5"),
        ("::ffff:203.0.113.5", "203.0.113.5"),
        ("2001:db8:1:2:aaaa::1", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:bbbb::2", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
    ],
)
def test_a_whole_ipv6_network_is_one_who_tries(address: str, name: str) -> None:
    assert counted_address(address) == name
