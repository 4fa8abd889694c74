"""The whole path with a device and an App written by hand (flags 0x42, no user name): every row of the two tables."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import time

import pytest

from tests.e2e.center_process import CenterProcess
from tests.e2e.conftest import User, World, make_world
from tests.e2e.wire_by_hand import RawDevice, enrolment_password, login_password, random_text

CODE = "1234567890ABCDEF"
OTHER = "FEDCBA0987654321"


@pytest.fixture(scope="module")
def alice(world: World) -> User:
    return world.new_user()


@pytest.fixture(scope="module")
def bob(world: World) -> User:
    return world.new_user()


def enrolled(world: World) -> tuple[str, str]:
    """A device that has enrolled and logged in with its secret: (device key, device secret)."""
    dk = world.new_device_key()
    with RawDevice(world.center.mqtt_port, world.pk, dk) as device:
        secret = device.enrol(world.ps)
    with RawDevice(world.center.mqtt_port, world.pk, dk) as device:
        assert device.connect(login_password(world.ps, secret)) == 0
    return dk, secret


def reporting(world: World, dk: str, secret: str, code: str = CODE, seconds: int | None = 60) -> None:
    with RawDevice(world.center.mqtt_port, world.pk, dk) as device:
        assert device.connect(login_password(world.ps, secret)) == 0
        device.report_bind_code(code, seconds)


def test_a_device_enrols_reconnects_reports_its_code_and_a_user_binds_it(world: World, alice: User) -> None:
    dk = world.new_device_key()
    with RawDevice(world.center.mqtt_port, world.pk, dk) as device:
        secret = device.enrol(world.ps)

    with RawDevice(world.center.mqtt_port, world.pk, dk) as device:
        assert device.connect(login_password(world.ps, secret)) == 0
        assert device.subscribe() == 1
        device.report_bind_code(CODE, 60)
        answer = alice.bind(dk, CODE, deviceName="hall lamp")

    assert answer["code"] == 200, answer
    assert len(base64.b64decode(answer["data"]["authKey"])) == 16
    assert answer["data"]["bindingMode"] == 1
    assert dk in alice.device_keys()


# ---- enrolment, row by row


def test_an_issued_secret_never_used_is_issued_again_and_the_earlier_one_dies(world: World) -> None:
    dk = world.new_device_key()
    with RawDevice(world.center.mqtt_port, world.pk, dk) as device:
        first = device.enrol(world.ps)

    with RawDevice(world.center.mqtt_port, world.pk, dk) as device:
        second = device.enrol(world.ps)

    assert first != second
    with RawDevice(world.center.mqtt_port, world.pk, dk) as device:
        assert device.connect(login_password(world.ps, first)) == 5
    with RawDevice(world.center.mqtt_port, world.pk, dk) as device:
        assert device.connect(login_password(world.ps, second)) == 0


def test_an_active_device_is_not_enrolled_again_and_its_live_session_stays(world: World) -> None:
    dk, secret = enrolled(world)
    with RawDevice(world.center.mqtt_port, world.pk, dk) as live:
        assert live.connect(login_password(world.ps, secret)) == 0

        with RawDevice(world.center.mqtt_port, world.pk, dk) as phantom:
            assert phantom.complaint(enrolment_password(world.pk, world.ps, dk)) == 10422

        live.report_bind_code(CODE)


def test_a_valid_reset_proof_enrols_an_active_device_again_and_ends_ownership(world: World, alice: User) -> None:
    dk, secret = enrolled(world)
    reporting(world, dk, secret)
    assert alice.bind(dk, CODE)["code"] == 200
    key = hmac.digest(secret.encode(), f"rst;{dk}".encode(), "sha256")
    nonce = random_text()
    proof = base64.b64encode(hmac.digest(key, nonce.encode(), "sha256")).decode()

    with RawDevice(world.center.mqtt_port, world.pk, dk) as device:
        renewed = device.enrol(world.ps, user_name=f"rst;{nonce};{proof}".encode())

    assert renewed != secret
    assert dk not in alice.device_keys()


def test_a_forged_reset_proof_enrols_nothing(world: World, alice: User) -> None:
    dk, secret = enrolled(world)
    reporting(world, dk, secret)
    assert alice.bind(dk, CODE)["code"] == 200
    forged = base64.b64encode(hashlib.sha256(b"guess").digest()).decode()

    with RawDevice(world.center.mqtt_port, world.pk, dk) as device:
        code = device.complaint(enrolment_password(world.pk, world.ps, dk), f"rst;{random_text()};{forged}".encode())

    assert code == 10422
    assert dk in alice.device_keys()


def test_an_approved_re_enrolment_is_taken_once(world: World) -> None:
    dk, _ = enrolled(world)
    world.center.admin("device", "approve", world.pk, dk)

    with RawDevice(world.center.mqtt_port, world.pk, dk) as device:
        secret = device.enrol(world.ps)

    with RawDevice(world.center.mqtt_port, world.pk, dk) as device:
        assert device.connect(login_password(world.ps, secret)) == 0
    with RawDevice(world.center.mqtt_port, world.pk, dk) as device:
        assert device.complaint(enrolment_password(world.pk, world.ps, dk)) == 10422


def test_an_open_product_enrols_an_active_device_again(center: CenterProcess) -> None:
    world = make_world(center, re_enrol="open")
    dk, secret = enrolled(world)

    with RawDevice(center.mqtt_port, world.pk, dk) as device:
        assert device.enrol(world.ps) != secret


def test_a_disabled_device_is_told_so(world: World) -> None:
    dk, secret = enrolled(world)
    world.center.admin("device", "disable", world.pk, dk)

    with RawDevice(world.center.mqtt_port, world.pk, dk) as device:
        assert device.complaint(login_password(world.ps, secret)) == 10431
    with RawDevice(world.center.mqtt_port, world.pk, dk) as device:
        assert device.complaint(enrolment_password(world.pk, world.ps, dk)) == 10431


def test_the_device_limit_of_a_product_is_kept(center: CenterProcess) -> None:
    world = make_world(center, device_limit=1)
    enrolled(world)

    with RawDevice(center.mqtt_port, world.pk, world.new_device_key()) as device:
        assert device.complaint(enrolment_password(world.pk, world.ps, device.dk)) == 10429


def test_a_product_with_static_secrets_enrols_nothing(center: CenterProcess) -> None:
    world = make_world(center, static_secrets=True)

    with RawDevice(center.mqtt_port, world.pk, world.new_device_key()) as device:
        code = device.complaint(enrolment_password(world.pk, world.ps, device.dk))

    assert code == 10421


def test_a_bad_enrolment_gets_its_own_code_and_nothing_else(world: World) -> None:
    dk = world.new_device_key()
    passwords = {
        "unknown product": enrolment_password("p1zzzz", world.ps, dk),
        "wrong product secret": enrolment_password(world.pk, "A" * 16, dk),
        "another device key inside": enrolment_password(world.pk, world.ps, world.new_device_key()),
    }
    with contextlib.ExitStack() as opened:
        devices = {what: opened.enter_context(RawDevice(world.center.mqtt_port, world.pk, dk)) for what in passwords}
        codes = {what: device.complaint(passwords[what]) for what, device in devices.items()}
        for device in devices.values():
            device.publish(0x00B5, b"\x00\x5b\x00\x10" + CODE.encode(), 9)

        assert codes == {"unknown product": 10423, "wrong product secret": 10424, "another device key inside": 10434}
        # Nothing answers the report; five seconds after the complaint the connection ends.
        assert [device.receive() for device in devices.values()] == [None, None, None]


def test_a_wrong_signature_with_a_secret_gets_connack_5(world: World) -> None:
    dk, _ = enrolled(world)

    with RawDevice(world.center.mqtt_port, world.pk, dk) as device:
        assert device.connect(login_password(world.ps, "x" * 32)) == 5


# ---- binding, row by row


@pytest.mark.parametrize(
    ("code", "answer"),
    [
        (None, 5179),
        ("", 5179),
        ("123", 5213),
        ("1234567890ABCDE", 5213),
        ("1234567890ABCDEF0", 5213),
        ("1234567890abcdef", 5213),
        ("1234567890ABCDE ", 5213),
        ("１２３４５６７８９０ABCDEF", 5213),
    ],
)
def test_a_malformed_or_missing_code_is_refused(world: World, alice: User, code: str | None, answer: int) -> None:
    assert alice.bind(world.new_device_key(), code)["code"] == answer


def test_no_code_on_file_reads_the_same_for_a_known_and_an_unknown_device(world: World, alice: User) -> None:
    dk, _ = enrolled(world)

    known, unknown = alice.bind(dk, CODE), alice.bind(world.new_device_key(), CODE)

    assert known["code"] == 5460
    assert known == unknown


def test_a_window_that_is_over_is_over_on_read(world: World, alice: User) -> None:
    dk, secret = enrolled(world)
    reporting(world, dk, secret, seconds=1)
    time.sleep(1.1)  # the server is another process: its clock cannot be moved

    assert alice.bind(dk, CODE)["code"] == 5461


def test_a_wrong_guess_leaves_the_window_open_for_the_right_code(world: World, alice: User, bob: User) -> None:
    dk, secret = enrolled(world)
    reporting(world, dk, secret)

    assert bob.bind(dk, OTHER)["code"] == 5462

    assert alice.bind(dk, CODE)["code"] == 200


def test_too_many_wrong_guesses_stop_the_guesser_and_nobody_else(world: World, alice: User) -> None:
    mallory = world.new_user()
    dk, secret = enrolled(world)
    reporting(world, dk, secret)

    answers = [mallory.bind(dk, OTHER)["code"] for _ in range(12)]

    assert answers[0] == 5462
    assert answers[-1] == 8429
    assert mallory.bind(dk, CODE)["code"] == 8429
    assert alice.bind(dk, CODE)["code"] == 200


def test_a_timeout_of_zero_closes_the_window(world: World, alice: User) -> None:
    dk, secret = enrolled(world)
    reporting(world, dk, secret)
    reporting(world, dk, secret, seconds=0)

    assert alice.bind(dk, CODE)["code"] == 5460


def test_a_report_without_seconds_uses_the_products_window(world: World, alice: User) -> None:
    dk, secret = enrolled(world)
    reporting(world, dk, secret, seconds=None)

    assert alice.bind(dk, CODE)["code"] == 200


def test_a_code_is_consumed_by_its_match(world: World, alice: User, bob: User) -> None:
    dk, secret = enrolled(world)
    reporting(world, dk, secret)
    assert alice.bind(dk, CODE)["code"] == 200

    assert bob.bind(dk, CODE)["code"] == 5460


def test_an_owner_whose_answer_was_lost_hears_it_again_and_nothing_changes(world: World, alice: User) -> None:
    dk, secret = enrolled(world)
    reporting(world, dk, secret)
    assert alice.bind(dk, CODE, deviceName="first name")["code"] == 200

    again = alice.bind(dk, CODE, deviceName="second name")

    assert again["code"] == 200
    info = world.center.call("GET", "/v2/binding/enduserapi/deviceInfo", alice.token, pk=world.pk, dk=dk)
    assert info["data"]["deviceName"] == "first name"


@pytest.mark.parametrize(
    ("mode", "second", "first_keeps", "second_has"),
    [("single", 5412, True, False), ("multi", 200, True, True), ("alternate", 200, False, True)],
)
def test_the_bind_mode_decides_about_a_second_user(
    center: CenterProcess, mode: str, second: int, first_keeps: bool, second_has: bool
) -> None:
    world = make_world(center, bind_mode=mode)
    first_user, second_user = world.new_user(), world.new_user()
    dk, secret = enrolled(world)
    reporting(world, dk, secret)
    assert first_user.bind(dk, CODE)["code"] == 200

    reporting(world, dk, secret, OTHER)

    assert second_user.bind(dk, OTHER)["code"] == second
    assert (dk in first_user.device_keys()) is first_keeps
    assert (dk in second_user.device_keys()) is second_has


def test_a_product_that_is_not_linked_to_the_users_app_is_refused(center: CenterProcess) -> None:
    world = make_world(center)
    stranger_domain = center.make("/domains", name="another app")
    listed = center.make("/products", name="private", user_domains=[stranger_domain["user_domain"]])
    user = world.new_user()

    assert user.bind(world.new_device_key(), CODE, pk=listed["product_key"])["code"] == 5229


def test_without_a_token_nothing_is_bound(world: World) -> None:
    nobody = User(world, "", "", "Bearer not.a.token")

    assert nobody.bind(world.new_device_key(), CODE)["code"] == 5032


def test_unbinding_tells_how_many_users_are_left(world: World, alice: User) -> None:
    dk, secret = enrolled(world)
    reporting(world, dk, secret)
    assert alice.bind(dk, CODE)["code"] == 200

    assert alice.unbind(dk)["data"] == {"bindingSum": 0}
    assert dk not in alice.device_keys()
    assert alice.unbind(dk)["code"] == 5052
