"""Binding a device that has no network: the App carries between device and Developer Center what it cannot read.

The story (short-range.md D.5): the device gives a random; the Developer Center encrypts a bind code for it; the device
reads the code and gives a new bind secret, and the one it had, encrypted alike; the App posts them. Then it logs in
once with the key that the Developer Center gives it now: until somebody does, the device does not know that it is
bound. A try that fails on the way to the device is begun anew, with another random and code, by turns with the one and
the other pair of commands that devices understand. A device with a PIN wants the proof of it first, on the same
connection.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from quecbind.app.ble.exchange import Exchange, exchange
from quecbind.app.ble.link import open_link
from quecbind.app.ble.radio import Radio
from quecbind.app.ble.scan import FoundBle
from quecbind.app.client import AppClient
from quecbind.app.errors import NoBindCodeError, PairingError, RefusedError, WrongPinError
from quecbind.app.pairing import Step, silent
from quecbind.wire import ble, commands, lan
from quecbind.wire.errors import WireError

TRIES = 4
NO_RANDOM, CODE_REFUSED = 307, 309  # the vendor App's numbers
_NO_CREDENTIALS = 5052
_PAIRS = (
    (commands.AUTHENTICATE, commands.AUTHENTICATE_ANSWER),
    (commands.AUTHENTICATE_ANSWER, commands.AUTHENTICATE_SECOND_ANSWER),
)


async def unbind_ble_only(client: AppClient, radio: Radio, device: FoundBle) -> int:
    """Ends the user's control of a BLE-only device, there and at the platform; how many users still hold it.

    The device first: one that was only given up at the platform would go on to take the old key. It is left alone while
    others own it, for whom it keeps its key, and when the platform has nothing that it would take.

    Raises:
        PairingError: the device did not forget its owner; nothing has changed at the platform.
        RefusedError: the platform said no.
    """
    try:
        credentials = await client.reset_credentials(device.product_key, device.device_key)
    except RefusedError as refused:
        if refused.code != _NO_CREDENTIALS:
            raise
        return await client.unbind(device.product_key, device.device_key)
    payload = ble.unbind(credentials.credentials, credentials.random)
    async with exchange(radio, device.address) as asking:
        said = await asking.ask(commands.UNBIND, payload, commands.UNBIND_ANSWER, tries=1)
    try:
        result = ble.parse_unbound(said)
    except WireError as error:
        raise PairingError(f"the device's answer cannot be read: {error}") from error
    if result != ble.ACCEPTED:
        raise PairingError("the device did not take the credentials")
    return await client.unbind_by_ble(device.product_key, device.device_key, credentials)


@dataclass(frozen=True, slots=True)
class _Carried:
    """What goes to the Developer Center."""

    random: str
    encrypted_code: str
    answer: ble.Authenticated = field(repr=False)


async def bind_ble_only(
    client: AppClient,
    radio: Radio,
    device: FoundBle,
    device_name: str | None = None,
    *,
    pin: str | None = None,
    tell: Callable[[Step], None] = silent,
) -> bytes:
    """Binds a BLE-only device to the user who is signed in at `client`; the key that opens sessions with it.

    Raises:
        WrongPinError: `pin` is not the device's.
        PairingError: 307 the device gave no random, 309 it did not take the code: its bind window is closed, or it has
            another product secret, or wants a PIN; 306 otherwise.
        RefusedError: the platform said no.
        ControlError: it is bound, but the platform has no key, or the device did not let the owner log in.
    """
    carried = await _carry(client, radio, device, pin)
    tell(Step("code", "the device took the bind code"))
    await client.bind_by_ble(
        device.product_key,
        device.device_key,
        carried.random,
        carried.encrypted_code,
        carried.answer.new_secret or "",
        carried.answer.old_secret,
        device_name,
    )
    key = await client.session_key(device.product_key, device.device_key)
    link = await open_link(radio, device.address, key)
    await link.close()
    tell(Step("bound", "the device is bound"))
    return key


async def _carry(client: AppClient, radio: Radio, device: FoundBle, pin: str | None) -> _Carried:
    failure = PairingError("the device was not tried")
    for number in range(TRIES):
        try:
            async with exchange(radio, device.address) as asking:
                if pin is not None:
                    await asking.prove(pin, device.product_key, device.device_key)
                return await _once(client, asking, device, *_PAIRS[number % 2])
        except (NoBindCodeError, WrongPinError):
            raise  # another try would cost the device one of its own
        except PairingError as error:
            if error.code == CODE_REFUSED:
                raise
            failure = error
    raise failure


async def _once(client: AppClient, asking: Exchange, device: FoundBle, command: int, answer: int) -> _Carried:
    try:
        random = lan.parse_random(await asking.ask(commands.HELLO, b"", commands.RANDOM))
    except WireError as error:
        raise PairingError(f"the device's random cannot be read: {error}", NO_RANDOM) from error
    code = await client.encrypted_bind_code(device.product_key, device.device_key, random)
    # Asked once: the random serves once.
    said = await asking.ask(command, ble.authenticate(code), answer, tries=1)
    try:
        authenticated = ble.parse_authenticated(said)
    except WireError as error:
        raise PairingError(f"the device's answer cannot be read: {error}") from error
    if authenticated.result != ble.ACCEPTED or not authenticated.new_secret:
        raise PairingError("the device did not take the bind code", CODE_REFUSED)
    return _Carried(random, code, authenticated)
