"""What a refresh token gets: the pair that follows it, the same pair once more, or the end of its session.

An App that asks twice at once, or never hears the answer, brings a token that is used up; so does a thief. They cannot
be told apart, but for time: the predecessor of the present token is answered once more for a short while, and only
while nobody has gone on with the present one. Pure; what is signed and stored is decided elsewhere.
"""

import hmac
from typing import Literal

from quecbind.center.domain.accounts import REFRESH_LIFE_S

REPEAT_MS = 30_000

Verdict = Literal["exchange", "repeat", "reused"]


def session_end(exchanged_at_ms: int) -> int:
    """When a session is over whose refresh token was given at this moment."""
    return exchanged_at_ms + REFRESH_LIFE_S * 1000


def exchanged_at(session_end_ms: int) -> int:
    """When the present refresh token was given, by the end of its session."""
    return session_end_ms - REFRESH_LIFE_S * 1000


def judge(
    present: tuple[int, bytes], brought: tuple[int, bytes], successor_mac: bytes, exchanged_at_ms: int, now_ms: int
) -> Verdict:
    """What a token of a session that lives gets.

    Args:
        present: rotation and keyed hash of the refresh token that is good now.
        brought: those of the one that is brought.
        successor_mac: keyed hash of the token that follows the one that is brought, and no other.
        exchanged_at_ms: when the present one was given.
        now_ms: UTC milliseconds.
    """
    rotation, mac = present
    is_present = hmac.compare_digest(mac, brought[1])
    is_followed = hmac.compare_digest(mac, successor_mac)
    if is_present and brought[0] == rotation:
        return "exchange"
    if is_followed and brought[0] + 1 == rotation and 0 <= now_ms - exchanged_at_ms <= REPEAT_MS:
        return "repeat"
    return "reused"
