"""The OpenAPI document: served, complete, and every reference in it leads somewhere."""

import re
from collections.abc import Iterator
from typing import Any

import pytest
from starlette.routing import Route

from quecbind.center.http import openapi
from quecbind.center.http.app_tables import TABLES
from quecbind.center.http.operators import OPERATIONS, PREFIX
from tests.center.http.callers import Http

DOCUMENT = openapi.document(OPERATIONS, PREFIX, TABLES)


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if "$ref" in value:
            yield value["$ref"]
        for part in value.values():
            yield from references(part)
    elif isinstance(value, list):
        for part in value:
            yield from references(part)


def operations(prefix: str = "/") -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in DOCUMENT["paths"].items():
        for method, operation in methods.items() if path.startswith(prefix) else ():
            yield path, method, operation


def taken(path: str, method: str) -> set[str]:
    """What an endpoint of the App API takes."""
    operation = DOCUMENT["paths"][path][method]
    bodies = operation.get("requestBody", {}).get("content", {}).values()
    named = {name for body in bodies for name in body["schema"].get("properties", {})}
    return named | {one["name"] for one in operation.get("parameters", [])}


async def test_it_is_served_to_anybody(http: Http) -> None:
    response = await http.stranger().client.get(PREFIX + "/openapi.json")

    assert response.status_code == 200
    assert response.headers["content-type"] == "application/json"
    assert response.json() == DOCUMENT


async def test_it_is_made_once_whoever_asks_for_it(monkeypatch: pytest.MonkeyPatch, http: Http) -> None:
    await http.stranger().client.get(PREFIX + "/openapi.json")
    monkeypatch.delattr(openapi, "document")

    response = await http.stranger().client.get(PREFIX + "/openapi.json")

    assert response.json() == DOCUMENT


def test_it_is_openapi_3_1() -> None:
    assert DOCUMENT["openapi"] == "3.1.0"
    assert {"title", "version"} <= DOCUMENT["info"].keys()
    assert DOCUMENT["security"] == [{"accessKey": []}]
    assert DOCUMENT["components"]["securitySchemes"]["accessKey"]["scheme"] == "bearer"


async def test_every_route_is_in_it_and_nothing_else(http: Http) -> None:
    app = http.operator._transport.app  # type: ignore[attr-defined]
    routed = {
        (route.path, method.lower())
        for route in app.routes
        if isinstance(route, Route) and route.path.startswith((PREFIX, "/v2/"))
        for method in route.methods - {"HEAD"}
    }

    assert {(path, method) for path, method, _ in operations()} == routed


def test_every_reference_leads_somewhere_and_every_schema_is_used() -> None:
    schemas = DOCUMENT["components"]["schemas"]
    used = {reference.removeprefix("#/components/schemas/") for reference in references(DOCUMENT)}

    assert used == set(schemas)


def test_every_id_in_a_path_is_a_parameter() -> None:
    for path, _, operation in operations():
        declared = [one["name"] for one in operation.get("parameters", []) if one["in"] == "path"]
        assert declared == re.findall(r"\{(\w+)\}", path)


def test_operations_have_names_of_their_own_and_say_how_they_are_refused() -> None:
    names = [operation["operationId"] for _, _, operation in operations()]

    assert len(set(names)) == len(names)
    assert all(operation["summary"] and operation["tags"] for _, _, operation in operations())
    for _, _, operation in operations(PREFIX):
        problem = operation["responses"]["default"]["content"]["application/problem+json"]["schema"]
        assert problem == {"$ref": "#/components/schemas/Problem"}


def test_only_the_document_itself_is_open() -> None:
    assert [path for path, _, operation in operations(PREFIX) if operation.get("security") == []] == [
        PREFIX + "/openapi.json"
    ]


def test_what_an_app_may_ask_without_a_token_is_what_comes_before_one() -> None:
    calls = {path.rpartition("/")[2] for path, _, operation in operations("/v2/") if operation["security"] == []}

    assert calls == {"sendEmail", "emailPwdRegister", "emailPwdLogin", "userPwdReset", "refreshToken"}


def test_a_list_of_objects_within_a_body_is_described_with_what_each_of_them_holds() -> None:
    content = DOCUMENT["paths"]["/v2/binding/enduserapi/batchControlDevice"]["post"]["requestBody"]["content"]

    assert list(content) == ["application/json"]  # a form cannot hold it
    fields = content["application/json"]["schema"]["properties"]
    assert set(fields) >= {"data", "type", "isCache", "cacheTime", "isCover", "qos", "deviceList"}
    assert fields["deviceList"] == {
        "type": "array",
        "items": {"type": "object", "properties": {name: {"type": "string"} for name in ("productKey", "deviceKey")}},
    }


def test_parameters_of_the_app_api_are_those_its_handlers_ask_for() -> None:
    binding = "/v2/binding/enduserapi/"

    assert taken(binding + "deviceInfo", "get") == {"pk", "dk", "shareCode"}
    assert taken(binding + "setShareTime", "put") == {"shareCode", "sharingExpireAt"}
    assert taken(binding + "unbundlingDeviceDk", "delete") == {
        "pk",
        "dk",
        "isInit",
        "pureBtResetCredentials",
        "random",
    }
    assert taken("/v2/binding/enterpriseapi/verifyBindingCode", "post") == {"pk", "dk", "bindingCode", "isBinding"}
    rows = DOCUMENT["paths"][binding + "batchGetPureBtResetCredentials"]["post"]["requestBody"]["content"]
    assert rows["application/json"]["schema"]["items"]["properties"].keys() == {"pk", "dk"}


def test_answers_of_the_app_api_are_envelopes_around_what_its_handlers_return() -> None:
    for _, _, operation in operations("/v2/"):
        envelope = operation["responses"]["200"]["content"]["application/json"]["schema"]
        assert envelope["required"] == ["code", "msg", "data", "extMsg"]
    bind = DOCUMENT["paths"]["/v2/binding/enduserapi/v2/deviceBindingByWifi"]["post"]["responses"]["200"]
    data = bind["content"]["application/json"]["schema"]["properties"]["data"]
    assert data["anyOf"][0] == {"$ref": "#/components/schemas/Bound"}


def test_bodies_refuse_unknown_fields() -> None:
    bodies = [each["requestBody"]["content"] for _, _, each in operations(PREFIX) if "requestBody" in each]
    names = {name for body in bodies for name in references(body)}

    assert len(names) == 7
    for name in names:
        assert DOCUMENT["components"]["schemas"][name.rpartition("/")[2]]["additionalProperties"] is False
