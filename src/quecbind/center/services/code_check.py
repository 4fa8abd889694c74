"""Checks a bind code for an enterprise's own server (`verifyBindingCode`), without binding anybody.

The window stays as it is, whatever comes of it. Wrong codes are guesses like those of users and count against the
device. They count for nobody else: the server speaks for many users, and one of them must not shut out the others.
"""

from quecbind.center.domain import binding, refusal
from quecbind.center.domain.moment import to_ms
from quecbind.center.domain.refusal import Refused
from quecbind.center.services.becoming_owner import given_device_key, given_product_key, raise_refused, window_of
from quecbind.center.services.desk import entry
from quecbind.center.services.errors import Rejected
from quecbind.center.services.find import client_id_of, find_device
from quecbind.center.services.guesses import Guess, Guesses
from quecbind.center.services.links import Links
from quecbind.center.services.ports import Clock, Storage
from quecbind.center.services.rows import Tx
from quecbind.center.services.views import Operator
from quecbind.wire import commands, ttlv


class CodeCheck:
    """Says whether a bind code is the one the device has reported."""

    def __init__(self, storage: Storage, links: Links, guesses: Guesses, clock: Clock) -> None:
        self._storage = storage
        self._links = links
        self._guesses = guesses
        self._clock = clock

    async def verify(
        self, by: Operator, product_key: str | None, device_key: str | None, code: str | None, *, tells_device: bool
    ) -> None:
        """Return when the device has reported this code and its window is open.

        Args:
            by: who asks, with which access key.
            product_key: of the product.
            device_key: of the device.
            code: the bind code.
            tells_device: whether the device, if it is here, gets word of a code that was compared.

        Raises:
            Rejected: 5460 no window is open, or there is no such device; 5462 another code; 8429 too many of those.
        """
        product, key = given_product_key(product_key), given_device_key(device_key)
        raise_refused(binding.check_code(code))
        mac = self._storage.mac("bind code", product, key, code or "")
        target = client_id_of(product, key)
        if target is None:
            raise Rejected(refusal.BIND_CODE_NOT_REPORTED)

        def work(tx: Tx) -> Refused | None:
            now = self._clock.now()
            guess = Guess(
                user=f"access key {by.name}",
                address=by.peer,
                product_key=product,
                target=target,
                audit=lambda result: entry(
                    by, "bind_code.refused", to_ms(now), result, product_key=product, device_key=key
                ),
            )
            refused = binding.match_code(window_of(find_device(tx, product, key)), mac, to_ms(now))
            if refused is not None and refused.code == refusal.BIND_CODE_DIFFERS:
                return self._guesses.wrong_of_many(tx, guess, refused, now)
            return refused

        def applied(refused: Refused | None) -> None:
            if tells_device and (refused is None or refused.code == refusal.BIND_CODE_DIFFERS):
                payload = ttlv.encode([(commands.CONFIGURE_CODE_CHECKED, int(refused is None))])
                self._links.send(target, commands.CONFIGURE, payload)

        refused = await self._storage.transact(work, applied)
        if refused is not None and refused.code == refusal.BIND_CODE_EXPIRED:
            # This call does not know 5461 (app-api.md B4): a code that is over is not on file.
            refused = Refused(refusal.BIND_CODE_NOT_REPORTED)
        raise_refused(refused)
