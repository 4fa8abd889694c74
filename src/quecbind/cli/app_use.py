"""`quecbind app scan | control | watch`: who is near, and a device that is bound read, written and watched."""

import argparse
import asyncio
import base64
import binascii
import contextlib
import dataclasses
import json
import os
import sys
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeVar

from quecbind.app import Device
from quecbind.app.device import Seen
from quecbind.app.errors import AppError
from quecbind.app.keys import Keys
from quecbind.app.lan import FoundDevice, LocalNetwork, discover
from quecbind.app.lan.way import LanWay
from quecbind.app.path import ANSWER_S, BLE, CLOUD, LAN
from quecbind.cli import app_ble
from quecbind.cli.app_account import add_account_command, add_lan, ipv4, signed_in
from quecbind.cli.arguments import Subparsers, add_command, add_json, seconds
from quecbind.cli.live import LiveTable, shown
from quecbind.cli.outcome import DONE, USAGE, CommandError
from quecbind.cli.output import cell, print_json, print_table
from quecbind.wire import auth_key

if TYPE_CHECKING:
    from quecbind.app.client import AppClient

_ALL = "all"
_KEY = "QUECBIND_APP_AUTH_KEY"
T = TypeVar("T")


def register(commands: Subparsers) -> None:
    scanning = add_command(
        commands,
        "scan",
        "show the devices nearby, as they answer",
        "quecbind app scan --seconds 5\nquecbind app scan --radio bleak",
        run_scan,
    )
    scanning.add_argument("--seconds", type=seconds, default=3.0, metavar="S", help="how long to listen; default: 3")
    add_lan(scanning)
    app_ble.add_radio(scanning)
    add_json(scanning)

    controlling = add_account_command(
        commands,
        "control",
        "read and set a device's properties, and send it raw data",
        "quecbind app control p1aB3c 0123456789ab --write 38=true 3=80 --read 38,3",
        run_control,
    )
    controlling.add_argument(
        "--write", nargs="+", default=[], metavar="ID=VALUE", help="properties to set; values as in JSON, or text"
    )
    controlling.add_argument("--raw", type=_hex, metavar="HEX", help="bytes for the device's script")
    controlling.add_argument("--read", metavar="IDS", help=f"properties to read, such as 38,3; {_ALL} for all")
    controlling.add_argument(
        "--seconds",
        type=seconds,
        default=ANSWER_S,
        metavar="S",
        help=f"how long to wait for each; default: {ANSWER_S:g}",
    )

    watching = add_account_command(
        commands,
        "watch",
        "show what a device tells, until it is stopped",
        "quecbind app watch p1aB3c 0123456789ab --json",
        run_watch,
    )
    watching.add_argument("--seconds", type=seconds, metavar="S", help="stop after this time")

    for parser in (controlling, watching):
        parser.add_argument("product_key", metavar="PK")
        parser.add_argument("device_key", metavar="DK")
        parser.add_argument(
            "--path", choices=(LAN, BLE, CLOUD), help="only this way; default: the best that is open, in this order"
        )
        parser.add_argument(
            "--auth-key", metavar="BASE64", help=f"over LAN and BLE alone with this key, without signing in [{_KEY}]"
        )
        add_lan(parser)
        app_ble.add_radio(parser)


def run_scan(args: argparse.Namespace) -> int:
    if args.radio:
        heard = app_ble.scanned(args.radio, args.seconds)
        if args.json:
            print_json(heard)
        else:
            print_table(heard, app_ble.COLUMNS, "no devices heard")
        return DONE
    rows = [{"path": LAN, **dataclasses.asdict(device)} for device in found_on_lan(args)]
    if args.json:
        print_json(rows)
    else:
        print_table(rows, ("path", "product_key", "device_key", "address", "port"), "no devices answered")
    return DONE


def found_on_lan(args: argparse.Namespace) -> list[FoundDevice]:
    """Who answers within the time that was asked for."""
    found: list[FoundDevice] = []

    def tell(device: FoundDevice) -> bool:
        found.append(device)
        return False

    def progress(passed: float) -> str:
        return f"searching the local network: {len(found)} found, {max(0.0, args.seconds - passed):.0f} s left"

    address = ipv4(args.lan_address)

    async def search() -> None:
        await shown(discover(args.lan_port, address, args.seconds, enough=tell), progress)

    asyncio.run(search())
    return found


def run_control(args: argparse.Namespace) -> int:
    if not args.write and args.raw is None and args.read is None:
        raise CommandError(USAGE, "say what to do: --write, --raw or --read")

    async def control(device: Device) -> dict[str, Any]:
        names = [] if args.read in {None, _ALL} else [name.strip() for name in args.read.split(",")]
        for name in names:
            device.model.number_of(name)
        values: dict[str | int, Any] = dict(_assignment(device, text) for text in args.write)
        await _connected(device)
        if values:
            await device.write(values, args.seconds)
        if args.raw is not None:
            await device.send_raw(args.raw)
        read = await device.read(names, args.seconds) if args.read is not None else {}
        return {
            "product_key": device.product_key,
            "device_key": device.device_key,
            "path": device.path,
            "written": [device.model.code_of(int(number)) for number in values],
            "read": _plain(read),
        }

    done = _with_device(args, control)
    if args.json:
        print_json(done)
        return DONE
    if args.write:
        print("written:", ", ".join(cell(name) for name in done["written"]))
    if args.raw is not None:
        print(f"sent: {len(args.raw)} bytes")
    if args.read is not None:
        rows = [{"property": name, "value": value} for name, value in done["read"].items()]
        print_table(rows, ("property", "value"), "no properties")
    return DONE


def run_watch(args: argparse.Namespace) -> int:
    show: Callable[[Seen], None] = _as_line
    if args.json:
        show = _as_json
    elif sys.stdout.isatty():
        show = _Screen(f"{args.product_key} {args.device_key}").show

    async def watch(device: Device) -> None:
        asking: asyncio.Task[None] | None = None
        try:
            async with asyncio.timeout(args.seconds):
                await _connected(device)
                async for seen in device.watch():
                    show(seen)
                    if seen.path and seen.values is None and seen.raw is None and asking is None:
                        asking = asyncio.create_task(_ask_all(device), name="first values")
        except TimeoutError:
            pass  # the time that was asked for is over
        finally:
            if asking is not None:
                asking.cancel()
                await asyncio.gather(asking, return_exceptions=True)

    _with_device(args, watch)
    return DONE


async def _ask_all(device: Device) -> None:
    """What the device answers is told to whoever watches; when it does not, what it reports will have to do."""
    with contextlib.suppress(AppError):
        await device.read()


async def _connected(device: Device) -> None:
    """Opens the best path and says which it is."""
    path = await shown(device.connect(), lambda passed: f"looking for the device: {passed:.0f} s")
    print(f"path: {path}", file=sys.stderr, flush=True)


def _with_device(args: argparse.Namespace, act: Callable[[Device], Awaitable[T]]) -> T:
    if args.path == BLE and not args.radio:
        raise CommandError(USAGE, "--path ble needs --radio: bleak or bumble:TRANSPORT")
    if args.path == CLOUD and args.auth_key:
        raise CommandError(USAGE, "--auth-key opens LAN and BLE alone: --path cloud is for who signs in")
    network = LocalNetwork(args.lan_port, ipv4(args.lan_address))
    key = args.auth_key or ("" if args.path == CLOUD else os.environ.get(_KEY, ""))
    if key:
        return asyncio.run(_with_key(args, network, _key(key), act))

    async def session(client: "AppClient") -> T:
        from quecbind.app.ways import device_of  # noqa: PLC0415 - needs httpx, which a plain install has not

        keys, only = (args.product_key, args.device_key), [args.path] if args.path else []
        async with app_ble.ways_of(args) as others, await device_of(client, *keys, network, others, only) as device:
            return await act(device)

    return signed_in(args, session)


async def _with_key(
    args: argparse.Namespace, network: LocalNetwork, key: bytes, act: Callable[[Device], Awaitable[T]]
) -> T:
    async def present() -> bytes:
        return key

    keys = (args.product_key, args.device_key)
    async with app_ble.ways_of(args) as others:
        ways = [LanWay(*keys, Keys(present), network), *others(Keys(present))]
        async with Device(*keys, [way for way in ways if args.path in {None, way.name}]) as device:
            return await act(device)


def _key(text: str) -> bytes:
    with contextlib.suppress(binascii.Error):
        key = base64.b64decode(text, validate=True)
        if len(key) == auth_key.SIZE:
            return key
    raise CommandError(USAGE, "the auth key is Base64 of 16 bytes")


def _hex(text: str) -> bytes:
    try:
        data = bytes.fromhex(text)
    except ValueError:
        data = b""
    if not data:
        raise argparse.ArgumentTypeError("must be bytes as hex digits")
    return data


def _assignment(device: Device, text: str) -> tuple[int, Any]:
    name, separator, value = text.partition("=")
    if not separator:
        raise CommandError(USAGE, f"{text!r} is not ID=VALUE")
    number = device.model.number_of(name)
    return number, device.model.value_of(number, value)


def _plain(value: Any) -> Any:
    """For JSON: bytes as hex."""
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, dict):
        return {str(name): _plain(each) for name, each in value.items()}
    return [_plain(each) for each in value] if isinstance(value, list) else value


# --- what is watched ---


def _now() -> datetime:
    return datetime.now(UTC)


def _as_json(seen: Seen) -> None:
    facts: dict[str, Any] = {"at": int(_now().timestamp() * 1000), "path": seen.path or None}
    if seen.values is not None:
        facts["values"] = _plain(dict(seen.values))
    if seen.raw is not None:
        facts["raw"] = seen.raw.hex()
    if seen.reason:
        facts["reason"] = seen.reason
    print(json.dumps(facts), flush=True)


def _as_line(seen: Seen) -> None:
    at = _now().strftime("%H:%M:%S")
    if seen.values is None and seen.raw is None:
        print(at, f"path {seen.path}" if seen.path else f"lost: {cell(seen.reason)}", flush=True)
    for name, value in (seen.values or {}).items():
        print(at, seen.path, cell(name), cell(_plain(value)), flush=True)
    if seen.raw is not None:
        print(at, seen.path, "raw", seen.raw.hex(), flush=True)


class _Screen:
    """The device as a table that is always up to date."""

    def __init__(self, title: str) -> None:
        self._title = title
        self._table = LiveTable(("property", "value", "when"), sys.stdout)

    def show(self, seen: Seen) -> None:
        at = _now().strftime("%H:%M:%S")
        for name, value in (seen.values or {}).items():
            self._table.put(name, _plain(value), at)
        if seen.raw is not None:
            self._table.put("raw data", seen.raw.hex(), at)
        state = f"over {seen.path}" if seen.path else f"not connected: {seen.reason}"
        self._table.paint(f"{self._title}  {state}  {at} UTC, Ctrl-C ends")
