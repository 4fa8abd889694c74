"""Which wrong guesses are worth an audit entry: enough to see who tries what, never so many that they fill the disk.

The first guess of somebody at something within the span is one, and the first refusal because there were too many.
What comes after, within the span, is counted in the metrics only. From one address there are no more entries of the
first kind in a span than it has guesses, however many accounts it uses.
"""

from quecbind.center.domain.addresses import counted_address
from quecbind.center.domain.limits import Limits, SlidingCounter


class GuessReports:
    """Remembers what was said within the span; told the time."""

    def __init__(self, limits: Limits) -> None:
        span = limits.guess_window_s
        self._max_per_address = limits.max_guesses_per_address
        self._wrong = SlidingCounter(1, span)
        self._by_address = SlidingCounter(limits.max_guesses_per_address, span)
        self._refused = SlidingCounter(1, span)

    def tells_wrong(self, user: str, address: str, target: str, now: float) -> bool:
        """Whether this wrong guess at `target` leaves an entry."""
        where = counted_address(address)
        key = (user, target)
        if self._wrong.count(key, now) or self._by_address.count(where, now) >= self._max_per_address:
            return False
        self._wrong.add(key, now)
        if where:
            self._by_address.add(where, now)
        return True

    def tells_refused(self, user: str, address: str, now: float) -> bool:
        """Whether this refusal because of too many guesses leaves an entry."""
        keys = [("user", user)]
        where = counted_address(address)
        if where:
            keys.append(("address", where))
        if any(self._refused.count(key, now) for key in keys):
            return False
        for key in keys:
            self._refused.add(key, now)
        return True
