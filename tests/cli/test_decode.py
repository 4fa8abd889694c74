"""`quecbind decode`: bytes however they are pasted, as fields a person or a program reads."""

import io
import json

import pytest

from quecbind import cli
from quecbind.cli.outcome import DONE, REFUSED, USAGE


@pytest.mark.parametrize(
    "arguments", [["000a0001"], ["00 0a 00 01"], ["0x00", "0A", "0x00", "0x01"], ["00:0a:00:01"], ["00-0a-00,01;"]]
)
def test_hex_is_taken_as_people_and_tools_write_it(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["decode", *arguments]) == DONE

    assert capsys.readouterr().out == "1: 1 (integer)\n"


@pytest.mark.parametrize("text", ["0", "0g", "zz", "００", "000"])
def test_what_is_no_hex_is_a_usage_error(text: str) -> None:
    assert cli.main(["decode", text]) == USAGE


def test_json_is_one_document(capsys: pytest.CaptureFixture[str]) -> None:
    cli.main(["decode", "--json", "aaaa00058b03e87030"])

    assert json.loads(capsys.readouterr().out)["name"] == "discovery"


def test_what_cannot_be_read_is_explained_and_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["decode", "aaaa0005260001002401"]) == REFUSED

    assert "the sum does not match" in capsys.readouterr().out


def test_bytes_may_come_on_stdin(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("000a\n0001\n"))

    assert cli.main(["decode", "-"]) == DONE
    assert capsys.readouterr().out == "1: 1 (integer)\n"


def test_the_form_can_be_named(capsys: pytest.CaptureFixture[str]) -> None:
    cli.main(["decode", "--as", "ttlv", "c000"])

    assert capsys.readouterr().out == "6144: False (bool)\n"
