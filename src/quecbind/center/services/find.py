"""Finds a device by its two keys. A client id cannot be split without them, so the product is compared too.

What a device gets that is not there must cost the same as what one gets that is somebody else's: nobody skips a step
because of it, `row_of` gives the row of no device instead.
"""

from quecbind.center.domain.device import Device
from quecbind.center.domain.ids import ClientId, DeviceKey, ProductKey, Uid, client_id, is_device_key, is_product_key
from quecbind.center.services.records import OwnedRow
from quecbind.center.services.rows import Tx


def client_id_of(product_key: str, device_key: str) -> ClientId | None:
    """The client id of a device with these keys; None when they cannot be keys."""
    if not is_product_key(product_key) or not is_device_key(device_key):
        return None
    return client_id(ProductKey(product_key), DeviceKey(device_key))


def find_device(tx: Tx, product_key: str, device_key: str) -> Device | None:
    """The device, None when there is none."""
    name = client_id_of(product_key, device_key)
    device = None if name is None else tx.devices.get(name)
    return device if device is not None and device.product_key == product_key else None


def held_by(tx: Tx, uid: Uid, product_key: str, device_key: str, now_ms: int) -> OwnedRow | None:
    """The device with these keys and the user's hold on it, as owner or by a share; None when there is none."""
    name = client_id_of(product_key, device_key)
    row = None if name is None else tx.owners.held(uid, name, now_ms)
    return row if row is not None and row.owner.product_key == product_key else None


def row_of(device: Device | None) -> int:
    """The row of a device, or one that no device has: what is asked or done there finds nothing."""
    return 0 if device is None else device.id
