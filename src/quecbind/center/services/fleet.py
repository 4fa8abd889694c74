"""Devices, by operators: look, disable, delete, approve, import."""

from collections.abc import Callable, Sequence

from quecbind.center.domain import binding, refusal
from quecbind.center.domain.device import DEVICE_SECRET_LENGTH, Device
from quecbind.center.domain.ids import DeviceKey, ProductKey, Secret, client_id, is_device_key
from quecbind.center.services.changes import UNBOUND, RightChanged
from quecbind.center.services.desk import Desk, entry
from quecbind.center.services.endings import members_lost, owners_lost
from quecbind.center.services.errors import Conflict, NotFound, Rejected
from quecbind.center.services.find import find_device
from quecbind.center.services.ownership import approve, latest
from quecbind.center.services.products import existing_product
from quecbind.center.services.records import DeviceRow, Owner
from quecbind.center.services.rows import Tx
from quecbind.center.services.views import (
    DeviceImport,
    DeviceView,
    ImportResult,
    Operator,
    OwnerView,
    Page,
    bounded_page,
)

# Large enough to be fast, small enough that a device which connects meanwhile hardly waits.
IMPORT_BATCH = 2000
MAX_IMPORT = 1_000_000


class FleetDesk(Desk):
    """Devices."""

    async def devices(self, page: int = 1, page_size: int = 50, product_key: str | None = None) -> Page[DeviceView]:
        """One page of devices, of one product or of all, without their owners."""
        page, page_size, offset = bounded_page(page, page_size)

        def look(tx: Tx) -> tuple[list[DeviceRow], int]:
            if product_key is not None:
                existing_product(tx, product_key)
            return tx.devices.page(offset, page_size, product_key)

        rows, count = self._storage.read(look)
        return Page([self._view(row, []) for row in rows], page, page_size, count)

    async def device(self, product_key: str, device_key: str) -> DeviceView:
        """One device with its owners."""
        return self._storage.read(lambda tx: self._look(tx, product_key, device_key))

    async def disable_device(self, product_key: str, device_key: str, by: Operator) -> DeviceView:
        """Let the device neither connect nor enrol; a live session ends. Its owners stay."""
        now_ms = self._now_ms()
        return await self._change(
            product_key,
            device_key,
            by,
            "device.disabled",
            lambda tx, device: tx.devices.set_disabled(device.id, device.disabled_at or now_ms),
        )

    async def enable_device(self, product_key: str, device_key: str, by: Operator) -> DeviceView:
        """Undo `disable_device`."""
        return await self._change(
            product_key, device_key, by, "device.enabled", lambda tx, device: tx.devices.set_disabled(device.id, None)
        )

    async def approve_re_enrolment(self, product_key: str, device_key: str, by: Operator) -> DeviceView:
        """Let the device enrol again once within 15 minutes.

        Raises:
            Conflict: 8409, its product is locked.
        """
        now_ms = self._now_ms()

        def work(tx: Tx) -> DeviceView:
            device = _existing(tx, product_key, device_key)
            approve(tx, device, now_ms, who=f"operator {by.name}", peer=by.peer)
            return self._look(tx, product_key, device_key)

        return await self._storage.transact(work)

    async def delete_device(self, product_key: str, device_key: str, by: Operator) -> None:
        """Forget a device with its owners; a live session ends. What the audit log says about it stays."""
        now_ms = self._now_ms()

        def work(tx: Tx) -> tuple[Device, list[RightChanged]]:
            device = _existing(tx, product_key, device_key)
            members = tx.shares.granted_by(device.id)
            lost = tx.owners.delete_all(device.id)
            tx.devices.delete(device.id)
            tx.products.free_place(device.product_key)
            details: dict[str, object] = {"lost_owners": [owner.uid for owner in lost]}
            tx.audit.append(
                entry(by, "device.deleted", now_ms, product_key=product_key, device_key=device_key, details=details)
            )
            return device, [*owners_lost(device, lost, UNBOUND), *members_lost(members, UNBOUND)]

        def applied(outcome: tuple[Device, list[RightChanged]]) -> None:
            self._registry.drop(outcome[0].client_id)
            self._links.disconnect(outcome[0].client_id, "deleted")
            self._changes.tell(outcome[1])

        await self._storage.transact(work, applied)

    async def import_devices(self, devices: Sequence[DeviceImport], by: Operator) -> ImportResult:
        """Make devices known before they come. Those that are known already stay as they are, but for a serial number
        that they get with this.

        One that brings its secret counts as active: it was given that at the factory, and no enrolment may replace it
        lightly. The others get theirs when they enrol.

        The list is written in batches, each all or nothing; what was written stays when a later batch is refused.

        Raises:
            NotFound: 5313, an unknown product.
            Rejected: 8400, a malformed key or secret (nothing is written), or too many at once.
            Conflict: 8409, the product's device limit, or a serial number that contradicts an earlier one.
        """
        if len(devices) > MAX_IMPORT:
            raise Rejected(refusal.INVALID, f"at most {MAX_IMPORT} devices at once")
        now_ms = self._now_ms()
        checked = [self._imported(device, place, now_ms) for place, device in enumerate(devices, 1)]
        imported_count = 0
        for start in range(0, len(checked), IMPORT_BATCH):
            batch = checked[start : start + IMPORT_BATCH]

            def work(tx: Tx, batch: list[tuple[Device, str | None]] = batch) -> list[Device]:
                return _import(tx, batch, by, now_ms)

            def applied(inserted: list[Device]) -> None:
                for device in inserted:
                    self._registry.put(device)

            inserted = await self._storage.transact(work, applied)
            imported_count += len(inserted)
        return ImportResult(imported_count, len(devices) - imported_count)

    def _imported(self, device: DeviceImport, place: int, now_ms: int) -> tuple[Device, str | None]:
        if self._registry.product(device.product_key) is None:
            raise NotFound(refusal.PRODUCT_UNKNOWN, f"device {place}: there is no product with this product key")
        if not is_device_key(device.device_key):
            raise Rejected(refusal.INVALID, f"device {place}: a device key has 1 to 32 letters or digits")
        secret = device.device_secret
        if secret is not None and not (secret.isascii() and secret.isalnum() and len(secret) <= DEVICE_SECRET_LENGTH):
            raise Rejected(refusal.INVALID, f"device {place}: a device secret has 1 to 32 letters or digits")
        if device.serial is not None and not binding.is_serial(device.serial):
            raise Rejected(refusal.INVALID, f"device {place}: a serial number has 1 to 64 letters, digits or ._-")
        product_key, device_key = ProductKey(device.product_key), DeviceKey(device.device_key)
        known = Device(
            id=0,
            product_key=product_key,
            device_key=device_key,
            client_id=client_id(product_key, device_key),
            # A secret nobody is told is as good as none, and leaves one case less.
            device_secret=Secret(secret if secret is not None else self._entropy.text(DEVICE_SECRET_LENGTH)),
            is_active=secret is not None,
            created_at=now_ms,
        )
        return known, device.serial

    async def _change(
        self, product_key: str, device_key: str, by: Operator, action: str, change: Callable[[Tx, Device], None]
    ) -> DeviceView:
        now_ms = self._now_ms()

        def work(tx: Tx) -> tuple[Device, DeviceView]:
            before = _existing(tx, product_key, device_key)
            change(tx, before)
            after = _existing(tx, product_key, device_key)
            if after != before:
                tx.audit.append(entry(by, action, now_ms, product_key=product_key, device_key=device_key))
            return after, self._look(tx, product_key, device_key)

        def applied(result: tuple[Device, DeviceView]) -> None:
            device = result[0]
            self._registry.put(device)
            if device.state == "disabled":
                self._links.disconnect(device.client_id, "disabled")

        return (await self._storage.transact(work, applied))[1]

    def _look(self, tx: Tx, product_key: str, device_key: str) -> DeviceView:
        device = _existing(tx, product_key, device_key)
        row = tx.devices.row(device.client_id)
        assert row is not None, "it was there a line ago, in the same transaction"
        return self._view(row, tx.owners.of_device(device.id))

    def _view(self, row: DeviceRow, owners: list[Owner]) -> DeviceView:
        device, facts = row.device, row.facts
        live = self._registry.entry(device.client_id)
        return DeviceView(
            product_key=device.product_key,
            device_key=device.device_key,
            client_id=device.client_id,
            state=device.state,
            epoch=device.epoch,
            is_online=live is not None and live.online,
            last_online_at=latest(None if live is None else live.last_online_at, facts.last_online_at),
            last_offline_at=latest(None if live is None else live.last_offline_at, facts.last_offline_at),
            last_address=(live.address if live is not None else "") or facts.last_address,
            bind_window_end_at=device.bind_window_end,
            approved_until_at=device.approved_until,
            status=facts.status,
            info=facts.info,
            serial=facts.serial,
            created_at=device.created_at,
            owners=[
                OwnerView(uid=owner.uid, email=owner.email, user_domain=owner.user_domain, bound_at=owner.bound_at)
                for owner in owners
            ],
        )


def _existing(tx: Tx, product_key: str, device_key: str) -> Device:
    device = find_device(tx, product_key, device_key)
    if device is None:
        raise NotFound(refusal.DEVICE_UNKNOWN)
    return device


def _import(tx: Tx, batch: list[tuple[Device, str | None]], by: Operator, now_ms: int) -> list[Device]:
    inserted = tx.devices.insert_many(device for device, _ in batch)
    count_by_product: dict[ProductKey, int] = {}
    for device in inserted:
        count_by_product[device.product_key] = count_by_product.get(device.product_key, 0) + 1
    for product_key, count in count_by_product.items():
        if not tx.products.take_place(product_key, count):
            raise Conflict(refusal.CONFLICT, f"product {product_key} would exceed its device limit")
        details: dict[str, object] = {"count": count}
        tx.audit.append(entry(by, "device.imported", now_ms, product_key=product_key, details=details))
    _import_serials(tx, batch, by, now_ms)
    return inserted


def _import_serials(tx: Tx, batch: list[tuple[Device, str | None]], by: Operator, now_ms: int) -> None:
    count_by_product: dict[ProductKey, int] = {}
    for new, serial in batch:
        if serial is None:
            continue
        device = tx.devices.get(new.client_id)
        if device is None or device.product_key != new.product_key or not tx.devices.set_serial(device, serial):
            raise Conflict(
                refusal.CONFLICT,
                f"device {new.product_key} {new.device_key} has another serial number, or another device has this one",
            )
        count_by_product[new.product_key] = count_by_product.get(new.product_key, 0) + 1
    for product_key, count in count_by_product.items():
        details: dict[str, object] = {"count": count}
        tx.audit.append(entry(by, "device.serials_imported", now_ms, product_key=product_key, details=details))
