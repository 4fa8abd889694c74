"""Clients and devices nobody here wrote; they talk to a real process, so sockets are on."""

from pathlib import Path

import pytest

from tests.e2e.conftest import center, world  # noqa: F401  fixtures by name


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.enable_socket)
