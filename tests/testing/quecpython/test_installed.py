"""The stand-ins are there while a script runs, say what they are, and leave nothing behind."""

from __future__ import annotations

import _thread
import subprocess
import sys
import time
from pathlib import Path

import pytest

from quecbind.testing import quecpython

NAMES = sorted({*quecpython.OWN, *quecpython.RENAMED})


def test_importing_quecIot_or_the_package_installs_nothing() -> None:
    code = (
        "import quecIot, quecbind.testing.quecpython, sys, time\n"
        f"print([name for name in {[name for name in NAMES if name != '_thread']} if name in sys.modules])\n"
        "print(hasattr(time, 'sleep_ms'), hasattr(sys, 'print_exception'))"
    )

    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)

    assert shown.stdout == "[]\nFalse False\n"


@pytest.mark.parametrize("name", NAMES)
def test_each_module_says_that_it_is_a_stand_in(module, name: str) -> None:
    found = module(name)

    assert repr(found) == f"<stand-in for QuecPython's {name}>"
    assert found.__doc__.startswith("Stand-in")


def test_nothing_is_left_behind(tmp_path: Path) -> None:
    before = dict(sys.modules)

    with quecpython.installed(tmp_path, print):
        assert sys.modules["_thread"] is not _thread
        assert hasattr(time, "ticks_ms")
        assert hasattr(sys, "print_exception")

    assert {name: sys.modules.get(name) for name in NAMES} == {name: before.get(name) for name in NAMES}
    assert not hasattr(time, "ticks_ms")
    assert not hasattr(sys, "print_exception")


def test_a_script_finds_its_own_modules_under_usr(tmp_path: Path) -> None:
    (tmp_path / "lamp.py").write_text("COLOUR = 'red'\n")

    with quecpython.installed(tmp_path, print):
        from usr.lamp import COLOUR

    assert COLOUR == "red"
    assert not [name for name in sys.modules if name.startswith("usr")]


def test_the_renamed_ones_do_what_pythons_own_do(module) -> None:
    assert module("ujson").loads('{"a": 1}') == {"a": 1}
    assert module("ubinascii").hexlify(b"\x01\xff") == b"01ff"
    assert module("uhashlib").sha256(b"").hexdigest().startswith("e3b0c442")
    assert module("ustruct").pack(">H", 258) == b"\x01\x02"
    assert module("ure").match("a(b)", "ab").group(1) == "b"
    assert 0 <= module("urandom").randint(0, 9) <= 9
    assert module("usocket").AF_INET


def test_usys_prints_an_exception_as_an_uncaught_one_is_shown(module, capsys: pytest.CaptureFixture[str]) -> None:
    usys = module("usys")

    try:
        int("too bright")
    except ValueError as error:
        usys.print_exception(error, sys.stdout)

    shown = capsys.readouterr().out
    assert shown.startswith("Traceback")
    assert shown.endswith("'too bright'\n")


def test_uos_lists_a_directory_with_kinds_and_sizes(module, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"1234")
    (tmp_path / "directory").mkdir()

    assert sorted(module("uos").ilistdir(str(tmp_path))) == [("directory", 0x4000, 0, 0), ("file", 0x8000, 0, 4)]
    assert "stand-in" in " ".join(module("uos").uname())


def test_uasyncio_sleeps_in_milliseconds(module) -> None:
    uasyncio = module("uasyncio")
    done = []

    async def work() -> None:
        await uasyncio.sleep_ms(1)
        done.append(await uasyncio.wait_for_ms(uasyncio.sleep(0, "slept"), 1000))

    loop = uasyncio.get_event_loop()
    assert loop is uasyncio.get_event_loop()
    loop.run_until_complete(work())
    loop.close()

    assert done == ["slept"]
