"""Rows of downlinks: commands that wait for devices that are away.

A row hangs on the ownership or on the share by which its user may control the device: the database takes it away with
that, in the transaction that ends the right. An ownership ends before the device's epoch grows, so none outlives it.
"""

import sqlite3
from collections.abc import Iterator
from typing import Any

from quecbind.center.domain.ids import ClientId, Uid
from quecbind.center.services.records import KeptDownlink

_COLUMNS = "id, device_id, uid, share_id, kind, payload, ticket, queued_at, expires_at"
_INSERT = """
    INSERT INTO downlinks (device_id, uid, owner_uid, share_id, kind, payload, ticket, queued_at, expires_at)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
_OF_USER = f"SELECT {_COLUMNS} FROM downlinks WHERE uid = ? AND device_id = ? AND expires_at > ? ORDER BY id"  # noqa: S608
_COUNT = "SELECT count(*) FROM downlinks WHERE uid = ? AND expires_at > ?"
_DUE = f"""
    SELECT {_COLUMNS} FROM downlinks WHERE device_id = ? AND id > ? AND expires_at > ? ORDER BY id LIMIT ?
"""  # noqa: S608
_DEVICES = "SELECT DISTINCT d.client_id FROM downlinks w JOIN devices d ON d.id = w.device_id"


class SqliteDownlinks:
    """See `services.rows.DownlinkRows`."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def devices(self) -> Iterator[ClientId]:
        return (ClientId(row[0]) for row in self._connection.execute(_DEVICES))

    def of_user(self, uid: Uid, device_id: int, now_ms: int) -> list[KeptDownlink]:
        return [_kept(row) for row in self._connection.execute(_OF_USER, (uid, device_id, now_ms))]

    def count_of_user(self, uid: Uid, now_ms: int) -> int:
        count: int = self._connection.execute(_COUNT, (uid, now_ms)).fetchone()[0]
        return count

    def due(self, device_id: int, after_id: int, now_ms: int, limit: int) -> list[KeptDownlink]:
        return [_kept(row) for row in self._connection.execute(_DUE, (device_id, after_id, now_ms, limit))]

    def insert(self, kept: KeptDownlink) -> None:
        self._connection.execute(
            _INSERT,
            (
                kept.device_id,
                kept.uid,
                kept.uid if kept.share_id is None else None,
                kept.share_id,
                kept.kind,
                kept.payload,
                kept.ticket,
                kept.queued_at,
                kept.expires_at,
            ),
        )

    def set_payload(self, downlink_id: int, payload: bytes) -> None:
        self._connection.execute("UPDATE downlinks SET payload = ? WHERE id = ?", (payload, downlink_id))

    def delete(self, downlink_id: int) -> None:
        self._connection.execute("DELETE FROM downlinks WHERE id = ?", (downlink_id,))

    def delete_over(self, uid: Uid, device_id: int, now_ms: int) -> int:
        done = self._connection.execute(
            "DELETE FROM downlinks WHERE (uid = ? OR device_id = ?) AND expires_at <= ?", (uid, device_id, now_ms)
        )
        return done.rowcount

    def delete_of_user(self, uid: Uid) -> None:
        self._connection.execute("DELETE FROM downlinks WHERE uid = ?", (uid,))


def _kept(row: tuple[Any, ...]) -> KeptDownlink:
    return KeptDownlink(
        id=row[0],
        device_id=row[1],
        uid=Uid(row[2]),
        share_id=row[3],
        kind=row[4],
        payload=row[5],
        ticket=row[6],
        queued_at=row[7],
        expires_at=row[8],
    )
