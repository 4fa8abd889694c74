"""The way to a device over BLE, as `device.Device` takes it: found by what it advertises, then a session.

Anybody can advertise anything, so each that claims to be the device is tried; none but the device has the key.
"""

from quecbind.app.ble.link import open_link
from quecbind.app.ble.radio import Radio
from quecbind.app.ble.scan import FoundBle, scan
from quecbind.app.errors import AppError, PathLostError
from quecbind.app.keys import Keys
from quecbind.app.path import BLE, Path

SCAN_S = 4.0


class BleWay:
    name = BLE

    def __init__(self, radio: Radio, product_key: str, device_key: str, keys: Keys, scan_s: float = SCAN_S) -> None:
        self._radio = radio
        self._product_key = product_key
        self._device_key = device_key
        self._keys = keys
        self._scan_s = scan_s

    async def open(self) -> Path:
        failure: AppError = PathLostError("the device was not heard over BLE")
        tried: set[str] = set()
        # The first that is heard will do; when it does not, whoever else claims to be it in the whole time.
        for enough in (self._is_it, None):
            for found in await scan(self._radio, self._scan_s, enough):
                if self._is_it(found) and found.address not in tried:
                    tried.add(found.address)
                    try:
                        return await open_link(self._radio, found.address, await self._keys.present())
                    except AppError as error:
                        failure = error
            if not tried:
                break
        raise failure

    def _is_it(self, found: FoundBle) -> bool:
        return (found.product_key, found.device_key) == (self._product_key, self._device_key)
