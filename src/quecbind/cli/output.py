"""What commands print on stdout: one JSON document for programs, or aligned text for people."""

import json
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any


def print_json(value: object) -> None:
    # escaped beyond ASCII, so that nothing in it steers a terminal
    print(json.dumps(value, indent=2))


def print_fields(values: Mapping[str, Any]) -> None:
    """One `name  value` per line; what has no value is left out."""
    shown = {name.replace("_", " "): cell(value, name) for name, value in values.items() if value not in (None, [], {})}
    width = max(map(len, shown), default=0)
    for name, text in shown.items():
        print(f"{name:<{width}}  {text}")


def print_table(rows: Sequence[Mapping[str, Any]], columns: Sequence[str], empty: str) -> None:
    """A table with a line of headings; `empty` is the sentence when there are no rows."""
    if not rows:
        print(empty)
        return
    table = [[name.replace("_", " ") for name in columns]]
    table += [[cell(row.get(name), name) for name in columns] for row in rows]
    widths = [max(len(line[at]) for line in table) for at in range(len(columns))]
    for line in table:
        print("  ".join(f"{text:<{width}}" for text, width in zip(line, widths, strict=True)).rstrip())


def show_progress(done: int, total: int, what: str) -> None:
    """How far long work is, on stderr: one line that is always up to date on a terminal, nothing elsewhere."""
    if sys.stderr.isatty():
        print(f"\r{done} of {total} {what}", end="\n" if done >= total else "", file=sys.stderr, flush=True)


def cell(value: object, name: str = "") -> str:
    """A value as people read it; fields that end in `_at` are milliseconds of UTC."""
    match value:
        case None:
            return "-"
        case bool():
            return "yes" if value else "no"
        case int() if name.endswith("_at") or name == "at":
            return datetime.fromtimestamp(value / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")
        case dict() | list():
            return json.dumps(value, ensure_ascii=False)
        case _:
            # what came from outside must not steer the terminal
            return "".join(letter if letter.isprintable() else "?" for letter in str(value))
