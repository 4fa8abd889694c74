"""Tables of cases: what a test tried, what had to come of it, what came of it.

A test asks for the fixture `row` and calls `row(case, expected, got)`: the row is kept and the two compared, so a
table that prints is a table that holds. A test that asked for `row` and fell over or was skipped has a row that says
so: nothing that was meant to be tried is missing in silence. `--table` prints the table after the run,
`--table-file=PATH` writes it as Markdown, a heading for each module that ran, and leaves the others in that file as
they are: docs/security-tables, which tests/docs keeps true. Rows travel as user properties: they arrive from xdist too.
"""

import re
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

Row = Callable[[str, object, object], None]
"""`row(case, expected, got)`: keep the row, and fail the test unless got equals expected."""

PROPERTY = "table row"
COLUMNS = ("case", "expected", "got")
_HEAD = "# Case, expected, got\n\nWritten by a run of the tests, never by hand.\n"
_TABLE = re.compile(r"^## (.+)\n\n((?:\|.*\n)+)", re.MULTILINE)
MAX_WRITTEN = 120  # of what was expected and what came, in a file
MAX_WIDTH = 72  # a longer cell stands out of its column and does not widen it


class _Kept(NamedTuple):
    module: str
    line: int
    test: str
    number: int
    cells: tuple[str, str, str]


_kept: pytest.StashKey[list[_Kept]] = pytest.StashKey()


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("tables")
    group.addoption("--table", action="store_true", help="print the table case / expected / got after the run")
    group.addoption("--table-file", metavar="PATH", type=Path, help="write that table to PATH as Markdown")


def pytest_configure(config: pytest.Config) -> None:
    config.stash[_kept] = []
    config.pluginmanager.register(_Collector(config.stash[_kept]))


@pytest.fixture
def row(record_property: Callable[[str, object], None]) -> Row:
    """Keep one row of the table and hold it: the test fails when got differs from expected."""

    def keep(case: str, expected: object, got: object) -> None:
        record_property(PROPERTY, (case, str(expected), str(got)))
        assert got == expected, case

    return keep


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Generator[None, Any, None]:
    report: pytest.TestReport = (yield).get_result()
    rows = [value for name, value in report.user_properties if name == PROPERTY]
    told = any(row[1] != row[2] for row in rows)
    if "row" in getattr(item, "fixturenames", ()) and not report.passed and not told:
        reason = (
            report.longrepr[2] if isinstance(report.longrepr, tuple) else call.excinfo.exconly() if call.excinfo else ""
        )
        report.user_properties.append((PROPERTY, (item.name, "", f"{report.outcome}: {reason.partition(chr(10))[0]}")))


class _Collector:
    def __init__(self, kept: list[_Kept]) -> None:
        self._kept = kept

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call" or not report.passed:
            path, line, test = report.location
            rows = [tuple(value) for name, value in report.user_properties if name == PROPERTY]
            self._kept += [_Kept(path, line or 0, test, number, cells) for number, cells in enumerate(rows)]  # type: ignore[arg-type]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    kept = sorted(set(config.stash[_kept]))
    if kept and config.getoption("--table"):
        longest = [max(len(column), *(len(k.cells[n]) for k in kept)) for n, column in enumerate(COLUMNS)]
        widths = [min(length, MAX_WIDTH) for length in longest]
        for module in dict.fromkeys(k.module for k in kept):
            terminalreporter.section(Path(module).stem)
            for cells in [COLUMNS, *(k.cells for k in kept if k.module == module)]:
                line = "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True))
                terminalreporter.write_line(line.rstrip())
    if kept and (path := config.getoption("--table-file")):
        before = path.read_text(encoding="utf-8") if path.exists() else ""
        path.write_text(_markdown(kept, before), encoding="utf-8")


def _markdown(kept: list[_Kept], before: str) -> str:
    """The tables; those of modules that were not in this run are what they were before."""
    tables = dict(_TABLE.findall(before))
    for module in dict.fromkeys(k.module for k in kept):
        rows = ["| " + " | ".join(COLUMNS) + " |", "|---|---|---|"]
        for case, *came in (k.cells for k in kept if k.module == module):
            rows.append("| " + " | ".join(map(as_cell, [case, *map(_shortened, came)])) + " |")
        tables[heading(module)] = "\n".join(rows) + "\n"
    return _HEAD + "".join(f"\n## {name}\n\n{table}" for name, table in sorted(tables.items()))


def _shortened(text: str) -> str:
    return text if len(text) <= MAX_WRITTEN else text[:MAX_WRITTEN] + " ..."


def heading(module: str) -> str:
    """What the table of a module is called."""
    return Path(module).stem.removeprefix("test_").replace("_", " ")


def as_cell(text: str) -> str:
    """A text within a Markdown table: as it is read, whatever it is made of."""
    shown = "".join(each if each.isprintable() else ascii(each)[1:-1] for each in text)
    for each, written in (("&", "&amp;"), ("<", "&lt;"), ("|", "\\|")):
        shown = shown.replace(each, written)
    return shown
