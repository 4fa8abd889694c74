"""Sliding counters, lock-out, and who pays for wrong guesses."""

from quecbind.center.domain.limits import GuessLimits, Limits, LockOut, SignInLimits, SlidingCounter

NOW = 1000.0


def test_limit_is_reached_at_the_limit_and_over_when_the_window_has_slid() -> None:
    counter = SlidingCounter(2, 10)
    counter.add("k", NOW)
    assert counter.retry_after_s("k", NOW) is None

    counter.add("k", NOW + 4)

    assert counter.retry_after_s("k", NOW + 4) == 6
    assert counter.retry_after_s("k", NOW + 9.5) == 1
    assert counter.retry_after_s("k", NOW + 10) is None
    assert counter.count("k", NOW + 10) == 1


def test_keys_do_not_add_up() -> None:
    counter = SlidingCounter(1, 10)
    counter.add("a", NOW)

    assert counter.retry_after_s("b", NOW) is None


def test_quiet_keys_are_forgotten_and_the_quietest_go_first_when_there_are_too_many() -> None:
    counter = SlidingCounter(1, 10, max_keys=2)
    for key in "abc":
        counter.add(key, NOW)

    assert [counter.count(key, NOW) for key in "abc"] == [0, 1, 1]


def test_clock_that_was_set_back_does_not_freeze_for_ever() -> None:
    counter = SlidingCounter(1, 10)
    counter.add("k", NOW)

    assert counter.retry_after_s("k", NOW - 500) is None


def test_lock_out_counts_down_freezes_and_thaws() -> None:
    lock_out = LockOut(5, 1200)
    counts = [lock_out.wrong("ann", NOW + second) for second in range(5)]

    assert counts == [1, 2, 3, 4, 5]
    assert lock_out.frozen_for_s("ann", NOW + 4) == 1200
    assert lock_out.frozen_for_s("ann", NOW + 4 + 1200) is None
    assert lock_out.wrong("ann", NOW + 1300) == 1


def test_right_password_starts_over() -> None:
    lock_out = LockOut(5, 1200)
    lock_out.wrong("ann", NOW)
    lock_out.right("ann")

    assert lock_out.wrong("ann", NOW) == 1


def guesses(**limits) -> GuessLimits:
    return GuessLimits(Limits(**limits))


def test_user_who_guesses_too_much_is_refused_everywhere() -> None:
    limits = guesses(max_guesses_per_user=2)
    for device in ("d1", "d2"):
        limits.add("mal", "1.1.1.1", "p", device, NOW)

    refused = limits.check("mal", "9.9.9.9", "p", "d3", NOW + 1)

    assert refused is not None
    assert (refused.code, refused.retry_after_s) == (8429, 599)


def test_address_that_guesses_too_much_is_refused_for_all_who_guessed() -> None:
    limits = guesses(max_guesses_per_address=2)
    for user in ("m1", "m2"):
        limits.add(user, "1.1.1.1", "p", "d", NOW)

    assert limits.check("m1", "1.1.1.1", "p", "other", NOW) is not None
    assert limits.check("m1", "2.2.2.2", "p", "other", NOW) is None


def test_whoever_shares_an_address_with_guessers_and_never_guessed_is_not_refused() -> None:
    limits = guesses(max_guesses_per_address=2)
    for user in ("m1", "m2", "m3"):
        limits.add(user, "1.1.1.1", "p", "d", NOW)

    assert limits.check("neighbour", "1.1.1.1", "p", "d", NOW) is None


def test_an_ipv6_network_counts_as_one_address() -> None:
    limits = guesses(max_guesses_per_address=2)
    for number in (1, 2):
        limits.add("mal", f"2001:db8::{number}", "p", "d", NOW)

    assert limits.check("mal", "2001:db8::3", "p", "d", NOW) is not None
    assert limits.check("mal", "2001:db8:0:1::3", "p", "d", NOW) is None


def test_strangers_guesses_on_a_device_never_refuse_a_user_who_made_none() -> None:
    limits = guesses(max_guesses_per_device=3, max_guesses_per_product=3)
    for number in range(10):
        limits.add(f"mal{number}", f"1.1.1.{number}", "p", "d", NOW)

    assert limits.check("owner-to-be", "5.5.5.5", "p", "d", NOW) is None
    assert limits.check("mal0", "1.1.1.0", "p", "d", NOW) is not None


def test_who_speaks_for_many_is_counted_on_the_device_alone() -> None:
    limits = guesses(max_guesses_per_user=1, max_guesses_per_address=1, max_guesses_per_device=3)
    for _ in range(3):
        assert limits.check_at("shop", "p", "d", NOW) is None
        limits.add_at("shop", "p", "d", NOW)

    refused = limits.check_at("shop", "p", "d", NOW)

    assert refused is not None
    assert (refused.code, refused.retry_after_s) == (8429, 600)
    assert limits.check_at("shop", "p", "other", NOW) is None
    assert limits.check_at("another shop", "p", "d", NOW) is None
    assert limits.check("ann", "1.1.1.1", "p", "d", NOW) is None


def test_everyone_starts_over_after_the_window() -> None:
    limits = guesses(max_guesses_per_user=1, max_guesses_per_device=1)
    limits.add("mal", "1.1.1.1", "p", "d", NOW)

    assert limits.check("mal", "1.1.1.1", "p", "d", NOW + 600) is None


def test_each_refusal_is_counted_for_the_limit_that_refused() -> None:
    limits = guesses(max_guesses_per_user=1)
    limits.add("mal", "1.1.1.1", "p", "d", NOW)
    limits.check("mal", "1.1.1.1", "p", "d", NOW)
    limits.check("ann", "1.1.1.1", "p", "d", NOW)

    assert {name: counter.refused_count for name, counter in limits.counters.items()} == {
        "max_guesses_per_user": 1,
        "max_guesses_per_address": 0,
        "max_guesses_per_device": 0,
        "max_guesses_per_product": 0,
    }
    assert len(limits.counters["max_guesses_per_address"]) == 1


def sign_ins(**limits) -> SignInLimits:
    return SignInLimits(Limits(**limits), 5, 1200)


def test_wrong_passwords_from_elsewhere_freeze_nobody_here() -> None:
    limits = sign_ins()
    for _ in range(5):
        limits.wrong("ann", "6.6.6.6", NOW)

    frozen = limits.check("ann", "6.6.6.6", NOW)
    assert frozen is not None
    assert (frozen.code, frozen.retry_after_s) == (5147, 1200)
    assert limits.check("ann", "1.1.1.1", NOW) is None


def test_many_addresses_together_freeze_an_account_but_for_where_it_was_used() -> None:
    limits = sign_ins(max_sign_ins_per_account=3)
    limits.right("ann", "1.1.1.1", NOW)
    for number in range(3):
        limits.wrong("ann", f"6.6.6.{number}", NOW)

    frozen = limits.check("ann", "6.6.6.77", NOW)
    assert frozen is not None
    assert frozen.code == 5147
    assert limits.check("ann", "1.1.1.1", NOW) is None
    assert limits.check("bob", "6.6.6.77", NOW) is None


def test_an_address_that_tries_many_accounts_is_frozen_but_for_who_was_there() -> None:
    limits = sign_ins(max_sign_ins_per_address=3)
    limits.right("neighbour", "6.6.6.6", NOW)
    for number in range(3):
        limits.wrong(f"victim {number}", "6.6.6.6", NOW)

    frozen = limits.check("victim 4", "6.6.6.6", NOW)
    assert frozen is not None
    assert frozen.code == 5148
    assert limits.check("neighbour", "6.6.6.6", NOW) is None


def test_five_wrong_passwords_freeze_also_where_the_account_was_used() -> None:
    limits = sign_ins()
    limits.right("ann", "1.1.1.1", NOW)
    for _ in range(5):
        limits.wrong("ann", "1.1.1.1", NOW)

    assert limits.check("ann", "1.1.1.1", NOW) is not None
