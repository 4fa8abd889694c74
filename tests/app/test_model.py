"""Names and numbers of properties, and what people type as values."""

import json
from typing import Any

import pytest

from quecbind.app.errors import ControlError
from quecbind.app.model import Model, Property

TSL = {
    "properties": [
        {"id": 38, "code": "switch", "name": "Switch", "type": "PROPERTY", "subType": "RW", "dataType": "BOOL"},
        {"id": "3", "code": "temp", "subType": "R", "dataType": "float"},
        {"id": 4, "code": "label", "dataType": "TEXT"},
        {"id": 5, "code": "mode", "dataType": "ENUM"},
        {"id": 6, "code": "pair", "dataType": "STRUCT"},
        {"id": 7, "code": None},
        {"id": 0, "code": "zero"},
        {"id": "x", "code": "letters"},
        {"id": float("inf"), "code": "endless"},
        "junk",
    ]
}


@pytest.mark.parametrize("data", [TSL, {"tslJson": json.dumps(TSL)}])
def test_a_model_is_read_from_either_spelling_and_junk_is_left_out(data: Any) -> None:
    model = Model.from_data(data)

    assert [(one.number, one.code) for one in model.properties] == [
        (38, "switch"),
        (3, "temp"),
        (4, "label"),
        (5, "mode"),
        (6, "pair"),
    ]
    assert model.properties[1] == Property(3, "temp", "", "FLOAT", is_writable=False)
    assert model.number_of("switch") == model.number_of(38) == model.number_of("38") == 38
    assert (model.code_of(3), model.code_of(99)) == ("temp", 99)


@pytest.mark.parametrize("name", [0, "0", 8192, "0081910", "9" * 5000])
def test_a_number_that_no_property_can_have_is_none(name: Any) -> None:
    with pytest.raises(ControlError, match="from 1 to 8191"):
        Model().number_of(name)


@pytest.mark.parametrize("data", [None, [], {}, {"properties": None}, {"tslJson": "{"}, {"tslJson": "[" * 100000}])
def test_no_model_knows_numbers(data: Any) -> None:
    assert Model.from_data(data).number_of("12") == 12


@pytest.mark.parametrize(
    ("code", "text", "value"),
    [
        ("switch", "true", True),
        ("switch", "0", False),
        ("switch", "ON", True),
        ("temp", "23.5", 23.5),
        ("temp", "-2", -2),
        ("label", "true", "true"),
        ("mode", "2", 2),
        ("pair", '{"1": true, "2": [1, {"3": 4}]}', {1: True, 2: [1, {3: 4}]}),
        ("99", "warm", "warm"),
        ("99", "12", 12),
        ("99", '"12"', "12"),
    ],
)
def test_a_typed_value_becomes_what_the_property_is(code: str, text: str, value: Any) -> None:
    model = Model.from_data(TSL)

    assert model.value_of(model.number_of(code), text) == value


@pytest.mark.parametrize(
    ("code", "told", "value"),
    [
        ("switch", "true", True),
        ("switch", "0", False),
        ("temp", "23.5", 23.5),
        ("temp", 7, 7),
        ("label", "12", "12"),
        ("mode", "2", 2),
        ("mode", "high", "high"),
        ("pair", '{"1": 2}', {1: 2}),
        ("pair", {"1": [{"2": "x"}], "a": 1}, {1: [{2: "x"}], "a": 1}),
        ("99", "12", "12"),
    ],
)
def test_what_the_platform_tells_as_text_becomes_what_the_property_is(code: str, told: Any, value: Any) -> None:
    model = Model.from_data(TSL)

    assert model.told(model.number_of(code), told) == value


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("switch", "2"),
        ("switch", "yes please"),
        ("temp", "warm"),
        ("mode", "2.5"),
        ("mode", "true"),
        ("pair", '{"a": 1}'),
        ("99", "null"),
    ],
)
def test_a_value_of_another_kind_is_refused(code: str, text: str) -> None:
    model = Model.from_data(TSL)

    with pytest.raises(ControlError):
        model.value_of(model.number_of(code), text)
