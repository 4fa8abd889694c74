"""What a user may do with a device now: the one question that every read, write and push asks before it happens.

The answer is read from what is committed, at the moment of asking, and never kept: whoever remembers a right goes on
serving somebody who has lost it.
"""

from dataclasses import dataclass
from typing import Literal

from quecbind.center.domain import sharing
from quecbind.center.domain.ids import ClientId, Uid
from quecbind.center.domain.sharing import Share
from quecbind.center.services.find import row_of
from quecbind.center.services.rows import Tx

Right = Literal["owner", "member"]


@dataclass(frozen=True, slots=True)
class Hold:
    """By what a user has a right: their ownership, or one of the shares they were given."""

    device_id: int
    uid: Uid
    share_id: int | None = None


def right_of(tx: Tx, uid: Uid, client_id: ClientId, now_ms: int) -> Right | None:
    """The right `uid` has to the device at `now_ms` (UTC milliseconds); None when there is none."""
    hold = hold_of(tx, uid, client_id, now_ms)
    if hold is None:
        return None
    return "owner" if hold.share_id is None else "member"


def hold_of(tx: Tx, uid: Uid, client_id: ClientId, now_ms: int) -> Hold | None:
    """By what `uid` has a right to the device at `now_ms`: the share that lasts longest, if it is by shares."""
    device = tx.devices.get(client_id)
    row = row_of(device)
    if tx.owners.get(row, uid) is not None:
        return Hold(row, uid)
    shares = granted(tx, uid, row, now_ms)
    if not shares:
        return None
    longest = max(shares, key=lambda share: share.sharing_expires_at or sharing.MAX_TIME_MS + 1)
    return Hold(row, uid, longest.id)


def still_holds(tx: Tx, hold: Hold, now_ms: int) -> bool:
    """Whether this very ownership or share is still good; another that has come since does not count."""
    if hold.share_id is None:
        return tx.owners.get(hold.device_id, hold.uid) is not None
    return any(share.id == hold.share_id for share in granted(tx, hold.uid, hold.device_id, now_ms))


def granted(tx: Tx, uid: Uid, device_id: int, now_ms: int) -> list[Share]:
    """The shares by which `uid` may use the device at `now_ms`."""
    return [share for share in tx.shares.of_member(device_id, uid) if sharing.is_granted(share, now_ms)]
