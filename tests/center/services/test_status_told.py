"""Whose status and radio cell are: each value is for those who have held the device since it was told, or longer.

A device that says the same again is heard by who has come since, and costs a write once.
"""

import pytest

from quecbind.wire import commands
from tests.center.services.test_reports import Scene
from tests.center.services.world import World

BATTERY, VOLTAGE, SIGNAL = 1, 2, 3
STATUS = commands.STATUS_REPORT


async def tells(scene: Scene, *fields, after: float = 1) -> bool:
    """Whether it had to be written."""
    scene.world.clock.move(after)
    return await scene.world.frame(scene.device, STATUS, fields)


async def shown(scene: Scene, who) -> dict[str, object]:
    """The status a user is shown, everywhere the same."""
    ownership = scene.world.center.ownership
    seen = (await scene.sees(who)).status
    listed = [device.status for device in (await ownership.devices(who)).items]
    assert listed == [seen] * len(listed)
    assert (await ownership.device(who, *scene.keys)).status == seen
    assert seen is not None
    return seen


async def test_a_member_is_shown_the_values_told_since_the_share_and_the_owner_all(world: World) -> None:
    scene = await Scene.set(world)
    await tells(scene, (BATTERY, 80), (SIGNAL, -67))
    await scene.share()
    assert await shown(scene, scene.bob) == {}

    await tells(scene, (SIGNAL, -70))

    assert await shown(scene, scene.bob) == {"3": -70}
    assert await shown(scene, scene.ann) == {"1": 80, "3": -70}
    assert (await world.look(scene.device)).status == {"1": 80, "3": -70}


async def test_a_device_reached_by_its_share_code_is_shown_alike(world: World) -> None:
    scene = await Scene.set(world)
    await tells(scene, (BATTERY, 80))
    await scene.share()
    (listed,) = (await world.center.ownership.devices(scene.bob)).items
    assert listed.share_code is not None

    device = await world.center.ownership.shared_device(scene.bob, listed.share_code.reveal())

    assert device.status == {}


async def test_the_same_status_after_a_share_is_shown_to_the_member_and_written_once(world: World) -> None:
    scene = await Scene.set(world)
    same = (BATTERY, 80), (SIGNAL, -67)
    await tells(scene, *same)
    await scene.share()

    written = [await tells(scene, *same) for _ in range(3)]

    assert written == [True, False, False]
    assert await shown(scene, scene.bob) == {"1": 80, "3": -67}


async def test_a_second_owner_is_shown_what_was_told_since_they_bound_it(world: World) -> None:
    scene = await Scene.set(world, bind_mode="multi")
    await tells(scene, (BATTERY, 80), (SIGNAL, -67))
    await scene.bind(scene.bob)
    assert await shown(scene, scene.bob) == {}

    assert await tells(scene, (BATTERY, 80), (SIGNAL, -67))

    assert await shown(scene, scene.bob) == {"1": 80, "3": -67}


async def test_a_second_owner_is_shown_nothing_older_when_the_first_has_left(world: World) -> None:
    scene = await Scene.set(world, bind_mode="multi")
    await tells(scene, (BATTERY, 80))
    await scene.bind(scene.bob)
    await world.center.ownership.unbind(scene.ann, *scene.keys)

    assert await shown(scene, scene.bob) == {}


async def test_the_longest_of_several_shares_counts(world: World) -> None:
    scene = await Scene.set(world)
    await tells(scene, (VOLTAGE, 3))
    await scene.share(cover_mark=2)
    await tells(scene, (BATTERY, 80))
    await scene.share(cover_mark=2)

    assert await shown(scene, scene.bob) == {"1": 80}
    assert len((await world.center.ownership.devices(scene.bob)).items) == 2


async def test_a_share_that_is_over_does_not_count(world: World) -> None:
    scene = await Scene.set(world)
    now_ms = round(world.clock.now() * 1000)
    sharing = world.center.sharing
    code = await sharing.invite(scene.ann, *scene.keys, now_ms + 1000, now_ms + 60_000, 2, "10.1.1.1")
    await sharing.accept(scene.bob, code.reveal(), "", "10.1.1.2")
    await tells(scene, (BATTERY, 80))
    await scene.share(cover_mark=2)
    assert await shown(scene, scene.bob) == {"1": 80}

    world.clock.move(60)

    assert await shown(scene, scene.bob) == {}


async def test_a_member_who_comes_to_own_it_too_goes_on_seeing_what_they_saw(world: World) -> None:
    scene = await Scene.set(world, bind_mode="multi")
    await tells(scene, (VOLTAGE, 3))
    await scene.share()
    await tells(scene, (BATTERY, 80))
    await scene.bind(scene.bob)

    assert await shown(scene, scene.bob) == {"1": 80}


async def test_the_first_owner_is_shown_what_was_told_just_before_and_a_later_member_is_not(world: World) -> None:
    scene = await Scene.set(world, is_bound=False)
    await tells(scene, (VOLTAGE, 3))
    await tells(scene, (BATTERY, 80), after=600)

    await scene.bind(scene.ann)
    await scene.share()

    # The voltage was told more than ten minutes before.
    assert await shown(scene, scene.ann) == {"1": 80}
    assert await shown(scene, scene.bob) == {}


async def test_what_waits_and_says_the_same_for_hours_is_shown_to_its_first_owner(world: World) -> None:
    scene = await Scene.set(world, is_bound=False)
    written = [await tells(scene, (BATTERY, 80), after=60) for _ in range(240)]

    await scene.bind(scene.ann)

    assert await shown(scene, scene.ann) == {"1": 80}
    assert sum(written) == 240 * 60 // 300 + 1


async def test_an_owned_device_that_says_the_same_for_hours_writes_once(world: World) -> None:
    scene = await Scene.set(world)

    assert sum([await tells(scene, (BATTERY, 80), after=60) for _ in range(240)]) == 1


async def test_the_owner_goes_on_seeing_a_status_while_others_come_and_go(world: World) -> None:
    scene = await Scene.set(world, bind_mode="multi")
    await tells(scene, (BATTERY, 80))
    await scene.share()
    await scene.bind(scene.bob)
    await world.center.ownership.unbind(scene.bob, *scene.keys)

    assert await shown(scene, scene.ann) == {"1": 80}


@pytest.mark.parametrize("mode", ["multi", "alternate"])
async def test_the_next_owner_is_shown_nothing_of_the_one_before(world: World, mode: str) -> None:
    scene = await Scene.set(world, bind_mode=mode)
    await tells(scene, (BATTERY, 80))
    if mode == "multi":
        await world.center.ownership.unbind(scene.ann, *scene.keys)
        await tells(scene, (SIGNAL, -67))

    await scene.bind(scene.bob)
    assert await shown(scene, scene.bob) == {}
    assert await tells(scene, (BATTERY, 80))

    assert await shown(scene, scene.bob) == {"1": 80}


async def test_what_the_device_is_is_shown_as_it_is_now_and_where_it_is_only_since_the_share(world: World) -> None:
    scene = await Scene.set(world)
    said = [(1, b"EC600U"), (4, 22001), (6, 460), (7, 1), (8, 9), (11, b"2.9.0")]
    what: dict[str, object] = {"1": "EC600U", "11": "2.9.0"}
    where: dict[str, object] = {"4": 22001, "6": 460, "7": 1, "8": 9}
    await world.frame(scene.device, commands.INFO_REPORT, said)
    world.clock.move(1)
    await scene.share()

    assert (await scene.sees(scene.bob)).info == what
    assert (await scene.sees(scene.ann)).info == what | where
    assert (await world.look(scene.device)).info == what | where

    written = [await world.frame(scene.device, commands.INFO_REPORT, said) for _ in range(2)]

    assert (await scene.sees(scene.bob)).info == what | where
    assert written == [True, False]


async def test_the_first_owner_is_shown_where_the_device_was_just_before(world: World) -> None:
    scene = await Scene.set(world, is_bound=False)
    await world.frame(scene.device, commands.INFO_REPORT, [(4, 22001)])

    await scene.bind(scene.ann)

    assert (await scene.sees(scene.ann)).info == {"4": 22001}


async def test_a_restart_changes_nothing_of_it(world: World) -> None:
    scene = await Scene.set(world)
    await tells(scene, (BATTERY, 80))
    await scene.share()
    path = world.center.storage._database.parent
    await world.center.close()

    scene.world = await World.open(path, clock=world.clock)
    assert await shown(scene, scene.bob) == {}
    scene.device = scene.world.center.registry.entry(scene.device.client_id)
    assert await tells(scene, (BATTERY, 80))

    assert await shown(scene, scene.bob) == {"1": 80}
    await scene.world.center.close()
