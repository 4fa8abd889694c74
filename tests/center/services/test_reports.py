"""What comes of reports: last values, history, and what is told; and whose they are."""

import asyncio
import itertools
from collections.abc import Coroutine
from typing import Any

import pytest

from quecbind.center.domain.limits import HistoryLimits
from quecbind.center.services import reports
from quecbind.center.services.changes import EventReported, Located, Reported
from quecbind.center.services.errors import NotFound
from quecbind.center.services.views import Attributes
from quecbind.wire import commands, ttlv
from quecbind.wire.frame import Frame
from tests.center.domain.power_station import power_station
from tests.center.services.world import OPERATOR, OTHER_CODE, World

BATTERY, SWITCH, MODE = 1, 2, 5
GGA = b"$GPGGA,092204.999,4250.5589,S,14718.5084,E,1,04,24.4,19.7,M,,,,0000*1F"


class Scene:
    """A product with a model, a device of it, its owner, and a friend."""

    def __init__(self, world: World) -> None:
        self.world = world

    @classmethod
    async def set(cls, world: World, *, is_bound: bool = True, **product) -> "Scene":
        self = cls(world)
        self.product, domain = await world.product(**product), await world.domain()
        await world.center.operators.import_model(self.product.product_key, power_station(), OPERATOR)
        self.device = await world.device(self.product)
        self.ann, self.bob = await world.user(domain), await world.user(domain, "bob@example.com")
        if is_bound:
            await self.bind(self.ann)
        return self

    @property
    def keys(self) -> tuple[str, str]:
        return self.device.product_key, self.device.device_key

    async def tells(self, *fields, command: int = commands.TSL_REPORT, after: float = 1) -> None:
        self.world.clock.move(after)
        assert await self.world.frame(self.device, command, fields)

    async def sees(self, who, *parts: int, codes=()) -> Attributes:
        options = {"parts": parts} if parts else {}
        return await self.world.center.device_data.attributes(who, *self.keys, codes=codes, **options)

    async def values(self, who) -> dict[str, str]:
        return {value.code: value.text for value in (await self.sees(who)).values or []}

    async def history(self, who, **options):
        return await self.world.center.device_data.history(who, *self.keys, **options)

    async def share(self, after: float = 1, cover_mark: int = 1) -> None:
        """Bob may use the device from now on."""
        self.world.clock.move(after)
        now_ms = int(self.world.clock.now() * 1000)
        sharing = self.world.center.sharing
        code = await sharing.invite(self.ann, *self.keys, now_ms + 60_000, None, cover_mark, "10.1.1.1")
        await sharing.accept(self.bob, code.reveal(), "", "10.1.1.2")

    async def bind(self, who, code: str = OTHER_CODE) -> None:
        self.world.clock.move(1)
        await self.world.report(self.device, code)
        await self.world.bind(who, self.device, code)

    def rows(self, table: str) -> int:
        return self.world.center.storage.read(
            lambda tx: tx.values._connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
        )


# --- last values


async def test_the_last_value_of_each_property_is_kept(world) -> None:
    scene = await Scene.set(world)

    await scene.tells((BATTERY, 87), (SWITCH, True))
    await scene.tells((BATTERY, 86), (99, 1))

    assert await scene.values(scene.ann) == {"battery_percentage": "86", "ac_switch_hm": "true"}
    battery, switch = (await scene.sees(scene.ann)).values
    assert battery.at == switch.at + 1000
    assert (battery.id, battery.name, battery.data_type, battery.access) == (1, "Battery", "INT", "R")


async def test_an_answer_to_a_read_counts_like_a_report(world) -> None:
    scene = await Scene.set(world)

    await scene.tells((BATTERY, 87), command=commands.TSL_READ_ANSWER)

    assert await scene.values(scene.ann) == {"battery_percentage": "87"}


async def test_every_type_comes_back_as_the_device_told_it(world) -> None:
    scene = await Scene.set(world)

    await scene.tells(
        (3, 36.6),
        (5, 2),
        (6, "hé".encode()),
        (7, 1635839462000),
        (8, b"\x01\xab"),
        (9, [(1, 230), (2, True)]),
        (10, [(0, 1), (0, 2)]),
        (11, [(0, [(1, 9)])]),
    )

    assert await scene.values(scene.ann) == {
        "target": "36.6",
        "mode": "2",
        "label": "hé",
        "since": "1635839462000",
        "blob": "01AB",
        "ac_data_output_hm": '{"voltage":"230","live":true}',
        "hours": '["1","2"]',
        "packs": '[{"soc":"9"}]',
    }


async def test_a_double_that_was_multiplied_comes_back_as_it_was_meant(world) -> None:
    scene = await Scene.set(world)

    await scene.tells((4, 0.30000000000000004))

    assert await scene.values(scene.ann) == {"energy": "0.3"}


async def test_values_are_read_by_the_model_of_the_moment(world) -> None:
    scene = await Scene.set(world)
    await scene.tells((BATTERY, 87), (SWITCH, True))

    model = {"properties": [{"id": BATTERY, "code": "charge", "dataType": "INT"}]}
    await world.center.operators.import_model(scene.product.product_key, model, OPERATOR)
    assert await scene.values(scene.ann) == {"charge": "87"}

    model["properties"][0]["dataType"] = "TEXT"
    await world.center.operators.import_model(scene.product.product_key, model, OPERATOR)
    assert await scene.values(scene.ann) == {}


async def test_only_what_was_asked_for_is_answered(world) -> None:
    scene = await Scene.set(world)
    await scene.tells((BATTERY, 87), (SWITCH, True))
    await scene.tells((2, GGA), command=commands.LOCATION_REPORT)

    base = await scene.sees(scene.ann, 1)
    values = await scene.sees(scene.ann, 2, codes=["ac_switch_hm", "nothing"])
    place = await scene.sees(scene.ann, 3)

    assert (base.values, base.place, base.status) == (None, None, {})
    assert [value.code for value in values.values] == ["ac_switch_hm"]
    assert (values.status, values.place) == (None, None)
    assert (place.values, place.place.place.latitude) == (None, "4250.5589")


async def test_without_a_model_nothing_is_kept_and_all_is_told_by_number(world) -> None:
    scene = await Scene.set(world)
    await world.center.operators.remove_model(scene.product.product_key, OPERATOR)
    told = world.changes()

    assert not await world.frame(scene.device, commands.TSL_REPORT, [(BATTERY, 87)])

    assert [(type(change), change.values) for change in told] == [(Reported, None)]
    assert scene.rows("last_values") == scene.rows("history") == 0
    assert await scene.values(scene.ann) == {}


@pytest.mark.parametrize("payload", [b"", b"\x00", b"\xff" * 9])
async def test_what_cannot_be_read_is_counted_and_forgotten(world, payload) -> None:
    scene = await Scene.set(world)
    told = world.changes()

    assert not await world.frame(scene.device, commands.TSL_REPORT, payload)

    assert world.center.events.count_by_name["report.malformed"] == 1
    assert told == []


async def test_what_nobody_could_show_is_not_stored(world) -> None:
    scene = await Scene.set(world)

    assert not await world.frame(scene.device, commands.TSL_REPORT, [(99, 1), (SWITCH, b"on")])
    await scene.tells((6, b"x" * 20_000), (BATTERY, 5))  # longer than any text the platform allows

    assert await scene.values(scene.ann) == {"battery_percentage": "5"}


# --- whose they are


async def test_a_stranger_gets_nothing(world) -> None:
    scene = await Scene.set(world)
    await scene.tells((BATTERY, 87))

    for call in (scene.sees, scene.history):
        with pytest.raises(NotFound) as refused:
            await call(scene.bob)
        assert refused.value.code == 5052


async def test_a_member_sees_what_came_after_their_share_began(world) -> None:
    scene = await Scene.set(world)
    await scene.tells((BATTERY, 87), (SWITCH, True))
    await scene.share()

    assert await scene.values(scene.bob) == {}
    await scene.tells((BATTERY, 86))

    assert await scene.values(scene.bob) == {"battery_percentage": "86"}
    assert await scene.values(scene.ann) == {"battery_percentage": "86", "ac_switch_hm": "true"}


async def test_a_member_who_comes_to_own_it_too_goes_on_seeing_what_they_saw(world) -> None:
    scene = await Scene.set(world, bind_mode="multi")
    await scene.tells((SWITCH, True))
    await scene.share()
    await scene.tells((BATTERY, 86))
    await scene.bind(scene.bob)

    assert await scene.values(scene.bob) == {"battery_percentage": "86"}
    assert (await scene.history(scene.bob)).total_count == 0


async def test_a_second_share_takes_nothing_from_a_member(world) -> None:
    scene = await Scene.set(world)
    await scene.share(cover_mark=2)
    await scene.tells((BATTERY, 86))
    await scene.share(cover_mark=2)

    assert await scene.values(scene.bob) == {"battery_percentage": "86"}


async def test_a_member_whose_share_ended_sees_nothing(world) -> None:
    scene = await Scene.set(world)
    await scene.share()
    await scene.tells((BATTERY, 86))
    await world.center.ownership.unbind(scene.ann, *scene.keys)

    with pytest.raises(NotFound):
        await scene.sees(scene.bob)


async def test_history_is_not_for_members(world) -> None:
    scene = await Scene.set(world)
    await scene.share()
    await scene.tells((BATTERY, 86))

    with pytest.raises(NotFound) as refused:
        await scene.history(scene.bob)

    assert refused.value.code == 5052


async def test_the_next_owner_sees_nothing_of_the_one_before(world) -> None:
    scene = await Scene.set(world)
    await scene.tells((BATTERY, 87))
    await scene.tells((2, GGA), command=commands.LOCATION_REPORT)
    await world.center.ownership.unbind(scene.ann, *scene.keys)
    assert scene.rows("last_values") == scene.rows("history") == 0

    await scene.bind(scene.bob)

    assert await scene.values(scene.bob) == {}
    assert (await scene.sees(scene.bob)).place is None
    assert (await scene.history(scene.bob)).total_count == 0


async def test_what_a_device_told_after_its_owner_left_is_nothing_to_the_next_one(world) -> None:
    scene = await Scene.set(world)
    await world.center.ownership.unbind(scene.ann, *scene.keys)
    await scene.tells((BATTERY, 90))

    await scene.bind(scene.bob)

    assert await scene.values(scene.bob) == {}
    assert scene.rows("last_values") == 0


async def test_an_owner_who_is_replaced_leaves_nothing(world) -> None:
    scene = await Scene.set(world, bind_mode="alternate")
    await scene.tells((BATTERY, 87))

    await scene.bind(scene.bob)

    assert await scene.values(scene.bob) == {}
    assert (await scene.history(scene.bob)).total_count == 0
    with pytest.raises(NotFound):
        await scene.sees(scene.ann)


async def test_a_second_owner_sees_what_came_after_they_bound_even_when_the_first_has_left(world) -> None:
    scene = await Scene.set(world, bind_mode="multi")
    await scene.tells((BATTERY, 87))
    await scene.bind(scene.bob)
    await scene.tells((SWITCH, True))
    await world.center.ownership.unbind(scene.ann, *scene.keys)

    assert await scene.values(scene.bob) == {"ac_switch_hm": "true"}
    assert (await scene.history(scene.bob)).total_count == 1


async def test_the_first_owner_sees_what_the_device_told_while_it_waited(world) -> None:
    scene = await Scene.set(world, is_bound=False)
    await scene.tells((SWITCH, True))
    await scene.tells((BATTERY, 87), after=600)
    await scene.tells((2, GGA), command=commands.LOCATION_REPORT, after=0)

    await scene.bind(scene.bob)

    # The switch was told more than ten minutes before; where the device was is nobody's business.
    assert await scene.values(scene.bob) == {"battery_percentage": "87"}
    assert (await scene.sees(scene.bob)).place is None
    assert (await scene.history(scene.bob)).total_count == 0


async def test_what_was_told_while_it_waited_is_not_a_later_members(world) -> None:
    scene = await Scene.set(world, is_bound=False)
    await scene.tells((BATTERY, 87))
    await scene.bind(scene.ann)
    await scene.share()

    assert await scene.values(scene.bob) == {}
    assert await scene.values(scene.ann) == {"battery_percentage": "87"}


async def test_a_reset_takes_everything_along(world) -> None:
    scene = await Scene.set(world, re_enrol="open")
    await scene.tells((BATTERY, 87))

    await world.enrol(scene.product)

    assert scene.rows("last_values") == scene.rows("history") == 0


async def test_a_report_that_was_under_way_over_a_reset_is_neither_stored_nor_told(world) -> None:
    scene = await Scene.set(world, re_enrol="open")
    told, epoch = world.changes(), scene.device.epoch

    resetting = asyncio.ensure_future(world.enrol(scene.product))
    await asyncio.sleep(0)  # the reset waits for the disk; the report comes behind it
    assert scene.device.epoch == epoch
    await world.frame(scene.device, commands.TSL_REPORT, [(BATTERY, 87)])
    await resetting

    assert scene.device.epoch == epoch + 1
    assert scene.rows("last_values") == scene.rows("history") == 0
    assert [change for change in told if isinstance(change, Reported)] == []


async def test_what_was_told_without_an_owner_before_a_reset_is_of_an_earlier_epoch(world) -> None:
    scene = await Scene.set(world, is_bound=False, re_enrol="open")
    await scene.tells((BATTERY, 87))
    scene.device = await world.device(scene.product)
    assert scene.device.epoch == 2

    await scene.bind(scene.bob)

    assert await scene.values(scene.bob) == {}


async def test_a_deleted_device_leaves_nothing(world) -> None:
    scene = await Scene.set(world)
    await scene.tells((BATTERY, 87))

    await world.center.operators.delete_device(*scene.keys, OPERATOR)

    assert scene.rows("last_values") == scene.rows("history") == 0


# --- what is told


async def test_properties_and_events_are_told_apart_after_they_are_stored(world) -> None:
    scene = await Scene.set(world)
    told = world.changes()

    report = ttlv.encode([(BATTERY, 3), (20, [(1, 3), (21, 3000)])])
    done = world.center.uplink.receive(scene.device, Frame(7, commands.TSL_REPORT, report), world.clock.now())
    assert told == []
    await done

    properties, event = told
    assert isinstance(properties, Reported)
    assert properties.values == {"battery_percentage": 3}
    assert isinstance(event, EventReported)
    assert (event.code, event.level, event.packet_id) == ("overload", "ERROR", 7)
    assert event.values == {"battery_percentage": 3, "watts": 3000}


async def test_a_report_that_comes_again_is_stored_and_told_once(world) -> None:
    scene = await Scene.set(world)
    told = world.changes()
    frame = Frame(9, commands.TSL_REPORT, ttlv.encode([(BATTERY, 3)]))

    for _ in range(3):
        await world.center.uplink.receive(scene.device, frame, world.clock.now())

    assert len(told) == 1
    assert scene.rows("history") == 1


async def test_reports_that_are_all_numbered_0_are_all_stored(world) -> None:
    scene = await Scene.set(world)
    frame = Frame(0, commands.TSL_REPORT, ttlv.encode([(BATTERY, 3)]))

    for _ in range(3):
        await world.center.uplink.receive(scene.device, frame, world.clock.now())

    assert scene.rows("history") == 3


async def test_a_place_is_kept_and_told_with_or_without_a_model(world) -> None:
    scene = await Scene.set(world)
    await world.center.operators.remove_model(scene.product.product_key, OPERATOR)
    told = world.changes()

    await scene.tells((2, GGA), command=commands.LOCATION_REPORT)
    await scene.tells((2, b"LBS;nothing a receiver writes"), command=commands.LOCATION_ANSWER)
    assert not await world.frame(scene.device, commands.LOCATION_REPORT, [(2, b"x" * 2000)])
    assert not await world.frame(scene.device, commands.LOCATION_REPORT, [(1, b"x")])

    (located,) = told
    assert isinstance(located, Located)
    assert located.place.degrees == (-42.8426483, 147.3084733)
    place = (await scene.sees(scene.ann)).place
    assert (place.text, place.place) == ("LBS;nothing a receiver writes", None)


# --- history


async def test_history_tells_reports_latest_first(world) -> None:
    scene = await Scene.set(world)
    for level in (90, 89, 88):
        await scene.tells((BATTERY, level))
    await scene.tells((20, [(21, 3000)]))

    page = await scene.history(scene.ann, page_size=3)
    rest = await scene.history(scene.ann, page=2, page_size=3)

    assert page.total_count == 4
    assert [entry.values for entry in page.items] == [{}, {"battery_percentage": "88"}, {"battery_percentage": "89"}]
    assert [(event.code, event.level, event.values) for event in page.items[0].events] == [
        ("overload", "ERROR", {"watts": "3000"})
    ]
    assert [entry.values for entry in rest.items] == [{"battery_percentage": "90"}]
    assert page.items[1].at == page.items[2].at + 1000


async def test_history_is_asked_for_between_two_moments(world) -> None:
    scene = await Scene.set(world)
    for level in (90, 89, 88):
        await scene.tells((BATTERY, level))
    latest, middle, _ = (await scene.history(scene.ann)).items

    assert (await scene.history(scene.ann, since=middle.at)).total_count == 2
    assert (await scene.history(scene.ann, since=middle.at, until=latest.at - 1)).total_count == 1
    assert (await scene.history(scene.ann, since=latest.at + 1)).total_count == 0


def begun(reading: Coroutine[Any, Any, Any]) -> Coroutine[Any, Any, Any]:
    """Up to where others have their turn for the first time."""
    reading.send(None)
    return reading


def turns(reading: Coroutine[Any, Any, Any]) -> int:
    """How often others have their turn until it is done."""
    for count in itertools.count():
        try:
            reading.send(None)
        except StopIteration:
            return count
    raise AssertionError


async def test_others_have_their_turn_between_two_reports_and_two_properties(world) -> None:
    scene = await Scene.set(world)
    for level in (90, 89, 88):
        await scene.tells((BATTERY, level))

    assert turns(scene.history(scene.ann)) == 3
    assert turns(scene.sees(scene.ann)) == 1


@pytest.mark.parametrize("read", [Scene.history, Scene.sees])
async def test_whoever_leaves_meanwhile_is_told_nothing(world, read) -> None:
    scene = await Scene.set(world)
    await scene.tells((BATTERY, 90))
    reading = begun(read(scene, scene.ann))

    await world.center.ownership.unbind(scene.ann, *scene.keys)

    with pytest.raises(NotFound):
        turns(reading)


async def with_history(tmp_path, **limits) -> World:
    return await World.open(tmp_path / "data", history_limits=HistoryLimits(**limits))


async def test_history_keeps_the_latest_reports_of_a_device(tmp_path) -> None:
    world = await with_history(tmp_path, max_history_rows=2)
    scene = await Scene.set(world)
    for level in (90, 89, 88):
        await scene.tells((BATTERY, level))

    page = await scene.history(scene.ann)

    assert [entry.values["battery_percentage"] for entry in page.items] == ["88", "89"]
    assert scene.rows("history") == 2
    await world.center.close()


async def test_history_forgets_what_is_older_than_its_days(tmp_path) -> None:
    world = await with_history(tmp_path, history_days=2)
    scene = await Scene.set(world)
    await scene.tells((BATTERY, 90))
    await scene.tells((BATTERY, 89), after=86_400)
    assert await world.center.reports.sweep() == 0

    world.clock.move(86_401)

    assert await world.center.reports.sweep() == 1
    assert [entry.values for entry in (await scene.history(scene.ann)).items] == [{"battery_percentage": "89"}]
    assert await scene.values(scene.ann) == {"battery_percentage": "89"}
    await world.center.close()


async def test_the_sweep_goes_on_by_itself_and_without_a_rest_while_there_is_much(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(reports, "MAX_SWEPT", 1)
    monkeypatch.setattr(reports, "SWEEP_S", 0)
    monkeypatch.setattr(reports, "SWEEP_AGAIN_S", 0)
    world = await with_history(tmp_path, history_days=1)
    scene = await Scene.set(world)
    for level in (90, 89, 88):
        await scene.tells((BATTERY, level))
    world.clock.move(2 * 86_400)

    world.center.reports.start()
    monkeypatch.setattr(reports, "SWEEP_S", 3600)  # only the first pass comes by the minute
    for _ in range(1000):
        await world.center.storage.transact(lambda _: None)
        if not scene.rows("history"):
            break

    assert scene.rows("history") == 0
    await world.center.close()


async def test_history_can_be_off_and_then_forgets_what_it_had(tmp_path) -> None:
    world = await with_history(tmp_path)
    scene = await Scene.set(world)
    await scene.tells((BATTERY, 90))
    await world.center.close()
    scene.world = world = await World.open(
        tmp_path / "data", clock=world.clock, history_limits=HistoryLimits(history_days=0)
    )
    scene.device = world.center.registry.entry(scene.device.client_id)

    await scene.tells((BATTERY, 89))

    assert await world.center.reports.sweep() == 1
    assert scene.rows("history") == 0
    assert await scene.values(scene.ann) == {"battery_percentage": "89"}
    await world.center.close()


async def test_a_report_too_long_for_history_is_still_a_last_value(world) -> None:
    scene = await Scene.set(world)

    await scene.tells((6, b"x" * 5000))

    assert scene.rows("history") == 0
    assert (await scene.values(scene.ann))["label"] == "x" * 5000


async def test_nothing_is_remembered_of_a_device_that_nobody_owns(world) -> None:
    scene = await Scene.set(world)
    await world.center.ownership.unbind(scene.ann, *scene.keys)

    await scene.tells((BATTERY, 90))

    assert scene.rows("history") == 0


# --- the thing model


async def test_the_model_is_for_those_who_have_a_device_of_the_product(world) -> None:
    scene = await Scene.set(world)
    data = world.center.device_data

    document = await data.model(scene.ann, scene.product.product_key)
    with pytest.raises(Exception, match="5041"):
        await data.model(scene.bob, scene.product.product_key)
    await scene.share()
    shared = await data.model(scene.bob, scene.product.product_key)

    assert shared == document
    assert [each["code"] for each in document["properties"]][:2] == ["battery_percentage", "ac_switch_hm"]


async def test_a_product_without_a_model_has_an_empty_document(world) -> None:
    scene = await Scene.set(world)
    await world.center.operators.remove_model(scene.product.product_key, OPERATOR)

    document = await world.center.device_data.model(scene.ann, scene.product.product_key)

    assert (document["properties"], document["events"], document["services"]) == ([], [], [])
