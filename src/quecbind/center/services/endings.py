"""What is told when rights end: who loses one, owner or member, and why.

A share goes with the owner who gave it, in the same transaction: the database sees to that. Who used the device by it
has to be asked for before, and told after.
"""

from collections.abc import Iterable
from typing import Literal

from quecbind.center.domain.device import Device
from quecbind.center.services.changes import ADDED, INVALID, REMOVED, RESET, RightChanged, owner_changed
from quecbind.center.services.records import Member, Owner
from quecbind.center.services.rights import right_of
from quecbind.center.services.rows import Tx


def without_right(tx: Tx, members: Iterable[Member], now_ms: int) -> list[Member]:
    """Those of `members` who have no right to the device any more; somebody may hold two shares of it."""
    return [member for member in members if right_of(tx, member.uid, member.client_id, now_ms) is None]


def owners_lost(device: Device, owners: Iterable[Owner], cause: int) -> list[RightChanged]:
    """The owners have lost the device."""
    keys, value = (device.product_key, device.device_key), _value(cause)
    return [owner_changed(*keys, owner.uid, owner.user_domain, value, cause) for owner in owners]


def members_lost(members: Iterable[Member], cause: int) -> list[RightChanged]:
    """The members have lost the device; each is told once, however many shares they held."""
    by_member = {(member.uid, member.client_id): member for member in members}
    return [_member_changed(member, _value(cause), cause) for member in by_member.values()]


def member_gained(member: Member) -> RightChanged:
    """A user may use the device now."""
    return _member_changed(member, ADDED, None)


def _value(cause: int) -> Literal[0, 2]:
    return INVALID if cause == RESET else REMOVED


def _member_changed(member: Member, value: Literal[0, 1, 2], cause: int | None) -> RightChanged:
    return RightChanged(
        client_id=member.client_id,
        product_key=member.product_key,
        device_key=member.device_key,
        uid=member.uid,
        user_domain=member.user_domain,
        right="member",
        value=value,
        cause=cause,
    )
