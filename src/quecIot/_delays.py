"""How long whoever showed a wrong key has to wait, doubled with every further one. Time comes in as `now`.

The first few cost nothing: an App that has keys of several devices and does not know which is whose tries one after the
other, and one whose key is stale comes back at once with the present one.
"""

FREE_COUNT = 3
FIRST_DELAY_S = 1.0
MAX_DELAY_S = 64.0
FORGET_S = 600.0  # after a wait, and as long without a wrong one, a source is new
MAX_SOURCES = 256


class Delays:
    """By source: one that was wrong costs no other anything."""

    def __init__(self) -> None:
        self._by_source: "dict[str, tuple[int, float]]" = {}  # source: (how often it was wrong, until when it waits)

    def __len__(self) -> int:
        return len(self._by_source)

    def is_waiting(self, source: str, now: float) -> bool:
        """Within its delay a source is not even looked at."""
        return now < self._by_source.get(source, (0, 0.0))[1]

    def was_right(self, source: str) -> None:
        self._by_source.pop(source, None)

    def was_wrong(self, source: str, now: float) -> None:
        if source not in self._by_source and len(self._by_source) >= MAX_SOURCES:
            self._forget_one()
        count, until = self._by_source.get(source, (0, now))
        if now >= until + FORGET_S:
            count = 0
        self._by_source[source] = (count + 1, now + _delay(count + 1 - FREE_COUNT))

    def _forget_one(self) -> None:
        """Makes room by letting go of whoever is free again first."""
        soonest = min(self._by_source, key=lambda source: self._by_source[source][1])
        del self._by_source[soonest]


def _delay(count: int) -> float:
    """After so many wrong ones that count."""
    if count < 1:
        return 0.0
    return min(FIRST_DELAY_S * (1 << min(count - 1, 16)), MAX_DELAY_S)
