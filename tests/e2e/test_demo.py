"""`quecbind demo` as a newcomer runs it: the timeline, the exit code, and nothing left behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.e2e.center_process import COMMAND, environment
from tests.waiting import until

WITHIN_S = 60  # 15 on a machine of its own; tests share theirs


def start(directory: Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*COMMAND, "demo", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(TMPDIR=str(directory)),
    )


def processes_about(directory: Path) -> dict[int, str]:
    """The command line of every process that names the directory, by process id."""
    found = {}
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = entry.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if str(directory) in command:
            found[int(entry.parent.name)] = command
    return found


def device_processes(directory: Path) -> list[int]:
    return [pid for pid, command in processes_about(directory).items() if "device run" in command]


def test_the_timeline_tells_the_whole_story(tmp_path: Path) -> None:
    out, err = start(tmp_path).communicate(timeout=WITHIN_S)

    in_order = (
        "running: HTTP",
        "created product",
        "switched on",
        "enrolled: traded proof",
        "connected",
        "reported its bind code",
        "searching the local network",
        "found the device on the LAN",
        "handed over its bind code",
        "bound to the user",
        "userDeviceList shows 'Desk lamp'",
        "rst(): forgot its device secret",
        "the owner is gone",
        "userDeviceList is empty",
        "enrolled again",
        "done; every process has ended",
    )
    at = 0
    for words in in_order:
        assert words in out[at:], f"{words!r} is missing or out of order:\n{out}\n{err}"
        at = out.index(words, at)
    assert err == ""


def test_json_is_one_document_with_times_that_grow(tmp_path: Path) -> None:
    process = start(tmp_path, "--json")
    out, err = process.communicate(timeout=WITHIN_S)

    assert process.returncode == 0, err
    times = [step["at_s"] for step in json.loads(out)["steps"]]
    assert times == sorted(times)
    assert list(tmp_path.iterdir()) == []
    assert processes_about(tmp_path) == {}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("after", ["running: HTTP", "switched on", "found the device"])
def test_interrupted_it_leaves_nothing_behind(number: int, after: str, tmp_path: Path) -> None:
    process = start(tmp_path)
    assert process.stdout is not None
    for line in process.stdout:
        if after in line:
            break

    process.send_signal(number)
    process.send_signal(number)  # a second one must not keep it from tidying up
    process.communicate(timeout=WITHIN_S)

    assert process.returncode == 130
    assert processes_about(tmp_path) == {}
    assert list(tmp_path.iterdir()) == []


def test_out_of_time_it_says_so_and_leaves_nothing_behind(tmp_path: Path) -> None:
    started = time.monotonic()
    process = start(tmp_path, "--seconds", "0.5")
    _, err = process.communicate(timeout=WITHIN_S)

    assert process.returncode == 1
    assert "did not come to its end in 0.5 s" in err
    assert time.monotonic() - started < 30
    assert processes_about(tmp_path) == {}


def test_a_process_that_dies_is_named_with_its_last_words(tmp_path: Path) -> None:
    process = start(tmp_path)
    assert process.stdout is not None
    for line in process.stdout:
        if "switched on" in line:
            break
    # A process that has only just begun has no command line in /proc for a moment.
    assert until(lambda: device_processes(tmp_path))

    for pid in device_processes(tmp_path):
        os.kill(pid, signal.SIGKILL)
    _, err = process.communicate(timeout=WITHIN_S)

    assert process.returncode == 1
    assert "`quecbind device run`" in err
    assert processes_about(tmp_path) == {}
