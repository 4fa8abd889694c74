"""kill -9 at every point of a commit, for every deed: afterwards it has happened whole or not at all.

What a deed changes is learned from one that nobody disturbs: the rows that come, go and change. After a kill the
database holds exactly that or nothing, by where the kill was; the audit log is whole, and the deed can be done again.
A deed is one line of DEEDS.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import itertools
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest

from quecbind.center.storage import faults
from tests.e2e.conftest import BINDING
from tests.e2e.wire_by_hand import random_text
from tests.faults.database import changes
from tests.faults.scene import Scene
from tests.tables import Row

CODE = "1234567890ABCDEF"
_numbers = itertools.count(1)


class Device(NamedTuple):
    """A device in the state a deed begins from."""

    dk: str
    secret: str = ""


def new(scene: Scene) -> Device:
    return Device(scene.world.new_device_key())


def issued(scene: Scene) -> Device:
    dk = scene.world.new_device_key()
    return Device(dk, scene.enrol(dk))


def active(scene: Scene) -> Device:
    device = issued(scene)
    assert scene.connect(*device) == 0
    return device


def waiting(scene: Scene) -> Device:
    device = active(scene)
    scene.report(*device, CODE)
    return device


def owned(scene: Scene) -> Device:
    device = waiting(scene)
    assert scene.ann.bind(device.dk, CODE)["code"] == 200
    return device


def approved(scene: Scene) -> Device:
    device = owned(scene)
    assert approve(scene, device)["code"] == 200
    return device


def approve(scene: Scene, device: Device) -> dict[str, Any]:
    where = {"pk": scene.world.pk, "dk": device.dk}
    return scene.center.call("POST", BINDING + "approveReEnrolment", scene.ann.token, **where)


def rename(scene: Scene, device: Device) -> bool:
    where = {"pk": scene.world.pk, "dk": device.dk, "deviceName": "hall"}
    return bool(scene.center.call("PUT", BINDING + "setDeviceInfo", scene.ann.token, **where)["code"] == 200)


def connect(scene: Scene, device: Device) -> bool:
    assert scene.connect(*device) == 0
    return True


def enrol(scene: Scene, device: Device) -> bool:
    return scene.connect(device.dk, scene.enrol(device.dk)) == 0


def proof(device: Device) -> bytes:
    key = hmac.digest(device.secret.encode(), f"rst;{device.dk}".encode(), hashlib.sha256)
    nonce = random_text()
    return f"rst;{nonce};{base64.b64encode(hmac.digest(key, nonce.encode(), hashlib.sha256)).decode()}".encode()


def reset(scene: Scene, device: Device) -> bool:
    return scene.connect(device.dk, scene.enrol(device.dk, proof(device))) == 0 and not owns(scene, device)


def bind(scene: Scene, device: Device) -> bool:
    return scene.ann.bind(device.dk, CODE)["code"] == 200 and owns(scene, device)


def owns(scene: Scene, device: Device) -> bool:
    return device.dk in scene.ann.device_keys()


def unbind(scene: Scene, device: Device) -> bool:
    return scene.ann.unbind(device.dk)["code"] in {200, 5052} and not owns(scene, device)


def report(scene: Scene, device: Device) -> bool:
    scene.report(*device, CODE)
    return scene.ann.bind(device.dk, CODE)["code"] == 200


def create_user(scene: Scene, device: Device) -> bool:
    scene.operator("POST", "/users", scene.new_user(f"u{device.dk}@example.org"))
    return bool(scene.world.sign_in(f"u{device.dk}@example.org", "secret-1Aa").token)


def approve_again(scene: Scene, device: Device) -> bool:
    return approve(scene, device)["code"] == 200 and enrol(scene, device)


class Deed(NamedTuple):
    """What is done, to what, and how it is seen that after the restart it can be done (again) with what comes of it."""

    name: str
    begin: Callable[[Scene], Device]
    do: Callable[[Scene, Device], object]
    again: Callable[[Scene, Device], bool]


DEEDS = (
    Deed("enrol", new, lambda s, d: s.enrol(d.dk), enrol),
    Deed("first log-in", issued, connect, connect),
    Deed("report a bind code", active, lambda s, d: s.report(*d, CODE), report),
    Deed("bind", waiting, lambda s, d: s.ann.bind(d.dk, CODE), bind),
    Deed("unbind", owned, lambda s, d: s.ann.unbind(d.dk), unbind),
    Deed("rename", owned, rename, rename),
    Deed("reset with proof", owned, lambda s, d: s.enrol(d.dk, proof(d)), reset),
    Deed("approve re-enrolment", owned, approve, approve_again),
    Deed("re-enrol, approved", approved, lambda s, d: s.enrol(d.dk), enrol),
    Deed(
        "create a user", new, lambda s, d: s.operator("POST", "/users", s.new_user(f"u{d.dk}@example.org")), create_user
    ),
)

ANSWERED = "after the answer"
NOTHING_YET = (faults.BEFORE_BEGIN, faults.BEFORE_COMMIT)
QUICK_POINTS = (faults.BEFORE_COMMIT, faults.AFTER_COMMIT)
QUICK_DEEDS = ("bind", "reset with proof")


def cases() -> Iterator[Any]:
    for deed, point in itertools.product(DEEDS, (*faults.COMMIT_POINTS, ANSWERED)):
        is_quick = point in QUICK_POINTS or deed.name in QUICK_DEEDS
        yield pytest.param(deed, point, id=f"{deed.name}-{point}", marks=() if is_quick else pytest.mark.full)


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    scene = Scene.start(tmp_path_factory.mktemp("commit"))
    yield scene
    assert scene.center.stop() == 0


@pytest.fixture(scope="module")
def undisturbed(scene: Scene) -> dict[str, list[str]]:
    """By the name of a deed: what it changes."""
    found = {}
    for deed in DEEDS:
        device = deed.begin(scene)
        before = scene.content()
        deed.do(scene, device)
        found[deed.name] = changes(before, scene.content())
        assert any(change.startswith("+ ") for change in found[deed.name]), deed.name
    return found


@pytest.mark.parametrize(("deed", "point"), list(cases()))
def test_a_kill_leaves_a_deed_done_or_undone(
    scene: Scene, undisturbed: dict[str, list[str]], deed: Deed, point: str, row: Row
) -> None:
    device = deed.begin(scene)
    before = scene.content()

    if point == ANSWERED:
        deed.do(scene, device)
        scene.center.kill()
        is_answered = True
    else:
        is_answered = scene.dies_at(point, lambda: deed.do(scene, device))
    after = changes(before, scene.content())
    scene.restart()

    wanted = [] if point in NOTHING_YET else undisturbed[deed.name]
    assert is_answered is (point == ANSWERED), "an answer came before the commit was told"
    assert after == wanted
    assert scene.audit_is_whole()
    assert changes(before, scene.content()) == wanted, "the restart has changed something"
    assert deed.again(scene, device)
    state = {(): "undone"}.get(tuple(after), "done")
    row(f"{deed.name}, killed {point}", "undone" if point in NOTHING_YET else "done", state)
