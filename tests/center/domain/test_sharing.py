"""When an invitation and a grant are good, as a table of moments and people."""

import pytest

from quecbind.center.domain import refusal, sharing
from quecbind.center.domain.ids import Secret, Uid
from quecbind.center.domain.refusal import Refused
from quecbind.center.domain.sharing import Accept, Share

NOW = 1_000_000
OWNER, ANN, BOB = Uid("C1"), Uid("C2"), Uid("C3")


def share(**changes) -> Share:
    values = {
        "id": 1,
        "code": Secret("x"),
        "device_id": 1,
        "owner_uid": OWNER,
        "member_uid": None,
        "accepted_at": None,
        "cover_mark": sharing.REPLACE,
        "accepting_expires_at": NOW + 10,
        "sharing_expires_at": NOW + 100,
        "device_name": "lamp",
        "created_at": 0,
    }
    return Share(**{**values, **changes})


def granted(**changes) -> Share:
    return share(**{"id": 9, "member_uid": ANN, "accepted_at": NOW - 5, **changes})


def accept(offer: Share | None, user: Uid = ANN, held: tuple[Share, ...] = (), *, is_owner=False, now=NOW, **more):
    decision = sharing.accept(offer, user, held, is_owner, now, **more)
    return decision.code if isinstance(decision, Refused) else decision


@pytest.mark.parametrize(
    ("accepting", "expires", "code"),
    [
        (NOW + 1, None, None),
        (NOW + 1, NOW + 2, None),
        (None, None, refusal.SHARE_EXPIRY_MISSING),
        (NOW, None, refusal.TIMESTAMP_FORMAT),
        (-1, None, refusal.TIMESTAMP_FORMAT),
        (sharing.MAX_TIME_MS + 1, None, refusal.TIMESTAMP_FORMAT),
        (NOW + 2, NOW + 2, refusal.USE_EXPIRY_TOO_EARLY),
        (NOW + 2, NOW + 1, refusal.USE_EXPIRY_TOO_EARLY),
        (NOW + 2, sharing.MAX_TIME_MS + 1, refusal.TIMESTAMP_FORMAT),
    ],
)
def test_the_two_moments_of_an_invitation(accepting, expires, code):
    refused = sharing.check_times(accepting, expires, NOW)

    assert (None if refused is None else refused.code) == code


@pytest.mark.parametrize(("mark", "is_fine"), [(1, True), (2, True), (3, True), (0, False), (4, False), (-1, False)])
def test_a_cover_mark_is_1_to_3(mark, is_fine):
    assert (sharing.check_cover_mark(mark) is None) is is_fine


@pytest.mark.parametrize(
    ("offer", "user", "answer"),
    [
        (share(), ANN, Accept()),
        (share(member_uid=ANN), ANN, Accept()),
        (None, ANN, refusal.SHARE_CODE_INVALID),
        (share(), OWNER, refusal.OWN_SHARE_CODE),
        (share(member_uid=BOB), ANN, refusal.SHARE_CODE_INVALID),
        (share(member_uid=Uid("")), ANN, refusal.SHARE_CODE_INVALID),
        (granted(), ANN, refusal.SHARE_ACCEPTED_ALREADY),
        (granted(), BOB, refusal.SHARE_CODE_INVALID),
    ],
)
def test_who_may_accept(offer, user, answer):
    assert accept(offer, user) == answer


@pytest.mark.parametrize(
    ("offer", "user", "answer"),
    [
        (share(), ANN, refusal.SHARING_OFF),
        (share(member_uid=ANN), ANN, refusal.SHARING_OFF),
        (share(member_uid=BOB), ANN, refusal.SHARE_CODE_INVALID),
        (share(accepting_expires_at=NOW), ANN, refusal.SHARE_CODE_INVALID),
        (None, ANN, refusal.SHARE_CODE_INVALID),
        (share(), OWNER, refusal.OWN_SHARE_CODE),
        (granted(), ANN, refusal.SHARE_ACCEPTED_ALREADY),
    ],
)
def test_that_a_product_forbids_sharing_is_told_to_who_could_accept_and_to_nobody_else(offer, user, answer):
    assert accept(offer, user, is_allowed=False) == answer


@pytest.mark.parametrize(
    ("old", "new", "is_longer"),
    [(NOW + 5, NOW + 6, True), (NOW + 5, NOW + 5, False), (NOW + 5, NOW + 4, False), (None, NOW + 6, False)],
)
def test_a_later_end_prolongs(old, new, is_longer):
    assert sharing.prolongs(granted(sharing_expires_at=old), new) is is_longer


@pytest.mark.parametrize(("now", "answer"), [(NOW + 9, Accept()), (NOW + 10, refusal.SHARE_CODE_INVALID)])
def test_an_invitation_ends_at_its_moment(now, answer):
    assert accept(share(), now=now) == answer


def test_an_invitation_whose_use_is_over_cannot_be_accepted():
    assert accept(share(accepting_expires_at=NOW + 10, sharing_expires_at=NOW)) == refusal.SHARE_CODE_INVALID


def test_an_owner_needs_no_share():
    assert accept(share(), is_owner=True) == refusal.ALREADY_BOUND


@pytest.mark.parametrize(
    ("mark", "new_end", "old_end", "answer"),
    [
        (sharing.REPLACE, NOW + 100, NOW + 200, Accept((9,))),
        (sharing.PARALLEL, NOW + 100, NOW + 200, Accept()),
        (sharing.IF_LONGER, NOW + 200, NOW + 100, Accept((9,))),
        (sharing.IF_LONGER, None, NOW + 100, Accept((9,))),
        (sharing.IF_LONGER, NOW + 100, NOW + 100, refusal.NEW_EXPIRY_TOO_EARLY),
        (sharing.IF_LONGER, NOW + 100, None, refusal.NEW_EXPIRY_TOO_EARLY),
        (sharing.IF_LONGER, None, None, refusal.NEW_EXPIRY_TOO_EARLY),
        (sharing.IF_LONGER, NOW + 100, NOW, Accept()),
    ],
)
def test_what_becomes_of_a_grant_one_holds(mark, new_end, old_end, answer):
    offer = share(cover_mark=mark, sharing_expires_at=new_end)

    assert accept(offer, held=(granted(sharing_expires_at=old_end),)) == answer


@pytest.mark.parametrize(("end", "now", "is_good"), [(NOW, NOW - 1, True), (NOW, NOW, False), (None, 10**15, True)])
def test_a_grant_is_good_until_its_moment(end, now, is_good):
    assert sharing.is_granted(granted(sharing_expires_at=end), now) is is_good


def test_a_clock_before_the_acceptance_gives_no_grant_that_has_an_end():
    assert sharing.is_granted(granted(accepted_at=NOW), NOW)
    assert not sharing.is_granted(granted(accepted_at=NOW), NOW - 1)
    assert sharing.is_granted(granted(accepted_at=NOW, sharing_expires_at=None), NOW - 1)


def test_a_clock_before_the_invitation_lets_nobody_accept_it():
    assert accept(share(created_at=NOW), now=NOW) == Accept()
    assert accept(share(created_at=NOW), now=NOW - 1) == refusal.SHARE_CODE_INVALID


def test_an_invitation_is_no_grant():
    assert not sharing.is_granted(share(), NOW)


def test_a_named_user_has_a_week_and_never_longer_than_the_use():
    assert sharing.accepting_end(None, NOW) == NOW + sharing.INVITATION_MS
    assert sharing.accepting_end(NOW + 5, NOW) == NOW + 5
