"""A device's life: enrol, report a code, send, be reset, leave; run on both interpreters. argv[1]: the server."""

import sys
import time

import quecIot

events = []


def callback(event):
    events.append(event)
    if event[0] == 4:
        raise ValueError("a slip of the script")


def wait(*event):
    for _ in range(2000):
        if any(seen[: len(event)] == event for seen in events):
            return
        time.sleep(0.01)
    raise AssertionError(f"no event {event!r} in {events!r}")


assert quecIot.init()
assert quecIot.setEventCB(callback)
assert quecIot.setProductinfo("p1115X", "d2c5Q1FsVWpwT1k3")
assert quecIot.setServer(1, sys.argv[1])
assert quecIot.setConnmode(1)
wait(3, 10200)
assert quecIot.getWorkState() == 8
assert quecIot.bindcodeSet("0123456789ABCDEF", 120)
number = quecIot.passTransSend_ex(1, b"\x00" * 20000)
wait(4, 10200, number)
number = quecIot.phymodelReport_ex(2, {1: 1.005, 2: "text", 3: [1, 2], 4: {1: True}})
wait(4, 10210, number)
events[:] = []
assert quecIot.rst()
assert quecIot.bindcodeGet() is None
wait(1, 10200)
wait(3, 10200)
assert quecIot.setConnmode(0)
wait(6, 10200)
assert quecIot.getWorkState() == 11
print("done")
