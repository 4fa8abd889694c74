"""The command line as a whole: help, examples, exit codes, and what happens when parts are not installed."""

import argparse
import os
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from quecbind import __version__, cli
from quecbind.app import errors
from quecbind.cli import demo
from quecbind.cli.outcome import REFUSED, UNREACHABLE, USAGE, CommandError


def parsers(parser: argparse.ArgumentParser, *path: str) -> Iterator[tuple[str, argparse.ArgumentParser]]:
    """Every command with its name, groups included."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for name, inner in action.choices.items():
                yield " ".join((*path, name)), inner
                yield from parsers(inner, *path, name)


COMMANDS = dict(parsers(cli.parser()))
LEAVES = {name: parser for name, parser in COMMANDS.items() if parser.get_default("func")}


def examples(parser: argparse.ArgumentParser) -> list[str]:
    text = (parser.epilog or "").replace("\\\n", " ")
    commands = [part for line in text.splitlines() for part in line.split("|") if "quecbind " in part]
    return [line[line.index("quecbind ") :] for line in commands]


def test_the_contract_names_are_there() -> None:
    for name in ("serve", "product create", "domain create", "user create", "device run", "decode", "bench", "demo"):
        assert name in COMMANDS
    for name in ("app discover", "app pair", "app devices", "app unbind"):
        assert name in LEAVES


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_help_has_an_example_that_can_be_typed(name: str) -> None:
    shown = examples(COMMANDS[name])

    assert shown
    assert any(line.startswith(f"quecbind {name.split(' ', maxsplit=1)[0]}") for line in shown)
    for line in shown:
        cli.parser().parse_args(shlex.split(line)[1:])


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_help_is_printed_and_ends_well(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([*name.split(), "--help"]) == 0

    assert "example:" in capsys.readouterr().out


@pytest.mark.parametrize("name", sorted(set(LEAVES) - {"serve", "device run"}))
def test_every_command_that_answers_speaks_json(name: str) -> None:
    assert "--json" in LEAVES[name]._option_string_actions


@pytest.mark.parametrize(
    "arguments",
    [
        *([], ["nonsense"], ["product"], ["product", "create"], ["decode"], ["app", "pair", "--seconds", "-1"]),
        ["device", "run", "examples/lamp.py", "--dk", "a b"],
        [
            "app",
            "login",
            "--url",
            "lamps.example",
            *("--domain", "d", "--domain-secret", "s", "--email", "e", "--password", "p"),
        ],
    ],
)
def test_what_cannot_be_parsed_is_a_usage_error(arguments: list[str]) -> None:
    assert cli.main(arguments) == USAGE


def test_what_is_wrong_with_a_command_line_is_one_line_that_says_where_to_look(
    capsys: pytest.CaptureFixture[str],
) -> None:
    cli.main(["product", "create", "Lamp", "--device-limit", "many"])

    assert capsys.readouterr().err == (
        "quecbind product create: argument --device-limit: must be a whole number from 1 to 1000000; "
        "see quecbind product create --help\n"
    )


def test_the_version_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--version"]) == 0

    assert capsys.readouterr().out == f"quecbind {__version__}\n"


@pytest.mark.parametrize(
    ("error", "exit_code", "shown"),
    [
        (CommandError(REFUSED, "no such product", 5313), REFUSED, "no such product (error 5313)"),
        (CommandError(USAGE, "no password"), USAGE, "no password"),
        (errors.RefusedError(5462, "differs"), REFUSED, "differs (platform error 5462)"),
        (errors.UnreachableError("http://x", "refused"), UNREACHABLE, "http://x cannot be reached"),
        (errors.NothingFoundError("nobody answered"), REFUSED, "No device was found"),
        (KeyboardInterrupt(), 130, ""),
        (ModuleNotFoundError("no httpx", name="httpx"), USAGE, "pip install 'quecbind[server]'"),
    ],
)
def test_each_way_to_fail_has_its_exit_code(
    error: BaseException,
    exit_code: int,
    shown: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fail(*_: object) -> str:
        raise error

    monkeypatch.setattr("quecbind.cli.decode.as_text", fail)

    assert cli.main(["decode", "0009"]) == exit_code
    assert shown in capsys.readouterr().err


def test_output_that_finds_no_room_is_a_sentence() -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "quecbind.cli", "decode", "000a0001"],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
            check=False,
        )

    assert done.returncode == REFUSED
    assert done.stderr == "quecbind: the output cannot be written: No space left on device\n"


def test_a_missing_part_of_ours_is_a_bug_and_not_an_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> str:
        raise ModuleNotFoundError("no quecbind.gone", name="quecbind.gone")

    monkeypatch.setattr("quecbind.cli.decode.as_text", fail)

    with pytest.raises(ModuleNotFoundError):
        cli.main(["decode", "0009"])


# What a plain install has: the standard library, cryptography and what that brings.
PLAIN = """
import sys, importlib.abc
EXTRA = {extra!r}
class Missing(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in EXTRA:
            raise ModuleNotFoundError("No module named " + name, name=name)
sys.meta_path.insert(0, Missing())
from quecbind.cli import main
sys.exit(main(sys.argv[1:]))
"""
EXTRA = (
    *("aiosmtplib", "alembic", "anyio", "argon2", "httpcore", "httptools", "httpx", "jwt", "msgspec", "multipart"),
    *("prometheus_client", "python_multipart", "sqlalchemy", "starlette", "uvicorn", "uvloop", "websockets"),
)


def plain(*arguments: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("QUECBIND_")}
    return subprocess.run(
        [sys.executable, "-c", PLAIN.format(extra=EXTRA), *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env=kept,
    )


@pytest.mark.parametrize(
    "arguments", [["--help"], ["decode", "0009"], ["app", "discover", "--help"], ["product", "create", "--help"]]
)
def test_a_plain_install_does_what_needs_nothing_more(arguments: list[str]) -> None:
    done = plain(*arguments)

    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("what", [["control", "--read", "1"], ["watch"]])
def test_a_plain_install_uses_a_device_whose_key_it_has(what: list[str]) -> None:
    lan = ["--lan-address", "127.0.0.1", "--lan-port", "9", "--auth-key", "AAECAwQFBgcICQoLDA0ODw=="]

    done = plain("app", what[0], "p1aB3c", "D1", *what[1:], *lan)

    assert done.returncode == UNREACHABLE
    assert "did not answer on the local network" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "extra"),
    [
        (["product", "create", "lamp"], "server"),
        (["serve"], "server"),
        (["demo"], "server"),
        (["app", "devices", "--url", "u", "--domain", "d", "--domain-secret", "s", "--email", "e"], "app"),
        (["app", "pair"], "app"),
    ],
)
def test_a_plain_install_says_what_to_install(arguments: list[str], extra: str, tmp_path: object) -> None:
    data = ["--data", f"{tmp_path}/data"] if arguments[0] in {"product", "serve"} else []
    done = plain(*arguments, *data)

    assert done.returncode == USAGE
    assert done.stderr.strip().endswith(f"pip install 'quecbind[{extra}]'")
    assert done.stdout == ""


def test_an_installation_brings_the_script_that_the_demo_runs() -> None:
    root = Path(__file__).parents[2]
    wheel = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["hatch"]["build"]["targets"][
        "wheel"
    ]

    (source,) = [
        source for source, target in wheel["force-include"].items() if target == f"quecbind/examples/{demo._SCRIPT}"
    ]

    assert (root / source).is_file()


def test_the_reference_names_every_command() -> None:
    reference = (Path(__file__).parents[2] / "docs" / "reference" / "cli.md").read_text(encoding="utf-8")

    assert [name for name in LEAVES if f"`{name}" not in reference and f"quecbind {name}" not in reference] == []
