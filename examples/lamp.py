# A lamp that is read, switched and watched, by Apps on the local network and through its Developer Center alike.
#
#     LAMP_PRODUCT_KEY=... LAMP_PRODUCT_SECRET=... \
#         quecbind device run examples/lamp.py --dk 0123456789ab --server mqtt://127.0.0.1:1883
#
# Property 38 is the switch, 3 its brightness in percent, 4 what it is called. Raw data comes back as it was sent.
# ruff: noqa: UP031 - many modules run a MicroPython that is older than f-strings

import os
import sys
import time

import quecIot


def setting(name, otherwise=""):
    return (os.getenv(name) if hasattr(os, "getenv") else None) or otherwise


PRODUCT_KEY = setting("LAMP_PRODUCT_KEY", "")
PRODUCT_SECRET = setting("LAMP_PRODUCT_SECRET", "")
BIND_CODE = setting("LAMP_BIND_CODE") or None  # none of our own: one is drawn
WINDOW_S = 120

RAW, WRITTEN, READ = 10200, 10210, 10211
state = {38: False, 3: 80, 4: "lamp"}


def event_cb(data):
    if data[0] != 5:
        return
    if data[1] == RAW:
        quecIot.passTransSend(1, data[2])
    elif data[1] == WRITTEN:
        state.update({number: value for number, value in data[2].items() if number in state})
        print("now %s" % state)
        quecIot.phymodelReport(1, state)
    elif data[1] == READ:
        packet_id, asked = data[2]
        told = {number: state[number] for number in asked or state if number in state}
        if told:
            quecIot.phymodelAck(1, packet_id, told)


if not PRODUCT_KEY or not PRODUCT_SECRET:
    print("lamp: set LAMP_PRODUCT_KEY and LAMP_PRODUCT_SECRET, as `quecbind product create` printed them")
    sys.exit(2)

quecIot.init()
quecIot.setEventCB(event_cb)
quecIot.setProductinfo(PRODUCT_KEY, PRODUCT_SECRET)
quecIot.setServer(1, "mqtt://127.0.0.1:1883")  # `quecbind device run --server` wins
quecIot.setConnmode(1)
if quecIot.bindcodeSet(BIND_CODE, WINDOW_S):
    print("bind window open for %d s" % quecIot.bindcodeGet()[1])

while True:
    time.sleep(1)
