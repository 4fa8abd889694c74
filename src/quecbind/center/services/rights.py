"""What a user may do with a device now: the one question that every read, write and push asks before it happens.

The answer is read from what is committed, at the moment of asking, and never kept: whoever remembers a right goes on
serving somebody who has lost it.
"""

from typing import Literal

from quecbind.center.domain import sharing
from quecbind.center.domain.ids import ClientId, Uid
from quecbind.center.services.find import row_of
from quecbind.center.services.rows import Tx

Right = Literal["owner", "member"]


def right_of(tx: Tx, uid: Uid, client_id: ClientId, now_ms: int) -> Right | None:
    """The right `uid` has to the device at `now_ms` (UTC milliseconds); None when there is none."""
    device = tx.devices.get(client_id)
    row = row_of(device)
    if tx.owners.get(row, uid) is not None:
        return "owner"
    is_member = any(sharing.is_granted(share, now_ms) for share in tx.shares.of_member(row, uid))
    return "member" if is_member else None
