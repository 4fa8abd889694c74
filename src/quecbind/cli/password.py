"""Where a user's password comes from: the flag, the environment, or a question on the terminal."""

import getpass
import os
import sys

from quecbind.cli.outcome import USAGE, CommandError

VARIABLE = "QUECBIND_APP_PASSWORD"


def password_of(given: str | None, question: str) -> str:
    """The password; asked for without echo when stdin is a terminal."""
    password = given or os.environ.get(VARIABLE)
    if not password and sys.stdin.isatty():
        password = getpass.getpass(question)
    if not password:
        raise CommandError(USAGE, f"no password: give --password or set {VARIABLE}")
    return password
