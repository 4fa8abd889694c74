"""Token buckets: bursts, refilling, the day, and clocks that are set back."""

from quecbind.center.domain.rates import RESERVED_AT_ONCE, RESERVED_PER_DAY, MessageRate, Rates, TooFast

NOW = 1_000_000.0 * 86_400  # midnight


def test_a_burst_is_let_through_and_then_only_the_rate() -> None:
    rates = Rates(2, 3)

    assert [rates.take("k", NOW) for _ in range(4)] == [True, True, True, False]
    assert [rates.take("k", NOW + 1) for _ in range(3)] == [True, True, False]
    assert rates.refused_count == 2


def test_keys_do_not_share_a_bucket() -> None:
    rates = Rates(1, 1)

    assert rates.take("a", NOW)
    assert rates.take("b", NOW)
    assert not rates.take("a", NOW)


def test_full_buckets_are_forgotten() -> None:
    rates = Rates(1, 1)
    for number in range(10):
        rates.take(number, NOW)

    for number in range(10):
        rates.take(f"later {number}", NOW + 1)

    assert len(rates) == 10


def test_when_too_many_are_busy_the_oldest_goes() -> None:
    rates = Rates(1, 2, max_keys=2)
    for key in ("a", "b", "c"):
        assert rates.take(key, NOW)

    assert len(rates) == 2


def test_a_clock_that_is_set_back_freezes_nobody_and_gives_nothing() -> None:
    rates = Rates(1, 1)
    rates.take("k", NOW)

    assert not rates.take("k", NOW - 3600)
    assert rates.take("k", NOW - 3599)


def test_a_device_over_its_rate_is_told_once_a_minute() -> None:
    rate = MessageRate(1, 2, 1000)
    meter = rate.meter(NOW)

    assert [rate.take(meter, NOW) for _ in range(4)] == [
        None,
        None,
        TooFast("message_rate", is_told=True),
        TooFast("message_rate", is_told=False),
    ]
    assert [rate.take(meter, NOW + 59) for _ in range(3)] == [None, None, TooFast("message_rate", is_told=False)]
    assert [rate.take(meter, NOW + 61) for _ in range(3)] == [None, None, TooFast("message_rate", is_told=True)]


def test_a_day_is_a_day_of_utc() -> None:
    rate = MessageRate(100, 100, 2)
    meter = rate.meter(NOW)
    rate.take(meter, NOW)
    rate.take(meter, NOW + 86_398)

    assert rate.take(meter, NOW + 86_399) == TooFast("messages_per_day", is_told=True)
    assert rate.take(meter, NOW + 86_400) is None


def test_what_is_refused_is_not_counted() -> None:
    rate = MessageRate(1, 1, 3)
    meter = rate.meter(NOW)
    for _ in range(50):
        rate.take(meter, NOW)

    assert [rate.take(meter, NOW + second) for second in (1, 2, 3)] == [
        None,
        None,
        TooFast("messages_per_day", is_told=False),
    ]


def test_a_meter_survives_a_clock_that_is_set_back() -> None:
    rate = MessageRate(1, 1, 1000)
    meter = rate.meter(NOW)
    rate.take(meter, NOW)
    assert rate.take(meter, NOW) == TooFast("message_rate", is_told=True)

    assert rate.take(meter, NOW - 3600) == TooFast("message_rate", is_told=True)
    assert rate.take(meter, NOW - 3599) is None


def test_what_else_a_device_sends_leaves_room_for_bind_codes() -> None:
    rate = MessageRate(1, 1, 1000)
    meter = rate.meter(NOW)
    for second in range(60):
        rate.take(meter, NOW + second)
        rate.take(meter, NOW + second)

    codes = [rate.take(meter, NOW + 59, is_bind_code=True) for _ in range(RESERVED_AT_ONCE + 1)]

    assert codes == [None] * RESERVED_AT_ONCE + [TooFast("message_rate", is_told=False)]
    # What was used of it comes back before anything else is heard.
    assert rate.take(meter, NOW + 59 + RESERVED_AT_ONCE) is not None
    assert rate.take(meter, NOW + 60 + RESERVED_AT_ONCE) is None


def test_bind_codes_are_heard_after_the_messages_of_the_day_are_used_up() -> None:
    rate = MessageRate(1000, 1000, 2)
    meter = rate.meter(NOW)
    for _ in range(3):
        rate.take(meter, NOW)

    codes = [rate.take(meter, NOW + 1, is_bind_code=True) for _ in range(RESERVED_PER_DAY + 1)]

    assert codes == [None] * RESERVED_PER_DAY + [TooFast("messages_per_day", is_told=False)]
    assert rate.take(meter, NOW + 1) == TooFast("messages_per_day", is_told=False)
