"""Wrong guesses of whatever can be guessed - bind codes, serial numbers, share codes: counted, refused, written down.

One way for all of them, so that none can be guessed at without a limit or fill the audit log. Called inside a
transaction, in the writer's thread only: there, one work runs at a time, and a thousand guesses at once count as a
thousand.
"""

from collections.abc import Callable
from dataclasses import dataclass

from quecbind.center.domain.audit import AuditEntry
from quecbind.center.domain.guess_reports import GuessReports
from quecbind.center.domain.limits import GuessLimits, Limits, SlidingCounter
from quecbind.center.domain.refusal import Refused
from quecbind.center.services.rows import Tx


@dataclass(frozen=True, slots=True, kw_only=True)
class Guess:
    """Who tries what.

    Attributes:
        user: who guesses, or who speaks for many that do.
        product_key: of the device it is about; empty, as is `target`, where a guess is about no device.
        audit: the entry that it leaves, given the result.
    """

    user: str
    address: str
    product_key: str = ""
    target: str = ""
    audit: Callable[[str], AuditEntry]


class Guesses:
    """Counts guesses of one kind."""

    def __init__(self, limits: Limits) -> None:
        self._limits = GuessLimits(limits)
        self._reports = GuessReports(limits)

    @property
    def counters(self) -> dict[str, SlidingCounter]:
        """By the names of their settings."""
        return self._limits.counters

    def refused(self, tx: Tx, guess: Guess, now: float) -> Refused | None:
        """None when this may be tried now."""
        refused = self._limits.check(guess.user, guess.address, guess.product_key, guess.target, now)
        if refused is not None and self._reports.tells_refused(guess.user, guess.address, now):
            tx.audit.append(guess.audit(f"refused {refused.code}"))
        return refused

    def wrong_of_many(self, tx: Tx, guess: Guess, refused: Refused, now: float) -> Refused:
        """It was wrong, and comes from one who speaks for many; gives what it is refused for.

        A right one of theirs is refused by no count: whoever brought it need not have been wrong before.
        """
        too_many = self._limits.check_at(guess.user, guess.product_key, guess.target, now)
        if too_many is None:
            self._limits.add_at(guess.user, guess.product_key, guess.target, now)
            is_told = self._reports.tells_wrong(guess.user, guess.address, guess.target, now)
        else:
            is_told = self._reports.tells_refused(guess.user, guess.address, now)
        refused = too_many or refused
        if is_told:
            tx.audit.append(guess.audit(f"refused {refused.code}"))
        return refused

    def wrong(self, tx: Tx, guess: Guess, refused: Refused, now: float) -> None:
        """It was tried and was wrong."""
        self._limits.add(guess.user, guess.address, guess.product_key, guess.target, now)
        if self._reports.tells_wrong(guess.user, guess.address, guess.target, now):
            tx.audit.append(guess.audit(f"refused {refused.code}"))
