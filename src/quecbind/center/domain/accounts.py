"""Rules for users: what an e-mail address, a password and a mail code look like, and when too many tries freeze.

Pure; hashing, tokens and storage live elsewhere.
"""

import re

from quecbind.center.domain import refusal
from quecbind.center.domain.moment import is_within
from quecbind.center.domain.refusal import Refused

MAX_TRIES = 5
FREEZE_S = 20 * 60
CODE_LENGTH = 6
CODE_LIFE_MS = 10 * 60 * 1000
ACCESS_LIFE_S = 7200
REFRESH_LIFE_S = 2_592_000

REGISTER, RESET_PASSWORD, LINK, UNLINK, CANCEL = 1, 2, 3, 4, 5
EMAIL_TYPES = (REGISTER, RESET_PASSWORD, LINK, UNLINK, CANCEL)

_EMAIL = re.compile(r"[0-9a-z!#$%&'*+/=?^_`{|}~.-]{1,64}@(?:[0-9a-z](?:[0-9a-z-]{0,61}[0-9a-z])?\.)+[0-9a-z-]{2,63}")
# Letters, digits and special characters: what can be typed, no space and nothing outside ASCII.
_PASSWORD = re.compile(r"[!-~]{6,20}")
_PROFILE = re.compile(r"[ -~]{0,64}")


def normal_email(email: str) -> str:
    """The one spelling under which an address is kept and compared."""
    return email.strip().lower()


def check_email(email: str | None) -> Refused | None:
    """What an e-mail address is refused for."""
    if not email:
        return Refused(refusal.EMAIL_MISSING)
    normal = normal_email(email)
    if len(normal) > 254 or not _EMAIL.fullmatch(normal) or ".." in normal:
        return Refused(refusal.EMAIL_FORMAT)
    return None


def check_password(password: str) -> Refused | None:
    """What a new password is refused for (5056: 6 to 20 letters, digits, special characters)."""
    return None if _PASSWORD.fullmatch(password) else Refused(refusal.PASSWORD_FORMAT)


def check_profile(lang: str, timezone: str, nationality: str) -> Refused | None:
    """What the optional fields of a registration are refused for: more than 64 characters, or not printable ASCII."""
    for text, code in (
        (timezone, refusal.TIMEZONE_FORMAT),
        (nationality, refusal.COUNTRY_FORMAT),
        (lang, refusal.LANGUAGE_FORMAT),
    ):
        if not _PROFILE.fullmatch(text):
            return Refused(code)
    return None


def is_code_in_time(expires_at: int, now_ms: int) -> bool:
    """Whether a mailed code is good at `now_ms`. Its end tells when it was sent."""
    return is_within(expires_at - CODE_LIFE_MS, expires_at, now_ms)


def wrong_password(wrong_count: int) -> Refused:
    """What the `wrong_count`-th wrong password in a row gets: 5586 to 5583 ("4 to 1 tries left"), then 5147."""
    left = MAX_TRIES - wrong_count
    if left <= 0:
        return Refused(refusal.ACCOUNT_FROZEN, FREEZE_S)
    return Refused(refusal.ONE_TRY_LEFT + left - 1)
