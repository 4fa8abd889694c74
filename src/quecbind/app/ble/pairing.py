"""Pairing over BLE: a device nearby hands over its bind code, and takes a network if it is to have one.

The order of provisioning: the App gives SSID and password (0x7010), the device names itself and, only in its bind
window, gives its bind code (0x7011), joins the network, and reports the code to the Developer Center. The App asks that
to bind, and asks again every 2 s, 9 times at most, while the device has not been heard of yet (5460).
"""

from collections.abc import Callable

from quecbind.app.ble.exchange import exchange
from quecbind.app.ble.radio import Radio
from quecbind.app.ble.scan import FoundBle, scan
from quecbind.app.client import AppClient
from quecbind.app.errors import PairingError
from quecbind.app.pairing import Clock, Step, SystemClock, ask_first, bind_when_reported, offer_of, silent
from quecbind.app.results import Binding
from quecbind.wire import ble_advertising, commands, lan
from quecbind.wire.errors import WireError

MAX_TRIES = 9
JOIN_S = 20.0  # to a try: a device may join its network first and answer then
_REFUSED = "the device refused: it takes no network, or not this one"


async def pair(
    radio: Radio, address: str, ssid: str | None = None, password: str | None = None, *, tries: int = 3
) -> lan.Pairing:
    """What the device at this address says of itself; `bind_code` is None while its bind window is closed.

    Raises:
        PairingError: no connection, no answer, none that can be read, or the device cannot take the network.
    """
    async with exchange(radio, address) as asking:
        request = lan.provision_request(ssid, password)
        wait_s = None if ssid is None else JOIN_S
        answer = await asking.ask(commands.PROVISION, request, commands.PROVISION_ANSWER, tries=tries, wait_s=wait_s)
    pairing = _parsed(answer)
    if not pairing.effective:
        raise PairingError(_REFUSED)
    return pairing


async def pair_sealed(
    radio: Radio, device: FoundBle, pin: str, ssid: str | None = None, password: str | None = None
) -> lan.Pairing:
    """The bind code of a device that hands it over for its PIN only; it takes the network after that.

    Raises:
        WrongPinError: the PIN is not the device's.
        NoBindCodeError: its bind window is closed, or it has no PIN.
        PairingError: no connection, no answer, none that can be read, or the device cannot take the network.
    """
    async with exchange(radio, device.address) as asking:
        paired = await asking.prove(pin, device.product_key, device.device_key)
        if ssid is None:
            return paired
        request = lan.provision_request(ssid, password)
        answer = await asking.ask(commands.PROVISION, request, commands.PROVISION_ANSWER, wait_s=JOIN_S)
    if not _parsed(answer).effective:
        raise PairingError(_REFUSED)
    return paired


def _parsed(answer: bytes) -> lan.Pairing:
    try:
        return lan.parse_provision_answer(answer)
    except WireError as error:
        raise PairingError(f"the device's answer cannot be read: {error}") from error


class BleNetwork:
    """Where `pairing.bind_nearby` finds devices, when it is to find them over BLE."""

    searching = "looking for devices over BLE"
    nowhere = "over BLE"
    capabilities = ble_advertising.WAN | ble_advertising.LAN | ble_advertising.BLE

    def __init__(self, radio: Radio, pin: str | None = None) -> None:
        self._radio = radio
        self._pin = pin

    async def discover(self, seconds: float, enough: Callable[[FoundBle], bool] | None = None) -> list[FoundBle]:
        """Devices in their bind window first: the others have nothing to give."""
        return sorted(await scan(self._radio, seconds, enough), key=lambda device: not device.is_bindable)

    async def pair(self, device: FoundBle, seconds: float) -> lan.Pairing:
        if self._pin is None:
            return await pair(self._radio, device.address)
        return await pair_sealed(self._radio, device, self._pin)


async def provision(
    client: AppClient,
    radio: Radio,
    device: FoundBle,
    ssid: str,
    password: str,
    device_name: str | None = None,
    *,
    pin: str | None = None,
    clock: Clock | None = None,
    tell: Callable[[Step], None] = silent,
) -> Binding:
    """Gives the device a network and binds it to the user who is signed in at `client`.

    Raises:
        WrongPinError: `pin` is not the device's.
        NoBindCodeError: the device is not in its bind window, so it did not take the network either.
        PairingError: it could not be talked to, or refused, or has BLE only.
        RefusedError: the platform said no; 5460 when the device did not come to be heard of.
    """
    if device.is_ble_only:
        raise PairingError("the device can have no network: it has BLE only")
    clock = clock or SystemClock()
    await ask_first(client, device, tell)
    if pin is None:
        pairing = await pair(radio, device.address, ssid, password)
    else:
        pairing = await pair_sealed(radio, device, pin, ssid, password)
    offer = offer_of(device, pairing)
    tell(Step("code", f"the device has the network {ssid!r} and handed over its bind code"))
    waits = iter(range(MAX_TRIES - 1))
    bound = await bind_when_reported(
        client,
        [offer],
        device_name,
        BleNetwork.capabilities,
        clock=clock,
        may_wait=lambda: next(waits, None) is not None,
        tell=tell,
    )
    return bound.binding
