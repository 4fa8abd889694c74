"""A script as one writes it for a module, run unchanged by `quecbind device run` against a real server."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.e2e.center_process import environment
from tests.e2e.conftest import World
from tests.waiting import until

EXAMPLE = Path(__file__).parents[2] / "examples" / "hall_lamp.py"


class Running:
    """`device run` of a script; what it printed, and what was logged, in one file."""

    def __init__(self, script: Path, place: Path, *options: str, **variables: str) -> None:
        self.log = place / "log"
        command = [sys.executable, "-m", "quecbind.cli", "device", "run", str(script), "--home", str(place / "store")]
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [*command, "--no-lan", *options],
                stdout=log,
                stderr=subprocess.STDOUT,
                env=environment(**variables),
                stdin=subprocess.DEVNULL,
            )

    def printed(self, words: str, times: int = 1) -> bool:
        return until(lambda: self.log.read_text().count(words) >= times or self.process.poll() is not None) and (
            self.log.read_text().count(words) >= times
        )

    def stop(self) -> int:
        if self.process.poll() is None:
            self.process.terminate()
        return self.process.wait(20)


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Callable[..., Running]]:
    started: list[Running] = []

    def start(script: Path, *options: str, **variables: str) -> Running:
        started.append(Running(script, tmp_path, *options, **variables))
        return started[-1]

    yield start
    for one in started:
        one.stop()


def test_the_hall_lamp_connects_blinks_reports_and_is_bound(world: World, run: Callable[..., Running]) -> None:
    key = world.new_device_key()
    server = f"mqtt://127.0.0.1:{world.center.mqtt_port}"
    lamp = run(
        EXAMPLE,
        *("--dk", key, "--server", server),
        BIND_ME_PRODUCT_KEY=world.pk,
        BIND_ME_PRODUCT_SECRET=world.ps,
    )

    assert lamp.printed("INFO:lamp:STAND-IN, card 001010000000000, at 127.0.0.1"), lamp.log.read_text()
    assert lamp.printed("INFO:lamp:event 3,10200"), lamp.log.read_text()
    assert lamp.printed("INFO:lamp:bind window open for 1"), lamp.log.read_text()
    assert lamp.printed("GPIO1 is high", 2), "the timer did not blink"
    assert lamp.printed("GPIO1 is low", 2), "the timer did not blink"
    assert lamp.printed("INFO:lamp:event 4,10200", 2), "its reports were not taken"

    shown = world.center.admin("device", "show", world.pk, key)
    assert shown["is_online"]
    assert shown["bind_window_end_at"] is not None
    assert "Traceback" not in lamp.log.read_text()
    assert lamp.stop() == 0


def test_a_script_that_starts_the_module_again_is_run_again(tmp_path: Path) -> None:
    (tmp_path / "runs").mkdir()
    (tmp_path / "settings.py").write_text("RUNS = 'runs'\n")
    (tmp_path / "main.py").write_text(
        "import uos\n"
        "from machine import Timer\n"
        "from misc import Power\n"
        "from usr.settings import RUNS\n"
        "count = len(uos.listdir(RUNS))\n"
        "print('run number', count + 1)\n"
        "uos.mkdir('%s/%d' % (RUNS, count))\n"
        "uos.chdir(RUNS)\n"
        "ask = Power.powerDown if count else Power.powerRestart\n"
        "Timer(Timer.Timer0).start(1, Timer.ONE_SHOT, lambda timer: ask())\n"
        "while True:\n"
        "    pass\n"
    )

    module = subprocess.run(
        [sys.executable, "-m", "quecbind.cli", "device", "run", "main.py", "--home", "store", "--no-lan"],
        cwd=tmp_path,
        env=environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert module.returncode == 0, module.stderr
    assert module.stdout == "run number 1\nrun number 2\n"
    assert "power restart" in module.stderr
    assert "power down" in module.stderr


def test_a_script_that_imports_what_there_is_not_says_so(tmp_path: Path, run: Callable[..., Running]) -> None:
    script = tmp_path / "main.py"
    script.write_text("import sms\n")

    module = run(script)

    assert module.process.wait(30) == 1
    assert "No module named 'sms'" in module.log.read_text()
