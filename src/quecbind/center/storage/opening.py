"""Opens a data directory: lock, master key, migrations, storage, and the Developer Center on it."""

from pathlib import Path

from quecbind.center.domain.limits import HistoryLimits, Limits
from quecbind.center.services.center import Center
from quecbind.center.services.errors import StartError, StorageError
from quecbind.center.services.ports import Clock, Entropy, Mailer
from quecbind.center.storage.directory import DataDirectory
from quecbind.center.storage.schema import migrate
from quecbind.center.storage.seal import Seal
from quecbind.center.storage.sqlite import SqliteStorage


def open_storage(data_dir: Path, *, master_key: str | None = None) -> SqliteStorage:
    """Lock `data_dir`, bring its database up to date and open it. Closing the storage unlocks the directory.

    Args:
        data_dir: made with everything in it when it is missing.
        master_key: Base64 of 32 bytes; None uses the key file in the directory.

    Raises:
        StartError: another process holds it, the key does not fit, or the database is damaged or newer than this code.
    """
    directory = DataDirectory.open(data_dir)
    try:
        seal = Seal(directory.master_key(master_key))
        directory.make_database_file()
        migrate(directory.database)
        return SqliteStorage(directory.database, seal, on_close=directory.close)
    except BaseException:
        directory.close()
        raise


async def open_center(
    data_dir: Path,
    *,
    clock: Clock,
    entropy: Entropy,
    mailer: Mailer,
    limits: Limits | None = None,
    history_limits: HistoryLimits | None = None,
    master_key: str | None = None,
) -> Center:
    """The Developer Center on `data_dir`; see `open_storage` for what can go wrong."""
    storage = open_storage(data_dir, master_key=master_key)
    try:
        return await Center.open(
            storage, clock=clock, entropy=entropy, mailer=mailer, limits=limits, history_limits=history_limits
        )
    except StorageError as error:
        await storage.close()
        raise StartError(f"the data in {data_dir} cannot be loaded: {error}") from error
    except BaseException:
        await storage.close()
        raise
