"""Products, their thing models and devices in memory, so that a log-in costs no SELECT.

Filled once at start and kept in step by whoever commits a change, on the event loop, right after the commit. It
decides nothing and never asks storage: what is not here does not exist for a log-in.
"""

import base64
from collections.abc import Iterable, Iterator, Mapping

from quecbind.center.domain.device import Device, DeviceState
from quecbind.center.domain.ids import ClientId, DeviceKey, ProductKey
from quecbind.center.domain.product import Product
from quecbind.center.domain.rates import Meter
from quecbind.center.domain.thing_model import ThingModel
from quecbind.center.services.repeats import Repeat
from quecbind.wire import auth_key

RANDOM_DIGEST_SIZE = 8
REMEMBERED_RANDOMS = 64


class DeviceEntry:
    """One device as the access layer sees it; the same object for as long as the device exists.

    Attributes:
        product: the product as it is now.
        device_secret: the present secret, in clear; never logged, not in the repr.
        state: `issued`, `active` or `disabled`.
        epoch: of the device; `generation`: of its secret.
        meter: how much it has sent lately; None before its first message.
        auth_key: what the device is to hold for LAN and BLE sessions; None when there is nothing to tell.
        owes_reset: it is to start over; its secret is good for learning that and for nothing else.
        recent_randoms: 8-byte digests of the last 64 log-in nonces, oldest first.
    """

    __slots__ = (
        "address",
        "auth_key",
        "client_id",
        "connection_count",
        "device_key",
        "device_secret",
        "epoch",
        "generation",
        "id",
        "info_digest",
        "last_bind_report",
        "last_offline_at",
        "last_online_at",
        "last_report",
        "meter",
        "owes_reset",
        "product",
        "recent_randoms",
        "session_count",
        "state",
        "status_digest",
    )

    def __init__(self, product: Product, device: Device) -> None:
        self.id = device.id
        self.client_id: ClientId = device.client_id
        self.device_key: DeviceKey = device.device_key
        self.product = product
        self.device_secret = device.device_secret.reveal()
        self.state: DeviceState = device.state
        self.epoch = device.epoch
        self.generation = device.generation
        self.auth_key = device.auth_key
        self.owes_reset = device.owes_reset
        self.recent_randoms = device.recent_randoms
        self.session_count = 0
        self.address = ""
        self.last_online_at: int | None = None
        self.last_offline_at: int | None = None
        self.connection_count = 0
        self.status_digest: bytes | None = None
        self.info_digest: bytes | None = None
        self.meter: Meter | None = None
        self.last_bind_report: Repeat | None = None
        self.last_report: Repeat | None = None

    def __repr__(self) -> str:
        return f"<DeviceEntry {self.client_id} {self.state} epoch={self.epoch}>"

    @property
    def product_key(self) -> ProductKey:
        """The product key; with the device key it names the device."""
        return self.product.product_key

    @property
    def online(self) -> bool:
        """Whether a session of it is open. At a take-over there are two for a moment."""
        return self.session_count > 0

    def sealed_auth_key(self) -> bytes | None:
        """The auth key as the device is given it (0x00B4 field 12); None when there is nothing to tell."""
        if self.auth_key is None:
            return None
        return auth_key.seal(base64.b64decode(self.auth_key.reveal()), self.device_secret, self.device_key)

    def take(self, device: Device) -> None:
        """Become what was just committed."""
        self.device_secret = device.device_secret.reveal()
        self.state = device.state
        if device.epoch != self.epoch:
            # What it said in the earlier epoch is no longer on file: what it says next is news.
            self.status_digest = self.info_digest = None
        self.epoch = device.epoch
        self.generation = device.generation
        self.auth_key = device.auth_key
        self.owes_reset = device.owes_reset

    def saw_random(self, digest: bytes) -> bool:
        """Remember a log-in nonce; True when it is one of the last 64."""
        known = self.recent_randoms
        place = known.find(digest)
        while place >= 0:
            if place % RANDOM_DIGEST_SIZE == 0:
                return True
            place = known.find(digest, place + 1)
        self.recent_randoms = (known + digest)[-RANDOM_DIGEST_SIZE * REMEMBERED_RANDOMS :]
        return False


class Registry:
    """Every product by product key, every device by client id."""

    def __init__(self) -> None:
        self._product_by_key: dict[str, Product] = {}
        self._model_by_key: dict[str, ThingModel] = {}
        self._entry_by_client_id: dict[str, DeviceEntry] = {}

    def __len__(self) -> int:
        return len(self._entry_by_client_id)

    def entry(self, client_id: str) -> DeviceEntry | None:
        """The device with this client id, or None."""
        return self._entry_by_client_id.get(client_id)

    def products(self) -> Iterator[Product]:
        """All products, in the order they came."""
        return iter(self._product_by_key.values())

    def product(self, product_key: str) -> Product | None:
        """The product with this key, or None."""
        return self._product_by_key.get(product_key)

    def model(self, product_key: str) -> ThingModel | None:
        """What the product's devices can tell, take and do; None when that is not known."""
        return self._model_by_key.get(product_key)

    def load(
        self, products: Iterable[Product], devices: Iterable[Device], models: Mapping[ProductKey, ThingModel]
    ) -> None:
        """Fill the registry at start."""
        self._model_by_key.update(models.items())
        for product in products:
            self._product_by_key[product.product_key] = product
        for device in devices:
            self._entry_by_client_id[device.client_id] = DeviceEntry(self._product_by_key[device.product_key], device)

    def put_product(self, product: Product) -> None:
        """Know a new product, or what an operator changed about one."""
        is_new = product.product_key not in self._product_by_key
        self._product_by_key[product.product_key] = product
        if is_new:
            return
        for entry in self._entry_by_client_id.values():
            if entry.product.product_key == product.product_key:
                entry.product = product

    def drop_product(self, product_key: ProductKey) -> None:
        """Forget a product, which has no devices."""
        self._product_by_key.pop(product_key, None)
        self._model_by_key.pop(product_key, None)

    def put_model(self, product_key: ProductKey, model: ThingModel | None) -> None:
        """Know a product's thing model, or that it has none any more."""
        if model is None:
            self._model_by_key.pop(product_key, None)
        else:
            self._model_by_key[product_key] = model

    def put(self, device: Device) -> DeviceEntry:
        """Know a new device, or the new state of a known one; its entry stays the same object."""
        entry = self._entry_by_client_id.get(device.client_id)
        if entry is None:
            entry = DeviceEntry(self._product_by_key[device.product_key], device)
            self._entry_by_client_id[device.client_id] = entry
        else:
            entry.take(device)
        return entry

    def drop(self, client_id: ClientId) -> DeviceEntry | None:
        """Forget a device; its entry, if it was known, is given back disabled, so that nothing more is served by it."""
        entry = self._entry_by_client_id.pop(client_id, None)
        if entry is not None:
            entry.state = "disabled"
        return entry
