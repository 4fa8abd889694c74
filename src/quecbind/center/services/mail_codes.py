"""Codes sent by mail: drawn, kept as keyed hashes, checked, and limited against those who guess.

The last two codes of one purpose are good beside each other, so that whoever asks for another one voids none that is
on its way. Wrong ones cost the guesser (`domain.limits.CodeLimits`). How a code gets into a mail is in `accounts`.
"""

import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field

from quecbind.center.domain import accounts, refusal
from quecbind.center.domain.addresses import counted_address
from quecbind.center.domain.ids import Secret
from quecbind.center.domain.limits import CodeLimits, Limits, SlidingCounter, longest_wait_s
from quecbind.center.domain.moment import to_ms
from quecbind.center.domain.refusal import Refused
from quecbind.center.services.errors import Rejected
from quecbind.center.services.ports import Clock, Entropy, Storage
from quecbind.center.services.records import EmailCode
from quecbind.center.services.rows import Tx

Box = tuple[str, str, int]


@dataclass(frozen=True, slots=True)
class Brought:
    """A code that somebody brings.

    Attributes:
        box: user domain, mail address and purpose it is for.
        is_known: whether the account was signed in to from there before.
    """

    box: Box
    mac: bytes = field(repr=False)
    peer: str
    is_known: bool


class MailCodes:
    """Issues codes and looks at those that are brought."""

    def __init__(self, storage: Storage, clock: Clock, entropy: Entropy, limits: Limits) -> None:
        self._storage = storage
        self._clock = clock
        self._entropy = entropy
        self._by_email = SlidingCounter(limits.max_codes_per_email, limits.code_window_s)
        self._by_address = SlidingCounter(limits.max_codes_per_address, limits.code_window_s)
        # Used inside transactions only, where one work runs at a time: codes brought at once all count.
        self._tries = CodeLimits(limits, accounts.CODE_LIFE_MS / 1000)

    @property
    def counters(self) -> Mapping[str, SlidingCounter]:
        """By the names of their settings."""
        return {
            "max_codes_per_email": self._by_email,
            "max_codes_per_address": self._by_address,
            **self._tries.counters,
        }

    async def issue(self, box: Box, peer: str) -> Secret:
        """A new code for this purpose; the one before it stays good for its time.

        Raises:
            Rejected: 5058, codes were asked for too often.
        """
        now = self._clock.now()
        self._count(box[:2], peer, now)
        code = Secret(self._entropy.digits(accounts.CODE_LENGTH))
        stored = EmailCode(code_mac=self._mac(box, code.reveal()), expires_at=to_ms(now) + accounts.CODE_LIFE_MS)

        def work(tx: Tx) -> None:
            tx.users.put_code(*box, stored, to_ms(now))
            self._tries.asked(box, peer, now)

        await self._storage.transact(work)
        return code

    def brought(self, box: Box, code: str, peer: str, *, is_known: bool) -> Brought:
        """What `refused` judges.

        Raises:
            Rejected: 5064 there is none, 5046 it cannot be one.
        """
        if not code:
            raise Rejected(refusal.EMAIL_CODE_MISSING)
        if not code.isascii():
            raise Rejected(refusal.EMAIL_CODE_WRONG)
        return Brought(box, self._mac(box, code), peer, is_known)

    def refused(self, tx: Tx, brought: Brought) -> Refused | None:
        """None when the code is right and may be tried; a wrong one is counted."""
        now = self._clock.now()
        # Both are read whatever comes of it: whether a code was asked for is not to be seen from the time it takes.
        wait_s = self._tries.wait_s(brought.box, brought.peer, now, is_known=brought.is_known)
        is_right = False
        for code in tx.users.codes(*brought.box):
            is_same = hmac.compare_digest(code.code_mac, brought.mac)
            is_right |= is_same and accounts.is_code_in_time(code.expires_at, to_ms(now))
        if wait_s is None and is_right:
            return None
        if wait_s is None:
            self._tries.wrong(brought.box, brought.peer, now)
        return Refused(refusal.EMAIL_CODE_WRONG, wait_s)

    def _count(self, account: tuple[str, str], peer: str, now: float) -> None:
        where = counted_address(peer)
        waits = [self._by_email.retry_after_s(account, now), self._by_address.retry_after_s(where, now)]
        longest = longest_wait_s(waits)
        if longest is not None:
            raise Rejected(refusal.CODES_TOO_OFTEN, retry_after_s=longest)
        self._by_email.add(account, now)
        if peer:
            self._by_address.add(where, now)

    def _mac(self, box: Box, code: str) -> bytes:
        user_domain, email, email_type = box
        return self._storage.mac("email code", user_domain, email, str(email_type), code)
