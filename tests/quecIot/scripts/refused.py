"""A server that must not be talked to; argv[1]: its address."""

import sys
import time

import quecIot

events = []

assert quecIot.init()
assert quecIot.setEventCB(events.append)
assert quecIot.setProductinfo("p1115X", "d2c5Q1FsVWpwT1k3")
assert quecIot.setServer(1, sys.argv[1])
assert quecIot.setConnmode(1)
for _ in range(2000):
    if events:
        break
    time.sleep(0.01)
assert events[0] == (1, 10450), events
assert quecIot.getWorkState() in (2, 4)
print("done")
