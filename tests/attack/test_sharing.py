"""Sharing: codes brought twice, late, by the wrong one or guessed, and what a member tries who has a share."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.attack.crowd import BINDING, OTHER_CODE, Caller, Crowd, Device, run_crowd
from tests.attack.shares import accept, end, invite, invite_named, may_use, members, shared_with, used_by
from tests.e2e.wire_by_hand import random_text, ttlv_bytes, ttlv_number
from tests.tables import Row

pytestmark = pytest.mark.enable_socket

NO_PERMISSION, NOT_BOUND, INVALID_CODE, OWN_CODE, MAY_NOT_QUERY = 5041, 5052, 5137, 5139, 5141
UNVERIFIED, ACCEPTED_ALREADY, TOO_MANY, NAME_TOO_LONG, SINGLE = 5360, 6040, 8429, 5333, 5412
ALREADY_BOUND, TIME_FORMAT = 5049, 5145
NO_CODE = "N" * 32
STATUS_REPORT, INFO_REPORT = 0x0034, 0x0044
BATTERY, SIGNAL, MODEL, CELL = 1, 3, 1, 4
MINUTE_MS, BEYOND_MS = 60_000, 260_000_000_000_000


@pytest.fixture(scope="module")
def crowd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Crowd]:
    yield from run_crowd(tmp_path_factory.mktemp("crowd"), 150, has_stepped_clock=True)


@pytest.fixture(autouse=True)
def devices_leave(crowd: Crowd) -> Iterator[None]:
    yield
    while crowd.devices:
        crowd.devices.pop().leave()


@pytest.fixture
def owner(crowd: Crowd) -> Caller:
    return crowd.person()


@pytest.fixture
def device(crowd: Crowd, owner: Caller) -> Device:
    return crowd.device().bound_to(owner)


def test_a_code_is_accepted_once(crowd: Crowd, owner: Caller, device: Device, row: Row) -> None:
    member, second = crowd.people(2)
    code = invite(owner, device)

    row("a code brought by the owner who gave it", OWN_CODE, accept(owner, code))
    row("... by its member", 200, accept(member, code))
    row("... by its member again", ACCEPTED_ALREADY, accept(member, code))
    row("... by another user after that", INVALID_CODE, accept(second, code))
    row("... who uses the device", [member.uid], members(owner, device))
    row("... and the other sees", NOT_BOUND, may_use(second, device))


def test_a_second_owner_gains_nothing_by_a_code(crowd: Crowd, row: Row) -> None:
    ann, bob, eve = crowd.people(3)
    device = crowd.device(crowd.products["multi"]).bound_to(ann).bound_to(bob)
    code = invite(ann, device)

    row("multi mode: a code brought by the other owner", ALREADY_BOUND, accept(bob, code))
    row("... cancelled by the other owner", NO_PERMISSION, end(bob, code))
    row("... listed by the other owner", [], shared_with(bob, device)[1])
    row("... the code is good still", 200, accept(eve, code))
    row("... the other owner ends that share", NO_PERMISSION, end(bob, code))


def test_of_many_who_bring_one_code_at_once_one_gets_it(crowd: Crowd, owner: Caller, device: Device, row: Row) -> None:
    users = crowd.people(20)
    for number in range(5):
        code = invite(owner, device)
        with ThreadPoolExecutor(20) as pool:
            answers = list(pool.map(accept, users, [code] * len(users)))
        winner = users[answers.index(200)]

        row(f"20 users bring one code at once, {number + 1}: who gets it", 1, answers.count(200))
        row("... what the others hear", {INVALID_CODE}, set(answers) - {200})
        row("... who uses the device", [winner.uid], members(owner, device))
        assert end(owner, code) == 200
        users.remove(winner)


def test_a_code_is_refused_from_the_end_of_accepting(crowd: Crowd, owner: Caller, device: Device, row: Row) -> None:
    late, in_time = crowd.people(2)
    code = invite(owner, device, accepting_ms=crowd.now_ms() + MINUTE_MS)
    other = invite(owner, device, accepting_ms=crowd.now_ms() + 3 * MINUTE_MS)

    crowd.step(61)

    row("a code 1 s after it could be accepted", INVALID_CODE, accept(late, code))
    row("... the owner gives it another end", TIME_FORMAT, prolong(owner, code, crowd.now_ms() - 1))
    row("... and a later end of use", NO_PERMISSION, prolong(owner, code, _later(crowd)))
    row("... the owner's list has it no more", 1, len(shared_with(owner, device)[1]))
    row("... it opens nothing", INVALID_CODE, accept(late, code))
    row("... another code, before its end", 200, accept(in_time, other))


def test_a_share_ends_with_its_time(crowd: Crowd, owner: Caller, device: Device, row: Row) -> None:
    member = crowd.person()
    code = invite(owner, device, accepting_ms=crowd.now_ms() + MINUTE_MS, ends_ms=crowd.now_ms() + 2 * MINUTE_MS)
    assert accept(member, code) == 200
    key = used_by(member, device)["authKey"]

    crowd.step(121)

    row("1 s after the end of use: the member's device", NOT_BOUND, may_use(member, device))
    row("... the member's list", [], member.device_keys())
    row("... the member asks by the code", INVALID_CODE, by_code(member, code))
    row("... the member brings the code again", INVALID_CODE, accept(member, code))
    row("... the member names the device", NO_PERMISSION, name_shared(member, code, "still mine"))
    row("... the owner brings it back to life", NO_PERMISSION, prolong(owner, code, _later(crowd)))
    row("... within a second the auth key is another", True, reaches(lambda: used_by(owner, device)["authKey"] != key))


def test_a_cancelled_code_is_worth_nothing(crowd: Crowd, owner: Caller, device: Device, row: Row) -> None:
    invited, member = crowd.people(2)
    code, used = invite(owner, device), invite(owner, device)
    assert accept(member, used) == 200
    key = used_by(member, device)["authKey"]
    assert end(owner, code) == 200
    assert end(owner, used) == 200

    row("a code after the owner took it back", INVALID_CODE, accept(invited, code))
    row("... taken back once more", NO_PERMISSION, end(owner, code))
    row("a share after the owner ended it: the member's device", NOT_BOUND, may_use(member, device))
    row("... the code again", INVALID_CODE, accept(member, used))
    row("... the member leaves it", NO_PERMISSION, leave(member, used))
    row("... the auth key is another", True, used_by(owner, device)["authKey"] != key)


def test_a_stranger_with_a_code_of_others_does_nothing_with_it(
    crowd: Crowd, owner: Caller, device: Device, row: Row
) -> None:
    """Who knows the code of a share that somebody else holds."""
    member, thief = crowd.people(2)
    code = invite(owner, device)
    assert accept(member, code) == 200
    before = shared_with(owner, device)
    tries = {
        "ends it": end,
        "leaves it": leave,
        "changes its time": lambda who, code: prolong(who, code, _later(crowd)),
        "names its device": lambda who, code: name_shared(who, code, "mine"),
        "asks for its device": by_code,
        "accepts it": accept,
    }
    for what, does in tries.items():
        row(f"the code of a share of others: a stranger {what}, answered like no code", does(thief, NO_CODE),
            does(thief, code))  # fmt: skip
    row("... the share before and after", before, shared_with(owner, device))


def test_a_member_has_no_more_than_the_use(crowd: Crowd, owner: Caller, device: Device, row: Row) -> None:
    member, friend = crowd.people(2)
    code = invite(owner, device, ends_ms=_later(crowd))
    assert accept(member, code) == 200
    device.report(OTHER_CODE)
    before = owners_view(owner, device)
    named = {"pk": device.product.key, "dk": device.dk}
    later = _later(crowd)

    def tries(method: str, path: str, **more: object) -> int:
        return member.call(method, BINDING + path, {**named, **more})["code"]

    row("a member uses the device", 200, may_use(member, device))
    row("... shares on", UNVERIFIED, tries("POST", "shareInfo", acceptingExpireAt=later, coverMark=2))
    row("... shares on by name", UNVERIFIED, tries("POST", "shareByUid", shareUid=friend.uid))
    row("... hands the code on", INVALID_CODE, accept(friend, code))
    row("... unbinds the owner", NOT_BOUND, tries("DELETE", "unbundlingDeviceDk"))
    row("... unbinds the owner by uid", NOT_BOUND, tries("DELETE", "unbundlingDeviceDk", uid=owner.uid))
    row("... resets the device", NOT_BOUND, tries("DELETE", "unbundlingDeviceDk", isInit="true"))
    row("... approves a re-enrolment", NOT_BOUND, tries("POST", "approveReEnrolment"))
    row("... renames the owner's device", NO_PERMISSION, tries("PUT", "setDeviceInfo", deviceName="mine"))
    row("... reads the audit log", NOT_BOUND, tries("GET", "deviceAudit"))
    row("... asks for the auth key", NO_PERMISSION, tries("POST", "getAuthKey"))
    row("... asks for a new auth key, gets the owner's", before[0]["authKey"],
        member.call("POST", BINDING + "regenerateAuthKey", named)["data"]["authKey"])  # fmt: skip
    row("... prolongs the share", NO_PERMISSION, prolong(member, code, later + 1))
    row("... ends it in the owner's place", NO_PERMISSION, end(member, code))
    row("... asks who else uses it", MAY_NOT_QUERY, shared_with(member, device)[0])
    row("... binds over the owner with the right code", SINGLE, member.bind(device.product, device.dk, OTHER_CODE))
    row("... what the owner has, before and after", before, owners_view(owner, device))
    row("... names it for the member alone", 200, name_shared(member, code, "from ann"))
    row("... the owner's name", before[0]["deviceName"], owners_view(owner, device)[0]["deviceName"])
    row("... cannot stay longer than the owner", (200, NOT_BOUND),
        (owner.unbind(device.product, device.dk), may_use(member, device)))  # fmt: skip


def test_a_member_sees_nothing_older_than_the_share(crowd: Crowd, owner: Caller, device: Device, row: Row) -> None:
    earlier, member = crowd.people(2)
    first, second = invite(owner, device, cover_mark=2), invite(owner, device, cover_mark=2)
    assert accept(earlier, first) == 200
    started_ms = crowd.now_ms()
    crowd.step(1)
    assert accept(member, second) == 200
    device.log_in()
    shown = used_by(member, device)

    row("a member reads since when the device is theirs: the share", True, shown["deviceBindTimeTs"] > started_ms)
    row("... whose code it shows", second, shown["shareCode"])
    row("... the earlier member is named in it", False, earlier.uid in str(shown))
    row("... the owner's bind code is in it", None, shown["bindingCode"])


def test_a_member_is_shown_no_status_of_before_the_share(crowd: Crowd, owner: Caller, device: Device, row: Row) -> None:
    member = crowd.person()
    both = ttlv_number(BATTERY, 87) + ttlv_number(SIGNAL, 21)
    device.tell(STATUS_REPORT, both)
    device.tell(INFO_REPORT, ttlv_bytes(MODEL, b"EC600U") + ttlv_number(CELL, 22001))
    crowd.step(1)
    assert accept(member, invite(owner, device)) == 200

    row("signal and battery told before a share, a member asks: the list, the device, its attributes",
        (None, None, None, None), status(member, device))  # fmt: skip
    row("... the owner sees", (21, 21, 21, 87), status(owner, device))
    row("... what the device is, the member sees", "EC600U", attributes(member, device)["type"])
    row("... in which radio cell it was, the member sees", None, attributes(member, device)["cellId"])
    device.tell(STATUS_REPORT, ttlv_number(BATTERY, 87))
    row("... the device tells its battery, the same as before", (None, None, None, 87), status(member, device))
    device.tell(STATUS_REPORT, both)
    row("... and both, the same as before", (21, 21, 21, 87), status(member, device))


def test_a_second_owner_is_shown_no_status_of_before_the_binding(crowd: Crowd, row: Row) -> None:
    ann, bob = crowd.people(2)
    device = crowd.device(crowd.products["multi"]).bound_to(ann)
    both = ttlv_number(BATTERY, 87) + ttlv_number(SIGNAL, 21)
    device.tell(STATUS_REPORT, both)
    crowd.step(1)
    device.bound_to(bob)

    row("multi mode: signal and battery told before the second binding, the second owner asks",
        (None, None, None, None), status(bob, device))  # fmt: skip
    row("... the first owner sees", (21, 21, 21, 87), status(ann, device))
    device.tell(STATUS_REPORT, both)
    row("... the device tells the same again: the second owner sees", (21, 21, 21, 87), status(bob, device))


def test_an_invitation_by_name_is_for_that_user(crowd: Crowd, owner: Caller, device: Device, row: Row) -> None:
    friend, thief = crowd.people(2)
    domain = crowd.center.admin("domain", "create", "another app")["user_domain"]
    foreigner = crowd.center.admin("user", "create", "eve@example.org", "--domain", domain, "--password", "secret-1")[
        "uid"
    ]
    code = invite_named(owner, device, shareUid=friend.uid)
    got = {
        "of nobody": invite_named(owner, device, shareUid="nobody"),
        "of another App": invite_named(owner, device, shareUid=foreigner),
        "of nobody's mail": invite_named(owner, device, email="nobody@example.org"),
    }

    row("an invitation by name, brought by another user", INVALID_CODE, accept(thief, code))
    for name, other in got.items():
        row(f"... to a uid {name}: a code like any other", (32, True), (len(other), other.isalnum()))
        row("... which nobody can bring", {INVALID_CODE}, {accept(friend, other), accept(crowd.person(), other)})
    named = [entry["shareInfo"]["shareUid"] for entry in shared_with(owner, device)[1]]
    row("... the owner is not told which of them exist", [None] * 4, named)
    row("... the user it is for", 200, accept(friend, code))


def test_share_codes_cannot_be_guessed(crowd: Crowd, owner: Caller, device: Device, row: Row) -> None:
    thief = crowd.person("127.9.0.1")
    neighbour = crowd.person("127.9.0.1")
    code = invite(owner, device)
    near = [code[:-1] + letter for letter in "abcdefghijk" if letter != code[-1]][:10]

    row("ten guesses of one user, one letter off", {INVALID_CODE}, {accept(thief, each) for each in near})
    row("... the eleventh", TOO_MANY, accept(thief, random_text(32)))
    row("... with the right code", TOO_MANY, accept(thief, code))
    row("... from another address", TOO_MANY, accept(Caller(crowd.center, "127.9.0.2", thief.token), code))
    row("... the right code by a neighbour at the guesser's address", 200, accept(neighbour, code))


@pytest.mark.parametrize(
    ("name", "code", "expected"),
    [
        ("no code", "", 5136),
        ("one letter", "a", INVALID_CODE),
        ("32 spaces", " " * 32, INVALID_CODE),
        ("SQL", "' OR 1=1 --", INVALID_CODE),
        ("a percent sign", "%", INVALID_CODE),
        ("a thousand letters", "a" * 1000, INVALID_CODE),
        ("a list", ["a"], 8400),
        ("an object", {"$ne": ""}, 8400),
        ("true", True, INVALID_CODE),
        ("a NUL", "a\0b", 8400),
    ],
)
def test_what_is_no_code_opens_nothing(
    crowd: Crowd, owner: Caller, device: Device, row: Row, name: str, code: object, expected: int
) -> None:
    who = crowd.person()
    invite(owner, device)

    row("share code: " + name, expected, accept(who, code))
    row("... who uses the device", [], members(owner, device))


def test_names_are_kept_as_text_and_within_bounds(crowd: Crowd, owner: Caller, device: Device, row: Row) -> None:
    member = crowd.person()
    markup = "<script>alert(1)</script>\"'&\u202e{{7*7}}"
    code = invite(owner, device)

    row("a share accepted under a name of 255 letters", NAME_TOO_LONG, accept(member, code, "x" * 255))
    row("... the code is not used up", 200, accept(member, code, markup))
    row("... markup comes back as the text it was", markup, used_by(member, device)["deviceName"])
    row("... a name of 255 letters later", NAME_TOO_LONG, name_shared(member, code, "x" * 255))
    row("... a name of 254", 200, name_shared(member, code, "x" * 254))
    head = member.request("GET", device_path(device), None, {"Authorization": member.token})[1]
    row("... in an answer that is JSON and nothing else", ("application/json", "nosniff"),
        (dict(head)["content-type"].partition(";")[0], dict(head)["x-content-type-options"]))  # fmt: skip


@pytest.mark.parametrize(
    ("name", "accepting", "ends", "expected"),
    [
        ("accepting in the past", -1, None, TIME_FORMAT),
        ("no end of accepting", None, None, 5132),
        ("use ends before accepting", 2 * MINUTE_MS, MINUTE_MS, 5153),
        ("use ends with accepting", MINUTE_MS, MINUTE_MS, 5153),
        ("accepting after the year 9999", BEYOND_MS, None, TIME_FORMAT),
        ("use after the year 9999", MINUTE_MS, BEYOND_MS, TIME_FORMAT),
    ],
)
def test_times_that_make_no_sense_make_no_code(
    crowd: Crowd,
    owner: Caller,
    device: Device,
    row: Row,
    name: str,
    accepting: int | None,
    ends: int | None,
    expected: int,
) -> None:
    """Both in milliseconds from now."""
    now_ms = crowd.now_ms()
    asked: dict[str, object] = {"pk": device.product.key, "dk": device.dk, "coverMark": 2}
    asked |= {
        key: now_ms + value
        for key, value in (("acceptingExpireAt", accepting), ("sharingExpireAt", ends))
        if value is not None
    }

    row("an invitation: " + name, expected, owner.call("POST", BINDING + "shareInfo", asked)["code"])
    row("... what was given", [], shared_with(owner, device)[1])


def _later(crowd: Crowd) -> int:
    return crowd.now_ms() + 3600_000


def reaches(is_so) -> bool:
    return any(is_so() for _ in range(2_000))


def leave(who: Caller, code: str) -> int:
    return who.call("DELETE", BINDING + "shareUserUnshareDevice", shareCode=code)["code"]


def prolong(who: Caller, code: str, at_ms: int) -> int:
    return who.call("PUT", BINDING + "setShareTime", {"shareCode": code, "sharingExpireAt": at_ms})["code"]


def name_shared(who: Caller, code: str, name: str) -> int:
    return who.call("PUT", BINDING + "changeShareDeviceName", {"shareCode": code, "deviceName": name})["code"]


def by_code(who: Caller, code: str) -> int:
    return who.call("GET", BINDING + "deviceInfo", shareCode=code)["code"]


def device_path(device: Device) -> str:
    return f"{BINDING}deviceInfo?pk={device.product.key}&dk={device.dk}"


def attributes(who: Caller, device: Device) -> dict[str, object]:
    answer = who.call("GET", BINDING + "getDeviceBusinessAttributes", pk=device.product.key, dk=device.dk, type=1)
    assert answer["code"] == 200, answer
    return answer["data"]["deviceData"]


def status(who: Caller, device: Device) -> tuple[object, object, object, object]:
    """The signal as the list, the device and its attributes show it, and the battery."""
    (listed,) = who.call("GET", BINDING + "userDeviceList")["data"]["list"]
    data = attributes(who, device)
    return listed["signalStrength"], used_by(who, device)["signalStrength"], data["signalStrength"], data["battery"]


def owners_view(owner: Caller, device: Device) -> tuple[dict[str, object], object]:
    return used_by(owner, device), shared_with(owner, device)
