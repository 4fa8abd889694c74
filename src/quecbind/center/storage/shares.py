"""Rows of shares: who was invited by whom, and who may use what."""

import sqlite3
from typing import Any

from quecbind.center.domain.ids import ClientId, DeviceKey, ProductKey, Secret, Uid, UserDomain
from quecbind.center.domain.sharing import Share
from quecbind.center.services.records import Member
from quecbind.center.storage.seal import Seal

_COLUMNS = """
    s.id, s.code, s.code_mac, s.device_id, s.owner_uid, s.member_uid, s.accepted_at, s.cover_mark,
    s.accepting_expires_at, s.sharing_expires_at, s.device_name, s.created_at
"""
_SELECT = f"SELECT {_COLUMNS} FROM shares s"  # noqa: S608
_BY_CODE = f"{_SELECT} WHERE s.code_mac = ?"
_OF_OWNER = f"{_SELECT} WHERE s.device_id = ? AND s.owner_uid = ? ORDER BY s.id"
_INVITATIONS = f"{_SELECT} WHERE s.owner_uid = ? AND s.accepted_at IS NULL ORDER BY s.id"
_GRANT_COUNT = """
    SELECT count(*) FROM shares
    WHERE device_id = :device_id AND accepted_at IS NOT NULL
        AND (sharing_expires_at IS NULL OR (accepted_at <= :now_ms AND sharing_expires_at > :now_ms))
"""
_OF_MEMBER = f"{_SELECT} WHERE s.member_uid = ? AND s.device_id = ? AND s.accepted_at IS NOT NULL ORDER BY s.id"
_INSERT = """
    INSERT INTO shares (code_mac, code, device_id, owner_uid, member_uid, cover_mark, accepting_expires_at,
        sharing_expires_at, device_name, created_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
_MEMBERS = """
    SELECT s.id, s.device_id, d.client_id, d.product_key, d.device_key, s.member_uid, u.user_domain
    FROM shares s JOIN devices d ON d.id = s.device_id JOIN users u ON u.uid = s.member_uid
    WHERE s.accepted_at IS NOT NULL
"""
_GRANTED_BY = f"{_MEMBERS} AND s.device_id = ? AND (? IS NULL OR s.owner_uid = ?)"
_OVER = f"{_MEMBERS} AND s.sharing_expires_at <= ? ORDER BY s.sharing_expires_at LIMIT ?"


class SqliteShares:
    """See `services.rows.ShareRows`."""

    def __init__(self, connection: sqlite3.Connection, seal: Seal) -> None:
        self._connection = connection
        self._seal = seal

    def by_code(self, code_mac: bytes) -> Share | None:
        row = self._connection.execute(_BY_CODE, (code_mac,)).fetchone()
        return None if row is None else self._share(row)

    def of_owner(self, device_id: int, owner_uid: Uid) -> list[Share]:
        return [self._share(row) for row in self._connection.execute(_OF_OWNER, (device_id, owner_uid))]

    def invitations_of(self, owner_uid: Uid) -> list[Share]:
        return [self._share(row) for row in self._connection.execute(_INVITATIONS, (owner_uid,))]

    def grant_count(self, device_id: int, now_ms: int) -> int:
        return int(self._connection.execute(_GRANT_COUNT, {"device_id": device_id, "now_ms": now_ms}).fetchone()[0])

    def of_member(self, device_id: int, member_uid: Uid) -> list[Share]:
        return [self._share(row) for row in self._connection.execute(_OF_MEMBER, (member_uid, device_id))]

    def granted_by(self, device_id: int, owner_uid: Uid | None = None) -> list[Member]:
        rows = self._connection.execute(_GRANTED_BY, (device_id, owner_uid, owner_uid))
        return [_member(row) for row in rows]

    def over(self, now_ms: int, limit: int) -> list[Member]:
        return [_member(row) for row in self._connection.execute(_OVER, (now_ms, limit))]

    def insert(self, share: Share, code_mac: bytes) -> None:
        self._connection.execute(
            _INSERT,
            (
                code_mac,
                self._seal.seal(share.code, _place(code_mac)),
                share.device_id,
                share.owner_uid,
                share.member_uid,
                share.cover_mark,
                share.accepting_expires_at,
                share.sharing_expires_at,
                share.device_name,
                share.created_at,
            ),
        )

    def accept(self, share_id: int, member_uid: Uid, device_name: str, at: int) -> None:
        self._connection.execute(
            "UPDATE shares SET member_uid = ?, device_name = ?, accepted_at = ? WHERE id = ?",
            (member_uid, device_name, at, share_id),
        )

    def set_expiry(self, share_id: int, at: int) -> None:
        self._connection.execute("UPDATE shares SET sharing_expires_at = ? WHERE id = ?", (at, share_id))

    def rename(self, share_id: int, name: str) -> None:
        self._connection.execute("UPDATE shares SET device_name = ? WHERE id = ?", (name, share_id))

    def delete(self, share_id: int) -> None:
        self._connection.execute("DELETE FROM shares WHERE id = ?", (share_id,))

    def delete_of_member(self, member_uid: Uid) -> None:
        self._connection.execute("DELETE FROM shares WHERE member_uid = ?", (member_uid,))

    def _share(self, row: tuple[Any, ...]) -> Share:
        return Share(
            id=row[0],
            code=open_share_code(self._seal, row[1], row[2]),
            device_id=row[3],
            owner_uid=row[4],
            member_uid=row[5],
            accepted_at=row[6],
            cover_mark=row[7],
            accepting_expires_at=row[8],
            sharing_expires_at=row[9],
            device_name=row[10],
            created_at=row[11],
        )


def open_share_code(seal: Seal, sealed: bytes, code_mac: bytes) -> Secret:
    """The code of a share, whose keyed hash names its place."""
    return seal.open(sealed, _place(code_mac))


def _member(row: tuple[Any, ...]) -> Member:
    return Member(
        share_id=row[0],
        device_id=row[1],
        client_id=ClientId(row[2]),
        product_key=ProductKey(row[3]),
        device_key=DeviceKey(row[4]),
        uid=Uid(row[5]),
        user_domain=UserDomain(row[6]),
    )


def _place(code_mac: bytes) -> str:
    return f"shares/code/{code_mac.hex()}"
