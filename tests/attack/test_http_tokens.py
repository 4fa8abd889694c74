"""HTTP: tokens that were never issued, tokens used as what they are not, and what answers tell about who exists."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlencode

import pytest

from tests.attack.crowd import BINDING, EMAIL, ENDUSER, PASSWORD, Caller, Crowd, run_crowd
from tests.e2e.wire_by_hand import app_password, random_text
from tests.tables import Row

pytestmark = pytest.mark.enable_socket

INVALID_TOKEN, INVALID_REFRESH, CODE_WRONG = 5032, 5489, 5046


@pytest.fixture(scope="module")
def crowd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Crowd]:
    yield from run_crowd(tmp_path_factory.mktemp("crowd"), 60, has_stepped_clock=True)


def pack(value: object) -> str:
    data = value if isinstance(value, bytes) else json.dumps(value, separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unpack(part: str) -> Any:
    return json.loads(base64.urlsafe_b64decode(part + "=="))


class Forger:
    """Holds a token of their own, the server's public key, and the wish to be somebody else."""

    def __init__(self, token: str, victim: str, public_key: str) -> None:
        self.head, self.claims, self.signature = token.removeprefix("Bearer ").split(".")
        self.victim, self.public_key = victim, public_key.encode()

    def with_head(self, **changes: object) -> str:
        """Another head, the victim's uid, signed with the public key as if it were a secret."""
        head = pack({**unpack(self.head), **changes})
        claims = pack({**unpack(self.claims), "uid": self.victim})
        return f"{head}.{claims}.{pack(hmac.digest(self.public_key, f'{head}.{claims}'.encode(), 'sha256'))}"

    def with_claims(self, **changes: object) -> str:
        """Other claims under the signature of the old ones."""
        return f"{self.head}.{pack({**unpack(self.claims), **changes})}.{self.signature}"

    def unsigned(self, alg: str) -> str:
        head, claims = pack({"alg": alg, "typ": "JWT", "kid": unpack(self.head)["kid"]}), unpack(self.claims)
        return f"{head}.{pack({**claims, 'uid': self.victim})}."


FORGERIES: list[tuple[str, Callable[[Forger], str]]] = [
    ("alg none", lambda f: f.unsigned("none")),
    ("alg None", lambda f: f.unsigned("None")),
    ("alg nOnE", lambda f: f.unsigned("nOnE")),
    ("alg empty", lambda f: f.unsigned("")),
    ("HS256 with the public key as secret", lambda f: f.with_head(alg="HS256")),
    ("HS512 named, public key as secret", lambda f: f.with_head(alg="HS512")),
    ("ES256 named", lambda f: f.with_head(alg="ES256")),
    ("RS512 named", lambda f: f.with_head(alg="RS512")),
    ("kid: a path", lambda f: f.with_head(alg="HS256", kid="../../../../dev/null")),
    ("kid: SQL", lambda f: f.with_head(alg="HS256", kid="x' UNION SELECT 'a' --")),
    ("kid: unknown", lambda f: f.with_head(kid="nobody")),
    ("kid: a list", lambda f: f.with_head(kid=["a"])),
    ("kid: an object", lambda f: f.with_head(kid={"a": 1})),
    ("kid: none", lambda f: f.with_head(kid=None)),
    ("kid: a NUL", lambda f: f.with_head(kid="\0")),
    ("jku: a key elsewhere", lambda f: f.with_head(jku="http://127.0.0.1:9/keys")),
    ("jwk: a key brought along", lambda f: f.with_head(jwk={"kty": "oct", "k": pack(f.public_key)})),
    ("x5u: a certificate elsewhere", lambda f: f.with_head(x5u="http://127.0.0.1:9/")),
    ("crit: unknown", lambda f: f.with_head(crit=["b64"], b64=False)),
    ("uid of the victim, old signature", lambda f: f.with_claims(uid=f.victim)),
    ("exp far away, old signature", lambda f: f.with_claims(exp=2**53)),
    ("exp: a text", lambda f: f.with_claims(exp="never")),
    ("nbf in the past, old signature", lambda f: f.with_claims(nbf=0)),
    ("aud: another", lambda f: f.with_claims(aud="admin")),
    ("type: another, old signature", lambda f: f.with_claims(type="RefreshToken")),
    ("no signature", lambda f: f"{f.head}.{f.claims}."),
    ("half a signature", lambda f: f"{f.head}.{f.claims}.{f.signature[: len(f.signature) // 2]}"),
    ("two dots", lambda f: ".."),
    ("one part", lambda f: f.head),
    ("four parts", lambda f: f"{f.head}.{f.claims}.{f.signature}.{f.signature}"),
    ("10,000 letters", lambda f: "a" * 10_000),
    ("no Base64", lambda f: "!!!.???.***"),
    ("lower case", lambda f: f"{f.head}.{f.claims}.{f.signature}".lower()),
]


@pytest.mark.parametrize(("name", "forge"), FORGERIES, ids=[name for name, _ in FORGERIES])
def test_a_forged_token_opens_nothing(crowd: Crowd, row: Row, name: str, forge: Callable[[Forger], str]) -> None:
    thief, victim = crowd.person(), Caller(crowd.center, "127.6.0.1", *reversed(crowd.tokens[0][:2]))
    forged = forge(Forger(thief.token, victim.uid, crowd.public_key))

    got = {
        Caller(crowd.center, "127.6.0.2", prefix + forged).call("GET", ENDUSER + "userInfo")["code"]
        for prefix in ("", "Bearer ")
    }

    row("token: " + name, {INVALID_TOKEN}, got)


def test_a_token_is_good_as_what_it_is_alone(crowd: Crowd, row: Row) -> None:
    who = crowd.person()
    as_access = Caller(crowd.center, "127.6.0.3", who.refresh_token).call("GET", ENDUSER + "userInfo")
    as_refresh = who.call("PUT", ENDUSER + "refreshToken", refreshToken=who.token)
    row("a refresh token as access token", INVALID_TOKEN, as_access["code"])
    row("an access token as refresh token", INVALID_REFRESH, as_refresh["code"])
    row("... and the session goes on", 200, who.call("GET", ENDUSER + "userInfo")["code"])


def refreshed(crowd: Crowd, address: str, refresh_token: str) -> dict[str, Any]:
    return Caller(crowd.center, address).call("PUT", ENDUSER + "refreshToken", refreshToken=refresh_token)


def are_over(crowd: Crowd, row: Row, who: Caller, pair: dict[str, Any]) -> None:
    new = Caller(crowd.center, "127.6.0.4", pair["accessToken"]["token"])
    row(
        "... and the tokens of both are over",
        [INVALID_TOKEN] * 2,
        [each.call("GET", ENDUSER + "userInfo")["code"] for each in (who, new)],
    )
    row(
        "... the new refresh token too",
        INVALID_REFRESH,
        refreshed(crowd, "127.6.0.4", pair["refreshToken"]["token"])["code"],
    )


def test_a_refresh_token_used_after_half_a_minute_ends_its_session(crowd: Crowd, row: Row) -> None:
    who = crowd.person()
    first = refreshed(crowd, who.address, who.refresh_token)
    row("a refresh token, once", 200, first["code"])
    crowd.step(31)
    row(
        "... 31 s later, by a thief elsewhere",
        INVALID_REFRESH,
        refreshed(crowd, "127.6.0.4", who.refresh_token)["code"],
    )
    are_over(crowd, row, who, first["data"])


def test_a_refresh_token_whose_successor_was_used_ends_its_session(crowd: Crowd, row: Row) -> None:
    who = crowd.person()
    first = refreshed(crowd, who.address, who.refresh_token)["data"]
    second = refreshed(crowd, who.address, first["refreshToken"]["token"])
    row("a refresh token and the next one", 200, second["code"])
    row(
        "... the first one at once after that, by a thief elsewhere",
        INVALID_REFRESH,
        refreshed(crowd, "127.6.0.4", who.refresh_token)["code"],
    )
    are_over(crowd, row, who, second["data"])


def test_a_refresh_token_brought_twice_at_once_leaves_one_session_with_one_pair(crowd: Crowd, row: Row) -> None:
    who = crowd.person()
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda n: refreshed(crowd, f"127.6.3.{n + 1}", who.refresh_token), range(8)))
    row("a refresh token, 8 times at once", {200}, {answer["code"] for answer in answers})
    pairs = {(a["data"]["accessToken"]["token"], a["data"]["refreshToken"]["token"]) for a in answers}
    row("... different pairs that came of it", 1, len(pairs))
    ((access, refresh),) = pairs
    row("... which is good", 200, Caller(crowd.center, who.address, access).call("GET", ENDUSER + "userInfo")["code"])
    row("... and goes on", 200, refreshed(crowd, who.address, refresh)["code"])


def test_a_refresh_token_is_of_no_use_with_anothers_access_token(crowd: Crowd, row: Row) -> None:
    thief, victim = crowd.person(), crowd.person()
    got = thief.call("PUT", ENDUSER + "refreshToken", refreshToken=victim.refresh_token)["code"]
    row("another's refresh token beside one's own access token", INVALID_REFRESH, got)


def test_a_token_ends_with_its_sign_out(crowd: Crowd, row: Row) -> None:
    who = crowd.person()
    row("a sign-out", 200, who.call("DELETE", ENDUSER + "userLogout")["code"])
    row("... its access token", INVALID_TOKEN, who.call("GET", BINDING + "userDeviceList")["code"])
    row(
        "... its refresh token",
        INVALID_REFRESH,
        who.call("PUT", ENDUSER + "refreshToken", refreshToken=who.refresh_token)["code"],
    )


def sign_in(crowd: Crowd, address: str, email: str, password: str) -> tuple[int, list[str], bytes]:
    nonce = random_text()
    cipher = app_password(password, nonce)
    signature = hashlib.sha256((email + cipher + nonce + crowd.domain_secret).encode()).hexdigest()
    form = {"email": email, "pwd": cipher, "random": nonce, "userDomain": crowd.domain, "signature": signature}
    return ask(crowd, address, ENDUSER + "emailPwdLogin", form)


def ask(crowd: Crowd, address: str, path: str, body: dict[str, object]) -> tuple[int, list[str], bytes]:
    """Everything of an answer but its date."""
    came = Caller(crowd.center, address).request(
        "POST", path, json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    return came[0], [f"{name}: {value}" for name, value in came[1] if name.lower() != "date"], came[2]


def test_a_sign_in_does_not_tell_who_has_an_account(crowd: Crowd, row: Row) -> None:
    known = [sign_in(crowd, "127.6.1.1", EMAIL, "wrong-1") for _ in range(6)]
    unknown = [sign_in(crowd, "127.6.1.2", "nobody@example.com", "wrong-1") for _ in range(6)]
    codes = [json.loads(answer[2])["code"] for answer in known]
    row("6 wrong passwords of a user", [5586, 5585, 5584, 5583, 5147, 5147], codes)
    row(
        "... the same of nobody: status, headers, body",
        [without_wait(a) for a in known],
        [without_wait(a) for a in unknown],
    )
    at_once = [json.loads(sign_in(crowd, where, EMAIL, PASSWORD)[2])["code"] for where in ("127.6.1.1", "127.6.1.3")]
    row("... the right password while frozen, there and elsewhere", [5147, 200], at_once)


def without_wait(answer: tuple[int, list[str], bytes]) -> tuple[int, str, object]:
    """The seconds that are left differ by the time between the two."""
    body = json.loads(answer[2])
    body["extMsg"] = sorted(body["extMsg"] or ())
    headers = [line for line in answer[1] if not line.lower().startswith("content-length")]
    return answer[0], " ".join(headers), json.dumps(body)


def test_mail_codes_and_sign_up_do_not_tell_who_has_an_account(crowd: Crowd, row: Row) -> None:
    def mail(email: str) -> tuple[int, list[str], bytes]:
        return ask(
            crowd,
            "127.6.1.4",
            "/v2/mail/enduserapi/v2/sendEmail",
            {"email": email, "emailType": 1, "userDomain": crowd.domain},
        )

    def sign_up(email: str) -> tuple[int, list[str], bytes]:
        body: dict[str, object] = {"email": email, "code": "00000x", "pwd": "secret-1", "userDomain": crowd.domain}
        return ask(crowd, "127.6.1.5", ENDUSER + "v2/emailPwdRegister", body)

    row("a mail code for a user and for nobody", mail(EMAIL), mail("nobody@example.com"))
    row("a sign-up with a wrong code, user and nobody", sign_up(EMAIL), sign_up("nobody@example.com"))
    row("... its code", CODE_WRONG, json.loads(sign_up("nobody2@example.com")[2])["code"])


RESET, MAIL = ENDUSER + "userPwdReset", "/v2/mail/enduserapi/v2/sendEmail"


def mailed(crowd: Crowd, email: str, email_type: int, address: str) -> str:
    body: dict[str, object] = {"email": email, "emailType": email_type, "userDomain": crowd.domain}
    assert json.loads(ask(crowd, address, MAIL, body)[2])["code"] == 200
    line = next(line for line in reversed(crowd.center.log.read_text().splitlines()) if email in line)
    return next(word for word in line.replace("=", " ").split() if word.isdigit() and len(word) == 6)


def test_a_mailbox_cannot_be_flooded(crowd: Crowd, row: Row) -> None:
    body: dict[str, object] = {"email": "flood@example.com", "emailType": 1, "userDomain": crowd.domain}
    sent = [json.loads(ask(crowd, f"127.6.2.{n + 1}", MAIL, body)[2])["code"] for n in range(7)]
    row("7 mails to one box from 7 addresses", [200] * 5 + [5058] * 2, sent)


def test_wrong_mail_codes_cost_the_guesser_and_nobody_else(crowd: Crowd, row: Row) -> None:
    email = "box@example.com"
    digits = mailed(crowd, email, 1, "127.6.2.8")

    def bring(address: str, code: str) -> int:
        body: dict[str, object] = {"email": email, "pwd": "secret-1", "userDomain": crowd.domain, "code": code}
        return int(json.loads(ask(crowd, address, ENDUSER + "v2/emailPwdRegister", body)[2])["code"])

    row("7 guesses at a mail code", {CODE_WRONG}, {bring("127.6.2.9", f"{n:05d}x") for n in range(7)})
    row("... the right one is worth nothing there after that", CODE_WRONG, bring("127.6.2.9", digits))
    crowded = {bring(f"127.6.4.{n % 12 + 1}", f"{n:05d}x") for n in range(60)}
    row("... 60 more from 12 addresses", {CODE_WRONG}, crowded)
    row("... and the right one from one more of them", CODE_WRONG, bring("127.6.4.99", digits))
    row("... from who has asked for it", 200, bring("127.6.2.8", digits))


def test_a_password_is_not_reset_by_guessing_and_its_old_sessions_end_when_it_is(crowd: Crowd, row: Row) -> None:
    email, old, new = "reset@example.com", "secret-1", "secret-2"
    register: dict[str, object] = {"email": email, "pwd": old, "userDomain": crowd.domain}
    register["code"] = mailed(crowd, email, 1, "127.6.5.1")
    assert json.loads(ask(crowd, "127.6.5.1", ENDUSER + "v2/emailPwdRegister", register)[2])["code"] == 200
    session = json.loads(sign_in(crowd, "127.6.5.1", email, old)[2])["data"]
    before = mailed(crowd, email, 2, "127.6.5.1")
    mailed(crowd, email, 2, "127.6.5.2")

    def bring(address: str, code: str) -> int:
        who = Caller(crowd.center, address)
        return int(who.call("PUT", RESET, email=email, code=code, pwd=new, userDomain=crowd.domain)["code"])

    guessed = {bring(f"127.6.6.{n % 12 + 1}", f"{n:05d}x") for n in range(60)}
    row("a password reset, 60 guesses from 12 addresses", {CODE_WRONG}, guessed)
    row("... the right code from one more of them", CODE_WRONG, bring("127.6.6.99", before))
    owner = Caller(crowd.center, "127.6.5.1", session["accessToken"]["token"])
    row("... and the sessions of the account go on", 200, owner.call("GET", ENDUSER + "userInfo")["code"])
    row("... its user brings the code that a stranger asked for another of", 200, bring("127.6.5.1", before))
    row("... once more", CODE_WRONG, bring("127.6.5.1", before))
    row(
        "... tokens of before",
        [INVALID_TOKEN, INVALID_REFRESH],
        [
            owner.call("GET", ENDUSER + "userInfo")["code"],
            refreshed(crowd, "127.6.5.1", session["refreshToken"]["token"])["code"],
        ],
    )
    at_last = [json.loads(sign_in(crowd, "127.6.5.1", email, password)[2])["code"] for password in (old, new)]
    row("... the old password and the new one", [5586, 200], at_last)


def test_a_reset_does_not_tell_who_has_an_account(crowd: Crowd, row: Row) -> None:
    def bring(email: str, address: str) -> tuple[int, list[tuple[str, str]], object]:
        body = {"email": email, "code": "00000x", "pwd": "secret-1", "userDomain": crowd.domain}
        status, headers, content = Caller(crowd.center, address).request("PUT", RESET + "?" + urlencode(body))
        return status, [pair for pair in headers if pair[0].lower() != "date"], json.loads(content)

    row(
        "a reset with a wrong code, user and nobody",
        bring(EMAIL, "127.6.7.1"),
        bring("nobody@example.com", "127.6.7.2"),
    )
