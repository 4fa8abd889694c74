"""Bind codes that were made for BLE-only devices and are still worth something; told the time, bounded in memory.

A code is for one user, one device and the one random it was encrypted with. It is good once, for two minutes, and not
after a restart: the App asks for another.
"""

from collections import OrderedDict
from dataclasses import dataclass

from quecbind.center.domain import refusal
from quecbind.center.domain.ids import ClientId, Secret, Uid
from quecbind.center.domain.limits import Ceiling, Limits
from quecbind.center.domain.refusal import Refused

LIFE_S = 120


@dataclass(frozen=True, slots=True)
class _Made:
    code: Secret
    random: str
    end: float


class BleCodes:
    """What was made and not used. All methods are called from one thread."""

    def __init__(self, limits: Limits) -> None:
        self._in_all = Ceiling(limits.max_ble_codes)
        self._of_one = Ceiling(limits.max_ble_codes_per_user)
        self._made: OrderedDict[tuple[Uid, ClientId], _Made] = OrderedDict()
        self._count_by_user: dict[Uid, int] = {}

    @property
    def counters(self) -> dict[str, Ceiling]:
        """By the names of their settings."""
        return {"max_ble_codes": self._in_all, "max_ble_codes_per_user": self._of_one}

    def put(self, uid: Uid, client_id: ClientId, random: str, code: Secret, now: float) -> Refused | None:
        """Keep a code in place of the one before it; refused when the user has too many of other devices."""
        while self._made and next(iter(self._made.values())).end <= now:
            self._drop(next(iter(self._made)))
        self._drop((uid, client_id))
        count = self._count_by_user.get(uid, 0)
        if not self._of_one.has_room(count):
            return Refused(refusal.TOO_MANY_GUESSES, LIFE_S, "too many bind codes asked for and not used")
        if not self._in_all.has_room(len(self._made)):
            self._drop(next(iter(self._made)))
        self._made[uid, client_id] = _Made(code, random, now + LIFE_S)
        self._count_by_user[uid] = count + 1
        return None

    def take(self, uid: Uid, client_id: ClientId, random: str, code: Secret, now: float) -> Refused | None:
        """Use the code up; refused, and kept, when it is not the one: 5460 none was made, 5461 over, 5462 another."""
        made = self._made.get((uid, client_id))
        if made is None:
            return Refused(refusal.BIND_CODE_NOT_REPORTED)
        if now >= made.end:
            return Refused(refusal.BIND_CODE_EXPIRED)
        is_same = made.code == code
        if not is_same or made.random != random:
            return Refused(refusal.BIND_CODE_DIFFERS)
        self._drop((uid, client_id))
        return None

    def _drop(self, key: tuple[Uid, ClientId]) -> None:
        if self._made.pop(key, None) is None:
            return
        left = self._count_by_user[key[0]] - 1
        if left:
            self._count_by_user[key[0]] = left
        else:
            del self._count_by_user[key[0]]
