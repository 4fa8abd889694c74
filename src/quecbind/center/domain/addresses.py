"""Whose address a request counts for: the socket's peer, or, behind a proxy that is trusted, what that proxy says.

A forwarding header is a claim of whoever sent it. Only a proxy that an operator has named may make one, and of its list
only the part that trusted proxies wrote counts: from the right, up to the first hop that is not trusted. What cannot be
read, and two headers that disagree, count for the proxy itself: whoever forges them shares one count with all forgers.
"""

import functools
import ipaddress
import re
from collections.abc import Iterable, Sequence
from typing import TypeAlias

Network: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network
Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address

# One customer of an IPv6 provider has at least this much, and would otherwise have as many tries as addresses.
IPV6_PREFIX = 64

_PORT = re.compile(r"(?:\[(?P<six>[^\[\]]*)\]|(?P<four>[0-9.]+))(?::[0-9]{1,5})?")
_FOR = re.compile(r"(?i:for)=(?:\"([^\"\\]*)\"|([^\s\",;=]+))")


def client_address(
    peer: str, x_forwarded_for: Sequence[str], forwarded: Sequence[str], trusted: Sequence[Network]
) -> str:
    """The address a request counts for.

    Args:
        peer: the other end of the socket.
        x_forwarded_for: values of all headers of that name, in order.
        forwarded: values of all `Forwarded` headers (RFC 7239), in order.
        trusted: where proxies may be that are believed.
    """
    proxy = _parsed(peer)
    if proxy is None or not _is_within(proxy, trusted):
        return peer
    found = {
        _rightmost_untrusted(proxy, hops, trusted)
        for hops in (_split(x_forwarded_for), _fors(forwarded))
        if hops is not None
    }
    return str(found.pop() if len(found) == 1 else proxy)


def is_among(peer: str, networks: Iterable[Network]) -> bool:
    """Whether an address is in one of the networks."""
    address = _parsed(peer)
    return address is not None and _is_within(address, networks)


@functools.lru_cache(maxsize=65_536)
def counted_address(address: str) -> str:
    """Under which name the tries of an address are counted: an IPv4 address as it is, an IPv6 one as its /64."""
    parsed = _parsed(address)
    if parsed is None or parsed.version == 4:
        return address if parsed is None else str(parsed)
    return str(ipaddress.ip_network((parsed, IPV6_PREFIX), strict=False))


def _rightmost_untrusted(proxy: Address, hops: Iterable[str], trusted: Sequence[Network]) -> Address:
    found = proxy
    for hop in reversed(list(hops)):
        address = _parsed(_without_port(hop))
        if address is None:
            # Whoever wrote this is trusted and does not know, or does not say: it counts for the last one who did.
            return found
        found = address
        if not _is_within(address, trusted):
            return found
    return found


def _split(values: Sequence[str]) -> list[str] | None:
    return [hop.strip() for value in values for hop in value.split(",")] if values else None


def _fors(values: Sequence[str]) -> list[str] | None:
    if not values:
        return None
    hops = []
    for element in ",".join(values).split(","):
        found = [match for pair in element.split(";") if (match := _FOR.fullmatch(pair.strip()))]
        # No `for`, or two of them, say nothing about who it was.
        hops.append((found[0][1] or found[0][2] or "") if len(found) == 1 else "")
    return hops


def _without_port(hop: str) -> str:
    match = _PORT.fullmatch(hop)
    return hop if match is None else match["six"] or match["four"] or ""


def _parsed(text: str) -> Address | None:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address):
        if address.scope_id is not None:
            address = ipaddress.IPv6Address(int(address))
        return address.ipv4_mapped or address
    return address


def _is_within(address: Address, networks: Iterable[Network]) -> bool:
    return any(address in network for network in networks)
