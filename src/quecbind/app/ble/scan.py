"""Finding devices by what they advertise. It names a device and proves nothing: anyone can send anything.

`scan` finds those that `pairing` and `binding` are for, `scan_chips` BLE chips of the generation before, which go by
`chip`. Old devices say nothing of what they can; their flags are None, not a guess. A device that is seen again is the
same one with what it said last: its bind window may have closed meanwhile.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Self, TypeVar

from quecbind.app.ble.radio import Radio, RadioError, Sighting
from quecbind.app.errors import PairingError
from quecbind.wire import ble_advertising, ble_chip
from quecbind.wire.errors import WireError

SCAN_S = 5.0
MAX_FOUND = 1024


@dataclass(frozen=True, slots=True)
class FoundBle:
    """A device nearby; `is_ble_only` is None where it does not say what it can talk over.

    Such an old device does not say either how its device key is written: `device_key` is one way to.
    """

    product_key: str
    device_key: str
    address: str
    name: str
    is_bound: bool
    is_bindable: bool
    has_network: bool
    is_ble_only: bool | None
    rssi: int | None

    @property
    def where(self) -> str:
        return self.address

    def called(self, device_key: str) -> Self | None:
        if device_key == self.device_key:
            return self
        if self.is_ble_only is not None:
            return None
        packed = ble_advertising.packed_digits(device_key)
        return replace(self, device_key=device_key) if packed == self.device_key else None


@dataclass(frozen=True, slots=True)
class FoundChip:
    """A BLE chip nearby. Its device key is its MAC address; it names its product only while it is unbound."""

    product_key: str | None
    device_key: str
    address: str
    name: str
    is_bound: bool
    rssi: int | None

    @property
    def where(self) -> str:
        return self.address


F = TypeVar("F", bound=FoundBle | FoundChip)


def found_in(sighting: Sighting) -> FoundBle | None:
    """The device that a sighting shows; None when it shows none of this kind."""
    if not sighting.data:
        return None
    try:
        said = ble_advertising.parse_manufacturer_data(sighting.data)
    except WireError:
        return None
    return FoundBle(
        product_key=said.product_key,
        device_key=said.device_key,
        address=sighting.address,
        name=sighting.name,
        is_bound=said.is_bound,
        is_bindable=said.is_bindable,
        has_network=said.has_network,
        is_ble_only=None if said.capabilities is None else said.capabilities == ble_advertising.BLE,
        rssi=sighting.rssi,
    )


def chip_in(sighting: Sighting) -> FoundChip | None:
    """The BLE chip that a sighting shows; None when it shows none. A name that does not fit the address says so."""
    try:
        said = ble_chip.parse_manufacturer_data(sighting.data)
    except WireError:
        return None
    if sighting.name and sighting.name != ble_advertising.name(said.mac):
        return None
    return FoundChip(
        product_key=said.product_key,
        device_key=said.mac,
        address=sighting.address,
        name=sighting.name,
        is_bound=said.product_key is None,
        rssi=sighting.rssi,
    )


async def scan(
    radio: Radio, seconds: float = SCAN_S, enough: Callable[[FoundBle], bool] | None = None
) -> list[FoundBle]:
    """The devices heard within the time, sooner when `enough` says so of one; of two that claim to be one, both.

    Raises:
        PairingError: the radio cannot be used.
    """
    return await _scan(radio, seconds, enough, found_in)


async def scan_chips(
    radio: Radio, seconds: float = SCAN_S, enough: Callable[[FoundChip], bool] | None = None
) -> list[FoundChip]:
    """The BLE chips alone, otherwise as `scan`."""
    return await _scan(radio, seconds, enough, chip_in)


async def scan_all(radio: Radio, seconds: float = SCAN_S) -> list[FoundBle | FoundChip]:
    """Devices and BLE chips, otherwise as `scan`."""
    return await _scan(radio, seconds, None, lambda sighting: found_in(sighting) or chip_in(sighting))


async def _scan(
    radio: Radio, seconds: float, enough: Callable[[F], bool] | None, shown_by: Callable[[Sighting], F | None]
) -> list[F]:
    found: dict[tuple[str, str], F] = {}

    def seen(sighting: Sighting) -> bool:
        device = shown_by(sighting)
        if device is None:
            return False
        key = (device.address, device.device_key)
        if key not in found and len(found) >= MAX_FOUND:
            return False
        found[key] = device
        return enough is not None and enough(device)

    try:
        await radio.scan(seconds, seen)
    except RadioError as error:
        raise PairingError(f"the radio cannot be used: {error}") from error
    return list(found.values())
