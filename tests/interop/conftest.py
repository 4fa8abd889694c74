"""Clients and devices nobody here wrote; they talk to a real process, so sockets are on."""

from pathlib import Path

import pytest
import unofficial_pecron_api.client as pecron

from tests.e2e.conftest import World, center, world  # noqa: F401  fixtures by name


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.enable_socket)


@pytest.fixture
def pecron_region(world: World, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811 - the fixture
    """`unofficial-pecron-api` has its platforms in a table; its "EU" is ours."""
    ours = {"base_url": world.center.url, "user_domain": world.domain, "user_domain_secret": world.domain_secret}
    monkeypatch.setitem(pecron.REGIONS, "EU", ours)
