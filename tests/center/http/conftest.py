"""The App and operator API on a Developer Center of its own for each test, with two users signed in."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from quecbind.center.http import app
from tests.center.http.callers import App, Http, Network
from tests.center.services.world import World

EMAILS = ("alice@example.com", "bob@example.com")


@dataclass(frozen=True)
class Prepared:
    """A data directory with the scene in it, and the tokens of those who signed in there."""

    data: Path
    product: Any
    domain: Any
    users: list[App]


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    """Made once: keys and password hashes are slow on purpose. Each test gets a copy."""
    data = tmp_path_factory.mktemp("http") / "data"

    async def prepare() -> Prepared:
        world = await World.open(data)
        network = Network(app.build(world.center))
        product, domain = await world.product(), await world.domain()
        users = []
        for email in EMAILS:
            who = await world.user(domain, email)
            user = App(network.client(), uid=who.uid)
            assert (await user.sign_in(domain, email)).code == 200
            users.append(user)
        await network.close()
        await world.center.close()
        return Prepared(data, product, domain, users)

    with asyncio.Runner() as runner:
        return runner.run(prepare())


@pytest_asyncio.fixture
async def http(prepared: Prepared, tmp_path: Path) -> AsyncIterator[Http]:
    world = await World.open(shutil.copytree(prepared.data, tmp_path / "data"))
    network = Network(app.build(world.center))
    users = [signed_in(user, network) for user in prepared.users]
    operator = network.client("198.51.100.7")
    operator.headers["Authorization"] = "Bearer " + world.center.operators.local_key().reveal()
    yield Http(world, network, prepared.product, prepared.domain, *users, operator)
    await network.close()
    await world.center.close()


def signed_in(user: App, network: Network) -> App:
    """The same user with a client of this test."""
    copy = App(network.client(), user.token, user.email, user.uid)
    copy.refresh_token = user.refresh_token
    return copy
