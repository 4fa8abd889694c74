"""When to ping, and when silence means that the connection is dead: the protocol document's rule, on a handed-in clock.

First PINGREQ (keep alive - 20 s) / 2 after CONNACK, later ones every keep alive - 20 s, whatever else is sent. One
that is not answered within 5 s is sent once more; 5 s later the connection is given up.
"""

from quecIot import _retry

PING = "ping"
DEAD = "dead"


class KeepAlive:
    def __init__(self, keep_alive_s: int, now: float) -> None:
        first, self._every_s = _retry.ping_waits(keep_alive_s)
        self._ping_at = now + first
        self._pong_by: "float | None" = None
        self._unanswered_count = 0

    def due_at(self) -> float:
        return self._ping_at if self._pong_by is None else min(self._ping_at, self._pong_by)

    def tick(self, now: float) -> "str | None":
        """PING: send one. DEAD: nobody is there. None: nothing to do."""
        verdict = None
        if now >= self._ping_at:
            self._ping_at += self._every_s
            if self._ping_at <= now:  # a clock that jumped: one ping, not all that were missed
                self._ping_at = now + self._every_s
            if self._pong_by is None:
                verdict = PING
        if self._pong_by is not None and now >= self._pong_by:
            verdict = DEAD if self._unanswered_count >= _retry.PING_SENDS else PING
        if verdict == PING:
            self._unanswered_count += 1
            self._pong_by = now + _retry.PONG_WAIT_S
        return verdict

    def pong(self) -> None:
        self._pong_by = None
        self._unanswered_count = 0
