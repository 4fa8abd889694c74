"""`quecbind product ...`: kinds of devices."""

import argparse
import json
from pathlib import Path

from quecbind.cli.arguments import Subparsers, add_command, add_data, add_group, add_json, count
from quecbind.cli.center_api import ask, ask_pages, path
from quecbind.cli.outcome import DONE, USAGE, CommandError
from quecbind.cli.output import print_fields, print_json, print_table

_COLUMNS = ("product_key", "name", "bind_mode", "re_enrol", "device_count", "device_limit")
_SWITCHES = {
    "allow_device_key_binding": "Apps may bind by the device key alone",
    "allow_serial_binding": "Apps may bind by an imported serial number",
    "allow_sharing": "owners may share their devices; on unless switched off",
    "dynamic_enrolment": "devices that nobody has imported may enrol; on unless switched off",
    "ble_only": "its devices have no network; Apps bind for them by BLE",
    "static_secrets": "device secrets are imported, never issued",
    "replay_strict": "refuse a log-in whose random came before",
}
_VALUES = ("bind_mode", "re_enrol", "device_limit", "default_window_s")


def register(subparsers: Subparsers) -> None:
    commands = add_group(
        subparsers, "product", "create and look at products", "quecbind product create 'Bench lamp' --bind-mode single"
    )

    create = add_command(
        commands,
        "create",
        "create a product and print its key and secret",
        "quecbind product create 'Bench lamp' --bind-mode single --re-enrol approve --json",
        run_create,
    )
    create.add_argument("name", metavar="NAME", help="what operators and users read")
    create.add_argument(
        "--domain",
        dest="user_domains",
        action="append",
        metavar="D",
        help="only users of this user domain may bind its devices; may be repeated; default: all",
    )
    create.add_argument("--product-key", metavar="PK", help="take this key instead of a new one")
    create.add_argument("--product-secret", metavar="PS", help="take this secret instead of a new one")

    update = add_command(
        commands, "update", "change a product", "quecbind product update p1aB3c --no-allow-sharing", run_update
    )
    update.add_argument("--name", metavar="NAME", help="what operators and users read")
    for parser in (create, update):
        _add_choices(parser)

    listing = add_command(commands, "list", "list products", "quecbind product list", run_list)
    show = add_command(commands, "show", "show one product", "quecbind product show p1aB3c", run_show)
    delete = add_command(
        commands, "delete", "delete a product that has no devices", "quecbind product delete p1aB3c", run_delete
    )
    for parser in (update, show, delete):
        parser.add_argument("product_key", metavar="PK")
    for parser in (create, update, listing, show, delete):
        add_data(parser)
        add_json(parser)
    _register_tsl(commands)


def _register_tsl(commands: Subparsers) -> None:
    group = add_group(
        commands, "tsl", "a product's thing model", "quecbind product tsl import p1aB3c power-station.json"
    )
    take = add_command(
        group,
        "import",
        "give a product the thing model in a TSL file, in place of the one it has",
        "quecbind product tsl import p1aB3c power-station.json",
        run_tsl_import,
    )
    export = add_command(
        group,
        "export",
        "print a product's thing model as TSL",
        "quecbind product tsl export p1aB3c",
        run_tsl_export,
    )
    remove = add_command(
        group, "remove", "leave a product without a thing model", "quecbind product tsl remove p1aB3c", run_tsl_remove
    )
    for parser in (take, export, remove):
        parser.add_argument("product_key", metavar="PK")
        add_data(parser)
        add_json(parser)
    take.add_argument("file", metavar="FILE", type=Path, help="TSL as the platform's console exports it")


def _add_choices(parser: argparse.ArgumentParser) -> None:
    """What can be chosen for a new product and changed later; what is not given is left to the Developer Center."""
    parser.add_argument(
        "--bind-mode",
        choices=("multi", "single", "alternate"),
        help="a second user is added, refused, or replaces the first; a new product has multi",
    )
    parser.add_argument(
        "--re-enrol",
        choices=("approve", "open", "locked"),
        help="whether a device that has its secret may get another: after approval, always, never; new: approve",
    )
    parser.add_argument("--device-limit", type=count, metavar="N", help="how many devices it may have")
    parser.add_argument(
        "--default-window",
        dest="default_window_s",
        type=count,
        metavar="S",
        help="seconds a bind code is accepted when the device does not say; new: 120",
    )
    for name, meaning in _SWITCHES.items():
        parser.add_argument("--" + name.replace("_", "-"), action=argparse.BooleanOptionalAction, help=meaning)


def _given(args: argparse.Namespace, *names: str) -> dict[str, object]:
    return {name: getattr(args, name) for name in names if getattr(args, name) is not None}


def run_create(args: argparse.Namespace) -> int:
    body = _given(args, "name", *_VALUES, *_SWITCHES, "user_domains", "product_key", "product_secret")
    product = ask(args.data, "POST", "/products", body)
    if args.json:
        print_json(product)
    else:
        print_fields(product)
        print("\nThe product secret is shown this once: put it into your devices.")
    return DONE


def run_update(args: argparse.Namespace) -> int:
    changes = _given(args, "name", *_VALUES, *_SWITCHES)
    if not changes:
        raise CommandError(USAGE, "nothing to change: give at least one option, see --help")
    product = ask(args.data, "PATCH", path("products", args.product_key), changes)
    if args.json:
        print_json(product)
    else:
        print_fields(product)
    return DONE


def run_list(args: argparse.Namespace) -> int:
    products = ask_pages(args.data, "/products")
    if args.json:
        print_json(products)
    else:
        print_table(products, _COLUMNS, "no products")
    return DONE


def run_show(args: argparse.Namespace) -> int:
    product = ask(args.data, "GET", path("products", args.product_key))
    if args.json:
        print_json(product)
    else:
        print_fields(product)
    return DONE


def run_delete(args: argparse.Namespace) -> int:
    ask(args.data, "DELETE", path("products", args.product_key))
    if args.json:
        print_json({"product_key": args.product_key, "deleted": True})
    else:
        print(f"product {args.product_key} is deleted")
    return DONE


def run_tsl_import(args: argparse.Namespace) -> int:
    try:
        document = json.loads(args.file.read_bytes())
    except OSError as error:
        raise CommandError(USAGE, f"{args.file} cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError):
        raise CommandError(USAGE, f"{args.file} is not JSON") from None
    model = ask(args.data, "PUT", path("products", args.product_key, "tsl"), document)
    if args.json:
        print_json(model)
    else:
        print_fields(model)
    return DONE


def run_tsl_export(args: argparse.Namespace) -> int:
    print_json(ask(args.data, "GET", path("products", args.product_key, "tsl")))
    return DONE


def run_tsl_remove(args: argparse.Namespace) -> int:
    ask(args.data, "DELETE", path("products", args.product_key, "tsl"))
    if args.json:
        print_json({"product_key": args.product_key, "model": None})
    else:
        print(f"product {args.product_key} has no thing model")
    return DONE
