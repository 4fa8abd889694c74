"""`quecbind audit ...`: who did what, when."""

import argparse

from quecbind.cli.arguments import Subparsers, add_command, add_data, add_group, add_json, count
from quecbind.cli.center_api import ask_pages
from quecbind.cli.outcome import DONE
from quecbind.cli.output import print_json, print_table


def register(subparsers: Subparsers) -> None:
    commands = add_group(subparsers, "audit", "read the audit log", "quecbind audit list --device p1aB3c 0123456789ab")
    listing = add_command(
        commands,
        "list",
        "list audit entries, newest first",
        "quecbind audit list --count 20\nquecbind audit list --device p1aB3c 0123456789ab --json",
        run_list,
    )
    listing.add_argument("--device", nargs=2, metavar=("PK", "DK"), help="only of this device")
    listing.add_argument("--count", type=count, default=50, metavar="N", help="at most this many; default: 50")
    add_data(listing)
    add_json(listing)


def run_list(args: argparse.Namespace) -> int:
    query = dict(zip(("product_key", "device_key"), args.device or (), strict=False))
    entries = ask_pages(args.data, "/audit", query, at_most=args.count)
    if args.json:
        print_json(entries)
    else:
        columns = ("seq", "at", "who", "action", "result", "product_key", "device_key", "peer")
        print_table(entries, columns, "no audit entries")
    return DONE
