"""What `quecbind app` commands share: who signs in and how, where on the network to look, what is told of a binding."""

import argparse
import asyncio
import logging
import os
import sys
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeVar

from quecbind.app.lan import BROADCAST
from quecbind.cli.arguments import Subparsers, add_command, add_json, port
from quecbind.cli.outcome import DONE, USAGE, CommandError
from quecbind.cli.output import print_json
from quecbind.cli.password import password_of
from quecbind.wire import lan

if TYPE_CHECKING:
    from quecbind.app.client import AppClient
    from quecbind.app.pairing import Step
    from quecbind.app.results import Binding
    from quecbind.app.way import Found

# dest, flag, variable, metavar, help
_CREDENTIALS = (
    ("url", "--url", "QUECBIND_APP_URL", "URL", "where the Developer Center is, such as http://127.0.0.1:8080"),
    ("domain", "--domain", "QUECBIND_APP_DOMAIN", "ID", "the App's user domain"),
    ("domain_secret", "--domain-secret", "QUECBIND_APP_DOMAIN_SECRET", "SECRET", "its secret"),
    ("email", "--email", "QUECBIND_APP_EMAIL", "EMAIL", "who signs in"),
)
T = TypeVar("T")


def add_account_command(
    commands: Subparsers, name: str, meaning: str, example: str, run: Callable[[argparse.Namespace], int]
) -> argparse.ArgumentParser:
    """A command that signs in."""
    parser = add_command(commands, name, meaning, example, run)
    for dest, flag, variable, metavar, described in _CREDENTIALS:
        parser.add_argument(flag, dest=dest, metavar=metavar, help=f"{described} [{variable}]")
    parser.add_argument("--password", metavar="P", help="asked for on a terminal [QUECBIND_APP_PASSWORD]")
    add_json(parser)
    return parser


def add_lan(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--lan-address", default=BROADCAST, metavar="ADDRESS", help=f"where to ask; default: {BROADCAST}, everybody"
    )
    parser.add_argument("--lan-port", type=port, default=lan.UDP_PORT, metavar="N", help=f"default: {lan.UDP_PORT}")


def signed_in(args: argparse.Namespace, act: "Callable[[AppClient], Awaitable[T]]") -> T:
    """What `act` gives for a client that is signed in with the credentials of flags and environment."""
    from quecbind.app.client import AppClient  # noqa: PLC0415 - needs httpx, which a plain install has not

    values = {dest: getattr(args, dest) or os.environ.get(variable, "") for dest, _, variable, _, _ in _CREDENTIALS}
    missing = [f"{flag} ({variable})" for dest, flag, variable, _, _ in _CREDENTIALS if not values[dest]]
    if missing:
        raise CommandError(USAGE, f"missing: {', '.join(missing)}")
    if not values["url"].startswith(("http://", "https://")):
        raise CommandError(USAGE, f"--url must begin with http:// or https://, not {values['url']!r}")
    password = password_of(args.password, f"Password for {values['email']}: ")

    for talkative in ("httpx", "httpcore"):  # of every request they tell the URL, and some have a share code in it
        logging.getLogger(talkative).setLevel(logging.WARNING)

    async def session() -> T:
        async with AppClient(values["url"], values["domain"], values["domain_secret"]) as client:
            await client.sign_in(values["email"], password)
            return await act(client)

    return asyncio.run(session())


def tell(step: "Step") -> None:
    """A step of a binding, for whoever waits."""
    print(step.sentence, file=sys.stderr, flush=True)


def binding_facts(device: "Found", binding: "Binding | None" = None) -> dict[str, Any]:
    """What there is to show of a device that has just been bound; the platform says nothing of one with BLE only."""
    facts: dict[str, Any] = {
        "product_key": device.product_key,
        "device_key": device.device_key,
        "address": device.address,
    }
    if (tcp_port := getattr(device, "port", None)) is not None:
        facts["port"] = tcp_port
    if binding is not None:
        facts |= {"bind_mode": binding.bind_mode, "product_name": binding.product_name}
    return facts


def show_bound(args: argparse.Namespace, facts: dict[str, Any]) -> int:
    if args.json:
        print_json(facts)
    else:
        print(f"{facts['product_key']} {facts['device_key']} is yours")
    return DONE


def ipv4(text: str) -> str:
    parts = text.split(".")
    if len(parts) == 4 and all(part.isascii() and part.isdigit() and int(part) <= 255 for part in parts):
        return text
    raise CommandError(USAGE, "--lan-address must be an IPv4 address such as 192.168.1.255")
