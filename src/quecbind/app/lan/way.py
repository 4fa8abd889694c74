"""The way to a device on the local network: searched for, then a session with its present auth key."""

from collections.abc import Callable
from typing import Protocol

from quecbind.app.keys import Keys
from quecbind.app.lan.link import open_link
from quecbind.app.lan.search import FoundDevice
from quecbind.app.path import LAN, Path
from quecbind.app.way import open_found

SEARCH_S = 2.0


class Network(Protocol):
    async def discover(
        self, seconds: float, enough: Callable[[FoundDevice], bool] | None = None
    ) -> list[FoundDevice]: ...


class LanWay:
    name = LAN

    def __init__(
        self, product_key: str, device_key: str, keys: Keys, network: Network, search_s: float = SEARCH_S
    ) -> None:
        self._device = product_key, device_key
        self._keys = keys
        self._network = network
        self._search_s = search_s

    async def open(self) -> Path:
        async def open_one(found: FoundDevice) -> Path:
            return await open_link(found.address, found.port, await self._keys.present())

        return await open_found(
            self._device,
            lambda enough: self._network.discover(self._search_s, enough),
            open_one,
            "the device did not answer on the local network",
        )
