"""An App on the real App API over a real database: no sockets, and a clock that is moved."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest_asyncio

from quecbind.app.client import AppClient
from quecbind.center.http import app
from tests.center.services.world import PASSWORD, World

EMAIL = "ann@example.com"


@dataclass
class Scene:
    world: World
    product: Any
    domain: Any
    app: AppClient

    def another_app(self, secret: str | None = None, domain: str | None = None) -> AppClient:
        """A client of its own, with nobody signed in."""
        return AppClient(
            "http://center",
            domain or self.domain.user_domain,
            secret or self.domain.user_domain_secret,
            httpx.ASGITransport(app.build(self.world.center)),
        )

    async def device_with_code(self, device_key: str = "D1", code: str = "1234567890ABCDEF") -> Any:
        entry = await self.world.device(self.product, device_key)
        await self.world.report(entry, code)
        return entry


@pytest_asyncio.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    """A product, a user domain, and ann, who has not signed in yet."""
    world = await World.open(tmp_path / "data")
    product, domain = await world.product(bind_mode="single"), await world.domain()
    await world.user(domain, EMAIL)
    scene = Scene(world, product, domain, None)  # type: ignore[arg-type]
    scene.app = scene.another_app()
    yield scene
    await scene.app.close()
    await world.center.close()


@pytest_asyncio.fixture
async def signed_in(scene: Scene) -> Scene:
    await scene.app.sign_in(EMAIL, PASSWORD)
    return scene
