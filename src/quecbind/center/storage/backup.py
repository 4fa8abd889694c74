"""Copies the database of a data directory to a file, whether or not a Developer Center runs on it.

The copy is what was committed at one moment, whole and checked; who writes meanwhile is not held up. Refuses to
replace a file, and leaves none when it fails. The master key is not in it: without that key the copy is of no use.
"""

import contextlib
import os
import sqlite3
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

from quecbind.center.services.errors import StorageError
from quecbind.center.storage.directory import DATABASE_NAME

_PAGES = 4096  # at a time, so that it can be interrupted


def back_up(data_dir: Path, target: Path, progress: Callable[[int, int], None]) -> None:
    """Copy the database in `data_dir` to `target`, readable by its owner only.

    Args:
        progress: is told after each piece how many of how many pages are copied.

    Raises:
        StorageError: there is no database, it is damaged, or `target` exists or cannot be written.
    """
    database = data_dir / DATABASE_NAME
    if not database.is_file():
        raise StorageError(f"there is no Developer Center in {data_dir}: is --data right?")
    new = target.with_name(target.name + ".new")
    try:
        if target.exists():
            raise StorageError(f"{target} is there already: choose another name")
        os.close(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    except FileExistsError:
        raise StorageError(f"{new} is there already: another backup, or what a killed one left; remove it") from None
    except OSError as error:
        raise StorageError(f"{target} cannot be written: {error.strerror}") from error
    try:
        _copy(database, new, progress)
        new.rename(target)
        _sync(target.parent)
    except sqlite3.Error as error:
        raise StorageError(f"{database} cannot be copied to {target}: {error}") from error
    except OSError as error:
        raise StorageError(f"{target} cannot be written: {error.strerror}") from error
    finally:
        for leftover in (new, new.with_name(new.name + "-journal")):
            with contextlib.suppress(OSError):
                leftover.unlink()


def _copy(database: Path, new: Path, progress: Callable[[int, int], None]) -> None:
    with (
        contextlib.closing(sqlite3.connect(f"file:{quote(str(database))}?mode=rw", uri=True)) as source,
        contextlib.closing(sqlite3.connect(new, isolation_level=None)) as copy,
    ):
        source.execute("PRAGMA query_only = ON")
        # A read that stays open fixes the moment: without it the copy would begin anew at every commit of a server.
        source.execute("BEGIN")
        source.execute("SELECT 1 FROM sqlite_schema").fetchone()
        source.backup(copy, pages=_PAGES, progress=lambda _, remaining, total: progress(total - remaining, total))
        # One file, that needs no others beside it; a server that opens it changes this back.
        copy.execute("PRAGMA journal_mode = DELETE")
        damage = copy.execute("PRAGMA quick_check(1)").fetchone()[0]
        if damage != "ok":
            raise StorageError(f"the database {database} is damaged ({' '.join(damage.split())}): nothing was copied")
    _sync(new)


def _sync(path: Path) -> None:
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(file)
    finally:
        os.close(file)
