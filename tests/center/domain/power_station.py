"""A thing model as the vendor's console exports it: every data type, references, an event with and without outputs."""

import copy
from typing import Any

_BOOL = [
    {"dataType": "BOOL", "name": "On", "value": "true"},
    {"dataType": "BOOL", "name": "Off", "value": "false"},
]
_TSL = {
    "profile": {"tslVersion": "1.2.0", "productKey": "p11v14", "version": "20250324120550539"},
    "properties": [
        {
            "id": 1,
            "code": "battery_percentage",
            "name": "Battery",
            "dataType": "INT",
            "subType": "R",
            "type": "PROPERTY",
            "sort": 1,
            "desc": "",
            "specs": {"unit": "%", "min": "0", "max": "100", "multiple": "", "step": "1"},
        },
        {
            "id": 2,
            "code": "ac_switch_hm",
            "name": "AC",
            "dataType": "BOOL",
            "subType": "RW",
            "type": "PROPERTY",
            "sort": 2,
            "desc": "the outlets",
            "specs": _BOOL,
        },
        {
            "id": 3,
            "code": "target",
            "name": "Target",
            "dataType": "FLOAT",
            "subType": "RW",
            "type": "PROPERTY",
            "sort": 3,
            "specs": {"unit": "C", "min": "-12.5", "max": "40", "step": "0.5"},
        },
        {
            "id": 4,
            "code": "energy",
            "name": "Energy",
            "dataType": "DOUBLE",
            "subType": "RW",
            "type": "PROPERTY",
            "sort": 4,
            "specs": {},
        },
        {
            "id": 5,
            "code": "mode",
            "name": "Mode",
            "dataType": "ENUM",
            "subType": "RW",
            "type": "PROPERTY",
            "sort": 5,
            "specs": [
                {"dataType": "ENUM", "name": "Quiet", "value": "0"},
                {"dataType": "ENUM", "name": "Fast", "value": "2"},
            ],
        },
        {
            "id": 6,
            "code": "label",
            "name": "Label",
            "dataType": "TEXT",
            "subType": "RW",
            "type": "PROPERTY",
            "sort": 6,
            "specs": {"length": "8"},
        },
        {
            "id": 7,
            "code": "since",
            "name": "Since",
            "dataType": "DATE",
            "subType": "RW",
            "type": "PROPERTY",
            "sort": 7,
            "specs": {"length": "13"},
        },
        {
            "id": 8,
            "code": "blob",
            "name": "Blob",
            "dataType": "RAW",
            "subType": "RW",
            "type": "PROPERTY",
            "sort": 8,
            "specs": {"length": "4"},
        },
        {
            "id": 9,
            "code": "ac_data_output_hm",
            "name": "AC out",
            "dataType": "STRUCT",
            "subType": "RW",
            "type": "PROPERTY",
            "sort": 9,
            "specs": [
                {"id": 1, "code": "voltage", "name": "V", "dataType": "INT", "specs": {"min": "0", "max": "250"}},
                {"id": 2, "code": "live", "name": "Live", "dataType": "BOOL", "specs": _BOOL, "required": True},
            ],
        },
        {
            "id": 10,
            "code": "hours",
            "name": "Hours",
            "dataType": "ARRAY",
            "subType": "RW",
            "type": "PROPERTY",
            "sort": 10,
            "specs": {"numberSpecs": {"min": "0", "max": "23", "step": "1"}, "size": "3", "dataType": "INT"},
        },
        {
            "id": 11,
            "code": "packs",
            "name": "Packs",
            "dataType": "ARRAY",
            "subType": "R",
            "type": "PROPERTY",
            "sort": 11,
            "specs": {
                "size": "2",
                "dataType": "STRUCT",
                "specs": [{"id": 1, "code": "soc", "name": "SOC", "dataType": "INT", "specs": {}}],
            },
        },
        {
            "id": 12,
            "code": "pin",
            "name": "PIN",
            "dataType": "TEXT",
            "subType": "W",
            "type": "PROPERTY",
            "sort": 12,
            "specs": {},
        },
    ],
    "events": [
        {
            "id": 20,
            "code": "overload",
            "name": "Overload",
            "subType": "ERROR",
            "type": "EVENT",
            "sort": 20,
            "outputData": [
                {"$ref": "#/properties/id/1"},
                {"id": 21, "code": "watts", "name": "Watts", "dataType": "INT", "specs": {}},
            ],
        },
        {"id": 22, "code": "started", "name": "Started", "subType": "INFO", "type": "EVENT", "sort": 21, "desc": ""},
    ],
    "services": [
        {
            "id": 30,
            "code": "blink",
            "name": "Blink",
            "subType": "ASYNC",
            "type": "SERVICE",
            "sort": 30,
            "inputData": [{"id": 31, "code": "times", "name": "Times", "dataType": "INT", "specs": {"min": "1"}}],
            "outputData": [{"$ref": "#/properties/id/2"}],
        },
        {"id": 32, "code": "restart", "name": "Restart", "subType": "ASYNC", "type": "SERVICE", "sort": 31},
    ],
}


def power_station() -> dict[str, Any]:
    """A copy of it, to change at will."""
    return copy.deepcopy(_TSL)
