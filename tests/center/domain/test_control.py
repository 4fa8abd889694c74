"""What may be asked of devices, and what a later command takes the place of."""

from __future__ import annotations

import pytest

from quecbind.center.domain import control
from quecbind.center.domain.control import Command, Covered, Keep, Waiting
from quecbind.center.domain.refusal import Refused


def parse(**changes: str) -> Command | Refused:
    given = {
        "data": "6869",
        "kind": "1",
        "data_format": "1",
        "is_cache": "",
        "cache_time": "",
        "is_cover": "",
        "qos": "",
    }
    return control.parse(**(given | changes))


@pytest.mark.parametrize(
    ("changes", "command"),
    [
        ({}, Command("raw", raw=b"hi")),
        ({"data": "aAFf"}, Command("raw", raw=b"\xaa\xff")),
        ({"data_format": "2"}, Command("raw", raw=b"6869")),
        ({"data_format": "2", "data": "ü"}, Command("raw", raw=b"\xc3\xbc")),
        ({"kind": "2", "data": '[{"switch": true}]'}, Command("properties", asked=[{"switch": True}])),
        # One client sends 0 where the format means nothing.
        ({"kind": "2", "data": '{"1": 2}', "data_format": "0"}, Command("properties", asked={"1": 2})),
        ({"kind": "3", "data": '{"go": {}}'}, Command("service", asked={"go": {}})),
        ({"is_cache": "2", "cache_time": "0", "is_cover": "2", "qos": "0"}, Command("raw", raw=b"hi")),
        ({"is_cache": "1", "cache_time": "1"}, Command("raw", raw=b"hi", keep=Keep(1))),
        (
            {"is_cache": "1", "cache_time": "7776000", "is_cover": "1", "qos": "1"},
            Command("raw", raw=b"hi", keep=Keep(7_776_000, covers=True)),
        ),
    ],
)
def test_a_command_is_read_as_documented(changes: dict[str, str], command: Command) -> None:
    assert parse(**changes) == command


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"kind": ""}, 5070),
        ({"kind": "4"}, 5071),
        ({"data": ""}, 5074),
        ({"data_format": ""}, 5072),
        ({"data_format": "3"}, 5073),
        ({"data": "686"}, 5074),
        ({"data": "68 69"}, 5074),
        ({"data": "xy"}, 5074),
        ({"data": "６９"}, 5074),
        ({"kind": "2", "data": "{"}, 5074),
        ({"kind": "2", "data": '{"1": NaN}'}, 5074),
        ({"kind": "3", "data": "[" * 100_000}, 5074),
        ({"is_cache": "1", "cache_time": "0"}, 5329),
        ({"is_cache": "1", "cache_time": "7776001"}, 5329),
        ({"is_cache": "1", "cache_time": "-1"}, 5329),
        ({"is_cache": "1", "cache_time": "1.5"}, 5329),
        ({"is_cache": "1", "cache_time": "9" * 5000}, 5329),
        ({"is_cache": "0"}, 5330),
        ({"is_cover": "3"}, 5331),
        ({"is_cache": "1"}, 5328),
        ({"qos": "2"}, 8400),
    ],
)
def test_what_cannot_be_a_command_has_its_code(changes: dict[str, str], code: int) -> None:
    refused = parse(**changes)

    assert isinstance(refused, Refused)
    assert refused.code == code


@pytest.mark.parametrize(
    ("kind", "numbers", "expected"),
    [
        ("raw", set(), [Covered(1, frozenset()), Covered(4, frozenset())]),
        ("properties", {1}, [Covered(2, frozenset({2})), Covered(3, frozenset())]),
        ("properties", {1, 2}, [Covered(2, frozenset()), Covered(3, frozenset())]),
        ("properties", {9}, []),
        ("service", {7}, []),
    ],
)
def test_a_command_covers_its_own_kind_and_its_own_properties(kind, numbers, expected) -> None:
    waiting = [
        Waiting(1, "raw"),
        Waiting(2, "properties", frozenset({1, 2})),
        Waiting(3, "properties", frozenset({1})),
        Waiting(4, "raw"),
        Waiting(5, "service", frozenset({7})),
    ]

    assert control.covered(waiting, kind, frozenset(numbers)) == expected
