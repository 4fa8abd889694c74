"""Reset over real sockets: the proof, the approval, the three policies, and nothing left of the earlier life."""

from __future__ import annotations

import base64
import hashlib
import hmac

import pytest

from tests.e2e.center_process import CenterProcess
from tests.e2e.conftest import BINDING, User, World, make_world
from tests.e2e.wire_by_hand import RawDevice, enrolment_password, login_password, random_text

CODE = "1234567890ABCDEF"
REFUSED = 10422


def proof(dk: str, secret: str) -> bytes:
    """What `rst()` leaves behind: whoever held `secret` can make it, and nobody else."""
    key = hmac.digest(secret.encode(), f"rst;{dk}".encode(), hashlib.sha256)
    nonce = random_text()
    return f"rst;{nonce};{base64.b64encode(hmac.digest(key, nonce.encode(), hashlib.sha256)).decode()}".encode()


class Bench:
    """One product with its policy; devices and log-ins in a line."""

    def __init__(self, world: World) -> None:
        self.world = world

    def open(self, dk: str) -> RawDevice:
        return RawDevice(self.world.center.mqtt_port, self.world.pk, dk)

    def enrol(self, dk: str, user_name: bytes | None = None) -> str:
        with self.open(dk) as device:
            return device.enrol(self.world.ps, user_name)

    def complaint(self, dk: str, user_name: bytes | None = None) -> int:
        with self.open(dk) as device:
            return device.complaint(enrolment_password(self.world.pk, self.world.ps, dk), user_name)

    def connect(self, dk: str, secret: str) -> int | None:
        with self.open(dk) as device:
            return device.connect(login_password(self.world.ps, secret))

    def active(self) -> tuple[str, str]:
        dk = self.world.new_device_key()
        secret = self.enrol(dk)
        assert self.connect(dk, secret) == 0
        return dk, secret

    def owned(self, user: User) -> tuple[str, str]:
        dk, secret = self.active()
        with self.open(dk) as device:
            assert device.connect(login_password(self.world.ps, secret)) == 0
            device.report_bind_code(CODE)
        assert user.bind(dk, CODE)["code"] == 200
        return dk, secret


@pytest.fixture(scope="module")
def ann(world: World) -> User:
    return world.new_user()


@pytest.fixture
def bench(world: World) -> Bench:
    return Bench(world)


def test_a_reset_ends_owner_secret_session_and_bind_code_of_the_earlier_life(bench: Bench, ann: User) -> None:
    dk, old = bench.owned(ann)
    with bench.open(dk) as earlier:
        assert earlier.connect(login_password(bench.world.ps, old)) == 0
        earlier.report_bind_code("0000000000000001", packet_id=3)
        earlier.socket.settimeout(1)

        new = bench.enrol(dk, proof(dk, old))

        assert earlier.receive() is None, "the session of the earlier life lived on"
    assert ann.device_keys().count(dk) == 0
    assert ann.unbind(dk)["code"] == 5052
    assert ann.bind(dk, "0000000000000001")["code"] == 5460
    assert bench.connect(dk, old) == 5
    assert bench.connect(dk, new) == 0


def test_an_owner_whose_device_was_reset_out_of_reach_binds_it_anew_by_asking_again(bench: Bench, ann: User) -> None:
    dk, old = bench.owned(ann)
    code = "0000000000000002"

    # Both have the new code; the platform does not know of the reset, and the device is not back yet.
    early = [ann.bind(dk, code)["code"] for _ in range(3)]
    with bench.open(dk) as device:
        new = device.enrol(bench.world.ps, proof(dk, old))
    before_the_report = ann.bind(dk, code)["code"]
    with bench.open(dk) as device:
        assert device.connect(login_password(bench.world.ps, new)) == 0
        device.report_bind_code(code)
    retried = ann.bind(dk, code)["code"]

    assert (early, before_the_report, retried) == ([5460] * 3, 5460, 200)
    assert dk in ann.device_keys()


def test_a_captured_proof_does_not_reset_a_second_time(bench: Bench, ann: User) -> None:
    dk, old = bench.active()
    captured = proof(dk, old)
    new = bench.enrol(dk, captured)
    with bench.open(dk) as device:
        assert device.connect(login_password(bench.world.ps, new)) == 0
        device.report_bind_code(CODE)
        assert ann.bind(dk, CODE)["code"] == 200

        replayed = bench.complaint(dk, captured)
        made_of_the_old_secret = bench.complaint(dk, proof(dk, old))

        device.send(b"\xc0\x00")
        assert device.receive() == (0xD0, b""), "the owner's device was disturbed"
    assert (replayed, made_of_the_old_secret) == (REFUSED, REFUSED)
    assert dk in ann.device_keys()


def test_a_proof_for_another_device_or_made_without_its_secret_resets_nothing(bench: Bench, ann: User) -> None:
    dk, secret = bench.owned(ann)
    other, other_secret = bench.active()
    nonce = random_text()
    forged = [
        proof(other, secret),
        proof(dk, other_secret),
        proof(dk, bench.world.ps),
        b"rst;",
        b"rst;;",
        f"rst;{nonce};".encode(),
        b"rst;" + nonce.encode() + b";" + base64.b64encode(bytes(32)),
        proof(dk, secret)[:-1],
        proof(dk, secret).replace(b"rst;", b"RST;"),
        None,
    ]

    assert [bench.complaint(dk, user_name) for user_name in forged] == [REFUSED] * len(forged)
    assert dk in ann.device_keys()
    assert bench.connect(dk, secret) == 0


def test_an_approval_of_owner_or_operator_counts_once(bench: Bench, ann: User) -> None:
    dk, _ = bench.owned(ann)
    where = {"pk": bench.world.pk, "dk": dk}
    assert bench.complaint(dk) == REFUSED

    assert bench.world.center.call("POST", BINDING + "approveReEnrolment", ann.token, **where)["code"] == 200
    first = bench.enrol(dk)
    assert bench.connect(dk, first) == 0
    assert bench.complaint(dk) == REFUSED
    assert dk not in ann.device_keys()
    bench.world.center.admin("device", "approve", bench.world.pk, dk)
    second = bench.enrol(dk)

    assert bench.connect(dk, first) == 5
    assert bench.connect(dk, second) == 0
    assert bench.complaint(dk) == REFUSED


def test_a_former_owner_approves_nothing(bench: Bench, ann: User) -> None:
    dk, old = bench.owned(ann)
    assert bench.connect(dk, bench.enrol(dk, proof(dk, old))) == 0

    where = {"pk": bench.world.pk, "dk": dk}
    answer = bench.world.center.call("POST", BINDING + "approveReEnrolment", ann.token, **where)

    assert answer["code"] == 5052
    assert bench.complaint(dk) == REFUSED


def test_an_open_product_resets_for_the_product_secret_alone(center: CenterProcess) -> None:
    bench = Bench(make_world(center, re_enrol="open"))
    ann = bench.world.new_user()
    dk, old = bench.owned(ann)

    new = bench.enrol(dk)

    assert (bench.connect(dk, old), bench.connect(dk, new)) == (5, 0)
    assert dk not in ann.device_keys()


def test_a_locked_product_resets_for_a_proof_and_nothing_else(center: CenterProcess) -> None:
    bench = Bench(make_world(center, re_enrol="locked"))
    ann = bench.world.new_user()
    dk, old = bench.owned(ann)
    where = {"pk": bench.world.pk, "dk": dk}

    approved = center.call("POST", BINDING + "approveReEnrolment", ann.token, **where)
    refused = bench.complaint(dk)
    assert dk in ann.device_keys()
    new = bench.enrol(dk, proof(dk, old))

    assert (approved["code"], refused) == (8409, REFUSED)
    assert bench.connect(dk, new) == 0
    assert dk not in ann.device_keys()


def test_the_new_session_gets_nothing_that_was_meant_for_the_earlier_one(bench: Bench) -> None:
    dk, old = bench.active()
    with bench.open(dk) as earlier:
        assert earlier.connect(login_password(bench.world.ps, old)) == 0
        with bench.open(dk) as later:
            later.enrol(bench.world.ps, proof(dk, old))
            later.send(b"\xc0\x00")

            assert later.receive() == (0xD0, b"")
