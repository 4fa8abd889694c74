"""Who this device is and whom it talks to: product, device key, secrets, server; every change is one store write.

What the script sets and what the Developer Center sets (0x00B4) are kept apart: a move to another server or product
lasts while the script keeps naming the place it moved from. A place the Developer Center named is on trial, in
memory alone, until it has worked once. A change of product key, product secret, device key or device secret renews
the bind secret and ends what made somebody the owner, and one of the first three without a new secret drops the old.
"""

import binascii

from quecbind.wire import auth_key, signing
from quecIot import _draw
from quecIot._options import DEFAULT_SERVER

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from quecIot._draw import Entropy
    from quecIot._store import Store

DEFAULTS: "dict[str, Any]" = {
    "product_key": "",
    "product_secret": "",
    "server": DEFAULT_SERVER,
    "device_key": "",  # empty: the default one
    "device_secret": "",
    "bind_secret": "",
    "bind_code": "",  # one that the Developer Center may hold open
    "reset": None,  # {product_key, device_key, key}: proof that a forgotten secret was held
    "auth_key": "",  # hex of 16 bytes; the Developer Center gives it while the device has an owner
    "ble_offers": [],  # [bind code, bind secret] of BLE-only bindings that nobody has proved yet
    "chip_accounts": [],  # hex of the auth keys of Apps, where it behaves as a BLE chip; the administrator's first
    "chip_pin": None,  # the passkey that came with it
    "moved": None,  # {from_server, from_product_key, server, product_key, product_secret}
    "lifetime": 120,
    "session_flag": False,
    "soft_version": "",
    "mcu_versions": [],
}

# what makes somebody the owner; gone with a reset, or when the device is another
OWNERS: "dict[str, Any]" = {"auth_key": "", "ble_offers": [], "chip_accounts": [], "chip_pin": None}

LATER = ("auth_key", "ble_offers", "chip_accounts", "chip_pin")  # a store written before there were these has none

_IDENTITY = ("product_key", "product_secret", "device_key", "device_secret")


class Profile:
    """
    Attributes:
        trial: a place to try, {server, product_key, product_secret, device_secret}, or None.
    """

    def __init__(self, store: "Store", default_device_key: str, server_override: str, entropy: "Entropy") -> None:
        self.store = store
        self.default_device_key = default_device_key
        self.trial: "dict[str, str] | None" = None
        self._server_override = server_override
        self._entropy = entropy
        self._secret_forgotten = False  # 0x00B4 field 9: not used any more, kept on disk until there is another

    def _identity(self, values: "dict[str, Any]") -> "dict[str, str]":
        """Server, keys and secrets that the values amount to."""
        identity = {name: values[name] for name in _IDENTITY}
        identity["device_key"] = identity["device_key"] or self.default_device_key
        identity["server"] = self._server_override or values["server"]
        moved = values["moved"]
        if (
            moved is not None
            and moved["from_server"] == identity["server"]
            and moved["from_product_key"] == identity["product_key"]
        ):
            for name in ("server", "product_key", "product_secret"):
                identity[name] = moved[name]
        return identity

    def _now(self, name: str) -> str:
        if self.trial is not None and name != "device_key":
            return self.trial[name]
        return self._identity(self.store.values)[name]

    @property
    def product_key(self) -> str:
        return self._now("product_key")

    @property
    def product_secret(self) -> str:
        return self._now("product_secret")

    @property
    def device_key(self) -> str:
        return self._now("device_key")

    @property
    def server(self) -> str:
        return self._now("server")

    def identity(self) -> "tuple[str, ...]":
        """What the Developer Center knows this device by, and which one it is; for comparison only."""
        return self.server, self.product_key, self.product_secret, self.device_key, self.device_secret

    @property
    def device_secret(self) -> str:
        """Empty while there is none, or none to be used."""
        return "" if self._secret_forgotten else self._now("device_secret")

    def setting(self, name: str) -> "Any":
        return self.store.values[name]

    def save(self, **changes: "Any") -> None:
        """One atomic write, unless nothing changes.

        Raises:
            StoreError: nothing was changed.
        """
        values = self.store.values
        new = dict(values)
        new.update(changes)
        old_identity = self._identity(values)
        identity = self._identity(new)
        changed = [name for name in _IDENTITY if identity[name] != old_identity[name]]
        if changed and "device_secret" not in changes:
            changes["device_secret"] = ""
        if changed and "auth_key" not in changes:
            changes.update(OWNERS)
        if changed and "bind_secret" not in changes:
            changes["bind_secret"] = self.new_bind_secret()
        if any([value != values[name] for name, value in changes.items()]):
            self.store.save(changes)

    def set_product(self, product_key: str, product_secret: str) -> None:
        values = self.store.values
        if (product_key, product_secret) != (values["product_key"], values["product_secret"]):
            self.save(product_key=product_key, product_secret=product_secret, moved=None, device_secret="")
            self.trial_failed()

    def set_server(self, server: str) -> None:
        is_another = server != self.store.values["server"]
        self.save(server=server)
        if is_another and not self._server_override:
            self.trial_failed()

    def set_device(self, device_key: str, device_secret: str) -> bool:
        """False for a combination that means nothing: see the table of setDkDs."""
        own = self.store.values["device_key"]
        if not device_key and (device_secret or not own):
            return False
        if device_key == self.default_device_key:
            return False
        if device_key and device_key == own and not device_secret:
            return True  # a script names it at every start; the secret it has got meanwhile is not to be lost
        self.save(device_key=device_key, device_secret=device_secret)
        self.trial_failed()
        return True

    def new_bind_secret(self) -> str:
        """One that no binding has had; nothing is changed."""
        return _draw.hex_digits(self._entropy, 16)

    def bind_secret(self) -> str:
        """The device's part of a binding; drawn when there is none."""
        if not self.store.values["bind_secret"]:
            self.save(bind_secret=self.new_bind_secret())
        return str(self.store.values["bind_secret"])

    @property
    def auth_key(self) -> "bytes | None":
        """What opens sessions on the local network: 16 bytes, None while the device has no owner that it knows of."""
        return binascii.unhexlify(self.store.values["auth_key"]) or None

    def take_auth_key(self, sealed: bytes) -> None:
        """What the Developer Center gives (0x00B4 field 12): another auth key, or that there is none any more.

        Raises:
            CipherError: it was not made for this device; nothing was changed.
            StoreError: nothing was changed.
        """
        given = auth_key.unseal(sealed, self.device_secret, self.device_key)
        self.save(auth_key="" if given == auth_key.NONE else binascii.hexlify(given).decode())

    def forget(self) -> None:
        """Device secret, bind code, bind secret and owners are gone, in one write; the proof of the secret stays."""
        identity = self._identity(self.store.values)
        changes: "dict[str, Any]" = {"device_secret": "", "bind_code": "", "bind_secret": ""}
        changes.update(OWNERS)
        if identity["device_secret"]:
            key = signing.reset_key(identity["device_secret"], identity["device_key"])
            proof: "dict[str, Any]" = {name: identity[name] for name in ("product_key", "device_key")}
            proof["key"] = binascii.hexlify(key).decode()
            self.save(reset=proof, **changes)
        else:
            self.save(**changes)
        self.trial = None
        self._secret_forgotten = False

    def reset_proof(self) -> "bytes | None":
        """The key that proves a reset to the Developer Center, while one is owed for this very identity.

        A secret that was set aside proves itself: the Developer Center asked for that reset.
        """
        secret = self._now("device_secret") if self.trial is None else ""
        if self._secret_forgotten and secret:
            return signing.reset_key(secret, self.device_key)
        if not self._owes_proof():
            return None
        key = binascii.unhexlify(self.store.values["reset"]["key"])
        secret = self.device_secret
        # a script may have given it the very secret again that was forgotten; the owner has to go all the same
        if secret and not signing.same(signing.reset_key(secret, self.device_key), key):
            return None
        return key

    def _owes_proof(self) -> bool:
        proof = self.store.values["reset"]
        return proof is not None and (proof["product_key"], proof["device_key"]) == (self.product_key, self.device_key)

    def _proved(self) -> "dict[str, Any]":
        """What a new secret ends: the reset of this identity, not that of one the script may go back to."""
        return {"reset": None} if self._owes_proof() else {}

    def reset_proved(self) -> None:
        """The Developer Center has let in whoever proved the reset with a secret in hand.

        Raises:
            StoreError: it is proved again next time.
        """
        self.save(**self._proved())

    def drop_secret(self) -> None:
        """The Developer Center calls it dead."""
        self.save(device_secret="")
        self._secret_forgotten = False

    def set_secret_aside(self) -> None:
        """Authenticate again, without losing the old secret before there is a new one. The auth key goes at once.

        Raises:
            StoreError: the auth key stays until there is a new secret.
        """
        self._secret_forgotten = True
        self.save(auth_key="")

    def take_secret(self, device_secret: str) -> None:
        """A new secret; it ends a reset and proves the place on trial, all in one write."""
        changes = self._trial_changes()
        changes.update(self._proved())
        self.save(device_secret=device_secret, **changes)
        self.trial = None
        self._secret_forgotten = False

    def replace_secret(self, device_secret: str) -> None:
        """Another secret for the next log-in, at this place."""
        self.save(device_secret=device_secret, **self._proved())
        self._secret_forgotten = False

    def trial_worked(self) -> None:
        if self.trial is not None:
            secret = self.device_secret
            self.save(device_secret=secret, **self._trial_changes())
            self.trial = None

    def trial_failed(self) -> None:
        """Back to the old place, with the old secret; or to where the script has it go meanwhile."""
        self.trial = None
        self._secret_forgotten = False

    def try_place(self, server: str, product_key: str, product_secret: str, device_secret: str) -> None:
        """Empty arguments leave things as they are."""
        names = ("server", "product_key", "product_secret", "device_secret")
        given = (server, product_key, product_secret, device_secret)
        trial = {}
        for name, value in zip(names, given):  # noqa: B905 - MicroPython's zip has no strict
            trial[name] = value or self._now(name)
        self.trial = trial

    def _trial_changes(self) -> "dict[str, Any]":
        if self.trial is None:
            return {}
        values = self.store.values
        moved = {name: self.trial[name] for name in ("server", "product_key", "product_secret")}
        moved["from_server"] = self._server_override or values["server"]
        moved["from_product_key"] = values["product_key"]
        return {"moved": moved}
