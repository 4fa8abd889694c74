"""Thing model, last values and history on the App API."""

from typing import Any

import pytest
import pytest_asyncio

from quecbind.wire import commands
from tests.center.domain.power_station import power_station
from tests.center.http.callers import CARRIERS, App, Http
from tests.center.services.world import OPERATOR

GGA = b"$GPGGA,092204.999,4250.5589,S,14718.5084,E,1,04,24.4,19.7,M,,,,0000*1F"


@pytest_asyncio.fixture
async def home(http: Http) -> Http:
    """Alice owns a device of a product with a model; it has told a battery, a struct and a status."""
    await http.world.center.operators.import_model(http.pk, power_station(), OPERATOR)
    await http.owned()
    http.world.clock.move(1)
    await tell(http, (1, 87), (9, [(1, 230), (2, True)]))
    await tell(http, (1, 99), command=commands.STATUS_REPORT)
    return http


async def tell(http: Http, *fields: Any, command: int = commands.TSL_REPORT) -> None:
    entry = http.world.center.registry.entry(f"qd{http.pk}D1")
    assert entry is not None
    await http.world.frame(entry, command, fields)


async def attributes(http: Http, app: App | None = None, **more: str) -> Any:
    return await (app or http.alice).call("GET", "getDeviceBusinessAttributes", pk=http.pk, dk="D1", **more)


async def history(http: Http, app: App | None = None, **more: Any) -> Any:
    return await (app or http.alice).call("GET", "getDeviceHistory", pk=http.pk, dk="D1", **more)


async def share(http: Http) -> None:
    now_ms = int(http.world.clock.now() * 1000)
    given = await http.alice.call(
        "POST", "shareInfo", pk=http.pk, dk="D1", acceptingExpireAt=now_ms + 60_000, coverMark=1
    )
    assert (await http.bob.call("POST", "shareDevice", shareCode=given.data)).code == 200


async def test_an_app_reads_the_thing_model(home: Http) -> None:
    answer = await home.alice.call("GET", "productTSL", pk=home.pk)

    assert answer.code == 200
    assert answer.data.keys() == {"profile", "properties", "events", "services"}
    assert answer.data["profile"]["productKey"] == home.pk
    writable = [each for each in answer.data["properties"] if "W" in each["subType"] and each["type"] == "PROPERTY"]
    assert [each["code"] for each in writable][:2] == ["ac_switch_hm", "target"]
    assert {"id", "code", "name", "dataType", "specs", "sort"} <= writable[0].keys()


async def test_the_model_is_not_for_strangers_and_is_for_members(home: Http) -> None:
    assert (await home.bob.call("GET", "productTSL", pk=home.pk)).code == 5041
    assert (await home.alice.call("GET", "productTSL")).code == 5066
    assert (await home.stranger().call("GET", "productTSL", pk=home.pk)).code == 5106

    await share(home)

    assert (await home.bob.call("GET", "productTSL", pk=home.pk)).code == 200


async def test_last_values_are_spelt_as_the_platform_spells_them(home: Http) -> None:
    answer = await attributes(home)

    battery, output = answer.data["customizeTslInfo"]
    assert battery == {
        "abId": 1,
        "resourceCode": "battery_percentage",
        "resourceValce": "87",
        "dataType": "INT",
        "name": "Battery",
        "subType": "R",
        "type": "PROPERTY",
        "createTime": str(int(home.world.clock.now() * 1000)),
    }
    assert output["resourceValce"] == '{"voltage":"230","live":true}'
    assert answer.data["deviceData"]["battery"] == 99
    assert answer.data["deviceLocateInfo"] == {}


@pytest.mark.parametrize("carrier", CARRIERS[:1])
async def test_parts_and_codes_are_chosen(home: Http, carrier: str) -> None:
    base = (await attributes(home, type="1")).data
    values = (await attributes(home, type="2", codeList="ac_data_output_hm,nothing")).data
    both = (await attributes(home, type="2,1")).data

    assert (base["customizeTslInfo"], base["deviceLocateInfo"], base["deviceData"]["battery"]) == (None, None, 99)
    assert [each["resourceCode"] for each in values["customizeTslInfo"]] == ["ac_data_output_hm"]
    assert values["deviceData"] is None
    assert len(both["customizeTslInfo"]) == 2
    assert (both["deviceData"]["battery"], both["deviceLocateInfo"]) == (99, None)


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ({"codeList": "battery_percentage"}, 5471),
        ({"type": "4"}, 8400),
        ({"type": "2;3"}, 8400),
        ({"pk": ""}, 5066),
        ({"dk": ""}, 5067),
        ({"dk": "no-key"}, 5361),
        ({"dk": "D2"}, 5052),
        ({"pk": "p1none"}, 5052),
    ],
)
async def test_what_is_asked_for_wrongly_is_refused(home: Http, more: dict[str, str], code: int) -> None:
    parameters = {"pk": home.pk, "dk": "D1", **more}

    assert (await home.alice.call("GET", "getDeviceBusinessAttributes", **parameters)).code == code


async def test_a_place_is_told_as_receivers_write_it(home: Http) -> None:
    await tell(home, (2, GGA), command=commands.LOCATION_REPORT)

    place = (await attributes(home, type="3")).data["deviceLocateInfo"]

    assert (
        place.items()
        >= {
            "lat": "4250.5589",
            "latType": "S",
            "lng": "14718.5084",
            "lngType": "E",
            "locateType": "GP",
            "satellites": "4",
            "hdop": "24.4",
            "locateRaw": GGA.decode(),
            "deviceKey": "D1",
            "createTimeTs": int(home.world.clock.now() * 1000),
        }.items()
    )


async def test_a_member_sees_what_came_after_the_share(home: Http) -> None:
    home.world.clock.move(1)
    await share(home)
    assert (await attributes(home, home.bob)).data["customizeTslInfo"] == []

    home.world.clock.move(1)
    await tell(home, (1, 86))

    shown = (await attributes(home, home.bob)).data["customizeTslInfo"]
    assert [(each["resourceCode"], each["resourceValce"]) for each in shown] == [("battery_percentage", "86")]


async def signal(home: Http, app: App) -> tuple[Any, Any, Any]:
    """The strength of the signal as the list, the device and its attributes show it."""
    (listed,) = (await app.call("GET", "userDeviceList")).data["list"]
    device = (await app.call("GET", "deviceInfo", pk=home.pk, dk="D1")).data
    return (
        listed["signalStrength"],
        device["signalStrength"],
        (await attributes(home, app, type="1")).data["deviceData"],
    )


async def test_a_member_is_shown_the_status_told_since_the_share(home: Http) -> None:
    status = (1, 98), (3, -67)
    await tell(home, *status, command=commands.STATUS_REPORT)
    await tell(home, (1, b"EC600U"), command=commands.INFO_REPORT)
    home.world.clock.move(1)
    await share(home)

    listed, device, data = await signal(home, home.bob)
    assert (listed, device, data["signalStrength"], data["battery"], data["type"]) == (
        None,
        None,
        None,
        None,
        "EC600U",
    )
    listed, device, data = await signal(home, home.alice)
    assert (listed, device, data["signalStrength"], data["battery"], data["type"]) == (-67, -67, -67, 98, "EC600U")

    await tell(home, *status, command=commands.STATUS_REPORT)

    listed, device, data = await signal(home, home.bob)
    assert (listed, device, data["signalStrength"], data["battery"]) == (-67, -67, -67, 98)


async def test_history_is_paged_latest_first(home: Http) -> None:
    for level in (86, 85):
        home.world.clock.move(1)
        await tell(home, (1, level), (20, [(21, 3000)]))

    page = (await history(home, pageSize=2)).data

    assert (page["total"], page["pages"], page["hasNextPage"]) == (3, 2, True)
    assert page["list"][0] == {
        "timeTs": int(home.world.clock.now() * 1000),
        "kv": {"battery_percentage": "85"},
        "events": [{"code": "overload", "subtype": "ERROR", "kv": {"watts": "3000"}}],
    }
    assert (await history(home, pageSize=2, page=2)).data["list"][0]["kv"]["battery_percentage"] == "87"


async def test_history_is_asked_for_between_moments(home: Http) -> None:
    now_ms = int(home.world.clock.now() * 1000)

    assert (await history(home, startTime=now_ms)).data["total"] == 1
    assert (await history(home, startTime=now_ms + 1)).data["total"] == 0
    assert (await history(home, endTime=now_ms - 1)).data["total"] == 0
    assert (await history(home, startTime="soon")).code == 8400


async def test_history_is_the_owners_alone(home: Http) -> None:
    assert (await history(home, home.bob)).code == 5052
    await share(home)
    assert (await history(home, home.bob)).code == 5052
    assert (await history(home, home.stranger())).code == 5106
    assert (await history(home, page=10**9)).code == 200


async def test_nothing_is_left_for_who_unbound_it(home: Http) -> None:
    await home.alice.call("DELETE", "unbundlingDeviceDk", pk=home.pk, dk="D1")

    assert (await attributes(home)).code == 5052
    assert (await history(home)).code == 5052
    assert (await home.alice.call("GET", "productTSL", pk=home.pk)).code == 5041
