"""The ways to come to own a device. The rules are in `domain.binding`; here they meet the data.

The story of a bind: everything is looked up, judged and written in one transaction, in the writer's thread. So any
number of users racing with the right code are judged one after the other, and the window is gone after the first.
Wrong codes are counted there too: a thousand guesses at once count as a thousand.

A device that does not exist is answered like one without a bind code.
"""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from quecbind.center.domain import binding, refusal
from quecbind.center.domain.binding import AlreadyOwner, Bound
from quecbind.center.domain.device import Device
from quecbind.center.domain.ids import DeviceKey, ProductKey, Uid, client_id, is_device_key, is_product_key
from quecbind.center.domain.limits import Counted
from quecbind.center.domain.moment import to_ms
from quecbind.center.domain.product import NUMBER_BY_BIND_MODE, BindMode, Product
from quecbind.center.domain.refusal import Refused
from quecbind.center.services.auth_keys import AuthKeys
from quecbind.center.services.becoming_owner import (
    BY_DEVICE_KEY,
    BY_SERIAL,
    BY_WIFI,
    BindRequest,
    Outcome,
    bind_request,
    carry_out,
    check_permission,
    checked_request,
    given_product_key,
    guess_at,
    raise_refused,
    uids_in,
    window_of,
)
from quecbind.center.services.changes import ADDED, REMOVED, UNBOUND, Changes, owner_changed
from quecbind.center.services.endings import members_lost
from quecbind.center.services.errors import Rejected
from quecbind.center.services.find import find_device, row_of
from quecbind.center.services.guesses import Guesses
from quecbind.center.services.ports import Clock, Entropy, Events, Storage
from quecbind.center.services.records import Owner
from quecbind.center.services.registry import Registry
from quecbind.center.services.resets import Resets
from quecbind.center.services.rights import granted
from quecbind.center.services.rows import Tx
from quecbind.center.services.views import BindOutlook, BindResult, SignedIn


class _Decide(Protocol):
    def __call__(
        self,
        is_allowed: bool,
        is_known: bool,
        owners: tuple[Uid, ...],
        user: Uid,
        bind_mode: BindMode,
        *,
        is_member: bool,
    ) -> Bound | AlreadyOwner | Refused: ...


@dataclass(frozen=True, slots=True)
class _Naming:
    """A way to bind a device by naming it, where its product allows that.

    Attributes:
        names: what is guessed at.
    """

    names: str
    is_allowed: Callable[[Product], bool]
    decide: _Decide


_BY_SERIAL = _Naming("serials", lambda product: product.allow_serial_binding, binding.bind_by_serial)
_BY_DEVICE_KEY = _Naming("device keys", lambda product: product.allow_device_key_binding, binding.bind_by_device_key)
# What tells of no device, or of one that the caller uses.
_NO_GUESS = frozenset({refusal.SERIAL_BINDING_OFF, refusal.DEVICE_KEY_BINDING_OFF, refusal.SHARE_ACCEPTED_ALREADY})


class Binding:
    """Every way to bind. Every method is a coroutine and raises Rejected with the platform's code."""

    def __init__(
        self,
        storage: Storage,
        registry: Registry,
        auth_keys: AuthKeys,
        resets: Resets,
        *,
        clock: Clock,
        events: Events,
        changes: Changes,
        entropy: Entropy,
        guesses: Guesses,
    ) -> None:
        self._entropy = entropy
        self._storage = storage
        self._registry = registry
        self._auth_keys = auth_keys
        self._resets = resets
        self._clock = clock
        self._events = events
        self._changes = changes
        self._guesses = guesses
        self.limit_counters: dict[str, Counted] = {**guesses.counters}

    async def may_bind(self, who: SignedIn, product_key: str | None, device_key: str | None) -> BindOutlook:
        """Whether binding is worth trying. Says nothing about a device, except that the caller has it already."""
        key = given_product_key(product_key)
        if device_key and not is_device_key(device_key):
            raise Rejected(refusal.DEVICE_KEY_FORMAT)
        now_ms = to_ms(self._clock.now())

        def look(tx: Tx) -> Product | None:
            if not is_product_key(key) or not tx.products.is_open_to(key, who.user_domain):
                return None
            device = find_device(tx, key, device_key) if device_key else None
            if tx.owners.get(row_of(device), who.uid) is not None:
                raise Rejected(refusal.ALREADY_BOUND)
            if granted(tx, who.uid, row_of(device), now_ms):
                raise Rejected(refusal.SHARE_ACCEPTED_ALREADY)
            return tx.products.get(key)

        product = self._storage.read(look)
        if product is None:
            raise Rejected(refusal.MAY_NOT_BIND)
        return BindOutlook(product.bind_mode, NUMBER_BY_BIND_MODE[product.bind_mode], product.name, product.ble_only)

    async def bind_by_code(
        self,
        who: SignedIn,
        product_key: str | None,
        device_key: str | None,
        code: str | None,
        device_name: str | None,
        peer: str,
        capabilities: int | None = None,
    ) -> BindResult:
        """Own a device by bringing the bind code it has reported (`deviceBindingByWifi`)."""
        raise_refused(binding.check_code(code))
        request = bind_request(who, product_key, device_key, device_name, peer, capabilities, BY_WIFI)
        mac = self._storage.mac("bind code", request.product_key, request.device_key, code or "")
        fresh_key = self._auth_keys.draw()

        def work(tx: Tx) -> Outcome | Refused:
            now = self._clock.now()
            target = client_id(ProductKey(request.product_key), DeviceKey(request.device_key))
            guess = guess_at(request, target, to_ms(now))
            refused = self._guesses.refused(tx, guess, now) or check_permission(tx, request)
            if refused is not None:
                return refused
            device, product, owners = _situation(tx, request)
            rivals = uids_in(owners, who)
            used = tx.owners.used_code(row_of(device), who.uid)
            decision = binding.bind_by_code(
                window_of(device), mac, rivals, who.uid, product.bind_mode, to_ms(now), used
            )
            # An owner has nothing to win by guessing.
            if who.uid not in rivals and isinstance(decision, Refused) and decision.code == refusal.BIND_CODE_DIFFERS:
                self._guesses.wrong(tx, guess, decision, now)
            return carry_out(tx, request, decision, device, product, owners, fresh_key, to_ms(now), mac)

        return self._bound(request, await self._storage.transact(work, self._tell))

    async def bind_by_device_key(
        self,
        who: SignedIn,
        product_key: str | None,
        device_key: str | None,
        device_name: str | None,
        peer: str,
        capabilities: int | None = None,
    ) -> BindResult:
        """Own a device by naming it (`bindDeviceDk`): refused with 5499 unless its product allows that.

        What is refused counts as a guess, for it tells which devices there are: 5913 for one that could not be bound.
        """
        request = bind_request(who, product_key, device_key, device_name, peer, capabilities, BY_DEVICE_KEY)
        return await self._bind_named(
            request, _BY_DEVICE_KEY, lambda tx: find_device(tx, request.product_key, request.device_key)
        )

    async def bind_by_serial(
        self,
        who: SignedIn,
        product_key: str | None,
        serial: str | None,
        device_name: str | None,
        peer: str,
        capabilities: int | None = None,
    ) -> BindResult:
        """Own a device by its imported serial number (`bindDeviceSn`); 5327 unless its product allows that.

        What is refused counts as a guess, for serial numbers can be guessed: 5090 for one that names no device which
        could be bound, whatever the reason.
        """
        product = given_product_key(product_key)
        raise_refused(binding.check_serial(serial))
        wish = checked_request(who, product, "", device_name, peer, capabilities, BY_SERIAL)
        return await self._bind_named(wish, _BY_SERIAL, lambda tx: tx.devices.by_serial(product, serial or ""))

    async def _bind_named(
        self, wish: BindRequest, naming: "_Naming", find: Callable[[Tx], Device | None]
    ) -> BindResult:
        fresh_key = self._auth_keys.draw()
        # All names of a product count as one device: each guess is about another one.
        target = f"{naming.names} of {wish.product_key}"

        def work(tx: Tx) -> Outcome | Refused:
            now = self._clock.now()
            refused = self._guesses.refused(tx, guess_at(wish, target, to_ms(now)), now) or check_permission(tx, wish)
            if refused is not None:
                return refused
            device = find(tx)
            key = wish.device_key or ("" if device is None else device.device_key)
            request = dataclasses.replace(wish, device_key=key, device_name=wish.device_name or key)
            device, product, owners = _situation(tx, request)
            decision = naming.decide(
                naming.is_allowed(product),
                _can_be_named(device),
                uids_in(owners, wish.who),
                wish.who.uid,
                product.bind_mode,
                is_member=bool(granted(tx, wish.who.uid, row_of(device), to_ms(now))),
            )
            if isinstance(decision, Refused) and decision.code not in _NO_GUESS:
                self._guesses.wrong(tx, guess_at(request, target, to_ms(now)), decision, now)
            return carry_out(tx, request, decision, device, product, owners, fresh_key, to_ms(now))

        return self._bound(wish, await self._storage.transact(work, self._tell))

    def _tell(self, outcome: Outcome | Refused) -> None:
        if isinstance(outcome, Refused):
            return
        request = outcome.request
        # Owners of one App only are in each other's way, so those who leave are of the caller's domain.
        keys, domain = (request.product_key, request.device_key), request.who.user_domain
        if outcome.changed_hands is not None:
            self._registry.put(outcome.changed_hands)
        if outcome.is_new or outcome.is_key_new:
            self._auth_keys.tell(client_id(ProductKey(keys[0]), DeviceKey(keys[1])), outcome.auth_key)
        if not outcome.is_new:
            return
        gone = [owner_changed(*keys, uid, domain, REMOVED, UNBOUND) for uid in outcome.leaving]
        members = members_lost(outcome.members, UNBOUND)
        self._changes.tell([*gone, *members, owner_changed(*keys, request.who.uid, domain, ADDED, None)])

    def _bound(self, request: BindRequest, outcome: Outcome | Refused) -> BindResult:
        if isinstance(outcome, Refused):
            self._events.publish(
                "device.bind_refused",
                product_key=request.product_key,
                device_key=request.device_key,
                uid=request.who.uid,
                code=outcome.code,
                peer=request.peer,
            )
            raise Rejected(outcome)
        request = outcome.request
        if outcome.is_new:
            self._events.publish(
                "device.bound",
                product_key=request.product_key,
                device_key=request.device_key,
                uid=request.who.uid,
                left=",".join(outcome.leaving),
            )
        product = outcome.product
        return BindResult(
            outcome.auth_key,
            product.bind_mode,
            NUMBER_BY_BIND_MODE[product.bind_mode],
            product.name,
            outcome.is_new,
            request.device_key,
        )


def _situation(tx: Tx, request: BindRequest) -> tuple[Device | None, Product, list[Owner]]:
    """What there is."""
    product = tx.products.get(request.product_key)
    assert product is not None, "an unknown product is open to nobody"
    device = find_device(tx, request.product_key, request.device_key)
    return device, product, tx.owners.of_device(row_of(device))


def _can_be_named(device: Device | None) -> bool:
    """Whether the device can be bound by naming it, without a code: it has shown that it exists."""
    return device is not None and device.state == "active" and not device.owes_reset
