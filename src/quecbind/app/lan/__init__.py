"""Devices on the local network: `discover` finds them, `pair` asks one for its bind code."""

from quecbind.app.lan.network import BROADCAST, LocalNetwork, discover, pair
from quecbind.app.lan.search import FoundDevice

__all__ = ("BROADCAST", "FoundDevice", "LocalNetwork", "discover", "pair")
