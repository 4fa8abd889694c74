"""The `quecbind` command on a machine whose wall clock is set: argv[1] is the file that says by how many seconds.

While there is no such file the clock is right. What the machine counts by itself (the monotonic clock) goes on.
"""

import sys
import time
from pathlib import Path

from quecbind import cli

offset = Path(sys.argv[1])
right_time = time.time


def set_time() -> float:
    try:
        return right_time() + float(offset.read_text())
    except FileNotFoundError:
        return right_time()


time.time = set_time
sys.exit(cli.main(sys.argv[2:]))
