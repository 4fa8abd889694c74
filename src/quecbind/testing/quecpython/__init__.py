"""Stand-ins for what a QuecPython script imports besides quecIot, so that it runs on a computer as it is.

They are on purpose no more than they say: a pin keeps its level and nothing hangs on it, timers fire, the radio is
always there and has no network of its own. What a simulation has to make up can be told from the real thing: numbers of
the test network 001/01, zeros, `stand-in`. `repr` of each module says so too. Nothing is installed by importing this
package; `installed` puts the modules in place for as long as a script runs, and takes them away again. What each does
and does not do: docs/howto/run-a-quecpython-script.md.
"""

import contextlib
import importlib
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from quecbind.testing.quecpython import board as _board
from quecbind.testing.quecpython import clock
from quecbind.testing.quecpython.stand_in import StandIn, renamed, stand_in

OWN = {
    "_thread": "thread",
    "checkNet": "check_net",
    "dataCall": "data_call",
    "log": "log",
    "machine": "machine",
    "misc": "misc",
    "modem": "modem",
    "net": "net",
    "osTimer": "os_timer",
    "pm": "pm",
    "sim": "sim",
    "utime": "clock",
}
RENAMED = {
    "uasyncio": "asyncio",
    "ubinascii": "binascii",
    "ucollections": "collections",
    "uerrno": "errno",
    "uhashlib": "hashlib",
    "uio": "io",
    "ujson": "json",
    "uos": "os",
    "urandom": "random",
    "ure": "re",
    "uselect": "select",
    "usocket": "socket",
    "ussl": "ssl",
    "ustruct": "struct",
    "usys": "sys",
    "uzlib": "zlib",
}
# What the modules of the same name have on a module and Python's own do not.
ADDED: tuple[tuple[ModuleType, tuple[str, ...]], ...] = (
    (time, ("sleep_ms", "sleep_us", "ticks_ms", "ticks_us", "ticks_diff", "ticks_add")),
)
USER_PACKAGE = "usr"  # where a module keeps the scripts, and what they import one another from


@contextlib.contextmanager
def installed(scripts: Path, on_power: Callable[[str], None]) -> Iterator[None]:
    """Within it, a script in the directory `scripts` finds what it imports on a module.

    `on_power` is called, in whatever thread asks for it, with "down" or "restart" when the script wants the module
    switched off or started again. Must not be entered twice at a time: there is one board in a process.
    """
    modules: dict[str, ModuleType] = {
        name: stand_in(name, importlib.import_module(f"{__name__}.{file}")) for name, file in OWN.items()
    }
    modules |= {name: renamed(name, importlib.import_module(original)) for name, original in RENAMED.items()}
    modules[USER_PACKAGE] = _package(USER_PACKAGE, scripts)
    before = {name: sys.modules.get(name) for name in modules}
    _board.board.start(on_power)
    sys.modules.update(modules)
    try:
        with _added():
            yield
    finally:
        _board.board.stop()
        for name in [name for name in sys.modules if name.startswith(USER_PACKAGE + ".")]:
            del sys.modules[name]
        for name, module in before.items():
            if module is None:
                sys.modules.pop(name, None)
            else:
                sys.modules[name] = module


def _package(name: str, directory: Path) -> ModuleType:
    package = StandIn(name, f"Stand-in: the scripts of the module, here those in {directory}.")
    package.__path__ = [str(directory)]
    return package


@contextlib.contextmanager
def _added() -> Iterator[None]:
    done: list[tuple[ModuleType, str]] = []

    def add(module: ModuleType, name: str, value: Any) -> None:
        if not hasattr(module, name):
            setattr(module, name, value)
            done.append((module, name))

    for module, names in ADDED:
        for name in names:
            add(module, name, getattr(clock, name))
    add(sys, "print_exception", sys.modules["usys"].print_exception)
    try:
        yield
    finally:
        for module, name in done:
            delattr(module, name)
