"""The ways to a device for a user who is signed in: on the LAN, through the Developer Center, and others given."""

from collections.abc import Callable, Sequence

from quecbind.app import cloud
from quecbind.app.client import AppClient
from quecbind.app.device import Device, Way
from quecbind.app.errors import AppError
from quecbind.app.keys import Keys
from quecbind.app.lan.network import LocalNetwork
from quecbind.app.lan.way import LanWay, Network
from quecbind.app.model import Model
from quecbind.app.path import CLOUD, Path

__all__ = ("CloudWay", "Keys", "LanWay", "device_of")


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
