"""Registering, signing in, tokens: the codes of app-api.md, and nothing told to those who guess."""

import asyncio
import json
import threading
from base64 import urlsafe_b64decode

import jwt
import pytest

from quecbind.center.domain.limits import Limits
from quecbind.center.services.changes import SessionEnded
from quecbind.center.services.errors import Rejected, Unauthenticated
from quecbind.center.services.passwords import MAX_WAITING
from quecbind.center.services.ports import MailError
from quecbind.center.services.views import SignedIn
from quecbind.wire import signing
from tests.center.services.world import PASSWORD, World

EMAIL = "ann@example.com"
RANDOM = "j1acpdj2bmtqZXVb"
PEER = "10.1.1.1"


async def code_of(awaitable) -> int:
    with pytest.raises(Rejected) as raised:
        await awaitable
    return raised.value.code


async def register(world, domain, email=EMAIL, password=PASSWORD, code=None, **profile):
    if code is None:
        await world.center.accounts.send_email_code(email, 1, domain.user_domain, PEER)
        code = world.mailbox.last_code
    encrypted = signing.app_password_encrypt(password, RANDOM)
    return await world.center.accounts.register(email, code, encrypted, RANDOM, domain.user_domain, PEER, **profile)


async def sign_in(world, domain, password=PASSWORD, email=EMAIL, peer=PEER, secret=None):
    encrypted = signing.app_password_encrypt(password, RANDOM)
    signature = signing.app_signature(email, encrypted, RANDOM, secret or domain.user_domain_secret)
    return await world.center.accounts.sign_in(email, encrypted, RANDOM, signature, domain.user_domain, peer)


def claims(token: str) -> dict:
    return jwt.decode(token.removeprefix("Bearer "), options={"verify_signature": False}, audience="Audience")


# --- mail codes and registration


async def test_code_by_mail_makes_a_user(world) -> None:
    domain = await world.domain()
    await world.center.accounts.send_email_code(" Ann@Example.com", 1, domain.user_domain, PEER)
    email, code, email_type = world.mailbox.sent[0]

    uid = await register(world, domain, "ANN@example.com", code=code, lang="en", nationality="49", nickname="Ann")

    assert (email, email_type, len(code), code.isdigit()) == (EMAIL, 1, 6, True)
    info = await world.center.accounts.user_info(SignedIn(uid, domain.user_domain, ""))
    assert (info.email, info.lang, info.nationality, info.nickname) == (EMAIL, "en", "49", "Ann")


async def test_password_may_come_plain(world) -> None:
    domain = await world.domain()
    await world.center.accounts.send_email_code(EMAIL, 1, domain.user_domain, PEER)

    await world.center.accounts.register(EMAIL, world.mailbox.last_code, PASSWORD, None, domain.user_domain)

    assert await sign_in(world, domain)


async def test_what_is_missing_or_malformed_has_its_code(world) -> None:
    domain = await world.domain()
    send, make, d = world.center.accounts.send_email_code, world.center.accounts.register, domain.user_domain

    assert await code_of(send(EMAIL, 1, None, PEER)) == 5023
    assert await code_of(send(EMAIL, 1, "Q.DM.666.1", PEER)) == 5015
    assert await code_of(send(EMAIL, 1, "\ud800", PEER)) == 5015
    assert await code_of(send("", 1, d, PEER)) == 5026
    assert await code_of(send("ann", 1, d, PEER)) == 5040
    assert await code_of(send(EMAIL, 9, d, PEER)) == 8400
    assert await code_of(make(EMAIL, "", PASSWORD, None, d)) == 5064
    assert await code_of(make(EMAIL, "\ud800", PASSWORD, None, d)) == 5046
    assert await code_of(make(EMAIL, "123456", "", None, d)) == 5022
    assert await code_of(make(EMAIL, "123456", "short", None, d)) == 5056
    assert await code_of(make(EMAIL, "123456", "p\u00e4ssword", None, d)) == 5056
    assert await code_of(make(EMAIL, "123456", "not-encrypted", RANDOM, d)) == 5353
    assert await code_of(make(EMAIL, "123456", "not-encrypted", "\ud800", d)) == 5353
    assert await code_of(make(EMAIL, "123456", PASSWORD, None, d, lang="x" * 65)) == 5173
    assert world.mailbox.sent == []


async def test_code_is_good_for_ten_minutes_and_once(world) -> None:
    domain = await world.domain()
    await world.center.accounts.send_email_code(EMAIL, 1, domain.user_domain, PEER)
    code = world.mailbox.last_code
    world.clock.move(600)
    assert await code_of(register(world, domain, code=code)) == 5046

    await register(world, domain)

    assert await code_of(register(world, domain, code=world.mailbox.last_code)) == 5046


async def test_code_is_not_good_by_a_clock_set_back_before_it_was_sent(world) -> None:
    domain = await world.domain()
    await world.center.accounts.send_email_code(EMAIL, 1, domain.user_domain, PEER)
    code, sent_at = world.mailbox.last_code, world.clock.now()

    world.clock.set(sent_at - 0.001)
    early = await code_of(register(world, domain, code=code))
    world.clock.set(sent_at)

    assert early == 5046
    await register(world, domain, code=code)


async def test_code_of_another_purpose_address_or_domain_is_wrong(world) -> None:
    domain, other = await world.domain(), await world.domain("Other")
    await world.center.accounts.send_email_code(EMAIL, 2, domain.user_domain, PEER)
    assert await code_of(register(world, domain, code=world.mailbox.last_code)) == 5046

    await world.center.accounts.send_email_code(EMAIL, 1, domain.user_domain, PEER)
    code = world.mailbox.last_code
    assert await code_of(register(world, domain, "bob@example.com", code=code)) == 5046
    assert await code_of(register(world, other, code=code)) == 5046


async def test_address_is_registered_once_and_only_its_reader_learns_that(world) -> None:
    domain = await world.domain()
    await register(world, domain)

    assert await code_of(register(world, domain, code="123456")) == 5046
    assert await code_of(register(world, domain)) == 5039


async def test_two_registrations_at_once_make_one_user(world) -> None:
    domain = await world.domain()
    await world.center.accounts.send_email_code(EMAIL, 1, domain.user_domain, PEER)
    code = world.mailbox.last_code

    results = await asyncio.gather(*(register(world, domain, code=code) for _ in range(4)), return_exceptions=True)

    assert sum(isinstance(result, str) for result in results) == 1
    assert {result.code for result in results if isinstance(result, Rejected)} <= {5039, 5046}


async def test_codes_cannot_be_asked_for_without_end(world) -> None:
    domain = await world.domain()
    send = world.center.accounts.send_email_code
    for _ in range(5):
        await send(EMAIL, 1, domain.user_domain, PEER)

    with pytest.raises(Rejected) as raised:
        await send(EMAIL, 1, domain.user_domain, "10.2.2.2")

    assert (raised.value.code, raised.value.retry_after_s) == (5058, 600)
    await send("bob@example.com", 1, domain.user_domain, PEER)


async def test_who_is_refused_because_of_too_many_mails_has_asked_for_nothing(world, monkeypatch) -> None:
    monkeypatch.setattr("quecbind.center.services.accounts.MAX_MAILS_UNDER_WAY", 1)
    domain, send_code, is_slow = await world.domain(), world.mailbox.send_code, asyncio.Event()

    async def send_slowly(*mail) -> None:
        await is_slow.wait()
        await send_code(*mail)

    monkeypatch.setattr(world.mailbox, "send_code", send_slowly)
    send = world.center.accounts.send_email_code
    first = asyncio.ensure_future(send(EMAIL, 1, domain.user_domain, PEER))
    await asyncio.sleep(0)

    refused = [await code_of(send(EMAIL, 1, domain.user_domain, PEER)) for _ in range(5)]

    is_slow.set()
    await first
    assert refused == [5000] * 5
    assert await register(world, domain, code=world.mailbox.last_code)


async def test_mail_server_that_fails_is_our_trouble(world) -> None:
    domain = await world.domain()

    async def fail(*_arguments) -> None:
        raise MailError("no mail server")

    world.mailbox.send_code = fail

    assert await code_of(world.center.accounts.send_email_code(EMAIL, 1, domain.user_domain, PEER)) == 5000


# --- sign-in


async def test_signing_in_gives_two_tokens_with_the_claims_apps_read(world) -> None:
    domain = await world.domain()
    uid = await register(world, domain)

    tokens = await sign_in(world, domain)

    now = int(world.clock.now())
    access, refresh = claims(tokens.access_token), claims(tokens.refresh_token)
    header = json.loads(urlsafe_b64decode(tokens.access_token.removeprefix("Bearer ").split(".")[0] + "=="))
    assert header["alg"] == "RS256"
    assert tokens.access_token.startswith("Bearer ")
    assert {name: access[name] for name in ("iss", "aud", "sub", "iat", "nbf", "exp", "uid", "type")} == {
        "iss": "enduser",
        "aud": "Audience",
        "sub": "subject",
        "iat": now,
        "nbf": now - 120,
        "exp": now + 7200,
        "uid": uid,
        "type": "AccessToken",
    }
    assert (refresh["type"], refresh["exp"]) == ("RefreshToken", now + 2_592_000)
    assert access["jti"] != refresh["jti"]
    assert (tokens.access_expires_at, tokens.refresh_expires_at) == (access["exp"], refresh["exp"])
    assert await world.center.accounts.authenticate(tokens.access_token) == SignedIn(
        uid, domain.user_domain, access["sid"]
    )
    assert (await world.actions())[-1] == "session.opened"


async def test_what_is_missing_or_wrong_at_sign_in_has_its_code(world) -> None:
    domain = await world.domain()
    await register(world, domain)
    go, d = world.center.accounts.sign_in, domain.user_domain

    assert await code_of(go(EMAIL, "x", RANDOM, "s", "", PEER)) == 5023
    assert await code_of(go(EMAIL, "x", RANDOM, "s", "Q.DM.9.9", PEER)) == 5015
    assert await code_of(go(None, "x", RANDOM, "s", d, PEER)) == 5026
    assert await code_of(go("ann", "x", RANDOM, "s", d, PEER)) == 5040
    assert await code_of(go(EMAIL, None, RANDOM, "s", d, PEER)) == 5022
    assert await code_of(go(EMAIL, "x", RANDOM, "", d, PEER)) == 5550
    assert await code_of(go(EMAIL, "x", None, "f" * 64, d, PEER)) == 5420
    assert await code_of(go(EMAIL, "x", None, "\ud800", d, PEER)) == 5420
    assert await code_of(sign_in(world, domain, secret="another domain's secret")) == 5420


async def test_wrong_passwords_count_down_freeze_and_thaw(world) -> None:
    domain = await world.domain()
    await register(world, domain)

    codes = [await code_of(sign_in(world, domain, "wrong-one")) for _ in range(5)]
    assert codes == [5586, 5585, 5584, 5583, 5147]

    world.clock.move(1199)
    assert await code_of(sign_in(world, domain)) == 5147
    world.clock.move(1)
    assert await sign_in(world, domain)


async def test_a_stranger_elsewhere_shuts_nobody_out(world) -> None:
    domain = await world.domain()
    await register(world, domain)
    for _ in range(6):
        await code_of(sign_in(world, domain, "wrong-one", peer="6.6.6.6"))

    assert await code_of(sign_in(world, domain, peer="6.6.6.6")) == 5147
    assert await sign_in(world, domain)


async def test_right_password_starts_the_count_over(world) -> None:
    domain = await world.domain()
    await register(world, domain)
    await code_of(sign_in(world, domain, "wrong-one"))
    await sign_in(world, domain)

    assert await code_of(sign_in(world, domain, "wrong-one")) == 5586


async def test_tries_at_once_all_count(world) -> None:
    domain = await world.domain()
    await register(world, domain)

    codes = await asyncio.gather(*(code_of(sign_in(world, domain, "wrong-one")) for _ in range(12)))

    assert sorted(codes) == [5147] * 8 + [5583, 5584, 5585, 5586]


async def test_right_sign_ins_at_once_all_succeed(world) -> None:
    domain = await world.domain()
    await register(world, domain)

    tokens = await asyncio.gather(*(sign_in(world, domain) for _ in range(8)))

    assert len({pair.access_token for pair in tokens}) == 8


async def test_unknown_address_is_answered_like_a_wrong_password(world) -> None:
    domain = await world.domain()
    await register(world, domain)

    known = [await code_of(sign_in(world, domain, "wrong-one", peer="1.1.1.1")) for _ in range(6)]
    unknown = [await code_of(sign_in(world, domain, "wrong-one", "nobody@example.com", "2.2.2.2")) for _ in range(6)]

    assert known == unknown


async def test_address_that_tries_many_accounts_is_frozen(tmp_path) -> None:
    world = await World.open(tmp_path / "d", Limits(max_sign_ins_per_address=3))
    domain = await world.domain()
    for number in range(3):
        await code_of(sign_in(world, domain, "wrong-one", f"u{number}@example.com", "6.6.6.6"))

    assert await code_of(sign_in(world, domain, "wrong-one", "u9@example.com", "6.6.6.6")) == 5148
    assert await code_of(sign_in(world, domain, "wrong-one", "u9@example.com", "7.7.7.7")) == 5586
    await world.center.close()


async def test_user_of_another_domain_is_unknown_here(world) -> None:
    domain, other = await world.domain(), await world.domain("Other")
    await register(world, domain)

    assert await code_of(sign_in(world, other)) == 5586


# --- tokens


async def test_token_is_refused_when_missing_forged_of_another_type_or_over(world) -> None:
    domain = await world.domain()
    await register(world, domain)
    tokens = await sign_in(world, domain)
    bare = tokens.access_token.removeprefix("Bearer ")
    header, body, signature = bare.split(".")
    kid = {"kid": jwt.get_unverified_header(bare)["kid"]}
    none = jwt.encode(claims(bare), "", algorithm="none", headers=kid)
    hmac_signed = jwt.encode(claims(bare), "k" * 64, algorithm="HS256", headers=kid)
    authenticate = world.center.accounts.authenticate

    assert await code_of(authenticate(None)) == 5106
    assert await code_of(authenticate("")) == 5106
    for forged in (
        "Bearer ",
        "Bearer x.y.z",
        "\ud800",
        "x" * 5000,
        tokens.refresh_token,
        f"{header}.{body}.{signature[:-4]}AAAA",
        f"{header}.{body}.",
        none,
        hmac_signed,
    ):
        assert await code_of(authenticate(forged)) == 5032
    assert await authenticate(bare)
    world.clock.move(7200)
    with pytest.raises(Unauthenticated):
        await authenticate(tokens.access_token)


async def test_refreshing_gives_a_new_pair_for_the_same_session(world) -> None:
    domain = await world.domain()
    uid = await register(world, domain)
    tokens = await sign_in(world, domain)
    world.clock.move(8000)

    fresh = await world.center.accounts.refresh(tokens.access_token, tokens.refresh_token)

    assert (await world.center.accounts.authenticate(fresh.access_token)).uid == uid
    assert fresh.refresh_token != tokens.refresh_token
    assert await world.center.accounts.refresh(None, fresh.refresh_token.removeprefix("Bearer "))


async def test_refresh_token_used_again_ends_the_session(world) -> None:
    domain = await world.domain()
    await register(world, domain)
    tokens = await sign_in(world, domain)
    fresh = await world.center.accounts.refresh(None, tokens.refresh_token)
    world.clock.move(30.001)

    assert await code_of(world.center.accounts.refresh(None, tokens.refresh_token)) == 5489

    assert await code_of(world.center.accounts.authenticate(fresh.access_token)) == 5032
    assert await code_of(world.center.accounts.refresh(None, fresh.refresh_token)) == 5489
    assert (await world.actions())[-1] == "session.refresh_token_reused"


@pytest.mark.parametrize("later_s", [0, 0.001, 29.5, 30])
async def test_refresh_token_brought_again_within_thirty_seconds_gets_the_same_pair(world, later_s) -> None:
    domain = await world.domain()
    await register(world, domain)
    tokens = await sign_in(world, domain)
    world.clock.move(0.7)
    fresh = await world.center.accounts.refresh(None, tokens.refresh_token)
    before = await world.actions()
    world.clock.move(later_s)

    again = await world.center.accounts.refresh(tokens.access_token, tokens.refresh_token)

    assert again == fresh
    assert await world.actions() == before
    assert await world.center.accounts.authenticate(again.access_token)
    assert await world.center.accounts.refresh(None, again.refresh_token)


async def test_asking_again_does_not_lengthen_the_thirty_seconds(world) -> None:
    domain = await world.domain()
    await register(world, domain)
    tokens = await sign_in(world, domain)
    await world.center.accounts.refresh(None, tokens.refresh_token)
    for _ in range(3):
        world.clock.move(10)
        await world.center.accounts.refresh(None, tokens.refresh_token)
    world.clock.move(0.001)

    assert await code_of(world.center.accounts.refresh(None, tokens.refresh_token)) == 5489


async def test_refresh_token_whose_successor_was_used_ends_the_session_at_once(world) -> None:
    domain = await world.domain()
    await register(world, domain)
    tokens = await sign_in(world, domain)
    fresh = await world.center.accounts.refresh(None, tokens.refresh_token)
    newest = await world.center.accounts.refresh(None, fresh.refresh_token)

    assert await code_of(world.center.accounts.refresh(None, tokens.refresh_token)) == 5489

    for dead in (fresh, newest):
        assert await code_of(world.center.accounts.authenticate(dead.access_token)) == 5032
        assert await code_of(world.center.accounts.refresh(None, dead.refresh_token)) == 5489


async def test_session_that_was_signed_out_gives_no_pair_a_second_time(world) -> None:
    domain = await world.domain()
    await register(world, domain)
    tokens = await sign_in(world, domain)
    fresh = await world.center.accounts.refresh(None, tokens.refresh_token)
    await world.center.accounts.sign_out(await world.center.accounts.authenticate(fresh.access_token))

    assert await code_of(world.center.accounts.refresh(None, tokens.refresh_token)) == 5489


async def test_refresh_token_raced_by_many_gives_all_of_them_one_pair(world) -> None:
    domain = await world.domain()
    await register(world, domain)
    tokens = await sign_in(world, domain)

    results = await asyncio.gather(*(world.center.accounts.refresh(None, tokens.refresh_token) for _ in range(4)))

    assert len({(pair.access_token, pair.refresh_token) for pair in results}) == 1
    assert await world.center.accounts.authenticate(results[0].access_token)


async def test_pair_is_the_same_after_a_restart(world, tmp_path) -> None:
    domain = await world.domain()
    await register(world, domain)
    tokens = await sign_in(world, domain)
    fresh = await world.center.accounts.refresh(None, tokens.refresh_token)
    await world.center.close()

    again = await World.open(tmp_path / "data", clock=world.clock)
    try:
        assert await again.center.accounts.refresh(None, tokens.refresh_token) == fresh
    finally:
        await again.center.close()


async def test_a_refresh_token_of_a_session_that_has_ended_signs_nothing(world) -> None:
    domain = await world.domain()
    await register(world, domain)
    accounts, tokens = world.center.accounts, await sign_in(world, domain)
    await accounts.sign_out(await accounts.authenticate(tokens.access_token))
    open_again = threading.Event()
    busy = [asyncio.ensure_future(accounts._passwords.run(open_again.wait)) for _ in range(MAX_WAITING)]
    await asyncio.sleep(0)

    code = await code_of(accounts.refresh(None, tokens.refresh_token))
    open_again.set()
    await asyncio.gather(*busy)

    assert code == 5489


async def test_right_sign_ins_and_new_tokens_have_a_pace_apart_from_changes(tmp_path) -> None:
    world = await World.open(tmp_path / "paced", Limits(change_rate_per_user=1, change_burst_per_user=2))
    domain = await world.domain()
    await register(world, domain)
    first = await sign_in(world, domain)
    who = await world.center.accounts.authenticate(first.access_token)
    refresh = world.center.accounts.refresh

    for _ in range(2):
        world.center.accounts.pace(who)
    await sign_in(world, domain)
    refused = [await code_of(sign_in(world, domain))]
    tokens = [await refresh(None, first.refresh_token) for _ in range(2)]
    refused.append(await code_of(refresh(None, first.refresh_token)))
    world.clock.move(1)

    assert refused == [8429, 8429]
    assert (await world.actions()).count("session.opened") == 2
    assert await refresh(None, tokens[0].refresh_token)
    assert await sign_in(world, domain)
    await world.center.close()


async def test_bad_refresh_tokens_have_their_codes(world) -> None:
    domain = await world.domain()
    await register(world, domain)
    await register(world, domain, "bob@example.com")
    tokens, bobs = await sign_in(world, domain), await sign_in(world, domain, email="bob@example.com")
    refresh = world.center.accounts.refresh

    assert await code_of(refresh(None, None)) == 5115
    assert await code_of(refresh(None, "nonsense")) == 5489
    assert await code_of(refresh(None, tokens.access_token)) == 5489
    assert await code_of(refresh(bobs.access_token, tokens.refresh_token)) == 5489
    world.clock.move(2_592_000)
    assert await code_of(refresh(None, tokens.refresh_token)) == 5489


async def test_signing_out_ends_every_token_of_the_session_at_once_and_no_other(world) -> None:
    domain = await world.domain()
    await register(world, domain)
    here, there = await sign_in(world, domain), await sign_in(world, domain)
    who = await world.center.accounts.authenticate(here.access_token)

    await world.center.accounts.sign_out(who)
    await world.center.accounts.sign_out(who)

    assert await code_of(world.center.accounts.authenticate(here.access_token)) == 5032
    assert await code_of(world.center.accounts.refresh(None, here.refresh_token)) == 5489
    assert await world.center.accounts.authenticate(there.access_token)
    assert (await world.actions()).count("session.ended") == 1


async def test_tokens_outlive_a_restart(world, tmp_path) -> None:
    domain = await world.domain()
    uid = await register(world, domain)
    tokens = await sign_in(world, domain)
    await world.center.close()

    again = await World.open(tmp_path / "data", clock=world.clock)
    try:
        assert (await again.center.accounts.authenticate(tokens.access_token)).uid == uid
    finally:
        await again.center.close()


async def test_unknown_user_has_no_information(world) -> None:
    assert await code_of(world.center.accounts.user_info(SignedIn("C1", "d", "s"))) == 5033


async def test_flood_of_passwords_is_told_to_come_back(world) -> None:
    from quecbind.center.services import passwords

    hasher = passwords.Passwords(time_cost=1, memory_kib=8)
    works = [hasher.hash(f"password {number}") for number in range(passwords.MAX_WAITING + 10)]
    results = await asyncio.gather(*works, return_exceptions=True)

    assert sum(isinstance(result, Rejected) and result.code == 5000 for result in results) == 10
    hasher.close()


async def test_neither_passwords_nor_codes_nor_tokens_stand_on_disk_or_in_the_log(world, tmp_path, caplog) -> None:
    caplog.set_level("DEBUG")
    domain = await world.domain()
    await register(world, domain)
    tokens = await sign_in(world, domain)
    await code_of(sign_in(world, domain, "wrong-one"))
    code = world.mailbox.last_code
    await world.center.accounts.send_email_code("carl@example.com", 1, domain.user_domain, PEER)
    await world.center.close()
    on_disk = b"".join(path.read_bytes() for path in (tmp_path / "data").iterdir())

    for secret in (PASSWORD, "wrong-one", domain.user_domain_secret, tokens.refresh_token[7:], tokens.access_token[7:]):
        assert secret.encode() not in on_disk
        assert secret not in caplog.text
    # Six digits may stand in a file by chance; the log is small enough to tell.
    assert code not in caplog.text


# --- a forgotten password


OTHER_PASSWORD = "another1!"


async def reset(world, domain, email=EMAIL, password=OTHER_PASSWORD, code=None, peer=PEER) -> None:
    if code is None:
        await world.center.accounts.send_email_code(email, 2, domain.user_domain, peer)
        code = world.mailbox.last_code
    encrypted = signing.app_password_encrypt(password, RANDOM)
    await world.center.accounts.reset_password(email, code, encrypted, RANDOM, domain.user_domain, peer)


async def test_forgotten_password_is_replaced_by_a_mail_code(world) -> None:
    domain = await world.domain()
    await register(world, domain)

    await reset(world, domain, " Ann@Example.com")

    assert await code_of(sign_in(world, domain)) == 5586
    assert await sign_in(world, domain, OTHER_PASSWORD)
    assert "user.password_reset" in await world.actions()


async def test_new_password_ends_every_session_of_the_account_and_no_other(world) -> None:
    domain = await world.domain()
    uid = await register(world, domain)
    await register(world, domain, "bob@example.com")
    mine, bobs = [await sign_in(world, domain) for _ in range(2)], await sign_in(world, domain, email="bob@example.com")
    told = world.changes()

    await reset(world, domain)

    for tokens in mine:
        assert await code_of(world.center.accounts.authenticate(tokens.access_token)) == 5032
        assert await code_of(world.center.accounts.refresh(None, tokens.refresh_token)) == 5489
    assert await world.center.accounts.authenticate(bobs.access_token)
    assert told[0] == SessionEnded(uid=uid, session_id=None)


async def test_sign_in_with_the_old_password_under_way_opens_nothing(world, monkeypatch) -> None:
    domain = await world.domain()
    await register(world, domain)
    await world.center.accounts.send_email_code(EMAIL, 2, domain.user_domain, PEER)
    code, issue = world.mailbox.last_code, world.center.accounts._issue

    async def issue_after_the_reset(*arguments):
        monkeypatch.undo()
        await reset(world, domain, code=code)
        return await issue(*arguments)

    monkeypatch.setattr(world.center.accounts, "_issue", issue_after_the_reset)

    assert await code_of(sign_in(world, domain)) == 5586
    assert "session.opened" not in await world.actions()


async def test_code_for_a_password_is_good_once_in_time_and_for_nothing_else(world) -> None:
    domain, other = await world.domain(), await world.domain("Other")
    await register(world, domain)
    await register(world, other)
    await world.center.accounts.send_email_code(EMAIL, 2, domain.user_domain, PEER)
    code = world.mailbox.last_code

    assert await code_of(register(world, domain, code=code)) == 5046
    assert await code_of(reset(world, other, code=code)) == 5046
    world.clock.move(599.999)
    await reset(world, domain, code=code)
    assert await code_of(reset(world, domain, code=code)) == 5046
    await world.center.accounts.send_email_code(EMAIL, 2, domain.user_domain, PEER)
    world.clock.move(600)
    assert await code_of(reset(world, domain, code=world.mailbox.last_code, password="late-one")) == 5046
    assert await sign_in(world, domain, OTHER_PASSWORD)
    assert await sign_in(world, other)


async def test_unknown_address_is_told_to_none_but_who_reads_its_mail(world) -> None:
    domain = await world.domain()
    await register(world, domain)
    for email in (EMAIL, "nobody@example.com"):
        await world.center.accounts.send_email_code(email, 2, domain.user_domain, PEER)
    nobodys = world.mailbox.last_code

    known = [await code_of(reset(world, domain, code="x00000", peer="1.1.1.1")) for _ in range(7)]
    unknown = [
        await code_of(reset(world, domain, "nobody@example.com", code="x00000", peer="2.2.2.2")) for _ in "1234567"
    ]

    assert known == unknown == [5046] * 7
    assert await code_of(reset(world, domain, "nobody@example.com", code=nobodys)) == 5031
    assert await sign_in(world, domain)


async def test_what_is_missing_or_wrong_at_a_reset_has_its_code_and_changes_nothing(world) -> None:
    domain = await world.domain()
    await register(world, domain)
    await world.center.accounts.send_email_code(EMAIL, 2, domain.user_domain, PEER)
    code, go, d = world.mailbox.last_code, world.center.accounts.reset_password, domain.user_domain
    tokens = await sign_in(world, domain)
    before = await world.actions()

    assert await code_of(go(EMAIL, code, OTHER_PASSWORD, None, "")) == 5023
    assert await code_of(go(EMAIL, code, OTHER_PASSWORD, None, "Q.DM.9.9")) == 5015
    assert await code_of(go("", code, OTHER_PASSWORD, None, d)) == 5044
    assert await code_of(go("ann", code, OTHER_PASSWORD, None, d)) == 5040
    assert await code_of(go(EMAIL, "", OTHER_PASSWORD, None, d)) == 5064
    assert await code_of(go(EMAIL, "\ud800", OTHER_PASSWORD, None, d)) == 5046
    assert await code_of(go(EMAIL, code, "", None, d)) == 5022
    assert await code_of(go(EMAIL, code, "short", None, d)) == 5056
    assert await code_of(go(EMAIL, code, "not-encrypted", RANDOM, d)) == 5353
    assert await world.actions() == before
    assert await world.center.accounts.authenticate(tokens.access_token)
    await reset(world, domain, code=code)


async def test_resets_at_once_with_one_code_set_one_password(world) -> None:
    domain = await world.domain()
    await register(world, domain)
    await world.center.accounts.send_email_code(EMAIL, 2, domain.user_domain, PEER)
    code = world.mailbox.last_code

    results = await asyncio.gather(
        *(reset(world, domain, password=f"secret-{n}", code=code) for n in range(4)), return_exceptions=True
    )

    assert sorted(result.code if isinstance(result, Rejected) else 200 for result in results) == [200, 5046, 5046, 5046]
    assert (await world.actions()).count("user.password_reset") == 1
    assert await sign_in(world, domain, f"secret-{results.index(None)}")


async def test_reset_lifts_the_freeze_where_it_is_made_and_nowhere_else(world) -> None:
    domain = await world.domain()
    await register(world, domain)
    for peer in (PEER, "6.6.6.6"):
        for _ in range(5):
            await code_of(sign_in(world, domain, "wrong-one", peer=peer))

    await reset(world, domain)

    assert await sign_in(world, domain, OTHER_PASSWORD)
    assert await code_of(sign_in(world, domain, OTHER_PASSWORD, peer="6.6.6.6")) == 5147


# --- wrong mail codes


async def guess(world, domain, peer, count=1, email=EMAIL, email_type=1) -> set[int]:
    """Codes that no mail ever has."""
    bring = register_from if email_type == 1 else reset
    return {await code_of(bring(world, domain, email=email, code=f"x{n:05d}", peer=peer)) for n in range(count)}


async def register_from(world, domain, *, code, peer, email=EMAIL):
    return await world.center.accounts.register(email, code, PASSWORD, None, domain.user_domain, peer)


@pytest.mark.parametrize("email_type", [1, 2])
async def test_wrong_codes_of_a_stranger_leave_the_right_one_good(world, email_type) -> None:
    domain = await world.domain()
    if email_type == 2:
        await register(world, domain)
    await world.center.accounts.send_email_code(EMAIL, email_type, domain.user_domain, PEER)
    code = world.mailbox.last_code

    assert await guess(world, domain, "6.6.6.6", 7, email_type=email_type) == {5046}

    if email_type == 1:
        assert await register_from(world, domain, code=code, peer=PEER)
    else:
        await reset(world, domain, code=code)


async def test_address_that_was_wrong_five_times_is_refused_the_right_code_and_told_for_how_long(world) -> None:
    domain = await world.domain()
    await world.center.accounts.send_email_code(EMAIL, 1, domain.user_domain, PEER)
    await guess(world, domain, PEER, 4)
    world.clock.move(10)
    await guess(world, domain, PEER)
    await world.center.accounts.send_email_code(EMAIL, 1, domain.user_domain, PEER)
    code = world.mailbox.last_code

    with pytest.raises(Rejected) as raised:
        await register_from(world, domain, code=code, peer=PEER)

    assert (raised.value.code, raised.value.retry_after_s) == (5046, 590)
    assert await guess(world, domain, PEER, email="bob@example.com") == {5046}
    world.clock.move(590)
    assert await register_from(world, domain, code=code, peer=PEER)


async def test_codes_brought_at_once_all_count(world) -> None:
    domain = await world.domain()
    await world.center.accounts.send_email_code(EMAIL, 1, domain.user_domain, PEER)
    code = world.mailbox.last_code

    results = await asyncio.gather(
        *(register_from(world, domain, code=c, peer=PEER) for c in [*(f"x{n:05d}" for n in range(5)), code]),
        return_exceptions=True,
    )

    assert [result.code for result in results] == [5046] * 6


async def crowd_guesses(world, domain, email_type) -> None:
    for number in range(11):
        await guess(world, domain, f"6.6.6.{number}", 5, email_type=email_type)


async def test_crowd_that_guesses_gets_no_further_and_keeps_out_nobody_who_asked_for_the_code_to_register(
    world,
) -> None:
    domain = await world.domain()
    await world.center.accounts.send_email_code(EMAIL, 1, domain.user_domain, PEER)
    code = world.mailbox.last_code
    await crowd_guesses(world, domain, 1)

    assert await code_of(register_from(world, domain, code=code, peer="6.6.6.99")) == 5046
    assert await register_from(world, domain, code=code, peer=PEER)


async def test_crowd_that_guesses_keeps_out_nobody_where_the_account_is_in_use(world) -> None:
    domain = await world.domain()
    await register(world, domain)
    await sign_in(world, domain, peer="10.7.7.7")
    await world.center.accounts.send_email_code(EMAIL, 2, domain.user_domain, PEER)
    code = world.mailbox.last_code
    await crowd_guesses(world, domain, 2)

    assert await code_of(reset(world, domain, code=code)) == 5046, "who asks is not better known by that"
    await reset(world, domain, code=code, peer="10.7.7.7")


async def test_a_crowds_wrong_codes_count_for_a_day_however_many_codes_are_sent(world) -> None:
    domain = await world.domain()
    await register(world, domain)
    await crowd_guesses(world, domain, 2)
    world.clock.move(86_399)
    await world.center.accounts.send_email_code(EMAIL, 2, domain.user_domain, PEER)
    code = world.mailbox.last_code

    assert await code_of(reset(world, domain, code=code)) == 5046
    world.clock.move(1)
    await reset(world, domain, code=code)


async def test_address_that_guesses_for_many_accounts_is_stopped(world) -> None:
    domain = await world.domain()
    await register(world, domain)
    await sign_in(world, domain, peer="10.7.7.7")
    for number in range(50):
        for peer in ("6.6.6.6", "10.7.7.7"):
            await guess(world, domain, peer, email=f"u{number}@example.com", email_type=2)
    await world.center.accounts.send_email_code(EMAIL, 2, domain.user_domain, PEER)
    code = world.mailbox.last_code

    assert await code_of(reset(world, domain, code=code, peer="6.6.6.6")) == 5046
    await reset(world, domain, code=code, peer="10.7.7.7")


async def test_the_code_before_stays_good_when_another_is_asked_for_and_no_third_one(world) -> None:
    domain = await world.domain()
    codes = []
    for seconds in (0, 60, 60):
        world.clock.move(seconds)
        await world.center.accounts.send_email_code(EMAIL, 1, domain.user_domain, "6.6.6.6")
        codes.append(world.mailbox.last_code)
    assert len(set(codes)) == 3

    assert await code_of(register_from(world, domain, code=codes[0], peer=PEER)) == 5046
    assert await register_from(world, domain, code=codes[1], peer=PEER)
    assert await code_of(register_from(world, domain, code=codes[2], peer=PEER)) == 5046, "both are used up"


async def test_the_code_before_ends_at_its_own_time(world) -> None:
    domain = await world.domain()
    await world.center.accounts.send_email_code(EMAIL, 1, domain.user_domain, PEER)
    first = world.mailbox.last_code
    world.clock.move(300)
    await world.center.accounts.send_email_code(EMAIL, 1, domain.user_domain, PEER)
    world.clock.move(300)

    assert await code_of(register_from(world, domain, code=first, peer=PEER)) == 5046
    assert await register_from(world, domain, code=world.mailbox.last_code, peer=PEER)
