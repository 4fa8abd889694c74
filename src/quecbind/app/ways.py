"""The ways to a device for a user who is signed in: on the LAN, through the Developer Center, and others given.

The auth key of a session comes from the Developer Center, which renews it when the device is bound again or its owner
asks.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from quecbind.app import cloud
from quecbind.app.client import AppClient
from quecbind.app.device import Device, Way
from quecbind.app.errors import AppError, PathLostError, UnreachableError
from quecbind.app.lan.link import open_link
from quecbind.app.lan.network import LocalNetwork
from quecbind.app.lan.search import FoundDevice
from quecbind.app.model import Model
from quecbind.app.path import CLOUD, LAN, Path

SEARCH_S = 2.0


class Network(Protocol):
    async def discover(
        self, seconds: float, enough: Callable[[FoundDevice], bool] | None = None
    ) -> list[FoundDevice]: ...


class Keys:
    """The auth key of one device, fetched whenever one is wanted: a wrong one would cost a wait at the device.

    While the Developer Center cannot be reached, the last one serves.
    """

    def __init__(self, fetch: Callable[[], Awaitable[bytes]]) -> None:
        self._fetch = fetch
        self._last: bytes | None = None

    async def present(self) -> bytes:
        try:
            self._last = await self._fetch()
        except UnreachableError:
            if self._last is None:
                raise
        return self._last


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


class CloudWay:
    """Through the Developer Center."""

    name = CLOUD

    def __init__(self, client: AppClient, product_key: str, device_key: str, model: Model) -> None:
        self._client = client
        self._keys = (product_key, device_key)
        self._model = model

    async def open(self) -> Path:
        return await cloud.open_path(self._client, *self._keys, self._model)


async def device_of(
    client: AppClient,
    product_key: str,
    device_key: str,
    network: Network | None = None,
    others: Callable[[Keys], Sequence[Way]] | None = None,
    only: Sequence[str] = (),
) -> Device:
    """The device as the user of `client` may use it.

    Args:
        client: somebody has signed in.
        network: where to look for it; None for the local network as it is.
        others: ways that go between LAN and Developer Center, such as one over BLE, from the keys of the device.
        only: the names of the ways that may be used; none for all.
    """
    keys = Keys(lambda: client.session_key(product_key, device_key))
    try:
        model = await client.thing_model(product_key)
    except AppError:
        model = Model()  # there is none, or it cannot be had now: numbers will do
    ways: list[Way] = [
        LanWay(product_key, device_key, keys, network or LocalNetwork()),
        *(others(keys) if others is not None else ()),
        CloudWay(client, product_key, device_key, model),
    ]
    return Device(product_key, device_key, [way for way in ways if not only or way.name in only], model)
