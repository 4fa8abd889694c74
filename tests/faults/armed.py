"""The `quecbind` command, made to die (SIGKILL) at a fault point, on a machine whose wall clock is set.

argv[1] is the file that names the point. While there is no such file nothing happens. It holds the name of a point and
how often that is to be reached; the process renames it to *.hit and dies there. Commits that hold nothing but presence,
for which nobody waits, have points of their own: the same ones with "presence, " before them. A file *.clock beside it
holds by how many seconds the wall clock is ahead; what the machine counts by itself (the monotonic clock) goes on.
"""

import os
import signal
import sys
import time
from pathlib import Path

from quecbind import cli
from quecbind.center.storage import faults

order = Path(sys.argv[1])
offset = order.with_suffix(".clock")
right_time = time.time
reached: list[str] = []


def set_time() -> float:
    try:
        return right_time() + float(offset.read_text())
    except FileNotFoundError:
        return right_time()


def die_as_ordered(point: str, subject: object) -> None:
    if isinstance(subject, list) and all(job.work.__qualname__.startswith("Presence.") for job in subject):
        point = f"presence, {point}"
    try:
        wanted, count = order.read_text().splitlines()
    except FileNotFoundError:
        return
    if point == wanted:
        reached.append(point)
        if len(reached) == int(count):
            order.rename(order.with_suffix(".hit"))
            os.kill(os.getpid(), signal.SIGKILL)


time.time = set_time
faults.on_reach(die_as_ordered)
sys.exit(cli.main(sys.argv[2:]))
