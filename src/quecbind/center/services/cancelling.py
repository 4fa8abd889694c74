"""The end of an account: its devices are given up, its sessions end, its address is free again; the audit log stays.

Devices are left as an unbind leaves them: nobody resets them, and whoever owns them too gets another auth key.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from quecbind.center.domain.audit import AuditEntry
from quecbind.center.domain.ids import ClientId, Secret, client_id
from quecbind.center.services.auth_keys import give_up
from quecbind.center.services.changes import ACCOUNT_CANCELLED, REMOVED, RightChanged, owner_changed
from quecbind.center.services.records import User
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
    while owned := tx.owners.page_owned(user.uid, DeviceFilter(), 0, _AT_ONCE)[0]:
        for row in owned:
            product_key, device_key = row.owner.product_key, row.device_key
            auth_key = give_up(tx, row.owner.device_id, user.uid, draw())
            assert auth_key is not None, "the user owned it a line ago, in the same transaction"
            cancelled.auth_keys.append((client_id(product_key, device_key), auth_key))
            cancelled.rights.append(
                owner_changed(product_key, device_key, user.uid, user.user_domain, REMOVED, ACCOUNT_CANCELLED)
            )
            tx.audit.append(_audit(user, "owner.unbound", peer, now_ms, product_key, device_key))
    tx.users.delete(user)
    tx.audit.append(_audit(user, "user.cancelled", peer, now_ms))
    return cancelled


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
