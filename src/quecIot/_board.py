"""What the module says about the machine it runs on: device status, module information, its default device key.

A value this machine does not have is 0 or empty, never invented; what the vendor's module reports for a device
without battery (100 %, 3.3 V) is kept, because Apps show it.
"""

import os

from quecIot import _options

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from quecIot._draw import Entropy
    from quecIot._platform import Files

MODEL = "quecbind"
FIRMWARE = "QUECBIND_0.1.0"
SDK_VERSION = "2.11.0"
DATA_PROTOCOL = "1.3.0"
COMMUNICATION_PROTOCOL = "3.0.0"

FIRST_STATUS_IDS = (1, 2, 3, 4)
FIRST_INFO_IDS = (1, 2, 3, 5, 11, 12, 13, 14)

_NETWORK_CARDS = "/sys/class/net"
_POWER_SUPPLIES = "/sys/class/power_supply"
_DEVICE_KEY_FILE = "default_device_key"
_MAX_NUMBER = 0x7FFFFFFF  # what device SDKs read of a whole number


class Board:
    def __init__(self, files: "Files", directory: str) -> None:
        """`directory` is the disk whose free space counts."""
        self._files = files
        self._directory = directory

    def _line(self, path: str) -> str:
        try:
            return (self._files.read(path) or b"").decode().strip()
        except (OSError, UnicodeError):
            return ""

    def _battery(self, name: str) -> "int | None":
        """A number of the first power supply that has it."""
        try:
            supplies = sorted(os.listdir(_POWER_SUPPLIES))
        except OSError:
            return None
        for supply in supplies:
            text = self._line("%s/%s/%s" % (_POWER_SUPPLIES, supply, name))
            if text and all(["0" <= letter <= "9" for letter in text]):
                return int(text)
        return None

    def _battery_percent(self) -> int:
        percent = self._battery("capacity")
        return 100 if percent is None else percent

    def _voltage(self) -> float:
        microvolts = self._battery("voltage_now")
        return 3.3 if microvolts is None else microvolts // 1000 / 1000

    def _rssi(self) -> int:
        """dBm of the first Wi-Fi card; 0 without one."""
        for line in self._line("/proc/net/wireless").split("\n")[2:]:
            words = line.split()
            if len(words) > 3:
                try:
                    return int(float(words[3]))
                except ValueError:
                    pass
        return 0

    def _free_bytes(self) -> int:
        try:
            disk = os.statvfs(self._directory)
        except OSError:
            return 0
        # fragment size, blocks free to everybody
        return min(int(disk[1] * disk[4]), _MAX_NUMBER)

    def status(self, ids: "list[int] | tuple[int, ...]") -> "list[tuple[int, Any]]":
        """Those of the ids that this machine can tell: 5, 6 and 7 belong to cellular radios."""
        readers: "dict[int, Callable[[], Any]]" = {
            1: self._battery_percent,
            2: self._voltage,
            3: self._rssi,
            4: self._free_bytes,
        }
        return [(number, readers[number]()) for number in ids or _options.STATUS_IDS if number in readers]

    def info(
        self, ids: "list[int] | tuple[int, ...]", soft_version: str, mcu_versions: "list[list[str]]"
    ) -> "list[tuple[int, str]]":
        """Those of the ids that there are; what belongs to cellular networks is empty."""
        known = {
            1: MODEL,
            2: FIRMWARE + soft_version,
            3: "".join(["%s:%s;" % (component, version) for component, version in mcu_versions]),
            11: SDK_VERSION,
            12: "NONE;",
            13: DATA_PROTOCOL,
            14: COMMUNICATION_PROTOCOL,
        }
        return [(number, known.get(number, "")) for number in ids or _options.INFO_IDS if number in _options.INFO_IDS]

    def default_device_key(self, entropy: "Entropy") -> str:
        """The MAC address of the first network card; without one, a number drawn once and kept."""
        try:
            cards = sorted(os.listdir(_NETWORK_CARDS))
        except OSError:
            cards = []
        for card in cards:
            key = self._line("%s/%s/address" % (_NETWORK_CARDS, card)).replace(":", "").upper()
            if len(key) == 12 and key.strip("0"):
                return key
        path = self._directory + "/" + _DEVICE_KEY_FILE
        key = self._line(path)
        if not _options.is_device_key(key):
            key = "02" + "".join(["%02X" % byte for byte in entropy(5)])  # as a MAC: locally administered
            self._files.create(path)
            self._files.write(path, key.encode())
        return key
