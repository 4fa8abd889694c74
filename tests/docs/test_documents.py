"""The documents against the program: links lead somewhere, commands parse, settings exist, snippets run."""

from __future__ import annotations

import dataclasses
import re
import shlex
from pathlib import Path

import pytest

from quecbind.center.access.server import ACCESS_LIMITS
from quecbind.center.domain.limits import Limits, PushLimits
from quecbind.center.settings import Settings
from quecbind.testing import quecpython

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
VARIABLE = re.compile(r"\b(?:QUECBIND|QUECIOT|BIND_ME)_[A-Z0-9_]+\b")


def ids(documents: list[Path]) -> list[str]:
    return [str(document.relative_to(ROOT)) for document in documents]


def blocks(document: Path, language: str) -> list[str]:
    return [text for found, text in BLOCK.findall(document.read_text()) if found == language]


def anchors(document: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", document.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", DOCUMENTS, ids=ids(DOCUMENTS))
def test_every_link_leads_somewhere(document: Path) -> None:
    broken = []
    for link in LINK.findall(re.sub(r"```.*?```", "", document.read_text(), flags=re.DOTALL)):
        if link.startswith(("http://", "https://", "mailto:")):
            continue
        path, _, anchor = link.partition("#")
        target = (document.parent / path).resolve() if path else document
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(link)

    assert broken == []


def command_lines(document: Path) -> list[str]:
    """Every `quecbind ...` line of the unmarked code blocks, continued lines joined, placeholders filled."""
    lines = []
    for text in blocks(document, ""):
        for line in text.replace("\\\n", " ").splitlines():
            found = re.match(r"\s*\$?\s*(?:[A-Z_]+=(?:<[^>]*>|\S+) +)*quecbind (.*)$", line)
            if found:
                lines.append(re.sub(r"<[^>]*>", "X", found[1]))
    return lines


COMMANDS = [(document, line) for document in DOCUMENTS for line in command_lines(document)]


@pytest.mark.parametrize(("document", "line"), COMMANDS, ids=[f"{d.name}: {line}" for d, line in COMMANDS])
def test_every_command_in_the_documents_parses(document: Path, line: str) -> None:
    from quecbind.cli import parser

    words = shlex.split(line, comments=True)
    if words[0] == "ready":  # what serve prints, not what a user types
        return

    assert parser().parse_args(words).func is not None


def test_every_variable_in_the_documents_is_one_the_program_reads() -> None:
    files = [*(ROOT / "src").rglob("*.py"), *(ROOT / "examples").glob("*.py")]
    source = "".join(path.read_text() for path in files)
    settings = set(VARIABLE.findall(source)) | {
        "QUECBIND_" + field.name.upper() for field in dataclasses.fields(Settings)
    }

    named = {name for document in DOCUMENTS for name in VARIABLE.findall(document.read_text())}

    assert {name for name in named if name not in settings and not name.endswith("_")} == set()


LIMIT = re.compile(r"^\| `(--[a-z0-9-]+)` \| (\d+) \|", re.MULTILINE)


def test_the_table_of_limits_has_every_limit_with_its_default() -> None:
    flags = {
        "--" + field.name.removesuffix("_s").replace("_", "-"): field.default for field in dataclasses.fields(Settings)
    }
    documented = dict(LIMIT.findall((ROOT / "docs/reference/limits.md").read_text()))
    limits = [field.name for kind in (Limits, PushLimits) for field in dataclasses.fields(kind)] + list(ACCESS_LIMITS)

    assert {flag: str(flags.get(flag)) for flag in documented} == documented
    assert {"--" + name.removesuffix("_s").replace("_", "-") for name in limits} <= documented.keys()


def test_the_list_of_stand_ins_has_every_module() -> None:
    text = (ROOT / "docs" / "howto" / "run-a-quecpython-script.md").read_text()
    listed = set(re.findall(r"`(\w+)`", "".join(line.split("|")[1] for line in text.splitlines() if line[:3] == "| `")))

    assert listed == {*quecpython.OWN, *quecpython.RENAMED, quecpython.USER_PACKAGE}


SNIPPETS = [
    (document, text)
    for document in DOCUMENTS
    for text in blocks(document, "python")
    if "quecIot" not in text and "async" not in text and "await" not in text
]


@pytest.mark.parametrize(("document", "text"), SNIPPETS, ids=[d.name for d, _ in SNIPPETS])
def test_every_snippet_runs(document: Path, text: str) -> None:
    exec(compile(text, str(document), "exec"), {})
