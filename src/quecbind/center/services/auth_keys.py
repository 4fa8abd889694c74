"""The auth keys of devices: drawn at binding, changed when somebody leaves, and given to the device each time.

Whoever leaves must not be able to use the local network with the key they had: the next key replaces it, or, when
nobody is left, a key of zero bytes that opens nothing. A device that is away gets what it missed with its next log-in
(`access.session`), because the registry holds what it is to have.

A device without a network cannot be told: its key is the bind code it took last, until it takes another one.
"""

import base64

from quecbind.center.domain.device import AUTH_KEY_SIZE, NO_AUTH_KEY
from quecbind.center.domain.ids import Secret, Uid
from quecbind.center.services.links import Links
from quecbind.center.services.ports import Entropy
from quecbind.center.services.registry import Registry
from quecbind.center.services.rows import Tx
from quecbind.wire import commands, ttlv


class AuthKeys:
    """Draws auth keys and tells devices theirs."""

    def __init__(self, registry: Registry, links: Links, entropy: Entropy) -> None:
        self._registry = registry
        self._links = links
        self._entropy = entropy

    def draw(self) -> Secret:
        """A new one, Base64 of 16 bytes."""
        return Secret(base64.b64encode(self._entropy.octets(AUTH_KEY_SIZE)).decode())

    def tell(self, client_id: str, auth_key: Secret) -> None:
        """The device's auth key has just become `auth_key`: it learns that now if it is here, else when it comes."""
        entry = self._registry.entry(client_id)
        if entry is None:
            return
        entry.auth_key = auth_key
        sealed = entry.sealed_auth_key()
        if sealed is not None:
            payload = ttlv.encode([(commands.CONFIGURE_AUTH_KEY, sealed)])
            self._links.send(entry.client_id, commands.CONFIGURE, payload)


def renew(tx: Tx, device_id: int, fresh_key: Secret) -> Secret:
    """Another auth key for the device; gives the one it has from now on: still the same where it cannot be told."""
    device = tx.devices.by_id(device_id)
    product = None if device is None else tx.products.get(device.product_key)
    present = tx.devices.auth_key(device_id)
    if present is not None and product is not None and product.ble_only:
        return present
    tx.devices.set_auth_key(device_id, fresh_key)
    return fresh_key


def give_up(tx: Tx, device_id: int, uid: Uid, fresh_key: Secret) -> Secret | None:
    """End one user's ownership; gives the auth key the device has from now on, None when the user did not own it."""
    if not tx.owners.delete(device_id, uid):
        return None
    if tx.owners.of_device(device_id):
        return renew(tx, device_id, fresh_key)
    tx.devices.set_auth_key(device_id, NO_AUTH_KEY)
    return NO_AUTH_KEY
