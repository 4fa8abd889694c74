"""A QuecPython script: opens a bind window, prints every event, and does what files in its directory tell it."""

import os
import sys
import time

import quecIot


def event_cb(data):
    print("event", data)


def take(name):
    """The content of a file that is there; it is removed."""
    try:
        with open(os.path.join(DIRECTORY, name), encoding="ascii") as file:
            content = file.read()
    except OSError:
        return None
    os.remove(os.path.join(DIRECTORY, name))
    return content


DIRECTORY, PRODUCT_KEY, PRODUCT_SECRET, CODE = (os.environ["LAMP_" + name] for name in ("DIR", "PK", "PS", "CODE"))
quecIot.init()
quecIot.setEventCB(event_cb)
quecIot.setProductinfo(PRODUCT_KEY, PRODUCT_SECRET)
if not quecIot.setConnmode(1) or not quecIot.bindcodeSet(CODE, 600):
    sys.exit(1)
while True:
    if take("reset") is not None:
        print("reset", quecIot.rst())
        quecIot.bindcodeSet(CODE, 600)
    if take("window") is not None:
        quecIot.bindcodeSet(CODE, 600)
    time.sleep(0.05)
