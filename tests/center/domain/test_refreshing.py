"""Which refresh token is exchanged, which is answered once more, and which ends its session."""

import pytest

from quecbind.center.domain.refreshing import REPEAT_MS, exchanged_at, judge, session_end

OLD, PRESENT, NEXT, OTHER = b"old", b"present", b"next", b"other"
THEN = 1_700_000_000_123


@pytest.mark.parametrize("later_ms", [0, 1, REPEAT_MS, REPEAT_MS + 1, 2_592_000_000])
def test_the_present_token_is_exchanged_whenever_it_comes(later_ms) -> None:
    assert judge((4, PRESENT), (4, PRESENT), NEXT, THEN, THEN + later_ms) == "exchange"


@pytest.mark.parametrize(
    ("later_ms", "verdict"),
    [(0, "repeat"), (1, "repeat"), (30_000, "repeat"), (30_001, "reused"), (2_592_000_000, "reused"), (-1, "reused")],
)
def test_its_predecessor_is_answered_again_for_thirty_seconds(later_ms, verdict) -> None:
    assert judge((4, PRESENT), (3, OLD), PRESENT, THEN, THEN + later_ms) == verdict


@pytest.mark.parametrize(
    ("brought", "successor"),
    [
        ((2, OLD), OTHER),  # two before the present one: the one between was used
        ((2, OLD), PRESENT),
        ((3, OLD), OTHER),
        ((4, OTHER), NEXT),
        ((4, OLD), PRESENT),
        ((3, PRESENT), NEXT),
        ((5, PRESENT), NEXT),
    ],
)
def test_any_other_token_ends_the_session(brought, successor) -> None:
    assert judge((4, PRESENT), brought, successor, THEN, THEN) == "reused"


def test_the_end_of_a_session_tells_to_the_millisecond_when_its_token_was_given() -> None:
    assert exchanged_at(session_end(THEN)) == THEN
