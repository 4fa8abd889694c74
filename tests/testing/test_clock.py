"""The clock that stands still."""

import pytest

from quecbind.testing.clock import FakeClock


def test_time_stands_still_until_it_is_moved() -> None:
    clock = FakeClock(now=5.0)
    before = clock.monotonic()

    clock.move(2.5)

    assert clock.now() == 7.5
    assert clock.monotonic() - before == 2.5


def test_time_does_not_go_back() -> None:
    with pytest.raises(ValueError, match="go back"):
        FakeClock().move(-1)


def test_setting_the_wall_clock_leaves_the_other_one_alone() -> None:
    clock = FakeClock()
    before = clock.monotonic()

    clock.set(1.0)

    assert (clock.now(), clock.monotonic()) == (1.0, before)


async def test_sleeping_moves_the_clock_and_takes_no_time() -> None:
    clock = FakeClock(now=0.0)

    await clock.sleep(3600)

    assert clock.now() == 3600
