"""Finding devices by what they advertise. It names a device and proves nothing: anyone can send anything.

Old devices say nothing of what they can; their flags are None, not a guess. A device that is seen again is the same
one with what it said last: its bind window may have closed meanwhile.
"""

from collections.abc import Callable
from dataclasses import dataclass

from quecbind.app.ble.radio import Radio, RadioError, Sighting
from quecbind.app.errors import PairingError
from quecbind.wire import ble_advertising
from quecbind.wire.errors import WireError

SCAN_S = 5.0
MAX_FOUND = 1024


@dataclass(frozen=True, slots=True)
class FoundBle:
    """A device nearby; `is_ble_only` is None where it does not say what it can talk over."""

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


async def scan(
    radio: Radio, seconds: float = SCAN_S, enough: Callable[[FoundBle], bool] | None = None
) -> list[FoundBle]:
    """The devices heard within the time, sooner when `enough` says so of one; of two that claim to be one, both.

    Raises:
        PairingError: the radio cannot be used.
    """
    found: dict[tuple[str, str, str], FoundBle] = {}

    def seen(sighting: Sighting) -> bool:
        device = found_in(sighting)
        if device is None:
            return False
        key = (device.address, device.product_key, device.device_key)
        if key not in found and len(found) >= MAX_FOUND:
            return False
        found[key] = device
        return enough is not None and enough(device)

    try:
        await radio.scan(seconds, seen)
    except RadioError as error:
        raise PairingError(f"the radio cannot be used: {error}") from error
    return list(found.values())
