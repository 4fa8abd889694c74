"""docs/reference/app.md names what is there, and all of it."""

import inspect
import re
from pathlib import Path

from quecbind.app import errors, results
from quecbind.app.client import AppClient

REFERENCE = (Path(__file__).parents[2] / "docs" / "reference" / "app.md").read_text(encoding="utf-8")


def signatures() -> dict[str, list[str]]:
    return {
        name: [argument.split("=")[0].strip("* ") for argument in arguments.split(", ") if argument]
        for name, arguments in re.findall(r"^\| `(\w+)\(([^`]*)\)` \|", REFERENCE, re.MULTILINE)
    }


def test_every_call_of_the_client_is_described_with_its_arguments() -> None:
    methods = {
        name: list(inspect.signature(method).parameters)[1:]
        for name, method in inspect.getmembers(AppClient, inspect.isfunction)
        if not name.startswith("_") and name != "close"
    }

    described = {name: arguments for name, arguments in signatures().items() if name in methods}

    assert described == methods


def test_every_result_and_error_is_named() -> None:
    names = [name for name, kind in inspect.getmembers(errors, inspect.isclass)]
    names += [
        name for name, kind in inspect.getmembers(results, inspect.isclass) if kind.__module__ == results.__name__
    ]

    assert [name for name in names if f"`{name}" not in REFERENCE] == []


def test_the_example_is_python() -> None:
    for block in re.findall(r"```python\n(.*?)```", REFERENCE, re.DOTALL):
        compile(block, "docs/reference/app.md", "exec")
