"""A clock that stands still until it is moved."""


class FakeClock:
    """Stands in for every clock port: UTC seconds, monotonic seconds, and a sleep that takes no time.

    Args:
        now: UTC seconds to begin with.
    """

    def __init__(self, now: float = 1_700_000_000.0) -> None:
        self._now = now
        self._monotonic = 1000.0

    def now(self) -> float:
        return self._now

    def monotonic(self) -> float:
        return self._monotonic

    def move(self, seconds: float) -> None:
        """Lets time pass."""
        if seconds < 0:
            raise ValueError("time does not go back; make a new FakeClock")
        self._now += seconds
        self._monotonic += seconds

    def set(self, now: float) -> None:
        """Sets the wall clock alone, forward or back, as an operator or NTP does."""
        self._now = now

    async def sleep(self, seconds: float) -> None:
        self.move(seconds)
