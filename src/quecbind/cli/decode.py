"""`quecbind decode HEX`: says what a frame, its fields or an MQTT packet means."""

import argparse
import re
import sys

from quecbind.cli.arguments import Subparsers, add_command, add_json
from quecbind.cli.explain import as_text, explain
from quecbind.cli.outcome import DONE, REFUSED, USAGE, CommandError
from quecbind.cli.output import print_json

_SEPARATORS = re.compile(r"0x|[\s:,;\-]", re.IGNORECASE)
_MAX_INPUT = 1_000_000


def register(subparsers: Subparsers) -> None:
    parser = add_command(
        subparsers,
        "decode",
        "explain a frame, its fields (TTLV) or an MQTT packet",
        "quecbind decode aaaa0019c3000100b5005b001030313233343536373839414243444546\n"
        'quecbind decode --json "00 0a 00 01"\n'
        "xxd -p capture.bin | quecbind decode -",
        run,
    )
    parser.add_argument(
        "hex", metavar="HEX", nargs="+", help="the bytes; blanks, colons and 0x are fine; - reads stdin"
    )
    parser.add_argument(
        "--as",
        dest="form",
        choices=("auto", "frame", "ttlv", "mqtt"),
        default="auto",
        help="what the bytes are; default: find out",
    )
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    text = sys.stdin.read(_MAX_INPUT) if args.hex == ["-"] else " ".join(args.hex)
    explained = explain(parse_hex(text), args.form)
    if args.json:
        print_json(explained)
    else:
        print(as_text(explained))
    return REFUSED if explained["kind"] == "unknown" else DONE


def parse_hex(text: str) -> bytes:
    """The bytes that a person or a tool wrote as hex digits in any of the usual ways."""
    digits = _SEPARATORS.sub("", text)
    if not digits.isascii():
        raise CommandError(USAGE, "HEX must be hex digits")
    try:
        return bytes.fromhex(digits)
    except ValueError:
        raise CommandError(USAGE, "HEX must be an even number of hex digits") from None
