"""`quecbind app ...`: what a user's App does, on a command line."""

import argparse
import dataclasses

from quecbind.app.lan import LocalNetwork
from quecbind.cli import app_ble, app_use
from quecbind.cli.app_account import add_account_command, add_lan, binding_facts, ipv4, show_bound, signed_in, tell
from quecbind.cli.arguments import Subparsers, add_command, add_group, add_json, count, seconds
from quecbind.cli.outcome import DONE
from quecbind.cli.output import print_fields, print_json, print_table

_DEVICE_COLUMNS = ("product_key", "device_key", "name", "product_name", "is_online", "is_verified")

_ACCOUNT = "--url http://127.0.0.1:8080 --domain Q.DM.10001.1 --domain-secret ... --email ada@example.com"


def register(subparsers: Subparsers) -> None:
    commands = add_group(
        subparsers,
        "app",
        "act as a user's App: find, pair, list, use, unbind",
        "export QUECBIND_APP_URL=http://127.0.0.1:8080 QUECBIND_APP_DOMAIN=Q.DM.10001.1 \\\n"
        "  QUECBIND_APP_DOMAIN_SECRET=... QUECBIND_APP_EMAIL=ada@example.com QUECBIND_APP_PASSWORD=...\n"
        "quecbind app pair --dk 0123456789ab",
    )
    finding = add_command(
        commands,
        "discover",
        "find devices on the local network",
        "quecbind app discover --seconds 5",
        run_discover,
    )
    finding.add_argument("--seconds", type=seconds, default=3.0, metavar="S", help="how long to listen; default: 3")
    add_lan(finding)
    add_json(finding)

    add_account_command(commands, "login", "sign in and show who that is", f"quecbind app login {_ACCOUNT}", run_login)

    pairing = add_account_command(
        commands,
        "pair",
        "find a device nearby and bind it to the user",
        "quecbind app pair --dk 0123456789ab --name 'Desk lamp'",
        run_pair,
    )
    pairing.add_argument("--pk", metavar="PK", help="only a device of this product")
    pairing.add_argument("--dk", metavar="DK", help="only this device; without it the one that offers a bind code")
    pairing.add_argument("--name", metavar="TEXT", help="what the user calls it")
    app_ble.add_pin(pairing)
    pairing.add_argument("--seconds", type=seconds, default=60.0, metavar="S", help="give up after this; default: 60")
    add_lan(pairing)
    app_ble.add_radio(pairing)
    provisioning = add_account_command(
        commands,
        "provision",
        "give a device nearby its Wi-Fi network over BLE and bind it to the user",
        "QUECBIND_WIFI_PASSWORD=... quecbind app provision --ssid home --name 'Desk lamp'",
        run_provision,
    )
    app_ble.add_provision(provisioning)

    binding = add_account_command(
        commands,
        "bind",
        "bind a device whose bind code is known",
        "quecbind app bind p1aB3c 0123456789ab 0123456789ABCDEF",
        run_bind,
    )
    listing = add_account_command(
        commands, "devices", "list the user's devices", "quecbind app devices --json", run_devices
    )
    listing.add_argument("--page", type=count, default=1, metavar="N", help="which page; default: 1")
    listing.add_argument("--page-size", type=count, default=50, metavar="N", help="devices on a page; default: 50")
    renaming = add_account_command(
        commands, "rename", "give a device a name", "quecbind app rename p1aB3c 0123456789ab 'Desk lamp'", run_rename
    )
    unbinding = add_account_command(
        commands, "unbind", "end the user's control of a device", "quecbind app unbind p1aB3c 0123456789ab", run_unbind
    )
    for parser in (binding, renaming, unbinding):
        parser.add_argument("product_key", metavar="PK")
        parser.add_argument("device_key", metavar="DK")
    binding.add_argument("bind_code", metavar="CODE", help="16 characters 0-9 A-F")
    binding.add_argument("--name", metavar="TEXT", help="what the user calls it")
    renaming.add_argument("name", metavar="NAME")
    app_ble.add_radio(unbinding, meaning="tell a device that has BLE only as well")
    app_use.register(commands)


def run_discover(args: argparse.Namespace) -> int:
    rows = [dataclasses.asdict(device) for device in app_use.found_on_lan(args)]
    if args.json:
        print_json(rows)
    else:
        print_table(rows, ("product_key", "device_key", "address", "port"), "no devices answered")
    return DONE


def run_login(args: argparse.Namespace) -> int:
    user = signed_in(args, lambda client: client.user_info())
    if args.json:
        print_json(dataclasses.asdict(user))
    else:
        print_fields(dataclasses.asdict(user))
    return DONE


def run_provision(args: argparse.Namespace) -> int:
    pin = app_ble.pin_of(args)
    ssid, password = app_ble.wifi_of(args)
    return show_bound(args, signed_in(args, lambda client: app_ble.provision(client, args, ssid, password, pin)))


def run_pair(args: argparse.Namespace) -> int:
    pin = app_ble.pin_of(args)
    if args.radio:
        return show_bound(args, signed_in(args, lambda client: app_ble.pair(client, args, pin)))
    from quecbind.app.pairing import bind_nearby  # noqa: PLC0415 - needs httpx, which a plain install has not

    network = LocalNetwork(args.lan_port, ipv4(args.lan_address), pin)

    bound = signed_in(
        args,
        lambda client: bind_nearby(client, args.pk, args.dk, args.name, args.seconds, network=network, tell=tell),
    )
    return show_bound(args, binding_facts(bound.device, bound.binding))


def run_bind(args: argparse.Namespace) -> int:
    binding = signed_in(
        args, lambda client: client.bind_by_code(args.product_key, args.device_key, args.bind_code, args.name)
    )
    facts = {
        "product_key": args.product_key,
        "device_key": args.device_key,
        "bind_mode": binding.bind_mode,
        "product_name": binding.product_name,
    }
    return show_bound(args, facts)


def run_devices(args: argparse.Namespace) -> int:
    page = signed_in(args, lambda client: client.devices(args.page, args.page_size))
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
    signed_in(args, lambda client: client.rename(args.product_key, args.device_key, args.name))
    if args.json:
        print_json({"product_key": args.product_key, "device_key": args.device_key, "name": args.name})
    else:
        print(f"{args.product_key} {args.device_key} is now {args.name!r}")
    return DONE


def run_unbind(args: argparse.Namespace) -> int:
    if args.radio:
        left = signed_in(args, lambda client: app_ble.unbind(client, args))
    else:
        left = signed_in(args, lambda client: client.unbind(args.product_key, args.device_key))
    if args.json:
        print_json({"product_key": args.product_key, "device_key": args.device_key, "binding_sum": left})
    else:
        print(f"{args.product_key} {args.device_key} is no longer yours; {left} users still hold it")
    return DONE
