"""Accounts over HTTP: every endpoint, its refusals, its carriers; a refusal changes nothing."""

import base64
import json

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from quecbind.wire import signing
from tests.center.http.callers import CARRIERS, ENDUSER, RANDOM, App, Http, sign_in_fields
from tests.center.services.world import PASSWORD

SEND_EMAIL = "/v2/mail/enduserapi/v2/sendEmail"
NEW = "carol@example.com"


def claims_of(token: str) -> dict[str, object]:
    return json.loads(base64.urlsafe_b64decode(token.removeprefix("Bearer ").split(".")[1] + "=="))


async def registration(http: Http, **changes: str) -> dict[str, str]:
    """The fields of a registration with a code that was really mailed."""
    app = http.stranger()
    sent = await app.call("POST", SEND_EMAIL, email=NEW, emailType=1, userDomain=http.domain.user_domain)
    assert sent.code == 200
    fields = {
        "email": NEW,
        "code": http.world.mailbox.last_code,
        "pwd": signing.app_password_encrypt("secret2!", RANDOM),
        "random": RANDOM,
        "userDomain": http.domain.user_domain,
    }
    return {**fields, **changes}


@pytest.mark.parametrize("carrier", CARRIERS)
async def test_a_mail_code_is_sent_whatever_carries_the_request(http: Http, carrier: str) -> None:
    answer = await http.stranger().call(
        "POST", SEND_EMAIL, carrier, email=NEW, emailType=1, userDomain=http.domain.user_domain
    )

    assert (answer.code, answer.data) == (200, None)
    assert [mail[0] for mail in http.world.mailbox.sent] == [NEW]


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"email": ""}, 5026),
        ({"email": "no address"}, 5040),
        ({"email": "a@b.example\r\nBcc: c@d.example"}, 5040),
        ({"userDomain": ""}, 5023),
        ({"userDomain": "Q.DM.99999.1"}, 5015),
        ({"emailType": "6"}, 8400),
        ({"emailType": "x"}, 8400),
        ({"emailType": ""}, 8400),
    ],
)
async def test_a_mail_code_is_refused(http: Http, changes: dict[str, str], code: int) -> None:
    fields = {"email": NEW, "emailType": "1", "userDomain": http.domain.user_domain, **changes}

    answer = await http.stranger().call("POST", SEND_EMAIL, **fields)

    assert answer.code == code
    assert http.world.mailbox.sent == []


async def test_asking_for_codes_too_often_says_when_to_come_back(http: Http) -> None:
    app = http.stranger()
    fields = {"email": NEW, "emailType": 1, "userDomain": http.domain.user_domain}
    answers = [await app.call("POST", SEND_EMAIL, **fields) for _ in range(6)]

    assert [answer.code for answer in answers] == [200] * 5 + [5058]
    assert 0 < answers[-1].ext_msg["retryAfter"] <= 600


@pytest.mark.parametrize("path", ["emailPwdRegister", "v2/emailPwdRegister"])
@pytest.mark.parametrize("carrier", CARRIERS)
async def test_a_user_registers_and_signs_in(http: Http, path: str, carrier: str) -> None:
    app = http.stranger()

    answer = await app.call("POST", ENDUSER + path, carrier, **await registration(http))

    assert answer.code == 200
    assert answer.data["uid"].startswith("C")
    assert (await app.sign_in(http.domain, NEW, "secret2!")).code == 200


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"email": ""}, 5026),
        ({"email": "nobody"}, 5040),
        ({"email": "alice@example.com"}, 5046),
        ({"code": ""}, 5064),
        ({"code": "999999x"}, 5046),
        ({"pwd": ""}, 5022),
        ({"pwd": "not base64"}, 5353),
        ({"pwd": signing.app_password_encrypt("short", RANDOM)}, 5056),
        ({"pwd": signing.app_password_encrypt("x" * 21, RANDOM)}, 5056),
        ({"userDomain": ""}, 5023),
        ({"userDomain": "nowhere"}, 5015),
        ({"timezone": "x" * 65}, 5171),
        ({"nationality": "x" * 65}, 5172),
        ({"lang": "x" * 65}, 5173),
    ],
)
async def test_a_registration_is_refused_and_nobody_is_new(http: Http, changes: dict[str, str], code: int) -> None:
    app = http.stranger()

    answer = await app.call("POST", ENDUSER + "emailPwdRegister", "form", **await registration(http, **changes))

    assert answer.code == code
    assert (await http.operator.get("/api/v1/users")).json()["total_count"] == 2


async def test_an_address_registers_once(http: Http) -> None:
    fields = await registration(http, email="alice@example.com")
    sent = await http.stranger().call(
        "POST", SEND_EMAIL, email="alice@example.com", emailType=1, userDomain=http.domain.user_domain
    )
    assert sent.code == 200

    fields["code"] = http.world.mailbox.last_code
    answer = await http.stranger().call("POST", ENDUSER + "emailPwdRegister", **fields)

    assert answer.code == 5039


async def test_what_a_registration_claims_beyond_its_fields_is_ignored(http: Http) -> None:
    extra = {"uid": "C1", "role": "operator", "status": "9", "isAdmin": "true", "registered_at": "1"}
    app = http.stranger()

    answer = await app.call("POST", ENDUSER + "emailPwdRegister", "json", **await registration(http), **extra)
    await app.sign_in(http.domain, NEW, "secret2!")

    assert answer.data["uid"] != "C1"
    assert (await app.call("GET", ENDUSER + "userInfo")).data["status"] == 1


@pytest.mark.parametrize("carrier", CARRIERS)
async def test_signing_in_gives_both_tokens(http: Http, carrier: str) -> None:
    answer = await http.stranger().sign_in(http.domain, "alice@example.com", carrier=carrier)

    now = int(http.world.clock.now())
    access, refresh = answer.data["accessToken"], answer.data["refreshToken"]
    assert access["token"].startswith("Bearer ")
    assert refresh["token"].startswith("Bearer ")
    assert (access["expirationTime"], refresh["expirationTime"]) == (now + 7200, now + 2592000)
    assert claims_of(access["token"])["uid"] == http.alice.uid
    assert claims_of(access["token"])["type"] == "AccessToken"
    assert claims_of(refresh["token"])["type"] == "RefreshToken"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"email": ""}, 5026),
        ({"pwd": ""}, 5022),
        ({"userDomain": ""}, 5023),
        ({"userDomain": "nowhere"}, 5015),
        ({"signature": ""}, 5550),
        ({"signature": "0" * 64}, 5420),
        ({"signature": "ÿ" * 64}, 5420),
        ({"email": "bob@example.com"}, 5420),
        ({"random": "0123456789abcdef"}, 5353),
    ],
)
async def test_a_sign_in_is_refused(http: Http, changes: dict[str, str], code: int) -> None:
    fields = {**sign_in_fields(http.domain, "alice@example.com"), **changes}

    answer = await http.stranger().call("POST", ENDUSER + "emailPwdLogin", "form", **fields)

    assert (answer.code, answer.data) == (code, None)


@pytest.mark.parametrize("carrier", CARRIERS)
async def test_a_plus_of_base64_that_was_not_escaped_is_read_as_one(http: Http, carrier: str) -> None:
    random = next(
        each for each in map("{:016}".format, range(99)) if "+" in signing.app_password_encrypt(PASSWORD, each)
    )
    fields = sign_in_fields(http.domain, "alice@example.com", random=random)
    as_decoded = {**fields, "pwd": fields["pwd"].replace("+", " ")}

    assert (await http.stranger().call("POST", ENDUSER + "emailPwdLogin", carrier, **as_decoded)).code == 200


@pytest.mark.parametrize("carrier", CARRIERS)
@pytest.mark.parametrize("line_end", ["\n", "\r\n"])
async def test_base64_that_ends_in_a_line_break_is_read_and_signed_as_it_is(
    http: Http, carrier: str, line_end: str
) -> None:
    fields = sign_in_fields(http.domain, "alice@example.com", line_end=line_end)
    signed_without = {**fields, "signature": sign_in_fields(http.domain, "alice@example.com")["signature"]}

    assert (await http.stranger().call("POST", ENDUSER + "emailPwdLogin", carrier, **fields)).code == 200
    assert (await http.stranger().call("POST", ENDUSER + "emailPwdLogin", carrier, **signed_without)).code == 5420


async def test_a_space_in_a_plain_password_stays_one(http: Http) -> None:
    fields = await registration(http, pwd="my secret", random="")

    assert (await http.stranger().call("POST", ENDUSER + "emailPwdRegister", "json", **fields)).code == 5056


async def test_wrong_passwords_are_counted_down_and_freeze_the_account(http: Http) -> None:
    app = http.stranger()
    codes = [(await app.sign_in(http.domain, "alice@example.com", "wrong-1")).code for _ in range(5)]
    frozen = await app.sign_in(http.domain, "alice@example.com")

    assert codes == [5586, 5585, 5584, 5583, 5147]
    assert frozen.code == 5147
    assert 0 < frozen.ext_msg["retryAfter"] <= 1200
    http.world.clock.move(1201)
    assert (await app.sign_in(http.domain, "alice@example.com")).code == 200


async def test_an_unknown_address_looks_like_a_wrong_password(http: Http) -> None:
    known = await http.stranger().sign_in(http.domain, "alice@example.com", "wrong-1")
    unknown = await http.stranger().sign_in(http.domain, "nobody@example.com", "wrong-1")

    assert (unknown.code, unknown.msg) == (known.code, known.msg)


async def test_a_forwarding_header_moves_nobody_to_another_address(http: Http) -> None:
    forged = {"X-Forwarded-For": "203.0.113.9", "X-Real-IP": "203.0.113.9", "Forwarded": "for=203.0.113.9"}
    app = http.stranger("192.0.2.251")
    fields = sign_in_fields(http.domain, "alice@example.com")

    answer = await app.raw("POST", ENDUSER + "emailPwdLogin", data=fields, headers=forged)

    assert answer.code == 200
    entries = (await http.operator.get("/api/v1/audit")).json()["items"]
    assert (entries[0]["action"], entries[0]["peer"]) == ("session.opened", "192.0.2.251")


async def reset_fields(http: Http, **changes: str) -> dict[str, str]:
    """What an App sends of Alice, who has forgotten her password."""
    fields = {"email": http.alice.email, "emailType": "2", "userDomain": http.domain.user_domain}
    assert (await http.stranger().call("POST", SEND_EMAIL, **fields)).code == 200
    return {
        "email": http.alice.email,
        "code": http.world.mailbox.last_code,
        "pwd": signing.app_password_encrypt("another1!", RANDOM),
        "random": RANDOM,
        "userDomain": http.domain.user_domain,
        **changes,
    }


@pytest.mark.parametrize("carrier", CARRIERS)
async def test_a_forgotten_password_is_reset_by_mail_and_every_session_ends(http: Http, carrier: str) -> None:
    answer = await http.stranger().call("PUT", ENDUSER + "userPwdReset", carrier, **await reset_fields(http))

    assert (answer.code, answer.data) == (200, None)
    assert (await http.alice.call("GET", ENDUSER + "userInfo")).code == 5032
    assert (await http.alice.call("PUT", ENDUSER + "refreshToken", refreshToken=http.alice.refresh_token)).code == 5489
    assert (await http.bob.call("GET", ENDUSER + "userInfo")).code == 200
    assert (await http.stranger().sign_in(http.domain, http.alice.email)).code == 5586
    assert (await http.stranger().sign_in(http.domain, http.alice.email, "another1!")).code == 200


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"email": ""}, 5044),
        ({"email": "", "phone": "17132136550", "internationalCode": "86"}, 5044),
        ({"email": "nobody"}, 5040),
        ({"email": "bob@example.com"}, 5046),
        ({"email": "n0one@example.com"}, 5046),
        ({"code": ""}, 5064),
        ({"code": "999999x"}, 5046),
        ({"pwd": ""}, 5022),
        ({"pwd": "not base64"}, 5353),
        ({"pwd": signing.app_password_encrypt("short", RANDOM)}, 5056),
        ({"userDomain": ""}, 5023),
        ({"userDomain": "nowhere"}, 5015),
    ],
)
async def test_a_reset_is_refused_and_nothing_changes(http: Http, changes: dict[str, str], code: int) -> None:
    answer = await http.stranger().call("PUT", ENDUSER + "userPwdReset", **await reset_fields(http, **changes))

    assert answer.code == code
    for who in (http.alice, http.bob):
        assert (await who.call("GET", ENDUSER + "userInfo")).code == 200
    assert (await http.stranger().sign_in(http.domain, http.alice.email)).code == 200


@pytest.mark.parametrize("carrier", CARRIERS)
async def test_refreshing_gives_two_new_tokens(http: Http, carrier: str) -> None:
    app = http.alice
    http.world.clock.move(10)

    answer = await app.call("PUT", ENDUSER + "refreshToken", carrier, refreshToken=app.refresh_token)

    assert answer.code == 200
    assert answer.data["accessToken"]["token"] != app.token
    assert answer.data["refreshToken"]["token"] != app.refresh_token
    app.token = answer.data["accessToken"]["token"]
    assert (await app.call("GET", ENDUSER + "userInfo")).code == 200


async def test_a_refresh_needs_no_access_token_and_works_after_that_one_is_over(http: Http) -> None:
    http.world.clock.move(7201)
    assert (await http.alice.call("GET", ENDUSER + "userInfo")).code == 5032

    answer = await http.stranger().call("PUT", ENDUSER + "refreshToken", "form", refreshToken=http.alice.refresh_token)

    assert answer.code == 200


async def test_a_refresh_whose_answer_was_lost_gets_it_again(http: Http) -> None:
    app = http.alice
    first = await app.call("PUT", ENDUSER + "refreshToken", refreshToken=app.refresh_token)
    http.world.clock.move(30)

    again = await app.call("PUT", ENDUSER + "refreshToken", "form", refreshToken=app.refresh_token)

    assert (again.code, again.data) == (200, first.data)
    app.token = again.data["accessToken"]["token"]
    assert (await app.call("GET", ENDUSER + "userInfo")).code == 200


async def test_a_refresh_token_that_comes_again_later_ends_the_session_for_both_who_hold_it(http: Http) -> None:
    app, thief = http.alice, http.stranger()
    first = await app.call("PUT", ENDUSER + "refreshToken", refreshToken=app.refresh_token)
    http.world.clock.move(30.001)

    again = await thief.call("PUT", ENDUSER + "refreshToken", refreshToken=app.refresh_token)

    assert again.code == 5489
    app.token = first.data["accessToken"]["token"]
    assert (await app.call("GET", ENDUSER + "userInfo")).code == 5032
    renewed = await app.call("PUT", ENDUSER + "refreshToken", refreshToken=first.data["refreshToken"]["token"])
    assert renewed.code == 5489


async def test_what_is_no_refresh_token_is_refused(http: Http) -> None:
    app = http.alice
    assert app.token is not None
    put = [
        await app.call("PUT", ENDUSER + "refreshToken", refreshToken=token)
        for token in ("", "Bearer x.y.z", "nonsense", app.token, app.refresh_token[:-4] + "AAAA")
    ]

    assert [answer.code for answer in put] == [5115, 5489, 5489, 5489, 5489]
    assert (await app.call("GET", ENDUSER + "userInfo")).code == 200


async def test_user_info_has_the_names_apps_read(http: Http) -> None:
    answer = await http.alice.call("GET", ENDUSER + "userInfo")

    assert answer.code == 200
    assert answer.data["uid"] == http.alice.uid
    assert answer.data["email"] == "alice@example.com"
    assert "nikeName" in answer.data
    assert answer.data["lastLoginTimeTs"] == int(http.world.clock.now() * 1000)
    assert answer.data["lastLoginTime"] == "2023-11-14 22:13:20"
    assert {"registerTime", "registerTimeTs", "lang", "timezone", "headimg", "phone", "status"} <= answer.data.keys()


async def test_signing_out_ends_both_tokens(http: Http) -> None:
    app = http.alice

    assert (await app.call("DELETE", ENDUSER + "userLogout", deviceId="push-1")).code == 200

    assert (await app.call("GET", ENDUSER + "userInfo")).code == 5032
    assert (await app.call("PUT", ENDUSER + "refreshToken", refreshToken=app.refresh_token)).code == 5489
    assert (await http.bob.call("GET", ENDUSER + "userInfo")).code == 200


SIGNED_IN_ONLY = [
    ("GET", ENDUSER + "userInfo"),
    ("DELETE", ENDUSER + "userLogout"),
    ("GET", "getDeviceInfoByBinding"),
    ("POST", "v2/deviceBindingByWifi"),
    ("POST", "bindDeviceDk"),
    ("GET", "userDeviceList"),
    ("GET", "deviceInfo"),
    ("PUT", "setDeviceInfo"),
    ("DELETE", "unbundlingDeviceDk"),
    ("POST", "getAuthKey"),
    ("GET", "productTSL"),
    ("GET", "getDeviceBusinessAttributes"),
    ("GET", "getDeviceHistory"),
]


@pytest.mark.parametrize(("method", "path"), SIGNED_IN_ONLY)
async def test_a_token_is_needed_before_anything_else_is_looked_at(http: Http, method: str, path: str) -> None:
    app = http.stranger()

    assert (await app.call(method, path)).code == 5106
    app.token = "Bearer nonsense"
    assert (await app.call(method, path)).code == 5032


async def test_a_token_in_the_query_or_body_is_no_token(http: Http) -> None:
    app, token = http.stranger(), http.alice.token

    assert (await app.call("GET", ENDUSER + "userInfo", Authorization=token)).code == 5106
    assert (await app.call("GET", ENDUSER + "userInfo", "form", token=token, access_token=token)).code == 5106


class Forger:
    """Makes tokens nobody should accept, from a real one."""

    def __init__(self, http: Http) -> None:
        assert http.alice.token is not None
        bare = http.alice.token.removeprefix("Bearer ")
        self.header = jwt.get_unverified_header(bare)
        self.claims = claims_of(http.alice.token) | {"uid": http.bob.uid}
        (key,) = http.world.center.storage.read(lambda tx: tx.signing_keys.all())
        self.public_pem = key.public_key

    def part(self, value: object) -> str:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()

    def unsigned(self, alg: str) -> str:
        return f"{self.part(self.header | {'alg': alg})}.{self.part(self.claims)}."

    def hs256_with_public_key(self) -> str:
        import hmac

        signed = f"{self.part(self.header | {'alg': 'HS256'})}.{self.part(self.claims)}"
        mac = hmac.digest(self.public_pem.encode(), signed.encode(), "sha256")
        return f"{signed}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}"

    def own_key(self, **header: object) -> str:
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        pem = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return jwt.encode(self.claims, pem, "RS256", headers={"kid": self.header["kid"], **header})

    def other_claims(self, token: str) -> str:
        first, _, last = token.removeprefix("Bearer ").split(".")
        return f"{first}.{self.part(self.claims)}.{last}"


async def test_forged_tokens_are_refused(http: Http) -> None:
    forger, app = Forger(http), App(http.network.client())
    assert http.alice.token is not None
    forged = [
        forger.unsigned("none"),
        forger.unsigned("None"),
        forger.unsigned("RS256"),
        forger.hs256_with_public_key(),
        forger.own_key(),
        forger.own_key(kid="unknown"),
        forger.own_key(kid="../../etc/passwd"),
        forger.own_key(jku="http://127.0.0.1/keys", x5u="http://127.0.0.1/cert"),
        forger.other_claims(http.alice.token),
        http.alice.refresh_token,
        http.alice.token + "x",
        "Bearer " + http.alice.token,
        "A" * 20_000,
    ]

    codes = []
    for token in forged:
        app.token = token if token.startswith("Bearer ") else "Bearer " + token
        codes.append((await app.call("GET", ENDUSER + "userInfo")).code)

    assert codes == [5032] * len(forged)


async def test_a_token_ends_after_two_hours_to_the_second(http: Http) -> None:
    http.world.clock.move(7199)
    assert (await http.alice.call("GET", ENDUSER + "userInfo")).code == 200

    http.world.clock.move(1)
    assert (await http.alice.call("GET", ENDUSER + "userInfo")).code == 5032


async def test_a_user_of_another_domain_is_another_user(http: Http) -> None:
    other = await http.world.domain("Other App")

    answer = await http.stranger().sign_in(other, "alice@example.com")

    assert answer.code in range(5583, 5587)


@pytest.mark.parametrize("method", ["DELETE", "POST"])
@pytest.mark.parametrize("carrier", CARRIERS)
async def test_an_account_is_cancelled_with_its_password(http: Http, carrier: str, method: str) -> None:
    cipher = signing.app_password_encrypt(PASSWORD, RANDOM)
    await http.owned()

    bare = await http.alice.call(method, ENDUSER + "userDelete", carrier, uid=http.bob.uid)
    wrong = await http.alice.call(method, ENDUSER + "userDelete", carrier, pwd=cipher[:-4] + "AAA=", random=RANDOM)
    done = await http.alice.call(method, ENDUSER + "userDelete", carrier, pwd=cipher, random=RANDOM, uid=http.bob.uid)

    assert (bare.code, wrong.code, done.code) == (5064, 5353, 200)
    assert (await http.alice.call("GET", ENDUSER + "userInfo")).code == 5032
    assert (await http.bob.call("GET", ENDUSER + "userInfo")).code == 200
