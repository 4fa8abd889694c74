"""Errors an App can show."""

import pytest

from quecbind.app import errors


@pytest.mark.parametrize("code", sorted(errors._HELP_BY_CODE))
def test_every_help_is_a_sentence(code: int) -> None:
    sentence = errors.RefusedError(code, "").help

    assert sentence[0].isupper()
    assert sentence.endswith(".")
    assert len(sentence) < 100


def test_a_number_nobody_knows_still_has_a_help() -> None:
    error = errors.RefusedError(9999, "platform text")

    assert error.help
    assert str(error) == "platform text (platform error 9999)"


def test_pairing_errors_carry_the_vendors_numbers() -> None:
    assert errors.NoBindCodeError("no code").code == 304
    assert errors.NothingFoundError("nobody").code == 306


def test_one_root_catches_everything() -> None:
    for error in (
        errors.RefusedError(1, ""),
        errors.UnreachableError("a", "b"),
        errors.AnswerError("a", "b"),
        errors.PairingError("c"),
    ):
        assert isinstance(error, errors.AppError)
        assert error.help
