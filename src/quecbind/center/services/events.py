"""What happened, for logs and counters: one event, key-values, stable names.

Keeps nothing but counts, so it is bounded by the number of names. Secrets cannot get in: their type shows `<secret>`.
"""

import logging
from collections import Counter

logger = logging.getLogger("quecbind.center")

# What happens at every log-in of a healthy device; the rest is rare enough for the normal log.
_FREQUENT = frozenset({"device.connected", "device.disconnected", "device.reported"})


class LoggedEvents:
    """Writes each event as one log entry and counts it by name."""

    def __init__(self) -> None:
        self.count_by_name: Counter[str] = Counter()

    def publish(self, name: str, **facts: object) -> None:
        """See `services.ports.Events`."""
        self.count_by_name[name] += 1
        level = logging.DEBUG if name in _FREQUENT else logging.INFO
        if logger.isEnabledFor(level):
            logger.log(level, "%s %s", name, " ".join(f"{key}={_shown(value)}" for key, value in facts.items()))


def _shown(value: object) -> str:
    text = str(value)
    # A name from outside must not be able to begin a line of its own in the log.
    return text if text.isprintable() and " " not in text else ascii(text)
