"""How many bind codes of BLE-only devices wait to be used, and what is refused or forgotten for it."""

from quecbind.center.domain import refusal
from quecbind.center.domain.ble_codes import LIFE_S, BleCodes
from quecbind.center.domain.ids import ClientId, Secret, Uid
from quecbind.center.domain.limits import Limits

NOW = 1000.0
ANN, BOB = Uid("C1"), Uid("C2")
CODE = Secret("1234567890ABCDEF")


def put(codes: BleCodes, user: Uid, device: str, now: float = NOW) -> int | None:
    refused = codes.put(user, ClientId(device), "r", CODE, now)
    return None if refused is None else refused.code


def take(codes: BleCodes, user: Uid, device: str, now: float = NOW) -> int | None:
    refused = codes.take(user, ClientId(device), "r", CODE, now)
    return None if refused is None else refused.code


def test_one_user_has_no_more_codes_than_the_setting_says() -> None:
    codes = BleCodes(Limits(max_ble_codes_per_user=2))

    assert [put(codes, ANN, device) for device in ("d1", "d2", "d3")] == [None, None, refusal.TOO_MANY_GUESSES]
    assert put(codes, BOB, "d3") is None
    assert put(codes, ANN, "d1") is None
    assert codes.counters["max_ble_codes_per_user"].refused_count == 1
    assert put(codes, ANN, "d3", NOW + LIFE_S) is None


def test_when_all_users_together_have_too_many_the_oldest_code_is_forgotten() -> None:
    codes = BleCodes(Limits(max_ble_codes=2))
    for number, user in enumerate((ANN, BOB, ANN)):
        assert put(codes, user, f"d{number}") is None

    assert [take(codes, ANN, "d0"), take(codes, BOB, "d1"), take(codes, ANN, "d2")] == [
        refusal.BIND_CODE_NOT_REPORTED,
        None,
        None,
    ]
    assert codes.counters["max_ble_codes"].refused_count == 1
