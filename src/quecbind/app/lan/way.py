"""The way to a device on the local network: searched for, then a session with its present auth key."""

from collections.abc import Callable
from typing import Protocol

from quecbind.app.errors import AppError, PathLostError
from quecbind.app.keys import Keys
from quecbind.app.lan.link import open_link
from quecbind.app.lan.search import FoundDevice
from quecbind.app.path import LAN, Path

SEARCH_S = 2.0


class Network(Protocol):
    async def discover(
        self, seconds: float, enough: Callable[[FoundDevice], bool] | None = None
    ) -> list[FoundDevice]: ...


class LanWay:
    """Searches the device on the local network and opens a session with it.

    Anybody can claim to be the device. Each that does is tried; none but the device can answer what it is asked then.
    """

    name = LAN

    def __init__(
        self, product_key: str, device_key: str, keys: Keys, network: Network, search_s: float = SEARCH_S
    ) -> None:
        self._product_key = product_key
        self._device_key = device_key
        self._keys = keys
        self._network = network
        self._search_s = search_s

    async def open(self) -> Path:
        failure: AppError = PathLostError("the device did not answer on the local network")
        tried: set[FoundDevice] = set()
        # The first answer will do; when it does not, whoever else answers in the whole time may be the device.
        for enough in (self._is_it, None):
            for found in await self._network.discover(self._search_s, enough):
                if self._is_it(found) and found not in tried:
                    tried.add(found)
                    try:
                        return await open_link(found.address, found.port, await self._keys.present())
                    except AppError as error:
                        failure = error
            if not tried:
                break
        raise failure

    def _is_it(self, found: FoundDevice) -> bool:
        return (found.product_key, found.device_key) == (self._product_key, self._device_key)
