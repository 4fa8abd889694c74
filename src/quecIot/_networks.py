"""Which IPv4 networks this machine is part of: discovery and pairing serve those, loopback included, and no other.

The pure half reads what Linux says in /proc/net; other systems give what they can. Where no netmask can be read, the
/24 around the own address towards the peer counts.
"""

from quecIot import _platform

TYPE_CHECKING = False
if TYPE_CHECKING:
    from quecIot._platform import Files

    Network = tuple[int, int]  # address and netmask

_ROUTE_UP = 1
LOOPBACK: "Network" = (0x7F000000, 0xFF000000)


def parse_address(text: str) -> "int | None":
    """Dotted IPv4 as a number."""
    parts = text.split(".")
    if len(parts) != 4:
        return None
    number = 0
    for part in parts:
        if not part or len(part) > 3 or not all(["0" <= letter <= "9" for letter in part]) or int(part) > 255:
            return None
        number = number << 8 | int(part)
    return number


def _hex_little_endian(text: str) -> int:
    raw = int(text, 16)
    return (raw & 255) << 24 | (raw >> 8 & 255) << 16 | (raw >> 16 & 255) << 8 | raw >> 24


def parse_routes(text: str) -> "list[Network]":
    """The directly connected networks of /proc/net/route: those without a gateway, the default route left out."""
    networks = []
    for line in text.split("\n")[1:]:
        words = line.split()
        if len(words) < 8:
            continue
        try:
            network, gateway, mask = [_hex_little_endian(words[at]) for at in (1, 2, 7)]
            flags = int(words[3], 16)
        except ValueError:
            continue
        if flags & _ROUTE_UP and not gateway and mask:
            networks.append((network, mask))
    return networks


def parse_own_addresses(text: str) -> "list[str]":
    """The machine's own addresses in /proc/net/fib_trie, in its order, each once."""
    own = []
    last = ""
    for line in text.split("\n"):
        words = line.split()
        if len(words) >= 2 and words[0] == "|--":
            last = words[1]
        elif words[:3] == ["/32", "host", "LOCAL"] and last not in own:
            own.append(last)
    return own


def is_within(address: str, networks: "list[Network]") -> bool:
    number = parse_address(address)
    if number is None:
        return False
    return any([number & mask == network & mask for network, mask in networks])


def broadcast_of(network: "Network") -> str:
    """The address that reaches everybody in the network."""
    number = network[0] | ~network[1] & 0xFFFFFFFF
    return "%d.%d.%d.%d" % (number >> 24, number >> 16 & 255, number >> 8 & 255, number & 255)


class Networks:
    def __init__(self, files: "Files") -> None:
        self._files = files

    def _text(self, path: str) -> str:
        try:
            return (self._files.read(path) or b"").decode()
        except (OSError, UnicodeError):
            return ""

    def is_own(self, peer: str) -> bool:
        """Whether the peer is in a network that this machine has an address in."""
        if is_within(peer, [LOOPBACK]):
            return True
        networks = parse_routes(self._text("/proc/net/route"))
        if not networks:
            own = _platform.address_towards(peer)
            number = None if own is None else parse_address(own)
            networks = [] if number is None else [(number, 0xFFFFFF00)]
        return is_within(peer, networks)

    def around(self, address: str) -> "list[Network]":
        """The own networks that this own address is in."""
        networks = [LOOPBACK] + parse_routes(self._text("/proc/net/route"))
        return [network for network in networks if is_within(address, [network])]

    def address_towards(self, peer: str) -> str:
        """The own address to tell that peer; 0.0.0.0 when unknown: it then goes by where the answer came from."""
        if is_within(peer, [LOOPBACK]):
            return "127.0.0.1"
        own = _platform.address_towards(peer)
        if own is not None:
            return own
        networks = [network for network in parse_routes(self._text("/proc/net/route")) if is_within(peer, [network])]
        for address in parse_own_addresses(self._text("/proc/net/fib_trie")):
            if is_within(address, networks):
                return address
        return "0.0.0.0"  # noqa: S104 - an answer, not an address to bind
