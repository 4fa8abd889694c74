"""This machine's clock and randomness."""

import time

from quecbind.center.system import SystemClock, SystemEntropy


def test_clock_shows_utc_and_does_not_follow_a_step_of_the_wall_clock(monkeypatch) -> None:
    clock = SystemClock()
    real = time.time()
    assert abs(clock.now() - real) < 5

    monkeypatch.setattr(time, "time", lambda: real - 86_400)

    assert abs(clock.now() - real) < 5


def test_randomness_has_the_shape_that_was_asked_for() -> None:
    entropy = SystemEntropy()

    assert len(entropy.text(32)) == 32
    assert entropy.text(200).isalnum()
    assert entropy.digits(200).isdigit()
    assert len(entropy.octets(16)) == 16
    assert entropy.text(32) != entropy.text(32)
