"""Opening a data directory: what is made, who is kept out, and what is said about it."""

import base64
import importlib
import os
import sqlite3
import stat
import subprocess
import sys

import pytest

from quecbind.center.services.errors import StartError
from quecbind.center.storage import schema
from quecbind.center.storage.migrations import HEAD
from quecbind.center.storage.opening import open_storage
from tests.center.storage.rows import fill

HOLD = """
import sys
from pathlib import Path
from quecbind.center.storage.directory import DataDirectory
DataDirectory.open(Path(sys.argv[1]))
print("held", flush=True)
sys.stdin.read()
"""


def mode(path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


async def test_new_directory_gets_key_lock_and_database_for_its_owner_only(tmp_path) -> None:
    data = tmp_path / "deep" / "data"
    storage = open_storage(data)
    await storage.transact(fill)

    assert mode(data) == 0o700
    names = {path.name for path in data.iterdir()}
    assert {"lock", "master.key", "quecbind.db"} <= names
    assert all(mode(path) == 0o600 for path in data.iterdir())
    assert (data / "lock").read_text() == f"{os.getpid()}\n"
    await storage.close()


def test_second_process_is_kept_out_and_told_which_one_is_in(tmp_path) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(StartError, match=f"in use by process {holder.pid}: stop it first"):
            open_storage(tmp_path)
    finally:
        holder.communicate(timeout=20)


def test_lock_ends_with_a_process_that_is_killed(tmp_path) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout is not None
    assert holder.stdin is not None
    assert holder.stdout.readline() == "held\n"
    holder.kill()
    holder.wait(timeout=20)
    holder.stdout.close()
    holder.stdin.close()

    from quecbind.center.storage.directory import DataDirectory

    DataDirectory.open(tmp_path).close()


async def test_master_key_may_come_from_outside_and_is_not_written_down(tmp_path) -> None:
    key = base64.b64encode(b"k" * 32).decode()
    storage = open_storage(tmp_path / "data", master_key=key)
    await storage.close()

    assert not (tmp_path / "data" / "master.key").exists()
    again = open_storage(tmp_path / "data", master_key=key)
    await again.close()


async def test_wrong_master_key_is_told_before_anything_is_read(tmp_path) -> None:
    await open_storage(tmp_path, master_key=base64.b64encode(b"a" * 32).decode()).close()

    with pytest.raises(StartError, match="does not fit the database"):
        open_storage(tmp_path, master_key=base64.b64encode(b"b" * 32).decode())


async def test_lost_master_key_is_not_replaced(tmp_path) -> None:
    await open_storage(tmp_path).close()
    (tmp_path / "master.key").unlink()

    with pytest.raises(StartError, match="put the key back"):
        open_storage(tmp_path)
    assert not (tmp_path / "master.key").exists()


@pytest.mark.parametrize("key", ["", "short", base64.b64encode(b"x" * 31).decode(), "é" * 44])
def test_malformed_master_key_is_refused_without_showing_it(tmp_path, key) -> None:
    with pytest.raises(StartError, match="QUECBIND_MASTER_KEY does not hold a master key") as raised:
        open_storage(tmp_path, master_key=key)

    assert key == "" or key not in str(raised.value)


def test_refused_start_leaves_the_directory_unlocked(tmp_path) -> None:
    with pytest.raises(StartError):
        open_storage(tmp_path, master_key="bad")
    with pytest.raises(StartError, match="does not hold a master key"):
        open_storage(tmp_path, master_key="bad")


async def test_database_with_a_broken_header_is_told_clearly(tmp_path) -> None:
    await open_storage(tmp_path).close()
    database = tmp_path / "quecbind.db"
    database.write_bytes(b"no database at all" + database.read_bytes()[18:])

    with pytest.raises(StartError, match=r"cannot be read .*restore a backup"):
        open_storage(tmp_path)


async def test_database_that_cannot_be_opened_is_not_said_to_need_a_backup(tmp_path) -> None:
    await open_storage(tmp_path).close()
    (tmp_path / "quecbind.db-wal").mkdir()

    with pytest.raises(StartError, match="cannot be read .*who may write the directory") as raised:
        open_storage(tmp_path)

    assert "backup" not in str(raised.value)


@pytest.mark.parametrize("name", ["master.key", "quecbind.db"])
async def test_file_that_others_can_read_is_warned_of(tmp_path, name, caplog) -> None:
    await open_storage(tmp_path).close()
    assert "open_to_others" not in caplog.text
    (tmp_path / name).chmod(0o644)

    await open_storage(tmp_path).close()

    assert f"directory.open_to_others file={tmp_path / name}: chmod 600 it" in caplog.messages


async def test_the_lock_names_the_process_that_holds_it_and_nobody_afterwards(tmp_path) -> None:
    storage = open_storage(tmp_path)
    assert (tmp_path / "lock").read_text() == f"{os.getpid()}\n"

    await storage.close()

    assert (tmp_path / "lock").read_text() == ""


async def test_a_database_that_begins_empty_is_said_to(tmp_path, caplog) -> None:
    caplog.set_level("INFO")
    await open_storage(tmp_path).close()
    await open_storage(tmp_path).close()
    (tmp_path / "quecbind.db").unlink()

    await open_storage(tmp_path).close()

    first, again = [record for record in caplog.records if record.message.startswith("directory.new")]
    assert (first.levelname, again.levelname) == ("INFO", "WARNING")
    assert "a master key was there: is it to be restored?" in again.message


async def test_database_with_broken_pages_is_told_clearly(tmp_path) -> None:
    storage = open_storage(tmp_path)
    await storage.transact(fill)
    await storage.close()
    database = tmp_path / "quecbind.db"
    content = database.read_bytes()
    database.write_bytes(content[:4096] + b"\xff" * (len(content) - 4096))

    with pytest.raises(StartError, match="restore a backup"):
        open_storage(tmp_path)


async def test_database_of_a_newer_version_is_refused(tmp_path) -> None:
    await open_storage(tmp_path).close()
    with sqlite3.connect(tmp_path / "quecbind.db") as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()

    with pytest.raises(StartError, match=r"written by a newer quecbind .schema 9999"):
        open_storage(tmp_path)


def test_migrating_twice_changes_nothing(tmp_path) -> None:
    database = tmp_path / "m.db"

    assert [schema.migrate(database), schema.migrate(database)] == [True, False]


def test_head_is_the_last_migration() -> None:
    from alembic.script import ScriptDirectory

    assert ScriptDirectory(str(schema.MIGRATIONS)).get_heads() == [HEAD]


def test_window_that_was_open_before_openings_were_noted_stays_open() -> None:
    step = importlib.import_module("quecbind.center.storage.migrations.versions.0006_window_opened")
    with sqlite3.connect(":memory:") as connection:
        connection.execute("CREATE TABLE devices (created_at INTEGER, bind_window_end INTEGER)")
        connection.execute("INSERT INTO devices VALUES (7, 99), (8, NULL)")
        for statement in step.STATEMENTS:
            connection.execute(statement)
        opened = [row[0] for row in connection.execute("SELECT bind_window_opened_at FROM devices ORDER BY created_at")]
    connection.close()

    assert opened == [7, None]


def test_migration_that_fails_leaves_nothing_behind(tmp_path) -> None:
    database = tmp_path / "m.db"
    with sqlite3.connect(database) as connection:
        connection.execute("CREATE TABLE sessions (id TEXT)")
    connection.close()

    with pytest.raises(StartError, match="cannot be brought up to date"):
        schema.migrate(database)

    with sqlite3.connect(database) as connection:
        tables = {row[0] for row in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
    connection.close()
    assert "products" not in tables


def test_directory_that_cannot_be_made_is_told_clearly(tmp_path) -> None:
    (tmp_path / "file").write_text("in the way")

    with pytest.raises(StartError, match="cannot be used"):
        open_storage(tmp_path / "file" / "data")


def test_a_database_brought_up_to_date_is_said_to_be(tmp_path, caplog) -> None:
    caplog.set_level("INFO", logger=schema.__name__)
    database = tmp_path / "m.db"
    schema._upgrade(database, "0001")

    schema.migrate(database)
    schema.migrate(database)

    assert [r.getMessage() for r in caplog.records] == [f"schema.upgraded database={database} from=0001 to={HEAD}"]
