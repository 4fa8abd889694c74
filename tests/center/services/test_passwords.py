"""Passwords of users there are not are checked like those of users there are."""

from __future__ import annotations

import argon2
import pytest

from quecbind.center.services.passwords import Passwords


async def test_an_unknown_users_password_is_checked_against_a_hash_of_the_same_cost() -> None:
    passwords = Passwords()
    real = await passwords.hash("secret1!")

    with pytest.raises(argon2.exceptions.VerifyMismatchError):
        argon2.PasswordHasher().verify(passwords._nobody, "secret1!")

    assert argon2.extract_parameters(passwords._nobody) == argon2.extract_parameters(real)
    assert not await passwords.is_right(None, "secret1!")
    assert await passwords.is_right(real, "secret1!")
    passwords.close()
