"""A Developer Center of its own for each test."""

import pytest_asyncio

from tests.center.services.world import World


@pytest_asyncio.fixture
async def world(tmp_path):
    opened = await World.open(tmp_path / "data")
    yield opened
    await opened.center.close()
