"""A device as a BLE chip, and the power that goes at every step of every change of its accounts; argv[1]: a directory.

The next start finds the accounts before the change or those after it, and the change can be made again.
"""

import binascii
import sys

from cutting_files import CuttingFiles, PowerCut

from quecbind.wire import ble_chip, commands, frame
from quecIot._device import Device

MAC = "AABBCCDDEEFF"
KEY, MEMBER = bytes(range(16)), bytes(range(16, 32))
ENVIRONMENT = {"QUECIOT_HOME": sys.argv[1], "QUECIOT_DK": MAC, "QUECIOT_BLE_CHIP": "1"}


class App:
    """A device that has been switched on, and one App of it."""

    def __init__(self):
        self.files = CuttingFiles()
        device = Device(getenv=lambda name: ENVIRONMENT.get(name, ""), files=self.files, has_threads=False)
        assert device.init() is True
        assert device.set_productinfo("p1115X", "d2c5Q1FsVWpwT1k3") is True
        self.device = device
        self.peripheral = device.ble_peripheral()
        self.central = self.peripheral.connected("C0:00:00:00:00:01", 0.0)
        self.random = b""

    def ask(self, command, payload):
        assert self.peripheral.written(self.central, frame.encode(1, command, payload), 0.0)
        out = b""
        while True:
            chunk = self.central.next_chunk()
            if not chunk:
                break
            out += chunk
        return frame.decode(out).payload

    def show(self, key, pin=None):
        accepted = ble_chip.parse_authenticated(self.ask(commands.CHIP_AUTHENTICATE, ble_chip.authenticate(key, pin)))
        self.random = b"" if accepted is None else accepted.random
        return accepted is not None

    def bind(self):
        assert self.device.bindcode_set(None, 60) is True
        return self.show(KEY, 123456)

    def change(self, key, is_granted):
        data = ble_chip.encrypt(MAC, self.random, ble_chip.grant(key, is_granted))
        return ble_chip.parse_granted(ble_chip.decrypt(MAC, self.random, self.ask(commands.CHIP_GRANT, data)))

    def kept(self):
        values = self.device._profile.store.values
        return [values["chip_accounts"], values["chip_pin"]]


def hexed(*keys):
    return [binascii.hexlify(key).decode() for key in keys]


def check(name, before, after, act, prepare):
    steps = 0
    while True:
        app = App()
        app.device._profile.save(chip_accounts=before[0], chip_pin=before[1])
        prepare(app)
        app.files.left = steps
        try:
            assert act(app) is True
            is_cut = False
        except PowerCut:
            is_cut = True
        found = App().kept()
        assert found == after or (is_cut and found == before), (name, steps, found)
        if not is_cut:
            break
        app = App()
        if found == before:
            prepare(app)
            assert act(app) is True, (name, steps)
        assert App().kept() == after, (name, steps)
        steps += 1
    assert steps >= 4, (name, steps)
    print(name, "cut at", steps, "steps")


def opened(app):
    assert app.device.bindcode_set(None, 60) is True


def logged_in(app):
    assert app.show(KEY) is True


assert App().peripheral.advertisement()[0][7:] == bytes((0xAA, 0xBB, 0xCC, 0xDD, 0xEE, 0xFF)) + b"p1115X"
assert App().show(KEY) is False
first = App()
assert first.bind() is True
assert first.change(MEMBER, True) is True
first.peripheral.disconnected(first.central)
assert first.peripheral.advertisement()[0][7:] == bytes((0xAA, 0xBB, 0xCC, 0xDD, 0xEE, 0xFF))
assert App().kept() == [hexed(KEY, MEMBER), 123456]
assert App().show(MEMBER) is True
assert App().show(b"x" * 16) is False
assert App().device.rst() is True
assert App().kept() == [[], None]

owned = [hexed(KEY, MEMBER), 123456]
check("first key", [[], None], [hexed(KEY), 123456], lambda app: app.show(KEY, 123456), opened)
check("grant", [hexed(KEY), 123456], owned, lambda app: app.change(MEMBER, True), logged_in)
check("revoke", owned, [hexed(KEY), 123456], lambda app: app.change(MEMBER, False), logged_in)
check("revoke itself", owned, [[], None], lambda app: app.change(KEY, False), logged_in)
print("done")
