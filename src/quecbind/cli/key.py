"""`quecbind key ...`: access keys of the operator API."""

import argparse

from quecbind.cli.arguments import Subparsers, add_command, add_data, add_group, add_json
from quecbind.cli.center_api import ask, ask_pages, path
from quecbind.cli.outcome import DONE
from quecbind.cli.output import print_fields, print_json, print_table


def register(subparsers: Subparsers) -> None:
    commands = add_group(
        subparsers, "key", "create and revoke access keys of the operator API", "quecbind key create 'factory line'"
    )
    create = add_command(
        commands, "create", "create an access key and print it", "quecbind key create 'factory line' --json", run_create
    )
    create.add_argument("name", metavar="NAME", help="who uses it; the audit log shows this name")
    listing = add_command(commands, "list", "list access keys", "quecbind key list", run_list)
    revoke = add_command(commands, "revoke", "end an access key now", "quecbind key revoke k1x2y3", run_revoke)
    revoke.add_argument("id", metavar="ID", help="as `quecbind key list` shows it")
    for parser in (create, listing, revoke):
        add_data(parser)
        add_json(parser)


def run_create(args: argparse.Namespace) -> int:
    key = ask(args.data, "POST", "/keys", {"name": args.name})
    if args.json:
        print_json(key)
    else:
        print_fields(key)
        print("\nThe access key is shown this once; send it as `Authorization: Bearer ...`.")
    return DONE


def run_list(args: argparse.Namespace) -> int:
    keys = ask_pages(args.data, "/keys")
    if args.json:
        print_json(keys)
    else:
        print_table(keys, ("id", "name", "created_at", "revoked_at"), "no access keys")
    return DONE


def run_revoke(args: argparse.Namespace) -> int:
    ask(args.data, "DELETE", path("keys", args.id))
    if args.json:
        print_json({"id": args.id, "revoked": True})
    else:
        print(f"access key {args.id} is revoked")
    return DONE
