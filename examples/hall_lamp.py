# A hall lamp as one writes it for a QuecPython module: it waits for the network, connects, blinks while its bind window
# is open, switches when it is told to, and tells its state every second.
#
# It runs on a module as it is, and on a computer, where everything besides quecIot is a stand-in:
#
#     quecbind device run examples/hall_lamp.py --dk 0123456789ab --server mqtt://127.0.0.1:1883
#
# On a module, write the product key and secret between the quotes, and a server in setServer.
# ruff: noqa: UP031 - many modules run a MicroPython that is older than f-strings

import _thread

import checkNet
import dataCall
import log
import modem
import net
import sim
import ujson
import uos
import usys
import utime
from machine import Pin, Timer
from misc import Power

import quecIot

PRODUCT_KEY = ""
PRODUCT_SECRET = ""
REPORT_MS = 1000
WINDOW_S = 120
POWER_OFF = b"off"

# Only a computer has variables that a script can read; a module uses what is written above.
if hasattr(uos, "getenv"):
    PRODUCT_KEY = PRODUCT_KEY or uos.getenv("BIND_ME_PRODUCT_KEY") or ""
    PRODUCT_SECRET = PRODUCT_SECRET or uos.getenv("BIND_ME_PRODUCT_SECRET") or ""

log.basicConfig(level=log.INFO)
lamp_log = log.getLogger("lamp")
lock = _thread.allocate_lock()


class Lamp:
    def __init__(self):
        self.light = Pin(Pin.GPIO1, Pin.OUT, Pin.PULL_DISABLE, 0)
        self.blinking = Timer(Timer.Timer1)
        self.report = Timer(Timer.Timer2)
        self.is_ready = False
        self.report_count = 0

    def switch(self, on):
        with lock:
            self.light.write(1 if on else 0)
        lamp_log.info("light is %s" % ("on" if self.light.read() else "off"))

    def blink(self, timer):
        if quecIot.bindcodeGet() is None:
            timer.stop()
        with lock:
            self.light.write(1 - self.light.read())

    def tell(self, timer):
        self.report_count += 1
        state = {"light": self.light.read(), "csq": net.csqQueryPoll(), "n": self.report_count}
        if not quecIot.passTransSend(1, ujson.dumps(state)):
            lamp_log.error("report was not taken")

    def event(self, data):
        event, code = data[0], data[1]
        lamp_log.info("event %d,%d" % (event, code))
        if (event, code) == (3, 10200) and not self.is_ready:
            self.is_ready = True
            _thread.start_new_thread(self.connected, ())
        elif (event, code) == (5, 10200):
            self.command(data[2])

    def connected(self):
        if quecIot.bindcodeSet(None, WINDOW_S):
            lamp_log.info("bind window open for %d s" % quecIot.bindcodeGet()[1])
        self.blinking.start(period=200, mode=self.blinking.PERIODIC, callback=self.blink)
        self.report.start(period=REPORT_MS, mode=self.report.PERIODIC, callback=self.tell)

    def command(self, data):
        try:
            if bytes(data) == POWER_OFF:
                Power.powerDown()
            else:
                self.switch(ujson.loads(data)["light"])
        except (ValueError, KeyError, TypeError) as error:
            usys.print_exception(error)


def network_changed(args):
    lamp_log.warning("context %d is %s" % (args[0], "up" if args[1] else "down"))


def main():
    if not PRODUCT_KEY or not PRODUCT_SECRET:
        print("hall_lamp: it has no product key and no product secret")
        return
    stage, state = checkNet.waitNetworkReady(30)
    if (stage, state) != (3, 1):
        lamp_log.error("no network: stage %d, state %d" % (stage, state))
        return
    dataCall.setCallback(network_changed)
    lamp_log.info("%s, card %s, at %s" % (modem.getDevModel(), sim.getImsi(), dataCall.getInfo(1, 0)[2][2]))

    lamp = Lamp()
    quecIot.init()
    quecIot.setEventCB(lamp.event)
    quecIot.setProductinfo(PRODUCT_KEY, PRODUCT_SECRET)
    quecIot.setServer(1, "mqtt://127.0.0.1:1883")  # `quecbind device run --server` wins
    quecIot.setConnmode(1)
    while True:
        utime.sleep(1)


main()
