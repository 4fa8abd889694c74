"""What can go wrong before a Developer Center is ready: killed at every point of a start, or handed a data directory
that cannot be used. It says what is wrong in one line with exit code 1, changes nothing, and starts when it is right.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest

from quecbind.center.storage import faults
from quecbind.center.storage.schema import MIGRATIONS
from tests.e2e.center_process import CenterProcess, run_command
from tests.faults.scene import Scene, run_armed
from tests.tables import Row

SERVE = ("serve", "--http-port", "0", "--mqtt-port", "0", "--data")
STEPS = len(list((MIGRATIONS / "versions").glob("0*.py")))


def points() -> list[object]:
    """Every point of a start, and the how many-th time it is reached; what lies between the first and the last step of
    the schema is one of a long matrix.
    """
    each_step = (faults.MIGRATION_BEGUN, faults.MIGRATION_DONE)
    return [
        pytest.param(point, count, marks=[pytest.mark.full] if 1 < count < steps else [])
        for point in faults.START_POINTS
        for steps in [STEPS if point in each_step else 1]
        for count in range(1, steps + 1)
    ]


@pytest.mark.parametrize(("point", "count"), points())
def test_a_start_that_is_killed_is_finished_by_the_next(tmp_path: Path, point: str, count: int, row: Row) -> None:
    data, order = tmp_path / "data", tmp_path / "order"
    order.write_text(f"{point}\n{count}\n")

    killed = run_armed(order, *SERVE, str(data))
    key = data / "master.key"
    first_key = key.read_bytes() if key.exists() else None
    center = CenterProcess(data, tmp_path / "serve.log")
    made = center.admin("product", "create", "lamp")
    center.start()
    shown = center.admin("product", "show", made["product_key"])

    assert killed.returncode == -9
    assert order.with_suffix(".hit").exists()
    assert first_key in {None, key.read_bytes()}, "a master key that had its name was replaced"
    assert center.stop() == 0
    assert sorted(path.name for path in data.iterdir()) == ["lock", "master.key", "quecbind.db"]
    row(f"killed at start, {point} ({count}): the next start serves", "lamp", shown["name"])


class Damage(NamedTuple):
    """What is done to a data directory that worked, and the words that must be in the one line that tells of it."""

    name: str
    do: Callable[[Path], object]
    told: str


def overwrite(name: str, at: int, content: bytes) -> Callable[[Path], object]:
    def do(data: Path) -> None:
        with (data / name).open("r+b") as file:
            file.seek(at)
            file.write(content)

    return do


def cut(data: Path) -> None:
    database = data / "quecbind.db"
    os.truncate(database, database.stat().st_size // 2)


def in_the_way(name: str) -> Callable[[Path], object]:
    def do(data: Path) -> None:
        (data / name).unlink(missing_ok=True)
        (data / name).mkdir()

    return do


OTHER_KEY = base64.b64encode(bytes(32)) + b"\n"
DAMAGES = (
    Damage("database header overwritten", overwrite("quecbind.db", 0, bytes(100)), "restore a backup"),
    Damage("database page overwritten", overwrite("quecbind.db", 4096, b"\xff" * 4096), "restore a backup"),
    Damage("database cut in half", cut, "restore a backup"),
    Damage(
        "database is no database", lambda data: (data / "quecbind.db").write_bytes(b"text " * 99), "restore a backup"
    ),
    Damage(
        "another master key", lambda data: (data / "master.key").write_bytes(OTHER_KEY), "does not fit the database"
    ),
    Damage("master key cut short", lambda data: os.truncate(data / "master.key", 20), "does not hold a master key"),
    Damage("master key empty", lambda data: os.truncate(data / "master.key", 0), "does not hold a master key"),
    Damage("master key gone", lambda data: (data / "master.key").unlink(), "put the key back"),
    Damage("master key is a directory", in_the_way("master.key"), "cannot be read"),
    Damage("lock cannot be opened", in_the_way("lock"), "cannot be used"),
    Damage("database is a directory", in_the_way("quecbind.db"), "cannot be opened"),
    Damage("serve.json cannot be written", in_the_way("serve.json.new"), "cannot be written"),
)


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data directory with a product in it."""
    data = tmp_path_factory.mktemp("sound") / "data"
    done = run_command("product", "create", "lamp", "--data", str(data))
    assert done.returncode == 0, done.stderr
    return data


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.name)
def test_a_data_directory_that_cannot_be_used_is_told_and_left_alone(
    tmp_path: Path, sound: Path, damage: Damage, row: Row
) -> None:
    data = shutil.copytree(sound, tmp_path / "data")
    damage.do(data)
    found = files_of(data)

    started = run_command(*SERVE, str(data))

    assert started.returncode == 1, started.stderr
    last = started.stderr.strip().splitlines()[-1]
    assert "Traceback" not in started.stderr
    assert started.stdout == ""
    assert last.startswith("quecbind: ")
    assert damage.told in last
    assert files_of(data) == found, "what was found was changed"
    restored = shutil.copytree(sound, tmp_path / "restored")
    assert len(json.loads(run_command("product", "list", "--data", str(restored), "--json").stdout)) == 1
    row(f"damage: {damage.name}", f"exit 1: ... {damage.told} ...", f"exit {started.returncode}: ... {damage.told} ...")


JOURNALS: tuple[tuple[str, Callable[[Path], object]], ...] = (
    ("whole", lambda wal: None),
    ("its end cut off", lambda wal: os.truncate(wal, wal.stat().st_size - 1000)),
    ("its end zeroed", lambda wal: wal.write_bytes(wal.read_bytes()[:-1000] + bytes(1000))),
    ("whole, and garbage behind it", lambda wal: wal.write_bytes(wal.read_bytes() + b"\xff" * 10_000)),
    ("empty", lambda wal: os.truncate(wal, 0)),
)


@pytest.mark.full
@pytest.mark.parametrize(("name", "do"), JOURNALS, ids=[name for name, _ in JOURNALS])
def test_a_journal_that_a_power_cut_has_torn_is_read_up_to_the_tear(
    tmp_path: Path, name: str, do: Callable[[Path], object], row: Row
) -> None:
    scene = Scene.start(tmp_path)
    for number in range(5):
        assert scene.operator("POST", "/products", {"name": f"p{number}"})[0] == 201
    made = scene.operator("GET", "/products")[1]["items"]
    scene.center.kill()

    do(scene.center.data / "quecbind.db-wal")
    scene.restart()
    found = scene.operator("GET", "/products")[1]["items"]

    assert scene.audit_is_whole()
    assert scene.center.stop() == 0
    is_kept = found == made if name.startswith("whole") else found == made[: len(found)]
    row(f"killed, its journal {name}: what was made first is there", True, is_kept)


def files_of(data: Path) -> dict[str, bytes | None]:
    """Every file but the lock, whose content is the last holder, and what SQLite keeps beside a database."""
    unlike = {"lock", "quecbind.db-wal", "quecbind.db-shm"}
    return {
        path.name: path.read_bytes() if path.is_file() else None for path in data.iterdir() if path.name not in unlike
    }
