"""Many threads call at once, without a global lock to save them; argv[1]: the server."""

import _thread
import sys
import time

import quecIot

THREADS = 4
CALLS = 15

lock = _thread.allocate_lock()
numbers = []
finished = [0]
acknowledged = [0]


def callback(event):
    if event[0] == 4:
        acknowledged[0] += 1


def work():
    mine = []
    for _ in range(CALLS):
        mine.append(quecIot.passTransSend_ex(0, b"data"))
        quecIot.bindcodeSet(None, 60)
        quecIot.bindcodeGet()
        quecIot.getWorkState()
    with lock:
        numbers.extend(mine)
        finished[0] += 1


def wait(what):
    for _ in range(3000):
        if what():
            return
        time.sleep(0.01)
    raise AssertionError(f"{finished!r} {acknowledged!r}")


assert quecIot.init()
assert quecIot.setEventCB(callback)
assert quecIot.setProductinfo("p1115X", "d2c5Q1FsVWpwT1k3")
assert quecIot.setServer(1, sys.argv[1])
assert quecIot.setConnmode(1)
wait(lambda: quecIot.getWorkState() == 8)
for _ in range(THREADS):
    _thread.start_new_thread(work, ())
wait(lambda: finished[0] == THREADS)
assert len(set(numbers)) == THREADS * CALLS, sorted(numbers)
wait(lambda: acknowledged[0] == THREADS * CALLS)
print("done")
