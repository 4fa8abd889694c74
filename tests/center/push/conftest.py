import shutil

import pytest_asyncio

from tests.center.push.audience import Audience
from tests.center.services.conftest import made_once  # noqa: F401 - a fixture
from tests.center.services.world import World


@pytest_asyncio.fixture
async def audience(tmp_path, made_once):  # noqa: F811 - the fixture
    shutil.copytree(made_once, tmp_path / "data")
    world = await World.open(tmp_path / "data")
    yield await Audience.gather(world)
    await world.center.close()
