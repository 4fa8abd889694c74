"""Ownership: what somebody tries who owned a device before, who owns another, or who only knows its name."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from websockets.sync.client import connect

from quecbind.center.http import binding, data
from tests.attack.crowd import BINDING, CODE, OTHER_CODE, Caller, Crowd, Device, run_crowd
from tests.e2e.wire_by_hand import RawDevice, enrolment_password, ttlv_number
from tests.tables import Row

pytestmark = pytest.mark.enable_socket

NOT_BOUND, NO_PERMISSION, NOT_REPORTED, SINGLE, NO_TOKEN, TOKEN_INVALID, BY_KEY_OFF = (
    5052,
    5041,
    5460,
    5412,
    5106,
    5032,
    5499,
)
NOBODYS = "999999999999999"


@pytest.fixture(scope="module")
def crowd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Crowd]:
    yield from run_crowd(tmp_path_factory.mktemp("crowd"), 150)


@pytest.fixture(autouse=True)
def devices_leave(crowd: Crowd) -> Iterator[None]:
    yield
    while crowd.devices:
        crowd.devices.pop().leave()


def auth_key(who: Caller, device: Device) -> tuple[int, object]:
    answer = who.call("POST", BINDING + "getAuthKey", {"pk": device.product.key, "dk": device.dk})
    return answer["code"], answer["data"]


def test_a_bind_over_an_owner_in_single_mode_leaves_the_owner(crowd: Crowd, row: Row) -> None:
    owner, thief = crowd.person(), crowd.person()
    device = crowd.device().bound_to(owner)
    device.report(OTHER_CODE)

    row("single mode: the right code over an owner", SINGLE, thief.bind(device.product, device.dk, OTHER_CODE))
    row("... who owns it", [owner.uid], device.owners())
    row("... a second time, the same code", SINGLE, thief.bind(device.product, device.dk, OTHER_CODE))


def test_a_bind_over_an_owner_in_alternate_mode_leaves_the_old_owner_nothing(crowd: Crowd, row: Row) -> None:
    old, new = crowd.person(), crowd.person()
    device = crowd.device(crowd.products["alternate"]).bound_to(old)
    old_key = auth_key(old, device)[1]
    device.report(OTHER_CODE)

    row("alternate mode: the right code over an owner", 200, new.bind(device.product, device.dk, OTHER_CODE))
    row("... who owns it", [new.uid], device.owners())
    row("... the old owner asks for the auth key", NO_PERMISSION, auth_key(old, device)[0])
    row("... which is another now", True, auth_key(new, device)[1] != old_key)
    row("... the old owner unbinds", NOT_BOUND, old.unbind(device.product, device.dk))
    row("... the old owner brings the old code", NOT_REPORTED, old.bind(device.product, device.dk, CODE))


def test_one_of_two_owners_ends_their_own_part_alone(crowd: Crowd, row: Row) -> None:
    ann, bob = crowd.person(), crowd.person()
    device = crowd.device(crowd.products["multi"]).bound_to(ann).bound_to(bob)

    row("multi mode: one of two unbinds", 200, bob.unbind(device.product, device.dk))
    row("... and again", NOT_BOUND, bob.unbind(device.product, device.dk))
    row("... who owns it", [ann.uid], device.owners())
    row("... whoever left asks for the auth key", NO_PERMISSION, auth_key(bob, device)[0])


def test_an_unbind_takes_the_owner(crowd: Crowd, row: Row) -> None:
    owner, stranger, gone = crowd.person(), crowd.person(), crowd.person()
    device = crowd.device().bound_to(owner)
    gone.call("DELETE", "/v2/enduser/enduserapi/userLogout")

    row("an unbind by another user", NOT_BOUND, stranger.unbind(device.product, device.dk))
    row(
        "... by the id alone, without a token",
        NO_TOKEN,
        Caller(crowd.center, "127.5.0.1").unbind(device.product, device.dk),
    )
    row("... with a token that was signed out", TOKEN_INVALID, gone.unbind(device.product, device.dk))
    row(
        "... naming the owner's uid",
        NOT_BOUND,
        stranger.call("DELETE", BINDING + "unbundlingDeviceDk", pk=device.product.key, dk=device.dk, uid=owner.uid)[
            "code"
        ],
    )
    row("... who owns it", [owner.uid], device.owners())


def test_a_device_cannot_be_owned_by_naming_it(crowd: Crowd, row: Row) -> None:
    who, owner = crowd.person(), crowd.person()
    fresh, owned = crowd.device(), crowd.device().bound_to(owner)
    names = {"fresh": fresh.dk, "owned": owned.dk, "nobody's": NOBODYS}
    got = {
        name: who.call("POST", BINDING + "bindDeviceDk", {"pk": fresh.product.key, "dk": dk})
        for name, dk in names.items()
    }
    row("a bind by device key: fresh, owned, nobody's", [BY_KEY_OFF] * 3, [answer["code"] for answer in got.values()])
    row("... who owns them", ([], [owner.uid]), (fresh.owners(), owned.owners()))


def test_a_reset_ends_what_was_before_it(crowd: Crowd, row: Row) -> None:
    old, new = crowd.person(), crowd.person()
    device = crowd.device().bound_to(old)
    device.report(OTHER_CODE)
    old_secret, old_key = device.secret, auth_key(old, device)[1]
    crowd.center.admin("device", "approve", device.product.key, device.dk)
    device.enrol_again()

    row("after a reset: the old owner's list", [], old.device_keys())
    row("... the old owner asks for the auth key", NO_PERMISSION, auth_key(old, device)[0])
    row("... a bind code from before", NOT_REPORTED, old.bind(device.product, device.dk, OTHER_CODE))
    row("... the old owner unbinds", NOT_BOUND, old.unbind(device.product, device.dk))
    row("... the old device secret", 5, device.log_in(old_secret))
    row("... the new device secret", 0, device.log_in())
    device.bound_to(new)
    row("... the next owner", [new.uid], device.owners())
    row("... has an auth key of their own", True, auth_key(new, device)[1] not in (None, old_key))


def test_a_stranger_cannot_approve_a_reset(crowd: Crowd, row: Row) -> None:
    owner, stranger = crowd.person(), crowd.person()
    device = crowd.device().bound_to(owner)
    assert device.log_in() == 0
    names = {"pk": device.product.key, "dk": device.dk}
    row(
        "a stranger approves a re-enrolment",
        NOT_BOUND,
        stranger.call("POST", BINDING + "approveReEnrolment", names)["code"],
    )
    with RawDevice(crowd.center.mqtt_port, device.product.key, device.dk) as thief:
        complaint = thief.complaint(enrolment_password(device.product.key, device.product.secret, device.dk))
    row("... and enrols it with the product secret", 10422, complaint)
    row("... who owns it", [owner.uid], device.owners())


def test_resale_without_a_reset_gives_the_buyer_nothing_until_the_seller_leaves(crowd: Crowd, row: Row) -> None:
    seller, buyer = crowd.person(), crowd.person()
    device = crowd.device().bound_to(seller)
    seller_key = auth_key(seller, device)[1]
    device.report()

    row("resale without a reset: the buyer binds", SINGLE, buyer.bind(device.product, device.dk, CODE))
    seller.unbind(device.product, device.dk)
    device.report()
    row("... when the seller has left", 200, buyer.bind(device.product, device.dk, CODE))
    row("... the seller's auth key is worth nothing", True, auth_key(buyer, device)[1] != seller_key)
    row(
        "... the seller sees nothing", ([], NOT_BOUND), (seller.device_keys(), seller.unbind(device.product, device.dk))
    )


ENDPOINTS = (*binding.ENDPOINTS, *data.ENDPOINTS)


@pytest.mark.parametrize("endpoint", ENDPOINTS, ids=[each.path.rpartition("/")[2] for each in ENDPOINTS])
def test_anothers_ids_are_answered_like_nobodys_and_change_nothing(crowd: Crowd, row: Row, endpoint) -> None:
    owner, stranger = crowd.person(), crowd.person()
    device = crowd.device().bound_to(owner)

    def ask(dk: str, carrier: str) -> tuple[int, list[tuple[str, str]], bytes]:
        named: dict[str, object] = {
            "pk": device.product.key,
            "productKey": device.product.key,
            "dk": dk,
            "deviceKey": dk,
        }
        named |= {
            "deviceName": "mine",
            "name": "mine",
            "bindingCode": OTHER_CODE,
            "uid": owner.uid,
            "shareUid": owner.uid,
        }
        path, content = endpoint.path, None
        if carrier == "body":
            content = json.dumps(named).encode()
        else:
            path += "?" + "&".join(f"{name}={value}" for name, value in named.items())
        status, headers, answer = stranger.request(endpoint.method, path, content, {"Authorization": stranger.token})
        return status, [header for header in headers if header[0].lower() != "date"], answer

    def state() -> object:
        names = {"pk": device.product.key, "dk": device.dk}
        return crowd.center.admin("device", "show", device.product.key, device.dk), owner.call(
            "GET", BINDING + "deviceInfo", **names
        )

    before = state()
    for carrier in ("query", "body"):
        row(
            f"{endpoint.path.rpartition('/')[2]} ({carrier}): another's device, answered like nobody's",
            ask(NOBODYS, carrier),
            ask(device.dk, carrier),
        )
    row("... state before and after", before, state())
    row("... the stranger's devices", [], stranger.device_keys())


def test_a_live_session_ends_with_the_right(crowd: Crowd, row: Row) -> None:
    owner, names = crowd.person(), []
    device = crowd.device().bound_to(owner)
    with connect(crowd.center.url.replace("http", "ws") + "/ws/v1") as line:

        def say(command: str, data: object) -> str:
            line.send(json.dumps({"cmd": command, "data": data}))
            return str(json.loads(line.recv(10))["cmd"])

        wanted = [
            {"productKey": device.product.key, "deviceKey": device.dk, "messageType": ["MATTR-REPORT", "RAW-UPLINK"]}
        ]
        assert say("login", {"token": owner.token}) == "login_resp"
        assert say("subscribe", wanted) == "subscribe_resp"
        device.link.publish(0x0014, ttlv_number(1, 1), 900, "bus")
        names.append(json.loads(line.recv(10))["cmd"])
        assert owner.unbind(device.product, device.dk) == 200
        device.link.publish(0x0014, ttlv_number(1, 2), 901, "bus")
        device.link.wait_puback(901)
        line.send(json.dumps({"cmd": "nonsense", "data": None}))
        heard = []
        while not heard or heard[-1]["cmd"] != "error":
            heard.append(json.loads(line.recv(10)))
            if len(heard) > 5:
                break

    row("a live session hears a report while its user owns the device", 1, len(names))
    row("... and none after the unbind", False, "MATTR" in json.dumps(heard) or "RAW-UPLINK" in json.dumps(heard))
