"""Processes that belong to this one: started, listened to, waited for with a limit, and always stopped.

Each child has a session of its own, so that Ctrl-C on the terminal reaches only the parent, which then stops its
children in order. What a child prints is kept, the end of it, for the message when something goes wrong.
"""

import asyncio
import contextlib
import os
import signal
import sys
from collections import deque
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Self

_KEPT_LINES = 200
_TAIL_LINES = 15
_STOP_WAIT_S = 10.0
_LINE_LIMIT = 1 << 20

# -P: a file in the current directory must not pass for a module of ours
COMMAND = (sys.executable, "-P", "-m", "quecbind.cli")


class ChildError(Exception):
    """A child did not do what was waited for; the sentence ends with the last lines it printed."""


class Child:
    """One running `quecbind ...`."""

    def __init__(self, name: str, process: asyncio.subprocess.Process, heard: Callable[[str], None] | None) -> None:
        self.name = name
        self.lines: deque[str] = deque(maxlen=_KEPT_LINES)
        self.output: list[str] = []
        self._process = process
        self._heard = heard
        self._failure: OSError | None = None
        self._news = asyncio.Condition()
        self._open_count = 2
        self._readers = asyncio.gather(self._read(process.stdout, True), self._read(process.stderr, False))

    async def _read(self, stream: asyncio.StreamReader | None, is_output: bool) -> None:
        assert stream is not None
        while line := await stream.readline():
            text = line.decode("utf-8", "replace").rstrip("\n")
            self.lines.append(text)
            if is_output:
                self.output.append(text)
            if self._heard is not None:
                try:
                    self._heard(text)
                except OSError as error:
                    # It passed the line on to somebody who has gone; the child is read all the same.
                    self._failure, self._heard = error, None
            async with self._news:
                self._news.notify_all()
        self._open_count -= 1
        async with self._news:
            self._news.notify_all()

    def check(self) -> None:
        """Raises the OSError that whoever is told its lines has met."""
        if self._failure is not None:
            raise self._failure

    def tail(self) -> str:
        kept = list(self.lines)[-_TAIL_LINES:]
        shown = "\n".join(f"    {line}" for line in kept) or "    (it printed nothing)"
        return f"the last that `{self.name}` printed:\n{shown}"

    async def line(self, begins: str, within_s: float) -> str:
        """The first line on stdout that begins so.

        Raises:
            ChildError: the time is over, or the process has ended without it.
            OSError: see `check`, which `end` does too.
        """

        def found() -> str | None:
            return next((line for line in self.output if line.startswith(begins)), None)

        try:
            async with asyncio.timeout(within_s), self._news:
                while (line := found()) is None:
                    self.check()
                    if not self._open_count:
                        raise ChildError(f"`{self.name}` ended before it printed {begins!r}; {self.tail()}")
                    await self._news.wait()
        except TimeoutError:
            raise ChildError(f"`{self.name}` did not print {begins!r} in {within_s:g} s; {self.tail()}") from None
        return line

    async def end(self, within_s: float) -> str:
        """What it printed on stdout, once it has ended well.

        Raises:
            ChildError: the time is over, or its exit code is not 0.
        """
        try:
            async with asyncio.timeout(within_s):
                code = await self._process.wait()
                await asyncio.shield(self._readers)
        except TimeoutError:
            raise ChildError(f"`{self.name}` did not end in {within_s:g} s; {self.tail()}") from None
        self.check()
        if code != 0:
            raise ChildError(f"`{self.name}` ended with exit code {code}; {self.tail()}")
        return "\n".join(self.output)

    def is_running(self) -> bool:
        return self._process.returncode is None

    async def stop(self) -> None:
        """Asks it to stop, and ends it if it does not."""
        with contextlib.suppress(ProcessLookupError):
            if self.is_running():
                self._process.send_signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(_STOP_WAIT_S):
                await self._process.wait()
        except TimeoutError:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            await self._process.wait()
        # a grandchild may hold the pipe open; a line may have been longer than any that is read
        with contextlib.suppress(TimeoutError, ValueError):
            async with asyncio.timeout(1):
                await self._readers


class Children:
    """The children of one piece of work; leaving the `async with` stops them, the youngest first."""

    def __init__(self) -> None:
        self._children: list[Child] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        while self._children:
            await self._children.pop().stop()

    async def start(
        self,
        *arguments: str,
        environment: Mapping[str, str] | None = None,
        heard: Callable[[str], None] | None = None,
    ) -> Child:
        """Runs `quecbind ARGUMENTS`; of our environment its QUECBIND_ and QUECIOT_ variables are left out."""
        ours = {name: value for name, value in os.environ.items() if not name.startswith(("QUECBIND_", "QUECIOT_"))}
        process = await asyncio.create_subprocess_exec(
            *COMMAND,
            *arguments,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            env={**ours, "PYTHONUNBUFFERED": "1", **(environment or {})},
            start_new_session=True,
            limit=_LINE_LIMIT,
        )
        child = Child("quecbind " + " ".join(arguments[:2]), process, heard)
        self._children.append(child)
        return child

    def check(self) -> None:
        """Raises ChildError when a child that should go on has ended, and what `Child.check` raises."""
        for child in self._children:
            child.check()
            if not child.is_running():
                raise ChildError(f"`{child.name}` has ended; {child.tail()}")

    def forget(self, child: Child) -> None:
        """A child that was waited for to its end needs no stopping."""
        self._children.remove(child)
