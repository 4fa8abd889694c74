"""`quecbind user ...`: end users, made without a mail code."""

import argparse

from quecbind.cli.arguments import Subparsers, add_command, add_data, add_group, add_json
from quecbind.cli.center_api import ask, ask_pages, path
from quecbind.cli.outcome import DONE
from quecbind.cli.output import print_fields, print_json, print_table
from quecbind.cli.password import password_of


def register(subparsers: Subparsers) -> None:
    commands = add_group(
        subparsers, "user", "create and look at users", "quecbind user create ada@example.com --domain Q.DM.10001.1"
    )
    create = add_command(
        commands,
        "create",
        "create a user",
        "quecbind user create ada@example.com --domain Q.DM.10001.1 --password 'a-Secret1'",
        run_create,
    )
    create.add_argument("email", metavar="EMAIL")
    create.add_argument("--domain", required=True, metavar="ID", help="the user domain")
    create.add_argument(
        "--password",
        metavar="P",
        help="6 to 20 letters, digits and signs, no space; asked for on a terminal [QUECBIND_APP_PASSWORD]",
    )
    listing = add_command(commands, "list", "list users", "quecbind user list --domain Q.DM.10001.1", run_list)
    listing.add_argument("--domain", metavar="ID", help="only of this user domain")
    for name, meaning, run in (
        ("disable", "shut a user out now; their devices stay theirs", run_disable),
        ("enable", "let a disabled user sign in again", run_enable),
    ):
        acting = add_command(commands, name, meaning, f"quecbind user {name} C10001", run)
        acting.add_argument("uid", metavar="UID")
        add_data(acting)
        add_json(acting)
    for parser in (create, listing):
        add_data(parser)
        add_json(parser)


def run_create(args: argparse.Namespace) -> int:
    password = password_of(args.password, f"Password for {args.email}: ")
    user = ask(args.data, "POST", "/users", {"email": args.email, "user_domain": args.domain, "password": password})
    if args.json:
        print_json(user)
    else:
        print_fields(user)
    return DONE


def run_disable(args: argparse.Namespace) -> int:
    return _act(args, "disable", "is disabled, and signed out everywhere")


def run_enable(args: argparse.Namespace) -> int:
    return _act(args, "enable", "may sign in again")


def _act(args: argparse.Namespace, action: str, outcome: str) -> int:
    user = ask(args.data, "POST", path("users", args.uid, action))
    if args.json:
        print_json(user)
    else:
        print(f"user {user['uid']} ({user['email']}) {outcome}")
    return DONE


def run_list(args: argparse.Namespace) -> int:
    users = ask_pages(args.data, "/users", {"user_domain": args.domain} if args.domain else {})
    if args.json:
        print_json(users)
    else:
        print_table(users, ("uid", "email", "user_domain", "registered_at", "is_disabled"), "no users")
    return DONE
