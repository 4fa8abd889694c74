"""The byte-exact examples of the protocol: tests/vectors of the repository, as Python values."""

import json
from pathlib import Path
from typing import Any

DIRECTORY = Path(__file__).resolve().parents[3] / "tests" / "vectors"


def load(name: str, directory: Path = DIRECTORY) -> dict[str, Any]:
    """One file of examples: "framing", "ttlv", "device-auth" or "ble-binding".

    Raises:
        FileNotFoundError: no such file, or this is not a checkout of the repository.
    """
    vectors: dict[str, Any] = json.loads((directory / f"{name}.json").read_text(encoding="utf-8"))
    return vectors
