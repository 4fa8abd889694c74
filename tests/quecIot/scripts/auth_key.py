"""The auth key of a device over restarts, without a network; argv[1]: a directory."""

import sys

from quecbind.wire import auth_key
from quecbind.wire.errors import CipherError
from quecIot._device import Device

SECRET = "S" * 32
KEY = bytes(range(16))
ENVIRONMENT = {"QUECIOT_HOME": sys.argv[1], "QUECIOT_DK": "D1", "QUECIOT_LAN": "off"}


def profile():
    device = Device(getenv=lambda name: ENVIRONMENT.get(name, ""), has_threads=False)
    assert device.init() is True
    return device._profile


started = profile()
assert started.auth_key is None
started.save(product_key="p1115X", product_secret="d2c5Q1FsVWpwT1k3", device_secret=SECRET)
started.take_auth_key(auth_key.seal(KEY, SECRET, "D1"))
assert profile().auth_key == KEY
for wrong in (auth_key.seal(KEY, "other", "D1"), b"", b"*" * 64):
    try:
        profile().take_auth_key(wrong)
    except CipherError:
        pass
    else:
        raise AssertionError(wrong)
assert profile().auth_key == KEY
profile().take_auth_key(auth_key.seal(auth_key.NONE, SECRET, "D1"))
assert profile().auth_key is None
last = profile()
last.take_auth_key(auth_key.seal(KEY, SECRET, "D1"))
last.set_secret_aside()
assert last.reset_proof() is not None
assert profile().auth_key is None
print("done")
