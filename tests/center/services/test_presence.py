"""Who is here is known at once and written down later, in batches."""

import asyncio

from quecbind.center.services import presence
from tests.center.services.world import World


async def test_log_ins_cost_no_write(world) -> None:
    entry = await world.device(await world.product())
    before = world.center.storage.commit_count
    for _ in range(50):
        world.center.presence.online(entry, "10.9.9.9")
        world.center.presence.offline(entry)

    await asyncio.sleep(0)

    assert world.center.storage.commit_count == before


async def test_presence_is_flushed_after_a_while(world, monkeypatch) -> None:
    monkeypatch.setattr(presence, "FLUSH_S", 0.01)
    entry = await world.device(await world.product())
    world.center.presence.online(entry, "10.9.9.9")
    async with asyncio.timeout(10):
        while world.center.storage.read(lambda tx: tx.devices.row(entry.client_id)).facts.last_online_at is None:
            await asyncio.sleep(0.005)

    facts = world.center.storage.read(lambda tx: tx.devices.row(entry.client_id)).facts
    assert (facts.last_online_at, facts.last_address) == (round(world.clock.now() * 1000), "10.9.9.9")


async def test_what_is_left_is_written_at_the_end(world, tmp_path) -> None:
    entry = await world.device(await world.product())
    world.center.presence.online(entry, "10.9.9.9")
    at = round(world.clock.now() * 1000)
    world.clock.move(5)
    world.center.presence.offline(entry)
    await world.center.close()

    again = await World.open(tmp_path / "data", clock=world.clock)
    try:
        view = await again.center.operators.device(entry.product_key, entry.device_key)
        assert (view.is_online, view.last_online_at, view.last_offline_at) == (False, at, at + 5000)
    finally:
        await again.center.close()


async def test_take_over_is_one_device_online(world) -> None:
    entry = await world.device(await world.product())
    count = world.center.presence
    count.online(entry, "10.9.9.9")
    count.online(entry, "10.8.8.8")
    count.offline(entry)

    assert (entry.online, count.online_count, entry.address) == (True, 1, "10.8.8.8")

    count.offline(entry)
    count.offline(entry)

    assert (entry.online, count.online_count) == (False, 0)


async def test_large_fleet_is_written_in_batches(world, monkeypatch) -> None:
    monkeypatch.setattr(presence, "MAX_BATCH", 2)
    product = await world.product()
    for number in range(5):
        world.center.presence.online(await world.device(product, f"D{number}"), "10.9.9.9")

    await world.center.presence.close()

    page = await world.center.operators.devices()
    assert all(view.last_online_at is not None for view in page.items)
