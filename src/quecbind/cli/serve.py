"""`quecbind serve`: runs a Developer Center until it is told to stop. Every flag is a setting of `center.settings`."""

import argparse
import logging
import os
import sys

from quecbind.center import settings
from quecbind.center.settings import Settings, SettingsError
from quecbind.cli.arguments import Subparsers, add_command
from quecbind.cli.outcome import DONE, REFUSED, USAGE, CommandError

logger = logging.getLogger(__name__)

EXAMPLE = """quecbind serve --data data
quecbind serve --data data --host 0.0.0.0 --lan-host 192.168.1.10
quecbind serve --data data --mqtts-port 8883 --tls-cert chain.pem --tls-key key.pem"""


def register(subparsers: Subparsers) -> None:
    """Add `serve` to the command line."""
    parser = add_command(subparsers, "serve", "run a Developer Center", EXAMPLE, run)
    parser.usage = "%(prog)s [--SETTING VALUE ...]"
    settings.add_flags(parser)


def run(args: argparse.Namespace) -> int:
    """Serve until SIGTERM or SIGINT.

    Raises:
        CommandError: a setting is wrong, or the server cannot start.
    """
    try:
        chosen = settings.load(vars(args), os.environ)
    except SettingsError as error:
        raise CommandError(USAGE, str(error)) from None
    _serve(chosen)
    return DONE


def _serve(chosen: Settings) -> None:
    # Here, so that the rest of the command line works without what only a server needs.
    import uvloop  # noqa: PLC0415

    from quecbind.center import main  # noqa: PLC0415

    logging.basicConfig(
        stream=sys.stderr, level=chosen.log_level.upper(), format="%(asctime)s %(levelname)s %(name)s %(message)s"
    )
    for name in settings.strange_variables(os.environ):
        logger.warning("serve.strange_variable name=%s: no setting has this name, it changes nothing", name)
    for chatty in ("uvicorn", "alembic"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    try:
        uvloop.run(main.serve(chosen, _announce, master_key=os.environ.get("QUECBIND_MASTER_KEY") or None))
    except main.StartError as error:
        raise CommandError(REFUSED, str(error)) from None


def _announce(line: str) -> None:
    print(line, flush=True)
