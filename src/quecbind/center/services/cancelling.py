"""The end of an account: its devices are given up, its sessions end, its address is free again; the audit log stays.

Devices are left as an unbind leaves them: nobody resets them, whom they were shared with loses them, and whoever owns
them too gets another auth key. What was shared with the user is given back.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from quecbind.center.domain.audit import AuditEntry
from quecbind.center.domain.ids import ClientId, Secret, client_id
from quecbind.center.services.auth_keys import give_up, renew
from quecbind.center.services.changes import ACCOUNT_CANCELLED, REMOVED, RightChanged, owner_changed
from quecbind.center.services.endings import members_lost, without_right
from quecbind.center.services.records import OwnedRow, User
from quecbind.center.services.rows import Tx
from quecbind.center.services.views import DeviceFilter

_AT_ONCE = 500


@dataclass(slots=True)
class Cancelled:
    """What has to be told once it is committed."""

    rights: list[RightChanged] = field(default_factory=list)
    auth_keys: list[tuple[ClientId, Secret]] = field(default_factory=list)


def cancel(tx: Tx, user: User, draw: Callable[[], Secret], peer: str, now_ms: int) -> Cancelled:
    """End everything `user` has, and the user."""
    cancelled = Cancelled()
    while held := tx.owners.page_held(user.uid, DeviceFilter(), 0, _AT_ONCE, now_ms)[0]:
        for row in held:
            (_give_up if row.owner_uid == user.uid else _leave)(tx, user, row, draw(), cancelled, peer, now_ms)
    tx.shares.delete_of_member(user.uid)
    tx.users.delete(user)
    tx.audit.append(_audit(user, "user.cancelled", peer, now_ms))
    return cancelled


def _give_up(
    tx: Tx, user: User, row: OwnedRow, fresh_key: Secret, cancelled: Cancelled, peer: str, now_ms: int
) -> None:
    keys, device_id = (row.owner.product_key, row.device_key), row.owner.device_id
    members = tx.shares.granted_by(device_id, user.uid)
    auth_key = give_up(tx, device_id, user.uid, fresh_key)
    assert auth_key is not None, "the user owned it a line ago, in the same transaction"
    cancelled.auth_keys.append((client_id(*keys), auth_key))
    cancelled.rights.append(owner_changed(*keys, user.uid, user.user_domain, REMOVED, ACCOUNT_CANCELLED))
    cancelled.rights += members_lost(without_right(tx, members, now_ms), ACCOUNT_CANCELLED)
    tx.audit.append(_audit(user, "owner.unbound", peer, now_ms, *keys))


def _leave(tx: Tx, user: User, row: OwnedRow, fresh_key: Secret, cancelled: Cancelled, peer: str, now_ms: int) -> None:
    keys, device_id = (row.owner.product_key, row.device_key), row.owner.device_id
    left = [member for member in tx.shares.granted_by(device_id) if member.uid == user.uid]
    for share in tx.shares.of_member(device_id, user.uid):
        tx.shares.delete(share.id)
    cancelled.auth_keys.append((client_id(*keys), renew(tx, device_id, fresh_key)))
    cancelled.rights += members_lost(left[:1], ACCOUNT_CANCELLED)
    tx.audit.append(_audit(user, "share.left", peer, now_ms, *keys))


def _audit(
    user: User, action: str, peer: str, now_ms: int, product_key: str | None = None, device_key: str | None = None
) -> AuditEntry:
    return AuditEntry(
        at=now_ms,
        who=f"user {user.uid}",
        action=action,
        product_key=product_key,
        device_key=device_key,
        peer=peer,
        details={"because": "account cancelled"} if device_key else {"user_domain": user.user_domain},
    )
