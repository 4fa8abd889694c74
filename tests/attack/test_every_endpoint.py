"""HTTP: every endpoint there is, asked by a signed-in stranger with the ids of another user, wherever an id can stand.

An answer about somebody else's thing has to be the answer about a thing that does not exist, to the byte, and the
database has to be the same after it. An endpoint that is not in the table here fails the test, and so does a parameter
that the walk does not bring: whoever adds one says what a stranger gets.
"""

from __future__ import annotations

import ast
import base64
import hashlib
import importlib
import json
import pkgutil
import re
import urllib.parse
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from prometheus_client import CollectorRegistry
from starlette.routing import Route

import quecbind.center.http
from quecbind.center.http.app import build
from quecbind.center.http.app_call import Endpoint
from quecbind.center.http.operation import Operation
from quecbind.center.http.operators import OPERATIONS, PREFIX
from quecbind.center.services.center import Center
from tests.attack.crowd import BINDING, ENDUSER, OTHER_CODE, Caller, Crowd, Device, Product, run_crowd
from tests.attack.shares import accept, invite, invite_named
from tests.e2e.wire_by_hand import aes_cbc, app_password
from tests.faults.database import Content, changes, content_of
from tests.tables import Row

pytestmark = pytest.mark.enable_socket

ROOMS = [
    importlib.import_module(f"quecbind.center.http.{m.name}")
    for m in pkgutil.iter_modules(quecbind.center.http.__path__)
]
ENDPOINTS: list[Endpoint] = [each for room in ROOMS for each in getattr(room, "ENDPOINTS", ())]
NOT_FOR_USERS = {("GET", "/healthz"), ("GET", "/metrics")}

# All but those by which one comes by a token.
CLOSED = [
    e
    for e in ENDPOINTS
    if not e.path.endswith(("/sendEmail", "/emailPwdRegister", "/emailPwdLogin", "/userPwdReset", "/refreshToken"))
]

DEVICES, SHARES, USER = ("a device", "a BLE device"), ("a share", "an invitation"), ("a user",)
# What a stranger hears who names a thing of another user, at every endpoint with every thing that it takes.
EXPECTED: dict[tuple[str, str], dict[tuple[str, ...], int]] = {
    ("GET", BINDING + "getDeviceInfoByBinding"): {DEVICES: 200},
    ("POST", BINDING + "v2/deviceBindingByWifi"): {DEVICES: 5460},
    ("POST", BINDING + "bindDeviceDk"): {DEVICES: 5499},
    ("POST", BINDING + "bindDeviceSn"): {DEVICES[:1]: 5412, DEVICES[1:]: 5327},
    ("GET", BINDING + "userDeviceList"): {DEVICES + USER: 200},
    ("GET", BINDING + "deviceInfo"): {DEVICES: 5052, SHARES: 5137},
    ("PUT", BINDING + "setDeviceInfo"): {DEVICES: 5041},
    ("DELETE", BINDING + "unbundlingDeviceDk"): {DEVICES: 5052},
    ("POST", BINDING + "approveReEnrolment"): {DEVICES: 5052},
    ("POST", BINDING + "getAuthKey"): {DEVICES: 5041},
    ("POST", BINDING + "regenerateAuthKey"): {DEVICES: 5041},
    ("GET", BINDING + "productTSL"): {DEVICES: 5041},
    ("GET", BINDING + "getDeviceBusinessAttributes"): {DEVICES: 5052},
    ("GET", BINDING + "getDeviceHistory"): {DEVICES: 5052},
    ("POST", BINDING + "batchControlDevice"): {DEVICES: 200},
    ("GET", BINDING + "deviceAudit"): {DEVICES: 5052},
    ("POST", BINDING + "getEncryptedBindingCode"): {DEVICES[:1]: 5464, DEVICES[1:]: 200},
    ("POST", BINDING + "deviceBindingByPureBt"): {DEVICES[:1]: 5464, DEVICES[1:]: 5459},
    ("POST", BINDING + "batchGetPureBtResetCredentials"): {DEVICES: 200},
    ("PUT", BINDING + "setBtLastUseTime"): {DEVICES: 5052},
    ("POST", BINDING + "shareInfo"): {DEVICES: 5360},
    ("POST", BINDING + "shareByUid"): {DEVICES: 5360},
    ("POST", BINDING + "shareDevice"): {SHARES: 5137},
    ("PUT", BINDING + "setShareTime"): {SHARES: 5041},
    ("DELETE", BINDING + "ownerUserUnshareDevice"): {SHARES: 5041},
    ("DELETE", BINDING + "shareUserUnshareDevice"): {SHARES: 5041},
    ("GET", BINDING + "deviceShareUserList"): {DEVICES: 5141},
    ("PUT", BINDING + "changeShareDeviceName"): {SHARES: 5041},
    ("POST", "/v2/binding/enterpriseapi/verifyBindingCode"): {DEVICES: 91004},
    ("POST", "/v2/mail/enduserapi/v2/sendEmail"): {USER: 200},
    ("POST", ENDUSER + "emailPwdRegister"): {USER: 5046},
    ("POST", ENDUSER + "v2/emailPwdRegister"): {USER: 5046},
    ("POST", ENDUSER + "emailPwdLogin"): {USER: 5586},
    ("PUT", ENDUSER + "userPwdReset"): {USER: 5046},
    ("PUT", ENDUSER + "refreshToken"): {USER: 5489},
    ("GET", ENDUSER + "userInfo"): {USER: 200},
    ("DELETE", ENDUSER + "userLogout"): {USER: 200},
    ("DELETE", ENDUSER + "userDelete"): {USER: 5586},
    ("POST", ENDUSER + "userDelete"): {USER: 5586},
}
# A serial number is what binds there: whoever brings one that exists has more than a name. Wrong ones are counted.
TELLS = {("bindDeviceSn", "a device")}
# A code that is mailed stands beside the one before it, whoever asks.
MAY_CHANGE = {"sendEmail": {"email_codes"}}
CARRIERS = ("query", "JSON", "form")
IN_JSON_ALONE = {"batchControlDevice"}
RANDOM = "0123456789abcdef"


@dataclass(frozen=True)
class Names:
    """A thing of a user, by everything that names it; "" is not sent."""

    pk: str
    dk: str
    serial: str
    uid: str
    email: str
    code: str
    token: str

    def of_nothing(self) -> Names:
        """The same, of the same lengths, for something there is not."""
        nothing = {"dk": "9" * len(self.dk), "uid": "9" * len(self.uid), "email": self.email and "u0@x.example"}
        nothing |= {"serial": self.serial and "SN-0", "code": "N" * len(self.code), "token": "x.y.z"}
        return replace(self, **nothing)


@pytest.fixture(scope="module")
def crowd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Crowd]:
    yield from run_crowd(tmp_path_factory.mktemp("crowd"), 1100)


@pytest.fixture(scope="module")
def victims(crowd: Crowd) -> Iterator[dict[str, Names]]:
    """What another user has: a device with a serial number, a device without a network, a share, an invitation."""
    user, member, friend = crowd.people(3)
    made = crowd.center.admin("product", "create", "plug", "--bind-mode", "single", "--allow-serial-binding")
    product, dk, serial = Product(made["product_key"], made["product_secret"]), "861000000000999", "SN-1"
    listed = crowd.center.data.parent / "devices.json"
    listed.write_text(json.dumps([{"product_key": product.key, "device_key": dk, "serial": serial}]))
    crowd.center.admin("device", "import", str(listed))
    device = Device(crowd, product, dk).bound_to(user)
    shared, invitation = invite(user, device), invite_named(user, device, shareUid=friend.uid)
    assert accept(member, shared) == 200
    email = user.call("GET", ENDUSER + "userInfo")["data"]["email"]
    tag = ble_device(crowd, user)
    theirs = user.uid, email
    yield {
        "a device": Names(product.key, dk, serial, *theirs, "", user.refresh_token),
        "a BLE device": Names(tag.key, "B1", serial, *theirs, "", user.refresh_token),
        "a share": Names("", "", "", *theirs, shared, user.refresh_token),
        "an invitation": Names("", "", "", *theirs, invitation, user.refresh_token),
        "a user": Names("", "", "", *theirs, "", user.refresh_token),
    }
    device.leave()


def ble_device(crowd: Crowd, owner: Caller) -> Product:
    """The product of a device without a network, "B1", bound with the texts that App and device exchange."""
    made = crowd.center.admin("product", "create", "tag", "--bind-mode", "single", "--ble-only")
    product = Product(made["product_key"], made["product_secret"])
    named = {"pk": product.key, "dk": "B1", "random": RANDOM}
    given = owner.call("POST", BINDING + "getEncryptedBindingCode", named)["data"]["encryptedBindingCode"]
    key, iv = product.secret.encode()[:16].ljust(16, b"\0"), RANDOM.encode()
    decryptor = Cipher(algorithms.AES(key), modes.CBC(iv)).decryptor()
    padded = decryptor.update(base64.b64decode(given)) + decryptor.finalize()
    code = padded[: -padded[-1]].decode()
    secret = base64.b64encode(aes_cbc(key, iv, f"{product.key},B1,0123456789ABCDEF".encode())).decode()
    named |= {"bindingCode": code, "encryptedNewBindingSecret": secret, "pwd": "x"}
    named["signature"] = signature(product.key + "B1" + code + "x" + crowd.domain_secret)
    answer = owner.call("POST", BINDING + "deviceBindingByPureBt", named)
    assert answer["code"] == 200, answer
    return product


def signature(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def asked(endpoint: Endpoint, names: Names, crowd: Crowd) -> dict[str, object]:
    """Every parameter that any endpoint reads: the ids named, and about the rest what a stranger would send."""
    is_sign_in = endpoint.path.endswith("emailPwdLogin")
    password = app_password("wrong-1", RANDOM)
    signed = names.email + password + RANDOM if is_sign_in else names.pk + names.dk + OTHER_CODE + password
    later = crowd.now_ms() + 600_000
    return {
        "pk": names.pk,
        "productKey": names.pk,
        "dk": names.dk,
        "deviceKey": names.dk,
        "sn": names.serial,
        "shareCode": names.code,
        "refreshToken": names.token,
        "pkList": names.pk,
        "uid": names.uid,
        "shareUid": names.uid,
        "ownerUid": names.uid,
        "email": names.email,
        "bindingCode": OTHER_CODE,
        "isBinding": "1",
        "isInit": "true",
        "capabilitiesBitmask": "1",
        "deviceName": "mine",
        "name": "mine",
        "coverMark": "2",
        "btLastUseTime": "1",
        "page": "1",
        "pageSize": "5",
        "acceptingExpireAt": str(later),
        "sharingExpireAt": str(later + 600_000),
        "pageNumber": "1",
        "pureBtResetCredentials": "",
        "encryptedNewBindingSecret": "eA==",
        "encryptedOldBindingSecret": "eA==",
        "encryptedBindingCode": "",
        "random": RANDOM,
        "pwd": password,
        "userDomain": crowd.domain,
        "signature": signature(signed + crowd.domain_secret),
        "code": "000000",
        "emailType": "5",
        "lang": "en",
        "nationality": "DE",
        "timezone": "UTC+1",
        "type": "2",
        "codeList": "on",
        "startTime": "0",
        "endTime": str(later),
        "data": '[{"1": true}]',
        "dataFormat": "1",
        "deviceList": [{"productKey": names.pk, "deviceKey": names.dk}],
        "isCache": "1",
        "cacheTime": "60",
        "isCover": "1",
        "qos": "1",
    }


@dataclass(frozen=True)
class Answer:
    status: int
    code: int
    whole: str

    def __str__(self) -> str:
        return str(self.code) if self.status == 200 else f"{self.status} {self.code}"


def ask(endpoint: Endpoint, names: Names, crowd: Crowd, carrier: str, who: Caller) -> Answer:
    """The answer, with what is the caller's own and what was asked about put out of it."""
    values = asked(endpoint, names, crowd)
    path, content, headers = endpoint.path, None, {"Authorization": who.token}
    if endpoint.takes_list:
        content, headers["Content-Type"] = json.dumps([values]).encode(), "application/json"
    elif carrier == "JSON":
        content, headers["Content-Type"] = json.dumps(values).encode(), "application/json"
    elif carrier == "form":
        content, headers["Content-Type"] = urllib.parse.urlencode(values).encode(), "application/x-www-form-urlencoded"
    else:
        path += "?" + urllib.parse.urlencode(values)
    status, came, body = who.request(endpoint.method, path, content, headers)
    told = sorted(f"{name}: {value}" for name, value in came if name.lower() != "date")
    whole = "\n".join([*told, body.decode()])
    short = (f'"dk":"{names.dk}"', f'"deviceKey":"{names.dk}"')  # a name that may be part of another word
    for own in (names.dk,) if len(names.dk) > 4 else short:
        whole = whole.replace(own, "dk") if names.dk else whole
    whole = whole.replace(who.uid, "uid")
    return Answer(status, json.loads(body)["code"], OWN.sub("own", whole))


# The caller's own address and times, and a code that is drawn for each call.
OWN = re.compile(
    r'u[0-9]+@x\.example|"(?:register|lastLogin)Time(?:Ts)?":(?:"[^"]*"|[0-9]+)|"encryptedBindingCode":"[^"]+"'
)


def of_others(crowd: Crowd, strangers: Iterable[Caller] = (), besides: Iterable[str] = ()) -> Content:
    """The database without the audit log, which tells of refusals, and without what is the strangers' own."""
    own = {who.uid for who in strangers}
    return {
        table: {key: found for key, found in rows.items() if found.get("uid") not in own}
        for table, rows in content_of(crowd.center.data / "quecbind.db").items()
        if table not in {"audit", "audit_head", *besides}
    }


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=[f"{e.method} {e.path.partition('api/')[2]}" for e in ENDPOINTS])
def test_the_ids_of_another_user_are_answered_like_nobodys_and_change_nothing(
    crowd: Crowd, victims: dict[str, Names], row: Row, endpoint: Endpoint
) -> None:
    name = endpoint.path.rpartition("/")[2]
    for things, code in EXPECTED[endpoint.method, endpoint.path].items():
        for thing in things:
            came: set[str] = set()
            for carrier in ("JSON",) if name in IN_JSON_ALONE else CARRIERS:
                somebody, nobody = crowd.people(2)
                before = of_others(crowd, (somebody, nobody), MAY_CHANGE.get(name, ()))
                told = ask(endpoint, victims[thing], crowd, carrier, somebody)
                of_nothing = ask(endpoint, victims[thing].of_nothing(), crowd, carrier, nobody)
                changed = changes(before, of_others(crowd, (somebody, nobody), MAY_CHANGE.get(name, ())))
                same = "as of nothing" if told.whole == of_nothing.whole else "unlike nothing"
                came.add(f"{told}, {same}, changed: {', '.join(changed) or 'nothing'}")
            alike = "unlike nothing" if (name, thing) in TELLS else "as of nothing"
            row(f"{endpoint.method} {name}: {thing} of another", {f"{code}, {alike}, changed: nothing"}, came)


def test_the_walk_knows_every_endpoint_and_every_parameter(crowd: Crowd, row: Row) -> None:
    app = build(cast(Center, None), CollectorRegistry())
    served = {
        (method, r.path) for r in app.routes if isinstance(r, Route) for method in (r.methods or set()) - {"HEAD"}
    }
    operations = {(each.method, PREFIX + each.path) for each in OPERATIONS}

    row("endpoints that nobody walks", set(), served - set(EXPECTED) - operations - NOT_FOR_USERS)
    row("endpoints walked that are not served", set(), set(EXPECTED) - served)
    brought = set(asked(ENDPOINTS[0], Names(*["x"] * 7), crowd))
    row("parameters that the walk does not bring", set(), read_by_rooms() - brought)


def read_by_rooms() -> set[str]:
    """The names in every call that reads a parameter."""
    names: set[str] = set()
    for room in ROOMS:
        for node in ast.walk(ast.parse(Path(str(room.__file__)).read_text())) if hasattr(room, "ENDPOINTS") else ():
            if isinstance(node, ast.Call):
                reader = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
                if reader in {"text", "texts", "whole", "flag", "_time"}:
                    names |= {a.value for a in node.args if isinstance(a, ast.Constant) and isinstance(a.value, str)}
    return names


@pytest.mark.parametrize("endpoint", CLOSED, ids=[f"{e.method} {e.path.partition('api/')[2]}" for e in CLOSED])
def test_without_a_token_nothing_is_told_and_nothing_changed(
    crowd: Crowd, victims: dict[str, Names], row: Row, endpoint: Endpoint
) -> None:
    call = f"{endpoint.method} {endpoint.path.rpartition('/')[2]}"
    before = of_others(crowd)
    nobody = Caller(crowd.center, "127.6.0.9", "")
    names = victims["a device"]
    values = asked(endpoint, names, crowd)
    missing = 91001 if "enterprise" in endpoint.path else 5106
    content = json.dumps([values] if endpoint.takes_list else values).encode()
    answer = nobody.request(endpoint.method, endpoint.path, content, {"Content-Type": "application/json"})

    row(f"{call}: without a token", missing, json.loads(answer[2])["code"])
    row("... what changed", [], changes(before, of_others(crowd)))


@pytest.mark.parametrize("operation", [o for o in OPERATIONS if not o.is_open], ids=lambda o: f"{o.method} {o.path}")
def test_a_users_token_opens_nothing_of_the_operators(
    crowd: Crowd, victims: dict[str, Names], row: Row, operation: Operation
) -> None:
    who, names = crowd.person(), victims["a device"]
    path = PREFIX + operation.path.format(product_key=names.pk, device_key=names.dk, key_id="1", uid=names.uid)
    before = of_others(crowd)
    content = json.dumps({"name": "mine", "uid": who.uid, "email": "a@example.org", "password": "secret-1"}).encode()
    keys = {
        "none": "",
        "a token": who.token,
        "a token as Bearer": "Bearer " + who.token,
        "Bearer and nothing": "Bearer ",
    }
    got = {
        name: who.request(
            operation.method, path, content, {"Authorization": key, "Content-Type": "application/json"} if key else {}
        )[0]
        for name, key in keys.items()
    }

    row(f"operator API, {operation.method} {operation.path}: no key, a user's token", {401}, set(got.values()))
    row("... what changed", [], changes(before, of_others(crowd)))
