# A device that lets itself be bound: it enrols, connects, and for two minutes tells its bind code to Apps nearby.
#
# This is how the script of a QuecPython module looks, and it runs on one. On a computer:
#
#     BIND_ME_PRODUCT_KEY=... BIND_ME_PRODUCT_SECRET=... \
#         quecbind device run examples/bind_me.py --dk 0123456789ab --server mqtt://127.0.0.1:1883
#
# On a module, write the product key and secret between the quotes below, and a server in setServer.
# `touch bind_me.reset` stands for a long press on the reset button: the device forgets its secret and its owner.
# ruff: noqa: UP031 - many modules run a MicroPython that is older than f-strings

import os
import sys
import time

import quecIot


def setting(name, otherwise=""):
    return (os.getenv(name) if hasattr(os, "getenv") else None) or otherwise


PRODUCT_KEY = setting("BIND_ME_PRODUCT_KEY", "")
PRODUCT_SECRET = setting("BIND_ME_PRODUCT_SECRET", "")
RESET_FILE = setting("BIND_ME_RESET_FILE", "bind_me.reset")
WINDOW_S = 120

MEANINGS = {
    (1, 10200): "enrolled: the Developer Center has issued a device secret",
    (1, 10422): "refused: this device has enrolled already, approve its re-enrolment or reset it",
    (1, 10423): "refused: no such product key",
    (1, 10424): "refused: the product secret does not fit the product key",
    (1, 10431): "refused: this device is not allowed here",
    (1, 10450): "no connection to the server, trying again",
    (2, 10200): "signed in with the device secret",
    (2, 10474): "no connection to the server, trying again",
    (3, 10200): "connected: data can be sent",
}


def event_cb(data):
    event, code = data[0], data[1]
    print("event %d,%d %s" % (event, code, MEANINGS.get((event, code), "")))


def button_is_pressed():
    try:
        os.stat(RESET_FILE)
    except OSError:
        return False
    os.remove(RESET_FILE)
    return True


if not PRODUCT_KEY or not PRODUCT_SECRET:
    print("bind_me: set BIND_ME_PRODUCT_KEY and BIND_ME_PRODUCT_SECRET, as `quecbind product create` printed them")
    sys.exit(2)

quecIot.init()
quecIot.setEventCB(event_cb)
quecIot.setProductinfo(PRODUCT_KEY, PRODUCT_SECRET)
quecIot.setServer(1, "mqtt://127.0.0.1:1883")  # `quecbind device run --server` wins
quecIot.setLifetime(120)
if not quecIot.setConnmode(1):
    print("bind_me: not configured completely, see the log")
    sys.exit(1)

# No code of our own: one is drawn. Apps nearby get it, and so does the Developer Center.
if quecIot.bindcodeSet(None, WINDOW_S):
    print("bind window open for %d s" % quecIot.bindcodeGet()[1])

while True:
    if button_is_pressed():
        print("reset button: rst() is %s" % quecIot.rst())
    time.sleep(0.1)
