"""`quecbind serve`: runs a Developer Center until it is told to stop. Every flag is a setting; see `center.settings`."""

import argparse
import logging
import os
import sys

from quecbind.center import settings
from quecbind.center.settings import Settings, SettingsError
from quecbind.cli import outcome
from quecbind.cli.arguments import Subparsers, add_command

EXAMPLE = """quecbind serve --data data
quecbind serve --data data --host 0.0.0.0 --lan-host 192.168.1.10
quecbind serve --data data --mqtts-port 8883 --tls-cert chain.pem --tls-key key.pem"""


def register(subparsers: Subparsers) -> None:
    """Add `serve` to the command line."""
    settings.add_flags(add_command(subparsers, "serve", "run a Developer Center", EXAMPLE, run))


def run(args: argparse.Namespace) -> int:
    """Serve; the exit code is 0 after a clean stop, 1 when it cannot start, 2 when a setting is wrong."""
    try:
        chosen = settings.load(vars(args), os.environ)
    except SettingsError as error:
        print(f"quecbind serve: {error}", file=sys.stderr)
        return outcome.USAGE
    try:
        return _serve(chosen)
    except ModuleNotFoundError as error:
        print(f"quecbind serve: {error.name} is missing: pip install 'quecbind[server]'", file=sys.stderr)
        return outcome.REFUSED


def _serve(chosen: Settings) -> int:
    # Here, so that the rest of the command line works without what only a server needs.
    import uvloop  # noqa: PLC0415

    from quecbind.center import main  # noqa: PLC0415

    logging.basicConfig(
        stream=sys.stderr, level=chosen.log_level.upper(), format="%(asctime)s %(levelname)s %(name)s %(message)s"
    )
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    logging.getLogger("alembic").setLevel(logging.WARNING)
    try:
        uvloop.run(main.serve(chosen, _announce, master_key=os.environ.get("QUECBIND_MASTER_KEY") or None))
    except main.StartError as error:
        print(f"quecbind serve: {error}", file=sys.stderr)
        return outcome.REFUSED
    return outcome.DONE


def _announce(line: str) -> None:
    print(line, flush=True)
