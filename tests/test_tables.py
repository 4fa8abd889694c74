"""The table of cases: kept rows are held, printed and written; a test that fell over or was skipped is in it."""

from pathlib import Path

import pytest

pytest_plugins = ["pytester"]

CASES = """
import pytest

def test_two(row):
    row("second | case", 5213, 5213)
    row("long", [1] * 100, [1] * 100)

def test_one(row):
    row("a wrong guess", "refused", "<b>\\u202ebound\\n")

def test_crash(row):
    raise ValueError("fell over")

@pytest.mark.skip(reason="no tmpfs")
def test_skip(row):
    pass

def test_without():
    assert False
"""


BEFORE = """# Case, expected, got

Written by a run of the tests, never by hand.

## another

| case | expected | got |
|---|---|---|
| of before | 1 | 1 |

## family

| case | expected | got |
|---|---|---|
| of before | 1 | 1 |
"""


@pytest.fixture
def table(pytester: pytest.Pytester, tmp_path: Path) -> Path:
    pytester.makepyfile(test_family=CASES)
    pytester.makeini("[pytest]\nasyncio_default_fixture_loop_scope = function\n")
    written = tmp_path / "table.md"
    written.write_text(BEFORE, encoding="utf-8")
    outcome = pytester.runpytest("-p", "tests.tables", "-p", "no:randomly", "--table", f"--table-file={written}")
    outcome.assert_outcomes(passed=1, failed=3, skipped=1)
    outcome.stdout.fnmatch_lines(["*test_family*", "case*expected*got", "second | case*5213*5213"])
    return written


def test_rows_are_held_and_written_in_order_none_is_missing_and_other_tables_stay(table: Path) -> None:
    assert table.read_text(encoding="utf-8").split("\n") == [
        "# Case, expected, got",
        "",
        "Written by a run of the tests, never by hand.",
        "",
        "## another",
        "",
        "| case | expected | got |",
        "|---|---|---|",
        "| of before | 1 | 1 |",
        "",
        "## family",
        "",
        "| case | expected | got |",
        "|---|---|---|",
        "| second \\| case | 5213 | 5213 |",
        f"| long | [{'1, ' * 39}1, ... | [{'1, ' * 39}1, ... |",
        "| a wrong guess | refused | &lt;b>\\u202ebound\\n |",
        "| test_crash |  | failed: ValueError: fell over |",
        "| test_skip |  | skipped: Skipped: no tmpfs |",
        "",
    ]
