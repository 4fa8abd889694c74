"""The ways to a device for a user who is signed in: on the LAN, through the Developer Center, and others given.

The auth key comes from the Developer Center and is fetched anew once when the device does not take it: it is renewed
when the device is bound again or its owner asks.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Protocol

from quecbind.app import cloud
from quecbind.app.client import AppClient
from quecbind.app.device import Device, Way
from quecbind.app.errors import AppError, KeyRefusedError, PathLostError
from quecbind.app.lan.link import open_link
from quecbind.app.lan.network import LocalNetwork
from quecbind.app.lan.search import FoundDevice
from quecbind.app.link import Link
from quecbind.app.model import Model
from quecbind.app.path import CLOUD, LAN, Path

SEARCH_S = 2.0
AFTER_REFUSAL_S = 1.2  # a device does not look at a log-in sooner after a wrong one

Key = Callable[[], Awaitable[bytes]]


class Network(Protocol):
    async def discover(
        self, seconds: float, enough: Callable[[FoundDevice], bool] | None = None
    ) -> list[FoundDevice]: ...


class Keys:
    """The auth key of one device: fetched when it is first wanted, and again when it turned out to be an old one."""

    def __init__(self, fetch: Key) -> None:
        self._fetch = fetch
        self._key: bytes | None = None

    async def present(self) -> bytes:
        if self._key is None:
            self._key = await self._fetch()
        return self._key

    async def another(self) -> bytes | None:
        """A newer key than the one that was refused, None when there is none."""
        refused, self._key = self._key, None
        key = await self.present()
        return None if key == refused else key

    async def log_in(self, open_with: Callable[[bytes], Awaitable[Link]]) -> Link:
        """The link that one of the two keys opens."""
        try:
            return await open_with(await self.present())
        except KeyRefusedError:
            key = await self.another()
            if key is None:
                raise
            await asyncio.sleep(AFTER_REFUSAL_S)
            return await open_with(key)


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
                        return await self._keys.log_in(partial(open_link, found.address, found.port))
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
