"""Group commit: all or nothing for each work, all or nothing for the disk, and nobody waits for ever."""

import asyncio
import sqlite3
import threading

import pytest

from quecbind.center.services.errors import Rejected, StorageError
from quecbind.center.storage.writer import Writer


@pytest.fixture
def database(tmp_path):
    path = tmp_path / "writer.db"
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("CREATE TABLE facts (id INTEGER PRIMARY KEY, fact TEXT NOT NULL UNIQUE)")
    connection.close()
    return path


def opened(database, connect=None) -> Writer:
    def plain() -> sqlite3.Connection:
        return sqlite3.connect(database, isolation_level=None)

    return Writer(connect or plain, lambda connection: connection, asyncio.get_running_loop())


def add(fact: str | None):
    return lambda connection: connection.execute("INSERT INTO facts (fact) VALUES (?)", (fact,)).lastrowid


def facts(database) -> list[str]:
    connection = sqlite3.connect(database)
    try:
        return [row[0] for row in connection.execute("SELECT fact FROM facts ORDER BY id")]
    finally:
        connection.close()


class Gate:
    """A work that holds the writer until it is told to go on, so that others gather behind it."""

    def __init__(self) -> None:
        self._go = threading.Event()

    def __call__(self, _connection) -> None:
        assert self._go.wait(10)

    def open(self) -> None:
        self._go.set()


async def test_work_that_resolved_is_on_disk(database) -> None:
    writer = opened(database)

    number = await writer.submit(add("one"))

    assert number == 1
    assert facts(database) == ["one"]
    await writer.close()


async def test_works_that_wait_share_one_commit(database) -> None:
    writer, gate = opened(database), Gate()
    first = writer.submit(gate)
    rest = [writer.submit(add(f"fact {number}")) for number in range(500)]
    gate.open()

    await asyncio.gather(first, *rest)

    assert len(facts(database)) == 500
    assert writer.commit_count <= 2
    await writer.close()


async def test_one_bad_row_fails_alone(database) -> None:
    writer, gate = opened(database), Gate()
    writer.submit(gate)
    works = [writer.submit(add(fact)) for fact in ("a", None, "b", "a", "c")]
    gate.open()

    results = await asyncio.gather(*works, return_exceptions=True)

    assert facts(database) == ["a", "b", "c"]
    assert [isinstance(result, StorageError) for result in results] == [False, True, False, True, False]
    await writer.close()


async def test_work_that_raises_leaves_nothing_of_what_it_wrote(database) -> None:
    def half(connection) -> None:
        connection.execute("INSERT INTO facts (fact) VALUES ('half')")
        raise Rejected(5412)

    writer, gate = opened(database), Gate()
    writer.submit(gate)
    before, bad, after = writer.submit(add("before")), writer.submit(half), writer.submit(add("after"))
    gate.open()

    await asyncio.gather(before, after)
    with pytest.raises(Rejected) as raised:
        await bad

    assert raised.value.code == 5412
    assert facts(database) == ["before", "after"]
    await writer.close()


async def test_disk_that_is_full_fails_the_whole_group_and_the_writer_lives_on(database) -> None:
    pages = sqlite3.connect(database).execute("PRAGMA page_count").fetchone()[0]

    def connect() -> sqlite3.Connection:
        connection = sqlite3.connect(database, isolation_level=None)
        connection.execute(f"PRAGMA max_page_count = {pages + 2}")
        return connection

    writer, gate = opened(database, connect), Gate()
    writer.submit(gate)
    small, large = writer.submit(add("small")), writer.submit(add("x" * 100_000))
    gate.open()
    results = await asyncio.gather(small, large, return_exceptions=True)
    await writer.submit(add("after"))

    stored = facts(database)
    assert isinstance(results[1], StorageError)
    assert "full" in str(results[1])
    # Whoever was told "done" is there, whoever was told "failed" is not.
    assert ("small" in stored) == (not isinstance(results[0], StorageError))
    assert "after" in stored
    await writer.close()


class FailingCommit(sqlite3.Connection):
    """A connection whose disk fails at the commits it is told to."""

    failures = 0

    def execute(self, sql, *parameters):
        if sql == "COMMIT" and FailingCommit.failures:
            FailingCommit.failures -= 1
            raise sqlite3.OperationalError("disk I/O error")
        return super().execute(sql, *parameters)


async def test_commit_that_fails_undoes_the_group_and_tells_everyone(database) -> None:
    FailingCommit.failures = 1
    writer = opened(database, lambda: sqlite3.connect(database, isolation_level=None, factory=FailingCommit))
    applied = []
    gate = Gate()
    held = writer.submit(gate)
    works = [writer.submit(add(f"lost {number}"), applied.append) for number in range(10)]
    gate.open()
    results = [await asyncio.gather(held, return_exceptions=True), await asyncio.gather(*works, return_exceptions=True)]
    again = await writer.submit(add("kept"))

    failed = [result for group in results for result in group if isinstance(result, StorageError)]
    assert failed
    assert all("disk I/O error" in str(error) for error in failed)
    assert again > 0
    assert len(facts(database)) == len(applied) + 1
    await writer.close()


@pytest.mark.parametrize("error", [sqlite3.OperationalError("unable to open"), FileNotFoundError(2, "no directory")])
async def test_database_that_cannot_be_opened_fails_the_group_and_is_tried_again(database, error) -> None:
    errors = [error]

    def connect() -> sqlite3.Connection:
        if errors:
            raise errors.pop()
        return sqlite3.connect(database, isolation_level=None)

    writer = opened(database, connect)

    with pytest.raises(StorageError):
        await writer.submit(add("first"))
    await writer.submit(add("second"))

    assert facts(database) == ["second"]
    await writer.close()


async def test_memory_is_told_before_the_caller_and_even_without_one(database) -> None:
    order = []
    writer, gate = opened(database), Gate()
    writer.submit(gate)
    waiting = writer.submit(add("a"), lambda _: order.append("applied a"))
    waiting.add_done_callback(lambda _: order.append("resolved a"))
    given_up = writer.submit(add("b"), lambda _: order.append("applied b"))
    given_up.cancel()
    gate.open()
    await waiting
    await writer.submit(lambda _: None)

    assert order.index("applied a") < order.index("resolved a")
    assert "applied b" in order
    assert facts(database) == ["a", "b"]
    await writer.close()


async def test_memory_that_fails_harms_nobody_else(database, caplog) -> None:
    def broken(_result) -> None:
        raise RuntimeError("memory")

    writer = opened(database)

    assert await writer.submit(add("a"), broken) == 1
    assert "storage.apply_failed" in caplog.text
    await writer.close()


async def test_close_finishes_what_was_submitted_and_refuses_the_rest(database) -> None:
    writer = opened(database)
    works = [writer.submit(add(f"fact {number}")) for number in range(100)]

    await writer.close()
    await writer.close()

    assert len(await asyncio.gather(*works)) == 100
    with pytest.raises(StorageError, match="closed"):
        await writer.submit(add("late"))


async def test_many_submitters_at_once(database) -> None:
    writer = opened(database)

    async def submitter(name: int) -> None:
        for number in range(20):
            await writer.submit(add(f"{name} {number}"))

    async with asyncio.TaskGroup() as group:
        for name in range(50):
            group.create_task(submitter(name), name=f"submitter {name}")

    assert len(facts(database)) == 1000
    assert writer.commit_count < 1000
    await writer.close()
