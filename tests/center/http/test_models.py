"""Thing models on the operator API."""

import json

import pytest

from quecbind.center.http.operators import PREFIX
from tests.center.domain.power_station import power_station
from tests.center.http.callers import Http
from tests.center.http.test_operators import audit_actions, check


def tsl_of(http: Http) -> str:
    return f"{PREFIX}/products/{http.pk}/tsl"


async def test_a_model_is_put_got_and_deleted(http: Http) -> None:
    view = check(await http.operator.put(tsl_of(http), json=power_station()), 200)
    exported = check(await http.operator.get(tsl_of(http)), 200)
    again = check(await http.operator.put(tsl_of(http), json=exported), 200)
    check(await http.operator.delete(tsl_of(http)), 204)

    assert again == view
    assert view.items() >= {"product_key": http.pk, "property_count": 12, "event_count": 2, "service_count": 2}.items()
    assert [each["code"] for each in exported["properties"]] == [each["code"] for each in power_station()["properties"]]
    check(await http.operator.get(tsl_of(http)), 404, 8404)
    assert (await audit_actions(http))[:2] == ["product.model_removed", "product.model_imported"]


async def test_what_is_no_model_is_422_with_the_place(http: Http) -> None:
    document = power_station()
    document["events"][0]["subType"] = "LOUD"

    problem = check(await http.operator.put(tsl_of(http), json=document), 422, 8400)

    assert problem["detail"] == "events[0].subType: is none of INFO WARN ERROR"
    check(await http.operator.get(tsl_of(http)), 404, 8404)


async def test_a_model_has_a_largest_body(http: Http) -> None:
    document = power_station()
    document["properties"][0]["ignored"] = "x" * 524_288

    check(await http.operator.put(tsl_of(http), json=document), 413, 8400)


@pytest.mark.parametrize(
    "content", [b"[]", b"{", b'{"properties":[],"properties":[]}', b'{"properties":' + b"[" * 99 + b"]" * 99 + b"}"]
)
async def test_what_is_no_json_object_is_refused(http: Http, content: bytes) -> None:
    response = await http.operator.put(tsl_of(http), content=content, headers={"Content-Type": "application/json"})

    assert response.status_code in {400, 422}
    assert response.json()["code"] == 8400


async def test_the_largest_model_there_can_be_is_taken(http: Http) -> None:
    document = {"properties": [{"id": n, "code": f"p{n}", "dataType": "INT"} for n in range(1, 513)]}

    view = check(await http.operator.put(tsl_of(http), json=document), 200)

    assert view["property_count"] == 512
    assert len(json.dumps(check(await http.operator.get(tsl_of(http)), 200))) < 524_288
