"""How long whoever showed a wrong key has to wait, doubled with every further one. Time comes in as `now`."""

FIRST_DELAY_S = 1.0
MAX_DELAY_S = 64.0
MAX_SOURCES = 256


class Delays:
    """By source: one that was wrong costs no other anything."""

    def __init__(self) -> None:
        self._by_source: "dict[str, tuple[float, float]]" = {}  # source: (delay in s, until when)

    def __len__(self) -> int:
        return len(self._by_source)

    def is_waiting(self, source: str, now: float) -> bool:
        """Within its delay a source is not even looked at."""
        return now < self._by_source.get(source, (0.0, 0.0))[1]

    def was_right(self, source: str) -> None:
        self._by_source.pop(source, None)

    def was_wrong(self, source: str, now: float) -> None:
        if source not in self._by_source and len(self._by_source) >= MAX_SOURCES:
            self._forget_one()
        delay = self._by_source.get(source, (0.0, 0.0))[0]
        delay = min(delay * 2, MAX_DELAY_S) or FIRST_DELAY_S
        self._by_source[source] = (delay, now + delay)

    def _forget_one(self) -> None:
        """Makes room by letting go of whoever is free again first."""
        soonest = min(self._by_source, key=lambda source: self._by_source[source][1])
        del self._by_source[soonest]
