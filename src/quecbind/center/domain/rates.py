"""How fast something may go: token buckets and a count, told the time. Reads no clock, sleeps for nobody, is bounded.

A bucket holds `burst` tokens and regains `rate` of them a second; what finds none is over the limit. A clock that is
set back takes nothing away and gives nothing.
"""

from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Literal

from quecbind.center.domain.limits import PushLimits, SlidingCounter

TELL_AGAIN_S = 60.0
DAY_S = 86_400
# What only bind codes may use: a device that sends too much can still be bound.
RESERVED_AT_ONCE = 10
RESERVED_PER_DAY = 100
AUDITED_RATE = 1.0
AUDITED_BURST = 2_000
_PACE_S = 10


class Rates:
    """One bucket for each key. A key whose bucket has filled up is forgotten; when too many are busy, the oldest is."""

    def __init__(self, rate: float, burst: float, max_keys: int = 100_000) -> None:
        self._rate = rate
        self._burst = burst
        self._max_keys = max_keys
        self._bucket_by_key: OrderedDict[Hashable, tuple[float, float]] = OrderedDict()
        self.refused_count = 0

    def __len__(self) -> int:
        """How many keys are being counted."""
        return len(self._bucket_by_key)

    def take(self, key: Hashable, now: float) -> bool:
        """Whether it may happen once more, now; then it is counted."""
        tokens, at = self._bucket_by_key.get(key, (self._burst, now))
        tokens = refilled(tokens, at, now, self._rate, self._burst)
        is_within = tokens >= 1.0
        self._bucket_by_key[key] = (tokens - 1.0 if is_within else tokens, now)
        self._bucket_by_key.move_to_end(key)
        self._forget(now)
        self.refused_count += not is_within
        return is_within

    def _forget(self, now: float) -> None:
        # Two at a time: more than are added, so that what has gone quiet does not pile up.
        for _ in range(2):
            key, (tokens, at) = next(iter(self._bucket_by_key.items()))
            is_full = refilled(tokens, at, now, self._rate, self._burst) >= self._burst
            if not is_full and len(self._bucket_by_key) <= self._max_keys:
                return
            del self._bucket_by_key[key]
            if not self._bucket_by_key:
                return


def refilled(tokens: float, at: float, now: float, rate: float, burst: float) -> float:
    """What a bucket holds at `now` that held `tokens` at `at`."""
    return min(burst, tokens + max(0.0, now - at) * rate)


class Pace:
    """How much one App may send: `max_push_rate` pieces a second, averaged over ten, so that a start is quick."""

    def __init__(self, limits: PushLimits) -> None:
        self._counter = SlidingCounter(limits.max_push_rate * _PACE_S, _PACE_S)

    def take(self, now: float, count: int = 1) -> bool:
        """Count that many; False when it was too much."""
        for _ in range(count):
            if self._counter.retry_after_s("", now) is not None:
                return False
            self._counter.add("", now)
        return True


class Meter:
    """What one device has sent lately; kept with the device, so that connecting again starts nothing over."""

    __slots__ = ("at", "day", "day_count", "tokens", "told_at")

    def __init__(self, tokens: float, now: float) -> None:
        self.tokens = tokens
        self.at = now
        self.day = int(now // DAY_S)
        self.day_count = 0
        self.told_at: float | None = None


@dataclass(frozen=True, slots=True)
class TooFast:
    """A message is one too many.

    Attributes:
        limit: which one: too many a second, or too many today.
        is_told: whether the device is to hear of it; at most once a minute.
    """

    limit: Literal["message_rate", "messages_per_day"]
    is_told: bool


class MessageRate:
    """How many messages a device may send: so many a second after a burst, and so many a day (UTC).

    A few more of each are kept back for bind codes, so that what else a device sends never takes the place of one. Bind
    codes, which leave an audit entry that stays, are counted apart as well.
    """

    def __init__(self, rate: float, burst: float, max_per_day: int) -> None:
        self._rate = rate
        self._burst = burst
        self._max_per_day = max_per_day
        self._audited = Rates(AUDITED_RATE, AUDITED_BURST)

    def take_audited(self, meter: Meter, key: Hashable, now: float) -> TooFast | None:
        """None when the device, by this key, may send one more message that leaves an audit entry."""
        if self._audited.take(key, now):
            return None
        return TooFast("message_rate", _tell(meter, now))

    def meter(self, now: float) -> Meter:
        """Of a device that has sent nothing yet."""
        return Meter(self._burst + RESERVED_AT_ONCE, now)

    def take(self, meter: Meter, now: float, *, is_bind_code: bool = False) -> TooFast | None:
        """None when the device may send one more message, which is counted then. `now` is UTC seconds."""
        meter.tokens = refilled(meter.tokens, meter.at, now, self._rate, self._burst + RESERVED_AT_ONCE)
        meter.at = now
        day = int(now // DAY_S)
        if day != meter.day:
            meter.day, meter.day_count = day, 0
        if meter.day_count >= self._max_per_day + (RESERVED_PER_DAY if is_bind_code else 0):
            return TooFast("messages_per_day", _tell(meter, now))
        if meter.tokens < (1.0 if is_bind_code else 1.0 + RESERVED_AT_ONCE):
            return TooFast("message_rate", _tell(meter, now))
        meter.tokens -= 1.0
        meter.day_count += 1
        return None


def _tell(meter: Meter, now: float) -> bool:
    if meter.told_at is not None and 0 <= now - meter.told_at < TELL_AGAIN_S:
        return False
    meter.told_at = now
    return True
