"""How often something may be had: so often at once, and so often per second after that. Time comes in as `now`."""


class Allowance:
    """A number of answers at once, and so many per second after that."""

    __slots__ = ("_burst", "_left", "_per_second", "_seen_at")

    def __init__(self, rule: "tuple[int, float]", now: float) -> None:
        self._burst = float(rule[0])
        self._per_second = rule[1]
        self._left = self._burst
        self._seen_at = now

    def refill(self, now: float) -> float:
        """What it holds now."""
        self._left = min(self._burst, self._left + (now - self._seen_at) * self._per_second)
        self._seen_at = now
        return self._left

    def take(self) -> None:
        self._left -= 1

    def is_full(self, now: float) -> bool:
        return self.refill(now) >= self._burst
