"""The data directory: who holds it, and its master key.

One process at a time: the lock is the kernel's and ends with the process, whatever way that ends. The files in it are
readable by their owner only. Refuses to guess: a missing master key beside an existing database is an error, never a
reason to make a new one.
"""

import base64
import binascii
import contextlib
import fcntl
import logging
import os
import stat
from pathlib import Path

from quecbind.center.services.errors import StartError
from quecbind.center.storage import faults
from quecbind.center.storage.seal import MASTER_KEY_SIZE

logger = logging.getLogger(__name__)

LOCK_NAME = "lock"
MASTER_KEY_NAME = "master.key"
DATABASE_NAME = "quecbind.db"

_OWNER_ONLY = 0o600
_NEW = ".new"


class DataDirectory:
    """A locked data directory; `close` lets go of it."""

    def __init__(self, path: Path, lock: int) -> None:
        self.path = path
        self._lock: int | None = lock
        self._had_key = False

    @classmethod
    def open(cls, path: Path) -> "DataDirectory":
        """Make the directory if it is missing and lock it.

        Raises:
            StartError: another process holds it (the sentence names its pid), or it cannot be made or written.
        """
        try:
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = os.open(path / LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, _OWNER_ONLY)
        except OSError as error:
            raise StartError(f"the data directory {path} cannot be used: {error.strerror}") from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pid = os.pread(lock, 20, 0).decode("ascii", "replace").strip()
            os.close(lock)
            holder = f"process {pid}" if pid else "another process"
            raise StartError(f"the data directory {path} is in use by {holder}: stop it first") from None
        except OSError as error:
            os.close(lock)
            raise StartError(f"the data directory {path} cannot be locked: {error.strerror}") from error
        try:
            os.ftruncate(lock, 0)
            os.pwrite(lock, b"%d\n" % os.getpid(), 0)
        except OSError as error:
            os.close(lock)
            raise StartError(f"the data directory {path} cannot be written: {error.strerror}") from error
        return cls(path, lock)

    @property
    def database(self) -> Path:
        """Where the database is."""
        return self.path / DATABASE_NAME

    def master_key(self, given: str | None) -> bytes:
        """The master key: `given` as Base64, or the file's, which is made with a new directory.

        Raises:
            StartError: the key cannot be read, or it is gone.
        """
        if given is not None:
            return _decode(given, "QUECBIND_MASTER_KEY")
        path = self.path / MASTER_KEY_NAME
        try:
            key = _decode(path.read_text(encoding="ascii"), str(path))
        except FileNotFoundError:
            if self.database.exists():
                raise StartError(
                    f"{path} is missing, but {self.database} is there: "
                    "put the key back, or set QUECBIND_MASTER_KEY; without it the secrets cannot be read"
                ) from None
            return _make(path)
        except (OSError, UnicodeDecodeError) as error:
            raise StartError(f"the master key {path} cannot be read: {error}") from error
        # What a start that was killed may have left: the key under its first name.
        path.with_suffix(_NEW).unlink(missing_ok=True)
        _warn_of_readers(path)
        self._had_key = True
        return key

    def make_database_file(self) -> None:
        """Make an empty database file that only its owner can read, unless there is one."""
        try:
            os.close(os.open(self.database, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, _OWNER_ONLY))
            is_empty = self.database.stat().st_size == 0
        except OSError as error:
            raise StartError(f"the database {self.database} cannot be opened: {error.strerror}") from error
        _warn_of_readers(self.database)
        if is_empty and self._had_key:
            logger.warning(
                "directory.new database=%s, though a master key was there: is it to be restored?", self.database
            )
        elif is_empty:
            logger.info("directory.new database=%s", self.database)
        faults.reach(faults.DATABASE_MADE)

    def close(self) -> None:
        """Unlock; the next one may open it. The file stays, so that nobody locks a file that is being removed."""
        if self._lock is not None:
            # The number in it is used to send signals: it must not outlive the process that it names.
            with contextlib.suppress(OSError):
                os.ftruncate(self._lock, 0)
            os.close(self._lock)
            self._lock = None


def _warn_of_readers(path: Path) -> None:
    if stat.S_IMODE(path.stat().st_mode) & 0o077:
        logger.warning("directory.open_to_others file=%s: chmod 600 it", path)


def _make(path: Path) -> bytes:
    key = os.urandom(MASTER_KEY_SIZE)
    new = path.with_suffix(_NEW)
    try:
        new.unlink(missing_ok=True)
        file = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _OWNER_ONLY)
        faults.reach(faults.MASTER_KEY_NEW)
        try:
            os.write(file, base64.b64encode(key) + b"\n")
            os.fsync(file)
        finally:
            os.close(file)
        faults.reach(faults.MASTER_KEY_WRITTEN)
        # A link fails when the name is taken: a key that exists is never replaced.
        os.link(new, path)
        faults.reach(faults.MASTER_KEY_NAMED)
        new.unlink()
        directory = os.open(path.parent, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
    except OSError as error:
        raise StartError(f"the master key {path} cannot be made: {error.strerror}") from error
    return key


def _decode(text: str, source: str) -> bytes:
    try:
        key = base64.b64decode(text.strip(), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) != MASTER_KEY_SIZE:
        raise StartError(f"{source} does not hold a master key: it must be Base64 of {MASTER_KEY_SIZE} bytes")
    return key
