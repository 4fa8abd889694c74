"""What changes while a command runs: a progress line, and a table that repaints itself. Plain ANSI, on terminals alone.

Everything shown came from outside, so only printable characters reach the terminal.
"""

import asyncio
import shutil
import sys
from collections.abc import Awaitable, Callable, Sequence
from typing import TextIO, TypeVar

from quecbind.cli.output import cell

_REPAINT_S = 0.2
_CLEAR_LINE = "\r\x1b[K"
_CLEAR_BELOW = "\x1b[J"
T = TypeVar("T")


async def shown(work: Awaitable[T], text: Callable[[float], str]) -> T:
    """What `work` gives; meanwhile, on a terminal, `text(seconds so far)` on one line of stderr."""
    if not sys.stderr.isatty():
        return await work
    loop = asyncio.get_running_loop()
    begin = loop.time()

    async def paint() -> None:
        while True:
            print(_CLEAR_LINE + fitted(text(loop.time() - begin)), end="", file=sys.stderr, flush=True)
            await asyncio.sleep(_REPAINT_S)

    painter = asyncio.create_task(paint(), name="progress")
    try:
        return await work
    finally:
        painter.cancel()
        await asyncio.gather(painter, return_exceptions=True)
        print(_CLEAR_LINE, end="", file=sys.stderr, flush=True)


def fitted(text: str) -> str:
    """A line that does not wrap."""
    width = shutil.get_terminal_size().columns - 1
    return text if len(text) <= width else text[: max(0, width - 1)] + "…"


class LiveTable:
    """Rows by name, painted over what was painted before."""

    def __init__(self, headings: Sequence[str], out: TextIO) -> None:
        self._headings = tuple(headings)
        self._out = out
        self._rows: dict[str, tuple[str, ...]] = {}
        self._height = 0

    def put(self, name: object, *cells: object) -> None:
        """Sets the row of this name."""
        self._rows[cell(name)] = (cell(name), *map(cell, cells))

    def paint(self, title: str) -> None:
        room = max(1, shutil.get_terminal_size().lines - 3)
        table = [self._headings, *list(self._rows.values())[:room]]
        widths = [max(len(row[at]) for row in table) for at in range(len(self._headings))]
        lines = [cell(title)]
        lines += [
            "  ".join(f"{text:<{width}}" for text, width in zip(row, widths, strict=True)).rstrip() for row in table
        ]
        up = f"\x1b[{self._height}A" if self._height else ""
        self._out.write(up + "\r" + _CLEAR_BELOW + "".join(fitted(line) + "\n" for line in lines))
        self._out.flush()
        self._height = len(lines)
