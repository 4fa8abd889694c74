"""Brings a database to the schema this code is written for. Refuses one that a newer quecbind has written.

Alembic and SQLAlchemy are loaded only when there is something to migrate; after that nothing of them runs.
"""

import logging
import sqlite3
from pathlib import Path

from quecbind.center.services.errors import StartError
from quecbind.center.storage import faults
from quecbind.center.storage.migrations import HEAD

logger = logging.getLogger(__name__)

MIGRATIONS = Path(__file__).parent / "migrations"


def migrate(database: Path) -> bool:
    """Apply the missing migrations; True when there were any.

    Raises:
        StartError: the file is no database, is damaged, or was written by a newer quecbind.
    """
    found = _revision(database)
    if found == HEAD:
        return False
    if found is not None and found not in _known_revisions():
        raise StartError(
            f"the database {database} was written by a newer quecbind (schema {found}, this one knows {HEAD}): "
            "install that version, or restore an older backup"
        )
    _upgrade(database)
    if found is not None:
        logger.info("schema.upgraded database=%s from=%s to=%s", database, found, HEAD)
    return True


def _revision(database: Path) -> str | None:
    try:
        connection = sqlite3.connect(database, isolation_level=None)
        try:
            damage = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
            if damage != "ok":
                what = " ".join(damage.split())
                raise StartError(f"the database {database} is damaged ({what}): restore a backup")
            if not connection.execute("SELECT 1 FROM sqlite_schema WHERE name = 'alembic_version'").fetchone():
                return None
            row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
            return None if row is None else str(row[0])
        finally:
            connection.close()
    except sqlite3.Error as error:
        is_damage = getattr(error, "sqlite_errorcode", None) in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
        remedy = (
            "restore a backup" if is_damage else "look at the disk, and at who may write the directory and its files"
        )
        raise StartError(f"the database {database} cannot be read ({error}): {remedy}") from error


def _known_revisions() -> set[str]:
    from alembic.script import ScriptDirectory  # noqa: PLC0415

    return {script.revision for script in ScriptDirectory(str(MIGRATIONS)).walk_revisions()}


def _upgrade(database: Path, revision: str = "head") -> None:
    from alembic import command  # noqa: PLC0415
    from alembic.config import Config  # noqa: PLC0415
    from sqlalchemy import Connection, create_engine, event, pool  # noqa: PLC0415
    from sqlalchemy.exc import DBAPIError  # noqa: PLC0415

    engine = create_engine(
        "sqlite+pysqlite://",
        creator=lambda: sqlite3.connect(database, isolation_level=None),
        poolclass=pool.NullPool,
    )

    # The driver would leave CREATE TABLE outside the transaction; a step must happen whole or not at all.
    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")
        faults.reach(faults.MIGRATION_BEGUN)

    @event.listens_for(engine, "commit")
    def commit(connection: Connection) -> None:
        faults.reach(faults.MIGRATION_DONE)

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    try:
        with engine.connect() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, revision)
        faults.reach(faults.MIGRATED)
    except DBAPIError as error:
        raise StartError(f"the database {database} cannot be brought up to date: {error.orig}") from error
    finally:
        engine.dispose()
