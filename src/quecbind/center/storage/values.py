"""Rows of what devices reported: the last value of each property, and the reports as they came.

Nothing is stored of a device that has another epoch by now. The last owner takes all of it along: a trigger sees to it.
"""

import sqlite3
from collections.abc import Iterable

from quecbind.center.services.records import LastValue, Report

_IS_PRESENT = "SELECT 1 FROM devices WHERE id = ? AND epoch = ?"
_MERGE = """
    INSERT INTO last_values (device_id, property_id, epoch, at, shown_from, field) VALUES (?, ?, ?, ?, ?, ?)
    ON CONFLICT (device_id, property_id) DO UPDATE SET
        epoch = excluded.epoch, at = excluded.at, shown_from = excluded.shown_from, field = excluded.field
"""
_OF_DEVICE = """
    SELECT v.property_id, v.at, v.field FROM last_values v JOIN devices d ON d.id = v.device_id AND d.epoch = v.epoch
    WHERE v.device_id = ? AND v.shown_from >= ? ORDER BY v.property_id
"""
_NEXT = "SELECT coalesce(max(number), 0) + 1 FROM history WHERE device_id = ?"
_IS_OWNED = "SELECT 1 FROM owners WHERE device_id = ? LIMIT 1"
_APPEND = "INSERT INTO history (device_id, number, epoch, at, payload) VALUES (?, ?, ?, ?, ?)"
_CUT = "DELETE FROM history WHERE device_id = ? AND number <= ?"
_REPORTS = """
    FROM history h JOIN devices d ON d.id = h.device_id AND d.epoch = h.epoch
    WHERE h.device_id = ? AND h.at BETWEEN ? AND ?
"""
_PAGE = f"SELECT h.at, h.payload {_REPORTS} ORDER BY h.number DESC LIMIT ? OFFSET ?"
_COUNT = f"SELECT count(*) {_REPORTS}"
_SWEEP = """
    DELETE FROM history WHERE (device_id, number) IN (SELECT device_id, number FROM history WHERE at < ? LIMIT ?)
"""


class SqliteValues:
    """See `services.rows.ValueRows`."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def merge(self, device_id: int, epoch: int, at: int, values: Iterable[LastValue]) -> bool:
        if self._connection.execute(_IS_PRESENT, (device_id, epoch)).fetchone() is None:
            return False
        self._connection.executemany(
            _MERGE, [(device_id, value.property_id, epoch, at, at, value.field) for value in values]
        )
        return True

    def of_device(self, device_id: int, since: int) -> list[LastValue]:
        rows = self._connection.execute(_OF_DEVICE, (device_id, since))
        return [LastValue(property_id=row[0], at=row[1], field=row[2]) for row in rows]

    def append(self, device_id: int, epoch: int, at: int, payload: bytes, max_count: int) -> None:
        if self._connection.execute(_IS_OWNED, (device_id,)).fetchone() is None:
            return
        number = self._connection.execute(_NEXT, (device_id,)).fetchone()[0]
        self._connection.execute(_APPEND, (device_id, number, epoch, at, payload))
        if number > max_count:
            self._connection.execute(_CUT, (device_id, number - max_count))

    def page(self, device_id: int, since: int, until: int, offset: int, limit: int) -> tuple[list[Report], int]:
        rows = self._connection.execute(_PAGE, (device_id, since, until, limit, offset)).fetchall()
        count = self._connection.execute(_COUNT, (device_id, since, until)).fetchone()[0]
        return [Report(at=row[0], payload=row[1]) for row in rows], count

    def sweep(self, before: int, limit: int) -> int:
        return self._connection.execute(_SWEEP, (before, limit)).rowcount
