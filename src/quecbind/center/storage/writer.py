"""The one writer: a thread that carries out works in groups, one commit for each group.

The story: whoever wants a change submits a work and gets a future. While one commit waits for the disk, works queue
up; the next group takes all of them. BEGIN IMMEDIATE; each work in a savepoint of its own, so that one that fails takes
only itself back; COMMIT, which returns when the data is on disk; then all futures of the group are resolved in one call
into the event loop. When the commit itself fails, everyone in the group is told so and nothing of it has happened.
"""

import asyncio
import logging
import queue
import sqlite3
import threading
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from quecbind.center.services.errors import StorageError
from quecbind.center.storage import faults

T = TypeVar("T")
X = TypeVar("X")

logger = logging.getLogger(__name__)

MAX_GROUP = 2000
MAX_WAITING = 200_000


class _Job(Generic[X]):
    __slots__ = ("applied", "error", "future", "result", "work")

    def __init__(
        self, work: Callable[[X], Any], applied: Callable[[Any], None] | None, future: "asyncio.Future[Any]"
    ) -> None:
        self.work = work
        self.applied = applied
        self.future = future
        self.result: Any = None
        self.error: BaseException | None = None


class Writer(Generic[X]):
    """Owns the only connection that writes. `submit` from the event loop; works run in the thread.

    Args:
        connect: opens a connection in autocommit mode; called in the thread, again after a connection broke.
        bind: makes of a connection what works are given.
        loop: where futures are resolved.
    """

    def __init__(
        self,
        connect: Callable[[], sqlite3.Connection],
        bind: Callable[[sqlite3.Connection], X],
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        self._connect = connect
        self._bind = bind
        self._loop = loop
        self._jobs: queue.SimpleQueue[_Job[X] | None] = queue.SimpleQueue()
        self._is_closed = False
        self._connection: sqlite3.Connection | None = None
        self._given: X | None = None
        self.commit_count = 0
        self.work_count = 0
        self._thread = threading.Thread(target=self._run, name="quecbind-writer", daemon=True)
        self._thread.start()

    def submit(self, work: Callable[[X], T], applied: Callable[[T], None] | None = None) -> "asyncio.Future[T]":
        """See `services.ports.Storage.transact`."""
        future: asyncio.Future[T] = self._loop.create_future()
        if self._is_closed:
            future.set_exception(StorageError("the storage is closed"))
        elif self._jobs.qsize() >= MAX_WAITING:
            future.set_exception(StorageError(f"{MAX_WAITING} changes are waiting to be written already"))
        else:
            self._jobs.put(_Job(work, applied, future))
        return future

    async def close(self) -> None:
        """Finish what was submitted, then end the thread. Doing it twice is fine."""
        if not self._is_closed:
            self._is_closed = True
            self._jobs.put(None)
        await asyncio.to_thread(self._thread.join)

    def _run(self) -> None:
        is_last = False
        while not is_last:
            group: list[_Job[X]] = []
            job = self._jobs.get()
            while job is not None:
                group.append(job)
                if len(group) >= MAX_GROUP:
                    break
                try:
                    job = self._jobs.get_nowait()
                except queue.Empty:
                    break
            is_last = job is None
            if group:
                self._commit(group)
                self._hand_back(group)
        self._disconnect()

    def _commit(self, group: list[_Job[X]]) -> None:
        try:
            connection, given = self._connected()
            faults.reach(faults.BEFORE_BEGIN, group)
            connection.execute("BEGIN IMMEDIATE")
            for job in group:
                _carry_out(connection, given, job)
            faults.reach(faults.BEFORE_COMMIT, group)
            connection.execute("COMMIT")
            faults.reach(faults.AFTER_COMMIT, group)
        except Exception as error:  # noqa: BLE001 - without this thread nothing would ever be answered again
            logger.error("storage.commit_failed works=%d reason=%s", len(group), error)  # noqa: TRY400 - no code is at fault
            # Not even those that worked: their savepoints went with the transaction.
            for job in group:
                job.error = StorageError(f"nothing was changed: {error}")
            self._recover()
        else:
            self.commit_count += 1
            self.work_count += len(group)

    def _connected(self) -> tuple[sqlite3.Connection, X]:
        if self._connection is None or self._given is None:
            self._connection = self._connect()
            self._given = self._bind(self._connection)
        return self._connection, self._given

    def _recover(self) -> None:
        """Be ready for the next group: without a transaction, on a new connection if this one cannot leave its own."""
        if self._connection is None:
            return
        try:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
        except sqlite3.Error as error:
            logger.warning("storage.connection_replaced reason=%s", error)
            self._disconnect()

    def _disconnect(self) -> None:
        connection, self._connection, self._given = self._connection, None, None
        if connection is not None:
            try:
                connection.close()
            except sqlite3.Error as error:
                logger.warning("storage.close_failed reason=%s", error)

    def _hand_back(self, group: list[_Job[X]]) -> None:
        try:
            self._loop.call_soon_threadsafe(_resolve, group)
        except RuntimeError:
            # The loop has gone, and with it everyone who waited.
            logger.warning("storage.nobody_waits works=%d", len(group))


def _carry_out(connection: sqlite3.Connection, given: X, job: _Job[X]) -> None:
    """Run one work in its savepoint. Raises only what ends the whole group."""
    connection.execute("SAVEPOINT work")
    try:
        job.result = job.work(given)
    except Exception as error:
        if not connection.in_transaction:
            # A full disk or an I/O error made SQLite take back the whole transaction.
            if isinstance(error, sqlite3.Error):
                raise
            raise sqlite3.OperationalError("the transaction was lost") from error
        connection.execute("ROLLBACK TO work")
        job.error = StorageError(f"nothing was changed: {error}") if isinstance(error, sqlite3.Error) else error
    connection.execute("RELEASE work")


def _resolve(group: list[_Job[Any]]) -> None:
    faults.reach(faults.BEFORE_APPLIED, group)
    for job in group:
        if job.error is not None:
            if not job.future.done():
                job.future.set_exception(job.error)
            continue
        if job.applied is not None:
            try:
                job.applied(job.result)
            except Exception:
                logger.exception("storage.apply_failed")
        faults.reach(faults.AFTER_APPLIED, group)
        if not job.future.done():
            job.future.set_result(job.result)
