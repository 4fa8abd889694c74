"""`quecbind app ...`: what a user's App does, on a command line."""

import argparse
import asyncio
import dataclasses
import os
import sys
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeVar

from quecbind.app.lan import BROADCAST, FoundDevice, LocalNetwork, discover
from quecbind.cli.arguments import Subparsers, add_command, add_group, add_json, count, port, seconds
from quecbind.cli.outcome import DONE, USAGE, CommandError
from quecbind.cli.output import print_fields, print_json, print_table
from quecbind.cli.password import password_of
from quecbind.wire import lan

if TYPE_CHECKING:
    from quecbind.app.client import AppClient
    from quecbind.app.pairing import Step

# dest, flag, variable, metavar, help
_CREDENTIALS = (
    ("url", "--url", "QUECBIND_APP_URL", "URL", "where the Developer Center is, such as http://127.0.0.1:8080"),
    ("domain", "--domain", "QUECBIND_APP_DOMAIN", "ID", "the App's user domain"),
    ("domain_secret", "--domain-secret", "QUECBIND_APP_DOMAIN_SECRET", "SECRET", "its secret"),
    ("email", "--email", "QUECBIND_APP_EMAIL", "EMAIL", "who signs in"),
)
_DEVICE_COLUMNS = ("product_key", "device_key", "name", "product_name", "is_online", "is_verified")
T = TypeVar("T")

_ACCOUNT = "--url http://127.0.0.1:8080 --domain Q.DM.10001.1 --domain-secret ... --email ada@example.com"


def register(subparsers: Subparsers) -> None:
    commands = add_group(
        subparsers,
        "app",
        "act as a user's App: find, pair, list, unbind",
        "export QUECBIND_APP_URL=http://127.0.0.1:8080 QUECBIND_APP_DOMAIN=Q.DM.10001.1 \\\n"
        "  QUECBIND_APP_DOMAIN_SECRET=... QUECBIND_APP_EMAIL=ada@example.com QUECBIND_APP_PASSWORD=...\n"
        "quecbind app pair --dk 0123456789ab",
    )
    finding = add_command(
        commands, "discover", "find devices on the local network", "quecbind app discover --seconds 5", run_discover
    )
    finding.add_argument("--seconds", type=seconds, default=3.0, metavar="S", help="how long to listen; default: 3")
    _add_lan(finding)
    add_json(finding)

    _add(commands, "login", "sign in and show who that is", f"quecbind app login {_ACCOUNT}", run_login)

    pairing = _add(
        commands,
        "pair",
        "find a device nearby and bind it to the user",
        "quecbind app pair --dk 0123456789ab --name 'Desk lamp'",
        run_pair,
    )
    pairing.add_argument("--pk", metavar="PK", help="only a device of this product")
    pairing.add_argument("--dk", metavar="DK", help="only this device; without it the one that offers a bind code")
    pairing.add_argument("--name", metavar="TEXT", help="what the user calls it")
    pairing.add_argument(
        "--pin",
        metavar="DIGITS",
        help="the device's PIN: its bind code does not cross the air in the clear; needs --dk",
    )
    pairing.add_argument("--seconds", type=seconds, default=60.0, metavar="S", help="give up after this; default: 60")
    _add_lan(pairing)

    binding = _add(
        commands,
        "bind",
        "bind a device whose bind code is known",
        "quecbind app bind p1aB3c 0123456789ab 0123456789ABCDEF",
        run_bind,
    )
    listing = _add(commands, "devices", "list the user's devices", "quecbind app devices --json", run_devices)
    listing.add_argument("--page", type=count, default=1, metavar="N", help="which page; default: 1")
    listing.add_argument("--page-size", type=count, default=50, metavar="N", help="devices on a page; default: 50")
    renaming = _add(
        commands, "rename", "give a device a name", "quecbind app rename p1aB3c 0123456789ab 'Desk lamp'", run_rename
    )
    unbinding = _add(
        commands, "unbind", "end the user's control of a device", "quecbind app unbind p1aB3c 0123456789ab", run_unbind
    )
    for parser in (binding, renaming, unbinding):
        parser.add_argument("product_key", metavar="PK")
        parser.add_argument("device_key", metavar="DK")
    binding.add_argument("bind_code", metavar="CODE", help="16 characters 0-9 A-F")
    binding.add_argument("--name", metavar="TEXT", help="what the user calls it")
    renaming.add_argument("name", metavar="NAME")


def _add(
    commands: Subparsers, name: str, meaning: str, example: str, run: Callable[[argparse.Namespace], int]
) -> argparse.ArgumentParser:
    """A command that signs in."""
    parser = add_command(commands, name, meaning, example, run)
    for dest, flag, variable, metavar, described in _CREDENTIALS:
        parser.add_argument(flag, dest=dest, metavar=metavar, help=f"{described} [{variable}]")
    parser.add_argument("--password", metavar="P", help="asked for on a terminal [QUECBIND_APP_PASSWORD]")
    add_json(parser)
    return parser


def _add_lan(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--lan-address", default=BROADCAST, metavar="ADDRESS", help=f"where to ask; default: {BROADCAST}, everybody"
    )
    parser.add_argument("--lan-port", type=port, default=lan.UDP_PORT, metavar="N", help=f"default: {lan.UDP_PORT}")


def run_discover(args: argparse.Namespace) -> int:
    found = asyncio.run(discover(args.lan_port, _ipv4(args.lan_address), args.seconds))
    rows = [dataclasses.asdict(device) for device in found]
    if args.json:
        print_json(rows)
    else:
        print_table(rows, ("product_key", "device_key", "address", "port"), "no devices answered")
    return DONE


def run_login(args: argparse.Namespace) -> int:
    user = _signed_in(args, lambda client: client.user_info())
    if args.json:
        print_json(dataclasses.asdict(user))
    else:
        print_fields(dataclasses.asdict(user))
    return DONE


def run_pair(args: argparse.Namespace) -> int:
    from quecbind.app.pairing import bind_nearby  # noqa: PLC0415 - needs httpx, which a plain install has not

    if args.pin is not None and not args.dk:
        raise CommandError(USAGE, "--pin needs --dk: a PIN belongs to one device")
    network = LocalNetwork(args.lan_port, _ipv4(args.lan_address), args.pin)

    def tell(step: "Step") -> None:
        print(step.sentence, file=sys.stderr, flush=True)

    bound = _signed_in(
        args,
        lambda client: bind_nearby(client, args.pk, args.dk, args.name, args.seconds, network=network, tell=tell),
    )
    if args.json:
        print_json(_bound(bound.device, bound.binding.bind_mode, bound.binding.product_name))
    else:
        print(f"{bound.device.product_key} {bound.device.device_key} is yours")
    return DONE


def _bound(device: FoundDevice, bind_mode: int, product_name: str) -> dict[str, Any]:
    return {
        "product_key": device.product_key,
        "device_key": device.device_key,
        "address": device.address,
        "port": device.port,
        "bind_mode": bind_mode,
        "product_name": product_name,
    }


def run_bind(args: argparse.Namespace) -> int:
    binding = _signed_in(
        args, lambda client: client.bind_by_code(args.product_key, args.device_key, args.bind_code, args.name)
    )
    if args.json:
        print_json(
            {
                "product_key": args.product_key,
                "device_key": args.device_key,
                "bind_mode": binding.bind_mode,
                "product_name": binding.product_name,
            }
        )
    else:
        print(f"{args.product_key} {args.device_key} is yours")
    return DONE


def run_devices(args: argparse.Namespace) -> int:
    page = _signed_in(args, lambda client: client.devices(args.page, args.page_size))
    # The auth key opens the device to whoever reads it over a shoulder.
    rows = [{k: v for k, v in dataclasses.asdict(one).items() if k != "auth_key"} for one in page.devices]
    if args.json:
        print_json({"devices": rows, "total": page.total, "page": page.page, "pages": page.pages})
        return DONE
    print_table(rows, _DEVICE_COLUMNS, "no devices")
    if page.pages > 1:
        print(f"page {page.page} of {page.pages}, {page.total} devices")
    return DONE


def run_rename(args: argparse.Namespace) -> int:
    _signed_in(args, lambda client: client.rename(args.product_key, args.device_key, args.name))
    if args.json:
        print_json({"product_key": args.product_key, "device_key": args.device_key, "name": args.name})
    else:
        print(f"{args.product_key} {args.device_key} is now {args.name!r}")
    return DONE


def run_unbind(args: argparse.Namespace) -> int:
    left = _signed_in(args, lambda client: client.unbind(args.product_key, args.device_key))
    if args.json:
        print_json({"product_key": args.product_key, "device_key": args.device_key, "binding_sum": left})
    else:
        print(f"{args.product_key} {args.device_key} is no longer yours; {left} users still hold it")
    return DONE


def _signed_in(args: argparse.Namespace, act: "Callable[[AppClient], Awaitable[T]]") -> T:
    """What `act` gives for a client that is signed in with the credentials of flags and environment."""
    from quecbind.app.client import AppClient  # noqa: PLC0415 - needs httpx, which a plain install has not

    values = {dest: getattr(args, dest) or os.environ.get(variable, "") for dest, _, variable, _, _ in _CREDENTIALS}
    missing = [f"{flag} ({variable})" for dest, flag, variable, _, _ in _CREDENTIALS if not values[dest]]
    if missing:
        raise CommandError(USAGE, f"missing: {', '.join(missing)}")
    password = password_of(args.password, f"Password for {values['email']}: ")

    async def session() -> T:
        async with AppClient(values["url"], values["domain"], values["domain_secret"]) as client:
            await client.sign_in(values["email"], password)
            return await act(client)

    return asyncio.run(session())


def _ipv4(text: str) -> str:
    parts = text.split(".")
    if len(parts) == 4 and all(part.isascii() and part.isdigit() and int(part) <= 255 for part in parts):
        return text
    raise CommandError(USAGE, "--lan-address must be an IPv4 address such as 192.168.1.255")
