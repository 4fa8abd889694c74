"""`quecbind backup`: the database of a Developer Center as one file, while it runs or not."""

import argparse
from pathlib import Path

from quecbind.cli.arguments import Subparsers, add_command, add_data, add_json
from quecbind.cli.outcome import DONE, REFUSED, CommandError
from quecbind.cli.output import print_json, show_progress


def register(subparsers: Subparsers) -> None:
    parser = add_command(
        subparsers,
        "backup",
        "copy the database of a Developer Center to a file, while it runs or not",
        "quecbind backup /backups/quecbind-2026-11-01.db --data data",
        run,
    )
    parser.add_argument("file", type=Path, metavar="FILE", help="where to; a file that exists is not replaced")
    add_data(parser)
    add_json(parser)


def run(args: argparse.Namespace) -> int:
    # Here, because a plain install has no database but has this command line.
    from quecbind.center.services.errors import StorageError  # noqa: PLC0415
    from quecbind.center.storage.backup import back_up  # noqa: PLC0415

    try:
        back_up(args.data, args.file, lambda copied, total: show_progress(copied, total, "pages"))
    except StorageError as error:
        raise CommandError(REFUSED, str(error)) from None
    size = args.file.stat().st_size
    if args.json:
        print_json({"file": str(args.file), "size": size})
    else:
        print(f"{args.file}: {size} bytes")
        print("The master key is not in it. Keep that elsewhere: each is of no use without the other.")
    return DONE
