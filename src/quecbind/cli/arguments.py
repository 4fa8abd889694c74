"""The arguments that commands share, and one way to declare a command: each has an example in its help."""

import argparse
import os
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn, TypeAlias

from quecbind.cli.outcome import USAGE

# argparse gives this type no public name
Subparsers: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"  # noqa: SLF001
Run: TypeAlias = Callable[[argparse.Namespace], int]


class Parser(argparse.ArgumentParser):
    """argparse's, but a wrong command line is answered in one line: the whole usage would hide what is wrong."""

    def error(self, message: str) -> NoReturn:
        """See argparse."""
        self.exit(USAGE, f"{self.prog}: {message}; see {self.prog} --help\n")


def add_group(subparsers: Subparsers, name: str, meaning: str, example: str) -> Subparsers:
    """A command that only holds others, as `product` holds `create`."""
    parser = _add_parser(subparsers, name, meaning, example)
    return parser.add_subparsers(title="commands", metavar="COMMAND", required=True)


def add_command(subparsers: Subparsers, name: str, meaning: str, example: str, run: Run) -> argparse.ArgumentParser:
    """A command that does something: `run` gets the parsed arguments and returns the exit code."""
    parser = _add_parser(subparsers, name, meaning, example)
    parser.set_defaults(func=run)
    return parser


def _add_parser(subparsers: Subparsers, name: str, meaning: str, example: str) -> argparse.ArgumentParser:
    return subparsers.add_parser(
        name,
        help=meaning,
        description=meaning[:1].upper() + meaning[1:] + ".",
        epilog="example:\n" + "\n".join("  " + line for line in example.splitlines()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )


def add_json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print one JSON document on stdout, for programs")


def add_data(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--data",
        type=Path,
        metavar="DIR",
        default=Path(os.environ.get("QUECBIND_DATA") or "data"),
        help="the Developer Center's data directory; default: data [QUECBIND_DATA]",
    )


def port(text: str) -> int:
    """A UDP or TCP port, 1..65535."""
    return _within(text, 1, 65535)


def port_or_any(text: str) -> int:
    """A port, or 0 for any that is free."""
    return _within(text, 0, 65535)


def seconds(text: str) -> float:
    """A span above 0 and at most a day."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value <= 86400:
        raise argparse.ArgumentTypeError("must be a number of seconds above 0 and at most 86400")
    return value


def count(text: str) -> int:
    """A number from 1 up."""
    return _within(text, 1, 1_000_000)


def _within(text: str, lowest: int, highest: int) -> int:
    # int() would take blanks, underscores and full-width digits as well
    if not (text.isascii() and text.isdigit()) or not lowest <= int(text) <= highest:
        raise argparse.ArgumentTypeError(f"must be a whole number from {lowest} to {highest}")
    return int(text)
