"""What a stranger learns: for a device that does not exist, one of somebody else and one without a code, nothing.

Not from the answer, compared byte for byte, and not from the time it takes: instead of a clock, what is done for it is
compared, statement by statement and secret by secret. The same for who has an account.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import argon2
import pytest

from quecbind.center.storage import sqlite
from quecbind.center.storage.seal import Seal
from tests.center.domain.power_station import power_station
from tests.center.http.callers import ENDUSER, App, Http, sign_in_fields
from tests.center.services.world import CODE, OPERATOR, PASSWORD

LITERAL = re.compile(r"'(?:[^']|'')*'|x'[0-9a-f]*'|\b\d+\b", re.IGNORECASE)
MAIL = "/v2/mail/enduserapi/v2/sendEmail"


@dataclass
class Work:
    """What is done for a call: SQL without its values, secrets opened, hashes made."""

    done: list[str] = field(default_factory=list)

    @contextmanager
    def of(self) -> Iterator[list[str]]:
        """The works within the block."""
        begin = len(self.done)
        found: list[str] = []
        yield found
        found += self.done[begin:]


@pytest.fixture(autouse=True)
def work(monkeypatch: pytest.MonkeyPatch) -> Work:
    """Records from before the database is opened."""
    recorded = Work()

    def watch(owner: Any, name: str, said: Callable[..., str]) -> None:
        before = getattr(owner, name)

        def watched(*args: Any, **options: Any) -> Any:
            recorded.done.append(said(*args))
            return before(*args, **options)

        monkeypatch.setattr(owner, name, watched)

    connect = sqlite._connect

    def traced(*args: Any) -> sqlite3.Connection:
        connection = connect(*args)
        connection.set_trace_callback(lambda text: recorded.done.append(LITERAL.sub("?", text)))
        return connection

    monkeypatch.setattr(sqlite, "_connect", traced)
    watch(Seal, "open", lambda _seal, _sealed, place: "open " + place.rpartition("/")[0])
    watch(Seal, "mac", lambda _seal, purpose, *_: "mac " + purpose)
    watch(argon2.PasswordHasher, "verify", lambda *_: "verify password")
    watch(argon2.PasswordHasher, "hash", lambda *_: "hash password")
    return recorded


async def raw(app: App, method: str, path: str, **options: Any) -> tuple[bytes, list[tuple[bytes, bytes]], int]:
    """The whole answer."""
    headers = {} if app.token is None else {"Authorization": app.token}
    response = await app.client.request(method, path, headers=headers, **options)
    return response.content, [pair for pair in response.headers.raw if pair[0] != b"date"], response.status_code


async def three(http: Http) -> list[str]:
    """A device key that nobody has, one that Alice has, one of a device without owner and code; equally long.

    Alice's device has told something, by a thing model.
    """
    await http.world.center.operators.import_model(http.pk, power_station(), OPERATOR)
    await http.owned("FOREIGN")
    entry = http.world.center.registry.entry(f"qd{http.pk}FOREIGN")
    assert entry is not None
    await http.world.frame(entry, 0x0014, [(1, 87)])
    await http.world.device(http.product, "NOCODE1")
    return ["NOSUCH1", "FOREIGN", "NOCODE1"]


CALLS: list[tuple[str, str, dict[str, str]]] = [
    ("GET", "getDeviceInfoByBinding", {}),
    ("POST", "v2/deviceBindingByWifi", {"bindingCode": CODE}),
    ("POST", "bindDeviceDk", {}),
    ("GET", "deviceInfo", {}),
    ("PUT", "setDeviceInfo", {"deviceName": "mine"}),
    ("DELETE", "unbundlingDeviceDk", {}),
    ("DELETE", "unbundlingDeviceDk", {"isInit": "true"}),
    ("POST", "getAuthKey", {}),
    ("POST", "regenerateAuthKey", {}),
    ("GET", "getDeviceBusinessAttributes", {}),
    ("GET", "getDeviceBusinessAttributes", {"type": "2"}),
    ("GET", "getDeviceHistory", {"page": "1"}),
    ("GET", "deviceAudit", {"page": "1"}),
    ("POST", "approveReEnrolment", {}),
    ("POST", "shareInfo", {"acceptingExpireAt": "1700000600000", "sharingExpireAt": "1700003600000", "coverMark": "1"}),
    ("POST", "shareByUid", {"shareUid": "C10001", "coverMark": "1"}),
    ("GET", "deviceShareUserList", {}),
]


@pytest.mark.parametrize(("method", "path", "extra"), CALLS, ids=[call[1] + str(len(call[2])) for call in CALLS])
async def test_no_call_tells_a_stranger_whether_a_device_exists(
    http: Http, work: Work, method: str, path: str, extra: dict[str, str]
) -> None:
    answers, works = [], []
    names = ("productKey", "deviceKey") if path.startswith("v2/") else ("pk", "dk")

    for device_key in await three(http):
        parameters = {names[0]: http.pk, names[1]: device_key, **extra}
        with work.of() as done:
            answers.append(await raw(http.bob, method, "/v2/binding/enduserapi/" + path, params=parameters))
        works.append(done)

    assert answers[0] == answers[1] == answers[2]
    assert works[0] == works[1] == works[2]
    assert any("SELECT" in text for text in works[0])


SHARE_CALLS: list[tuple[str, str, dict[str, str]]] = [
    ("PUT", "setShareTime", {"expireTime": "1700003600000", "sharingExpireAt": "1700003600000"}),
    ("DELETE", "ownerUserUnshareDevice", {}),
    ("DELETE", "shareUserUnshareDevice", {}),
    ("PUT", "changeShareDeviceName", {"deviceName": "mine"}),
    ("GET", "deviceInfo", {}),
]


@pytest.mark.parametrize(("method", "path", "extra"), SHARE_CALLS, ids=[call[1] for call in SHARE_CALLS])
async def test_no_call_tells_a_stranger_whether_a_share_code_exists(
    http: Http, method: str, path: str, extra: dict[str, str]
) -> None:
    """The codes are drawn from more than can be tried, so the answer is compared and not the work."""
    await http.owned("FOREIGN")
    ends = {"acceptingExpireAt": "1700000600000", "sharingExpireAt": "1700003600000", "coverMark": "1"}
    code = (await http.alice.call("POST", "shareInfo", pk=http.pk, dk="FOREIGN", **ends)).data
    assert code
    answers = [
        await raw(http.bob, method, "/v2/binding/enduserapi/" + path, params={"shareCode": given, **extra})
        for given in (code, "x" * len(code))
    ]

    assert answers[0] == answers[1]
    assert b'"code":200' not in answers[0][0]


async def test_no_call_tells_whether_a_product_exists(http: Http, work: Work) -> None:
    await http.owned("FOREIGN")
    other = await http.world.product()
    await http.world.center.operators.import_model(other.product_key, power_station(), OPERATOR)
    await http.world.center.operators.set_product_domains(other.product_key, [], OPERATOR)
    answers, works = [], []

    for product_key in ("p" + "z" * (len(http.pk) - 1), str(other.product_key)):
        for method, path, extra in (
            ("GET", "productTSL", {}),
            ("GET", "getDeviceInfoByBinding", {}),
            ("POST", "v2/deviceBindingByWifi", {"bindingCode": CODE, "productKey": product_key, "deviceKey": "D1"}),
        ):
            parameters = extra or {"pk": product_key, "dk": "D1"}
            with work.of() as done:
                answers.append(await raw(http.bob, method, "/v2/binding/enduserapi/" + path, params=parameters))
            works.append(done)

    assert answers[:3] == answers[3:]
    assert works[:3] == works[3:]


async def tries(http: Http, work: Work, email: str, password: str) -> list[object]:
    """Seven sign-ins from an address of its own: every answer and all that was done for it."""
    stranger, seen = http.stranger(), []
    for _ in range(7):
        with work.of() as done:
            answer = await raw(
                stranger, "POST", ENDUSER + "emailPwdLogin", data=sign_in_fields(http.domain, email, password)
            )
        seen += [answer, done]
    return seen


async def test_signing_in_does_not_tell_who_has_an_account(http: Http, work: Work) -> None:
    known = await tries(http, work, http.alice.email, "wrong-one")
    unknown = await tries(http, work, "n0one@example.com", "wrong-one")

    assert known == unknown
    assert known[1].count("verify password") == 1  # type: ignore[attr-defined]


async def test_the_first_unknown_address_after_a_start_takes_no_longer(http: Http, work: Work) -> None:
    unknown = await tries(http, work, "n0one@example.com", "wrong-one")

    assert "hash password" not in unknown[1]  # type: ignore[operator]


async def test_asking_for_a_code_does_not_tell_who_has_an_account(http: Http, work: Work) -> None:
    seen = []
    for email in (http.alice.email, "n0one@example.com"):
        for email_type in ("1", "2", "3", "4", "5"):
            fields = {"email": email, "emailType": email_type, "userDomain": http.domain.user_domain}
            with work.of() as done:
                answer = await raw(http.stranger(), "POST", MAIL, data=fields)
            seen.append((answer, done))

    assert seen[:5] == seen[5:]


@pytest.mark.parametrize("is_asked_for", [True, False])
async def test_registering_without_the_code_does_not_tell_who_has_an_account(
    http: Http, work: Work, is_asked_for: bool
) -> None:
    seen = []
    for email in (http.alice.email, "n0one@example.com"):
        stranger = http.stranger()
        if is_asked_for:
            fields = {"email": email, "emailType": "1", "userDomain": http.domain.user_domain}
            await raw(stranger, "POST", MAIL, data=fields)
        fields = {"email": email, "code": "x00000", "pwd": PASSWORD, "userDomain": http.domain.user_domain}
        for _ in range(6):
            with work.of() as done:
                answer = await raw(stranger, "POST", ENDUSER + "emailPwdRegister", data=fields)
            seen.append((answer, done))

    assert seen[:6] == seen[6:]


@pytest.mark.parametrize("is_asked_for", [True, False])
async def test_resetting_without_the_code_does_not_tell_who_has_an_account(
    http: Http, work: Work, is_asked_for: bool
) -> None:
    seen = []
    for email in (http.alice.email, "n0one@example.com"):
        stranger = http.stranger()
        if is_asked_for:
            fields = {"email": email, "emailType": "2", "userDomain": http.domain.user_domain}
            await raw(stranger, "POST", MAIL, data=fields)
        fields = {"email": email, "code": "x00000", "pwd": PASSWORD, "userDomain": http.domain.user_domain}
        for _ in range(6):
            with work.of() as done:
                answer = await raw(stranger, "PUT", ENDUSER + "userPwdReset", data=fields)
            seen.append((answer, done))

    assert seen[:6] == seen[6:]
    assert not any("hash password" in done for _, done in seen)


async def test_a_code_on_file_is_looked_at_like_none(http: Http, work: Work) -> None:
    """Whether somebody is about to register shows in nothing but a write that only their asking brought about."""
    fields = {"email": "soon@example.com", "emailType": "1", "userDomain": http.domain.user_domain}
    await raw(http.stranger(), "POST", MAIL, data=fields)
    seen = []
    for email in ("soon@example.com", "none@example.com"):
        fields = {"email": email, "code": "x00000", "pwd": PASSWORD, "userDomain": http.domain.user_domain}
        with work.of() as done:
            answer = await raw(http.stranger(), "POST", ENDUSER + "emailPwdRegister", data=fields)
        seen.append((answer, done))

    assert seen[0] == seen[1]
