"""What a stand-in is: a module that says in its repr and its docstring that it is none of the maker's."""

import asyncio
import logging
import os
import sys
import traceback
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any, TextIO

logger = logging.getLogger("quecpython")


class StandIn(ModuleType):
    """A module in the place of one that only the firmware has.

    Where the firmware has a class under the name of a module (`import osTimer; timer = osTimer()`), the module holds a
    class of its own name, and calling the module makes one.
    """

    def __repr__(self) -> str:
        return f"<stand-in for QuecPython's {self.__name__}>"

    def __call__(self, *arguments: Any) -> Any:
        return getattr(self, self.__name__)(*arguments)


def stand_in(name: str, source: ModuleType) -> StandIn:
    """The module `name`, with what `source` offers."""
    made = StandIn(name, source.__doc__)
    offered = vars(source)
    made.__dict__.update({key: value for key, value in offered.items() if not key.startswith("__")})
    return made


def renamed(name: str, original: ModuleType) -> StandIn:
    """The module `name`, which is Python's own `original` and what the firmware's has more."""
    made = StandIn(name, f"Stand-in: Python's {original.__name__}.")
    made.__dict__.update({key: value for key, value in vars(original).items() if not key.startswith("__")})
    made.__dict__.update(_MORE.get(name, {}))
    return made


def _print_exception(error: BaseException, file: TextIO | None = None) -> None:
    """An exception with its traceback, as an uncaught one is shown."""
    traceback.print_exception(error, file=file or sys.stdout)


def _list(directory: str = "") -> Iterator[tuple[str, int, int, int]]:
    """Name, kind (0x4000 a directory, 0x8000 a file), 0, and size of everything in a directory."""
    with os.scandir(directory or ".") as entries:
        for entry in entries:
            is_directory = entry.is_dir()
            yield entry.name, 0x4000 if is_directory else 0x8000, 0, 0 if is_directory else entry.stat().st_size


def _uname() -> tuple[str, str, str, str, str, str]:
    """Six texts in which the firmware names itself; here, who stands in for it."""
    return (
        "sysname=stand-in",
        "nodename=stand-in",
        "release=0.0.0",
        f"version={sys.version.split()[0]} of Python",
        "machine=stand-in",
        "qpyver=stand-in",
    )


def _event_loop() -> asyncio.AbstractEventLoop:
    """The event loop of this thread, made when there is none."""
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        if "loop" not in _loops or _loops["loop"].is_closed():
            _loops["loop"] = asyncio.new_event_loop()
        return _loops["loop"]


async def _sleep_ms(milliseconds: int) -> None:
    await asyncio.sleep(milliseconds / 1000)


async def _wait_for_ms(awaitable: Any, milliseconds: int) -> Any:
    return await asyncio.wait_for(awaitable, milliseconds / 1000)


_loops: dict[str, asyncio.AbstractEventLoop] = {}
_MORE: dict[str, dict[str, Callable[..., Any]]] = {
    "usys": {"print_exception": _print_exception},
    "uos": {"ilistdir": _list, "uname": _uname, "uname2": _uname},
    "uasyncio": {"sleep_ms": _sleep_ms, "wait_for_ms": _wait_for_ms, "get_event_loop": _event_loop},
}
