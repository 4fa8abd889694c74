"""Data by the thing model on both protocols: by name, events by their level, places; and by number without a model."""

import json

import pytest

from quecbind.wire import commands
from tests.center.domain.power_station import power_station
from tests.center.push.audience import V1, V2, Audience
from tests.center.services.world import OPERATOR

GGA = b"$GPGGA,092204.999,4250.5589,S,14718.5084,E,1,04,24.4,19.7,M,,,,0000*1F"
ALL_TYPES = ["MATTR-REPORT", "MEVENT-INFO", "MEVENT-WARN", "MEVENT-ERROR", "LOCATION-INFO-KV"]
FIELDS = [(1, 87), (2, True), (3, 10.5), (9, [(1, 230), (2, False)])]
KV = {
    "battery_percentage": "87",
    "ac_switch_hm": True,
    "target": "10.5",
    "ac_data_output_hm": {"voltage": "230", "live": False},
}


@pytest.fixture
def modelled(audience: Audience):
    async def model() -> Audience:
        await audience.world.center.operators.import_model(audience.product.product_key, power_station(), OPERATOR)
        return audience

    return model


async def test_v1_says_properties_by_name_and_numbers_as_text(modelled) -> None:
    audience = await modelled()
    app = await V1(audience).log_in(audience.owner)
    assert app.subscribe(audience.device, ALL_TYPES) == 1

    await audience.world.frame(audience.device, commands.TSL_REPORT, FIELDS)

    (message,) = app.take()
    assert message["cmd"] == "message"
    said = message["data"]
    assert (said["type"], said["subtype"]) == ("MATTR", "REPORT")
    assert said["data"]["kv"] == KV
    assert isinstance(said["data"]["packetId"], int)


async def test_v2_says_properties_on_bus(modelled) -> None:
    audience = await modelled()
    app = await V2(audience).log_in(audience.owner)
    assert app.subscribe(audience.topic("bus_")) == [0]

    await audience.world.frame(audience.device, commands.TSL_REPORT, FIELDS)

    (packet,) = app.take()
    said = json.loads(packet.payload)
    assert packet.topic == audience.topic("bus_")
    assert (said["type"], said["data"]["kv"]) == ("MATTR", KV)


async def test_an_answer_to_a_read_is_said_alike(modelled) -> None:
    audience = await modelled()
    app = await V1(audience).log_in(audience.owner)
    app.subscribe(audience.device, ALL_TYPES)

    await audience.world.frame(audience.device, commands.TSL_READ_ANSWER, [(1, 87)])

    assert app.take()[0]["data"]["data"]["kv"] == {"battery_percentage": "87"}


async def test_an_event_goes_to_those_who_subscribed_to_its_level(modelled) -> None:
    audience = await modelled()
    errors, infos = await V1(audience).log_in(audience.owner), await V1(audience).log_in(audience.owner)
    errors.subscribe(audience.device, ["MEVENT-ERROR"])
    infos.subscribe(audience.device, ["MEVENT-INFO"])

    await audience.world.frame(audience.device, commands.TSL_REPORT, [(1, 87), (20, [(21, 3000)]), (22, True)])

    (error,), (info,) = errors.take(), infos.take()
    assert (error["data"]["type"], error["data"]["subtype"]) == ("MEVENT", "ERROR")
    assert error["data"]["data"].items() >= {"code": "overload", "kv": {"watts": "3000"}}.items()
    assert (info["data"]["subtype"], info["data"]["data"]["code"]) == ("INFO", "started")


async def test_v2_says_events_on_bus_and_places_on_loc(modelled) -> None:
    audience = await modelled()
    app = await V2(audience).log_in(audience.owner)
    app.subscribe(audience.topic("bus_"), audience.topic("loc_"))

    await audience.world.frame(audience.device, commands.TSL_REPORT, [(20, [(21, 3000)])])
    await audience.world.frame(audience.device, commands.LOCATION_REPORT, [(2, GGA)])

    event, place = app.take()
    assert (event.topic, place.topic) == (audience.topic("bus_"), audience.topic("loc_"))
    assert json.loads(event.payload)["type"] == "MEVENT"
    assert json.loads(place.payload)["subtype"] == "INFO-KV"


async def test_v1_says_where_a_device_is(audience) -> None:
    app = await V1(audience).log_in(audience.owner)
    app.subscribe(audience.device, ["LOCATION-INFO-KV"])

    await audience.world.frame(audience.device, commands.LOCATION_REPORT, [(2, GGA)])

    (message,) = app.take()
    said = message["data"]
    assert (said["type"], said["subtype"], said["data"]["type"]) == ("LOCATION", "INFO-KV", "GP")
    assert said["data"]["kv"] == {
        "lat": 4250.5589,
        "lng": 14718.5084,
        "latType": "S",
        "lngType": "E",
        "wgs_84": {"lat": -42.8426483, "lng": 147.3084733},
        "satellites": 4,
        "hdop": "24.4",
        "locateTime": int(audience.world.clock.now() * 1000),
    }


async def test_without_a_model_properties_have_their_numbers_for_names(audience) -> None:
    app = await V1(audience).log_in(audience.owner)
    app.subscribe(audience.device, ALL_TYPES)

    await audience.world.frame(audience.device, commands.TSL_REPORT, [(1, 87), (2, True)])

    assert app.take()[0]["data"]["data"]["kv"] == {"1": 87, "2": True}


async def test_what_the_model_does_not_know_is_not_said(modelled) -> None:
    audience = await modelled()
    app = await V1(audience).log_in(audience.owner)
    app.subscribe(audience.device, ALL_TYPES)

    await audience.world.frame(audience.device, commands.TSL_REPORT, [(99, 1)])

    assert app.take() == []


async def test_nothing_is_said_once_the_right_is_gone(modelled) -> None:
    audience = await modelled()
    apps = [await V1(audience).log_in(audience.owner), await V2(audience).log_in(audience.owner)]
    apps[0].subscribe(audience.device, ALL_TYPES)
    apps[1].subscribe(audience.topic("bus_"), audience.topic("loc_"))

    await audience.unbind()
    for app in apps:
        app.take()
    await audience.world.frame(audience.device, commands.TSL_REPORT, [(1, 87), (20, [(21, 1)])])
    await audience.world.frame(audience.device, commands.LOCATION_REPORT, [(2, GGA)])

    assert [app.take() for app in apps] == [[], []]
