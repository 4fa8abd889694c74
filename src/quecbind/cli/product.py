"""`quecbind product ...`: kinds of devices."""

import argparse
import json
from pathlib import Path

from quecbind.cli.arguments import Subparsers, add_command, add_data, add_group, add_json, count
from quecbind.cli.center_api import ask, ask_pages, path
from quecbind.cli.outcome import DONE, USAGE, CommandError
from quecbind.cli.output import print_fields, print_json, print_table

_COLUMNS = ("product_key", "name", "bind_mode", "re_enrol", "device_count", "device_limit")
_SWITCHES = ("allow_device_key_binding", "allow_serial_binding", "static_secrets", "replay_strict", "ble_only")


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
        "--bind-mode",
        choices=("multi", "single", "alternate"),
        help="a second user is added, refused, or replaces the first; default: multi",
    )
    create.add_argument(
        "--re-enrol",
        choices=("approve", "open", "locked"),
        help="whether a device that has its secret may get another: after approval, always, never; default: approve",
    )
    create.add_argument("--device-limit", type=count, metavar="N", help="how many devices it may have")
    create.add_argument("--default-window", dest="default_window_s", type=count, metavar="S", help=_WINDOW_HELP)
    create.add_argument("--allow-device-key-binding", action="store_true", help="Apps may bind by the device key alone")
    create.add_argument(
        "--allow-serial-binding", action="store_true", help="Apps may bind by an imported serial number"
    )
    create.add_argument(
        "--ble-only", action="store_true", help="its devices have no network; Apps bind for them by BLE"
    )
    create.add_argument("--static-secrets", action="store_true", help="device secrets are imported, never issued")
    create.add_argument("--replay-strict", action="store_true", help="refuse a log-in whose random came before")
    create.add_argument(
        "--domain",
        dest="user_domains",
        action="append",
        metavar="D",
        help="only users of this user domain may bind its devices; may be repeated; default: all",
    )
    create.add_argument("--product-key", metavar="PK", help="take this key instead of a new one")
    create.add_argument("--product-secret", metavar="PS", help="take this secret instead of a new one")

    listing = add_command(commands, "list", "list products", "quecbind product list", run_list)
    show = add_command(commands, "show", "show one product", "quecbind product show p1aB3c", run_show)
    delete = add_command(
        commands, "delete", "delete a product that has no devices", "quecbind product delete p1aB3c", run_delete
    )
    for parser in (show, delete):
        parser.add_argument("product_key", metavar="PK")
    for parser in (create, listing, show, delete):
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


_WINDOW_HELP = "seconds a bind code is accepted when the device does not say; default: 120"


def run_create(args: argparse.Namespace) -> int:
    body: dict[str, object] = {"name": args.name}
    for name in ("bind_mode", "re_enrol", "device_limit", "default_window_s", "product_key", "product_secret"):
        if getattr(args, name) is not None:
            body[name] = getattr(args, name)
    body.update({name: True for name in _SWITCHES if getattr(args, name)})
    product = ask(args.data, "POST", "/products", body)
    if args.user_domains:
        limited = {"user_domains": args.user_domains}
        product |= ask(args.data, "PUT", f"/products/{product['product_key']}/domains", limited)
    if args.json:
        print_json(product)
    else:
        print_fields(product)
        print("\nThe product secret is shown this once: put it into your devices.")
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
