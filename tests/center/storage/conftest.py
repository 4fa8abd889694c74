"""A database of its own for each test."""

import pytest_asyncio

from quecbind.center.storage.opening import open_storage


@pytest_asyncio.fixture
async def storage(tmp_path):
    opened = open_storage(tmp_path / "data")
    yield opened
    await opened.close()
