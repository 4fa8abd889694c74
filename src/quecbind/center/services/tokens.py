"""Access and refresh tokens: RS256 JWTs with the claims of app-api.md A5, and this server's `sid` and `rot`.

Whether a token's session still lives is not decided here; whether it is ours, in time and of the right type is.
"""

import functools
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any, Literal

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

from quecbind.center.domain.accounts import ACCESS_LIFE_S, REFRESH_LIFE_S
from quecbind.center.domain.ids import Secret, Uid
from quecbind.center.services.records import SigningKey
from quecbind.center.services.views import Tokens

TokenType = Literal["AccessToken", "RefreshToken"]

PREFIX = "Bearer "
MAX_TOKEN_LENGTH = 4096
MAX_REMEMBERED = 4096

_ALGORITHM = "RS256"
_ISSUER = "enduser"
_AUDIENCE = "Audience"
_SUBJECT = "subject"
_EARLY_S = 120
_KEY_BITS = 2048
# Times are checked here against the server's own clock, not by the library against the system's.
_OPTIONS: Any = {
    "require": ["exp", "iat", "nbf", "jti", "uid", "type", "sid", "rot"],
    "verify_exp": False,
    "verify_nbf": False,
    "verify_iat": False,
}


class TokenError(Exception):
    """Not a token of ours, not of this type, or not in time. The log may know which; the peer does not."""


@dataclass(frozen=True, slots=True)
class Claims:
    """What a good token says. `ends_at` is UTC seconds."""

    uid: Uid
    session_id: str
    rotation: int
    token_id: str
    ends_at: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class _Checked:
    """A token whose signature is right; what changes with time is asked each time."""

    claims: Claims
    token_type: str
    begins_at: int
    ends_at: int


class TokenSigner:
    """Signs with the newest key; any of the keys verifies.

    Checking a signature costs more than the rest of most requests, and Apps send the same token again and again: those
    that were found right lately are remembered, the whole token being the key.
    """

    def __init__(self, keys: list[SigningKey]) -> None:
        self._newest = keys[0]
        self._checked: OrderedDict[str, _Checked] = OrderedDict()
        self._public_key_by_kid = {key.kid: serialization.load_pem_public_key(key.public_key.encode()) for key in keys}

    @functools.cached_property
    def _private_key(self) -> PrivateKeyTypes:
        """Read when it is first used: that checks it, which takes longer than most commands on a data directory."""
        return serialization.load_pem_private_key(self._newest.private_key.reveal().encode(), None)

    def issue(self, uid: Uid, session_id: str, rotation: int, access_id: str, refresh_id: str, now: float) -> Tokens:
        """A pair of tokens. Takes about a millisecond: call it off the event loop."""
        issued_at = int(now)
        access_end, refresh_end = issued_at + ACCESS_LIFE_S, issued_at + REFRESH_LIFE_S
        shared = {
            "iss": _ISSUER,
            "aud": _AUDIENCE,
            "sub": _SUBJECT,
            "iat": issued_at,
            "nbf": issued_at - _EARLY_S,
            "uid": uid,
            "sid": session_id,
            "rot": rotation,
        }
        access = self._sign({**shared, "jti": access_id, "exp": access_end, "type": "AccessToken"})
        refresh = self._sign({**shared, "jti": refresh_id, "exp": refresh_end, "type": "RefreshToken"})
        return Tokens(access, access_end, refresh, refresh_end)

    def read(self, token: str, token_type: TokenType, now: float) -> Claims:
        """What a token says, with or without its "Bearer " prefix.

        Raises:
            TokenError: it is not good, for whatever reason.
        """
        if len(token) > MAX_TOKEN_LENGTH:
            raise TokenError("too long")
        bare = token.removeprefix(PREFIX)
        checked = self._checked.get(bare)
        if checked is None:
            checked = self._checked[bare] = self._check(bare)
            if len(self._checked) > MAX_REMEMBERED:
                self._checked.popitem(last=False)
        else:
            self._checked.move_to_end(bare)
        if checked.token_type != token_type:
            raise TokenError("of another type")
        if not checked.begins_at <= now < checked.ends_at:
            raise TokenError("not in time")
        return checked.claims

    def _check(self, bare: str) -> "_Checked":
        try:
            key = self._public_key_by_kid[jwt.get_unverified_header(bare)["kid"]]
            claims = jwt.decode(
                bare,
                key,  # type: ignore[arg-type] # every key here is an RSA key of our own making
                algorithms=[_ALGORITHM],
                audience=_AUDIENCE,
                issuer=_ISSUER,
                options=_OPTIONS,
            )
            return _Checked(
                Claims(
                    Uid(str(claims["uid"])),
                    str(claims["sid"]),
                    int(claims["rot"]),
                    str(claims["jti"]),
                    int(claims["exp"]),
                ),
                str(claims["type"]),
                int(claims["nbf"]),
                int(claims["exp"]),
            )
        except (jwt.InvalidTokenError, KeyError, TypeError, ValueError) as error:
            raise TokenError(f"not a token of ours ({type(error).__name__})") from None

    def _sign(self, claims: dict[str, object]) -> str:
        signed = jwt.encode(
            claims,
            self._private_key,  # type: ignore[arg-type] # as above
            algorithm=_ALGORITHM,
            headers={"kid": self._newest.kid},
        )
        return PREFIX + signed


def make_key(kid: str, now_ms: int) -> SigningKey:
    """A new signing key. Takes a tenth of a second or more."""
    private_key = rsa.generate_private_key(public_exponent=65_537, key_size=_KEY_BITS)
    private_pem = private_key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    public_pem = private_key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return SigningKey(
        kid=kid, private_key=Secret(private_pem.decode()), public_key=public_pem.decode(), created_at=now_ms
    )
