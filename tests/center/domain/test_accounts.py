"""What an address, a password and a profile may look like, and what wrong passwords get."""

import pytest

from quecbind.center.domain import accounts


@pytest.mark.parametrize(
    ("email", "code"),
    [
        (None, 5026),
        ("", 5026),
        ("ann", 5040),
        ("ann@", 5040),
        ("@example.com", 5040),
        ("ann@example", 5040),
        ("ann@exa mple.com", 5040),
        ("ann@example.com\n.evil", 5040),
        ("ann..b@example.com", 5040),
        ("ann@-example.com", 5040),
        ("änn@example.com", 5040),
        ("a" * 65 + "@example.com", 5040),
        ("ann@example.com,bob@example.com", 5040),
    ],
)
def test_address_is_refused(email, code) -> None:
    refused = accounts.check_email(email)

    assert refused is not None
    assert refused.code == code


@pytest.mark.parametrize("email", ["ann@example.com", " Ann.B+x@Mail.Example.COM ", "a@b.io"])
def test_address_is_accepted(email) -> None:
    assert accounts.check_email(email) is None


def test_address_has_one_spelling() -> None:
    assert accounts.normal_email(" Ann@Example.COM ") == "ann@example.com"


@pytest.mark.parametrize("password", ["12345", "x" * 21, "pass word", "passwörd", "tab\tword", ""])
def test_password_is_refused(password) -> None:
    refused = accounts.check_password(password)

    assert refused is not None
    assert refused.code == 5056


@pytest.mark.parametrize("password", ["123456", "x" * 20, "p@$$-w0rd!"])
def test_password_is_accepted(password) -> None:
    assert accounts.check_password(password) is None


def test_profile_names_the_field_that_is_wrong() -> None:
    long = "x" * 65
    refused = [
        accounts.check_profile(*fields) for fields in ((long, "", ""), ("", long, ""), ("", "", long), ("de", "", "49"))
    ]

    assert [None if one is None else one.code for one in refused] == [5173, 5171, 5172, None]


def test_wrong_passwords_count_down_and_freeze() -> None:
    assert [accounts.wrong_password(count).code for count in range(1, 7)] == [5586, 5585, 5584, 5583, 5147, 5147]
    assert accounts.wrong_password(5).retry_after_s == 1200
