import asyncio
import shutil

import pytest
import pytest_asyncio

from tests.center.services.world import World


@pytest.fixture(scope="session")
def made_once(tmp_path_factory):
    """A fresh data directory. Making its keys and tables takes longer than most tests."""

    async def make(path) -> None:
        world = await World.open(path)
        await world.center.close()

    path = tmp_path_factory.mktemp("center") / "data"
    asyncio.run(make(path))
    return path


@pytest_asyncio.fixture
async def world(tmp_path, made_once):
    shutil.copytree(made_once, tmp_path / "data")
    opened = await World.open(tmp_path / "data")
    yield opened
    await opened.center.close()
