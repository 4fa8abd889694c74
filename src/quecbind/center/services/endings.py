"""What is told when rights end: who loses one, owner or member, and why.

A share goes with the owner who gave it, in the same transaction: the database sees to that. Who used the device by it
has to be asked for before, and told after.
"""

from collections.abc import Iterable

from quecbind.center.domain.ids import ClientId, DeviceKey, ProductKey
from quecbind.center.services.changes import ADDED, INVALID, REMOVED, RESET, RightChanged
from quecbind.center.services.records import Member, Owner
from quecbind.center.services.rights import right_of
from quecbind.center.services.rows import Tx


def without_right(tx: Tx, members: Iterable[Member], now_ms: int) -> list[Member]:
    """Those of `members` who have no right to the device any more; somebody may hold two shares of it."""
    return [member for member in members if right_of(tx, member.uid, member.client_id, now_ms) is None]


def owners_lost(
    client_id: ClientId, product_key: ProductKey, device_key: DeviceKey, owners: Iterable[Owner], cause: int
) -> list[RightChanged]:
    """The owners have lost the device."""
    return [
        RightChanged(
            client_id=client_id,
            product_key=product_key,
            device_key=device_key,
            uid=owner.uid,
            user_domain=owner.user_domain,
            right="owner",
            value=INVALID if cause == RESET else REMOVED,
            cause=cause,
        )
        for owner in owners
    ]


def members_lost(members: Iterable[Member], cause: int) -> list[RightChanged]:
    """The members have lost the device."""
    return [_of_member(member, INVALID if cause == RESET else REMOVED, cause) for member in members]


def member_gained(member: Member) -> RightChanged:
    """A user may use the device now."""
    return _of_member(member, ADDED, None)


def _of_member(member: Member, value: int, cause: int | None) -> RightChanged:
    assert value in {ADDED, REMOVED, INVALID}
    return RightChanged(
        client_id=member.client_id,
        product_key=member.product_key,
        device_key=member.device_key,
        uid=member.uid,
        user_domain=member.user_domain,
        right="member",
        value=value,  # type: ignore[arg-type]  # one of the three, as the line above says
        cause=cause,
    )
