"""A disk that is full: nothing acknowledged is lost, nothing refused is half done.

The full disk is a tmpfs that a file fills (that needs the right to mount), and, for everybody, a limit on how large a
file of the server may grow. Devices that have their secret connect all the same: that needs no write.
"""

from __future__ import annotations

import resource
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.e2e.center_process import CenterProcess, run_command
from tests.faults.database import changes
from tests.faults.scene import GONE, Scene, is_one_sentence
from tests.tables import Row

CODE = "1234567890ABCDEF"
MiB = 1 << 20


class Disk(NamedTuple):
    """A place for data, and how to take its room away and give it back."""

    kind: str
    place: Path
    fill: Callable[[Scene], object]
    free: Callable[[Scene], object]


@pytest.fixture(params=["tmpfs", "file size limit"])
def disk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Disk]:
    if request.param == "file size limit":
        yield Disk(request.param, tmp_path, limit_files, lambda scene: limit_files(scene, resource.RLIM_INFINITY))
        return
    place = tmp_path / "mount"
    place.mkdir()
    try:
        mounted = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(place)], capture_output=True, check=False
        )
    except FileNotFoundError:
        pytest.skip("no mount command here")
    if mounted.returncode:
        pytest.skip("no right to mount a tmpfs here")
    yield Disk(request.param, place, lambda _: fill(place / "ballast"), lambda _: (place / "ballast").unlink())
    subprocess.run(["umount", str(place)], check=True)


def fill(ballast: Path) -> None:
    with ballast.open("wb", buffering=0) as file:
        for size in (MiB, 4096, 1):
            while True:
                try:
                    file.write(b"x" * size)
                except OSError:
                    break


def limit_files(scene: Scene, size: int = 0) -> None:
    """No file of the server may be written past `size` bytes; what is shorter or longer stays as it is."""
    process = scene.center.process
    assert process is not None
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))


def refused(deed: Callable[[], object]) -> bool:
    """Whether the deed got no answer, or one that refuses it."""
    try:
        answer = deed()
    except GONE:
        return True
    if isinstance(answer, dict):
        return bool(answer["code"] != 200)
    return isinstance(answer, tuple) and answer[0] >= 500


def test_a_full_disk_refuses_every_change_whole_and_is_over_when_there_is_room(disk: Disk, row: Row) -> None:
    scene = Scene.start(disk.place)
    dk, other = scene.world.new_device_key(), scene.world.new_device_key()
    secret = scene.enrol(dk)
    assert scene.connect(dk, secret) == 0
    scene.report(dk, secret, CODE)
    before = scene.content()
    deeds: dict[str, Callable[[], object]] = {
        "enrol": lambda: scene.enrol(other),
        "bind": lambda: scene.ann.bind(dk, CODE),
        "report a bind code": lambda: scene.report(dk, secret, "0000000000000001"),
        "create a user": lambda: scene.operator("POST", "/users", scene.new_user("new@example.org")),
    }

    disk.fill(scene)
    is_refused = {name: refused(deed) for name, deed in deeds.items()}
    connected = scene.connect(dk, secret)
    disk.free(scene)
    after = changes(before, scene.content())

    assert connected == 0, "a device that has its secret was kept out"
    assert is_refused == dict.fromkeys(deeds, True)
    assert after == []
    assert scene.ann.bind(dk, CODE)["code"] == 200
    assert scene.connect(other, scene.enrol(other)) == 0
    assert scene.audit_is_whole()
    assert scene.center.stop() == 0
    for name, was_refused in is_refused.items():
        row(
            f"disk full ({disk.kind}): {name}",
            "refused, nothing changed",
            "refused, nothing changed" if was_refused else "done",
        )


@pytest.mark.parametrize("disk", ["tmpfs"], indirect=True)
def test_a_start_on_a_full_disk_says_so_and_leaves_nothing_in_the_way(disk: Disk, row: Row) -> None:
    data = disk.place / "data"
    fill(disk.place / "ballast")

    started = run_command("serve", "--http-port", "0", "--mqtt-port", "0", "--data", str(data))
    (disk.place / "ballast").unlink()
    center = CenterProcess(data, disk.place / "serve.log").start()

    assert center.stop() == 0
    row("start on a full disk: exit code, one sentence", (1, True), (started.returncode, is_one_sentence(started)))


@pytest.mark.parametrize("disk", ["tmpfs"], indirect=True)
def test_a_read_only_directory_is_told_and_serves_again_when_it_is_not(disk: Disk, row: Row) -> None:
    data = disk.place / "data"
    assert run_command("product", "create", "lamp", "--data", str(data)).returncode == 0
    subprocess.run(["mount", "-o", "remount,ro", str(disk.place)], check=True)

    started = run_command("serve", "--http-port", "0", "--mqtt-port", "0", "--data", str(data))
    subprocess.run(["mount", "-o", "remount,rw", str(disk.place)], check=True)
    center = CenterProcess(data, disk.place / "serve.log").start()

    assert center.stop() == 0
    assert "cannot be used: Read-only file system" in started.stderr
    row(
        "start on a read-only directory: exit code, one sentence",
        (1, True),
        (started.returncode, is_one_sentence(started)),
    )
