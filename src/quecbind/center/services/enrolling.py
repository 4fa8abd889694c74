"""How one device more comes to be known: it enrols (`gate`), or an App brings it that has no network (`ble_binding`).

Both ways take a place of the product, leave the same entry and are held up by the same caps, so that neither is a way
around the other. Whether a device may come at all is decided elsewhere.
"""

from collections.abc import Sequence

from quecbind.center.domain.addresses import counted_address
from quecbind.center.domain.audit import AuditEntry
from quecbind.center.domain.device import Device
from quecbind.center.domain.ids import DeviceKey, ProductKey, Secret, Uid, client_id
from quecbind.center.domain.limits import Limits, SlidingCounter, longest_wait_s
from quecbind.center.services.rows import Tx


class EnrolmentCaps:
    """Counts the secrets issued for each product and to each address. All methods run on the event loop."""

    def __init__(self, limits: Limits) -> None:
        self._by_product = SlidingCounter(limits.max_enrolments_per_product, limits.enrolment_window_s)
        self._by_address = SlidingCounter(limits.max_enrolments_per_address, limits.enrolment_window_s)

    @property
    def counters(self) -> dict[str, SlidingCounter]:
        """By the names of their settings."""
        return {
            "max_enrolments_per_product": self._by_product,
            "max_enrolments_per_address": self._by_address,
        }

    def wait_s(self, product_key: ProductKey, peer: str, now: float) -> int | None:
        """None when one more may come; else in how many seconds."""
        where = counted_address(peer)
        return longest_wait_s(
            [self._by_product.retry_after_s(product_key, now), self._by_address.retry_after_s(where, now)]
        )

    def add(self, product_key: ProductKey, peer: str, now: float) -> None:
        """One more has come, or is about to."""
        where = counted_address(peer)
        self._by_product.add(product_key, now)
        if where:
            self._by_address.add(where, now)


def create_device(
    tx: Tx, product_key: ProductKey, device_key: DeviceKey, secret: Secret, now_ms: int, *, who: str, peer: str
) -> Device | None:
    """A device that nobody knew, with a secret of its own; None when its product has no place left."""
    if not tx.products.take_place(product_key):
        return None
    new = Device(
        id=0,
        product_key=product_key,
        device_key=device_key,
        client_id=client_id(product_key, device_key),
        device_secret=secret,
        created_at=now_ms,
    )
    device = tx.devices.insert(new)
    note_enrolled(tx, device, "new", now_ms, who=who, peer=peer)
    return device


def note_enrolled(
    tx: Tx,
    device: Device,
    reason: str,
    now_ms: int,
    *,
    who: str,
    peer: str,
    lost_owners: Sequence[Uid] = (),
    is_reset: bool = False,
) -> None:
    """Keep in the audit log that a secret was issued, and who lost the device by that."""
    tx.audit.append(
        AuditEntry(
            at=now_ms,
            who=who,
            action="device.reset" if is_reset else "device.enrolled",
            product_key=device.product_key,
            device_key=device.device_key,
            peer=peer,
            details={"reason": reason, "epoch": device.epoch, "lost_owners": list(lost_owners)},
        )
    )
