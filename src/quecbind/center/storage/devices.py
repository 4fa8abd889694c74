"""Rows of devices: their secrets, bind windows, and what they last told about themselves."""

import json
import sqlite3
from collections.abc import Iterable, Iterator
from typing import Any

from quecbind.center.domain.binding import Window
from quecbind.center.domain.device import DEVICE_SECRET_LENGTH, NO_AUTH_KEY, WHAT_IT_IS, Device, DeviceFacts, shown
from quecbind.center.domain.ids import ClientId, DeviceKey, ProductKey, Secret
from quecbind.center.services.records import DeviceRow, Presence
from quecbind.center.storage.seal import Seal

_STATE = """
    d.id, d.product_key, d.device_key, d.client_id, d.device_secret, d.is_active, d.disabled_at, d.epoch, d.generation,
    d.approved_until, d.bind_code_mac, d.bind_window_end, d.recent_randoms, d.created_at, d.owes_reset, d.auth_key,
    d.bind_window_opened_at
"""
_FACTS = """
    d.last_online_at, d.last_offline_at, d.last_address, d.status, d.info,
    (SELECT s.serial FROM serials s WHERE s.device_id = d.id), d.status_shown_from, d.info_shown_from
"""
_ALL = f"SELECT {_STATE} FROM devices d ORDER BY d.id"  # noqa: S608
_GET = f"SELECT {_STATE} FROM devices d WHERE d.client_id = ?"  # noqa: S608
_BY_ID = f"SELECT {_STATE} FROM devices d WHERE d.id = ?"  # noqa: S608
_BY_SERIAL = f"""
    SELECT {_STATE} FROM devices d JOIN serials s ON s.device_id = d.id WHERE s.product_key = ? AND s.serial = ?
"""  # noqa: S608
_SET_SERIAL = "INSERT INTO serials (device_id, product_key, serial) VALUES (?, ?, ?) ON CONFLICT DO NOTHING"
_SERIAL = "SELECT serial FROM serials WHERE device_id = ?"
_ROW = f"SELECT {_STATE}, {_FACTS} FROM devices d WHERE d.client_id = ?"  # noqa: S608
_PAGE = f"SELECT {_STATE}, {_FACTS} FROM devices d ORDER BY d.id LIMIT ? OFFSET ?"  # noqa: S608
_PAGE_OF_PRODUCT = f"""
    SELECT {_STATE}, {_FACTS} FROM devices d WHERE d.product_key = ? ORDER BY d.device_key LIMIT ? OFFSET ?
"""  # noqa: S608
_COUNT = "SELECT count(*) FROM devices"
_COUNT_OF_PRODUCT = "SELECT device_count FROM products WHERE product_key = ?"
_INSERT = """
    INSERT INTO devices (product_key, device_key, device_secret, is_active, epoch, generation, created_at, issued_at)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?)
"""
_INSERT_NEW = f"{_INSERT} ON CONFLICT (client_id) DO NOTHING RETURNING id"
_DELETE = "DELETE FROM devices WHERE id = ?"
_FORGET_USED = "used_code_mac = NULL, used_window_opened_at = NULL, used_window_end = NULL"
# What the next owner must not find, whatever ends an epoch.
_END_EPOCH = """
    epoch = epoch + 1, approved_until = NULL, bind_code_mac = NULL, bind_window_opened_at = NULL,
    bind_window_end = NULL, status = '{}', status_shown_from = '{}', info = '{}', info_shown_from = '{}'
"""
_ISSUE = f"""
    UPDATE devices SET {_END_EPOCH}, device_secret = ?, issued_at = ?, is_active = 0, generation = generation + 1,
        bind_secret = NULL, auth_key = NULL, owes_reset = 0, {_FORGET_USED}
    WHERE id = ?
"""  # noqa: S608
_OWE_RESET = f"""
    UPDATE devices SET {_END_EPOCH}, owes_reset = 1, bind_secret = NULL, {_FORGET_USED} WHERE id = ?
"""  # noqa: S608
_CHANGE_HANDS = f"UPDATE devices SET {_END_EPOCH} WHERE id = ?"  # noqa: S608
_FORGET_VALUES = "DELETE FROM last_values WHERE device_id = ?"
_ACTIVATE = "UPDATE devices SET is_active = 1 WHERE id = ? AND generation = ?"
_SET_DISABLED = "UPDATE devices SET disabled_at = ? WHERE id = ?"
_APPROVE = "UPDATE devices SET approved_until = ? WHERE id = ?"
_OPEN_WINDOW = """
    UPDATE devices SET
        bind_code_mac = ?, bind_window_opened_at = ?, bind_window_end = ?, bind_secret = coalesce(?, bind_secret)
    WHERE id = ? AND epoch = ?
"""
_CLOSED = "bind_code_mac = NULL, bind_window_opened_at = NULL, bind_window_end = NULL"
_CLOSE_WINDOW = f"UPDATE devices SET {_CLOSED} WHERE id = ? AND epoch = ?"  # noqa: S608
_USE_WINDOW = f"""
    UPDATE devices SET
        used_code_mac = bind_code_mac, used_window_opened_at = bind_window_opened_at, used_window_end = bind_window_end,
        {_CLOSED}
    WHERE id = ? AND bind_code_mac IS NOT NULL
"""  # noqa: S608
_USED_WINDOW = "SELECT used_code_mac, used_window_end, used_window_opened_at FROM devices WHERE id = ?"
_USE_PROOF = "INSERT INTO reset_proofs (device_id, digest) VALUES (?, ?)"
_IS_PROOF_USED = "SELECT 1 FROM reset_proofs WHERE device_id = ? AND digest = ?"
_SET_AUTH_KEY = "UPDATE devices SET auth_key = ? WHERE id = ?"
_AUTH_KEY = "SELECT auth_key FROM devices WHERE id = ?"
_PUT_BOND = "UPDATE devices SET bind_secret = ? WHERE id = ?"
_BOND = "SELECT bind_secret FROM devices WHERE id = ?"
_CLAIM_BOND = "INSERT INTO ble_secrets (product_key, secret_mac, device_id) VALUES (?, ?, ?) ON CONFLICT DO NOTHING"
_BOND_HOLDER = "SELECT device_id FROM ble_secrets WHERE product_key = ? AND secret_mac = ?"
_MERGE = """
    UPDATE devices SET {what} = json_patch({what}, :values), {what}_shown_from = json_patch(
        {what}_shown_from, (SELECT json_group_object(key, :at) FROM json_each(:values))
    )
    WHERE id = :id AND epoch = :epoch
"""
_MERGE_STATUS, _MERGE_INFO = _MERGE.format(what="status"), _MERGE.format(what="info")
_PRESENCE = """
    UPDATE devices SET
        last_online_at = coalesce(?, last_online_at), last_offline_at = coalesce(?, last_offline_at), last_address = ?,
        recent_randoms = coalesce(?, recent_randoms)
    WHERE id = ?
"""

FACT_COLUMNS = _FACTS
_STATE_SIZE = 17


class SqliteDevices:
    """See `services.rows.DeviceRows`."""

    def __init__(self, connection: sqlite3.Connection, seal: Seal) -> None:
        self._connection = connection
        self._seal = seal
        decoy = seal.seal(Secret("0" * DEVICE_SECRET_LENGTH), _place("device_secret", "decoy"))
        self._decoy_key = seal.seal(NO_AUTH_KEY, _place("auth_key", 0))
        self._decoy = (0, "", "", "decoy", decoy, 1, None, 1, 1, None, None, None, b"", 0, 0, None, None)

    def all(self) -> Iterator[Device]:
        for row in self._connection.execute(_ALL):
            yield self._device(row)

    def get(self, client_id: str) -> Device | None:
        row = self._connection.execute(_GET, (client_id,)).fetchone()
        if row is None:
            # Whoever asks for a device that does not exist must not have the answer sooner.
            self._device(self._decoy)
            return None
        return self._device(row)

    def by_id(self, device_id: int) -> Device | None:
        row = self._connection.execute(_BY_ID, (device_id,)).fetchone()
        return None if row is None else self._device(row)

    def by_serial(self, product_key: str, serial: str) -> Device | None:
        row = self._connection.execute(_BY_SERIAL, (product_key, serial)).fetchone()
        return None if row is None else self._device(row)

    def set_serial(self, device: Device, serial: str) -> bool:
        if self._connection.execute(_SET_SERIAL, (device.id, device.product_key, serial)).rowcount == 1:
            return True
        present = self._connection.execute(_SERIAL, (device.id,)).fetchone()
        return present is not None and present[0] == serial

    def row(self, client_id: str) -> DeviceRow | None:
        row = self._connection.execute(_ROW, (client_id,)).fetchone()
        return None if row is None else self._device_row(row)

    def page(self, offset: int, limit: int, product_key: str | None) -> tuple[list[DeviceRow], int]:
        if product_key is None:
            rows = self._connection.execute(_PAGE, (limit, offset)).fetchall()
            count = self._connection.execute(_COUNT).fetchone()
        else:
            rows = self._connection.execute(_PAGE_OF_PRODUCT, (product_key, limit, offset)).fetchall()
            count = self._connection.execute(_COUNT_OF_PRODUCT, (product_key,)).fetchone()
        return [self._device_row(row) for row in rows], 0 if count is None else count[0]

    def insert(self, device: Device) -> Device:
        done = self._connection.execute(_INSERT, self._values(device))
        assert done.lastrowid is not None
        return _stored(device, done.lastrowid)

    def insert_many(self, devices: Iterable[Device]) -> list[Device]:
        inserted = []
        for device in devices:
            row = self._connection.execute(_INSERT_NEW, self._values(device)).fetchone()
            if row is not None:
                inserted.append(_stored(device, row[0]))
        return inserted

    def delete(self, device_id: int) -> None:
        self._connection.execute(_DELETE, (device_id,))

    def issue(self, device_id: int, secret: Secret, now_ms: int) -> Device:
        client_id = self._connection.execute(_BY_ID, (device_id,)).fetchone()[3]
        sealed = self._seal.seal(secret, _place("device_secret", client_id))
        self._connection.execute(_ISSUE, (sealed, now_ms, device_id))
        return self._device(self._connection.execute(_BY_ID, (device_id,)).fetchone())

    def owe_reset(self, device_id: int) -> Device:
        self._connection.execute(_OWE_RESET, (device_id,))
        return self._device(self._connection.execute(_BY_ID, (device_id,)).fetchone())

    def change_hands(self, device_id: int) -> Device:
        self._connection.execute(_CHANGE_HANDS, (device_id,))
        self._connection.execute(_FORGET_VALUES, (device_id,))
        return self._device(self._connection.execute(_BY_ID, (device_id,)).fetchone())

    def activate(self, device_id: int, generation: int) -> bool:
        return self._connection.execute(_ACTIVATE, (device_id, generation)).rowcount == 1

    def set_disabled(self, device_id: int, at: int | None) -> None:
        self._connection.execute(_SET_DISABLED, (at, device_id))

    def approve_until(self, device_id: int, until: int) -> None:
        self._connection.execute(_APPROVE, (until, device_id))

    def open_window(self, device_id: int, epoch: int, window: Window, bind_secret: Secret | None) -> bool:
        sealed = None if bind_secret is None else self._seal.seal(bind_secret, _place("bind_secret", device_id))
        values = (window.code_mac, window.opened_ms, window.end_ms, sealed, device_id, epoch)
        return self._connection.execute(_OPEN_WINDOW, values).rowcount == 1

    def close_window(self, device_id: int, epoch: int) -> bool:
        return self._connection.execute(_CLOSE_WINDOW, (device_id, epoch)).rowcount == 1

    def use_window(self, device_id: int) -> None:
        self._connection.execute(_USE_WINDOW, (device_id,))

    def used_window(self, device_id: int) -> Window | None:
        row = self._connection.execute(_USED_WINDOW, (device_id,)).fetchone()
        return None if row is None or row[0] is None else Window(*row)

    def use_proof(self, device_id: int, digest: bytes) -> None:
        self._connection.execute(_USE_PROOF, (device_id, digest))

    def is_proof_used(self, device_id: int, digest: bytes) -> bool:
        return self._connection.execute(_IS_PROOF_USED, (device_id, digest)).fetchone() is not None

    def set_auth_key(self, device_id: int, auth_key: Secret | None) -> None:
        sealed = None if auth_key is None else self._seal.seal(auth_key, _place("auth_key", device_id))
        self._connection.execute(_SET_AUTH_KEY, (sealed, device_id))

    def auth_key(self, device_id: int) -> Secret | None:
        row = self._connection.execute(_AUTH_KEY, (device_id,)).fetchone()
        return None if row is None else open_auth_key(self._seal, device_id, row[0])

    def set_bind_secret(self, device_id: int, bind_secret: Secret | None) -> None:
        sealed = None if bind_secret is None else self._seal.seal(bind_secret, _place("bind_secret", device_id))
        self._connection.execute(_PUT_BOND, (sealed, device_id))

    def is_bind_secret_of_another(self, product_key: ProductKey, secret_mac: bytes, device_id: int | None) -> bool:
        row = self._connection.execute(_BOND_HOLDER, (product_key, secret_mac)).fetchone()
        return row is not None and row[0] != device_id

    def claim_bind_secret(self, device: Device, secret_mac: bytes) -> None:
        self._connection.execute(_CLAIM_BOND, (device.product_key, secret_mac, device.id))

    def bind_secret(self, device_id: int) -> Secret | None:
        row = self._connection.execute(_BOND, (device_id,)).fetchone()
        return None if row is None or row[0] is None else self._seal.open(row[0], _place("bind_secret", device_id))

    def merge_status(self, device_id: int, epoch: int, at: int, values: str) -> bool:
        return self._merge(_MERGE_STATUS, device_id, epoch, at, values)

    def merge_info(self, device_id: int, epoch: int, at: int, values: str) -> bool:
        return self._merge(_MERGE_INFO, device_id, epoch, at, values)

    def _merge(self, statement: str, device_id: int, epoch: int, at: int, values: str) -> bool:
        merged = {"id": device_id, "epoch": epoch, "at": at, "values": values}
        return self._connection.execute(statement, merged).rowcount == 1

    def save_presence(self, presences: Iterable[Presence]) -> None:
        self._connection.executemany(
            _PRESENCE,
            [
                (one.last_online_at, one.last_offline_at, one.last_address, one.recent_randoms, one.device_id)
                for one in presences
            ],
        )

    def _values(self, device: Device) -> tuple[object, ...]:
        return (
            device.product_key,
            device.device_key,
            self._seal.seal(device.device_secret, _place("device_secret", device.client_id)),
            device.is_active,
            device.epoch,
            device.generation,
            device.created_at,
            device.created_at,
        )

    def _device(self, row: tuple[Any, ...]) -> Device:
        return Device(
            id=row[0],
            product_key=ProductKey(row[1]),
            device_key=DeviceKey(row[2]),
            client_id=ClientId(row[3]),
            device_secret=self._seal.open(row[4], _place("device_secret", row[3])),
            is_active=bool(row[5]),
            disabled_at=row[6],
            epoch=row[7],
            generation=row[8],
            approved_until=row[9],
            bind_code_mac=row[10],
            bind_window_end=row[11],
            recent_randoms=row[12],
            created_at=row[13],
            owes_reset=bool(row[14]),
            auth_key=self._auth_key(row[0], row[15]),
            bind_window_opened_at=row[16],
        )

    def _auth_key(self, device_id: int, sealed: bytes | None) -> Secret | None:
        """None for a device without one, and no sooner than for one that has it."""
        found = open_auth_key(self._seal, device_id if sealed else 0, sealed or self._decoy_key)
        return found if sealed else None

    def _device_row(self, row: tuple[Any, ...]) -> DeviceRow:
        return DeviceRow(device=self._device(row[:_STATE_SIZE]), facts=facts(row[_STATE_SIZE:]))


def _stored(device: Device, device_id: int) -> Device:
    """A new device with its id. `dataclasses.replace` costs as much as the INSERT, which imports would feel."""
    return Device(
        id=device_id,
        product_key=device.product_key,
        device_key=device.device_key,
        client_id=device.client_id,
        device_secret=device.device_secret,
        is_active=device.is_active,
        epoch=device.epoch,
        generation=device.generation,
        created_at=device.created_at,
    )


def facts(row: tuple[Any, ...], held_since: int | None = None) -> DeviceFacts:
    """What `FACT_COLUMNS` hold, for who holds the device since then; all of it (None) for operators.

    Whether the device is online is not stored: the services know.
    """
    status, info = json.loads(row[3]), json.loads(row[4])
    if held_since is not None:
        status = shown(status, json.loads(row[6]), held_since)
        info = shown(info, json.loads(row[7]), held_since, WHAT_IT_IS)
    return DeviceFacts(
        is_online=False,
        last_online_at=row[0],
        last_offline_at=row[1],
        last_address=row[2],
        status=status,
        info=info,
        serial=row[5],
    )


def open_auth_key(seal: Seal, device_id: int, sealed: bytes | None) -> Secret | None:
    """The auth key of a device, None when it has none."""
    return None if sealed is None else seal.open(sealed, _place("auth_key", device_id))


def _place(column: str, row: str | int) -> str:
    return f"devices/{column}/{row}"
