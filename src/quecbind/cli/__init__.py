"""The `quecbind` command: reads the command line, runs one command, turns what went wrong into an exit code.

Works on a plain install for everything a device or a reader of bytes needs. Commands that need more import it when
they run, and a part that is not installed ends them with a sentence that says how to get it.
"""

import argparse
import errno
import os
import sys
from collections.abc import Sequence

from quecbind import __version__
from quecbind.app.errors import AppError, NoPathError, PathLostError, RefusedError, UnreachableError
from quecbind.cli import app, audit, backup, bench, decode, demo, device, domain, key, product, serve, user
from quecbind.cli.arguments import Parser
from quecbind.cli.outcome import REFUSED, UNREACHABLE, USAGE, CommandError

_COMMANDS = (serve, product, domain, user, key, device, audit, backup, app, decode, demo, bench)
_INTERRUPTED = 130


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command and returns its exit code: 0 done, 1 refused, 2 usage, 3 unreachable."""
    try:
        args = parser().parse_args(argv)
    except SystemExit as end:
        return int(end.code or 0)
    try:
        code: int = args.func(args)
        sys.stdout.flush()
    except CommandError as error:
        return _fail(error.exit_code, str(error))
    except (UnreachableError, PathLostError) as error:
        return _fail(UNREACHABLE, str(error))
    except NoPathError as error:
        return _fail(REFUSED if error.is_refused else UNREACHABLE, f"{error}\n{error.help}")
    except RefusedError as error:
        return _fail(REFUSED, f"{error}\n{error.help}")
    except AppError as error:
        return _fail(REFUSED, f"{error}\n{error.help}" if error.help != error.message else str(error))
    except ModuleNotFoundError as error:
        if (error.name or "").split(".")[0] in {"quecbind", "quecIot"}:
            raise
        return _fail(USAGE, _missing_part(error.name or "", args.command))
    except BrokenPipeError:
        _discard_output()
        return REFUSED
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        _discard_output()
        return _fail(REFUSED, f"the output cannot be written: {error.strerror}")
    except KeyboardInterrupt:
        return _INTERRUPTED
    return code


def _discard_output() -> None:
    # Nobody takes it; what is still in the buffer must not fail again at exit.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _fail(exit_code: int, sentence: str) -> int:
    print(f"quecbind: {sentence}", file=sys.stderr)
    return exit_code


def _missing_part(name: str, command: str) -> str:
    extra = "app" if command == "app" else "server"
    return f"this command needs {name}, which is not installed: pip install 'quecbind[{extra}]'"


def parser() -> argparse.ArgumentParser:
    """Everything the command line understands."""
    top = Parser(
        prog="quecbind",
        description="A device, a Developer Center and an App that agree on who owns the device.",
        epilog="example:\n  quecbind demo\n  quecbind serve --data data\n  quecbind COMMAND --help",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    top.add_argument("--version", action="version", version=f"quecbind {__version__}")
    subparsers = top.add_subparsers(title="commands", dest="command", metavar="COMMAND", required=True)
    for module in _COMMANDS:
        module.register(subparsers)
    return top
