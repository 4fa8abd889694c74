"""A thing model as the vendor's TSL JSON, as Apps and the export read it; `domain.tsl` reads it back to the same model.

Numbers in specs are text, as the platform writes them.
"""

from collections.abc import Iterable
from typing import Any, Final

from quecbind.center.domain.thing_model import Event, Service, ThingModel
from quecbind.center.domain.thing_types import (
    Array,
    Bool,
    Date,
    Enum,
    Number,
    Parameter,
    Raw,
    Struct,
    Text,
    Type,
    data_type,
    digits_of,
)

Json = dict[str, Any]

TSL_VERSION: Final = "1.2.0"


def render(model: ThingModel, *, product_key: str, version: str) -> Json:
    """The TSL document of a model. `version` names this state of it."""
    return {
        "profile": {"tslVersion": TSL_VERSION, "productKey": product_key, "version": version},
        "properties": [
            {
                **_rendered_type(each.type),
                "code": each.code,
                "name": each.name,
                "subType": each.access,
                "id": each.id,
                "sort": each.sort,
                "type": "PROPERTY",
                "desc": each.description,
                **({"required": True} if each.is_required else {}),
            }
            for each in model.properties
        ],
        "events": [
            {"outputData": _rendered_parameters(each.outputs), **_rendered_feature(each, each.level, "EVENT")}
            for each in model.events
        ],
        "services": [
            {
                "inputData": _rendered_parameters(each.inputs),
                "outputData": _rendered_parameters(each.outputs),
                **_rendered_feature(each, each.call, "SERVICE"),
            }
            for each in model.services
        ],
    }


def _rendered_feature(feature: Event | Service, sub_type: str, kind: str) -> Json:
    return {
        "code": feature.code,
        "name": feature.name,
        "subType": sub_type,
        "id": feature.id,
        "sort": feature.sort,
        "type": kind,
        "desc": feature.description,
    }


def _rendered_parameters(parameters: Iterable[Parameter]) -> list[Json]:
    return [
        {"$ref": f"#/properties/id/{each.id}"}
        if each.is_reference
        else {
            **_rendered_type(each.type),
            "code": each.code,
            "name": each.name,
            "id": each.id,
            **({"required": True} if each.is_required else {}),
            **({"desc": each.description} if each.description else {}),
        }
        for each in parameters
    ]


def _rendered_type(kind: Type) -> Json:
    return {"specs": _specs(kind), "dataType": data_type(kind)}


def _specs(kind: Type) -> Any:
    if isinstance(kind, Bool):
        names = (("true", kind.true_name), ("false", kind.false_name))
        return [{"dataType": "BOOL", "name": name, "value": value} for value, name in names]
    if isinstance(kind, Enum):
        return [{"dataType": "ENUM", "name": name, "value": str(value)} for value, name in kind.names]
    if isinstance(kind, Date):
        return {"length": "13"}
    if isinstance(kind, Text | Raw):
        return {} if kind.length is None else {"length": str(kind.length)}
    if isinstance(kind, Struct):
        return _rendered_parameters(kind.members)
    if isinstance(kind, Array):
        specs = _specs(kind.element)
        place = "numberSpecs" if isinstance(kind.element, Number) else "specs"
        return {**({place: specs} if specs else {}), "size": str(kind.size), "dataType": data_type(kind.element)}
    limits = {"min": kind.min, "max": kind.max, "step": kind.step, "multiple": kind.multiple}
    known = {name: digits_of(value) for name, value in limits.items() if value is not None}
    return {"unit": kind.unit, **known}
