"""The ids of the glossary as types, so that one cannot pass for another, and the type that keeps a secret out of sight.

Refuses to show a secret: in a log, an error, a list or a pickle it is `<secret>`; only `reveal()` gives it.
"""

import hmac
import re
from typing import NewType, NoReturn

ProductKey = NewType("ProductKey", str)
DeviceKey = NewType("DeviceKey", str)
ClientId = NewType("ClientId", str)
UserDomain = NewType("UserDomain", str)
Uid = NewType("Uid", str)

# A real device holds at most 16 characters; longer ones are accepted from devices that can.
_DEVICE_KEY = re.compile(r"[0-9A-Za-z]{1,32}")
_PRODUCT_KEY = re.compile(r"[0-9A-Za-z]{1,32}")


class Secret:
    """A text nobody may see by accident. Compares in constant time; cannot be hashed or pickled."""

    __slots__ = ("_text",)
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """The secret itself; whoever calls this answers for where it goes."""
        return self._text

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(self._text.encode(), other.reveal().encode())

    def __repr__(self) -> str:
        return "<secret>"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret is not copied into pickles")


def client_id(product_key: ProductKey, device_key: DeviceKey) -> ClientId:
    """The name a device uses on MQTT (device-center.md 1.1): it cannot be split again without the product key."""
    return ClientId("qd" + product_key + device_key)


def is_device_key(text: str) -> bool:
    """Whether `text` can be a device key: 1 to 32 of 0-9 A-Z a-z."""
    return _DEVICE_KEY.fullmatch(text) is not None


def is_product_key(text: str) -> bool:
    """Whether `text` can be a product key: 1 to 32 of 0-9 A-Z a-z."""
    return _PRODUCT_KEY.fullmatch(text) is not None
