"""How often something may happen: sliding counters that are told the time, and the rules for what can be guessed.

One principle for all that is guessed: counts to which strangers add must not refuse its rightful user. Wrong bind
codes of others refuse only users who have brought a wrong one too; wrong passwords and mail codes of others, only
addresses from which nobody has signed in to the account before.

Bounded in memory: keys that have gone quiet are forgotten, and when too many are busy the quietest go first. Reads no
clock and sleeps for nobody.
"""

import math
from collections import OrderedDict, deque
from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from typing import Protocol

from quecbind.center.domain import refusal
from quecbind.center.domain.accounts import REGISTER
from quecbind.center.domain.addresses import counted_address
from quecbind.center.domain.refusal import Refused


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The numbers an operator can change. Spans in seconds."""

    guess_window_s: int = 600
    max_guesses_per_user: int = 10
    max_guesses_per_address: int = 50
    max_guesses_per_device: int = 100
    max_guesses_per_product: int = 1000
    max_pending_shares: int = 20
    max_pending_shares_per_owner: int = 200
    max_shares_per_member: int = 10
    max_shares_per_device: int = 200
    max_ble_codes: int = 10_000
    max_ble_codes_per_user: int = 20
    sign_in_window_s: int = 1200
    max_sign_ins_per_address: int = 100
    max_sign_ins_per_account: int = 100
    code_window_s: int = 600
    max_codes_per_email: int = 5
    max_codes_per_address: int = 50
    max_wrong_codes_per_guesser: int = 5
    wrong_code_window_s: int = 86_400
    max_wrong_codes_per_email: int = 50
    max_wrong_codes_per_address: int = 50
    change_rate_per_user: int = 20
    change_burst_per_user: int = 10_000
    refusal_audit_s: int = 60
    log_in_rate_per_address: int = 2_000
    log_in_burst_per_address: int = 20_000
    failed_log_in_window_s: int = 600
    max_failed_log_ins_per_device: int = 60
    max_failed_log_ins_per_address: int = 3_000
    enrolment_window_s: int = 3_600
    max_enrolments_per_product: int = 10_000
    max_enrolments_per_address: int = 5_000
    max_control_devices: int = 100
    max_control_size: int = 8_192
    max_queued_per_device: int = 100
    max_queued_per_user: int = 1_000


class Counted(Protocol):
    """What can be shown of any limit: how many keys it counts now, and how often it refused."""

    @property
    def refused_count(self) -> int: ...
    def __len__(self) -> int: ...


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


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryLimits:
    """How much is kept of what devices reported: for so many days (0: none), and so many reports of one device."""

    history_days: int = 7
    max_history_rows: int = 2_000


class Ceiling:
    """How many of something there may be at one time; whoever asks counts them.

    Attributes:
        refused_count: how often there were too many.
    """

    def __init__(self, limit: int) -> None:
        self.refused_count = 0
        self._limit = limit

    def __len__(self) -> int:
        """It counts no keys of its own."""
        return 0

    def has_room(self, count: int) -> bool:
        """Whether one more may be added to `count`."""
        return self.fits(count + 1)

    def fits(self, count: int) -> bool:
        """Whether there may be that many."""
        if count <= self._limit:
            return True
        self.refused_count += 1
        return False


class SlidingCounter:
    """Counts what happened to each key within the last `window_s` seconds.

    Attributes:
        refused_count: how often `retry_after_s` said to wait.
    """

    def __init__(self, limit: int, window_s: float, max_keys: int = 100_000) -> None:
        self.refused_count = 0
        self._limit = limit
        self._window_s = window_s
        self._max_keys = max_keys
        self._times_by_key: OrderedDict[Hashable, deque[float]] = OrderedDict()

    def __len__(self) -> int:
        """How many keys are being counted."""
        return len(self._times_by_key)

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
        self.refused_count += 1
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

    @property
    def refused_count(self) -> int:
        """How often a frozen key came again."""
        return self._frozen.refused_count

    def __len__(self) -> int:
        """How many keys are frozen or on the way there."""
        return len(self._wrong) + len(self._frozen)

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
        """Forget the wrong ones, and the freeze they made."""
        self._wrong.clear(key)
        self._frozen.clear(key)


class GuessLimits:
    """Wrong codes, counted per user, per address and, where they are about a device, per device and per product.

    The count of a user refuses that user. The others are shared with strangers and refuse only users who have guessed
    wrong themselves: on that device, or, for the count of an address, on any. Whoever speaks for many users is counted
    per device only, and refused only where they are wrong.
    """

    def __init__(self, limits: Limits) -> None:
        span = limits.guess_window_s
        self._by_user = SlidingCounter(limits.max_guesses_per_user, span)
        self._by_address = SlidingCounter(limits.max_guesses_per_address, span)
        self._by_device = SlidingCounter(limits.max_guesses_per_device, span)
        self._by_product = SlidingCounter(limits.max_guesses_per_product, span)
        self._by_user_and_device = SlidingCounter(1, span)

    @property
    def counters(self) -> dict[str, SlidingCounter]:
        """By the names of their settings."""
        return {
            "max_guesses_per_user": self._by_user,
            "max_guesses_per_address": self._by_address,
            "max_guesses_per_device": self._by_device,
            "max_guesses_per_product": self._by_product,
        }

    def check(self, user: str, address: str, product_key: str, device: str, now: float) -> Refused | None:
        """None when this user may try a code on this device now, from this address.

        `device` is empty where a code is about none.
        """
        waits = [self._by_user.retry_after_s(user, now)]
        if self._by_user.count(user, now):
            waits.append(self._by_address.retry_after_s(counted_address(address), now))
        return _too_many([*waits, *self._waits_at(user, product_key, device, now)])

    def check_at(self, who: str, product_key: str, device: str, now: float) -> Refused | None:
        """None when one who speaks for many may be told that this code for this device is wrong."""
        return _too_many(self._waits_at(who, product_key, device, now))

    def add(self, user: str, address: str, product_key: str, device: str, now: float) -> None:
        """This user brought a wrong code for this device."""
        self._by_user.add(user, now)
        if address:
            self._by_address.add(counted_address(address), now)
        if device:
            self.add_at(user, product_key, device, now)

    def add_at(self, who: str, product_key: str, device: str, now: float) -> None:
        """A wrong code for this device; counted for nothing else."""
        self._by_device.add(device, now)
        self._by_product.add(product_key, now)
        self._by_user_and_device.add((who, device), now)

    def _waits_at(self, who: str, product_key: str, device: str, now: float) -> list[int | None]:
        if not device or not self._by_user_and_device.count((who, device), now):
            return []
        return [self._by_device.retry_after_s(device, now), self._by_product.retry_after_s(product_key, now)]


class CodeLimits:
    """Wrong mail codes: for one purpose of a mail address from one address, from all of them, and of one for all.

    The first count is the guesser's own and refuses them. To the others strangers add, elsewhere or behind the same
    address: they refuse nobody where the account was signed in to before; where there is no account yet, nobody who has
    asked for the code.
    """

    def __init__(self, limits: Limits, code_life_s: float) -> None:
        self._by_guesser = SlidingCounter(limits.max_wrong_codes_per_guesser, limits.code_window_s)
        self._by_email = SlidingCounter(limits.max_wrong_codes_per_email, limits.wrong_code_window_s)
        self._by_address = SlidingCounter(limits.max_wrong_codes_per_address, limits.wrong_code_window_s)
        self._asked = SlidingCounter(1, code_life_s)

    @property
    def counters(self) -> dict[str, SlidingCounter]:
        """By the names of their settings."""
        return {
            "max_wrong_codes_per_guesser": self._by_guesser,
            "max_wrong_codes_per_email": self._by_email,
            "max_wrong_codes_per_address": self._by_address,
        }

    def asked(self, box: tuple[str, str, int], address: str, now: float) -> None:
        """A code for this purpose was asked for from there."""
        self._asked.add((box, counted_address(address)), now)

    def wait_s(self, box: tuple[str, str, int], address: str, now: float, *, is_known: bool) -> int | None:
        """None when a code may be tried now from there; else how long not.

        Whoever asks for a code is no better known by it where there is an account to be taken.
        """
        where = counted_address(address)
        here = (box, where)
        waits = [self._by_guesser.retry_after_s(here, now)]
        has_asked = box[2] == REGISTER and self._asked.count(here, now) > 0
        if not is_known and not has_asked:
            waits += [self._by_email.retry_after_s(box, now), self._by_address.retry_after_s(where, now)]
        return longest_wait_s(waits)

    def wrong(self, box: tuple[str, str, int], address: str, now: float) -> None:
        """A wrong one came from there."""
        where = counted_address(address)
        self._by_guesser.add((box, where), now)
        self._by_email.add(box, now)
        if where:
            self._by_address.add(where, now)


class SignInLimits:
    """Wrong passwords, counted per account and address, per address, and per account over all addresses.

    Five in a row from one address freeze the account there (5147), and there only: a stranger elsewhere shuts nobody
    out. The counts of an account (5147) and of an address (5148) refuse accounts at addresses from which nobody has
    signed in to them within the last month; whoever was there before is not shut out by neighbours or by a crowd.
    """

    _REMEMBERED_S = 30 * 86_400

    def __init__(self, limits: Limits, max_tries: int, freeze_s: int) -> None:
        self._here = LockOut(max_tries, freeze_s)
        self._by_account = SlidingCounter(limits.max_sign_ins_per_account, limits.sign_in_window_s)
        self._by_address = SlidingCounter(limits.max_sign_ins_per_address, limits.sign_in_window_s)
        self._known = SlidingCounter(1, self._REMEMBERED_S)

    @property
    def counters(self) -> "dict[str, SlidingCounter | LockOut]":
        """By the names of their settings; the five tries have none."""
        return {
            "sign_in_tries": self._here,
            "max_sign_ins_per_account": self._by_account,
            "max_sign_ins_per_address": self._by_address,
        }

    def is_known(self, account: Hashable, address: str, now: float) -> bool:
        """Whether somebody has signed in to the account from there within the last month."""
        return self._known.count((account, counted_address(address)), now) > 0

    def check(self, account: Hashable, address: str, now: float) -> Refused | None:
        """None when a password for this account is looked at now, from this address."""
        where = counted_address(address)
        here = (account, where)
        is_known = self.is_known(account, address, now)
        wait_s = self._by_address.retry_after_s(where, now) if where and not is_known else None
        if wait_s is not None:
            return Refused(refusal.ADDRESS_FROZEN, wait_s)
        waits = [self._here.frozen_for_s(here, now)]
        if not is_known:
            waits.append(self._by_account.retry_after_s(account, now))
        longest = longest_wait_s(waits)
        return None if longest is None else Refused(refusal.ACCOUNT_FROZEN, longest)

    def wrong(self, account: Hashable, address: str, now: float) -> int:
        """A wrong password; gives how many there were in a row from there."""
        where = counted_address(address)
        here = (account, where)
        if where:
            self._by_address.add(where, now)
        self._by_account.add(account, now)
        return self._here.wrong(here, now)

    def right(self, account: Hashable, address: str, now: float) -> None:
        """The right one, or a code from its mailbox: it may be used from there from now on whatever others do."""
        here = (account, counted_address(address))
        self._here.right(here)
        self._known.add(here, now)


def _too_many(waits: Iterable[int | None]) -> Refused | None:
    longest = longest_wait_s(waits)
    return None if longest is None else Refused(refusal.TOO_MANY_GUESSES, longest)


def longest_wait_s(waits: Iterable[int | None]) -> int | None:
    """The longest of several waits; None when there is none."""
    return max((wait for wait in waits if wait is not None), default=None)
