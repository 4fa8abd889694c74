"""Who owns a device: bind, unbind, list, name. The rules are in `domain.binding`; here they meet the data.

The story of a bind: everything is looked up, judged and written in one transaction, in the writer's thread. So any
number of users racing with the right code are judged one after the other, and the window is gone after the first.
Wrong codes are counted there too: a thousand guesses at once count as a thousand.

A device that does not exist is answered like one without a bind code, and one that is not the caller's like one that
does not exist.
"""

import base64
from dataclasses import dataclass
from typing import Literal

from quecbind.center.domain import binding, permission, refusal
from quecbind.center.domain.audit import AuditEntry, OwnerEntry, seen_by_owner
from quecbind.center.domain.binding import AlreadyOwner, Bound, Window
from quecbind.center.domain.device import Device
from quecbind.center.domain.enrolment import APPROVAL_MS
from quecbind.center.domain.ids import (
    DeviceKey,
    ProductKey,
    Secret,
    Uid,
    UserDomain,
    client_id,
    is_device_key,
    is_product_key,
)
from quecbind.center.domain.limits import GuessLimits, Limits
from quecbind.center.domain.moment import to_ms
from quecbind.center.domain.product import NUMBER_BY_BIND_MODE, Product
from quecbind.center.domain.refusal import Refused
from quecbind.center.domain.text import is_text
from quecbind.center.services.changes import ADDED, REMOVED, UNBOUND, Changes, RightChanged
from quecbind.center.services.endings import members_lost, without_right
from quecbind.center.services.errors import Conflict, NotFound, Rejected
from quecbind.center.services.find import client_id_of, find_device, row_of
from quecbind.center.services.ports import Clock, Entropy, Events, Storage
from quecbind.center.services.records import Member, OwnedRow, Owner
from quecbind.center.services.registry import Registry
from quecbind.center.services.rows import Tx
from quecbind.center.services.views import (
    BindOutlook,
    BindResult,
    DeviceFilter,
    OwnedDevice,
    Page,
    SignedIn,
    bounded_page,
)

AUTH_KEY_SIZE = 16
MAX_CAPABILITIES = 15
BY_WIFI, BY_DEVICE_KEY = 2, 3  # binding types, app-api.md B2


@dataclass(frozen=True, slots=True)
class _Request:
    """One wish to bind, checked as far as that goes without data."""

    who: SignedIn
    product_key: str
    device_key: str
    device_name: str
    capabilities: int
    binding_type: int
    peer: str


@dataclass(frozen=True, slots=True)
class _Outcome:
    product: Product
    auth_key: Secret
    leaving: tuple[Uid, ...]
    is_new: bool
    members: tuple[Member, ...] = ()


class Ownership:
    """What users do with devices. Every method is a coroutine and raises Rejected with the platform's code."""

    def __init__(
        self,
        storage: Storage,
        registry: Registry,
        *,
        clock: Clock,
        entropy: Entropy,
        events: Events,
        changes: Changes,
        limits: Limits,
    ) -> None:
        self._changes = changes
        self._storage = storage
        self._registry = registry
        self._clock = clock
        self._entropy = entropy
        self._events = events
        # Touched in the writer's thread only: there, one work runs at a time.
        self._guesses = GuessLimits(limits)
        self.limit_counters = self._guesses.counters

    async def may_bind(self, who: SignedIn, product_key: str | None, device_key: str | None) -> BindOutlook:
        """Whether binding is worth trying. Says nothing about a device, except that the caller owns it already."""
        key = _product_key(product_key)
        if device_key and not is_device_key(device_key):
            raise Rejected(refusal.DEVICE_KEY_FORMAT)

        def look(tx: Tx) -> Product | None:
            if not is_product_key(key) or not tx.products.is_open_to(key, who.user_domain):
                return None
            device = find_device(tx, key, device_key) if device_key else None
            if tx.owners.get(row_of(device), who.uid) is not None:
                raise Rejected(refusal.ALREADY_BOUND)
            return tx.products.get(key)

        product = self._storage.read(look)
        if product is None:
            raise Rejected(refusal.MAY_NOT_BIND)
        return BindOutlook(product.bind_mode, NUMBER_BY_BIND_MODE[product.bind_mode], product.name)

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
        _raise(binding.check_code(code))
        request = _request(who, product_key, device_key, device_name, peer, capabilities, BY_WIFI)
        mac = self._storage.mac("bind code", request.product_key, request.device_key, code or "")
        fresh_key = self._new_auth_key()

        def work(tx: Tx) -> _Outcome | Refused:
            now = self._clock.now()
            target = client_id(ProductKey(request.product_key), DeviceKey(request.device_key))
            limit = self._guesses.check(who.uid, peer, request.product_key, target, now)
            if limit is not None:
                return limit
            refused = _check_permission(tx, request)
            if refused is not None:
                return refused
            device, product, owners = _situation(tx, request)
            decision = binding.bind_by_code(
                _window(device), mac, _uids_in(owners, who), who.uid, product.bind_mode, to_ms(now)
            )
            if isinstance(decision, Refused) and decision.code == refusal.BIND_CODE_DIFFERS:
                self._guesses.add(who.uid, peer, request.product_key, target, now)
                tx.audit.append(_audit_bind(request, "owner.refused", to_ms(now), f"refused {decision.code}"))
            return _carry_out(tx, request, decision, device, product, owners, fresh_key, to_ms(now))

        return self._bound(request, await self._storage.transact(work, lambda outcome: self._tell(request, outcome)))

    async def bind_by_device_key(
        self,
        who: SignedIn,
        product_key: str | None,
        device_key: str | None,
        device_name: str | None,
        peer: str,
        capabilities: int | None = None,
    ) -> BindResult:
        """Own a device by naming it (`bindDeviceDk`): refused with 5499 unless its product allows that."""
        request = _request(who, product_key, device_key, device_name, peer, capabilities, BY_DEVICE_KEY)
        fresh_key = self._new_auth_key()

        def work(tx: Tx) -> _Outcome | Refused:
            refused = _check_permission(tx, request)
            if refused is not None:
                return refused
            device, product, owners = _situation(tx, request)
            decision = binding.bind_by_device_key(
                product.allow_device_key_binding,
                device is not None and device.state == "active",
                _uids_in(owners, who),
                who.uid,
                product.bind_mode,
            )
            return _carry_out(tx, request, decision, device, product, owners, fresh_key, to_ms(self._clock.now()))

        return self._bound(request, await self._storage.transact(work, lambda outcome: self._tell(request, outcome)))

    async def unbind(self, who: SignedIn, product_key: str | None, device_key: str | None, peer: str = "") -> int:
        """Give a device up; gives how many users own it after that. The device keeps its secret."""
        product, key = _product_key(product_key), _device_key(device_key)
        now_ms = to_ms(self._clock.now())
        fresh_key = self._new_auth_key()

        def work(tx: Tx) -> tuple[int, list[Member]]:
            device = find_device(tx, product, key)
            members = tx.shares.granted_by(row_of(device), who.uid)
            if not tx.owners.delete(row_of(device), who.uid) or device is None:
                raise NotFound(refusal.NOT_BOUND)
            left_count = len(tx.owners.of_device(device.id))
            # Whoever leaves must not be able to use the LAN with the key they had.
            tx.devices.set_auth_key(device.id, fresh_key if left_count else None)
            tx.audit.append(_audit(who, product, key, peer, "owner.unbound", now_ms))
            return left_count, without_right(tx, members, now_ms)

        def applied(outcome: tuple[int, list[Member]]) -> None:
            owner = _right_changed(product, key, who.uid, who.user_domain, REMOVED)
            self._changes.tell([owner, *members_lost(outcome[1], UNBOUND)])

        left_count, _ = await self._storage.transact(work, applied)
        self._events.publish("device.unbound", product_key=product, device_key=key, uid=who.uid)
        return left_count

    async def devices(
        self, who: SignedIn, page: int = 1, page_size: int = 10, filters: DeviceFilter | None = None
    ) -> Page[OwnedDevice]:
        """One page of the caller's devices, latest first. A page has at most 100."""
        wanted = filters or DeviceFilter()
        if not all(map(is_text, (wanted.name or "", wanted.device_key or "", *wanted.product_keys))):
            raise Rejected(refusal.INVALID, "the filter is no text")
        page, page_size, offset = bounded_page(page, page_size)
        now_ms = to_ms(self._clock.now())
        rows, count = self._storage.read(lambda tx: tx.owners.page_held(who.uid, wanted, offset, page_size, now_ms))
        return Page([self._view(row) for row in rows], page, page_size, count)

    async def device(self, who: SignedIn, product_key: str | None, device_key: str | None) -> OwnedDevice:
        """One device that the caller owns or uses; 5052 for any other."""
        row = self._held(who, product_key, device_key)
        if row is None:
            raise NotFound(refusal.NOT_BOUND)
        return self._view(row)

    async def rename(
        self, who: SignedIn, product_key: str | None, device_key: str | None, name: str | None, peer: str = ""
    ) -> None:
        """Give a device another name, for the caller alone; 5041 when it is not theirs."""
        product, key = _product_key(product_key), _device_key(device_key)
        if not name:
            raise Rejected(refusal.DEVICE_NAME_MISSING)
        _raise(binding.check_name(name))
        now_ms = to_ms(self._clock.now())

        def work(tx: Tx) -> None:
            device = find_device(tx, product, key)
            if not tx.owners.rename(row_of(device), who.uid, name):
                raise NotFound(refusal.NO_PERMISSION)
            tx.audit.append(_audit(who, product, key, peer, "owner.renamed", now_ms))

        await self._storage.transact(work)

    async def auth_key(self, who: SignedIn, product_key: str | None, device_key: str | None) -> Secret:
        """The key for LAN and BLE sessions, Base64 of 16 bytes; 5041 when the device is not the caller's."""
        row = self._held(who, product_key, device_key)
        if row is None or row.owner_uid != who.uid:
            raise NotFound(refusal.NO_PERMISSION)
        return row.auth_key

    async def audit(
        self, who: SignedIn, product_key: str | None, device_key: str | None, page: int = 1, page_size: int = 10
    ) -> Page[OwnerEntry]:
        """What happened to a device of the caller since they own it, newest first; 5052 for any other."""
        row = self._held(who, product_key, device_key)
        if row is None or row.owner_uid != who.uid:
            raise NotFound(refusal.NOT_BOUND)
        page, page_size, offset = bounded_page(page, page_size)
        found, count = self._storage.read(
            lambda tx: tx.audit.page_since_bound(who.uid, row.owner.product_key, row.device_key, offset, page_size)
        )
        return Page([seen_by_owner(chained.entry, who.uid) for chained in found], page, page_size, count)

    async def approve_re_enrolment(
        self, who: SignedIn, product_key: str | None, device_key: str | None, peer: str = ""
    ) -> None:
        """Let the caller's device enrol again within 15 minutes. Useless, and refused, where the product is locked."""
        product, key = _product_key(product_key), _device_key(device_key)
        now_ms = to_ms(self._clock.now())

        def work(tx: Tx) -> None:
            device = find_device(tx, product, key)
            if tx.owners.get(row_of(device), who.uid) is None or device is None:
                raise NotFound(refusal.NOT_BOUND)
            approve(tx, device, now_ms, who=f"user {who.uid}", peer=peer)

        await self._storage.transact(work)

    async def shared_device(self, who: SignedIn, share_code: str) -> OwnedDevice:
        """The device that the caller uses by this share; 5137 for any other code."""
        mac = self._storage.mac("share code", share_code)
        now_ms = to_ms(self._clock.now())

        def look(tx: Tx) -> OwnedRow | None:
            share = tx.shares.by_code(mac)
            device = None if share is None or share.member_uid != who.uid else tx.devices.by_id(share.device_id)
            return None if device is None else tx.owners.held(who.uid, device.client_id, now_ms)

        row = self._storage.read(look)
        if row is None:
            raise NotFound(refusal.SHARE_CODE_INVALID)
        return self._view(row)

    def _held(self, who: SignedIn, product_key: str | None, device_key: str | None) -> OwnedRow | None:
        client_id = client_id_of(_product_key(product_key), _device_key(device_key))
        now_ms = to_ms(self._clock.now())
        row = None if client_id is None else self._storage.read(lambda tx: tx.owners.held(who.uid, client_id, now_ms))
        return row if row is not None and row.owner.product_key == product_key else None

    def _tell(self, request: _Request, outcome: _Outcome | Refused) -> None:
        if isinstance(outcome, Refused) or not outcome.is_new:
            return
        # Owners of one App only are in each other's way, so those who leave are of the caller's domain.
        keys, domain = (request.product_key, request.device_key), request.who.user_domain
        changed = [_right_changed(*keys, uid, domain, REMOVED) for uid in outcome.leaving]
        members = members_lost(outcome.members, UNBOUND)
        self._changes.tell([*changed, *members, _right_changed(*keys, request.who.uid, domain, ADDED)])

    def _bound(self, request: _Request, outcome: _Outcome | Refused) -> BindResult:
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
            outcome.auth_key, product.bind_mode, NUMBER_BY_BIND_MODE[product.bind_mode], product.name, outcome.is_new
        )

    def _new_auth_key(self) -> Secret:
        return Secret(base64.b64encode(self._entropy.octets(AUTH_KEY_SIZE)).decode())

    def _view(self, row: OwnedRow) -> OwnedDevice:
        owner = row.owner
        entry = self._registry.entry(client_id(owner.product_key, DeviceKey(row.device_key)))
        return OwnedDevice(
            product_key=owner.product_key,
            device_key=row.device_key,
            device_name=owner.device_name,
            product_name=row.product_name,
            bind_mode=owner.bind_mode,
            binding_mode=NUMBER_BY_BIND_MODE[owner.bind_mode],
            binding_type=owner.binding_type,
            capabilities=owner.capabilities,
            is_online=entry is not None and entry.online,
            is_active=row.is_active,
            auth_key=row.auth_key,
            uid=owner.uid,
            owner_uid=row.owner_uid,
            share_code=row.share_code,
            sharing_expires_at=row.sharing_expires_at,
            bound_at=owner.bound_at,
            last_online_at=latest(None if entry is None else entry.last_online_at, row.facts.last_online_at),
            last_offline_at=latest(None if entry is None else entry.last_offline_at, row.facts.last_offline_at),
            status=row.facts.status,
            info=row.facts.info,
        )


def _right_changed(
    product_key: str, device_key: str, uid: Uid, user_domain: UserDomain, value: Literal[0, 1]
) -> RightChanged:
    product, key = ProductKey(product_key), DeviceKey(device_key)
    return RightChanged(
        client_id=client_id(product, key),
        product_key=product,
        device_key=key,
        uid=uid,
        user_domain=user_domain,
        right="owner",
        value=value,
        cause=None if value == ADDED else UNBOUND,
    )


def latest(in_memory: int | None, stored: int | None) -> int | None:
    """What memory knows is newer than what was written down."""
    return stored if in_memory is None else in_memory


def approve(tx: Tx, device: Device, now_ms: int, *, who: str, peer: str) -> None:
    """Let `device` enrol again within 15 minutes.

    Raises:
        Conflict: its product is locked: only a reset proof counts there.
    """
    product = tx.products.get(device.product_key)
    if product is None or product.re_enrol == "locked":
        raise Conflict(refusal.CONFLICT, "the product is locked: only a reset on the device itself lets it enrol again")
    tx.devices.approve_until(device.id, now_ms + APPROVAL_MS)
    tx.audit.append(
        AuditEntry(
            at=now_ms,
            who=who,
            action="device.re_enrolment_approved",
            product_key=device.product_key,
            device_key=device.device_key,
            peer=peer,
        )
    )


def _request(
    who: SignedIn,
    product_key: str | None,
    device_key: str | None,
    device_name: str | None,
    peer: str,
    capabilities: int | None,
    binding_type: int,
) -> _Request:
    product, key = _product_key(product_key), _device_key(device_key)
    if not is_product_key(product):
        # What cannot be a product key is answered like one that nobody has.
        raise Rejected(refusal.DOMAIN_NOT_LINKED)
    _raise(binding.check_name(device_name or ""))
    if capabilities is not None and not 0 <= capabilities <= MAX_CAPABILITIES:
        raise Rejected(refusal.INVALID, "capabilitiesBitmask is 0 to 15")
    return _Request(who, product, key, device_name or key, capabilities or 0, binding_type, peer)


def _product_key(text: str | None) -> str:
    if not text:
        raise Rejected(refusal.PRODUCT_KEY_MISSING)
    return text


def _device_key(text: str | None) -> str:
    if not text:
        raise Rejected(refusal.DEVICE_KEY_MISSING)
    if not is_device_key(text):
        raise Rejected(refusal.DEVICE_KEY_FORMAT)
    return text


def _check_permission(tx: Tx, request: _Request) -> Refused | None:
    user = tx.users.get(request.who.uid)
    return permission.may_bind(
        product_is_open=tx.products.is_open_to(request.product_key, request.who.user_domain),
        user_is_enabled=user is not None and user.disabled_at is None,
    )


def _situation(tx: Tx, request: _Request) -> tuple[Device | None, Product, list[Owner]]:
    """What there is."""
    product = tx.products.get(request.product_key)
    assert product is not None, "an unknown product is open to nobody"
    device = find_device(tx, request.product_key, request.device_key)
    return device, product, tx.owners.of_device(row_of(device))


def _window(device: Device | None) -> Window | None:
    """The window of the device. A disabled one has none: nobody can begin to own it."""
    if device is None or device.state == "disabled":
        return None
    if device.bind_code_mac is None or device.bind_window_end is None:
        return None
    return Window(device.bind_code_mac, device.bind_window_end)


def _uids_in(owners: list[Owner], who: SignedIn) -> tuple[Uid, ...]:
    """Owners of one App do not stand in the way of another App's (app-api.md C5)."""
    return tuple(owner.uid for owner in owners if owner.user_domain == who.user_domain)


def _carry_out(
    tx: Tx,
    request: _Request,
    decision: Bound | AlreadyOwner | Refused,
    device: Device | None,
    product: Product,
    owners: list[Owner],
    fresh_key: Secret,
    now_ms: int,
) -> _Outcome | Refused:
    """Write what was decided: the window first, then those who leave, then the owner."""
    if isinstance(decision, Refused):
        return decision
    assert device is not None, "nobody owns a device there is not"
    auth_key = tx.devices.auth_key(device.id)
    if isinstance(decision, AlreadyOwner):
        assert auth_key is not None, "it was stored with the first owner"
        return _Outcome(product, auth_key, (), is_new=False)
    tx.devices.close_window(device.id, device.epoch)
    members: list[Member] = []
    for uid in decision.leaving:
        members += tx.shares.granted_by(device.id, uid)
        tx.owners.delete(device.id, uid)
        tx.audit.append(_audit_bind(request, "owner.replaced", now_ms, details={"uid": uid}))
    if auth_key is None or decision.leaving or not owners:
        # Whoever has left must not be able to use the LAN with the key they had.
        auth_key = fresh_key
        tx.devices.set_auth_key(device.id, auth_key)
    tx.owners.insert(
        Owner(
            device_id=device.id,
            product_key=product.product_key,
            bind_mode=product.bind_mode,
            uid=request.who.uid,
            user_domain=request.who.user_domain,
            epoch=device.epoch,
            device_name=request.device_name,
            capabilities=request.capabilities,
            binding_type=request.binding_type,
            bound_at=now_ms,
        )
    )
    tx.audit.append(_audit_bind(request, "owner.bound", now_ms, details={"epoch": device.epoch}))
    lost = tuple(without_right(tx, members, now_ms))
    return _Outcome(product, auth_key, decision.leaving, is_new=True, members=lost)


def _audit_bind(
    request: _Request, action: str, now_ms: int, result: str = "ok", details: dict[str, object] | None = None
) -> AuditEntry:
    return _audit(request.who, request.product_key, request.device_key, request.peer, action, now_ms, result, details)


def _audit(
    who: SignedIn,
    product_key: str,
    device_key: str,
    peer: str,
    action: str,
    now_ms: int,
    result: str = "ok",
    details: dict[str, object] | None = None,
) -> AuditEntry:
    return AuditEntry(
        at=now_ms,
        who=f"user {who.uid}",
        action=action,
        result=result,
        product_key=product_key,
        device_key=device_key,
        peer=peer,
        details=details or {},
    )


def _raise(refused: Refused | None) -> None:
    if refused is not None:
        raise Rejected(refused)
