"""What the owner of a device can do with it: leave it, list it, name it, get its auth key, let it enrol again.

A device that is not the caller's is answered like one that does not exist. How one comes to own a device is in
`binding`.
"""

from dataclasses import dataclass

from quecbind.center.domain import binding, refusal
from quecbind.center.domain.audit import AuditEntry, OwnerEntry, seen_by_owner
from quecbind.center.domain.device import Device
from quecbind.center.domain.enrolment import APPROVAL_MS
from quecbind.center.domain.ids import ClientId, DeviceKey, ProductKey, Secret, client_id
from quecbind.center.domain.moment import to_ms
from quecbind.center.domain.product import NUMBER_BY_BIND_MODE
from quecbind.center.domain.text import is_text
from quecbind.center.services.auth_keys import give_up, renew
from quecbind.center.services.becoming_owner import given_device_key, given_product_key, raise_refused, user_did
from quecbind.center.services.ble_binding import BleBinding, check_reset_credentials
from quecbind.center.services.changes import REMOVED, UNBOUND, owner_changed
from quecbind.center.services.endings import members_lost, without_right
from quecbind.center.services.errors import Conflict, NotFound, Rejected
from quecbind.center.services.find import find_device, held_by, row_of
from quecbind.center.services.records import Member, OwnedRow
from quecbind.center.services.rows import Tx
from quecbind.center.services.views import DeviceFilter, OwnedDevice, Page, SignedIn, bounded_page


@dataclass(frozen=True, slots=True)
class _Left:
    """What an owner left behind: how many own the device still, its auth key, and itself if it owes a reset."""

    client_id: ClientId
    owner_count: int
    auth_key: Secret
    owing: Device | None
    members: list[Member]


class Ownership(BleBinding):
    """What users do with devices. Every method is a coroutine and raises Rejected with the platform's code."""

    async def unbind(
        self,
        who: SignedIn,
        product_key: str | None,
        device_key: str | None,
        peer: str = "",
        *,
        is_init: bool = False,
        reset_credentials: str = "",
        random: str = "",
    ) -> int:
        """Give a device up; gives how many users own it after that.

        The device keeps its secret, unless the last owner asks for a reset (`is_init`): then it is told to start over,
        now or when it comes, and nothing of this epoch counts any more. While others own it, and where devices may not
        enrol, `is_init` does nothing.

        `reset_credentials` say that a BLE-only device has forgotten its binding: they must hold its bind secret (5050),
        which is then forgotten here too.
        """
        product, key = given_product_key(product_key), given_device_key(device_key)
        now_ms = to_ms(self._clock.now())
        fresh_key = self._auth_keys.draw()

        def work(tx: Tx) -> _Left:
            device = find_device(tx, product, key)
            members = tx.shares.granted_by(row_of(device), who.uid)
            auth_key = give_up(tx, row_of(device), who.uid, fresh_key)
            if device is None or auth_key is None:
                raise NotFound(refusal.NOT_BOUND)
            if reset_credentials:
                raise_refused(check_reset_credentials(tx, device, reset_credentials, random))
                tx.devices.set_bind_secret(device.id, None)
            left_count = len(tx.owners.of_device(device.id))
            tx.audit.append(user_did(who, product, key, peer, "owner.unbound", now_ms))
            owing = None
            if is_init and not left_count and _may_enrol(tx, device):
                owing = tx.devices.owe_reset(device.id)
                details: dict[str, object] = {"epoch": owing.epoch}
                tx.audit.append(user_did(who, product, key, peer, "device.reset_ordered", now_ms, details=details))
            return _Left(device.client_id, left_count, auth_key, owing, without_right(tx, members, now_ms))

        def applied(left: _Left) -> None:
            self._auth_keys.tell(left.client_id, left.auth_key)
            if left.owing is not None:
                self._resets.tell(self._registry.put(left.owing))
            owner = owner_changed(product, key, who.uid, who.user_domain, REMOVED, UNBOUND)
            self._changes.tell([owner, *members_lost(left.members, UNBOUND)])

        left = await self._storage.transact(work, applied)
        self._events.publish("device.unbound", product_key=product, device_key=key, uid=who.uid)
        return left.owner_count

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
        product, key = given_product_key(product_key), given_device_key(device_key)
        if not name:
            raise Rejected(refusal.DEVICE_NAME_MISSING)
        raise_refused(binding.check_name(name))
        now_ms = to_ms(self._clock.now())

        def work(tx: Tx) -> None:
            device = find_device(tx, product, key)
            if not tx.owners.rename(row_of(device), who.uid, name):
                raise NotFound(refusal.NO_PERMISSION)
            tx.audit.append(user_did(who, product, key, peer, "owner.renamed", now_ms))

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
        # As long as what the owner and the device have done: nobody else waits for it.
        found, count = await self._storage.scan(
            lambda tx: tx.audit.page_since_bound(who.uid, row.owner.product_key, row.device_key, offset, page_size)
        )
        again = self._held(who, product_key, device_key)
        if again is None or (again.owner_uid, again.owner.bound_at) != (who.uid, row.owner.bound_at):
            raise NotFound(refusal.NOT_BOUND)
        return Page([seen_by_owner(chained.entry, who.uid) for chained in found], page, page_size, count)

    async def renew_auth_key(
        self, who: SignedIn, product_key: str | None, device_key: str | None, peer: str = ""
    ) -> Secret:
        """Another auth key for the device, in place of the one it had; 5041 when it is not the caller's.

        Those who own the device too find it in their lists; the device is given it now, or when it comes. One that
        cannot be given it keeps its key, and that is the answer; so it is to whom the device is shared with, for they
        renew nothing and ask because theirs is old.
        """
        product, key = given_product_key(product_key), given_device_key(device_key)
        fresh_key = self._auth_keys.draw()

        def work(tx: Tx) -> Secret:
            now_ms = to_ms(self._clock.now())
            row = held_by(tx, who.uid, product, key, now_ms)
            if row is None:
                raise NotFound(refusal.NO_PERMISSION)
            if row.owner_uid != who.uid:
                return row.auth_key
            auth_key = renew(tx, row.owner.device_id, fresh_key)
            if auth_key == fresh_key:
                tx.audit.append(user_did(who, product, key, peer, "device.auth_key_renewed", now_ms))
            return auth_key

        def applied(auth_key: Secret) -> None:
            if auth_key == fresh_key:
                self._auth_keys.tell(client_id(ProductKey(product), DeviceKey(key)), auth_key)

        return await self._storage.transact(work, applied)

    async def approve_re_enrolment(
        self, who: SignedIn, product_key: str | None, device_key: str | None, peer: str = ""
    ) -> None:
        """Let the caller's device enrol again within 15 minutes. Useless, and refused, where the product is locked."""
        product, key = given_product_key(product_key), given_device_key(device_key)
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
        product, key = given_product_key(product_key), given_device_key(device_key)
        now_ms = to_ms(self._clock.now())
        return self._storage.read(lambda tx: held_by(tx, who.uid, product, key, now_ms))

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
            serial=row.facts.serial,
            ble_used_at=row.ble_used_at,
        )


def _may_enrol(tx: Tx, device: Device) -> bool:
    product = tx.products.get(device.product_key)
    return product is not None and not product.static_secrets and not product.ble_only


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
