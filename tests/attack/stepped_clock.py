"""The `quecbind` command with its clock ahead by as many seconds as a file says: argv[1] is that file.

While there is no such file the clock is right. Only the clock of the services is moved; timers of the event loop go on.
"""

import sys
from pathlib import Path

from quecbind import cli
from quecbind.center.system import SystemClock

ahead = Path(sys.argv[1])
of_this_machine = SystemClock.now


def now(clock: SystemClock) -> float:
    try:
        return of_this_machine(clock) + float(ahead.read_text())
    except FileNotFoundError:
        return of_this_machine(clock)


SystemClock.now = now  # type: ignore[method-assign]
sys.exit(cli.main(sys.argv[2:]))
