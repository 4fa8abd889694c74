"""Who may use a device that behaves as a BLE chip: auth keys, the administrator's first, and the passkey it chose.

Every change is one store write: it is done or, when that fails, nothing is. Who may ask for one is `_chip`'s to say.
"""

import binascii

from quecbind.wire import signing

TYPE_CHECKING = False
if TYPE_CHECKING:
    from quecIot._profile import Profile

MAX_ACCOUNTS = 16


class Accounts:
    def __init__(self, profile: "Profile") -> None:
        self._profile = profile

    def keys(self) -> "list[bytes]":
        """All of them; the first is the administrator's. Empty while the device is unbound."""
        return [binascii.unhexlify(key) for key in self._profile.setting("chip_accounts")]

    def knows(self, auth_key: bytes) -> bool:
        """Whether it is one of them, in a time that does not tell which."""
        return True in [signing.same(key, auth_key) for key in self.keys()]

    def is_administrator(self, auth_key: bytes) -> bool:
        keys = self.keys()
        return bool(keys) and signing.same(keys[0], auth_key)

    def has_pin(self) -> bool:
        return self._profile.setting("chip_pin") is not None

    def begin(self, auth_key: bytes, pin: "int | None") -> None:
        """The first account there is, and so the administrator's.

        Raises:
            StoreError: nothing was changed.
        """
        self._profile.save(chip_accounts=[_hex(auth_key)], chip_pin=pin)

    def grant(self, auth_key: bytes) -> bool:
        """False when there are as many as can be.

        Raises:
            StoreError: nothing was changed.
        """
        keys = self.keys()
        if self.knows(auth_key):
            return True
        if len(keys) >= MAX_ACCOUNTS:
            return False
        self._profile.save(chip_accounts=[_hex(key) for key in keys + [auth_key]])
        return True

    def revoke(self, auth_key: bytes) -> None:
        """One that is none of them is revoked already. With the administrator's go all, and the passkey.

        Raises:
            StoreError: nothing was changed.
        """
        if self.is_administrator(auth_key):
            self._profile.save(chip_accounts=[], chip_pin=None)
        else:
            self._profile.save(chip_accounts=[_hex(key) for key in self.keys() if key != auth_key])


def _hex(key: bytes) -> str:
    return binascii.hexlify(key).decode()
