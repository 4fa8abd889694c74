"""Stand-in for QuecPython's log: lines on standard output, `LEVEL:name:text`, from the level of `basicConfig` on."""

import sys
from typing import Any

CRITICAL, ERROR, WARNING, INFO, DEBUG = 50, 40, 30, 20, 10

_NAMES = {CRITICAL: "CRITICAL", ERROR: "ERROR", WARNING: "WARNING", INFO: "INFO", DEBUG: "DEBUG"}
_state: dict[str, Any] = {"level": INFO, "out": None}
_loggers: dict[str, "Logger"] = {}


def basicConfig(level: int = INFO) -> None:
    """From now on, only what is at least that serious is written."""
    _state["level"] = level


def set_output(out: Any) -> None:
    """Where lines go: whatever has a `write`."""
    _state["out"] = out


def getLogger(name: str = "root") -> "Logger":
    """The same object for the same name."""
    return _loggers.setdefault(name, Logger(name))


class Logger:
    """Writes under one name."""

    def __init__(self, name: str) -> None:
        self.name = name

    def _write(self, level: int, text: object, arguments: tuple[object, ...]) -> None:
        if level >= _state["level"]:
            (_state["out"] or sys.stdout).write(f"{_NAMES[level]}:{self.name}:{_line(text, arguments)}\n")

    def debug(self, msg: object, *args: object) -> None:
        self._write(DEBUG, msg, args)

    def info(self, msg: object, *args: object) -> None:
        self._write(INFO, msg, args)

    def warning(self, msg: object, *args: object) -> None:
        self._write(WARNING, msg, args)

    warn = warning

    def error(self, msg: object, *args: object) -> None:
        self._write(ERROR, msg, args)

    def critical(self, msg: object, *args: object) -> None:
        self._write(CRITICAL, msg, args)


def _line(text: object, arguments: tuple[object, ...]) -> str:
    """With the arguments where the text wants them, or else behind it, as scripts write both."""
    try:
        return str(text) % arguments if arguments else str(text)
    except (TypeError, ValueError):
        return " ".join(map(str, (text, *arguments)))
