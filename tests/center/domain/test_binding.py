"""Every row of the bind table (architecture.md), and the order of its checks."""

import pytest

from quecbind.center.domain import refusal
from quecbind.center.domain.binding import (
    AlreadyOwner,
    Bound,
    UsedCode,
    Window,
    bind_by_ble,
    bind_by_code,
    bind_by_device_key,
    bind_by_serial,
    capabilities_of,
    check_code,
    check_name,
    check_serial,
    is_bind_code,
    is_bind_secret,
    is_told_again,
    window_end,
)
from quecbind.center.domain.ids import Secret, Uid
from quecbind.center.domain.refusal import Refused

NOW = 1_700_000_000_000
ANN, BOB = Uid("C1"), Uid("C2")
RIGHT, WRONG = b"right" * 6, b"wrong" * 6
OPEN = Window(RIGHT, NOW + 1, NOW)
OVER = Window(RIGHT, NOW, NOW - 1)


@pytest.mark.parametrize("code", [None, ""])
def test_missing_code_is_refused(code) -> None:
    assert check_code(code) == Refused(5179)


@pytest.mark.parametrize(
    "code",
    [
        "123456789ABCDEF",
        "123456789ABCDEF01",
        "123456789abcdef0",
        "123456789ABCDEFG",
        "1234 6789ABCDEF0",
        "123456789ABCDEF\0",
        "123456789ABCDEF\n",
        "123456789ABCDEF0\n",
        "\uff11" * 16,
        "١" * 16,
    ],
)
def test_malformed_code_is_refused(code) -> None:
    assert check_code(code) == Refused(5213)


def test_code_of_16_hex_digits_is_well_formed() -> None:
    assert check_code("0123456789ABCDEF") is None
    assert is_bind_code("1234567890123456")


@pytest.mark.parametrize(
    ("window", "mac", "owners", "mode", "expected"),
    [
        pytest.param(None, RIGHT, (), "multi", Refused(5460), id="no code on file, or no such device"),
        pytest.param(OVER, RIGHT, (), "multi", Refused(5461), id="window over"),
        pytest.param(OVER, WRONG, (), "multi", Refused(5461), id="window over comes before different"),
        pytest.param(OPEN, WRONG, (), "multi", Refused(5462), id="different"),
        pytest.param(OPEN, WRONG, (BOB,), "single", Refused(5462), id="different comes before single mode"),
        pytest.param(OPEN, RIGHT, (BOB,), "single", Refused(5412), id="owned by another, single"),
        pytest.param(OPEN, RIGHT, (BOB,), "alternate", Bound(leaving=(BOB,)), id="owned by another, alternate"),
        pytest.param(OPEN, RIGHT, (BOB,), "multi", Bound(), id="owned by another, multi"),
        pytest.param(OPEN, RIGHT, (), "single", Bound(), id="match"),
        pytest.param(OPEN, RIGHT, (ANN,), "single", AlreadyOwner(uses_code=True), id="owned by this user"),
        pytest.param(OPEN, RIGHT, (BOB, ANN), "alternate", AlreadyOwner(uses_code=True), id="owned by this user too"),
        pytest.param(None, WRONG, (ANN,), "single", Refused(5460), id="owned by this user, no code on file"),
        pytest.param(OVER, RIGHT, (ANN,), "single", Refused(5461), id="owned by this user, window over"),
        pytest.param(OPEN, WRONG, (BOB, ANN), "multi", Refused(5462), id="owned by this user, another code"),
    ],
)
def test_bringing_a_code(window, mac, owners, mode, expected) -> None:
    assert bind_by_code(window, mac, owners, ANN, mode, NOW) == expected


@pytest.mark.parametrize(
    ("mac", "after_ms", "expected"),
    [
        (RIGHT, 0, AlreadyOwner()),
        (RIGHT, 119_999, AlreadyOwner()),
        (RIGHT, 120_000, Refused(5460)),
        (RIGHT, -1, Refused(5460)),
        (WRONG, 0, Refused(5460)),
    ],
)
def test_owner_may_repeat_the_code_they_brought_for_two_minutes(mac, after_ms, expected) -> None:
    used = UsedCode(RIGHT, NOW)

    assert bind_by_code(None, mac, (ANN,), ANN, "single", NOW + after_ms, used) == expected
    assert bind_by_code(None, mac, (BOB,), ANN, "single", NOW + after_ms, None) == Refused(5460)


@pytest.mark.parametrize(
    ("after_ms", "expected"),
    [(119_999, Bound()), (120_000, Refused(5461)), (120_001, Refused(5461)), (121_000, Refused(5461))],
)
def test_window_of_120_seconds_ends_to_the_millisecond(after_ms, expected) -> None:
    end = window_end(120, NOW)

    assert end is not None
    assert bind_by_code(Window(RIGHT, end, NOW), RIGHT, (), ANN, "multi", NOW + after_ms) == expected


@pytest.mark.parametrize(("now", "expected"), [(NOW, Bound()), (NOW - 1, Refused(5461)), (0, Refused(5461))])
def test_clock_that_is_set_back_before_the_opening_closes_the_window(now, expected) -> None:
    window = Window(RIGHT, NOW + 120_000, NOW)

    assert bind_by_code(window, RIGHT, (), ANN, "multi", now) == expected


def test_zero_seconds_cancel_the_window() -> None:
    assert window_end(0, NOW) is None


def test_longest_window_is_kept_whole() -> None:
    assert window_end(4_294_967_295, NOW) == NOW + 4_294_967_295_000


@pytest.mark.parametrize("seconds", [-1, 4_294_967_296])
def test_window_out_of_range_is_refused(seconds) -> None:
    with pytest.raises(ValueError, match="0 to 4294967295"):
        window_end(seconds, NOW)


USED = Window(RIGHT, NOW + 60_000, NOW)


@pytest.mark.parametrize(
    ("used", "told", "expected"),
    [
        (USED, Window(RIGHT, NOW + 60_000, NOW + 3000), True),
        (USED, Window(RIGHT, NOW + 65_000, NOW + 5001), True),  # seconds are whole, and the frame took its time
        (USED, Window(RIGHT, NOW + 65_001, NOW + 5002), False),  # runs on for longer: set anew
        (USED, Window(RIGHT, NOW + 45_000, NOW + 3000), True),  # the first report was late
        (USED, Window(RIGHT, NOW + 44_999, NOW + 3000), False),  # ends sooner: set anew for a shorter time
        (USED, Window(RIGHT, NOW + 60_001, NOW + 1), False),  # all its time is left: set anew
        (USED, Window(WRONG, NOW + 60_000, NOW + 3000), False),
        (None, Window(RIGHT, NOW + 60_000, NOW + 3000), False),
    ],
)
def test_a_used_window_is_known_when_it_is_told_again(used, told, expected) -> None:
    assert is_told_again(used, told) is expected


@pytest.mark.parametrize(
    ("allowed", "known", "owners", "mode", "expected"),
    [
        (False, True, (), "multi", Refused(5499)),
        (False, True, (ANN,), "multi", Refused(5499)),
        (True, False, (), "multi", Refused(5913)),
        (True, True, (ANN,), "single", AlreadyOwner()),
        (True, True, (BOB,), "single", Refused(5412)),
        (True, True, (BOB,), "alternate", Bound(leaving=(BOB,))),
        (True, True, (), "multi", Bound()),
    ],
)
def test_naming_a_device(allowed, known, owners, mode, expected) -> None:
    assert bind_by_device_key(allowed, known, owners, ANN, mode) == expected


@pytest.mark.parametrize(
    ("allowed", "known", "owners", "mode", "expected"),
    [
        (False, True, (ANN,), "multi", Refused(refusal.SERIAL_BINDING_OFF)),
        (True, False, (), "multi", Refused(refusal.SERIAL_INVALID)),
        (True, True, (ANN,), "single", AlreadyOwner()),
        (True, True, (BOB,), "single", Refused(refusal.SINGLE_MODE)),
        (True, True, (BOB,), "alternate", Bound(leaving=(BOB,))),
        (True, True, (BOB,), "multi", Bound()),
    ],
)
def test_bringing_a_serial_number(allowed, known, owners, mode, expected) -> None:
    assert bind_by_serial(allowed, known, owners, ANN, mode) == expected


@pytest.mark.parametrize("bind", [bind_by_device_key, bind_by_serial])
@pytest.mark.parametrize(
    ("allowed", "owners", "expected"),
    [
        (True, (BOB,), Refused(6040)),
        (True, (ANN, BOB), AlreadyOwner()),
        (True, (), Refused(6040)),
    ],
)
def test_naming_a_device_that_is_shared_with_the_caller(bind, allowed, owners, expected) -> None:
    assert bind(allowed, True, owners, ANN, "multi", is_member=True) == expected
    assert bind(False, True, owners, ANN, "multi", is_member=True).code in {5499, 5327}
    assert bind(True, False, owners, ANN, "multi", is_member=True).code in {5913, 5090}


@pytest.mark.parametrize(
    ("serial", "expected"),
    [
        (None, Refused(refusal.SERIAL_MISSING)),
        ("", Refused(refusal.SERIAL_MISSING)),
        ("S" * 65, Refused(refusal.SERIAL_FORMAT)),
        ("S 1", Refused(refusal.SERIAL_FORMAT)),
        ("S1\n", Refused(refusal.SERIAL_FORMAT)),
        ("S" * 64, None),
        ("Az09._-", None),
    ],
)
def test_what_can_be_a_serial_number(serial, expected) -> None:
    assert check_serial(serial) == expected


@pytest.mark.parametrize(
    ("secret", "expected"),
    [("", False), ("5" * 65, False), ("5" * 64, True), ("Az09", True), ("A_9", False), ("A9\n", False)],
)
def test_what_can_be_a_bind_secret(secret, expected) -> None:
    assert is_bind_secret(secret) is expected


SHOWN, OTHER = Secret("0123456789ABCDEF"), Secret("FEDCBA9876543210")


@pytest.mark.parametrize(
    ("stored", "old", "is_owned", "owners", "mode", "expected"),
    [
        (SHOWN, OTHER, True, (ANN,), "single", AlreadyOwner()),
        (SHOWN, None, True, (BOB, ANN), "alternate", AlreadyOwner()),
        (None, None, False, (), "single", Bound()),
        (SHOWN, OTHER, False, (), "single", Bound()),
        (SHOWN, SHOWN, True, (BOB,), "single", Refused(5412)),
        (SHOWN, OTHER, True, (BOB,), "single", Refused(5412)),
        (SHOWN, SHOWN, True, (BOB,), "alternate", Bound(leaving=(BOB,))),
        (SHOWN, OTHER, True, (BOB,), "alternate", Refused(5009)),
        (SHOWN, None, True, (BOB,), "alternate", Refused(5009)),
        (SHOWN, SHOWN, True, (BOB,), "multi", Bound()),
        (SHOWN, OTHER, True, (BOB,), "multi", Refused(5009)),
        # Owned in another App only: nobody is in the way, but the device must be shown all the same.
        (SHOWN, SHOWN, True, (), "single", Bound()),
        (SHOWN, OTHER, True, (), "single", Refused(5009)),
        (None, None, True, (), "single", Refused(5009)),
    ],
)
def test_bringing_a_new_bind_secret_of_a_ble_only_device(stored, old, is_owned, owners, mode, expected) -> None:
    assert bind_by_ble(stored, old, is_owned, owners, ANN, mode) == expected


@pytest.mark.parametrize(
    ("told", "ble_only", "expected"),
    [
        (None, False, 3),
        (None, True, 4),
        (0, False, 3),
        (0, True, 4),
        (1, True, 1),
        (15, False, 15),
        (16, False, 3),
        (17, False, 1),
        (2**40 + 6, True, 6),
    ],
)
def test_what_a_device_can_talk_over(told, ble_only, expected) -> None:
    assert capabilities_of(told, ble_only=ble_only) == expected


def test_name_may_have_254_characters() -> None:
    assert check_name("n" * 254) is None
    assert check_name("n" * 255) == Refused(refusal.DEVICE_NAME_TOO_LONG)


def test_half_a_surrogate_pair_is_no_name() -> None:
    refused = check_name("lamp \ud800")

    assert refused is not None
    assert refused.code == refusal.INVALID
