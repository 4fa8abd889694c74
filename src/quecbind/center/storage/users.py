"""Rows of user domains, users, the codes mailed to them, and their sessions."""

import sqlite3
from typing import Any

from quecbind.center.domain.ids import Uid, UserDomain
from quecbind.center.services.records import Domain, EmailCode, Session, User
from quecbind.center.storage.seal import Seal

_DOMAIN = "SELECT user_domain, user_domain_secret, name, created_at, disabled_at FROM domains"
_DOMAIN_GET = f"{_DOMAIN} WHERE user_domain = ?"
_DOMAIN_PAGE = f"{_DOMAIN} ORDER BY number LIMIT ? OFFSET ?"
_DOMAIN_COUNT = "SELECT count(*) FROM domains"
_DOMAIN_INSERT = """
    INSERT INTO domains (number, user_domain, user_domain_secret, name, created_at)
    VALUES ((SELECT coalesce(max(number), 10000) + 1 FROM domains), ?, ?, ?, ?)
"""
_DOMAIN_NUMBER = "SELECT coalesce(max(number), 10000) + 1 FROM domains"

_USER = """
    SELECT uid, user_domain, email, password_hash, nickname, lang, timezone, nationality, registered_at, last_login_at,
        disabled_at
    FROM users
"""
_USER_GET = f"{_USER} WHERE uid = ?"
_USER_BY_EMAIL = f"{_USER} WHERE user_domain = ? AND email = ?"
_USER_PAGE = (
    f"{_USER} WHERE :user_domain IS NULL OR user_domain = :user_domain ORDER BY number LIMIT :limit OFFSET :offset"
)
_USER_COUNT = "SELECT count(*) FROM users WHERE :user_domain IS NULL OR user_domain = :user_domain"
_USER_INSERT = """
    INSERT INTO users (user_domain, email, password_hash, nickname, lang, timezone, nationality, registered_at)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?) RETURNING uid
"""
_USER_DELETE = "DELETE FROM users WHERE uid = ?"
_USER_SIGNED_IN = "UPDATE users SET last_login_at = ? WHERE uid = ?"

_USER_HASH = "UPDATE users SET password_hash = ? WHERE uid = ?"

# A code's row has the type it was asked for; the one before it, the same type below zero.
_CODE_KEPT = """
    UPDATE OR REPLACE email_codes SET email_type = -email_type WHERE user_domain = ? AND email = ? AND email_type = ?
"""
_CODE_PUT = """
    INSERT INTO email_codes (user_domain, email, email_type, code_mac, expires_at) VALUES (?, ?, ?, ?, ?)
"""
_CODE_KEY = "WHERE user_domain = ? AND email = ? AND abs(email_type) = ?"
_CODES_GET = f"SELECT code_mac, expires_at FROM email_codes {_CODE_KEY}"  # noqa: S608
_CODES_USED = f"DELETE FROM email_codes {_CODE_KEY}"  # noqa: S608
_CODES_DROP = "DELETE FROM email_codes WHERE user_domain = ? AND email = ?"
_CODES_OVER = "DELETE FROM email_codes WHERE expires_at < ?"

_SESSION_GET = """
    SELECT s.id, s.uid, u.user_domain, s.refresh_mac, s.rotation, s.created_at, s.expires_at, s.ended_at,
        coalesce(u.disabled_at, d.disabled_at)
    FROM sessions s JOIN users u ON u.uid = s.uid JOIN domains d ON d.user_domain = u.user_domain
    WHERE s.id = ?
"""
_SESSION_INSERT = """
    INSERT INTO sessions (id, uid, refresh_mac, rotation, created_at, expires_at, peer) VALUES (?, ?, ?, ?, ?, ?, ?)
"""
_SESSIONS_OVER = "DELETE FROM sessions WHERE expires_at < ?"
_SESSION_ROTATE = "UPDATE sessions SET rotation = ?, refresh_mac = ?, expires_at = ? WHERE id = ?"
_SESSION_END = "UPDATE sessions SET ended_at = ? WHERE id = ? AND ended_at IS NULL"
_SESSIONS_END = "UPDATE sessions SET ended_at = ? WHERE uid = ? AND ended_at IS NULL"


class SqliteDomains:
    """See `services.rows.DomainRows`."""

    def __init__(self, connection: sqlite3.Connection, seal: Seal) -> None:
        self._connection = connection
        self._seal = seal

    def get(self, user_domain: str) -> Domain | None:
        row = self._connection.execute(_DOMAIN_GET, (user_domain,)).fetchone()
        return None if row is None else self._domain(row)

    def page(self, offset: int, limit: int) -> tuple[list[Domain], int]:
        rows = self._connection.execute(_DOMAIN_PAGE, (limit, offset)).fetchall()
        return [self._domain(row) for row in rows], self._connection.execute(_DOMAIN_COUNT).fetchone()[0]

    def insert(self, domain: Domain) -> None:
        sealed = self._seal.seal(domain.user_domain_secret, _place(domain.user_domain))
        self._connection.execute(_DOMAIN_INSERT, (domain.user_domain, sealed, domain.name, domain.created_at))

    def next_number(self) -> int:
        return int(self._connection.execute(_DOMAIN_NUMBER).fetchone()[0])

    def _domain(self, row: tuple[Any, ...]) -> Domain:
        return Domain(
            user_domain=UserDomain(row[0]),
            user_domain_secret=self._seal.open(row[1], _place(row[0])),
            name=row[2],
            created_at=row[3],
            disabled_at=row[4],
        )


class SqliteUsers:
    """See `services.rows.UserRows`."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def get(self, uid: str) -> User | None:
        return _user(self._connection.execute(_USER_GET, (uid,)).fetchone())

    def by_email(self, user_domain: str, email: str) -> User | None:
        return _user(self._connection.execute(_USER_BY_EMAIL, (user_domain, email)).fetchone())

    def page(self, offset: int, limit: int, user_domain: str | None) -> tuple[list[User], int]:
        values = {"user_domain": user_domain, "limit": limit, "offset": offset}
        users = [user for row in self._connection.execute(_USER_PAGE, values) if (user := _user(row)) is not None]
        return users, self._connection.execute(_USER_COUNT, values).fetchone()[0]

    def insert(self, user: User) -> Uid:
        row = self._connection.execute(
            _USER_INSERT,
            (
                user.user_domain,
                user.email,
                user.password_hash,
                user.nickname,
                user.lang,
                user.timezone,
                user.nationality,
                user.registered_at,
            ),
        ).fetchone()
        return Uid(row[0])

    def delete(self, user: User) -> None:
        self._connection.execute(_CODES_DROP, (user.user_domain, user.email))
        self._connection.execute(_USER_DELETE, (user.uid,))

    def signed_in(self, uid: Uid, at: int) -> None:
        self._connection.execute(_USER_SIGNED_IN, (at, uid))

    def set_password(self, uid: Uid, password_hash: str) -> None:
        self._connection.execute(_USER_HASH, (password_hash, uid))

    def set_disabled(self, uid: Uid, at: int | None) -> None:
        self._connection.execute("UPDATE users SET disabled_at = ? WHERE uid = ?", (at, uid))

    def put_code(self, user_domain: str, email: str, email_type: int, code: EmailCode, now_ms: int) -> None:
        self._connection.execute(_CODES_OVER, (now_ms,))
        self._connection.execute(_CODE_KEPT, (user_domain, email, email_type))
        self._connection.execute(_CODE_PUT, (user_domain, email, email_type, code.code_mac, code.expires_at))

    def codes(self, user_domain: str, email: str, email_type: int) -> list[EmailCode]:
        rows = self._connection.execute(_CODES_GET, (user_domain, email, email_type)).fetchall()
        return [EmailCode(code_mac=row[0], expires_at=row[1]) for row in rows]

    def drop_codes(self, user_domain: str, email: str, email_type: int) -> None:
        self._connection.execute(_CODES_USED, (user_domain, email, email_type))


class SqliteSessions:
    """See `services.rows.SessionRows`."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def get(self, session_id: str) -> Session | None:
        row = self._connection.execute(_SESSION_GET, (session_id,)).fetchone()
        if row is None:
            return None
        return Session(
            id=row[0],
            uid=Uid(row[1]),
            user_domain=UserDomain(row[2]),
            refresh_mac=row[3],
            rotation=row[4],
            created_at=row[5],
            expires_at=row[6],
            ended_at=row[7],
            user_disabled_at=row[8],
        )

    def insert(self, session: Session, peer: str) -> None:
        # Those that are over go when a new one comes: the table stays as large as what is in use.
        self._connection.execute(_SESSIONS_OVER, (session.created_at,))
        self._connection.execute(
            _SESSION_INSERT,
            (
                session.id,
                session.uid,
                session.refresh_mac,
                session.rotation,
                session.created_at,
                session.expires_at,
                peer,
            ),
        )

    def rotate(self, session_id: str, rotation: int, refresh_mac: bytes, expires_at: int) -> None:
        self._connection.execute(_SESSION_ROTATE, (rotation, refresh_mac, expires_at, session_id))

    def end(self, session_id: str, at: int) -> bool:
        return self._connection.execute(_SESSION_END, (at, session_id)).rowcount == 1

    def end_all(self, uid: Uid, at: int) -> int:
        return self._connection.execute(_SESSIONS_END, (at, uid)).rowcount


def _user(row: tuple[Any, ...] | None) -> User | None:
    if row is None:
        return None
    return User(
        uid=Uid(row[0]),
        user_domain=UserDomain(row[1]),
        email=row[2],
        password_hash=row[3],
        nickname=row[4],
        lang=row[5],
        timezone=row[6],
        nationality=row[7],
        registered_at=row[8],
        last_login_at=row[9],
        disabled_at=row[10],
    )


def _place(user_domain: str) -> str:
    return f"domains/user_domain_secret/{user_domain}"
