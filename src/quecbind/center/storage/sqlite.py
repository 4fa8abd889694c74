"""The storage port on SQLite: a writer thread for changes, one read-only connection for reads on the event loop.

Reads are short and inline because a point read here costs less than handing it to a thread. Every error of SQLite
leaves as a StorageError.
"""

import asyncio
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from quecbind.center.domain.ids import Secret
from quecbind.center.services.errors import StartError, StorageError
from quecbind.center.storage import faults
from quecbind.center.storage.audit import SqliteAudit
from quecbind.center.storage.devices import SqliteDevices
from quecbind.center.storage.downlinks import SqliteDownlinks
from quecbind.center.storage.keys import SqliteAccessKeys, SqliteSigningKeys
from quecbind.center.storage.owners import SqliteOwners
from quecbind.center.storage.products import SqliteProducts
from quecbind.center.storage.seal import Seal, SealError
from quecbind.center.storage.shares import SqliteShares
from quecbind.center.storage.thing_models import SqliteThingModels
from quecbind.center.storage.users import SqliteDomains, SqliteSessions, SqliteUsers
from quecbind.center.storage.values import SqliteValues
from quecbind.center.storage.writer import Writer

T = TypeVar("T")

_PRAGMAS = (
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",
    "PRAGMA foreign_keys = ON",
    "PRAGMA busy_timeout = 5000",
    "PRAGMA cache_size = -65536",
    "PRAGMA temp_store = MEMORY",
    "PRAGMA trusted_schema = OFF",
)
_VAULT_GET = "SELECT sealed_check FROM vault"
_VAULT_PUT = "INSERT INTO vault (id, sealed_check) VALUES (1, ?)"
_VAULT_PLACE = "vault/sealed_check/1"


class SqliteTx:
    """See `services.rows.Tx`."""

    def __init__(self, connection: sqlite3.Connection, seal: Seal) -> None:
        self.products = SqliteProducts(connection, seal)
        self.models = SqliteThingModels(connection)
        self.devices = SqliteDevices(connection, seal)
        self.values = SqliteValues(connection)
        self.owners = SqliteOwners(connection, seal)
        self.shares = SqliteShares(connection, seal)
        self.downlinks = SqliteDownlinks(connection)
        self.domains = SqliteDomains(connection, seal)
        self.users = SqliteUsers(connection)
        self.sessions = SqliteSessions(connection)
        self.access_keys = SqliteAccessKeys(connection)
        self.audit = SqliteAudit(connection, seal)
        self.signing_keys = SqliteSigningKeys(connection, seal)


class SqliteStorage:
    """See `services.ports.Storage`. Made on the event loop it is used from, on a migrated database."""

    def __init__(self, database: Path, seal: Seal, *, on_close: Callable[[], None] = lambda: None) -> None:
        self._database = database
        self._seal = seal
        self._on_close = on_close
        try:
            _check_master_key(database, seal)
            self._reader = _connect(database)
            self._reader.execute("PRAGMA query_only = ON")
        except sqlite3.Error as error:
            raise StartError(f"the database {database} cannot be opened: {error}") from error
        self._read_tx = SqliteTx(self._reader, seal)
        self._writer = Writer(
            lambda: _connect(database), lambda connection: SqliteTx(connection, seal), asyncio.get_running_loop()
        )

    def transact(self, work: Callable[[SqliteTx], T], applied: Callable[[T], None] | None = None) -> asyncio.Future[T]:
        return self._writer.submit(work, applied)

    def read(self, work: Callable[[SqliteTx], T]) -> T:
        try:
            self._reader.execute("BEGIN")
            try:
                return work(self._read_tx)
            finally:
                self._reader.execute("ROLLBACK")
        except sqlite3.Error as error:
            raise StorageError(f"the data cannot be read: {error}") from error

    async def scan(self, work: Callable[[SqliteTx], T]) -> T:
        return await asyncio.to_thread(self._scan, work)

    def mac(self, purpose: str, *parts: str) -> bytes:
        return self._seal.mac(purpose, *parts)

    @property
    def commit_count(self) -> int:
        """How many groups were committed; with `work_count` it says how large they are."""
        return self._writer.commit_count

    @property
    def work_count(self) -> int:
        """How many works were committed."""
        return self._writer.work_count

    def _scan(self, work: Callable[[SqliteTx], T]) -> T:
        try:
            connection = _connect(self._database)
            try:
                connection.execute("PRAGMA query_only = ON")
                # It reads everything once, beside others that do.
                connection.execute("PRAGMA cache_size = -2048")
                connection.execute("BEGIN")
                return work(SqliteTx(connection, self._seal))
            finally:
                connection.close()
        except sqlite3.Error as error:
            raise StorageError(f"the data cannot be read: {error}") from error

    async def close(self) -> None:
        await self._writer.close()
        self._reader.close()
        self._on_close()


def _connect(database: Path) -> sqlite3.Connection:
    # The file is there already, with its mode; "rw" refuses to make one where somebody removed it.
    connection = sqlite3.connect(
        f"{database.absolute().as_uri()}?mode=rw",
        uri=True,
        isolation_level=None,
        check_same_thread=False,
        cached_statements=256,
    )
    for pragma in _PRAGMAS:
        connection.execute(pragma)
    return connection


def _check_master_key(database: Path, seal: Seal) -> None:
    """A wrong master key shows here, before it is used for anything."""
    connection = _connect(database)
    try:
        row = connection.execute(_VAULT_GET).fetchone()
        if row is None:
            connection.execute(_VAULT_PUT, (seal.seal(Secret("quecbind"), _VAULT_PLACE),))
            faults.reach(faults.VAULT_WRITTEN)
        else:
            seal.open(row[0], _VAULT_PLACE)
    except SealError:
        raise StartError(
            f"the master key does not fit the database {database}: use the key the database was made with"
        ) from None
    finally:
        connection.close()
