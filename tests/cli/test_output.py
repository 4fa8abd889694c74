"""What commands print: tables and fields for people, JSON for programs."""

import json

import pytest

from quecbind.cli.output import cell, print_fields, print_json, print_table, show_progress


@pytest.mark.parametrize(
    ("value", "name", "shown"),
    [
        (None, "", "-"),
        (True, "", "yes"),
        (0, "bound_at", "1970-01-01 00:00:00"),
        (1_700_000_000_000, "at", "2023-11-14 22:13:20"),
        (7, "epoch", "7"),
        ({"a": 1}, "", '{"a": 1}'),
        ("a\x1b[2Jb", "", "a?[2Jb"),
    ],
)
def test_values_are_shown_as_people_read_them(value: object, name: str, shown: str) -> None:
    assert cell(value, name) == shown


def test_json_stays_ascii_and_whole(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"name": "Lämp\x9b"})

    out = capsys.readouterr().out
    assert out.isascii()
    assert json.loads(out) == {"name": "Lämp\x9b"}


def test_a_table_is_aligned(capsys: pytest.CaptureFixture[str]) -> None:
    print_table([{"a": 1, "b_c": "long one"}, {"a": 22}], ("a", "b_c"), "none")

    assert capsys.readouterr().out == "a   b c\n1   long one\n22  -\n"


def test_an_empty_table_is_a_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    print_table([], ("a",), "none")

    assert capsys.readouterr().out == "none\n"


def test_fields_without_a_value_are_left_out(capsys: pytest.CaptureFixture[str]) -> None:
    print_fields({"name": "x", "nothing": None, "empty": []})

    assert capsys.readouterr().out == "name  x\n"


def test_progress_is_one_line_on_a_terminal_and_nothing_elsewhere(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    show_progress(1, 2, "pages")
    assert capsys.readouterr().err == ""
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)

    show_progress(1, 2, "pages")
    show_progress(2, 2, "pages")

    assert capsys.readouterr().err == "\r1 of 2 pages\r2 of 2 pages\n"
