"""The protocol's golden vectors, as they ship."""

from pathlib import Path

import pytest

from quecbind.testing import vectors


@pytest.mark.parametrize("name", ["framing", "ttlv", "device-auth", "ble-binding"])
def test_every_file_of_examples_loads(name: str) -> None:
    assert "about" in vectors.load(name)


def test_an_unknown_name_is_said_to_be_missing(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        vectors.load("framing", tmp_path)
