"""`quecbind bench`: measures a Developer Center on this machine, started for the purpose and thrown away after.

Numbers only: docs/performance.md says what they mean. It starts servers and load generators, so it never runs beside
a Developer Center that somebody uses.
"""

import argparse
import asyncio
import statistics
import tempfile
from collections.abc import Coroutine, Sequence
from pathlib import Path
from typing import Any

from quecbind.cli.arguments import Subparsers, add_command, add_group, add_json, count
from quecbind.cli.children import ChildError
from quecbind.cli.outcome import DONE, REFUSED, USAGE, CommandError
from quecbind.cli.output import print_fields, print_json


def register(subparsers: Subparsers) -> None:
    """Add `bench` to the command line."""
    commands = add_group(
        subparsers, "bench", "measure log-ins, binding and revoking on this machine", "quecbind bench bind"
    )
    log_in = add_command(
        commands,
        "log-in",
        "measure log-ins per second, against mosquitto if it is given",
        "make -C tests/bench\nquecbind bench log-in --lg tests/bench/lg --plugin tests/bench/auth.so",
        _run_log_in,
    )
    log_in.add_argument("--lg", type=Path, required=True, metavar="FILE", help="the load generator")
    log_in.add_argument("--plugin", type=Path, metavar="FILE", help="mosquitto's log-in check; without it ours alone")
    log_in.add_argument("--mosquitto", default="mosquitto", metavar="FILE", help="its program; default: mosquitto")
    log_in.add_argument("--devices", type=count, default=8000, metavar="N", help="log-ins in a round; default: 8000")
    log_in.add_argument("--at-once", type=count, default=80, metavar="N", help="of these at one time; default: 80")
    log_in.add_argument("--rounds", type=count, default=7, metavar="N", help="measured rounds; default: 7")
    add_json(log_in)
    bind = add_command(
        commands,
        "bind",
        "measure the time from bindcodeSet to the device in the user's list",
        "quecbind bench bind --rounds 200",
        _run_bind,
    )
    bind.add_argument("--rounds", type=count, default=100, metavar="N", help="measured rounds; default: 100")
    add_json(bind)
    revoke = add_command(
        commands,
        "revoke",
        "measure the time from the end of a right to the last byte its holder gets",
        "quecbind bench revoke --rounds 200",
        _run_revoke,
    )
    revoke.add_argument("--rounds", type=count, default=200, metavar="N", help="measured rounds; default: 200")
    add_json(revoke)


def _run_log_in(args: argparse.Namespace) -> int:
    # Here, because these need the parts of an App and of a server.
    from quecbind.cli import bench_log_in  # noqa: PLC0415

    for file in (args.lg, args.plugin):
        if file is not None and not file.is_file():
            raise CommandError(USAGE, f"there is no {file}: `make -C tests/bench` makes it")
    with tempfile.TemporaryDirectory(prefix="quecbind-bench-") as directory:
        plan = bench_log_in.Plan(
            Path(directory), args.lg.resolve(), args.plugin, args.mosquitto, args.devices, args.at_once, args.rounds
        )
        return _show(_finish(bench_log_in.measure(plan)), args.json)


def _run_bind(args: argparse.Namespace) -> int:
    from quecbind.cli import bench_bind  # noqa: PLC0415

    with tempfile.TemporaryDirectory(prefix="quecbind-bench-") as directory:
        return _show(_finish(bench_bind.measure(Path(directory), args.rounds)), args.json)


def _run_revoke(args: argparse.Namespace) -> int:
    from quecbind.cli import bench_revoke  # noqa: PLC0415

    with tempfile.TemporaryDirectory(prefix="quecbind-bench-") as directory:
        return _show(_finish(bench_revoke.measure(Path(directory), args.rounds)), args.json)


def _finish(work: Coroutine[Any, Any, dict[str, Any]]) -> dict[str, Any]:
    try:
        return asyncio.run(work)
    except ChildError as error:
        raise CommandError(REFUSED, str(error)) from None


def _show(result: dict[str, Any], as_json: bool) -> int:
    if as_json:
        print_json(result)
    else:
        print_fields({name: _as_text(value) for name, value in result.items()})
    return DONE


def _as_text(value: object) -> object:
    return ", ".join(f"{name} {number}" for name, number in value.items()) if isinstance(value, dict) else value


def spread(values: Sequence[float], digits: int = 2) -> dict[str, float]:
    """How measured values lie: their median, the tenth below and above, and the largest."""
    ordered = sorted(values)
    return {
        "median": round(statistics.median(ordered), digits),
        "p10": round(ordered[len(ordered) // 10], digits),
        "p90": round(ordered[min(len(ordered) * 9 // 10, len(ordered) - 1)], digits),
        "max": round(ordered[-1], digits),
    }
