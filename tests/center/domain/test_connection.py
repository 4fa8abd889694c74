"""What a "1;" log-in gets."""

import pytest

from quecbind.center.domain.connection import Accepted, Complaint, Denied, LetIn, StartOver, decide_connection
from quecbind.center.domain.ids import Secret


@pytest.mark.parametrize(
    ("state", "right", "replay", "strict", "expected"),
    [
        (None, True, False, False, Denied()),
        ("active", False, False, False, Denied()),
        ("issued", False, False, False, Denied()),
        ("disabled", False, False, False, Denied()),
        ("disabled", True, False, False, Complaint(10431)),
        ("disabled", True, True, True, Complaint(10431)),
        ("active", True, True, True, Complaint(10425)),
        ("active", True, True, False, LetIn(is_first_use=False)),
        ("active", True, False, True, LetIn(is_first_use=False)),
        ("issued", True, False, False, LetIn(is_first_use=True)),
    ],
)
def test_log_in_with_a_device_secret(state, right, replay, strict, expected) -> None:
    decision = decide_connection(state, signature_is_right=right, is_replay=replay, replay_strict=strict)

    assert decision == expected


@pytest.mark.parametrize(
    ("state", "right", "strict", "expected"),
    [
        ("active", True, False, StartOver()),
        ("issued", True, False, StartOver()),
        ("active", False, False, Denied()),
        ("disabled", True, False, Complaint(10431)),
        ("active", True, True, Complaint(10425)),
    ],
)
def test_device_that_owes_a_reset_is_told_so_and_only_if_it_proves_its_secret(state, right, strict, expected) -> None:
    decision = decide_connection(
        state, signature_is_right=right, is_replay=strict, replay_strict=strict, owes_reset=True
    )

    assert decision == expected


def test_verdict_shows_no_secret() -> None:
    verdict = Accepted("entry", b"0123456789abcdef", Secret("device-secret"))

    assert "0123" not in repr(verdict)
    assert "device-secret" not in repr(verdict)
