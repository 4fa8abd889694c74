"""`quecbind device ...`: run one here, or look after those of a Developer Center."""

import argparse
import csv
import io
import json
import re
import sys
from pathlib import Path
from typing import Any

from quecbind.cli import device_run
from quecbind.cli.arguments import Subparsers, add_command, add_data, add_group, add_json
from quecbind.cli.center_api import ask, ask_pages, path
from quecbind.cli.outcome import DONE, USAGE, CommandError
from quecbind.cli.output import print_fields, print_json, print_table, show_progress

_COLUMNS = ("product_key", "device_key", "state", "is_online", "epoch", "last_online_at", "last_address")
_MAX_IMPORT = 1000
_PLACE = re.compile(r"(\$\[|\bdevice )([0-9]+)(?=[]:])")


def register(subparsers: Subparsers) -> None:
    commands = add_group(
        subparsers, "device", "run a device here, or look after devices", "quecbind device run examples/bind_me.py"
    )
    device_run.register(commands)

    listing = add_command(commands, "list", "list devices", "quecbind device list --product p1aB3c", run_list)
    listing.add_argument("--product", metavar="PK", help="only of this product")
    add_data(listing)
    add_json(listing)

    for name, meaning, run in (
        ("show", "show one device and who owns it", run_show),
        ("approve", "let a device that has its secret enrol again, within 15 minutes", run_approve),
        ("disable", "shut a device out now", run_disable),
        ("enable", "let a disabled device in again", run_enable),
        ("delete", "forget a device and its owners", run_delete),
    ):
        parser = add_command(commands, name, meaning, f"quecbind device {name} p1aB3c 0123456789ab", run)
        parser.add_argument("product_key", metavar="PK")
        parser.add_argument("device_key", metavar="DK")
        add_data(parser)
        add_json(parser)

    importing = add_command(
        commands,
        "import",
        "make devices known before they come",
        "quecbind device import devices.json\n"
        "with devices.json: "
        '[{"product_key": "p1aB3c", "device_key": "0123456789ab", "device_secret": "..."}]\n'
        "quecbind device import devices.csv\n"
        "with devices.csv: product_key,device_key,serial and a line for each device",
        run_import,
    )
    importing.add_argument(
        "file",
        metavar="FILE",
        help="a JSON list, or .csv with a line of names; secret and serial may be left out; - reads JSON from stdin",
    )
    add_data(importing)
    add_json(importing)


def run_list(args: argparse.Namespace) -> int:
    devices = ask_pages(args.data, "/devices", {"product_key": args.product} if args.product else {})
    if args.json:
        print_json(devices)
    else:
        print_table(devices, _COLUMNS, "no devices")
    return DONE


def run_show(args: argparse.Namespace) -> int:
    device = ask(args.data, "GET", path("devices", args.product_key, args.device_key))
    if args.json:
        print_json(device)
        return DONE
    owners = device.pop("owners", [])
    print_fields(device)
    print()
    print_table(owners, ("uid", "email", "user_domain", "bound_at"), "nobody owns this device")
    return DONE


def run_approve(args: argparse.Namespace) -> int:
    return _act(args, "approve-re-enrolment", "may enrol again, within 15 minutes")


def run_disable(args: argparse.Namespace) -> int:
    return _act(args, "disable", "is disabled")


def run_enable(args: argparse.Namespace) -> int:
    return _act(args, "enable", "is enabled")


def run_delete(args: argparse.Namespace) -> int:
    ask(args.data, "DELETE", path("devices", args.product_key, args.device_key))
    if args.json:
        print_json({"product_key": args.product_key, "device_key": args.device_key, "deleted": True})
    else:
        print(f"device {args.product_key} {args.device_key} is forgotten")
    return DONE


def _act(args: argparse.Namespace, action: str, outcome: str) -> int:
    device = ask(args.data, "POST", path("devices", args.product_key, args.device_key, action))
    if args.json:
        print_json(device)
    else:
        print(f"device {args.product_key} {args.device_key} {outcome}")
    return DONE


def run_import(args: argparse.Namespace) -> int:
    devices = _read_list(args.file)
    total = {"imported_count": 0, "known_count": 0}
    for start in range(0, len(devices), _MAX_IMPORT):
        piece = devices[start : start + _MAX_IMPORT]
        try:
            result = ask(args.data, "POST", "/devices/import", piece)
        except CommandError as error:
            raise _at(start, len(devices), error) from None
        if len(devices) > _MAX_IMPORT and not args.json:
            show_progress(start + len(piece), len(devices), "devices")
        total = {name: number + result[name] for name, number in total.items()}
    if args.json:
        print_json(total)
    else:
        print(f"{total['imported_count']} devices are new, {total['known_count']} were known already")
    return DONE


def _at(start: int, count: int, error: CommandError) -> CommandError:
    """The error about a piece of the file as one about the file: places counted from its beginning, and what is in."""
    sentence = _PLACE.sub(lambda found: f"{found[1]}{int(found[2]) + start}", error.sentence)
    if start:
        sentence = f"the first {start} of {count} devices are in, the others are not: {sentence}"
    return CommandError(error.exit_code, sentence, error.code)


def _read_list(name: str) -> list[Any]:
    try:
        text = sys.stdin.read() if name == "-" else Path(name).read_text(encoding="utf-8-sig")
        devices = _of_csv(text) if name.lower().endswith(".csv") else json.loads(text)
    except OSError as error:
        raise CommandError(USAGE, f"{name} cannot be read: {error.strerror}") from None
    except csv.Error as error:
        raise CommandError(USAGE, f"{name} is not CSV: {error}") from None
    except ValueError:
        raise CommandError(USAGE, f"{name} is not JSON in UTF-8, and no .csv by its name") from None
    if not isinstance(devices, list):
        raise CommandError(USAGE, f"{name} must hold a JSON list of devices")
    return devices


def _of_csv(text: str) -> list[Any]:
    """A row for each line below the names; an empty cell says nothing, a cell too many is kept as a name of its own."""
    rows = csv.DictReader(io.StringIO(text, newline=""), restkey="more cells than names", strict=True)
    return [{name.strip(): cell for name, cell in row.items() if cell} for row in rows]
