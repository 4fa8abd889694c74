"""Rows of owners: who controls which device."""

import json
import sqlite3
from typing import Any

from quecbind.center.domain.binding import UsedCode
from quecbind.center.domain.ids import DeviceKey, Secret, Uid
from quecbind.center.services.records import OwnedRow, Owner
from quecbind.center.services.views import DeviceFilter
from quecbind.center.storage.devices import FACT_COLUMNS, facts, open_auth_key
from quecbind.center.storage.seal import Seal
from quecbind.center.storage.shares import open_share_code

_COLUMNS = """
    o.device_id, o.product_key, o.bind_mode, o.uid, o.user_domain, o.epoch, o.device_name, o.capabilities,
    o.binding_type, o.bound_at
"""
_SIZE = 10
_OF_DEVICE = f"""
    SELECT {_COLUMNS}, u.email FROM owners o JOIN users u ON u.uid = o.uid WHERE o.device_id = ? ORDER BY o.bound_at
"""  # noqa: S608
_GET = f"SELECT {_COLUMNS} FROM owners o WHERE o.device_id = ? AND o.uid = ?"  # noqa: S608
_INSERT = """
    INSERT INTO owners (
        device_id, product_key, bind_mode, uid, user_domain, epoch, device_name, capabilities, binding_type, bound_at
    ) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
_DELETE = "DELETE FROM owners WHERE device_id = ? AND uid = ?"
_DELETE_ALL = "DELETE FROM owners WHERE device_id = ?"
_RENAME = "UPDATE owners SET device_name = ? WHERE device_id = ? AND uid = ?"
_NOTE_CODE = "UPDATE owners SET code_mac = ?, code_used_at = ? WHERE device_id = ? AND uid = ?"
_USED_CODE = "SELECT code_mac, code_used_at FROM owners WHERE device_id = ? AND uid = ? AND code_mac IS NOT NULL"
_NOTE_BLE_USE = "UPDATE owners SET ble_used_at = ? WHERE device_id = ? AND uid = ?"
_IS_GRANTED = """
    s.accepted_at IS NOT NULL
    AND (s.sharing_expires_at IS NULL OR (s.accepted_at <= :now AND :now < s.sharing_expires_at))
"""
# What a user owns, and what they use by a share that is still good. Whoever owns a device needs no share of it.
_HOLDS = f"""
    SELECT {_COLUMNS}, o.uid AS owner_uid, NULL AS code, NULL AS code_mac, NULL AS sharing_expires_at, o.ble_used_at
    FROM owners o WHERE o.uid = :uid
    UNION ALL
    SELECT o.device_id, o.product_key, o.bind_mode, s.member_uid, o.user_domain, o.epoch, s.device_name, o.capabilities,
        o.binding_type, s.accepted_at, s.owner_uid, s.code, s.code_mac, s.sharing_expires_at, NULL
    FROM shares s JOIN owners o ON o.device_id = s.device_id AND o.uid = s.owner_uid
    WHERE s.member_uid = :uid AND {_IS_GRANTED}
        AND NOT EXISTS (SELECT 1 FROM owners own WHERE own.device_id = s.device_id AND own.uid = s.member_uid)
"""  # noqa: S608
_HELD = f"""
    FROM ({_HOLDS}) o JOIN devices d ON d.id = o.device_id JOIN products p ON p.product_key = o.product_key
"""
_SHARE_SIZE = 6
# The longest of the holds a user has now counts: somebody may hold several shares, or own the device too by now.
_HELD_SINCE = f"""
    min(o.bound_at, coalesce((
        SELECT min(s.accepted_at) FROM shares s
        WHERE s.member_uid = :uid AND s.device_id = o.device_id AND {_IS_GRANTED}
    ), o.bound_at))
"""  # noqa: S608
_HELD_COLUMNS = f"""
    SELECT {_COLUMNS}, o.owner_uid, o.code, o.code_mac, o.sharing_expires_at, o.ble_used_at, {_HELD_SINCE},
        d.device_key, d.is_active, d.auth_key, p.name, {FACT_COLUMNS}
"""
_HELD_ONE = (
    f"{_HELD_COLUMNS} {_HELD} WHERE d.client_id = :client_id ORDER BY coalesce(o.sharing_expires_at, 1e18) DESC LIMIT 1"
)
_FILTER = """
    WHERE (:name IS NULL OR instr(lower(o.device_name), lower(:name)) > 0)
    AND (:device_key IS NULL OR d.device_key = :device_key)
    AND (:product_keys = '[]' OR o.product_key IN (SELECT value FROM json_each(:product_keys)))
"""
_PAGE = f"{_HELD_COLUMNS} {_HELD} {_FILTER} ORDER BY o.bound_at DESC, o.device_id DESC LIMIT :limit OFFSET :offset"
_COUNT = f"SELECT count(*) {_HELD} {_FILTER}"


class SqliteOwners:
    """See `services.rows.OwnerRows`."""

    def __init__(self, connection: sqlite3.Connection, seal: Seal) -> None:
        self._connection = connection
        self._seal = seal

    def of_device(self, device_id: int) -> list[Owner]:
        return [_owner(row, row[_SIZE]) for row in self._connection.execute(_OF_DEVICE, (device_id,))]

    def get(self, device_id: int, uid: Uid) -> Owner | None:
        row = self._connection.execute(_GET, (device_id, uid)).fetchone()
        return None if row is None else _owner(row)

    def insert(self, owner: Owner) -> None:
        self._connection.execute(
            _INSERT,
            (
                owner.device_id,
                owner.product_key,
                owner.bind_mode,
                owner.uid,
                owner.user_domain,
                owner.epoch,
                owner.device_name,
                owner.capabilities,
                owner.binding_type,
                owner.bound_at,
            ),
        )

    def delete(self, device_id: int, uid: Uid) -> bool:
        return self._connection.execute(_DELETE, (device_id, uid)).rowcount == 1

    def delete_all(self, device_id: int) -> list[Owner]:
        owners = self.of_device(device_id)
        self._connection.execute(_DELETE_ALL, (device_id,))
        return owners

    def rename(self, device_id: int, uid: Uid, name: str) -> bool:
        return self._connection.execute(_RENAME, (name, device_id, uid)).rowcount == 1

    def note_ble_use(self, device_id: int, uid: Uid, at: int) -> bool:
        return self._connection.execute(_NOTE_BLE_USE, (at, device_id, uid)).rowcount == 1

    def used_code(self, device_id: int, uid: Uid) -> UsedCode | None:
        row = self._connection.execute(_USED_CODE, (device_id, uid)).fetchone()
        return None if row is None else UsedCode(*row)

    def note_code(self, device_id: int, uid: Uid, used: UsedCode) -> None:
        self._connection.execute(_NOTE_CODE, (used.code_mac, used.used_at, device_id, uid))

    def held(self, uid: Uid, client_id: str, now_ms: int) -> OwnedRow | None:
        row = self._connection.execute(_HELD_ONE, {"uid": uid, "client_id": client_id, "now": now_ms}).fetchone()
        return None if row is None else self._held(row)

    def page_held(
        self, uid: Uid, filters: DeviceFilter, offset: int, limit: int, now_ms: int
    ) -> tuple[list[OwnedRow], int]:
        values = {
            "now": now_ms,
            "uid": uid,
            "name": filters.name or None,
            "device_key": filters.device_key or None,
            "product_keys": json.dumps(filters.product_keys),
            "offset": offset,
            "limit": limit,
        }
        rows = self._connection.execute(_PAGE, values).fetchall()
        count = self._connection.execute(_COUNT, values).fetchone()[0]
        return [self._held(row) for row in rows], count

    def _held(self, row: tuple[Any, ...]) -> OwnedRow:
        owner_uid, code, code_mac, sharing_expires_at, ble_used_at, held_since = row[_SIZE : _SIZE + _SHARE_SIZE]
        rest = row[_SIZE + _SHARE_SIZE :]
        device_key, is_active, sealed, product_name = rest[:4]
        return OwnedRow(
            owner=_owner(row),
            owner_uid=owner_uid,
            held_since=held_since,
            share_code=None if code is None else open_share_code(self._seal, code, code_mac),
            sharing_expires_at=sharing_expires_at,
            device_key=DeviceKey(device_key),
            product_name=product_name,
            is_active=bool(is_active),
            auth_key=open_auth_key(self._seal, row[0], sealed) or Secret(""),
            facts=facts(rest[4:], held_since),
            ble_used_at=ble_used_at,
        )


def _owner(row: tuple[Any, ...], email: str = "") -> Owner:
    return Owner(
        device_id=row[0],
        product_key=row[1],
        bind_mode=row[2],
        uid=row[3],
        user_domain=row[4],
        epoch=row[5],
        device_name=row[6],
        capabilities=row[7],
        binding_type=row[8],
        bound_at=row[9],
        email=email,
    )
