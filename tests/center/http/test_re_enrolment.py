"""The owner lets a device enrol again: once, within 15 minutes, where the product allows it, and nobody else can."""

from typing import Any

import pytest

from quecbind.center.domain.connection import Accepted, Complaint
from tests.center.http.callers import CARRIERS, Http

CALL = "approveReEnrolment"
MINUTE_S = 60.0


async def enrol(http: Http, device_key: str = "D1") -> Any:
    return await http.world.enrol(http.product, device_key)


@pytest.mark.parametrize("carrier", CARRIERS)
async def test_the_owner_approves_and_the_device_enrols_once(http: Http, carrier: str) -> None:
    dk = await http.owned()

    answer = await http.alice.call("POST", CALL, carrier, pk=http.pk, dk=dk)
    first = await enrol(http)
    assert isinstance(first, Accepted)
    assert first.secret is not None
    await http.world.connect(http.product, first.secret.reveal())
    second = await enrol(http)

    assert (answer.code, answer.data) == (200, None)
    assert second == Complaint(10422), "an approval is used up by the enrolment it allowed"
    assert await http.alice.device_keys() == []
    assert "device.re_enrolment_approved" in await http.world.actions()


async def test_an_approval_is_over_after_15_minutes(http: Http) -> None:
    dk = await http.owned()
    assert (await http.alice.call("POST", CALL, pk=http.pk, dk=dk)).code == 200

    http.world.clock.move(15 * MINUTE_S + 0.001)

    assert await enrol(http) == Complaint(10422)
    assert await http.alice.device_keys() == [dk]


@pytest.mark.parametrize(
    ("parameters", "code"),
    [({"dk": "D1"}, 5066), ({"pk": "p1aaaa"}, 5067), ({"pk": "p1aaaa", "dk": "D 1"}, 5361), ({}, 5066)],
)
async def test_what_is_no_device_is_refused(http: Http, parameters: dict[str, str], code: int) -> None:
    assert (await http.alice.call("POST", CALL, **parameters)).code == code


async def test_another_user_is_answered_as_if_there_were_no_such_device_and_approves_nothing(http: Http) -> None:
    dk = await http.owned()

    foreign = await http.bob.call("POST", CALL, pk=http.pk, dk=dk)
    unknown = await http.bob.call("POST", CALL, pk=http.pk, dk="nobody")
    without_token = await http.stranger().call("POST", CALL, pk=http.pk, dk=dk)

    assert foreign == unknown
    assert (foreign.code, without_token.code) == (5052, 5106)
    assert await enrol(http) == Complaint(10422)
    assert "device.re_enrolment_approved" not in await http.world.actions()


async def test_an_owner_who_has_left_approves_nothing(http: Http) -> None:
    dk = await http.owned()
    assert (await http.alice.call("DELETE", "unbundlingDeviceDk", pk=http.pk, dk=dk)).code == 200

    assert (await http.alice.call("POST", CALL, pk=http.pk, dk=dk)).code == 5052
    assert await enrol(http) == Complaint(10422)


async def test_a_locked_product_cannot_be_approved(http: Http) -> None:
    changed = await http.operator.patch(f"/api/v1/products/{http.pk}", json={"re_enrol": "locked"})
    assert changed.status_code == 200, changed.text
    dk = await http.owned()

    answer = await http.alice.call("POST", CALL, pk=http.pk, dk=dk)

    assert answer.code == 8409
    assert await enrol(http) == Complaint(10422)
