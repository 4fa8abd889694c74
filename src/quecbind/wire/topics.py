"""Topic names of the device link: `q/1/d/<client id>/<kind>` down, `q/2/d/<client id>/<kind>` up.

A client id is `qd` + product key + device key and is not taken apart here: that needs to know the products.
"""

from collections import namedtuple

from quecbind.wire import _text
from quecbind.wire.errors import TopicError

DOWN = "down"
UP = "up"
MAX_KEY = 32

# user: the App user an uplink answers to, or None
Topic = namedtuple("Topic", ("direction", "client_id", "kind", "user"))

_DIRECTIONS = {"1": DOWN, "2": UP}


def client_id(product_key: str, device_key: str) -> str:
    """The device's MQTT name.

    Raises:
        TopicError: a key is not 1..32 letters and digits.
    """
    for name, key in (("product key", product_key), ("device key", device_key)):
        if len(key) > MAX_KEY or not _text.is_alphanumeric(key.encode("utf-8", "replace")):
            raise TopicError("%s: must be 1..%d of 0-9 A-Z a-z" % (name, MAX_KEY))
    return "qd" + product_key + device_key


def uplink(client_id: str, kind: str, user: "str | None" = None) -> str:
    """`user`: the App user whom it answers, if it is one."""
    return "q/2/d/" + client_id + "/" + kind + ("" if user is None else "/" + user)


def downlink(client_id: str, kind: str) -> str:
    return "q/1/d/" + client_id + "/" + kind


def downlink_filter(client_id: str) -> str:
    """What a device subscribes to: every kind of its downlink."""
    return "q/1/d/" + client_id + "/+"


def parse(topic: str) -> "Topic":
    """Takes a topic apart.

    Any kind is let through, because devices read the command and not the topic.

    Raises:
        TopicError: not a topic of the device link.
    """
    levels = topic.split("/")
    if not 5 <= len(levels) <= 6 or levels[0] != "q" or levels[2] != "d":
        raise TopicError("topic: not of the form q/1/d/<client id>/<kind>")
    direction = _DIRECTIONS.get(levels[1])
    if direction is None:
        raise TopicError("topic: direction must be 1 (down) or 2 (up)")
    for level in levels[3:]:
        if not level or "+" in level or "#" in level:
            raise TopicError("topic: a level is empty or holds a wildcard")
    return Topic(direction, levels[3], levels[4], levels[5] if len(levels) == 6 else None)
