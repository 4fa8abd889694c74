"""Everything that commits, as rows: what it begins from, how it is done, how it is seen that it can be done (again).

`again` is asked after a kill, when the deed has happened whole or not at all, and nobody who did it knows which: it
does what they would do then, and says whether that leads where the deed was to lead. A deed is one line of DEEDS.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import itertools
import re
import time
from collections.abc import Callable
from typing import Any, NamedTuple

from quecbind.wire import ble
from tests.e2e.conftest import BINDING, User
from tests.e2e.wire_by_hand import app_password, login_password, random_text, ttlv_number
from tests.faults.scene import PASSWORD, Scene

OTHER_PASSWORD = "another1!"
CODE = "1234567890ABCDEF"
ENDUSER = "/v2/enduser/enduserapi/"
STATUS_REPORT = 0x0034
HOUR_MS = 3_600_000
GONE_CODES = {5052, 5041}  # not theirs (any more)
_numbers = itertools.count(1)


class Subject(NamedTuple):
    """What a deed is done to: a device, and what else it takes (a share code, a product, a refresh token)."""

    dk: str
    secret: str = ""
    more: Any = None

    @property
    def email(self) -> str:
        """An address that nobody else uses."""
        return f"u{self.dk}@example.org"


class Deed(NamedTuple):
    """What is done, to what, and how it is seen that after the restart it can be done (again) with what comes of it.

    `commit` is the how many-th of its commits does it; those before change nothing.
    """

    name: str
    begin: Callable[[Scene], Subject]
    do: Callable[[Scene, Subject], object]
    again: Callable[[Scene, Subject], bool]
    commit: int = 1


# Devices


def new(scene: Scene) -> Subject:
    return Subject(scene.world.new_device_key())


def issued(scene: Scene) -> Subject:
    dk = scene.world.new_device_key()
    return Subject(dk, scene.enrol(dk))


def active(scene: Scene) -> Subject:
    device = issued(scene)
    assert scene.connect(device.dk, device.secret) == 0
    return device


def waiting(scene: Scene) -> Subject:
    device = active(scene)
    scene.report(device.dk, device.secret, CODE)
    return device


def owned(scene: Scene) -> Subject:
    device = waiting(scene)
    assert scene.ann.bind(device.dk, CODE)["code"] == 200
    return device


def approved(scene: Scene) -> Subject:
    device = owned(scene)
    assert approve(scene, device) == 200
    return device


def owing(scene: Scene) -> Subject:
    device = owned(scene)
    assert leave_and_reset(scene, device) == 200
    return device


def enrol(scene: Scene, device: Subject) -> bool:
    return scene.connect(device.dk, scene.enrol(device.dk)) == 0


def connect(scene: Scene, device: Subject) -> bool:
    assert scene.connect(device.dk, device.secret) == 0
    return True


def proof(device: Subject) -> bytes:
    key = hmac.digest(device.secret.encode(), f"rst;{device.dk}".encode(), hashlib.sha256)
    nonce = random_text()
    return f"rst;{nonce};{base64.b64encode(hmac.digest(key, nonce.encode(), hashlib.sha256)).decode()}".encode()


def reset(scene: Scene, device: Subject) -> bool:
    return scene.connect(device.dk, scene.enrol(device.dk, proof(device))) == 0 and not owns(scene, device)


def report(scene: Scene, device: Subject) -> bool:
    scene.report(device.dk, device.secret, CODE)
    return scene.ann.bind(device.dk, CODE)["code"] == 200


def close(scene: Scene, device: Subject) -> None:
    with scene.raw(device.dk) as raw:
        assert raw.connect(login_password(scene.world.ps, device.secret)) == 0
        raw.report_bind_code(CODE, 0)


def close_window(scene: Scene, device: Subject) -> bool:
    close(scene, device)
    return scene.ann.bind(device.dk, CODE)["code"] == 5460


def report_status(scene: Scene, device: Subject) -> bool:
    with scene.raw(device.dk) as raw:
        assert raw.connect(login_password(scene.world.ps, device.secret)) == 0
        raw.publish(STATUS_REPORT, ttlv_number(1, 77), 2)
        raw.wait_puback(2)
    return bool(shown(scene, device)["status"] == {"1": 77})


def hear_of_reset(scene: Scene, device: Subject) -> None:
    """The device logs in with its old secret and hears that it is to start over."""
    with scene.raw(device.dk) as raw:
        raw.connect(login_password(scene.world.ps, device.secret))
        assert raw.message() is not None, "it was told nothing"


def start_over(scene: Scene, device: Subject) -> bool:
    hear_of_reset(scene, device)
    return enrol(scene, device)


def shown(scene: Scene, device: Subject) -> Any:
    return scene.operator("GET", f"/devices/{scene.world.pk}/{device.dk}")[1]


# What users do with devices


def app(scene: Scene, method: str, name: str, who: User | None = None, **query: object) -> dict[str, Any]:
    return scene.center.call(method, BINDING + name, (who or scene.ann).token, **query)


def about(scene: Scene, device: Subject) -> dict[str, object]:
    return {"pk": scene.world.pk, "dk": device.dk}


def owns(scene: Scene, device: Subject) -> bool:
    return device.dk in scene.ann.device_keys()


def bind(scene: Scene, device: Subject) -> bool:
    return scene.ann.bind(device.dk, CODE)["code"] == 200 and owns(scene, device)


def unbind(scene: Scene, device: Subject) -> bool:
    return scene.ann.unbind(device.dk)["code"] in {200, *GONE_CODES} and not owns(scene, device)


def leave_and_reset(scene: Scene, device: Subject) -> int:
    return int(app(scene, "DELETE", "unbundlingDeviceDk", **about(scene, device), isInit="true")["code"])


def order_reset(scene: Scene, device: Subject) -> bool:
    return leave_and_reset(scene, device) in {200, *GONE_CODES} and start_over(scene, device)


def approve(scene: Scene, device: Subject) -> int:
    return int(app(scene, "POST", "approveReEnrolment", **about(scene, device))["code"])


def approve_again(scene: Scene, device: Subject) -> bool:
    return approve(scene, device) == 200 and enrol(scene, device)


def rename(scene: Scene, device: Subject) -> bool:
    return bool(app(scene, "PUT", "setDeviceInfo", **about(scene, device), deviceName="hall")["code"] == 200)


def renew_auth_key(scene: Scene, device: Subject) -> bool:
    fresh = app(scene, "POST", "regenerateAuthKey", **about(scene, device))["data"]
    return bool(app(scene, "POST", "getAuthKey", **about(scene, device))["data"] == fresh)


def boxed(scene: Scene) -> Subject:
    """A device of a product whose devices are bound by what is printed on the box: `more` is its product key."""
    device = new(scene)
    spec = {"name": "box", "allow_serial_binding": True, "allow_device_key_binding": True}
    pk = scene.operator("POST", "/products", spec)[1]["product_key"]
    one = {"product_key": pk, "device_key": device.dk, "device_secret": "s" * 32, "serial": f"SN{device.dk}"}
    status, answer = scene.operator("POST", "/devices/import", [one])
    assert status == 200, answer
    return device._replace(more=pk)


def bind_by_serial(scene: Scene, device: Subject) -> bool:
    answer = app(scene, "POST", "bindDeviceSn", pk=device.more, sn=f"SN{device.dk}")
    return bool(answer["code"] == 200) and owns(scene, device)


def bind_by_device_key(scene: Scene, device: Subject) -> bool:
    answer = app(scene, "POST", "bindDeviceDk", pk=device.more, dk=device.dk)
    return bool(answer["code"] == 200) and owns(scene, device)


class Tag:
    """A BLE-only device: it holds the product's secret and talks to nobody but an App."""

    def __init__(self, scene: Scene, dk: str) -> None:
        made = scene.operator("POST", "/products", {"name": "tag", "ble_only": True})[1]
        self.pk, self.ps, self.dk = made["product_key"], made["product_secret"], dk
        self.random, self.bond = random_text(), ""
        self.code = ""

    def ask(self, scene: Scene) -> None:
        """The App gets a bind code that only the tag can read."""
        answer = app(scene, "POST", "getEncryptedBindingCode", pk=self.pk, dk=self.dk, random=self.random)
        self.code = answer["data"]["encryptedBindingCode"]

    def bind(self, scene: Scene) -> int:
        old, self.bond = self.bond, f"{next(_numbers):016X}"
        sealed = [ble.encrypt_bind_secret(self.pk, self.dk, bond, self.ps, self.random) for bond in (self.bond, old)]
        signature = hashlib.sha256(
            (self.pk + self.dk + self.code + scene.world.domain_secret).encode(), usedforsecurity=True
        ).hexdigest()
        fields: dict[str, object] = {
            "pk": self.pk,
            "dk": self.dk,
            "random": self.random,
            "encryptedBindingCode": self.code,
            "encryptedNewBindingSecret": sealed[0],
            "signature": signature,
        }
        if old:
            fields["encryptedOldBindingSecret"] = sealed[1]
        return int(app(scene, "POST", "deviceBindingByPureBt", **fields)["code"])


def tag(scene: Scene) -> Subject:
    device = new(scene)
    made = Tag(scene, device.dk)
    made.ask(scene)
    return device._replace(more=made)


def bound_tag(scene: Scene) -> Subject:
    device = tag(scene)
    assert device.more.bind(scene) == 200
    return device


def bind_by_ble(scene: Scene, device: Subject) -> bool:
    device.more.ask(scene)
    return device.more.bind(scene) == 200 and owns(scene, device)


def note_ble_use(scene: Scene, device: Subject) -> bool:
    fields = {"pk": device.more.pk, "dk": device.dk, "btLastUseTime": round(time.time() * 1000)}
    return bool(app(scene, "PUT", "setBtLastUseTime", **fields)["code"] == 200)


# Sharing: Ann owns, Ben is invited; `more` is the share code


def times(**spans_ms: int) -> dict[str, int]:
    return {name: round(time.time() * 1000) + span_ms for name, span_ms in spans_ms.items()}


def invite(scene: Scene, device: Subject) -> str:
    ends = times(acceptingExpireAt=HOUR_MS, sharingExpireAt=2 * HOUR_MS)
    answer = app(scene, "POST", "shareInfo", **about(scene, device), coverMark=1, **ends)
    assert answer["code"] == 200, answer
    return str(answer["data"])


def invited(scene: Scene) -> Subject:
    device = owned(scene)
    return device._replace(more=invite(scene, device))


def shared(scene: Scene) -> Subject:
    device = invited(scene)
    assert accept(scene, device) == 200
    return device


def uses(scene: Scene, device: Subject) -> bool:
    return device.dk in scene.ben.device_keys()


def accept(scene: Scene, device: Subject) -> int:
    return int(app(scene, "POST", "shareDevice", scene.ben, shareCode=device.more)["code"])


def accept_again(scene: Scene, device: Subject) -> bool:
    return accept(scene, device) in {200, 6040} and uses(scene, device)


def invite_again(scene: Scene, device: Subject) -> bool:
    return accept_again(scene, device._replace(more=invite(scene, device)))


def invite_by_uid(scene: Scene, device: Subject) -> str:
    query = {**about(scene, device), "email": scene.ben.email, "coverMark": 1, **times(sharingExpireAt=HOUR_MS)}
    answer = app(scene, "POST", "shareByUid", **query)
    assert answer["code"] == 200, answer
    return str(answer["data"])


def set_share_time(scene: Scene, device: Subject) -> bool:
    ends = times(sharingExpireAt=3 * HOUR_MS)
    return bool(app(scene, "PUT", "setShareTime", shareCode=device.more, **ends)["code"] == 200)


def rename_shared(scene: Scene, device: Subject) -> bool:
    query = {"shareCode": device.more, "deviceName": "ben's"}
    return bool(app(scene, "PUT", "changeShareDeviceName", scene.ben, **query)["code"] == 200)


def revoke(scene: Scene, device: Subject) -> bool:
    answer = app(scene, "DELETE", "ownerUserUnshareDevice", shareCode=device.more)
    return answer["code"] in {200, *GONE_CODES} and not uses(scene, device) and owns(scene, device)


def leave_share(scene: Scene, device: Subject) -> bool:
    answer = app(scene, "DELETE", "shareUserUnshareDevice", scene.ben, shareCode=device.more)
    return answer["code"] in {200, *GONE_CODES} and not uses(scene, device)


def shared_for_ten_minutes(scene: Scene) -> Subject:
    device = owned(scene)
    ends = times(acceptingExpireAt=60_000, sharingExpireAt=600_000)
    answer = app(scene, "POST", "shareInfo", **about(scene, device), coverMark=1, **ends)
    device = device._replace(more=answer["data"])
    assert accept(scene, device) == 200
    return device


def has_ended(scene: Scene, device: Subject) -> bool:
    entries = app(scene, "GET", "deviceAudit", **about(scene, device))["data"]["list"]
    return any(entry["action"] == "share.expired" for entry in entries)


def let_share_end(scene: Scene, device: Subject) -> bool:
    """Eleven minutes later, by the clock of its machine, the server ends it by itself."""
    scene.set_clock(660)
    deadline = time.monotonic() + 20
    while not has_ended(scene, device):
        assert time.monotonic() < deadline, "nobody has swept"
        time.sleep(0.02)
    return not uses(scene, device)


def end_share_again(scene: Scene, device: Subject) -> bool:
    is_over = let_share_end(scene, device)
    scene.restart_with_the_right_clock()
    return is_over


# Accounts; `more` is the code that was mailed, a user, or an answer of the sign-in


def create_user(scene: Scene, subject: Subject) -> bool:
    scene.operator("POST", "/users", scene.new_user(subject.email))
    return bool(scene.world.sign_in(subject.email, PASSWORD).token)


def mail(scene: Scene, subject: Subject, email_type: int = 1) -> bool:
    query = {"email": subject.email, "emailType": email_type, "userDomain": scene.world.domain}
    return bool(scene.center.call("POST", "/v2/mail/enduserapi/v2/sendEmail", **query)["code"] == 200)


def mailed(scene: Scene) -> Subject:
    return _with_code(scene, new(scene), 1)


def _with_code(scene: Scene, subject: Subject, email_type: int) -> Subject:
    assert mail(scene, subject, email_type)
    written = re.findall(rf"to={re.escape(subject.email)} type={email_type} code=(\d+)", scene.center.log.read_text())
    return subject._replace(more=written[-1])


def register(scene: Scene, subject: Subject) -> dict[str, Any]:
    nonce = random_text()
    fields = {"email": subject.email, "code": subject.more, "pwd": app_password(PASSWORD, nonce), "random": nonce}
    return scene.center.call("POST", ENDUSER + "v2/emailPwdRegister", **fields, userDomain=scene.world.domain)


def register_again(scene: Scene, subject: Subject) -> bool:
    register(scene, subject)
    return can_sign_in(scene, subject)


def user(scene: Scene) -> Subject:
    subject = new(scene)
    assert create_user(scene, subject)
    return subject


def forgetful(scene: Scene) -> Subject:
    """A user who has signed in, and has a code for another password."""
    subject = user(scene)
    assert can_sign_in(scene, subject)
    return _with_code(scene, subject, 2)


def reset_password(scene: Scene, subject: Subject) -> dict[str, Any]:
    query = {"email": subject.email, "code": subject.more, "pwd": OTHER_PASSWORD, "userDomain": scene.world.domain}
    return scene.center.call("PUT", ENDUSER + "userPwdReset", **query)


def reset_password_again(scene: Scene, subject: Subject) -> bool:
    reset_password(scene, subject)
    return bool(sign_in(scene, subject, OTHER_PASSWORD)["code"] == 200)


def sign_in(scene: Scene, subject: Subject, password: str = PASSWORD) -> dict[str, Any]:
    nonce = random_text()
    cipher = app_password(password, nonce)
    signed = subject.email + cipher + nonce + scene.world.domain_secret
    query = {
        "email": subject.email,
        "pwd": cipher,
        "random": nonce,
        "userDomain": scene.world.domain,
        "signature": hashlib.sha256(signed.encode()).hexdigest(),
    }
    return scene.center.call("POST", ENDUSER + "emailPwdLogin", **query)


def can_sign_in(scene: Scene, subject: Subject) -> bool:
    return bool(sign_in(scene, subject)["code"] == 200)


def signed_in(scene: Scene) -> Subject:
    subject = user(scene)
    return subject._replace(more=sign_in(scene, subject)["data"])


def refresh(scene: Scene, subject: Subject) -> dict[str, Any]:
    return scene.center.call("PUT", ENDUSER + "refreshToken", refreshToken=subject.more["refreshToken"]["token"])


def refresh_again(scene: Scene, subject: Subject) -> bool:
    """Whoever did not get the new pair asks again; where that took over half a minute, signing in is what is left."""
    return refresh(scene, subject)["code"] == 200 or can_sign_in(scene, subject)


def sign_out(scene: Scene, subject: Subject) -> bool:
    token = subject.more["accessToken"]["token"]
    scene.center.call("DELETE", ENDUSER + "userLogout", token)
    return bool(scene.center.call("GET", ENDUSER + "userInfo", token)["code"] == 5032)


def owner_to_go(scene: Scene) -> Subject:
    """A user who owns a device that Ben uses by a share."""
    device = waiting(scene)
    made = signed_in(scene)
    token = made.more["accessToken"]["token"]
    body = {"productKey": scene.world.pk, "deviceKey": device.dk, "bindingCode": CODE}
    assert scene.center.call("POST", BINDING + "v2/deviceBindingByWifi", token, body)["code"] == 200
    ends = times(acceptingExpireAt=HOUR_MS, sharingExpireAt=HOUR_MS * 2)
    query = {**about(scene, device), "coverMark": 1, **ends}
    code = scene.center.call("POST", BINDING + "shareInfo", token, **query)["data"]
    assert accept(scene, device._replace(more=code)) == 200
    return device._replace(more=(made, token))


def cancel_account(scene: Scene, device: Subject) -> dict[str, Any]:
    token, nonce = device.more[1], random_text()
    query = {"pwd": app_password(PASSWORD, nonce), "random": nonce}
    return scene.center.call("DELETE", ENDUSER + "userDelete", token, **query)


def cancel_again(scene: Scene, device: Subject) -> bool:
    """The account is gone, and the device is free for whoever brings its code."""
    made = device.more[0]
    cancel_account(scene, device)
    scene.report(device.dk, device.secret, CODE)
    return not can_sign_in(scene, made) and not uses(scene, device) and bind(scene, device)


# What operators do


def operator(method: str, path: str, body: Callable[[Subject], object] | None = None) -> Callable[..., bool]:
    """A call that may be made twice; `{pk}`, `{dk}` and `{more}` in its path are filled in."""

    def do(scene: Scene, subject: Subject) -> bool:
        filled = path.format(pk=scene.world.pk, dk=subject.dk, more=subject.more)
        status, _ = scene.operator(method, filled, None if body is None else body(subject))
        return status < 300 or (method == "DELETE" and status == 404)

    return do


def named(subject: Subject) -> dict[str, str]:
    return {"name": f"n{subject.dk}"}


def empty_product(scene: Scene) -> Subject:
    subject = new(scene)
    return subject._replace(more=scene.operator("POST", "/products", named(subject))[1]["product_key"])


def access_key(scene: Scene) -> Subject:
    subject = new(scene)
    return subject._replace(more=scene.operator("POST", "/keys", named(subject))[1]["id"])


def import_devices(scene: Scene, subject: Subject) -> None:
    one = {"product_key": scene.world.pk, "device_key": subject.dk, "device_secret": "s" * 32, "serial": subject.dk}
    scene.operator("POST", "/devices/import", [one])


def import_again(scene: Scene, subject: Subject) -> bool:
    import_devices(scene, subject)
    return scene.connect(subject.dk, "s" * 32) == 0


def approve_and_enrol(scene: Scene, subject: Subject) -> bool:
    return APPROVE(scene, subject) and enrol(scene, subject)


APPROVE = operator("POST", "/devices/{pk}/{dk}/approve-re-enrolment")
CREATE_PRODUCT = operator("POST", "/products", named)
CHANGE_PRODUCT = operator("PATCH", "/products/{pk}", named)
DELETE_PRODUCT = operator("DELETE", "/products/{more}")
CREATE_DOMAIN = operator("POST", "/domains", named)
DISABLE = operator("POST", "/devices/{pk}/{dk}/disable")
DELETE_DEVICE = operator("DELETE", "/devices/{pk}/{dk}")
MAKE_KEY = operator("POST", "/keys", named)
REVOKE_KEY = operator("DELETE", "/keys/{more}")


DEEDS = (
    Deed("enrol", new, lambda s, d: s.enrol(d.dk), enrol),
    Deed("first log-in", issued, connect, connect),
    Deed("report a bind code", active, lambda s, d: s.report(d.dk, d.secret, CODE), report),
    Deed("close the window", waiting, close, close_window),
    Deed("report a status", active, report_status, report_status),
    Deed("bind", waiting, lambda s, d: s.ann.bind(d.dk, CODE), bind),
    Deed("bind by serial number", boxed, bind_by_serial, bind_by_serial),
    Deed("bind by device key", boxed, bind_by_device_key, bind_by_device_key),
    Deed("bind over BLE", tag, lambda s, d: d.more.bind(s), bind_by_ble),
    Deed("note a use over BLE", bound_tag, note_ble_use, note_ble_use),
    Deed("unbind", owned, lambda s, d: s.ann.unbind(d.dk), unbind),
    Deed("unbind a shared device", shared, lambda s, d: s.ann.unbind(d.dk), unbind),
    Deed("unbind and order a reset", owned, leave_and_reset, order_reset),
    Deed("be told of an ordered reset", owing, hear_of_reset, start_over),
    Deed("rename", owned, rename, rename),
    Deed("renew the auth key", owned, renew_auth_key, renew_auth_key),
    Deed("reset with proof", owned, lambda s, d: s.enrol(d.dk, proof(d)), reset),
    Deed("reset a shared device", shared, lambda s, d: s.enrol(d.dk, proof(d)), reset),
    Deed("approve re-enrolment", owned, approve, approve_again),
    Deed("re-enrol, approved", approved, lambda s, d: s.enrol(d.dk), enrol),
    Deed("invite", owned, invite, invite_again),
    Deed("invite a user", owned, invite_by_uid, invite_again),
    Deed("accept a share", invited, accept, accept_again),
    Deed("set the time of a share", shared, set_share_time, set_share_time),
    Deed("rename a shared device", shared, rename_shared, rename_shared),
    Deed("revoke a share", shared, revoke, revoke),
    Deed("leave a share", shared, leave_share, leave_share),
    Deed("ask for a mail code", new, mail, mail),
    Deed("register", mailed, register, register_again, commit=2),
    Deed("sign in", user, sign_in, can_sign_in),
    Deed("reset a password", forgetful, reset_password, reset_password_again, commit=2),
    Deed("refresh the tokens", signed_in, refresh, refresh_again),
    Deed("sign out", signed_in, sign_out, sign_out),
    Deed("cancel an account", owner_to_go, cancel_account, cancel_again),
    Deed("create a user", new, lambda s, d: s.operator("POST", "/users", s.new_user(d.email)), create_user),
    Deed("create a product", new, CREATE_PRODUCT, CREATE_PRODUCT),
    Deed("change a product", new, CHANGE_PRODUCT, CHANGE_PRODUCT),
    Deed("delete a product", empty_product, DELETE_PRODUCT, DELETE_PRODUCT),
    Deed("create a user domain", new, CREATE_DOMAIN, CREATE_DOMAIN),
    Deed("import a device", new, import_devices, import_again),
    Deed("disable a device", active, DISABLE, DISABLE),
    Deed("delete a device", owned, DELETE_DEVICE, DELETE_DEVICE),
    Deed("approve as an operator", active, APPROVE, approve_and_enrol),
    Deed("make an access key", new, MAKE_KEY, MAKE_KEY),
    Deed("revoke an access key", access_key, REVOKE_KEY, REVOKE_KEY),
    # The last: a server that has followed the clock ahead does not come back with it.
    Deed("sweep a share that is over", shared_for_ten_minutes, let_share_end, end_share_again),
)
