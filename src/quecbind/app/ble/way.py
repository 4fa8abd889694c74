"""The way to a device over BLE, as `device.Device` takes it: found by what it advertises, then a session.

Anybody can advertise anything: `way` says what that is worth.
"""

from quecbind.app.ble.link import open_link
from quecbind.app.ble.radio import Radio
from quecbind.app.ble.scan import FoundBle, scan
from quecbind.app.keys import Keys
from quecbind.app.path import BLE, Path
from quecbind.app.way import open_found

SCAN_S = 4.0


class BleWay:
    name = BLE

    def __init__(self, radio: Radio, product_key: str, device_key: str, keys: Keys, scan_s: float = SCAN_S) -> None:
        self._radio = radio
        self._device = product_key, device_key
        self._keys = keys
        self._scan_s = scan_s

    async def open(self) -> Path:
        async def open_one(found: FoundBle) -> Path:
            return await open_link(self._radio, found.address, await self._keys.present())

        return await open_found(
            self._device,
            lambda enough: scan(self._radio, self._scan_s, enough),
            open_one,
            "the device was not heard over BLE",
        )
