"""Tokens: signed by us, in time, of the right type, however often they come."""

import pytest

from quecbind.center.domain.ids import Uid
from quecbind.center.services import tokens
from quecbind.center.services.tokens import Claims, TokenError, TokenSigner, make_key

NOW = 1_700_000_000.0


@pytest.fixture(scope="module")
def keys():
    return [make_key("new", 2), make_key("old", 1)]


def issue(signer: TokenSigner, now: float = NOW):
    return signer.issue(Uid("C1"), "session", 3, "access", "refresh", now)


def test_token_comes_back_as_its_claims_each_time_it_is_read(keys) -> None:
    signer = TokenSigner(keys)
    pair = issue(signer)

    assert [signer.read(pair.access_token, "AccessToken", NOW) for _ in range(3)] == [
        Claims(Uid("C1"), "session", 3, "access")
    ] * 3


def test_token_that_was_read_before_still_ends(keys) -> None:
    signer = TokenSigner(keys)
    pair = issue(signer)
    signer.read(pair.access_token, "AccessToken", NOW + 7199)

    for late in (7200, 99_999):
        with pytest.raises(TokenError, match="not in time"):
            signer.read(pair.access_token, "AccessToken", NOW + late)


def test_token_from_the_future_is_refused(keys) -> None:
    signer = TokenSigner(keys)

    with pytest.raises(TokenError, match="not in time"):
        signer.read(issue(signer).access_token, "AccessToken", NOW - 121)


def test_token_that_was_read_before_is_still_of_its_type(keys) -> None:
    signer = TokenSigner(keys)
    pair = issue(signer)
    signer.read(pair.refresh_token, "RefreshToken", NOW)

    with pytest.raises(TokenError, match="another type"):
        signer.read(pair.refresh_token, "AccessToken", NOW)


def test_older_key_still_verifies_and_a_strangers_does_not(keys) -> None:
    old = issue(TokenSigner(keys[1:])).access_token
    stranger = issue(TokenSigner([make_key("new", 9)])).access_token
    signer = TokenSigner(keys)

    assert signer.read(old, "AccessToken", NOW).uid == "C1"
    with pytest.raises(TokenError, match="not a token of ours"):
        signer.read(stranger, "AccessToken", NOW)


def test_memory_of_tokens_is_bounded_and_forgets_the_oldest(keys, monkeypatch) -> None:
    monkeypatch.setattr(tokens, "MAX_REMEMBERED", 2)
    signer = TokenSigner(keys)
    for second in range(5):
        signer.read(issue(signer, NOW + second).access_token, "AccessToken", NOW + second)

    assert len(signer._checked) == 2


def test_forged_tokens_are_not_remembered(keys) -> None:
    signer = TokenSigner(keys)
    for forged in ("", "x", "a.b.c", issue(signer).access_token[:-6] + "AAAAAA"):
        with pytest.raises(TokenError):
            signer.read(forged, "AccessToken", NOW)

    assert len(signer._checked) == 0
