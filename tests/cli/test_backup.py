"""`quecbind backup`: one file that is whole, from a directory that is in use or not, and nothing when it fails."""

import contextlib
import sqlite3
import stat
from pathlib import Path

import pytest

from quecbind import cli
from quecbind.center.storage import backup
from quecbind.center.storage.directory import DataDirectory
from quecbind.cli.outcome import DONE, REFUSED
from tests.cli.test_admin import Command

COUNT = "SELECT count(*) FROM domains"


@pytest.fixture
def command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Command:
    command = Command(tmp_path / "data", capsys)
    command.json("domain", "create", "Lamp App")
    return command


def test_a_backup_and_the_master_key_make_a_developer_center_again(command: Command, tmp_path: Path) -> None:
    backup_file = tmp_path / "backup.db"

    made = command.json("backup", str(backup_file))

    restored = Command(tmp_path / "restored", command._capsys)
    restored.data.mkdir()
    backup_file.rename(restored.data / "quecbind.db")
    (command.data / "master.key").rename(restored.data / "master.key")
    assert made == {"file": str(backup_file), "size": (restored.data / "quecbind.db").stat().st_size}
    assert [one["name"] for one in restored.json("domain", "list")] == ["Lamp App"]
    assert restored.json("audit", "verify")["problem"] is None


def test_a_backup_can_be_read_by_its_owner_only_and_is_said_to_lack_the_key(command: Command, tmp_path: Path) -> None:
    code, out = command.run("backup", str(tmp_path / "backup.db"))

    assert code == DONE
    assert "master key is not in it" in out
    assert stat.S_IMODE((tmp_path / "backup.db").stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.glob("backup*")] == ["backup.db"]


def test_a_backup_of_a_directory_in_use_has_what_is_committed_and_nothing_else(
    command: Command, tmp_path: Path
) -> None:
    directory = DataDirectory.open(command.data)
    with contextlib.closing(sqlite3.connect(directory.database, isolation_level=None)) as server:
        server.execute("BEGIN IMMEDIATE")
        server.execute("DELETE FROM domains")

        code, _ = command.run("backup", str(tmp_path / "backup.db"))

        server.execute("ROLLBACK")
    directory.close()
    assert code == DONE
    with contextlib.closing(sqlite3.connect(tmp_path / "backup.db")) as copy:
        assert copy.execute(COUNT).fetchone() == (1,)


def test_a_server_that_writes_during_a_backup_does_not_make_it_begin_anew(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backup, "_PAGES", 1)
    seen: list[int] = []
    with contextlib.closing(sqlite3.connect(command.data / "quecbind.db", isolation_level=None)) as server:

        def write(copied: int, total: int) -> None:
            if copied < total:
                server.execute("INSERT INTO sqlite_sequence VALUES ('written meanwhile', 1)")
            seen.append(copied)

        backup.back_up(command.data, tmp_path / "backup.db", write)

    assert len(seen) == seen[-1]
    with contextlib.closing(sqlite3.connect(tmp_path / "backup.db")) as copy:
        assert copy.execute("SELECT count(*) FROM sqlite_sequence WHERE name = 'written meanwhile'").fetchone() == (0,)


def test_a_file_that_exists_is_not_replaced(command: Command, tmp_path: Path) -> None:
    (tmp_path / "backup.db").write_text("the one of yesterday")

    code, _ = command.run("backup", str(tmp_path / "backup.db"))

    assert code == REFUSED
    assert "choose another name" in command.err
    assert (tmp_path / "backup.db").read_text() == "the one of yesterday"


def test_a_damaged_database_leaves_no_backup(command: Command, tmp_path: Path) -> None:
    with open(command.data / "quecbind.db", "r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * 4096)

    code, _ = command.run("backup", str(tmp_path / "backup.db"))

    assert code == REFUSED
    assert list(tmp_path.glob("backup*")) == []


def test_a_backup_that_cannot_be_written_is_refused_with_the_reason(command: Command, tmp_path: Path) -> None:
    code, _ = command.run("backup", str(tmp_path / "nowhere" / "backup.db"))

    assert code == REFUSED
    assert "nowhere/backup.db cannot be written: No such file or directory" in command.err


def test_without_a_developer_center_there_is_nothing_to_back_up(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["backup", str(tmp_path / "backup.db"), "--data", str(tmp_path / "none")]) == REFUSED

    assert "there is no Developer Center" in capsys.readouterr().err
    assert not (tmp_path / "none").exists()
