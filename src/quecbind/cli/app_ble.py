"""BLE on the command line: `quecbind app provision`, and `--radio` of the commands that look for devices.

A Wi-Fi password never is an argument: other users of a machine can read those.
"""

import argparse
import asyncio
import getpass
import os
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from quecbind.cli.app_account import binding_facts, tell
from quecbind.cli.arguments import seconds
from quecbind.cli.outcome import UNREACHABLE, USAGE, CommandError

if TYPE_CHECKING:
    from quecbind.app.ble.radio import Radio
    from quecbind.app.ble.scan import FoundBle
    from quecbind.app.client import AppClient
    from quecbind.app.device import Way
    from quecbind.app.keys import Keys
    from quecbind.app.pairing import Step

    Tell = Callable[[Step], None]

SSID_VARIABLE = "QUECBIND_WIFI_SSID"
PASSWORD_VARIABLE = "QUECBIND_WIFI_PASSWORD"  # noqa: S105 - the name of one
PIN_VARIABLE = "QUECBIND_APP_PIN"
COLUMNS = ("path", "product_key", "device_key", "address", "is_bound", "is_bindable", "is_ble_only", "rssi")
CHIP = "ble chip"
_BUMBLE = "bumble:"
_LOOK_S = 15.0


def add_radio(parser: argparse.ArgumentParser, default: str | None = None, meaning: str = "look over BLE") -> None:
    parser.add_argument(
        "--radio",
        default=default,
        metavar="RADIO",
        help=f"{meaning}: bleak (this machine's Bluetooth) or bumble:TRANSPORT (a controller, such as bumble:usb:0)"
        + (f"; default: {default}" if default else ""),
    )


def add_pin(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--pin",
        metavar="DIGITS",
        help=f"the device's PIN: its bind code does not cross the air in the clear; needs --dk [{PIN_VARIABLE}]",
    )


def pin_of(args: argparse.Namespace) -> str | None:
    """The PIN of the device that is named; None when pairing is not sealed."""
    # An empty --pin stays one, and is refused: whoever asks for a PIN does not get to pair in the clear.
    pin = args.pin if args.pin is not None else os.environ.get(PIN_VARIABLE) or None
    if pin is not None and not args.dk:
        raise CommandError(USAGE, f"--pin ({PIN_VARIABLE}) needs --dk: a PIN belongs to one device")
    return pin


def add_provision(parser: argparse.ArgumentParser) -> None:
    """The arguments of `app provision`, beside those of signing in."""
    parser.add_argument("--ssid", metavar="NAME", help=f"the Wi-Fi network; asked for on a terminal [{SSID_VARIABLE}]")
    parser.add_argument(
        "--wifi-password-file",
        type=Path,
        metavar="FILE",
        help=f"holds the network's password; without it {PASSWORD_VARIABLE}, or it is asked for on a terminal",
    )
    parser.add_argument("--pk", metavar="PK", help="only a device of this product")
    parser.add_argument("--dk", metavar="DK", help="only this device; without it the one that can be bound")
    parser.add_argument("--name", metavar="TEXT", help="what the user calls it")
    add_pin(parser)
    parser.add_argument("--seconds", type=seconds, default=_LOOK_S, metavar="S", help="how long to look; default: 15")
    add_radio(parser, "bleak")


def wifi_of(args: argparse.Namespace) -> tuple[str, str]:
    """SSID and password."""
    ssid = args.ssid or os.environ.get(SSID_VARIABLE, "")
    is_terminal = sys.stdin.isatty()
    if not ssid and is_terminal:
        ssid = input("Wi-Fi network: ")
    if not ssid:
        raise CommandError(USAGE, f"no network: give --ssid or set {SSID_VARIABLE}")
    if args.wifi_password_file is not None:
        try:
            return ssid, args.wifi_password_file.read_text().rstrip("\r\n")
        except (OSError, UnicodeError) as error:
            raise CommandError(USAGE, f"{args.wifi_password_file} cannot be read: {error}") from None
    password = os.environ.get(PASSWORD_VARIABLE)
    if password is None and is_terminal:
        password = getpass.getpass(f"Password of {ssid} (empty: none): ")
    if password is None:
        raise CommandError(USAGE, f"no network password: give --wifi-password-file or set {PASSWORD_VARIABLE}")
    return ssid, password


@asynccontextmanager
async def radio_of(name: str) -> "AsyncIterator[Radio]":
    """The radio that --radio names."""
    from quecbind.app.ble.radio import RadioError  # noqa: PLC0415 - not needed for the rest of the command line

    try:
        if name == "bleak":
            from quecbind.app.ble.bleak_radio import BleakRadio  # noqa: PLC0415 - of the extra `ble`

            yield BleakRadio()
        elif name.startswith(_BUMBLE) and len(name) > len(_BUMBLE):
            from quecbind.app.ble.bumble_radio import BumbleRadio  # noqa: PLC0415 - of the extra `ble`

            async with BumbleRadio.open(name.removeprefix(_BUMBLE)) as radio:
                yield radio
        else:
            raise CommandError(USAGE, "--radio is bleak or bumble:TRANSPORT, such as bumble:usb:0")
    except ImportError as error:
        raise CommandError(USAGE, f"BLE needs `pip install 'quecbind[ble]'`: {error}") from None
    except RadioError as error:
        raise CommandError(UNREACHABLE, str(error)) from None


@asynccontextmanager
async def ways_of(args: argparse.Namespace) -> "AsyncIterator[Callable[[Keys], Sequence[Way]]]":
    """The way over BLE, for the commands that use a device; none without --radio."""
    if not args.radio:
        yield lambda keys: ()
        return
    from quecbind.app.ble.way import BleWay  # noqa: PLC0415

    async with radio_of(args.radio) as radio:
        yield lambda keys: (BleWay(radio, args.product_key, args.device_key, keys),)


def scanned(radio_name: str, scan_s: float) -> list[dict[str, Any]]:
    """The devices heard over BLE, with the path that leads to each; BLE chips go another."""
    from quecbind.app.ble.scan import FoundChip, scan_all  # noqa: PLC0415
    from quecbind.app.path import BLE  # noqa: PLC0415

    async def session() -> list[dict[str, Any]]:
        async with radio_of(radio_name) as radio:
            found = await scan_all(radio, scan_s)
        return [{"path": CHIP if isinstance(one, FoundChip) else BLE, **asdict(one)} for one in found]

    return asyncio.run(session())


async def provision(
    client: "AppClient", args: argparse.Namespace, ssid: str, password: str, pin: str | None
) -> dict[str, Any]:
    """Finds the device, gives it the network, binds it."""
    from quecbind.app.ble import pairing  # noqa: PLC0415 - of the extras `app` and `ble`

    async with radio_of(args.radio) as radio:
        device = await _one(radio, args.pk, args.dk, args.seconds, tell)
        binding = await pairing.provision(client, radio, device, ssid, password, args.name, pin=pin, tell=tell)
    return binding_facts(device, binding)


async def pair(client: "AppClient", args: argparse.Namespace, pin: str | None) -> dict[str, Any]:
    """Finds the device and binds it, with or without a network of its own."""
    from quecbind.app.ble.binding import bind_ble_only  # noqa: PLC0415 - of the extras `app` and `ble`
    from quecbind.app.ble.pairing import BleNetwork  # noqa: PLC0415
    from quecbind.app.pairing import bind_nearby  # noqa: PLC0415

    said = _once(tell)
    async with radio_of(args.radio) as radio:
        device = await _one(radio, args.pk, args.dk, args.seconds, said)
        if device.is_ble_only:
            await bind_ble_only(client, radio, device, args.name, pin=pin, tell=said)
            return binding_facts(device)
        network, keys = BleNetwork(radio, pin), (device.product_key, device.device_key)
        done = await bind_nearby(client, *keys, args.name, args.seconds, network=network, tell=said)
    return binding_facts(done.device, done.binding)


async def unbind(client: "AppClient", args: argparse.Namespace) -> int:
    """Has a BLE-only device forget the user, then the platform; how many users still hold it."""
    from quecbind.app.ble.binding import unbind_ble_only  # noqa: PLC0415 - of the extras `app` and `ble`

    async with radio_of(args.radio) as radio:
        device = await _one(radio, args.product_key, args.device_key, _LOOK_S, tell)
        return await unbind_ble_only(client, radio, device)


def _once(tell: "Tell") -> "Tell":
    """Tells what was told already no second time: a device that was found to look at is looked for again to bind."""
    told = set()

    def tell_news(step: "Step") -> None:
        if step.sentence not in told:
            told.add(step.sentence)
            tell(step)

    return tell_news


async def _one(
    radio: "Radio", product_key: str | None, device_key: str | None, look_s: float, tell: "Tell"
) -> "FoundBle":
    """The device that is meant: the one named, else the only one in its bind window."""
    from quecbind.app.ble.pairing import BleNetwork  # noqa: PLC0415 - of the extras `app` and `ble`
    from quecbind.app.ble.scan import scan  # noqa: PLC0415
    from quecbind.app.errors import NothingFoundError, PairingError  # noqa: PLC0415
    from quecbind.app.pairing import Step, found_step, wanted  # noqa: PLC0415

    def meant(device: "FoundBle") -> "FoundBle | None":
        if device_key is None and not device.is_bindable:
            return None
        return wanted(device, product_key, device_key)

    tell(Step("searching", BleNetwork.searching))
    # One that is named need not be waited for; the only one has to be the only one.
    look_s = min(look_s, _LOOK_S if device_key else 5.0)
    heard = await scan(radio, look_s, (lambda device: meant(device) is not None) if device_key else None)
    found = [one for one in map(meant, heard) if one is not None]
    if not found:
        raise NothingFoundError("no such device was heard over BLE")
    if len({(one.product_key, one.device_key) for one in found}) > 1:
        names = ", ".join(f"{one.product_key} {one.device_key}" for one in found)
        raise PairingError(f"several devices can be bound, name one of them: {names}")
    tell(found_step(found[0]))
    return found[0]
