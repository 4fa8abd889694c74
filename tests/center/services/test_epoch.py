"""What a reset or a change of owner ends: facts, approvals, messages under way; and what goes on."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from quecbind.center.domain.connection import Accepted, Complaint
from quecbind.center.services.changes import Reported
from quecbind.wire import commands, ttlv
from quecbind.wire.frame import Frame
from tests.center.services.test_ordered_reset import leave, owned, spec_of
from tests.center.services.test_ownership import code_of
from tests.center.services.world import CODE, OTHER_CODE

STATUS = (commands.STATUS_REPORT, [(1, 80), (3, -67)])
INFO = (commands.INFO_REPORT, [(4, b"cell 4711"), (10, b"460001234567890")])


async def tells(world, entry) -> None:
    for command, fields in (STATUS, INFO):
        await world.frame(entry, command, fields)


async def bound_by(world, who, entry, code: str = CODE) -> None:
    await world.report(entry, code)
    await world.bind(who, entry, code)


async def seen_by(world, who, entry) -> tuple[dict[str, Any], dict[str, Any]]:
    device = await world.center.ownership.device(who, entry.product_key, entry.device_key)
    return device.status, device.info


async def reset(world, entry) -> None:
    """The device starts over, as its product lets it."""
    enrolled = await world.enrol(spec_of(world, entry), entry.device_key)
    assert isinstance(enrolled, Accepted)
    await world.connect(spec_of(world, entry), enrolled.secret.reveal(), entry.device_key)


@pytest.mark.parametrize("how", ["reset", "ordered reset", "unbind", "take over"])
async def test_the_next_owner_does_not_see_what_the_device_said_before(world, how) -> None:
    mode = "alternate" if how == "take over" else "multi"
    entry, ann, bob = await owned(world, re_enrol="open", bind_mode=mode)
    await tells(world, entry)
    epoch = entry.epoch
    if how in ("unbind", "ordered reset"):
        await leave(world, ann, entry, is_init=how == "ordered reset")
    if how in ("reset", "ordered reset"):
        await reset(world, entry)

    await bound_by(world, bob, entry)

    assert await seen_by(world, bob, entry) == ({}, {})
    assert entry.epoch == (await world.look(entry)).epoch > epoch
    assert await world.owners(entry) == [bob.uid]
    # The very same words are news now.
    await tells(world, entry)
    assert await seen_by(world, bob, entry) == ({"1": 80, "3": -67}, {"4": "cell 4711", "10": "460001234567890"})


async def test_an_owed_reset_is_the_end_of_what_was_said_at_once(world) -> None:
    entry, ann, _bob = await owned(world)
    await tells(world, entry)

    await leave(world, ann, entry)

    view = await world.look(entry)
    assert (view.status, view.info) == ({}, {})


@pytest.mark.parametrize("how", ["reset", "take over"])
@pytest.mark.parametrize(("command", "fields"), [STATUS, INFO])
async def test_a_message_under_way_is_neither_kept_nor_told_in_the_new_epoch(world, how, command, fields) -> None:
    entry, _ann, bob = await owned(world, re_enrol="open", bind_mode="alternate")
    await world.report(entry, OTHER_CODE)
    told = world.changes()
    if how == "reset":
        ending = asyncio.ensure_future(world.enrol(spec_of(world, entry)))
    else:
        ending = asyncio.ensure_future(world.bind(bob, entry, OTHER_CODE))
    await asyncio.sleep(0)

    stored = world.center.uplink.receive(entry, Frame(9, command, ttlv.encode(fields)), world.clock.now())
    _, worth = await asyncio.gather(ending, stored)

    assert worth is None  # False would say that the connection's secret is worthless, and cut it
    view = await world.look(entry)
    assert (view.status, view.info) == ({}, {})
    assert [one for one in told if isinstance(one, Reported)] == []
    # It was not stored, so it is no repetition when it comes again.
    assert await world.frame(entry, command, fields)
    view = await world.look(entry)
    assert view.status or view.info


async def test_a_bind_code_under_way_opens_no_window_for_the_new_owner_to_inherit(world) -> None:
    entry, _ann, bob = await owned(world, bind_mode="alternate")
    await world.report(entry, OTHER_CODE)
    taking_over = asyncio.ensure_future(world.bind(bob, entry, OTHER_CODE))
    await asyncio.sleep(0)

    frame = Frame(9, commands.BIND_CODE, ttlv.encode([(11, CODE.encode())]))
    await asyncio.gather(taking_over, world.center.uplink.receive(entry, frame, world.clock.now()))

    assert (await world.look(entry)).bind_window_end_at is None


async def test_an_approval_of_the_old_owner_is_worth_nothing_under_the_new_one(world) -> None:
    entry, ann, bob = await owned(world)
    await world.center.ownership.approve_re_enrolment(ann, entry.product_key, entry.device_key)
    await leave(world, ann, entry, is_init=False)
    await bound_by(world, bob, entry)

    assert await world.enrol(spec_of(world, entry)) == Complaint(10422)

    assert await world.owners(entry) == [bob.uid]


async def test_the_device_stays_connected_and_keeps_its_secret_when_it_changes_hands(world) -> None:
    entry, ann, bob = await owned(world)
    world.sessions.online.add(entry.client_id)
    secret = entry.device_secret
    await leave(world, ann, entry, is_init=False)

    await bound_by(world, bob, entry)

    assert world.sessions.ended[-1:] != [(entry.client_id, "reset ordered")]
    assert world.sessions.is_online(entry.client_id)
    assert isinstance(await world.connect(spec_of(world, entry), secret), Accepted)


async def test_the_first_owner_sees_what_the_device_said_when_it_came(world) -> None:
    domain = await world.domain()
    entry = await world.device(await world.product())
    ann = await world.user(domain)
    await tells(world, entry)

    await bound_by(world, ann, entry)

    assert (await seen_by(world, ann, entry))[0] == {"1": 80, "3": -67}
    assert entry.epoch == 1


async def test_whoever_joins_an_owner_joins_the_epoch(world) -> None:
    entry, ann, bob = await owned(world)
    await tells(world, entry)
    epoch = entry.epoch

    await bound_by(world, bob, entry)
    await leave(world, ann, entry, is_init=False)
    await bound_by(world, ann, entry)

    assert entry.epoch == epoch
    assert (await seen_by(world, ann, entry))[0] == {"1": 80, "3": -67}


async def test_owners_of_another_app_keep_the_epoch_when_one_takes_over_from_another(world) -> None:
    entry, ann, bob = await owned(world, bind_mode="alternate")
    eve = await world.user(await world.domain("Other"), "eve@example.com")
    await bound_by(world, eve, entry)
    epoch = entry.epoch

    await bound_by(world, bob, entry)

    assert entry.epoch == epoch
    assert sorted(await world.owners(entry)) == sorted([bob.uid, eve.uid])
    assert await code_of(world.center.ownership.device(ann, entry.product_key, entry.device_key)) == 5052


async def test_the_new_epoch_survives_a_restart(world, tmp_path) -> None:
    entry, ann, bob = await owned(world)
    await leave(world, ann, entry, is_init=False)
    await bound_by(world, bob, entry)
    epoch = entry.epoch
    await world.center.close()

    again = await type(world).open(tmp_path / "data", clock=world.clock)

    assert again.center.registry.entry(entry.client_id).epoch == epoch
    await again.center.close()
