"""A board of its own for each test, and the modules in place as a script finds them."""

from __future__ import annotations

import importlib
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from quecbind.testing import quecpython


@pytest.fixture
def power() -> list[str]:
    """What the script asked for."""
    return []


@pytest.fixture
def module(tmp_path: Path, power: list[str]) -> Iterator[Callable[[str], Any]]:
    """Imports by the name that a script uses."""
    with quecpython.installed(tmp_path, power.append):
        yield importlib.import_module


class Called:
    """A callback that can be waited for."""

    def __init__(self, count: int = 1) -> None:
        self.arguments: list[Any] = []
        self._count = count
        self._enough = threading.Event()

    def __call__(self, argument: Any) -> None:
        self.arguments.append(argument)
        if len(self.arguments) >= self._count:
            self._enough.set()

    def wait(self) -> list[Any]:
        assert self._enough.wait(20)
        return self.arguments
