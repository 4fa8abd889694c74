"""Binding a device that has no network: the App brings a bind code it cannot read, and takes a bind secret back.

The story: in its bind window the device gives a random (0x7033); the Developer Center encrypts a bind code for it with
the product secret; the App brings that (0x7016), and the device answers with a new bind secret, and the one it had,
encrypted alike. What the Developer Center makes of it the device is never told. So a code is an offer until somebody
logs in with it: only whoever was bound gets it from the Developer Center. Then it is the auth key, its bind secret is
the device's, the other offers are void and the window is closed. Until then the owner's key is what it was.

To unbind, the owner's App brings the bind secret, encrypted by the Developer Center (0x7063): the device forgets key,
secret and offers. What was overheard is void then, for the secret is another.

A random serves once, whoever cannot encrypt under the product secret offers nothing. No I/O, no clock.
"""

import binascii

from quecbind.wire import ble, signing
from quecbind.wire.errors import WireError
from quecIot._options import is_bind_code

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from quecIot._profile import Profile

MAX_OFFERS = 4  # of one window; the oldest is void when there is another


class BleBinding:
    def __init__(self, profile: "Profile") -> None:
        self._profile = profile

    def authenticate(self, payload: bytes, random: str, is_bindable: bool) -> bytes:
        """The answer to an encrypted bind code for `random`; "" where that has served already.

        Raises:
            StoreError: nothing was changed.
        """
        profile = self._profile
        code = self._code(payload, random) if is_bindable and random else ""
        if not code:
            return ble.authenticated(ble.Authenticated(ble.REFUSED))
        offers = self._offers()
        secret = profile.new_bind_secret()
        kept = [offer for offer in offers if offer[0] != code]
        profile.save(ble_offers=kept[1 - MAX_OFFERS :] + [[code, secret]])
        old = ""
        if profile.auth_key is not None:
            old = profile.setting("bind_secret")
        elif offers:
            old = offers[-1][1]  # the Developer Center may have taken it
        answer = ble.Authenticated(
            ble.ACCEPTED, self._encrypted(secret, random), self._encrypted(old, random) if old else None
        )
        return ble.authenticated(answer)

    def release(self, payload: bytes) -> bytes:
        """The answer to credentials of a reset; nobody but the Developer Center can make them for this bind secret.

        Raises:
            StoreError: nothing was changed.
        """
        profile = self._profile
        try:
            credentials, random = ble.parse_unbind(payload)
            given = ble.decrypt_bind_secret(credentials, profile.product_secret, random)
        except WireError:
            return ble.unbound(ble.REFUSED)
        wanted = (profile.product_key, profile.device_key, profile.setting("bind_secret"))
        if profile.auth_key is None or not signing.same(",".join(given), ",".join(wanted)):
            return ble.unbound(ble.REFUSED)
        profile.save(auth_key="", bind_secret=profile.new_bind_secret(), ble_offers=[])
        return ble.unbound(ble.ACCEPTED)

    def _code(self, payload: bytes, random: str) -> str:
        try:
            code = ble.decrypt_bind_code(ble.parse_authenticate(payload), self._profile.product_secret, random)
        except WireError:
            return ""
        return code if is_bind_code(code) else ""

    def _encrypted(self, secret: str, random: str) -> str:
        profile = self._profile
        return ble.encrypt_bind_secret(profile.product_key, profile.device_key, secret, profile.product_secret, random)

    def _offers(self) -> "list[Any]":
        return list(self._profile.setting("ble_offers"))

    def keys(self) -> "list[bytes]":
        """What a log-in may prove beside the auth key."""
        return [offer[0].encode() for offer in self._offers()]

    def accept(self, key: bytes) -> None:
        """Somebody has logged in with a code that was offered: it is the auth key from now on.

        Raises:
            StoreError: nothing was changed.
        """
        for code, secret in self._offers():
            if code.encode() == key:
                self._profile.save(auth_key=binascii.hexlify(key).decode(), bind_secret=secret, ble_offers=[])
