"""Users and devices for push, without a socket."""

import pytest_asyncio

from tests.center.push.audience import Audience
from tests.center.services.world import World


@pytest_asyncio.fixture
async def audience(tmp_path):
    world = await World.open(tmp_path / "data")
    yield await Audience.gather(world)
    await world.center.close()
