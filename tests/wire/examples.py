"""The measured examples, and the values that tests of several modules share."""

import json
from pathlib import Path
from typing import Any

VECTORS = Path(__file__).parent.parent / "vectors"


def load(name: str) -> dict[str, Any]:
    with (VECTORS / name).open() as file:
        data: dict[str, Any] = json.load(file)
    return data


PRODUCT_KEY = "p11abc"
DEVICE_KEY = "aabbccddeeff"
BIND_CODE = "0123456789ABCDEF"
RANDOM = "A1b2C3d4E5f6G7h8"
AUTH_KEY = bytes(range(16))
TOKEN = "b4a50f328c7a789fc79a519a0894a9b33a3f0a14224728215d88716f25a5b3f2"
