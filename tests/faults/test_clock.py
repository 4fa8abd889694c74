"""The wall clock of the machine is set, ahead and back, while the server runs and while it does not.

The rule that is tried: a server's own clock follows the machine's ahead and never back, so a step can end what has an
end and never prolong it; and a server that starts with a clock behind what it has written down takes nothing that was
given after that for given. What was ended by a wrong clock and not yet swept is there again when the clock is right.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.conftest import BINDING, User
from tests.e2e.wire_by_hand import app_password, enrolment_password, login_password, random_text
from tests.faults.scene import Scene
from tests.tables import Row
from tests.waiting import until

CODE, WRONG = "1234567890ABCDEF", "0000000000000000"
HOUR = 3600.0
ALREADY_ENROLLED = 10422


class Clock:
    """The machine's clock, and the server that runs on it. `ahead` is by how much it is ahead of the right time."""

    def __init__(self, scene: Scene) -> None:
        self.scene, self.ahead = scene, 0.0

    def step(self, seconds: float) -> None:
        self.ahead += seconds
        self.scene.set_clock(self.ahead)

    def step_while_stopped(self, seconds: float) -> None:
        assert self.scene.center.stop() == 0
        self.step(seconds)
        self.scene.restart()
        if seconds > 0:
            self.sign_in_again()

    def sign_in_again(self) -> None:
        for user in (self.scene.ann, self.scene.ben):
            user.token = self.scene.world.sign_in(user.email, user.password).token

    def shown(self) -> float:
        """What the server takes the time to be, in UTC seconds."""
        status, answer = self.scene.operator("GET", "/server")
        assert status == 200
        return float(answer["now"]) / 1000


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    scene = Scene.start(tmp_path_factory.mktemp("clock"))
    yield scene
    assert scene.center.stop() == 0


@pytest.fixture
def clock(scene: Scene) -> Clock:
    """Right when the test begins, whatever the one before has left."""
    assert scene.center.stop() == 0
    clock = Clock(scene)
    clock.step(0)
    scene.restart()
    clock.sign_in_again()
    return clock


def waiting(scene: Scene, seconds: int | None = None) -> tuple[str, str]:
    """A device that has reported its code, and its secret."""
    dk = scene.world.new_device_key()
    secret = scene.enrol(dk)
    with scene.raw(dk) as device:
        assert device.connect(login_password(scene.world.ps, secret)) == 0
        device.report_bind_code(CODE, seconds)
    return dk, secret


def owned(scene: Scene) -> tuple[str, str]:
    dk, secret = waiting(scene)
    assert scene.ann.bind(dk, CODE)["code"] == 200
    return dk, secret


def test_the_servers_clock_follows_a_step_ahead_and_none_back(scene: Scene, clock: Clock, row: Row) -> None:
    clock.step(HOUR)
    ahead = clock.shown()
    clock.step(-2 * HOUR)
    back = clock.shown()

    row("the clock is set 1 h ahead: the server goes along", True, ahead >= time.time() + HOUR - 60)
    row("... and then 2 h back: the server does not", True, back >= ahead)


@pytest.mark.parametrize(
    ("name", "steps", "expected"),
    [
        ("is set 1 h back", [-HOUR], 200),
        ("is set 1 h back and right again, when the window has 110 s left", [-HOUR, HOUR + 10], 200),
        ("is set 1 h back and then on to 1 s past the end", [-HOUR, HOUR + 121], 5461),
        ("is set to 1 s past the end", [121.0], 5461),
        ("is set to 1 s past the end and back again", [121.0, -121.0], 5461),
    ],
)
def test_a_window_while_the_clock_is_set(
    scene: Scene, clock: Clock, row: Row, name: str, steps: list[float], expected: int
) -> None:
    dk, _ = waiting(scene, 120)

    for step in steps:
        clock.step(step)
        clock.shown()

    row(f"a window of 120 s, the clock {name}", expected, scene.ann.bind(dk, CODE)["code"])


@pytest.mark.parametrize(
    ("name", "before", "seconds", "expected"),
    [
        ("60 s back, to before the window was opened", 0.0, -60.0, 5461),
        ("back to 30 s after it was opened", 60.0, -30.0, 200),
        ("to 1 s past its end", 0.0, 121.0, 5461),
    ],
)
def test_a_window_when_the_clock_is_set_while_the_server_is_stopped(
    scene: Scene, clock: Clock, row: Row, name: str, before: float, seconds: float, expected: int
) -> None:
    dk, _ = waiting(scene, 120)
    clock.step(before)

    clock.step_while_stopped(seconds)

    row(f"stopped; the clock is set {name}", expected, scene.ann.bind(dk, CODE)["code"])


@pytest.mark.full
@pytest.mark.parametrize(
    ("name", "seconds", "is_stopped", "expected"),
    [
        ("1 h back", -HOUR, False, "a secret"),
        ("15 min ahead", 900.0, False, ALREADY_ENROLLED),
        ("while stopped, 60 s back, to before it was given", -60.0, True, ALREADY_ENROLLED),
        ("while stopped, 15 min ahead", 900.0, True, ALREADY_ENROLLED),
    ],
)
def test_an_approved_re_enrolment(
    scene: Scene, clock: Clock, row: Row, name: str, seconds: float, is_stopped: bool, expected: object
) -> None:
    dk, _ = owned(scene)
    where = {"pk": scene.world.pk, "dk": dk}
    assert scene.center.call("POST", BINDING + "approveReEnrolment", scene.ann.token, **where)["code"] == 200

    (clock.step_while_stopped if is_stopped else clock.step)(seconds)
    with scene.raw(dk) as device:
        assert device.connect(enrolment_password(scene.world.pk, scene.world.ps, dk)) == 0
        message = device.message()

    assert message is not None
    got: object = "a secret" if message[1] == 0x00B4 else ALREADY_ENROLLED
    row(f"an approval, the clock is set {name}", expected, got)


def shared(scene: Scene, clock: Clock, seconds: float) -> str:
    """A device of Ann's that Ben uses for so long."""
    dk, _ = owned(scene)
    now_ms = round(clock.shown() * 1000)
    times = {"acceptingExpireAt": now_ms + 60_000, "sharingExpireAt": now_ms + round(seconds * 1000)}
    call = scene.center.call
    made = call("POST", BINDING + "shareInfo", scene.ann.token, pk=scene.world.pk, dk=dk, coverMark=1, **times)
    assert made["code"] == 200, made
    assert call("POST", BINDING + "shareDevice", scene.ben.token, shareCode=made["data"])["code"] == 200
    assert dk in scene.ben.device_keys()
    return dk


def share_codes(scene: Scene, dk: str) -> int:
    """How many shares of the device are on file."""
    answer = scene.center.call("GET", BINDING + "deviceShareUserList", scene.ann.token, pk=scene.world.pk, dk=dk)
    assert answer["code"] == 200, answer
    return len(answer["data"])


def test_a_share_ends_by_a_clock_set_ahead_and_is_swept(scene: Scene, clock: Clock, row: Row) -> None:
    dk = shared(scene, clock, HOUR)
    clock.step(-2 * HOUR)
    row("a share of 1 h, the clock set 2 h back: on file, and used", (1, True), used(scene, dk))

    clock.step(3 * HOUR)

    row("... and then 1 h ahead: over", False, dk in scene.ben.device_keys())
    row("... and swept", True, until(lambda: share_codes(scene, dk) == 0))


def used(scene: Scene, dk: str) -> tuple[int, bool]:
    return share_codes(scene, dk), dk in scene.ben.device_keys()


def test_a_share_is_none_by_a_clock_before_it_was_accepted(scene: Scene, clock: Clock, row: Row) -> None:
    dk = shared(scene, clock, HOUR)

    clock.step_while_stopped(-60)
    behind = used(scene, dk)
    clock.step(60)
    right = used(scene, dk)

    row("stopped; the clock is set to before a share was accepted: on file, not used", (1, False), behind)
    row("... and when it is right again: used", (1, True), right)


def user_info(scene: Scene, user: User) -> Any:
    return scene.center.call("GET", "/v2/enduser/enduserapi/userInfo", user.token)["code"]


@pytest.mark.full
@pytest.mark.parametrize(
    ("name", "seconds", "is_stopped", "expected"),
    [
        ("1 h back", -HOUR, False, 200),
        ("2 h ahead", 2 * HOUR, False, 5032),
        ("while stopped, 1 min back", -60.0, True, 200),
        ("while stopped, 1 h back, to before it was issued", -HOUR, True, 5032),
    ],
)
def test_an_access_token(
    scene: Scene, clock: Clock, row: Row, name: str, seconds: float, is_stopped: bool, expected: int
) -> None:
    (clock.step_while_stopped if is_stopped else clock.step)(seconds)

    row(f"an access token, the clock is set {name}", expected, user_info(scene, scene.ann))


def sign_in_code(scene: Scene, email: str, password: str) -> int:
    nonce = random_text()
    cipher = app_password(password, nonce)
    signature = hashlib.sha256((email + cipher + nonce + scene.world.domain_secret).encode()).hexdigest()
    query = {"email": email, "pwd": cipher, "random": nonce, "userDomain": scene.world.domain, "signature": signature}
    return int(scene.center.call("POST", "/v2/enduser/enduserapi/emailPwdLogin", **query)["code"])


def test_a_lock_out_is_neither_forgotten_nor_for_ever(scene: Scene, clock: Clock, row: Row) -> None:
    email, password = scene.ben.email, scene.ben.password
    for _ in range(5):
        sign_in_code(scene, email, "wrong-1Aa")
    row("five wrong passwords, the right one", 5147, sign_in_code(scene, email, password))

    clock.step(-HOUR)
    row("... the clock is set 1 h back", 5147, sign_in_code(scene, email, password))
    clock.step(HOUR)
    row("... and right again", 5147, sign_in_code(scene, email, password))
    clock.step(20 * 60 + 1)
    row("... and 20 min ahead", 200, sign_in_code(scene, email, password))


@pytest.mark.full
def test_a_limit_of_guesses_is_neither_forgotten_nor_for_ever(scene: Scene, clock: Clock, row: Row) -> None:
    dk, _ = waiting(scene, 7200)
    for _ in range(10):
        assert scene.ben.bind(dk, WRONG)["code"] == 5462
    row("ten wrong bind codes, the right one", 8429, scene.ben.bind(dk, CODE)["code"])

    clock.step(-HOUR)
    row("... the clock is set 1 h back", 8429, scene.ben.bind(dk, CODE)["code"])
    clock.step(HOUR + 601)
    row("... and 10 min ahead", 200, scene.ben.bind(dk, CODE)["code"])


@pytest.mark.full
def test_devices_come_in_and_send_whatever_the_clock_does(scene: Scene, clock: Clock, row: Row) -> None:
    dk, secret = waiting(scene)
    with scene.raw(dk) as device:
        assert device.connect(login_password(scene.world.ps, secret)) == 0
        for packet_id, step in enumerate((-HOUR, 30 * HOUR, -50 * HOUR), 3):
            clock.step(step)
            device.report_bind_code(CODE, 60, packet_id)
            assert scene.connect(scene.world.new_device_key(), "x" * 32) != 0
    bound = scene.ann.bind(dk, CODE)["code"]

    row("a session over three steps, its last window", 5032, bound)
    clock.sign_in_again()
    row("... when its owner has signed in again", 200, scene.ann.bind(dk, CODE)["code"])
    row("... the audit log is whole", True, scene.audit_is_whole())
