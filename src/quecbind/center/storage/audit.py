"""Rows of the audit log, and its head under the master key: cutting entries off the end shows too."""

import hmac
import json
import sqlite3
from collections.abc import Iterator
from typing import Any

from quecbind.center.domain.audit import FIRST_HASH, AuditEntry, ChainedEntry, ChainHead, chain
from quecbind.center.storage.seal import Seal

_ENTRY = "SELECT seq, at, who, action, result, product_key, device_key, peer, details, hash FROM audit"
_ALL = f"{_ENTRY} ORDER BY seq"
_FILTER = """
    WHERE (:product_key IS NULL OR product_key = :product_key) AND (:device_key IS NULL OR device_key = :device_key)
"""
_PAGE = f"{_ENTRY} {_FILTER} ORDER BY seq DESC LIMIT :limit OFFSET :offset"
_COUNT = f"SELECT count(*) FROM audit {_FILTER}"  # noqa: S608
_SINCE_BOUND = """
    WHERE product_key = :product_key AND device_key = :device_key AND seq >= (
        SELECT max(seq) FROM audit
        WHERE product_key = :product_key AND device_key = :device_key AND action = 'owner.bound' AND who = :who
    )
"""
_OWNER_PAGE = f"{_ENTRY} {_SINCE_BOUND} ORDER BY seq DESC LIMIT :limit OFFSET :offset"
_OWNER_COUNT = f"SELECT count(*) FROM audit {_SINCE_BOUND}"  # noqa: S608
_AFTER = f"{_ENTRY} WHERE seq > ? ORDER BY seq LIMIT ?"
_FIRST_SINCE = "SELECT min(seq) FROM audit WHERE at >= ?"
_INSERT = """
    INSERT INTO audit (seq, at, who, action, result, product_key, device_key, peer, details, hash)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
_HEAD = "SELECT seq, hash, mac FROM audit_head"
_PUT_HEAD = """
    INSERT INTO audit_head (id, seq, hash, mac) VALUES (1, ?, ?, ?)
    ON CONFLICT (id) DO UPDATE SET seq = excluded.seq, hash = excluded.hash, mac = excluded.mac
"""


class SqliteAudit:
    """See `services.rows.AuditRows`."""

    def __init__(self, connection: sqlite3.Connection, seal: Seal) -> None:
        self._connection = connection
        self._seal = seal

    def append(self, entry: AuditEntry) -> None:
        row = self._connection.execute(_HEAD).fetchone()
        chained = chain(ChainHead(0, FIRST_HASH) if row is None else ChainHead(row[0], row[1]), entry)
        self._connection.execute(
            _INSERT,
            (
                chained.seq,
                entry.at,
                entry.who,
                entry.action,
                entry.result,
                entry.product_key,
                entry.device_key,
                entry.peer,
                json.dumps(entry.details, sort_keys=True),
                chained.hash,
            ),
        )
        self._connection.execute(_PUT_HEAD, (chained.seq, chained.hash, self._mac(chained.seq, chained.hash)))

    def page(
        self, offset: int, limit: int, product_key: str | None, device_key: str | None
    ) -> tuple[list[ChainedEntry], int]:
        values = {"product_key": product_key, "device_key": device_key, "offset": offset, "limit": limit}
        rows = self._connection.execute(_PAGE, values).fetchall()
        return [_chained(row) for row in rows], self._connection.execute(_COUNT, values).fetchone()[0]

    def page_since_bound(
        self, uid: str, product_key: str, device_key: str, offset: int, limit: int
    ) -> tuple[list[ChainedEntry], int]:
        values = {"product_key": product_key, "device_key": device_key, "who": f"user {uid}"}
        rows = self._connection.execute(_OWNER_PAGE, {**values, "offset": offset, "limit": limit}).fetchall()
        return [_chained(row) for row in rows], self._connection.execute(_OWNER_COUNT, values).fetchone()[0]

    def after(self, seq: int, limit: int) -> list[ChainedEntry]:
        return [_chained(row) for row in self._connection.execute(_AFTER, (seq, limit))]

    def first_since(self, at: int) -> int | None:
        return self._connection.execute(_FIRST_SINCE, (at,)).fetchone()[0]  # type: ignore[no-any-return]  # INTEGER

    def all(self) -> Iterator[ChainedEntry]:
        for row in self._connection.execute(_ALL):
            yield _chained(row)

    def head(self) -> ChainHead:
        row = self._connection.execute(_HEAD).fetchone()
        if row is None:
            return ChainHead(0, FIRST_HASH)
        # A head that nobody with the master key wrote is no head: it fits no log.
        is_ours = hmac.compare_digest(row[2], self._mac(row[0], row[1]))
        return ChainHead(row[0], row[1] if is_ours else b"")

    def _mac(self, seq: int, hashed: bytes) -> bytes:
        return self._seal.mac("audit head", str(seq), hashed.hex())


def _chained(row: tuple[Any, ...]) -> ChainedEntry:
    entry = AuditEntry(
        at=row[1],
        who=row[2],
        action=row[3],
        result=row[4],
        product_key=row[5],
        device_key=row[6],
        peer=row[7],
        details=json.loads(row[8]),
    )
    return ChainedEntry(row[0], entry, row[9])
