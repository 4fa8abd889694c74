"""`quecbind audit ...`: who did what, when."""

import argparse

from quecbind.cli.arguments import Subparsers, add_command, add_data, add_group, add_json, count
from quecbind.cli.center_api import ask, ask_pages
from quecbind.cli.outcome import DONE, REFUSED
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
    checking = add_command(
        commands, "check", "check the audit log for changes and gaps", "quecbind audit check", run_check
    )
    for parser in (listing, checking):
        add_data(parser)
        add_json(parser)


def run_list(args: argparse.Namespace) -> int:
    query = dict(zip(("product_key", "device_key"), args.device or (), strict=False))
    entries = ask_pages(args.data, "/audit", query, at_most=args.count)
    if args.json:
        print_json(entries)
    else:
        columns = ("seq", "at", "who", "action", "result", "product_key", "device_key", "peer")
        print_table(entries, columns, "no audit entries")
    return DONE


def run_check(args: argparse.Namespace) -> int:
    result = ask(args.data, "GET", "/audit/check")
    if args.json:
        print_json(result)
    elif result["problem"]:
        print(f"the audit log is NOT whole: {result['problem']}")
    else:
        print(f"the audit log is whole, {result['entry_count']} entries")
    return REFUSED if result["problem"] else DONE
