"""Which wrong guesses leave an audit entry."""

from quecbind.center.domain.guess_reports import GuessReports
from quecbind.center.domain.limits import Limits

NOW = 1000.0
SPAN = 600


def reports(**limits) -> GuessReports:
    return GuessReports(Limits(guess_window_s=SPAN, **limits))


def test_the_first_guess_at_each_target_is_told_and_told_again_after_the_span() -> None:
    said = reports()

    assert said.tells_wrong("mal", "6.6.6.6", "d1", NOW)
    assert not said.tells_wrong("mal", "6.6.6.6", "d1", NOW + 1)
    assert said.tells_wrong("mal", "6.6.6.6", "d2", NOW + 1)
    assert said.tells_wrong("eve", "6.6.6.6", "d1", NOW + 1)
    assert said.tells_wrong("mal", "6.6.6.6", "d1", NOW + SPAN)


def test_many_accounts_at_one_address_leave_no_more_entries_than_it_has_guesses() -> None:
    said = reports(max_guesses_per_address=3)

    told = [said.tells_wrong(f"u{number}", "2001:db8::1", "d1", NOW) for number in range(9)]

    assert told == [True] * 3 + [False] * 6
    assert said.tells_wrong("u9", "2001:db8:9::1", "d1", NOW)


def test_guesses_from_inside_share_no_address() -> None:
    said = reports(max_guesses_per_address=1)

    assert [said.tells_wrong(user, "", "d1", NOW) for user in ("ann", "bob")] == [True, True]
    assert [said.tells_refused(user, "", NOW) for user in ("ann", "bob")] == [True, True]


def test_a_refusal_is_told_once_for_the_user_and_once_for_the_address() -> None:
    said = reports()

    assert said.tells_refused("mal", "6.6.6.6", NOW)
    assert not said.tells_refused("mal", "7.7.7.7", NOW + 1)
    assert not said.tells_refused("eve", "6.6.6.6", NOW + 1)
    assert said.tells_refused("mal", "6.6.6.6", NOW + SPAN)
