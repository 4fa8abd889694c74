"""What comes of a device's report, and what an App may write, value by value."""

import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quecbind.center.domain.thing_frames import asked_by
from quecbind.center.domain.thing_model import (
    ThingModel,
    call_fields,
    read_events,
    read_fields,
    read_ids,
    write_fields,
)
from quecbind.center.domain.thing_types import WriteError, as_text, pushed
from quecbind.center.domain.tsl import parse
from quecbind.wire import ttlv
from tests.center.domain.power_station import power_station
from tests.center.domain.test_tsl import models

MODEL = parse(power_station())


@pytest.mark.parametrize(
    ("fields", "values"),
    [
        ([(1, 87)], {"battery_percentage": 87}),
        ([(1, 187)], {"battery_percentage": 187}),  # outside the range: the device knows best
        ([(1, 87), (1, 5)], {"battery_percentage": 87}),
        ([(1, 87.0)], {"battery_percentage": 87}),
        ([(1, 87.5)], {}),
        ([(1, b"87")], {"battery_percentage": 87}),
        ([(1, b"many")], {}),
        ([(1, True)], {}),
        ([(1, [(1, 1)])], {}),
        ([(2, True)], {"ac_switch_hm": True}),
        ([(2, 0)], {"ac_switch_hm": False}),
        ([(2, 2)], {}),
        ([(2, b"true")], {}),
        ([(3, 36.6)], {"target": 36.6}),
        ([(3, 36)], {"target": 36}),
        ([(3, Decimal("36.6"))], {"target": 36.6}),
        ([(5, 7)], {"mode": 7}),
        ([(6, "hé".encode())], {"label": "hé"}),
        ([(6, b"\xff")], {"label": "\ufffd"}),
        ([(6, 1)], {}),
        ([(7, 1635839462000)], {"since": 1635839462000}),
        ([(7, b"1635839462000")], {"since": 1635839462000}),
        ([(8, b"\x01\xab")], {"blob": "01AB"}),
        ([(9, [(1, 230), (2, True)])], {"ac_data_output_hm": {"voltage": 230, "live": True}}),
        ([(9, [(1, 230), (7, True)])], {"ac_data_output_hm": {"voltage": 230}}),
        ([(9, 1)], {}),
        ([(10, [(0, 1), (0, 2)])], {"hours": [1, 2]}),
        ([(10, [(0, 1), (0, b"x")])], {}),
        ([(10, [(1, 1)])], {}),
        ([(11, [(0, [(1, 9)]), (0, [(1, 8)])])], {"packs": [{"soc": 9}, {"soc": 8}]}),
        ([(20, 1), (30, 1), (99, 1)], {}),
    ],
)
def test_a_report_becomes_codes_and_values(fields, values) -> None:
    assert read_fields(MODEL, fields) == values


def test_an_event_brings_what_goes_with_it() -> None:
    told = read_events(MODEL, [(20, [(1, 87), (21, 3000)]), (22, True), (1, 5)])

    assert [(event.code, event.level, values) for event, values in told] == [
        ("overload", "ERROR", {"battery_percentage": 87, "watts": 3000}),
        ("started", "INFO", {}),
    ]


def test_an_event_may_bring_its_first_output_as_it_is() -> None:
    ((_, values),) = read_events(MODEL, [(20, 87)])

    assert values == {"battery_percentage": 87}


@pytest.mark.parametrize(
    ("value", "told", "text"),
    [
        (True, True, "true"),
        (False, False, "false"),
        (87, "87", "87"),
        (10.2, "10.2", "10.2"),
        (1e22, "10000000000000000000000", "10000000000000000000000"),
        (0.1, "0.1", "0.1"),
        ("x", "x", "x"),
        ({"voltage": 124, "live": True}, {"voltage": "124", "live": True}, '{"voltage":"124","live":true}'),
        ([1, 2.5], ["1", "2.5"], '["1","2.5"]'),
    ],
)
def test_numbers_are_told_as_text(value, told, text) -> None:
    assert pushed(value) == told
    assert as_text(value) == text


@pytest.mark.parametrize(
    ("asked", "fields"),
    [
        ({"ac_switch_hm": True}, [(2, True)]),
        ([{"ac_switch_hm": False}], [(2, False)]),
        ([{"ac_switch_hm": True}, {"mode": 2}], [(2, True), (5, 2)]),
        ({"ac_switch_hm": "true"}, [(2, True)]),
        ({"ac_switch_hm": "0"}, [(2, False)]),
        ({"2": 1}, [(2, True)]),
        ([{"id": 2, "name": "AC", "type": "BOOL", "value": "true"}], [(2, True)]),
        ([{"id": "5", "value": "2"}], [(5, 2)]),
        ({"target": 20}, [(3, 20)]),
        ({"target": 20.5}, [(3, Decimal("20.5"))]),
        ({"target": "-12.5"}, [(3, Decimal("-12.5"))]),
        ({"energy": 0.1}, [(4, Decimal("0.1"))]),
        ({"energy": 2**63 - 1}, [(4, 2**63 - 1)]),
        ({"mode": "2"}, [(5, 2)]),
        ({"label": "hé"}, [(6, "hé")]),
        ({"since": "1635839462000"}, [(7, 1635839462000)]),
        ({"blob": "01ab"}, [(8, b"\x01\xab")]),
        ({"ac_data_output_hm": {"live": True}}, [(9, [(2, True)])]),
        ({"ac_data_output_hm": '{"voltage":"5","live":true}'}, [(9, [(1, 5), (2, True)])]),
        ({"ac_data_output_hm": [{"id": 2, "value": "true"}]}, [(9, [(2, True)])]),
        ({"ac_data_output_hm": [{"live": True}, {"voltage": "5"}]}, [(9, [(1, 5), (2, True)])]),
        ({"hours": [{"id": 0, "type": "INT", "value": "1"}, {"id": 0, "value": 23}]}, [(10, [(0, 1), (0, 23)])]),
        ({"hours": [{"0": "1"}, {"0": 23}]}, [(10, [(0, 1), (0, 23)])]),
        ({"hours": [1, 23]}, [(10, [(0, 1), (0, 23)])]),
        ({"hours": '["4"]'}, [(10, [(0, 4)])]),
        ({"pin": "1234"}, [(12, "1234")]),
    ],
)
def test_what_an_app_may_write_becomes_fields(asked, fields) -> None:
    written = write_fields(MODEL, asked)

    assert written == fields
    assert ttlv.encode(written)


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        (None, "give an object"),
        ("x", "give an object"),
        ([1], "give an object"),
        ({}, "give at least one"),
        ([], "give at least one"),
        ({"nothing": 1}, "nothing is no property"),
        ({"overload": 1}, "overload is no property"),
        ({"20": 1}, "this is no property"),
        ({"<script>": 1}, "this is no property"),
        ([{"id": 99, "value": 1}], "this is no property"),
        ({"battery_percentage": 1}, "battery_percentage can only be read"),
        ([{"mode": 0}, {"mode": 2}], "mode comes twice"),
        ({"mode": 0, "5": 2}, "mode comes twice"),
        ({"ac_switch_hm": 2}, "ac_switch_hm is true or false"),
        ({"ac_switch_hm": None}, "ac_switch_hm is true or false"),
        ({"ac_switch_hm": []}, "ac_switch_hm is true or false"),
        ({"target": "warm"}, "target is a number"),
        ({"target": True}, "target is a number"),
        ({"target": float("nan")}, "target is a number"),
        ({"target": "1_0"}, "target is a number"),
        ({"target": 1e300}, "target is a number"),
        ({"target": -13}, "target is at least -12.5"),
        ({"target": 40.5}, "target is at most 40"),
        ({"target": 20.3}, "target goes in steps of 0.5"),
        ({"energy": 2**63}, "energy has too many digits"),
        ({"energy": "0.0000000000000001"}, "energy has too many digits"),
        ({"energy": "12345678901234567890.5"}, "energy has too many digits"),
        ({"mode": 1}, "mode is none of the values"),
        ({"mode": "Fast"}, "mode is a whole number"),
        ({"label": 7}, "label is a text"),
        ({"label": "\ud800"}, "label is a text"),
        ({"label": ""}, "label is empty"),
        ({"label": "on\0off"}, "label holds a NUL"),
        ({"pin": "\0"}, "pin holds a NUL"),
        ({"blob": ""}, "blob is empty"),
        ({"hours": [-1]}, "hours[0] is at least 0"),
        ({"label": "12345678é"}, "label has at most 8 bytes"),
        ({"since": -1}, "since is no moment"),
        ({"since": 10**16}, "since is no moment"),
        ({"blob": "0"}, "blob is bytes as hex digits"),
        ({"blob": "01 ab"}, "blob is bytes as hex digits"),
        ({"blob": "0102030405"}, "blob has at most 4 bytes"),
        ({"ac_data_output_hm": {}}, "ac_data_output_hm.live is missing"),
        ({"ac_data_output_hm": 1}, "ac_data_output_hm is an object"),
        ({"ac_data_output_hm": {"live": True, "x": 1}}, "ac_data_output_hm has a member"),
        ({"ac_data_output_hm": [{"live": True}, {"live": False}]}, "ac_data_output_hm has a member that comes twice"),
        ({"ac_data_output_hm": [{"id": 2, "value": 1}, {"id": 2, "value": 0}]}, "ac_data_output_hm has a member that"),
        ({"ac_data_output_hm": [{"id": 7, "value": True}]}, "ac_data_output_hm has a member the model"),
        ({"ac_data_output_hm": []}, "ac_data_output_hm is an object"),
        ({"ac_data_output_hm": [1]}, "ac_data_output_hm is an object"),
        ({"hours": [{"id": 1, "value": 1}]}, "hours[0] is a number"),
        ({"hours": [{"id": 0, "value": 24}]}, "hours[0] is at most 23"),
        ({"hours": [{"0": 24}]}, "hours[0] is at most 23"),
        ({"hours": [{"0": 1, "1": 2}]}, "hours[0] is a number"),
        ({"hours": [{"0": 1}, {"1": 2}]}, "hours[0] is a number"),
        ({"ac_data_output_hm": '{"live":true,"live":false}'}, "ac_data_output_hm is an object"),
        ({"ac_data_output_hm": {"live": True, "voltage": 251}}, "ac_data_output_hm.voltage is at most 250"),
        ({"hours": []}, "hours is a list of 1 to 3"),
        ({"hours": [1, 2, 3, 4]}, "hours is a list of 1 to 3"),
        ({"hours": [1, 24]}, "hours[1] is at most 23"),
        ({"hours": "[" * 100_000}, "hours is a list of 1 to 3"),
    ],
)
def test_what_an_app_may_not_write_is_refused_by_code_and_rule(asked, sentence) -> None:
    with pytest.raises(WriteError) as refused:
        write_fields(MODEL, asked)

    assert str(refused.value).startswith(sentence)


def test_a_whole_number_stays_in_its_32_bits() -> None:
    model = parse({"properties": [{"id": 1, "code": "n", "dataType": "INT", "subType": "RW"}]})

    assert write_fields(model, {"n": -(2**31)}) == [(1, -(2**31))]
    with pytest.raises(WriteError, match="n is at most 2147483647"):
        write_fields(model, {"n": 2**31})


@pytest.mark.parametrize(
    "specs", [{"min": "-99999999999", "max": "99999999999"}, {"min": "-99999999999"}, {"max": "9e9"}]
)
def test_a_wider_range_of_the_model_makes_no_device_read_more(specs) -> None:
    model = parse({"properties": [{"id": 1, "code": "n", "dataType": "INT", "subType": "RW", "specs": specs}]})

    assert write_fields(model, {"n": 2**31 - 1}) == [(1, 2**31 - 1)]
    for number, sentence in ((2**31, "n is at most 2147483647"), (-(2**31) - 1, "n is at least -2147483648")):
        with pytest.raises(WriteError, match=sentence):
            write_fields(model, {"n": number})


def test_a_choice_that_devices_cannot_read_is_none() -> None:
    choices = [{"name": "a", "value": 2**31}, {"name": "b", "value": 1}]
    model = parse({"properties": [{"id": 1, "code": "n", "dataType": "ENUM", "subType": "RW", "specs": choices}]})

    assert write_fields(model, {"n": 1}) == [(1, 1)]
    with pytest.raises(WriteError, match="n is more than devices can read"):
        write_fields(model, {"n": 2**31})


def test_a_service_is_called_with_its_inputs() -> None:
    assert call_fields(MODEL, {"blink": {"times": 3}}) == [(30, [(31, 3)])]
    assert call_fields(MODEL, [{"blink": {"times": "3"}}]) == [(30, [(31, 3)])]
    assert call_fields(MODEL, {"restart": {}}) == [(32, True)]
    assert call_fields(MODEL, {"30": {"times": 3}}) == [(30, [(31, 3)])]
    assert call_fields(MODEL, [{"blink": [{"times": "3"}]}]) == [(30, [(31, 3)])]
    assert call_fields(MODEL, [{"id": 30, "code": "blink", "value": [{"id": 31, "value": "3"}]}]) == [(30, [(31, 3)])]


def test_elements_with_members_called_id_and_value_are_what_they_are() -> None:
    members = [{"id": 1, "code": "id", "dataType": "INT"}, {"id": 2, "code": "value", "dataType": "INT"}]
    specs = {"size": 2, "dataType": "STRUCT", "specs": members}
    model = parse({"properties": [{"id": 1, "code": "a", "dataType": "ARRAY", "subType": "RW", "specs": specs}]})

    assert write_fields(model, {"a": [{"id": 0, "value": 5}]}) == [(1, [(0, [(1, 0), (2, 5)])])]
    assert write_fields(model, {"a": [{"0": [{"id": 0}, {"value": 5}]}]}) == [(1, [(0, [(1, 0), (2, 5)])])]


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        (None, "give one service"),
        ({}, "give one service"),
        ({"blink": {"times": 1}, "restart": {}}, "give one service"),
        ({"mode": {}}, "mode is no service"),
        ({"blink": {}}, "blink has at least one member"),
        ({"blink": {"times": 0}}, "blink.times is at least 1"),
        ({"restart": {"now": True}}, "restart takes no inputs"),
    ],
)
def test_a_wrong_call_is_refused(asked, sentence) -> None:
    with pytest.raises(WriteError) as refused:
        call_fields(MODEL, asked)

    assert str(refused.value).startswith(sentence)


def test_properties_are_asked_for_by_code_or_number() -> None:
    assert read_ids(MODEL, ["mode", 6, "7"]) == [5, 6, 7]
    assert read_ids(MODEL, {"mode": ""}) == [5]
    assert read_ids(MODEL, [{"id": 5, "name": "mode", "type": "ENUM"}]) == [5]
    assert read_ids(MODEL, None) == []


@pytest.mark.parametrize("asked", ["mode", 5, ["nothing"], ["pin"], ["blink"], ["mode"] * 13, [[]], [{}]])
def test_what_cannot_be_asked_for_is_refused(asked) -> None:
    with pytest.raises(WriteError):
        read_ids(MODEL, asked)


_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
)


@given(models(), st.data())
def test_what_is_written_can_be_sent_and_is_read_back_as_it_was(model: ThingModel, data) -> None:
    codes = [each.code for each in model.properties]
    asked = {code: data.draw(_values) for code in codes}

    for code, value in asked.items():
        try:
            fields = write_fields(model, {code: value})
        except WriteError:
            continue
        sent = ttlv.decode(ttlv.encode(fields), parse_float=Decimal)
        (told,) = read_fields(model, sent).items()
        assert told[0] == code
        assert write_fields(model, {code: told[1]}) == fields
        kind, again = asked_by(model, sent)
        assert (kind, write_fields(model, again)) == ("properties", fields)
        assert write_fields(model, json.loads(json.dumps({code: pushed(told[1])}))) == fields


_fields = st.recursive(
    st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.binary(max_size=6) | st.decimals(-9, 9, places=2),
    lambda inner: st.lists(st.tuples(st.integers(0, 4), inner), max_size=3),
)


@given(models(), st.lists(st.tuples(st.integers(1, 8), _fields), max_size=6))
def test_any_report_is_read_to_what_json_can_say(model, fields) -> None:
    values = read_fields(model, fields)
    json.dumps([values, [told for _, told in read_events(model, fields)]], allow_nan=False)
    assert all(isinstance(as_text(value), str) for value in values.values())
