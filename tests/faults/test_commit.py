"""kill -9 at every point of a commit, for every deed: afterwards it has happened whole or not at all.

What a deed changes is learned from one that nobody disturbs: the rows that come, go and change. After a kill the
database holds exactly that or nothing, by where the kill was; the audit log is whole, and the deed can be done again.
The deeds are in `deeds`. What nobody asked for and nobody waits for, who was here when, dies on its own.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import pytest

from quecbind.center.storage import faults
from tests.e2e.wire_by_hand import login_password
from tests.faults.database import changes
from tests.faults.deeds import CODE, DEEDS, Deed, active
from tests.faults.scene import Scene
from tests.tables import Row

ANSWERED = "after the answer"
NOTHING_YET = (faults.BEFORE_BEGIN, faults.BEFORE_COMMIT)
QUICK_DEEDS = ("bind", "reset with proof", "accept a share")


def cases() -> Iterator[Any]:
    for deed, point in itertools.product(DEEDS, (*faults.COMMIT_POINTS, ANSWERED)):
        is_quick = deed.name in QUICK_DEEDS or point == faults.AFTER_COMMIT
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
        assert found[deed.name], deed.name
    scene.restart_with_the_right_clock()
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
        is_answered = scene.dies_at(point, lambda: deed.do(scene, device), deed.commit)
    after = changes(before, scene.content())
    scene.set_clock(0)
    scene.restart()

    wanted = [] if point in NOTHING_YET else undisturbed[deed.name]
    assert is_answered is (point == ANSWERED), "an answer came before the commit was told"
    assert after == wanted
    assert scene.audit_is_whole()
    assert changes(before, scene.content()) == wanted, "the restart has changed something"
    assert deed.again(scene, device)
    state = {(): "undone"}.get(tuple(after), "done")
    row(f"{deed.name}, killed {point}", "undone" if point in NOTHING_YET else "done", state)


@pytest.mark.full
@pytest.mark.parametrize("point", faults.COMMIT_POINTS)
def test_a_kill_while_presence_is_written_takes_nothing_else(scene: Scene, point: str, row: Row) -> None:
    device = active(scene)
    before = scene.content()

    def be_here() -> None:
        with scene.raw(device.dk) as raw:
            assert raw.connect(login_password(scene.world.ps, device.secret)) == 0
            while raw.receive() is not None:
                pass

    scene.dies_at(f"presence, {point}", be_here)
    after = changes(before, scene.content())
    scene.restart()

    _, shown = scene.operator("GET", f"/devices/{scene.world.pk}/{device.dk}")
    assert not shown["is_online"]
    assert scene.audit_is_whole()
    scene.report(device.dk, device.secret, CODE)
    assert scene.ann.bind(device.dk, CODE)["code"] == 200
    row(f"presence, killed {point}: what else is changed", [], after)
