"""Sharing a device: invitations, the grants that come of them, and when either is good, as pure functions.

The story: an owner makes an invitation, for whoever brings its code or for one named user; it can be accepted until a
first moment. Accepting makes a grant, which lasts until a second moment or until somebody ends it. Both moments are
looked at whenever somebody asks, so nothing depends on a sweeper. A grant is for using the device: whoever holds one
cannot share on, unbind, rename for the owner or reset. It belongs to its
owner's control of the device and ends with it.
"""

from dataclasses import dataclass, field

from quecbind.center.domain import refusal
from quecbind.center.domain.ids import Secret, Uid
from quecbind.center.domain.refusal import Refused

REPLACE, PARALLEL, IF_LONGER = 1, 2, 3
COVER_MARKS = (REPLACE, PARALLEL, IF_LONGER)
CODE_LENGTH = 32
INVITATION_MS = 7 * 24 * 3600 * 1000
MAX_TIME_MS = 253_402_300_799_000  # the last second of the year 9999


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """An invitation, and once it is accepted the grant. All times are UTC milliseconds.

    Attributes:
        member_uid: whom it is for, or who accepted it; None while anybody may who brings the code.
        accepted_at: None while it is an invitation.
        accepting_expires_at: first moment at which it can no longer be accepted.
        sharing_expires_at: first moment at which the grant is over; None: for as long as nobody ends it.

    What has an end counts from the moment it was given on: before that, the clock was set back.
    """

    id: int
    code: Secret = field(repr=False)
    device_id: int
    owner_uid: Uid
    member_uid: Uid | None
    accepted_at: int | None
    cover_mark: int
    accepting_expires_at: int
    sharing_expires_at: int | None
    device_name: str
    created_at: int


@dataclass(frozen=True, slots=True)
class Accept:
    """The user may have it; the grants with these ids give way to it."""

    replaced: tuple[int, ...] = ()


def check_times(accepting: int | None, sharing: int | None, now_ms: int) -> Refused | None:
    """What the two moments of a new invitation are refused for."""
    if accepting is None:
        return Refused(refusal.SHARE_EXPIRY_MISSING)
    if not now_ms < accepting <= MAX_TIME_MS:
        return Refused(refusal.TIMESTAMP_FORMAT)
    if sharing is None:
        return None
    if sharing <= accepting:
        return Refused(refusal.USE_EXPIRY_TOO_EARLY)
    return check_sharing_expiry(sharing, now_ms)


def check_sharing_expiry(sharing: int, now_ms: int) -> Refused | None:
    """What a new end of a grant is refused for: it has to lie ahead."""
    return None if now_ms < sharing <= MAX_TIME_MS else Refused(refusal.TIMESTAMP_FORMAT)


def check_cover_mark(cover_mark: int) -> Refused | None:
    """What a cover mark is refused for: it is 1 replace, 2 in parallel, 3 replace only if it lasts longer."""
    return None if cover_mark in COVER_MARKS else Refused(refusal.COVER_MARK_RANGE)


def accepting_end(sharing: int | None, now_ms: int) -> int:
    """Until when a named user may accept, where the owner names only the end of use: a week, and never beyond that."""
    end = now_ms + INVITATION_MS
    return end if sharing is None else min(end, sharing)


def is_over(share: Share, now_ms: int) -> bool:
    """Whether the time of use has passed."""
    return share.sharing_expires_at is not None and now_ms >= share.sharing_expires_at


def is_past(share: Share, now_ms: int) -> bool:
    """Whether it can come to nothing any more: nobody may use the device by it, nor accept it.

    What counts for nothing because the clock was set back is not past: its owner has to see it to end it.
    """
    return is_over(share, now_ms) or (share.accepted_at is None and now_ms >= share.accepting_expires_at)


def is_pending(share: Share, now_ms: int) -> bool:
    """Whether somebody may still accept it."""
    is_in_time = share.created_at <= now_ms < share.accepting_expires_at
    return share.accepted_at is None and is_in_time and not is_over(share, now_ms)


def is_granted(share: Share, now_ms: int) -> bool:
    """Whether its member may use the device now."""
    if share.accepted_at is None:
        return False
    return share.sharing_expires_at is None or share.accepted_at <= now_ms < share.sharing_expires_at


def prolongs(share: Share, expires: int) -> bool:
    """Whether a grant would last longer with this end."""
    return share.sharing_expires_at is not None and expires > share.sharing_expires_at


def accept(
    share: Share | None, user: Uid, held: tuple[Share, ...], is_owner: bool, now_ms: int, *, is_allowed: bool = True
) -> Accept | Refused:
    """What bringing a share code gets.

    Args:
        share: what the code belongs to; None for a code nobody has given. Whatever can no longer be accepted, is for
            somebody else or was accepted by somebody else is answered alike.
        held: the user's grants of this device.
        is_owner: whether the user owns the device.
        is_allowed: whether its product allows sharing. Only who could accept otherwise learns that it does not.
    """
    if share is None:
        return Refused(refusal.SHARE_CODE_INVALID)
    if share.owner_uid == user:
        return Refused(refusal.OWN_SHARE_CODE)
    if share.accepted_at is not None and share.member_uid == user and is_granted(share, now_ms):
        return Refused(refusal.SHARE_ACCEPTED_ALREADY)
    if not is_pending(share, now_ms) or share.member_uid not in {None, user}:
        return Refused(refusal.SHARE_CODE_INVALID)
    if not is_allowed:
        return Refused(refusal.SHARING_OFF)
    if is_owner:
        return Refused(refusal.ALREADY_BOUND)
    held = tuple(each for each in held if is_granted(each, now_ms))
    if share.cover_mark == PARALLEL:
        return Accept()
    if share.cover_mark == IF_LONGER and any(not _lasts_longer(share, each) for each in held):
        return Refused(refusal.NEW_EXPIRY_TOO_EARLY)
    return Accept(tuple(each.id for each in held))


def _lasts_longer(new: Share, old: Share) -> bool:
    if old.sharing_expires_at is None:
        return False
    return new.sharing_expires_at is None or new.sharing_expires_at > old.sharing_expires_at
