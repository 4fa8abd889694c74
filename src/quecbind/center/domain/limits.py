"""How often something may happen: sliding counters that are told the time, and the rule for bind code guesses.

Bounded in memory: keys that have gone quiet are forgotten, and when too many are busy the quietest go first. Reads no
clock and sleeps for nobody.
"""

import math
from collections import OrderedDict, deque
from collections.abc import Hashable
from dataclasses import dataclass

from quecbind.center.domain import refusal
from quecbind.center.domain.refusal import Refused


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The numbers an operator can change. Spans in seconds."""

    guess_window_s: int = 600
    max_guesses_per_user: int = 10
    max_guesses_per_address: int = 50
    max_guesses_per_device: int = 100
    max_guesses_per_product: int = 1000
    sign_in_window_s: int = 1200
    max_sign_ins_per_address: int = 100
    code_window_s: int = 600
    max_codes_per_email: int = 5
    max_codes_per_address: int = 50
    refusal_audit_s: int = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class PushLimits:
    """What one App connection, and all of them, may take."""

    max_push_connections: int = 5_000
    max_push_connections_per_user: int = 10
    max_push_connections_per_address: int = 200
    max_push_subscriptions: int = 200
    max_push_rate: int = 50
    push_queue_size: int = 262_144
    push_log_in_time_s: int = 10


class SlidingCounter:
    """Counts what happened to each key within the last `window_s` seconds."""

    def __init__(self, limit: int, window_s: float, max_keys: int = 100_000) -> None:
        self._limit = limit
        self._window_s = window_s
        self._max_keys = max_keys
        self._times_by_key: OrderedDict[Hashable, deque[float]] = OrderedDict()

    def add(self, key: Hashable, now: float) -> None:
        """It happened once more. Beyond the limit only the latest times are kept: they are the ones that matter."""
        times = self._times_by_key.setdefault(key, deque(maxlen=self._limit))
        times.append(now)
        self._times_by_key.move_to_end(key)
        self._forget(now)

    def count(self, key: Hashable, now: float) -> int:
        """How often it happened within the window, up to the limit."""
        return len(self._current(key, now))

    def retry_after_s(self, key: Hashable, now: float) -> int | None:
        """None while the limit is not reached; else in how many seconds it no longer is (at least 1)."""
        times = self._current(key, now)
        if len(times) < self._limit:
            return None
        return max(1, math.ceil(times[0] + self._window_s - now))

    def clear(self, key: Hashable) -> None:
        """Start this key over."""
        self._times_by_key.pop(key, None)

    def _current(self, key: Hashable, now: float) -> deque[float]:
        times = self._times_by_key.get(key)
        if times is None:
            return deque()
        # A clock that was set back must not keep a time in the future for ever.
        while times and not now - self._window_s < times[0] <= now:
            times.popleft()
        if not times:
            del self._times_by_key[key]
        return times

    def _forget(self, now: float) -> None:
        while self._times_by_key:
            key, times = next(iter(self._times_by_key.items()))
            if len(self._times_by_key) <= self._max_keys and times and now - times[-1] < self._window_s:
                return
            del self._times_by_key[key]


class LockOut:
    """Wrong tries in a row: at the `max_tries`-th the key is frozen for `freeze_s`; a right one starts over."""

    def __init__(self, max_tries: int, freeze_s: float) -> None:
        self._wrong = SlidingCounter(max_tries, freeze_s)
        self._frozen = SlidingCounter(1, freeze_s)
        self._max_tries = max_tries

    def frozen_for_s(self, key: Hashable, now: float) -> int | None:
        """How long the key stays frozen; None when it is not."""
        return self._frozen.retry_after_s(key, now)

    def wrong(self, key: Hashable, now: float) -> int:
        """One more wrong try; how many there were within the span. The last one freezes."""
        self._wrong.add(key, now)
        count = self._wrong.count(key, now)
        if count >= self._max_tries:
            self._frozen.add(key, now)
            self._wrong.clear(key)
        return count

    def right(self, key: Hashable) -> None:
        """Forget the wrong ones."""
        self._wrong.clear(key)


class GuessLimits:
    """Wrong bind codes, counted per user, per address, per device and per product.

    The first two refuse whoever guesses too much. The counts of a device and of a product, to which strangers add, can
    refuse only those who have themselves guessed wrong on that device: its rightful user never pays for others.
    """

    def __init__(self, limits: Limits) -> None:
        span = limits.guess_window_s
        self._by_user = SlidingCounter(limits.max_guesses_per_user, span)
        self._by_address = SlidingCounter(limits.max_guesses_per_address, span)
        self._by_device = SlidingCounter(limits.max_guesses_per_device, span)
        self._by_product = SlidingCounter(limits.max_guesses_per_product, span)
        self._by_user_and_device = SlidingCounter(1, span)

    def check(self, user: str | None, address: str, product_key: str, device: str, now: float) -> Refused | None:
        """None when this user may try a code on this device now, from this address.

        `user` is None where many stand behind one: then the address alone is who guesses.
        """
        waits = [self._by_address.retry_after_s(address, now)]
        if user is not None:
            waits.append(self._by_user.retry_after_s(user, now))
        if self._by_user_and_device.count((user or address, device), now):
            waits += [self._by_device.retry_after_s(device, now), self._by_product.retry_after_s(product_key, now)]
        longest = max((wait for wait in waits if wait is not None), default=None)
        return None if longest is None else Refused(refusal.TOO_MANY_GUESSES, longest)

    def add(self, user: str | None, address: str, product_key: str, device: str, now: float) -> None:
        """This user brought a wrong code for this device."""
        if user is not None:
            self._by_user.add(user, now)
        if address:
            self._by_address.add(address, now)
        self._by_device.add(device, now)
        self._by_product.add(product_key, now)
        self._by_user_and_device.add((user or address, device), now)
