"""The store across power cuts: whatever step is the last one done, the old state or the new one is found."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from quecIot._platform import Files
from quecIot._store import Store, StoreError

DEFAULTS: dict[str, Any] = {"secret": "", "count": 0}
OLD = {"secret": "old", "count": 1}
NEW = {"secret": "new", "count": 2}


class PowerCut(Exception):
    pass


class FailingFiles(Files):
    """Real files; after `steps` steps the power goes, or the disk is full."""

    def __init__(self, steps: int, error: type[Exception] = PowerCut, written: float = 1.0) -> None:
        self.steps = steps
        self.error = error
        self.written = written
        self.done: list[str] = []

    def _step(self, name: str) -> None:
        if self.steps == 0:
            raise self.error(28, "no")
        self.steps -= 1
        self.done.append(name)

    def create(self, path: str) -> None:
        self._step("create")
        super().create(path)

    def write(self, path: str, data: bytes) -> None:
        if self.steps == 0 and self.written < 1:
            super().write(path, data[: int(len(data) * self.written)])
        self._step("write")
        super().write(path, data)

    def rename(self, old: str, new: str) -> None:
        self._step("rename")
        super().rename(old, new)

    def sync_directory(self, path: str) -> None:
        self._step("sync_directory")
        super().sync_directory(path)


def open_store(directory: Path, files: Files | None = None) -> Store:
    store = Store(str(directory), "device.json", files or Files(), DEFAULTS)
    store.load(lambda level, text: None)
    return store


def test_what_was_saved_is_found_again(tmp_path: Path) -> None:
    open_store(tmp_path).save(OLD)

    assert open_store(tmp_path).values == OLD


def test_a_save_is_created_written_renamed_and_made_to_last_in_that_order(tmp_path: Path) -> None:
    files = FailingFiles(steps=100)

    open_store(tmp_path, files).save(OLD)

    assert files.done == ["create", "write", "rename", "sync_directory"]


@pytest.mark.parametrize("written", [0.0, 0.3, 0.99])
@pytest.mark.parametrize("steps", range(5))
def test_a_power_cut_at_any_step_leaves_the_old_state_or_the_new(tmp_path: Path, steps: int, written: float) -> None:
    open_store(tmp_path).save(OLD)
    store = open_store(tmp_path, FailingFiles(steps, written=written))

    try:
        store.save(NEW)
    except PowerCut:
        found = open_store(tmp_path).values
        assert found == (OLD if steps < 3 else NEW)
    else:
        assert open_store(tmp_path).values == NEW

    open_store(tmp_path).save(NEW)
    assert open_store(tmp_path).values == NEW


@pytest.mark.parametrize("steps", range(3))
def test_a_full_disk_at_any_step_changes_nothing(tmp_path: Path, steps: int) -> None:
    open_store(tmp_path).save(OLD)
    store = open_store(tmp_path, FailingFiles(steps, OSError, written=0.5))

    with pytest.raises(StoreError, match="cannot be written"):
        store.save(NEW)

    assert store.values == OLD
    assert open_store(tmp_path).values == OLD


def test_a_value_of_a_later_release_is_as_if_never_saved(tmp_path: Path) -> None:
    old = Store(str(tmp_path), "device.json", Files(), DEFAULTS)
    old.load(lambda level, text: None)
    old.save({"secret": "kept"})

    store = Store(str(tmp_path), "device.json", Files(), {**DEFAULTS, "auth_key": ""}, ("auth_key",))
    store.load(lambda level, text: None)

    assert store.values == {**DEFAULTS, "secret": "kept", "auth_key": ""}


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"{}", b'{"version": 2}', b"\xff", b'{"version": 1, "secret": ""}']
)
def test_a_file_that_cannot_be_read_is_kept_aside(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "device.json").write_bytes(content)
    logged: list[str] = []
    store = Store(str(tmp_path), "device.json", Files(), DEFAULTS)

    store.load(lambda level, text: logged.append(text))

    assert store.values == DEFAULTS
    assert (tmp_path / "device.json.broken").read_bytes() == content
    assert len(logged) == 1


def test_only_the_owner_can_read_it(tmp_path: Path) -> None:
    home = tmp_path / "a" / "home"

    open_store(home).save(OLD)

    assert home.stat().st_mode & 0o777 == 0o700
    assert (home / "device.json").stat().st_mode & 0o777 == 0o600
    assert json.loads((home / "device.json").read_text()) == {**OLD, "version": 1}


def test_the_secret_is_never_in_a_file_that_others_can_read(tmp_path: Path) -> None:
    modes = []

    class Watching(Files):
        def write(self, path: str, data: bytes) -> None:
            modes.append(Path(path).stat().st_mode & 0o777)
            super().write(path, data)

    open_store(tmp_path, Watching()).save(OLD)
    (tmp_path / "device.json.new").write_bytes(b"left by a power cut")
    (tmp_path / "device.json.new").chmod(0o644)
    open_store(tmp_path, Watching()).save(NEW)

    assert modes == [0o600, 0o600]


def test_a_directory_that_cannot_be_made_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")

    with pytest.raises(StoreError, match="cannot be used"):
        open_store(tmp_path / "file" / "home")
