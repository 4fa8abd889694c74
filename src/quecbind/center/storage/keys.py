"""Rows of operators' access keys and of the keys that sign tokens."""

import sqlite3
from typing import Any

from quecbind.center.services.records import AccessKey, SigningKey
from quecbind.center.storage.seal import Seal

_ACCESS = "SELECT id, name, created_at, revoked_at FROM access_keys"
_ACCESS_BY_MAC = f"{_ACCESS} WHERE key_mac = ?"
_ACCESS_GET = f"{_ACCESS} WHERE id = ?"
_ACCESS_PAGE = f"{_ACCESS} ORDER BY created_at, id LIMIT ? OFFSET ?"
_ACCESS_COUNT = "SELECT count(*) FROM access_keys"
_ACCESS_INSERT = "INSERT INTO access_keys (id, name, key_mac, created_at) VALUES (?, ?, ?, ?)"
_ACCESS_REVOKE = "UPDATE access_keys SET revoked_at = ? WHERE id = ? AND revoked_at IS NULL"

_SIGNING_ALL = "SELECT kid, private_key, public_key, created_at FROM signing_keys ORDER BY created_at DESC, kid"
_SIGNING_INSERT = "INSERT INTO signing_keys (kid, private_key, public_key, created_at) VALUES (?, ?, ?, ?)"


class SqliteAccessKeys:
    """See `services.rows.AccessKeyRows`."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def by_mac(self, key_mac: bytes) -> AccessKey | None:
        return _access_key(self._connection.execute(_ACCESS_BY_MAC, (key_mac,)).fetchone())

    def get(self, key_id: str) -> AccessKey | None:
        return _access_key(self._connection.execute(_ACCESS_GET, (key_id,)).fetchone())

    def page(self, offset: int, limit: int) -> tuple[list[AccessKey], int]:
        rows = self._connection.execute(_ACCESS_PAGE, (limit, offset)).fetchall()
        keys = [key for row in rows if (key := _access_key(row)) is not None]
        return keys, self._connection.execute(_ACCESS_COUNT).fetchone()[0]

    def insert(self, key: AccessKey, key_mac: bytes) -> None:
        self._connection.execute(_ACCESS_INSERT, (key.id, key.name, key_mac, key.created_at))

    def revoke(self, key_id: str, at: int) -> bool:
        return self._connection.execute(_ACCESS_REVOKE, (at, key_id)).rowcount == 1


class SqliteSigningKeys:
    """See `services.rows.SigningKeyRows`."""

    def __init__(self, connection: sqlite3.Connection, seal: Seal) -> None:
        self._connection = connection
        self._seal = seal

    def all(self) -> list[SigningKey]:
        return [
            SigningKey(
                kid=row[0], private_key=self._seal.open(row[1], _place(row[0])), public_key=row[2], created_at=row[3]
            )
            for row in self._connection.execute(_SIGNING_ALL)
        ]

    def insert(self, key: SigningKey) -> None:
        sealed = self._seal.seal(key.private_key, _place(key.kid))
        self._connection.execute(_SIGNING_INSERT, (key.kid, sealed, key.public_key, key.created_at))


def _access_key(row: tuple[Any, ...] | None) -> AccessKey | None:
    return None if row is None else AccessKey(id=row[0], name=row[1], created_at=row[2], revoked_at=row[3])


def _place(kid: str) -> str:
    return f"signing_keys/private_key/{kid}"
