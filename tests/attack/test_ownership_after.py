"""Ownership: what is left of a right when a device is reset or sold, or an account is closed; serial numbers."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator

import pytest

from tests.attack.app_lines import TOPICS, V1, V2
from tests.attack.crowd import BINDING, ENDUSER, OTHER_CODE, PASSWORD, Caller, Crowd, Device, Product, run_crowd
from tests.attack.shares import accept, end, invite, invite_named, may_use, shared_with, used_by
from tests.e2e.wire_by_hand import RawDevice, app_password, login_password, random_text, ttlv_number
from tests.tables import Row

pytestmark = pytest.mark.enable_socket

NO_PERMISSION, NOT_BOUND, INVALID_CODE, TOKEN_INVALID, REFRESH_INVALID = 5041, 5052, 5137, 5032, 5489
SERIAL_INVALID, SERIAL_FORMAT, SINGLE, TOO_MANY, MAY_NOT_BIND = 5090, 5178, 5412, 8429, 5913
WRONG_PASSWORD, MAIL_CODE_MISSING = 5586, 5064
POLICY, NOT_SIGNED_IN_V2 = 1008, 4


@pytest.fixture(scope="module")
def crowd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Crowd]:
    yield from run_crowd(tmp_path_factory.mktemp("crowd"), 150)


@pytest.fixture(autouse=True)
def devices_leave(crowd: Crowd) -> Iterator[None]:
    yield
    while crowd.devices:
        crowd.devices.pop().leave()


def reset(device: Device) -> None:
    device.crowd.center.admin("device", "approve", device.product.key, device.dk)
    device.enrol_again()


def call(who: Caller, method: str, name: str, **named: object) -> int:
    return who.call(method, BINDING + name, named)["code"]


def values_told(said: list[dict[str, object]]) -> list[object]:
    return [json.loads(str(one["data"]))["value"] for one in said if one["type"] == "ENDUSER"]


# Reset


def test_shares_and_invitations_end_with_a_reset(crowd: Crowd, row: Row) -> None:
    old, member, invited, new = crowd.people(4)
    device = crowd.device().bound_to(old)
    shared, invitation = invite(old, device), invite_named(old, device, shareUid=invited.uid)
    assert accept(member, shared) == 200
    reset(device)

    row("after a reset: the old member's device", NOT_BOUND, may_use(member, device))
    row("... an old invitation", INVALID_CODE, accept(invited, invitation))
    row("... the old share once more", INVALID_CODE, accept(member, shared))
    row("... the old owner prolongs the old share", NO_PERMISSION,
        call(old, "PUT", "setShareTime", shareCode=shared, sharingExpireAt=crowd.now_ms() + 10**6))  # fmt: skip
    row("... the old owner ends it", NO_PERMISSION, end(old, shared))
    device.bound_to(new)
    row("... with a new owner: the old invitation", INVALID_CODE, accept(invited, invitation))
    row("... the old member's device", NOT_BOUND, may_use(member, device))
    row("... what the new owner has shared", (200, []), shared_with(new, device))
    audit = new.call("GET", BINDING + "deviceAudit", pk=device.product.key, dk=device.dk, pageSize=100)["data"]["list"]
    row("... who is named in the new owner's audit log", False, any(uid in str(audit) for uid in (old.uid, member.uid)))


def test_sessions_of_before_a_reset_hear_nothing_of_the_next_owner(crowd: Crowd, row: Row) -> None:
    old, new = crowd.people(2)
    device = crowd.device().bound_to(old)
    with V1(crowd.center, old) as app, V2.of(old, crowd.center) as mqtt:
        assert app.subscribe(device) == 1
        assert mqtt.hear(device) == [0] * len(TOPICS)
        reset(device)
        told = app.told(), mqtt.told()[1]
        device.bound_to(new)
        device.link.publish(0x0014, ttlv_number(1, 5), 800, "bus")
        device.link.wait_puback(800)

        row("a reset: what the old owner's sessions are told", [2, 2], values_told(list(told)))
        row("... of the next owner's device, WebSocket v1", [], app.heard())
        row("... MQTT v2", [], mqtt.heard())
        row("... subscribing again with the old token", (4011, [0x80] * len(TOPICS)),
            (app.subscribe(device), mqtt.hear(device)))  # fmt: skip


def test_an_old_token_is_a_token_and_no_right(crowd: Crowd, row: Row) -> None:
    old, new = crowd.people(2)
    device = crowd.device().bound_to(old)
    reset(device)
    device.bound_to(new)
    named: dict[str, object] = {"pk": device.product.key, "dk": device.dk}

    row("the old owner's token after a reset is a token", 200, old.call("GET", ENDUSER + "userInfo")["code"])
    row("... names the device", NO_PERMISSION, call(old, "PUT", "setDeviceInfo", **named, deviceName="mine"))
    row("... makes a new auth key", NO_PERMISSION, call(old, "POST", "regenerateAuthKey", **named))
    row("... lets the device enrol again", NOT_BOUND, call(old, "POST", "approveReEnrolment", **named))
    row("... orders a reset", NOT_BOUND, call(old, "DELETE", "unbundlingDeviceDk", **named, isInit="true"))
    row("... shares it", 5360, call(old, "POST", "shareByUid", **named, shareUid=old.uid))
    row("... who owns the device", [new.uid], device.owners())


# Resale


def test_a_sale_without_a_reset_ends_what_the_seller_gave(crowd: Crowd, row: Row) -> None:
    seller, member, invited, buyer = crowd.people(4)
    device = crowd.device().bound_to(seller)
    shared, invitation = invite(seller, device), invite(seller, device)
    assert accept(member, shared) == 200
    assert seller.unbind(device.product, device.dk) == 200
    device.bound_to(buyer)

    row("sold without a reset: the seller's member", NOT_BOUND, may_use(member, device))
    row("... the seller's invitation", INVALID_CODE, accept(invited, invitation))
    row("... what the buyer has shared", (200, []), shared_with(buyer, device))


def test_a_seller_who_copied_the_device_secret(crowd: Crowd, row: Row) -> None:
    seller, buyer = crowd.people(2)
    device = crowd.device().bound_to(seller)
    copied = device.secret
    assert seller.unbind(device.product, device.dk) == 200
    device.bound_to(buyer)

    def log_in() -> int | None:
        with RawDevice(crowd.center.mqtt_port, device.product.key, device.dk) as copy:
            return copy.connect(login_password(device.product.secret, copied))

    row("NOT DEFENDED: sold without a reset, a seller who copied the device secret logs in", 0,
        log_in())  # fmt: skip
    row("... who owns the device", [buyer.uid], device.owners())
    reset(device)
    row("... after a reset by the buyer", 5, log_in())


# Serial numbers


@pytest.fixture(scope="module")
def boxed(crowd: Crowd) -> Product:
    made = crowd.center.admin("product", "create", "boxed", "--bind-mode", "single", "--allow-serial-binding")
    product = Product(made["product_key"], made["product_secret"])
    listed = crowd.center.data.parent / "boxed.json"
    rows = [{"product_key": product.key, "device_key": f"BOX{n}", "serial": f"SN-{n}"} for n in range(10)]
    listed.write_text(json.dumps(rows))
    crowd.center.admin("device", "import", str(listed))
    return product


def by_serial(who: Caller, product: Product, serial: object) -> int:
    return who.call("POST", BINDING + "bindDeviceSn", {"pk": product.key, "sn": serial})["code"]


def test_a_serial_bound_before_the_sale_binds_nothing(crowd: Crowd, boxed: Product, row: Row) -> None:
    thief, owner = crowd.people(2)
    row("a serial number before its device has ever been on", SERIAL_INVALID, by_serial(thief, boxed, "SN-0"))
    device = Device(crowd, boxed, "BOX0")
    crowd.devices.append(device)
    row("... when it has enrolled and not used its secret", SERIAL_INVALID, by_serial(thief, boxed, "SN-0"))
    assert device.log_in() == 0
    row("... when it is on: its owner", 200, by_serial(owner, boxed, "SN-0"))
    row("... somebody else after that", SINGLE, by_serial(thief, boxed, "SN-0"))
    row("... who owns the device", [owner.uid], device.owners())


def test_a_serial_is_all_it_takes_where_a_product_allows_it(crowd: Crowd, boxed: Product, row: Row) -> None:
    thief, owner = crowd.people(2)
    device = Device(crowd, boxed, "BOX1")
    crowd.devices.append(device)
    assert device.log_in() == 0

    row("NOT DEFENDED: a serial number read on the box, brought before its buyer", 200, by_serial(thief, boxed, "SN-1"))
    row("... the buyer hears that it has an owner", SINGLE, by_serial(owner, boxed, "SN-1"))
    reset(device)
    assert device.log_in() == 0
    row("... after a reset by the buyer, who comes first now", 200, by_serial(owner, boxed, "SN-1"))
    row("... the thief", SINGLE, by_serial(thief, boxed, "SN-1"))


@pytest.mark.parametrize(
    ("name", "serial", "expected"),
    [
        ("none", "", 5088),
        ("65 letters", "S" * 65, SERIAL_FORMAT),
        ("a wildcard", "SN-%", SERIAL_FORMAT),
        ("SQL", "' OR 1=1 --", SERIAL_FORMAT),
        ("a list", ["SN-2"], 8400),
        ("lower case", "sn-2", SERIAL_INVALID),
        ("the device key", "BOX2", SERIAL_INVALID),
    ],
)
def test_what_is_no_serial_binds_nothing(
    crowd: Crowd, boxed: Product, row: Row, name: str, serial: object, expected: int
) -> None:
    who = crowd.person()
    row("serial number: " + name, expected, by_serial(who, boxed, serial))
    row("... what is bound", [], who.device_keys())


def test_serials_cannot_be_counted_through(crowd: Crowd, boxed: Product, row: Row) -> None:
    thief = crowd.person()
    tried = [by_serial(thief, boxed, f"SN-{number}") for number in range(100, 110)]
    row("ten serial numbers of one user, counted through", {SERIAL_INVALID}, set(tried))
    row("... the eleventh", TOO_MANY, by_serial(thief, boxed, "SN-0"))
    row("a serial number at another product", {SERIAL_INVALID, 5327},
        {by_serial(crowd.person(), boxed, "SN-999"), by_serial(crowd.person(), crowd.single, "SN-0")})  # fmt: skip


# Device keys


def by_device_key(who: Caller, product: Product, dk: str) -> int:
    return who.call("POST", BINDING + "bindDeviceDk", {"pk": product.key, "dk": dk})["code"]


def test_device_keys_cannot_be_counted_through_and_their_owners_come_in(crowd: Crowd, row: Row) -> None:
    made = crowd.center.admin("product", "create", "named", "--bind-mode", "single", "--allow-device-key-binding")
    product = Product(made["product_key"], made["product_secret"])
    device = crowd.device(product)
    assert device.log_in() == 0
    thief, owner, *others = crowd.people(12)

    tried = [by_device_key(thief, product, f"86200000000000{number}") for number in range(10)]
    row("ten device keys of one user, counted through", {MAY_NOT_BIND}, set(tried))
    row("... the eleventh, which is one", TOO_MANY, by_device_key(thief, product, device.dk))
    elsewhere = Caller(thief.center, "127.8.0.2", thief.token)
    row("... from another address", TOO_MANY, by_device_key(elsewhere, product, device.dk))
    more = {by_device_key(who, product, f"86300000000000{number}") for number in range(10) for who in others[:9]}
    row("... 90 more by 9 users", {MAY_NOT_BIND}, more)
    row("... and one of them brings one that is", TOO_MANY, by_device_key(others[0], product, device.dk))
    row("... its user", 200, by_device_key(owner, product, device.dk))
    row("... somebody else after that", SINGLE, by_device_key(others[9], product, device.dk))
    row("... and once more: it was a guess", TOO_MANY, by_device_key(others[9], product, device.dk))
    row("... who owns the device", [owner.uid], device.owners())


# Accounts


def sign_in(crowd: Crowd, email: str, password: str = PASSWORD) -> dict[str, object]:
    nonce = random_text()
    cipher = app_password(password, nonce)
    signature = hashlib.sha256((email + cipher + nonce + crowd.domain_secret).encode()).hexdigest()
    form = {"email": email, "pwd": cipher, "random": nonce, "userDomain": crowd.domain, "signature": signature}
    return Caller(crowd.center, "127.8.0.1").call("POST", ENDUSER + "emailPwdLogin", form)


def close_account(who: Caller, password: str = PASSWORD) -> int:
    nonce = random_text()
    return who.call("DELETE", ENDUSER + "userDelete", pwd=app_password(password, nonce), random=nonce)["code"]


def email_of(who: Caller) -> str:
    return str(who.call("GET", ENDUSER + "userInfo")["data"]["email"])


def test_an_account_is_not_closed_by_a_token_alone(crowd: Crowd, row: Row) -> None:
    victim, thief = crowd.people(2)
    device = crowd.device().bound_to(victim)
    row("a stolen token closes the account", MAIL_CODE_MISSING, victim.call("DELETE", ENDUSER + "userDelete")["code"])
    row("... with a wrong password", WRONG_PASSWORD, close_account(victim, "wrong-1"))
    row("... with a wrong mail code", 5046, victim.call("DELETE", ENDUSER + "userDelete", code="000000")["code"])
    row("... who owns the device", [victim.uid], device.owners())
    row("a user closes theirs and names another's uid", 200, thief_closes(thief, victim))
    row("... the other's account", 200, victim.call("GET", ENDUSER + "userInfo")["code"])
    row("... who owns the device", [victim.uid], device.owners())


def thief_closes(thief: Caller, victim: Caller) -> int:
    nonce = random_text()
    asked = {"pwd": app_password(PASSWORD, nonce), "random": nonce, "uid": victim.uid, "email": email_of(victim)}
    return thief.call("POST", ENDUSER + "userDelete", asked)["code"]


def test_a_closed_account_can_do_nothing_any_more(crowd: Crowd, row: Row) -> None:
    gone, member, invited, friend, next_owner = crowd.people(5)
    email = email_of(gone)
    device, theirs = crowd.device().bound_to(gone), crowd.device().bound_to(friend)
    shared, invitation = invite(gone, device), invite(gone, device)
    assert accept(member, shared) == 200
    held, named = invite(friend, theirs), invite_named(friend, theirs, shareUid=gone.uid)
    assert accept(gone, held) == 200
    friends_key = used_by(friend, theirs)["authKey"]
    second = Caller(crowd.center, "127.8.0.2", sign_in(crowd, email)["data"]["accessToken"]["token"])
    assert second.device_keys() != []
    device.report(OTHER_CODE)
    with V1(crowd.center, gone) as app, V2.of(gone, crowd.center) as mqtt, V1(crowd.center, member) as members:
        assert app.subscribe(device) == members.subscribe(device) == 1
        assert mqtt.hear(device) == [0] * len(TOPICS)

        assert close_account(gone) == 200

        row("an account is closed: its WebSocket v1", POLICY, app.fate())
        row("... its MQTT v2 session", POLICY, mqtt.fate())
        row("... the member is told", 0, json.loads(members.told()["data"])["value"])
        row("... and hears no more", [], after_report(device, members))
    row("... its access token", TOKEN_INVALID, gone.call("GET", ENDUSER + "userInfo")["code"])
    row("... the token of its other session", TOKEN_INVALID, second.call("GET", BINDING + "userDeviceList")["code"])
    row("... its refresh token", REFRESH_INVALID,
        gone.call("PUT", ENDUSER + "refreshToken", refreshToken=gone.refresh_token)["code"])  # fmt: skip
    row("... its token at MQTT v2", NOT_SIGNED_IN_V2, log_in_v2(crowd, gone))
    row("... its password, like that of an unknown address", WRONG_PASSWORD, sign_in(crowd, email)["code"])
    row("... it binds with a code", TOKEN_INVALID, gone.bind(device.product, device.dk, OTHER_CODE))
    row("... who owns its device", [], device.owners())
    row("... its member", NOT_BOUND, may_use(member, device))
    row("... its invitation", INVALID_CODE, accept(invited, invitation))
    row("... the invitation it had, brought by another", INVALID_CODE, accept(invited, named))
    row("... what the friend has shared", (200, []), shared_with(friend, theirs))
    row("... the friend's auth key is another", True, used_by(friend, theirs)["authKey"] != friends_key)
    row("... the device is free for the next", 200, next_owner.bind(device.product, device.dk, OTHER_CODE))
    made = crowd.center.admin("user", "create", email, "--domain", crowd.domain, "--password", PASSWORD)
    again = Caller(crowd.center, "127.8.0.3", str(sign_in(crowd, email)["data"]["accessToken"]["token"]))
    row("... an account with its address again: another uid", True, made["uid"] != gone.uid)
    row("... which owns", [], again.device_keys())
    row("... and the old token", TOKEN_INVALID, gone.call("GET", ENDUSER + "userInfo")["code"])


def after_report(device: Device, app: V1) -> list[dict[str, object]]:
    device.link.publish(0x0014, ttlv_number(1, 5), 700, "bus")
    device.link.wait_puback(700)
    return app.heard()


def log_in_v2(crowd: Crowd, who: Caller) -> int | str:
    with V2(crowd.center) as line:
        return line.log_in(who.token, who.uid)
