"""What is read from TSL JSON, what is refused and where, and that a model comes back as it went out."""

import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quecbind.center.domain import thing_types as kinds
from quecbind.center.domain.thing_model import Event, Property, Service, ThingModel
from quecbind.center.domain.tsl import MAX_FEATURES, TslError, parse
from quecbind.center.domain.tsl_document import render
from tests.center.domain.power_station import power_station

MODEL = parse(power_station())


def rendered(model: ThingModel) -> dict:
    return render(model, product_key="p1", version="1")


def test_every_data_type_is_read() -> None:
    by_code = {each.code: each.type for each in MODEL.properties}

    assert by_code["battery_percentage"] == kinds.Number(
        kind="INT", min=Decimal(0), max=Decimal(100), step=Decimal(1), unit="%"
    )
    assert by_code["ac_switch_hm"] == kinds.Bool("On", "Off")
    assert by_code["mode"] == kinds.Enum(((0, "Quiet"), (2, "Fast")))
    assert by_code["label"] == kinds.Text(8)
    assert by_code["since"] == kinds.Date()
    assert by_code["blob"] == kinds.Raw(4)
    struct = by_code["ac_data_output_hm"]
    assert isinstance(struct, kinds.Struct)
    assert [(each.code, each.is_required) for each in struct.members] == [("voltage", False), ("live", True)]
    hours = by_code["hours"]
    assert isinstance(hours, kinds.Array)
    assert (hours.size, hours.element) == (
        3,
        kinds.Number(kind="INT", min=Decimal(0), max=Decimal(23), step=Decimal(1)),
    )


def test_a_reference_stands_for_the_property_it_names() -> None:
    battery, watts = MODEL.events[0].outputs

    assert (battery.code, battery.is_reference, watts.is_reference) == ("battery_percentage", True, False)
    assert rendered(MODEL)["events"][0]["outputData"][0] == {"$ref": "#/properties/id/1"}


def test_apps_find_in_a_document_what_they_look_for() -> None:
    (switch,) = [each for each in rendered(MODEL)["properties"] if each["id"] == 2]

    assert switch == {
        "id": 2,
        "code": "ac_switch_hm",
        "name": "AC",
        "type": "PROPERTY",
        "subType": "RW",
        "dataType": "BOOL",
        "sort": 2,
        "desc": "the outlets",
        "specs": [
            {"dataType": "BOOL", "name": "On", "value": "true"},
            {"dataType": "BOOL", "name": "Off", "value": "false"},
        ],
    }
    assert rendered(MODEL)["profile"] == {"tslVersion": "1.2.0", "productKey": "p1", "version": "1"}


def test_a_model_comes_back_as_it_went_out() -> None:
    assert parse(json.loads(json.dumps(rendered(MODEL)))) == MODEL


@pytest.mark.parametrize(
    "wrap",
    [
        lambda tsl: {"code": 200, "msg": "OK", "data": tsl},
        lambda tsl: {"tslJson": json.dumps(tsl)},
        lambda tsl: {**tsl, "whatever": 1},
    ],
)
def test_a_model_is_read_however_it_is_wrapped(wrap) -> None:
    assert parse(wrap(power_station())) == MODEL


def test_types_are_read_in_any_case_and_by_the_numbers_apps_use() -> None:
    words = ["bool", "1", 2, "Float", "4", "TEXT", "7", "11"]
    document = {"properties": [{"id": n, "code": f"p{n}", "dataType": word} for n, word in enumerate(words, 1)]}

    names = [each["dataType"] for each in rendered(parse(document))["properties"]]

    assert names == ["BOOL", "BOOL", "INT", "FLOAT", "DOUBLE", "TEXT", "DATE", "RAW"]


def _set(path: list, value: object):
    def change(document: dict) -> None:
        place = document
        for step in path[:-1]:
            place = place[step]
        place[path[-1]] = value

    return change


def _drop(path: list):
    def change(document: dict) -> None:
        place = document
        for step in path[:-1]:
            place = place[step]
        del place[path[-1]]

    return change


@pytest.mark.parametrize(
    ("change", "path"),
    [
        (_set(["properties"], {}), "properties"),
        (_set(["properties"], ["x"]), "properties[0]"),
        (_drop(["properties", 0, "id"]), "properties[0].id"),
        (_set(["properties", 0, "id"], 0), "properties[0].id"),
        (_set(["properties", 0, "id"], 8192), "properties[0].id"),
        (_set(["properties", 0, "id"], True), "properties[0].id"),
        (_set(["properties", 0, "id"], "one"), "properties[0].id"),
        (_set(["properties", 2, "id"], 4), "properties[3].id"),
        (_set(["events", 0, "id"], 1), "events[0].id"),
        (_set(["services", 1, "code"], "overload"), "services[1].code"),
        (_drop(["properties", 0, "code"]), "properties[0].code"),
        (_set(["properties", 0, "code"], "1st"), "properties[0].code"),
        (_set(["properties", 0, "code"], "a" * 65), "properties[0].code"),
        (_set(["properties", 0, "name"], 7), "properties[0].name"),
        (_set(["properties", 0, "name"], "\ud800"), "properties[0].name"),
        (_set(["properties", 0, "dataType"], "LONG"), "properties[0].dataType"),
        (_drop(["properties", 0, "dataType"]), "properties[0].dataType"),
        (_set(["properties", 0, "subType"], "X"), "properties[0].subType"),
        (_set(["events", 0, "subType"], "RW"), "events[0].subType"),
        (_set(["properties", 0, "sort"], -1), "properties[0].sort"),
        (_set(["properties", 0, "required"], "perhaps"), "properties[0].required"),
        (_set(["properties", 0, "specs"], []), "properties[0].specs"),
        (_set(["properties", 0, "specs", "min"], "low"), "properties[0].specs.min"),
        (_set(["properties", 0, "specs", "min"], "101"), "properties[0].specs.min"),
        (_set(["properties", 0, "specs", "max"], "9.5"), "properties[0].specs.max"),
        (_set(["properties", 2, "specs", "step"], "-1"), "properties[2].specs.step"),
        (_set(["properties", 2, "specs", "max"], "1e999"), "properties[2].specs.max"),
        (_set(["properties", 4, "specs"], []), "properties[4].specs"),
        (_set(["properties", 4, "specs"], {}), "properties[4].specs"),
        (_set(["properties", 4, "specs", 1, "value"], "0"), "properties[4].specs[1].value"),
        (_set(["properties", 4, "specs", 1, "value"], "1.5"), "properties[4].specs[1].value"),
        (_drop(["properties", 4, "specs", 1, "value"]), "properties[4].specs[1].value"),
        (_set(["properties", 5, "specs", "length"], "0"), "properties[5].specs.length"),
        (_set(["properties", 8, "specs"], {}), "properties[8].specs"),
        (_set(["properties", 8, "specs"], []), "properties[8].specs"),
        (_set(["properties", 8, "specs", 1, "id"], 1), "properties[8].specs[1].id"),
        (_set(["properties", 9, "specs", "size"], 101), "properties[9].specs.size"),
        (_drop(["properties", 9, "specs", "dataType"]), "properties[9].specs.dataType"),
        (_set(["properties", 10, "specs", "specs", 0, "dataType"], "?"), "properties[10].specs.specs[0].dataType"),
        (_set(["events", 0, "outputData", 0], {"$ref": "#/properties/id/99"}), "events[0].outputData[0]"),
        (_set(["events", 0, "outputData", 0], {"$ref": 1}), "events[0].outputData[0]"),
        (_set(["events", 0, "outputData", 1, "code"], "battery_percentage"), "events[0].outputData[1].code"),
    ],
)
def test_what_is_no_model_is_refused_with_its_place(change, path) -> None:
    document = power_station()
    change(document)

    with pytest.raises(TslError) as refused:
        parse(document)

    assert refused.value.path == path
    assert str(refused.value).startswith(path + ": ")


@pytest.mark.parametrize("document", [None, [], "x", 1, {}, {"tslJson": "{"}, {"data": 1}, {"tslJson": "[" * 100_000}])
def test_what_is_no_document_at_all_is_refused(document) -> None:
    with pytest.raises(TslError):
        parse(document)


def test_a_model_has_a_largest_size() -> None:
    properties = [{"id": n, "code": f"p{n}", "dataType": "INT"} for n in range(1, MAX_FEATURES + 1)]
    assert len(parse({"properties": properties}).properties) == MAX_FEATURES

    with pytest.raises(TslError):
        parse({"properties": properties, "events": [{"id": 8000, "code": "e"}]})


def test_nesting_has_an_end() -> None:
    kind: dict = {"dataType": "INT"}
    for _ in range(5):
        kind = {"dataType": "STRUCT", "specs": [{"id": 1, "code": "m", **kind}]}

    with pytest.raises(TslError, match="too deep"):
        parse({"properties": [{"id": 1, "code": "p", **kind}]})


_names = st.text(max_size=20).filter(lambda text: "\0" not in text).filter(lambda text: text.isprintable())
_codes = st.from_regex(r"[A-Za-z_][0-9A-Za-z_]{0,10}", fullmatch=True)
_decimals = st.none() | st.decimals(min_value=-1000, max_value=1000, places=3)


@st.composite
def _numbers(draw):
    kind = draw(st.sampled_from(["INT", "FLOAT", "DOUBLE"]))
    limits = st.none() | st.integers(-1000, 1000).map(Decimal) if kind == "INT" else _decimals
    low, high = draw(limits), draw(limits)
    if low is not None and high is not None:
        low, high = min(low, high), max(low, high)
    return kinds.Number(kind=kind, min=low, max=high, step=draw(st.none() | st.just(Decimal(2))), unit=draw(_names))


def _structs(types):
    def build(pairs):
        return kinds.Struct(
            tuple(
                kinds.Parameter(id=n, code=code, name="", type=kind) for n, (code, kind) in enumerate(pairs.items(), 1)
            )
        )

    return st.dictionaries(_codes, types, min_size=1, max_size=3).map(build)


_leaves = (
    st.builds(kinds.Bool, _names, _names)
    | _numbers()
    | st.dictionaries(st.integers(-9, 9), _names, min_size=1, max_size=4).map(lambda n: kinds.Enum(tuple(n.items())))
    | st.just(kinds.Date())
    | st.builds(kinds.Text, st.none() | st.integers(1, 100))
    | st.builds(kinds.Raw, st.none() | st.integers(1, 100))
)
_inner = _leaves | _structs(_leaves)
types = _inner | st.builds(kinds.Array, _inner, st.integers(1, 100)) | _structs(_inner)


@st.composite
def models(draw) -> ThingModel:
    """Models of every shape that has one number and one code for each thing."""
    codes = draw(st.lists(_codes, unique=True, min_size=1, max_size=6))
    features: dict[type, list] = {Property: [], Event: [], Service: []}
    for number, code in enumerate(codes, 1):
        kind = draw(st.sampled_from([Property, Property, Event, Service]))
        shared = {"id": number, "code": code, "name": draw(_names), "sort": draw(st.integers(0, 9))}
        members = draw(_structs(_leaves)).members
        if kind is Property:
            access = draw(st.sampled_from(["R", "W", "RW"]))
            features[kind].append(Property(**shared, type=draw(types), access=access, is_required=draw(st.booleans())))
        elif kind is Event:
            features[kind].append(Event(**shared, level=draw(st.sampled_from(["INFO", "WARN"])), outputs=members))
        else:
            features[kind].append(Service(**shared, inputs=members, description=draw(_names)))
    return ThingModel(*(tuple(group) for group in features.values()))


@given(models())
def test_any_model_comes_back_as_it_went_out(model) -> None:
    assert parse(json.loads(json.dumps(rendered(model)))) == model


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["id", "code", "dataType", "specs", "properties", "events", "outputData", "size", "$ref"]),
            inner,
            max_size=4,
        )
    ),
)


@given(_json)
def test_any_json_is_a_model_or_refused(document) -> None:
    try:
        model = parse(document)
    except TslError:
        return
    assert parse(rendered(model)) == model
