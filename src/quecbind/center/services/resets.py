"""Resets that the last owner has ordered: the device is told, and only then may it enrol again.

The story: the owner leaves and asks for a reset; the device owes it from that commit on, in a new epoch. When it is
here, or as soon as it logs in with its secret, it is told to forget that secret, and for the next 15 minutes it may
enrol again, whatever its product's policy. Nobody who merely knows the product secret can use that before: learning of
the reset takes the device's own secret.
"""

import asyncio
from collections.abc import Callable

from quecbind.center.domain.audit import AuditEntry
from quecbind.center.domain.enrolment import APPROVAL_MS, is_approved
from quecbind.center.domain.moment import to_ms
from quecbind.center.services.links import Links
from quecbind.center.services.ports import Clock, Storage
from quecbind.center.services.registry import DeviceEntry
from quecbind.center.services.rows import Tx
from quecbind.wire import commands, ttlv

START_OVER = ttlv.encode([(commands.CONFIGURE_AUTHENTICATE, True)])


class Resets:
    """Tells devices that they owe a reset."""

    def __init__(self, storage: Storage, links: Links, clock: Clock) -> None:
        self._storage = storage
        self._links = links
        self._clock = clock

    def tell(self, entry: DeviceEntry) -> None:
        """The device has just come to owe a reset. It is told if it is here; its session ends with that."""
        if not self._links.is_online(entry.client_id):
            return

        def applied(may_enrol: bool) -> None:
            if may_enrol:
                self._links.send(entry.client_id, commands.CONFIGURE, START_OVER)
            # One that could not be told learns it with its next log-in.
            self._links.disconnect(entry.client_id, "reset ordered")

        self.let_enrol(entry, entry.address, applied)

    def let_enrol(
        self, entry: DeviceEntry, peer: str, applied: "Callable[[bool], None] | None" = None
    ) -> "asyncio.Future[bool]":
        """Let the device enrol again within 15 minutes, because it is being told now.

        False when it owes no reset any more, or has another secret. A device that asks again and again does not cost a
        write each time.
        """
        generation, client_id = entry.generation, entry.client_id
        now_ms = to_ms(self._clock.now())

        def work(tx: Tx) -> bool:
            device = tx.devices.get(client_id)
            if device is None or not device.owes_reset or device.generation != generation:
                return False
            if is_approved(device, now_ms) and is_approved(device, now_ms + APPROVAL_MS // 2):
                return True
            tx.devices.approve_until(device.id, now_ms + APPROVAL_MS)
            tx.audit.append(
                AuditEntry(
                    at=now_ms,
                    who="device",
                    action="device.reset_told",
                    product_key=device.product_key,
                    device_key=device.device_key,
                    peer=peer,
                )
            )
            return True

        return self._storage.transact(work, applied)
