"""batchControlDevice as Apps call it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.center.http.callers import Answer, App, Http


async def control(app: App, pk: str, dk: str, **changes: Any) -> Answer:
    fields = {"data": "6869", "type": 1, "dataFormat": 1, "deviceList": [{"productKey": pk, "deviceKey": dk}]}
    return await app.call("POST", "batchControlDevice", "json", **(fields | changes))


def come(http: Http, dk: str) -> None:
    http.world.sessions.online.add(f"qd{http.pk}{dk}")


async def test_raw_data_reaches_the_device(http: Http) -> None:
    dk = await http.owned()
    come(http, dk)

    answer = await control(http.alice, http.pk, dk)

    (success,) = answer.data["successList"]
    assert (answer.code, answer.data["failureList"]) == (200, [])
    assert success["data"] == {"productKey": http.pk, "deviceKey": dk}
    assert len(success["ticket"]) == 22
    assert http.world.sessions.acknowledge() == [(0x0023, b"hi")]


async def test_numbers_and_text_are_read_alike(http: Http) -> None:
    dk = await http.owned()

    answer = await control(http.alice, http.pk, dk, type="1", dataFormat="2", isCache=1, cacheTime=60, isCover=2, qos=1)

    assert len(answer.data["successList"]) == 1


async def test_what_is_kept_is_sent_when_the_device_comes(http: Http) -> None:
    dk = await http.owned()
    data = json.dumps([{"1": True}])
    # As one of the Apps sends it.
    await control(http.alice, http.pk, dk, data=data, type=2, dataFormat=0, cacheTime=60, isCache=1, isCover=1)
    assert http.world.sessions.delivered == []

    come(http, dk)
    http.world.center.control._kept.send(f"qd{http.pk}{dk}")

    assert [payload for _, payload in http.world.sessions.acknowledge()] == [b"\0\x09"]


async def test_each_device_has_a_row(http: Http) -> None:
    mine, theirs = await http.owned("D1"), await http.owned("D2", http.bob, "FEDCBA0987654321")
    come(http, mine)
    devices = [{"productKey": http.pk, "deviceKey": dk} for dk in (mine, theirs, "D9")] + [{}]

    answer = await control(http.alice, http.pk, mine, deviceList=devices)

    assert [row["data"]["deviceKey"] for row in answer.data["successList"]] == [mine]
    assert [row["data"]["deviceKey"] for row in answer.data["failureList"]] == [theirs, "D9", ""]
    assert {row["msg"] for row in answer.data["failureList"]} == {"you do not own this device"}


async def test_a_hundred_devices_fit_into_a_call(http: Http) -> None:
    devices = [{"productKey": http.pk, "deviceKey": f"D{n}", "gatewayPk": "", "gatewayDk": ""} for n in range(100)]

    answer = await control(http.alice, http.pk, "D1", deviceList=devices)
    too_many = await control(http.alice, http.pk, "D1", deviceList=[*devices, {"productKey": "p", "deviceKey": "d"}])

    assert (answer.code, len(answer.data["failureList"]), too_many.code) == (200, 100, 5312)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"type": None}, 5070),
        ({"type": 9}, 5071),
        ({"dataFormat": None}, 5072),
        ({"dataFormat": 0}, 5073),
        ({"data": ""}, 5074),
        ({"data": "xyz"}, 5074),
        ({"type": 2, "data": "{"}, 5074),
        ({"isCache": 1, "cacheTime": 0}, 5329),
        ({"isCache": 3}, 5330),
        ({"isCover": 3}, 5331),
        ({"isCache": 1}, 5328),
        ({"qos": 2}, 8400),
        ({"deviceList": None}, 5311),
        ({"deviceList": []}, 5311),
        ({"deviceList": {}}, 8400),
        ({"deviceList": ["D1"]}, 8400),
        ({"deviceList": [{"deviceKey": {}}]}, 8400),
        ({"data": [{"1": 1}]}, 8400),
        ({"data": "x" * 8_193}, 8400),
    ],
)
async def test_what_cannot_be_asked_has_its_code_and_reaches_nothing(
    http: Http, changes: dict[str, Any], code: int
) -> None:
    dk = await http.owned()
    come(http, dk)

    assert (await control(http.alice, http.pk, dk, **changes)).code == code
    assert http.world.sessions.delivered == []


async def test_nobody_controls_without_a_token(http: Http) -> None:
    dk = await http.owned()
    come(http, dk)

    assert (await control(http.stranger(), http.pk, dk)).code == 5106
    assert http.world.sessions.delivered == []
