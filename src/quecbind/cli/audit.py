"""`quecbind audit`: who did what, whether the log is whole, and the log as JSON Lines."""

import argparse
import json
import re
import sys
from datetime import UTC, datetime
from typing import Any

from quecbind.cli.arguments import Subparsers, add_command, add_data, add_group, add_json, count
from quecbind.cli.center_api import ask, ask_pages, ask_pieces
from quecbind.cli.outcome import DONE, REFUSED
from quecbind.cli.output import print_json, print_table

_VERIFY_S = 3600.0
_NOTED = re.compile(r"([1-9][0-9]{0,15}):([0-9a-f]{64})")


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
    verifying = add_command(
        commands,
        "verify",
        "check the audit log for entries that were changed, removed, put elsewhere or cut off",
        "quecbind audit verify",
        run_verify,
    )
    checking = add_command(commands, "check", "the same as verify", "quecbind audit check", run_verify)
    for parser in (verifying, checking):
        parser.add_argument(
            "--noted",
            type=_noted,
            metavar="SEQ:HASH",
            help="what an earlier verify said of the last entry, kept elsewhere; shows a log that was put back",
        )
    exporting = add_command(
        commands,
        "export",
        "write the audit log to stdout, oldest first, one JSON object a line",
        "quecbind audit export\nquecbind audit export --since 2026-11-01T00:00:00",
        run_export,
    )
    exporting.add_argument(
        "--since", type=_time, default=0, metavar="TIME", help="from the first entry at or after this time (UTC) on"
    )
    for parser in (listing, verifying, checking):
        add_json(parser)
    exporting.add_argument("--json", action="store_true", help="say nothing on stderr, for programs")
    for parser in (listing, verifying, checking, exporting):
        add_data(parser)


def run_list(args: argparse.Namespace) -> int:
    query = dict(zip(("product_key", "device_key"), args.device or (), strict=False))
    entries = ask_pages(args.data, "/audit", query, at_most=args.count)
    if args.json:
        print_json(entries)
    else:
        columns = ("seq", "at", "who", "action", "result", "product_key", "device_key", "peer")
        print_table(entries, columns, "no audit entries")
    return DONE


def run_verify(args: argparse.Namespace) -> int:
    query = {} if args.noted is None else {"noted_seq": args.noted[0], "noted_hash": args.noted[1]}
    # It reads the whole log: some 50,000 entries a second.
    result = ask(args.data, "GET", "/audit/check", query=query, timeout_s=_VERIFY_S)
    if args.json:
        print_json(result)
    elif result["problem"]:
        print(f"the audit log is NOT whole: {result['problem']}")
    else:
        print(f"the audit log is whole, {result['entry_count']} entries")
        if result["entry_count"]:
            print(f"to note elsewhere: {result['entry_count']}:{result['last_hash']}")
    return REFUSED if result["problem"] else DONE


def run_export(args: argparse.Namespace) -> int:
    written = 0

    def write(piece: Any) -> None:
        nonlocal written
        for entry in piece["items"]:
            # escaped beyond ASCII, so that nothing in it steers a terminal
            print(json.dumps(entry))
        written += len(piece["items"])
        if not args.json:
            print(f"{written} entries, up to {piece['items'][-1]['seq']} of {piece['last_seq']}", file=sys.stderr)

    ask_pieces(args.data, "/audit/export", {"since": args.since}, write)
    if not written and not args.json:
        print("no audit entries", file=sys.stderr)
    return DONE


def _noted(text: str) -> tuple[int, str]:
    match = _NOTED.fullmatch(text)
    if match is None:
        raise argparse.ArgumentTypeError("must be SEQ:HASH as verify prints it")
    return int(match[1]), match[2]


def _time(text: str) -> int:
    """UTC milliseconds."""
    try:
        time = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError("must be a time such as 2026-11-01 or 2026-11-01T12:30:00") from None
    time = time.replace(tzinfo=UTC) if time.tzinfo is None else time
    return max(0, int(time.timestamp() * 1000))
