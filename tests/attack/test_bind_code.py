"""Bind code: what an attacker tries who does not hold the device, and what one tries who has held it before."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.attack.crowd import BINDING, CODE, OTHER_CODE, Caller, Crowd, run_crowd
from tests.tables import Row

pytestmark = pytest.mark.enable_socket

DIFFERS, NOT_REPORTED, EXPIRED, FORMAT, MISSING, SINGLE, TOO_MANY, INVALID = (
    5462, 5460, 5461, 5213, 5179, 5412, 8429, 8400,
)  # fmt: skip


@pytest.fixture(scope="module")
def crowd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Crowd]:
    yield from run_crowd(tmp_path_factory.mktemp("crowd"), 700)


@pytest.fixture(autouse=True)
def devices_leave(crowd: Crowd) -> Iterator[None]:
    yield
    while crowd.devices:
        crowd.devices.pop().leave()


def wrong(number: int) -> str:
    return f"{number:016X}"


def test_guessing_by_one_user_is_stopped_and_the_rightful_user_still_binds(crowd: Crowd, row: Row) -> None:
    device, thief, owner = crowd.device(), crowd.person(), crowd.person()
    device.report()

    answers = [thief.bind(device.product, device.dk, wrong(n)) for n in range(13)]

    row("one user guesses 13 times", [DIFFERS] * 10 + [TOO_MANY] * 3, answers)
    row("... and then brings the right code", TOO_MANY, thief.bind(device.product, device.dk, CODE))
    row("... the rightful user, after that", 200, owner.bind(device.product, device.dk, CODE))
    row("who owns the device", [owner.uid], device.owners())


def test_guessing_by_many_users_does_not_lock_the_rightful_user_out(crowd: Crowd, row: Row) -> None:
    device, owner = crowd.device(), crowd.person()
    device.report()
    thieves = crowd.people(120)

    first = [thief.bind(device.product, device.dk, wrong(n)) for n, thief in enumerate(thieves)]
    second = {thief.bind(device.product, device.dk, wrong(n)) for n, thief in enumerate(thieves)}

    row("120 users at 120 addresses guess once", {DIFFERS}, set(first))
    row("... and once more", {TOO_MANY}, second)
    row("... the rightful user, after that", 200, owner.bind(device.product, device.dk, CODE))


def test_guessing_by_many_users_at_one_address_is_stopped_at_the_address(crowd: Crowd, row: Row) -> None:
    device, owner = crowd.device(), crowd.person("127.9.9.9")
    device.report()
    thieves = [crowd.person("127.9.9.9") for _ in range(51)]

    first = [thief.bind(device.product, device.dk, wrong(n)) for n, thief in enumerate(thieves)]
    second = [thief.bind(device.product, device.dk, wrong(n)) for n, thief in enumerate(thieves)]

    row("51 users at one address guess once", [DIFFERS] * 51, first)
    row("... and a second time", [TOO_MANY] * 51, second)
    row("... the rightful user at the same address", 200, owner.bind(device.product, device.dk, CODE))


def test_guessing_from_many_addresses_by_one_user_is_counted_by_user(crowd: Crowd, row: Row) -> None:
    device, thief = crowd.device(), crowd.person()
    device.report()

    answers = [
        Caller(thief.center, f"127.8.0.{n + 1}", thief.token).bind(device.product, device.dk, wrong(n))
        for n in range(12)
    ]

    row("one user guesses from 12 addresses", [DIFFERS] * 10 + [TOO_MANY] * 2, answers)


def test_a_forged_forwarding_header_does_not_choose_the_address_that_is_counted(crowd: Crowd, row: Row) -> None:
    device = crowd.device()
    device.report()
    codes = []
    thieves = [crowd.person("127.9.9.8") for _ in range(52)]
    for n in range(104):
        thief = thieves[n % 52]
        headers = {
            "Authorization": thief.token,
            "X-Forwarded-For": f"10.0.0.{n}",
            "X-Real-IP": f"10.0.1.{n}",
            "Forwarded": f"for=10.0.2.{n}",
            "X-Client-IP": f"10.0.3.{n}",
        }
        path = f"{BINDING}v2/deviceBindingByWifi?productKey={device.product.key}&deviceKey={device.dk}"
        body = thief.request("POST", f"{path}&bindingCode={wrong(n)}", None, headers)[2]
        codes.append(int(body.split(b":")[1].split(b",")[0]))

    row("52 users guess twice behind invented forwarding headers", [DIFFERS] * 52 + [TOO_MANY] * 52, codes)


def test_one_code_sprayed_over_many_devices_costs_the_sprayer_alone(crowd: Crowd, row: Row) -> None:
    devices = [crowd.device() for _ in range(12)]
    for device in devices:
        device.report()
    thief, owner = crowd.person(), crowd.person()

    answers = [thief.bind(device.product, device.dk, OTHER_CODE) for device in devices]

    row("one code tried on 12 devices", [DIFFERS] * 10 + [TOO_MANY] * 2, answers)
    row("... the rightful user of each", {200}, {owner.bind(d.product, d.dk, CODE) for d in devices})


def test_a_guess_costs_nobody_the_window(crowd: Crowd, row: Row) -> None:
    device, thief, owner = crowd.device(), crowd.person(), crowd.person()
    device.report()

    row("a wrong code", DIFFERS, thief.bind(device.product, device.dk, OTHER_CODE))
    row("... the right one from its own guesser", 200, thief.bind(device.product, device.dk, CODE))
    row("... the right one again, from another", NOT_REPORTED, owner.bind(device.product, device.dk, CODE))


@pytest.mark.parametrize(
    ("name", "code", "expected"),
    [
        ("no code", None, MISSING),
        ("an empty code", "", MISSING),
        ("15 digits", CODE[:15], FORMAT),
        ("17 digits", CODE + "0", FORMAT),
        ("1,000 digits", "A" * 1000, FORMAT),
        ("lower case", CODE.lower(), FORMAT),
        ("full-width digits", "１２３４５６７８９０ABCDEF", FORMAT),
        ("arabic digits", "١٢٣٤٥٦٧٨٩٠ABCDEF", FORMAT),
        ("a space before", " " + CODE[:15], FORMAT),
        ("a space around", f" {CODE} ", FORMAT),
        ("a line feed after", CODE + "\n", FORMAT),
        ("a NUL after", CODE + "\0", INVALID),
        ("a NUL within", CODE[:8] + "\0" + CODE[9:], INVALID),
        ("letters past F", "G" * 16, FORMAT),
        ("0x before", "0x" + CODE[:14], FORMAT),
        ("a pattern", "%" * 16, FORMAT),
        ("SQL", "' OR '1'='1' -- ", FORMAT),
        ("a list", [CODE], INVALID),
        ("two codes", [CODE, OTHER_CODE], INVALID),
        ("an object", {"$ne": ""}, INVALID),
        ("nested", {"a": {"b": {"c": CODE}}}, INVALID),
        ("a number of 16 digits", 1234567890123456, DIFFERS),
        ("a small number", 7, FORMAT),
        ("a negative number", -123456789012345, FORMAT),
        ("true", True, FORMAT),
        ("zero", 0, FORMAT),
        ("a fraction", 1.5, FORMAT),
    ],
    ids=lambda value: value if isinstance(value, str) and value.isascii() and len(value) < 25 else "",
)
def test_a_malformed_code_is_refused_and_changes_nothing(
    crowd: Crowd, row: Row, name: str, code: object, expected: int
) -> None:
    device, who = crowd.device(), crowd.person()
    device.report()

    row("code: " + name, expected, who.bind(device.product, device.dk, code))
    row("... and the window is still open", 200, who.bind(device.product, device.dk, CODE))


@pytest.mark.parametrize(
    ("name", "seconds", "expected"),
    [("0: cancelled", 0, NOT_REPORTED), ("4294967295: the longest", 4294967295, 200), ("1 s", 1, 200)],
)
def test_the_span_a_device_asks_for_is_kept(crowd: Crowd, row: Row, name: str, seconds: int, expected: int) -> None:
    device, who = crowd.device(), crowd.person()
    device.report()

    device.report(CODE, seconds)

    row(f"span {name}", expected, who.bind(device.product, device.dk, CODE))


def test_a_code_is_good_once(crowd: Crowd, row: Row) -> None:
    device, owner, other = crowd.device(crowd.products["multi"]), crowd.person(), crowd.person()
    device.report()
    row("the right code", 200, owner.bind(device.product, device.dk, CODE))
    row("... again by another user", NOT_REPORTED, other.bind(device.product, device.dk, CODE))
    row("... again by the owner: nothing changes", 200, owner.bind(device.product, device.dk, CODE))
    owner.unbind(device.product, device.dk)
    row("... again by the same user after an unbind", NOT_REPORTED, owner.bind(device.product, device.dk, CODE))
    row("who owns the device", [], device.owners())


def test_a_code_that_its_owner_paired_again_with_serves_no_stranger(crowd: Crowd, row: Row) -> None:
    device, owner, thief = crowd.device(crowd.products["alternate"]), crowd.person(), crowd.person()
    device.report(CODE)
    row("alternate mode: the owner binds", 200, owner.bind(device.product, device.dk, CODE))
    device.report(OTHER_CODE)
    row("... and pairs again with a new code", 200, owner.bind(device.product, device.dk, OTHER_CODE))
    row("... which a stranger read too", NOT_REPORTED, thief.bind(device.product, device.dk, OTHER_CODE))
    row("who owns the device", [owner.uid], device.owners())


def test_a_code_does_not_outlive_its_cancelling_nor_its_replacement(crowd: Crowd, row: Row) -> None:
    device, who = crowd.device(), crowd.person()
    device.report(CODE)
    device.report(OTHER_CODE)
    row("a code that the device has replaced", DIFFERS, who.bind(device.product, device.dk, CODE))
    device.report(OTHER_CODE, 0)
    row("a code that the device has cancelled", NOT_REPORTED, who.bind(device.product, device.dk, OTHER_CODE))


def test_a_code_is_good_for_its_own_device_and_product_alone(crowd: Crowd, row: Row) -> None:
    device, neighbour, who = crowd.device(), crowd.device(), crowd.person()
    device.report(CODE)
    neighbour.report(OTHER_CODE)
    row("the code of a device, on its neighbour", DIFFERS, who.bind(neighbour.product, neighbour.dk, CODE))
    row("... on a device that reported none", NOT_REPORTED, who.bind(device.product, "861999999999999", CODE))
    multi = crowd.products["multi"]
    row("... on the same device key of another product", NOT_REPORTED, who.bind(multi, device.dk, CODE))
    row("... on the device", 200, who.bind(device.product, device.dk, CODE))


def test_two_devices_with_one_code_are_two_devices(crowd: Crowd, row: Row) -> None:
    one, two, ann, bob = crowd.device(), crowd.device(), crowd.person(), crowd.person()
    one.report(CODE)
    two.report(CODE)
    row("two devices chose one code: the first", 200, ann.bind(one.product, one.dk, CODE))
    row("... the second", 200, bob.bind(two.product, two.dk, CODE))
    row("... each has its own owner", ([ann.uid], [bob.uid]), (one.owners(), two.owners()))


def test_a_captured_request_replayed_changes_nothing(crowd: Crowd, row: Row) -> None:
    device, owner, thief = crowd.device(), crowd.person(), crowd.person()
    device.report()
    row("the request that binds", 200, owner.bind(device.product, device.dk, CODE))
    row("... replayed with its own token", 200, owner.bind(device.product, device.dk, CODE))
    row("... replayed with another's", NOT_REPORTED, thief.bind(device.product, device.dk, CODE))
    owner.unbind(device.product, device.dk)
    row("... replayed after an unbind", NOT_REPORTED, owner.bind(device.product, device.dk, CODE))


def test_a_captured_report_replayed_opens_no_window(crowd: Crowd, row: Row) -> None:
    device, owner, thief = crowd.device(), crowd.person(), crowd.person()
    device.link.report_bind_code(CODE, 120, packet_id=77)
    assert owner.bind(device.product, device.dk, CODE) == 200
    assert owner.unbind(device.product, device.dk) == 200

    device.link.report_bind_code(CODE, 120, packet_id=77)  # the same bytes, acknowledged as a report that is known

    row("the same 0x00B5 packet again, then its code", NOT_REPORTED, thief.bind(device.product, device.dk, CODE))


@pytest.mark.parametrize("mode", ["multi", "alternate"])
def test_a_used_code_told_again_after_its_acknowledgement_was_lost(crowd: Crowd, row: Row, mode: str) -> None:
    device = crowd.device(crowd.products[mode])
    owner, thief = crowd.people(2)
    device.report(CODE, 60)
    assert owner.bind(device.product, device.dk, CODE) == 200

    assert device.log_in() == 0
    device.report(CODE, 57)

    row(f"{mode} mode, a used code told again on the next connection, brought by a stranger",
        NOT_REPORTED, thief.bind(device.product, device.dk, CODE))  # fmt: skip
    row("... who owns the device", [owner.uid], device.owners())
    device.report(CODE, 60)
    row("... the same code set anew", 200, thief.bind(device.product, device.dk, CODE))


def test_a_code_does_not_come_back_with_a_reset(crowd: Crowd, row: Row) -> None:
    device, who = crowd.device(), crowd.person()
    device.report()
    crowd.center.admin("device", "approve", device.product.key, device.dk)
    device.enrol_again()
    row("a code reported before a reset", NOT_REPORTED, who.bind(device.product, device.dk, CODE))


def test_a_restart_of_the_server_neither_closes_nor_renews_a_window(crowd: Crowd, row: Row) -> None:
    open_device, cancelled, used = crowd.device(), crowd.device(), crowd.device()
    first, second = crowd.person(), crowd.person()
    for device in (open_device, cancelled, used):
        device.report()
    cancelled.report(CODE, 0)
    assert first.bind(used.product, used.dk, CODE) == 200
    assert first.unbind(used.product, used.dk) == 200

    crowd.center.kill()
    crowd.center.start()

    row("the server killed inside a window, then the code", 200, second.bind(open_device.product, open_device.dk, CODE))
    row("... of a cancelled window", NOT_REPORTED, second.bind(cancelled.product, cancelled.dk, CODE))
    row("... of a used one", NOT_REPORTED, second.bind(used.product, used.dk, CODE))


def test_of_a_hundred_clients_with_the_right_code_one_wins(crowd: Crowd, row: Row) -> None:
    device, racers = crowd.device(), crowd.people(100)
    device.report()

    with ThreadPoolExecutor(100) as pool:
        answers = list(pool.map(lambda racer: racer.bind(device.product, device.dk, CODE), racers))

    row("100 clients race with the right code: winners", 1, answers.count(200))
    row("... what the others hear", {NOT_REPORTED}, set(answers) - {200})
    row("... who owns the device", [racers[answers.index(200)].uid], device.owners())


def test_a_report_before_during_and_after_the_request(crowd: Crowd, row: Row) -> None:
    after, who = crowd.device(), crowd.person()
    row("the request comes before the report", NOT_REPORTED, who.bind(after.product, after.dk, CODE))
    after.report()
    row("... and again after it", 200, who.bind(after.product, after.dk, CODE))
    during, racers = crowd.device(), crowd.people(20)
    with ThreadPoolExecutor(21) as pool:
        report = pool.submit(during.report)
        answers = list(pool.map(lambda racer: racer.bind(during.product, during.dk, CODE), racers))
        report.result()
    row("20 requests while it reports: at most one wins", True, answers.count(200) <= 1)
    row("... nothing but these answers", set(), set(answers) - {200, SINGLE, NOT_REPORTED})
    row("... and as many owners as winners", answers.count(200), len(during.owners()))
