"""This machine's clock and randomness."""

import time

from quecbind.center.system import SystemClock, SystemEntropy


class Hardware:
    """The two clocks of a machine."""

    def __init__(self, monkeypatch) -> None:
        self.wall, self.monotonic = 1_700_000_000.0, 50.0
        monkeypatch.setattr(time, "time", lambda: self.wall)
        monkeypatch.setattr(time, "monotonic", lambda: self.monotonic)

    def pass_time(self, seconds: float) -> None:
        self.wall += seconds
        self.monotonic += seconds


def test_clock_shows_utc() -> None:
    assert abs(SystemClock().now() - time.time()) < 5


def test_clock_goes_on_where_the_wall_clock_is_set_back(monkeypatch) -> None:
    hardware = Hardware(monkeypatch)
    clock = SystemClock()
    before = clock.now()

    hardware.wall -= 86_400
    hardware.pass_time(3)

    assert clock.now() == before + 3


def test_clock_follows_the_wall_clock_ahead_and_does_not_come_back_with_it(monkeypatch) -> None:
    hardware = Hardware(monkeypatch)
    clock = SystemClock()
    before = clock.now()

    hardware.wall += 3600
    ahead = clock.now()
    hardware.wall -= 3600
    hardware.pass_time(1)

    assert ahead == before + 3600
    assert clock.now() == before + 3601


def test_clock_counts_the_time_in_which_the_machine_slept(monkeypatch) -> None:
    hardware = Hardware(monkeypatch)
    clock = SystemClock()
    before = clock.now()

    hardware.wall += 600  # the monotonic clock stands still in sleep

    assert clock.now() == before + 600


def test_randomness_has_the_shape_that_was_asked_for() -> None:
    entropy = SystemEntropy()

    assert len(entropy.text(32)) == 32
    assert entropy.text(200).isalnum()
    assert entropy.digits(200).isdigit()
    assert len(entropy.octets(16)) == 16
    assert entropy.text(32) != entropy.text(32)
