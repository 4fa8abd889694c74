"""`quecbind device run`: the script's surroundings, and how it ends."""

import io
import logging
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from quecbind import cli
from quecbind.cli.device_run import WholeLines
from quecbind.cli.outcome import DONE, REFUSED, USAGE


@pytest.fixture
def script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in list(os.environ):
        if name.startswith("QUECIOT_"):
            monkeypatch.delenv(name)
    # what the command sets must not outlive the test
    for name in ("DK", "HOME", "SERVER", "LAN", "LAN_HOST", "LAN_UDP_PORT", "LAN_TCP_PORT", "CA_FILE"):
        monkeypatch.setenv(f"QUECIOT_{name}", "")
    monkeypatch.setattr(sys, "argv", ["quecbind"])
    return tmp_path / "script.py"


def test_the_flags_become_what_quecIot_reads(script: Path, capsys: pytest.CaptureFixture[str]) -> None:
    script.write_text(
        "import os, sys\n"
        "print(sys.argv[1:], [os.environ['QUECIOT_' + name] for name in "
        "('DK', 'HOME', 'SERVER', 'LAN', 'LAN_HOST', 'LAN_UDP_PORT', 'LAN_TCP_PORT')])\n"
    )

    code = cli.main(
        [
            *("device", "run", str(script), "--dk", "D1", "--home", "store", "--server", "mqtt://127.0.0.1:1"),
            *("--no-lan", "--lan-host", "127.0.0.1", "--lan-udp-port", "7", "--lan-tcp-port", "0", "--seconds", "0.5"),
        ]
    )

    assert code == DONE
    assert capsys.readouterr().out == "[] ['D1', 'store', 'mqtt://127.0.0.1:1', 'off', '127.0.0.1', '7', '0']\n"


def test_lines_of_two_threads_do_not_run_into_each_other() -> None:
    out = io.StringIO()
    lines = WholeLines(out)
    lines.write("one")
    thread = threading.Thread(target=print, args=("two",), kwargs={"file": lines})
    thread.start()
    thread.join(10)
    assert out.getvalue() == "two\n"

    lines.write("\nand three")

    assert out.getvalue() == "two\none\n"
    lines.flush()
    assert out.getvalue() == "two\none\nand three"


def test_what_a_script_prints_last_needs_no_end_of_line(script: Path, capsys: pytest.CaptureFixture[str]) -> None:
    script.write_text("print('no end', end='')\n")

    assert cli.main(["device", "run", str(script), "--seconds", "0.5"]) == DONE

    assert capsys.readouterr().out == "no end"


def test_a_script_that_loops_forever_ends_with_the_time(script: Path) -> None:
    script.write_text(
        "import time\nwhile True:\n    try:\n        time.sleep(0.01)\n    except Exception:\n        pass\n"
    )

    assert cli.main(["device", "run", str(script), "--seconds", "0.2"]) == DONE


def test_a_script_finds_the_modules_beside_it(script: Path) -> None:
    (script.parent / "beside_it_42.py").write_text("VALUE = 3\n")
    script.write_text("import sys, beside_it_42\nsys.exit(beside_it_42.VALUE)\n")

    assert cli.main(["device", "run", str(script)]) == 3
    sys.modules.pop("beside_it_42")


def test_a_script_that_fails_shows_where_and_is_refused(script: Path, capsys: pytest.CaptureFixture[str]) -> None:
    script.write_text("1 / 0\n")

    assert cli.main(["device", "run", str(script)]) == REFUSED

    err = capsys.readouterr().err
    assert "ZeroDivisionError" in err
    assert f"{script} failed" in err


def test_a_script_that_ends_with_a_sentence_is_refused_with_it(
    script: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    script.write_text("raise SystemExit('no product key')\n")

    assert cli.main(["device", "run", str(script)]) == REFUSED
    assert "no product key" in capsys.readouterr().err


def test_a_script_that_is_not_there_is_a_usage_error(script: Path) -> None:
    assert cli.main(["device", "run", str(script)]) == USAGE


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_device_goes_on_after_its_script_until_it_is_told_to_stop(script: Path, number: int) -> None:
    script.write_text("import quecIot\nprint('script ends, state', quecIot.getWorkState())\n")
    process = subprocess.Popen(
        [sys.executable, "-m", "quecbind.cli", "device", "run", str(script), "--home", str(script.parent)],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None

    line = process.stdout.readline()
    still_running = process.poll() is None
    process.send_signal(number)

    assert process.wait(10) == DONE
    assert line == "script ends, state 0\n"
    assert still_running
    process.stdout.close()


@pytest.mark.parametrize("missing", ["BIND_ME_PRODUCT_KEY", "BIND_ME_PRODUCT_SECRET"])
def test_the_example_says_what_it_is_missing(
    missing: str, script: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("BIND_ME_PRODUCT_KEY", "BIND_ME_PRODUCT_SECRET"):
        monkeypatch.setenv(name, "" if name == missing else "p1aB3c")
    example = Path(__file__).parents[2] / "examples" / "bind_me.py"

    assert cli.main(["device", "run", str(example)]) == USAGE
    assert missing in capsys.readouterr().out


def test_a_library_that_logs_does_not_make_every_line_come_twice(
    script: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging.getLogger(), "handlers", [])
    script.write_text(
        "import logging\n"
        "logging.debug('as bumble does it: it gives the root logger a handler')\n"
        "logging.getLogger('quecIot').warning('a line of the device')\n"
    )

    assert cli.main(["device", "run", str(script), "--seconds", "0.5"]) == DONE

    assert capsys.readouterr().err.count("a line of the device") == 1
    assert logging.getLogger("quecIot").propagate
