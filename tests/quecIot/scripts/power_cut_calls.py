"""The power goes at every step of every write that a call makes; argv[1]: a directory.

rst(), bindcodeSet() and the arrival of a device secret: the next start finds the state before the call or the one
after it, whole, and the call can be made again.
"""

import sys

from cutting_files import CuttingFiles, PowerCut

from quecIot._device import Device

SECRET = "S" * 32
NEW = "N" * 32
CODE = "0123456789ABCDEF"
OLD_CODE = "FEDCBA9876543210"
ENVIRONMENT = {"QUECIOT_HOME": sys.argv[1], "QUECIOT_DK": "D1", "QUECIOT_LAN": "off"}


def start(left=1000000):
    files = CuttingFiles()
    device = Device(getenv=lambda name: ENVIRONMENT.get(name, ""), files=files, has_threads=False)
    assert device.init() is True
    files.left = left
    return device


def state(device):
    values = device._profile.store.values
    return {name: values[name] for name in ("device_secret", "bind_code", "bind_secret", "reset", "product_key")}


def prepare(secret, code, reset=None):
    device = start()
    device._profile.save(
        product_key="p1115X",
        product_secret="d2c5Q1FsVWpwT1k3",
        device_secret=secret,
        bind_code=code,
        bind_secret="B" * 16,
        reset=reset,
    )
    return state(start())


def check(name, prepared, call, is_done):
    steps = 0
    while True:
        before = prepare(*prepared)
        device = start(steps)
        try:
            call(device)
            is_cut = False
        except PowerCut:
            is_cut = True
        found = state(start())
        assert found == before or is_done(found), (name, steps, found)
        assert is_cut or is_done(found), (name, steps, found)
        if is_cut:
            again = start()
            call(again)
            assert is_done(state(start())), (name, steps)
        else:
            break
        steps += 1
    assert steps >= 4, (name, steps)
    print(name, "cut at", steps, "steps")


def is_reset(found):
    return found["device_secret"] == found["bind_code"] == found["bind_secret"] == "" and found["reset"] is not None


check("rst", (SECRET, OLD_CODE), lambda device: device.rst(), is_reset)
check(
    "bindcodeSet",
    (SECRET, OLD_CODE),
    lambda device: device.bindcode_set(CODE, 120),
    lambda found: found["bind_code"] == CODE and found["device_secret"] == SECRET,
)
check(
    "enrolment after a reset",
    ("", "", {"product_key": "p1115X", "device_key": "D1", "key": "00" * 32}),
    lambda device: device._profile.take_secret(NEW),
    lambda found: found["device_secret"] == NEW and found["reset"] is None,
)
print("done")
