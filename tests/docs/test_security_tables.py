"""docs/security-tables against the suites: every case that a test names stands there, and nothing else does.

What a table says of a case is what a run got, so a table that lacks one is older than the tests: `make tables`.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest
from tests.tables import as_cell, heading

ROOT = Path(__file__).parents[2]
SUITES = ("attack", "faults", "model")
ROW = re.compile(r"^\| (.*?) (?<!\\)\| ", re.MULTILINE)


def table(suite: str) -> dict[str, list[str]]:
    """The cases of each module of a suite, by its heading."""
    cases: dict[str, list[str]] = {}
    for line in (ROOT / "docs" / "security-tables" / f"{suite}.md").read_text().splitlines():
        if line.startswith("## "):
            rows = cases.setdefault(line[3:], [])
        elif (found := ROW.match(line)) and found[1] != "case":
            rows.append(found[1])
    return cases


def patterns(module: Path) -> list[str]:
    """A regular expression for each `row(case, ...)` in a module; where a case is put together, its fixed parts."""
    calls = [node for node in ast.walk(ast.parse(module.read_text())) if isinstance(node, ast.Call)]
    return [_pattern(call.args[0]) for call in calls if getattr(call.func, "id", "") == "row"]


def _pattern(case: ast.expr) -> str:
    match case:
        case ast.Constant(value=str(text)):
            return re.escape(as_cell(text))
        case ast.JoinedStr(values=parts):
            return "".join(map(_pattern, parts))
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return _pattern(left) + _pattern(right)
    return ".*"


def modules(suite: str) -> list[Path]:
    return [module for module in sorted((ROOT / "tests" / suite).glob("test_*.py")) if patterns(module)]


@pytest.mark.parametrize("suite", SUITES)
def test_every_module_that_names_cases_has_a_table(suite: str) -> None:
    assert sorted(table(suite)) == sorted(heading(str(module)) for module in modules(suite))


@pytest.mark.parametrize(
    ("suite", "module"), [(s, m) for s in SUITES for m in modules(s)], ids=lambda v: getattr(v, "stem", v)
)
def test_the_table_has_every_case_and_no_other(suite: str, module: Path) -> None:
    cases, wanted = table(suite).get(heading(str(module)), []), patterns(module)

    assert ".*" not in wanted, "a case that is a variable alone fits every row"
    missing = [each for each in wanted if not any(re.fullmatch(each, case) for case in cases)]
    strange = [case for case in cases if not any(re.fullmatch(each, case) for each in wanted)]

    assert (missing, strange) == ([], []), "`make tables` writes the tables anew"


@pytest.mark.parametrize("suite", SUITES)
def test_no_case_of_a_table_failed_or_was_skipped(suite: str) -> None:
    text = (ROOT / "docs" / "security-tables" / f"{suite}.md").read_text()

    assert re.findall(r"^\|.*\|  \| (?:failed|skipped): .*$", text, re.MULTILINE) == []


def test_what_is_not_defended_is_listed_with_what_an_operator_does() -> None:
    section = (
        (ROOT / "docs" / "security.md").read_text().partition("### Tried, and not defended")[2].partition("\n## ")[0]
    )
    listed = [case for case in ROW.findall(section) if case != "case"]
    found = [case for rows in table("attack").values() for case in rows if case.startswith("NOT DEFENDED: ")]

    assert sorted(listed) == sorted(case.removeprefix("NOT DEFENDED: ") for case in found)
