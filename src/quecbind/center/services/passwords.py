"""Users' passwords as argon2id hashes, made and checked in a few threads with a bounded queue.

Checking takes tens of milliseconds of a processor on purpose; the event loop must not pay them, and a flood of sign-ins
must not pile up: past the bound the answer is "try again later".
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from quecbind.center.domain import refusal
from quecbind.center.services.errors import Rejected

T = TypeVar("T")

THREADS = 2
MAX_WAITING = 64

_NO_SALT, _NO_HASH = "A" * 22, "A" * 43  # Base64 of 16 and of 32 zero bytes, the sizes of argon2-cffi


class Passwords:
    """Hashes and checks.

    Args:
        time_cost: argon2 iterations.
        memory_kib: argon2 memory; the defaults follow OWASP's advice for argon2id.
    """

    def __init__(self, time_cost: int = 2, memory_kib: int = 19_456) -> None:
        self._hasher = PasswordHasher(time_cost=time_cost, memory_cost=memory_kib, parallelism=1)
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="quecbind-password")
        self._waiting_count = 0
        # What an unknown user's password is checked against, so that it takes as long as a known one's. Nobody has a
        # password for it: it was never made from one. Written down, so that the first check need not make it.
        self._nobody = f"$argon2id$v=19$m={memory_kib},t={time_cost},p=1${_NO_SALT}${_NO_HASH}"

    async def hash(self, password: str) -> str:
        """What to store for `password`.

        Raises:
            Rejected: 5000, too many are waiting.
        """
        return await self.run(lambda: self._hasher.hash(password))

    async def is_right(self, password_hash: str | None, password: str) -> bool:
        """Whether the password is the one that was hashed; False, as slowly, for a user there is not.

        Raises:
            Rejected: 5000, too many are waiting.
        """
        return await self.run(lambda: self._check(password_hash, password))

    async def run(self, work: Callable[[], T]) -> T:
        """Do something slow in the same threads, under the same bound."""
        if self._waiting_count >= MAX_WAITING:
            raise Rejected(refusal.SERVICE_ERROR, "too many sign-ins at once, try again in a few seconds", 5)
        self._waiting_count += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._pool, work)
        finally:
            self._waiting_count -= 1

    def _check(self, password_hash: str | None, password: str) -> bool:
        try:
            self._hasher.verify(password_hash or self._nobody, password)
        except (VerificationError, InvalidHashError):
            return False
        return password_hash is not None

    def close(self) -> None:
        """End the threads when they have finished what they do."""
        self._pool.shutdown(wait=True, cancel_futures=True)
