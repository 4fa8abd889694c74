"""`quecbind domain ...`: user domains, one for each App brand."""

import argparse

from quecbind.cli.arguments import Subparsers, add_command, add_data, add_group, add_json
from quecbind.cli.center_api import ask, ask_pages
from quecbind.cli.outcome import DONE
from quecbind.cli.output import print_fields, print_json, print_table


def register(subparsers: Subparsers) -> None:
    commands = add_group(
        subparsers, "domain", "create and look at user domains", "quecbind domain create 'Lamp App' --json"
    )
    create = add_command(
        commands,
        "create",
        "create a user domain and print its secret",
        "quecbind domain create 'Lamp App' --json",
        run_create,
    )
    create.add_argument("name", metavar="NAME", help="the App's name")
    create.add_argument("--user-domain", metavar="ID", help="take this id instead of a new one")
    create.add_argument("--user-domain-secret", metavar="SECRET", help="take this secret instead of a new one")
    listing = add_command(commands, "list", "list user domains", "quecbind domain list", run_list)
    for parser in (create, listing):
        add_data(parser)
        add_json(parser)


def run_create(args: argparse.Namespace) -> int:
    body = {"name": args.name}
    if args.user_domain:
        body["user_domain"] = args.user_domain
    if args.user_domain_secret:
        body["user_domain_secret"] = args.user_domain_secret
    domain = ask(args.data, "POST", "/domains", body)
    if args.json:
        print_json(domain)
    else:
        print_fields(domain)
        print("\nThe secret is shown this once: build it into the App.")
    return DONE


def run_list(args: argparse.Namespace) -> int:
    domains = ask_pages(args.data, "/domains")
    if args.json:
        print_json(domains)
    else:
        print_table(domains, ("user_domain", "name", "created_at"), "no user domains")
    return DONE
