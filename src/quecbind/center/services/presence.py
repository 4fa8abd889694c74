"""Who is here: kept in memory, written down in batches, never a write for a log-in.

What is lost when the process dies is a few seconds of "last seen", nothing else.
"""

import asyncio
import logging

from quecbind.center.domain.moment import to_ms
from quecbind.center.services.changes import Changes, PresenceChanged
from quecbind.center.services.errors import StorageError
from quecbind.center.services.ports import Clock, Events, Storage
from quecbind.center.services.records import Presence as PresenceRecord
from quecbind.center.services.registry import DeviceEntry
from quecbind.center.services.rows import Tx

logger = logging.getLogger(__name__)

FLUSH_S = 2.0
MAX_BATCH = 5000


class Presence:
    """Told by the access layer when a session begins and ends, exactly once each."""

    def __init__(self, storage: Storage, *, clock: Clock, events: Events, changes: Changes) -> None:
        self._storage = storage
        self._clock = clock
        self._events = events
        self._changes = changes
        self._changed: dict[int, DeviceEntry] = {}
        self._timer: asyncio.TimerHandle | None = None
        self.online_count = 0

    def online(self, entry: DeviceEntry, peer: str) -> None:
        """A session of the device has begun."""
        entry.session_count += 1
        if entry.session_count == 1:
            self.online_count += 1
        entry.address = peer
        entry.last_online_at = to_ms(self._clock.now())
        self._events.publish("device.connected", client_id=entry.client_id, peer=peer)
        self._note(entry)
        self._tell(entry, is_online=True)

    def offline(self, entry: DeviceEntry) -> None:
        """A session of the device has ended."""
        if entry.session_count == 0:
            return
        entry.session_count -= 1
        if entry.session_count == 0:
            self.online_count -= 1
            entry.last_offline_at = to_ms(self._clock.now())
            self._events.publish("device.disconnected", client_id=entry.client_id)
            self._note(entry)
            self._tell(entry, is_online=False)

    def _tell(self, entry: DeviceEntry, *, is_online: bool) -> None:
        change = PresenceChanged(
            client_id=entry.client_id,
            product_key=entry.product_key,
            device_key=entry.device_key,
            is_online=is_online,
        )
        self._changes.tell([change])

    def _note(self, entry: DeviceEntry) -> None:
        self._changed[entry.id] = entry
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(FLUSH_S, self._flush)

    def _flush(self) -> "asyncio.Future[None]":
        self._timer = None
        batch = [
            PresenceRecord(
                device_id=entry.id,
                last_online_at=entry.last_online_at,
                last_offline_at=entry.last_offline_at,
                last_address=entry.address,
                recent_randoms=entry.recent_randoms if entry.product.replay_strict else None,
            )
            for entry in self._take()
        ]
        if self._changed:
            self._timer = asyncio.get_running_loop().call_later(FLUSH_S, self._flush)

        def work(tx: Tx) -> None:
            tx.devices.save_presence(batch)

        written = self._storage.transact(work)
        written.add_done_callback(_log_failure)
        return written

    def _take(self) -> list[DeviceEntry]:
        taken = list(self._changed.items())[:MAX_BATCH]
        for device_id, _ in taken:
            del self._changed[device_id]
        return [entry for _, entry in taken]

    async def close(self) -> None:
        """Write down what is left."""
        while self._changed:
            if self._timer is not None:
                self._timer.cancel()
            try:
                await self._flush()
            except StorageError:
                break
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def _log_failure(done: "asyncio.Future[None]") -> None:
    error = done.exception()
    if error is not None:
        logger.warning("presence.not_written reason=%s", error)
