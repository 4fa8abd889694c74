"""`quecbind device run SCRIPT.py`: this process becomes the module that runs a QuecPython script.

The script imports our quecIot and needs no change: where the server is, which device it is and where its memory lies
come from flags, as variables quecIot reads. What else it imports on a module, it finds as stand-ins
(`quecbind.testing.quecpython`). As on a real module, the agent goes on after the script has ended, and a script that
switches the module off or starts it again does that to this process.
"""

import argparse
import contextlib
import logging
import os
import runpy
import signal
import sys
import threading
import traceback
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any, TextIO

from quecbind.cli.arguments import Subparsers, add_command, port, port_or_any, seconds
from quecbind.cli.outcome import DONE, REFUSED, USAGE, CommandError
from quecbind.testing import quecpython
from quecIot._options import is_device_key

# flag, variable of quecIot, type, metavar, help
_OPTIONS = (
    ("--dk", "QUECIOT_DK", str, "DK", "the device key, instead of this machine's MAC address"),
    ("--home", "QUECIOT_HOME", str, "DIR", "where the device keeps its secret; default: ~/.queciot"),
    ("--server", "QUECIOT_SERVER", str, "URL", "mqtt://host:port or mqtts://..., whatever the script says"),
    ("--ca-file", "QUECIOT_CA_FILE", str, "FILE", "certificates to trust instead of the system's, for mqtts://"),
    ("--lan-host", "QUECIOT_LAN_HOST", str, "ADDRESS", "address to be found at; default: every one"),
    ("--lan-udp-port", "QUECIOT_LAN_UDP_PORT", port, "N", "port to be found at; default: 6606"),
    ("--lan-tcp-port", "QUECIOT_LAN_TCP_PORT", port_or_any, "N", "port for pairing; default: 6607, 0 takes any"),
    ("--ble", "QUECIOT_BLE", str, "TRANSPORT", "be found over BLE too, on this controller of bumble's, such as usb:0"),
)
_LOG_FORMAT = "%(asctime)s %(name)s %(levelname)s %(message)s"


class _Stopped(BaseException):
    """SIGTERM or SIGINT has come; not an Exception, so that a script does not swallow it."""


class _Power:
    """What the script has asked for: the process ends by a signal, which reaches the main thread wherever it is."""

    def __init__(self) -> None:
        self.is_restart = False

    def asked(self, how: str) -> None:
        self.is_restart = how == "restart"
        os.kill(os.getpid(), signal.SIGTERM)


class WholeLines:
    """A text stream on which the lines of threads stay whole: `print` writes a line and its end one after the other."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._begun = threading.local()

    def write(self, text: str) -> int:
        """See TextIO; a line is written, and flushed, with its end."""
        whole, end, self._begun.text = (getattr(self._begun, "text", "") + text).rpartition("\n")
        if end:
            self._stream.write(whole + end)
            self._stream.flush()
        return len(text)

    def flush(self) -> None:
        """See TextIO; also what this thread has begun."""
        begun, self._begun.text = getattr(self._begun, "text", ""), ""
        self._stream.write(begun)
        self._stream.flush()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def register(subparsers: Subparsers) -> None:
    parser = add_command(
        subparsers,
        "run",
        "run a QuecPython script as a device, until it is stopped",
        "BIND_ME_PRODUCT_KEY=p1aB3c BIND_ME_PRODUCT_SECRET=... \\\n"
        "  quecbind device run examples/bind_me.py --dk 0123456789ab --home lamp --server mqtt://127.0.0.1:1883",
        run,
    )
    parser.add_argument("script", type=Path, metavar="SCRIPT.py", help="a script that imports quecIot")
    for flag, variable, kind, metavar, meaning in _OPTIONS:
        parser.add_argument(flag, dest=variable, type=kind, metavar=metavar, help=f"{meaning} [{variable}]")
    parser.add_argument("--no-lan", action="store_true", help="not to be found on the local network")
    parser.add_argument("--seconds", type=seconds, metavar="S", help="stop after this time")
    parser.add_argument("--quiet", action="store_true", help="only warnings of quecIot on stderr")


def run(args: argparse.Namespace) -> int:
    if not args.script.is_file():
        raise CommandError(USAGE, f"there is no script {args.script}")
    if args.QUECIOT_DK is not None and not is_device_key(args.QUECIOT_DK):
        raise CommandError(USAGE, f"--dk must be 1 to 16 letters and digits, not {args.QUECIOT_DK!r}")
    for _, variable, _, _, _ in _OPTIONS:
        if getattr(args, variable) is not None:
            os.environ[variable] = str(getattr(args, variable))
    if args.no_lan:
        os.environ["QUECIOT_LAN"] = "off"
    power, place = _Power(), Path.cwd()
    try:
        with _logging(logging.WARNING if args.quiet else logging.INFO), _stopping(args.seconds):
            return _run_script(args.script, power)
    except _Stopped:
        if power.is_restart:
            sys.stdout.flush()
            os.chdir(place)
            os.execv(sys.executable, sys.orig_argv)  # noqa: S606 - this very command, once more
        return DONE


@contextlib.contextmanager
def _logging(level: int) -> Iterator[None]:
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter(_LOG_FORMAT))
    logs = [logging.getLogger(name) for name in ("quecIot", "quecpython")]
    for log in logs:
        log.setLevel(level)
        log.addHandler(handler)
        log.propagate = False  # a library that logs may give the root logger a handler, and each line came twice
    try:
        yield
    finally:
        for log in logs:
            log.removeHandler(handler)
            log.propagate = True


def _run_script(script: Path, power: _Power) -> int:
    """Runs the script and then waits; returns only when the script ends the program by itself."""
    stdout = sys.stdout
    # A pipe would hold back what a script prints until it ends.
    sys.stdout = WholeLines(stdout)
    sys.argv = [str(script)]
    directory = script.parent.resolve()
    sys.path.insert(0, str(directory))
    try:
        with quecpython.installed(directory, power.asked):
            runpy.run_path(str(script), run_name="__main__")
            threading.Event().wait()
    except SystemExit as end:
        if isinstance(end.code, str):
            raise CommandError(REFUSED, end.code) from None
        return end.code or DONE
    except Exception:  # noqa: BLE001 - whatever a script does wrong is its own
        traceback.print_exc()
        raise CommandError(REFUSED, f"{script} failed") from None
    finally:
        sys.path.remove(str(directory))
        with contextlib.suppress(OSError, ValueError):  # nobody reads it any more
            sys.stdout.flush()
        sys.stdout = stdout
    return DONE


@contextlib.contextmanager
def _stopping(after_s: float | None) -> Iterator[None]:
    """Within it, SIGTERM, SIGINT and the end of the time raise _Stopped, in the main thread."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise _Stopped

    signals = (signal.SIGTERM, signal.SIGINT, signal.SIGALRM)
    before = {number: signal.signal(number, stop) for number in signals}
    try:
        if after_s is not None:
            signal.setitimer(signal.ITIMER_REAL, after_s)
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in before.items():
            signal.signal(number, handler)
