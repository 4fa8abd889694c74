"""kill -9 while a command is kept, covered, sent and acknowledged: none that was accepted is lost, none that was
deleted comes again. One whose deletion was not on disk comes once more.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any

import pytest

from quecbind.center.storage import faults
from tests.e2e.conftest import BINDING
from tests.e2e.wire_by_hand import RawDevice, login_password, packet, unframe
from tests.faults.deeds import Subject, owned
from tests.faults.scene import Scene
from tests.faults.test_commit import NOTHING_YET
from tests.tables import Row

PINGREQ, PINGRESP = b"\xc0\0", (0xD0, b"")
QUICK_POINTS = (faults.BEFORE_COMMIT, faults.AFTER_COMMIT)
POINTS = [
    pytest.param(point, marks=() if point in QUICK_POINTS else pytest.mark.full) for point in faults.COMMIT_POINTS
]


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    scene = Scene.start(tmp_path_factory.mktemp("control"))
    yield scene
    assert scene.center.stop() == 0


def keep(scene: Scene, device: Subject, data: str, **changes: Any) -> None:
    body = {
        "data": data,
        "type": 1,
        "dataFormat": 2,
        "deviceList": [{"productKey": scene.world.pk, "deviceKey": device.dk}],
        "isCache": 1,
        "cacheTime": 600,
        **changes,
    }
    answer = scene.center.call("POST", BINDING + "batchControlDevice", scene.ann.token, body)
    assert answer["data"]["successList"], answer


def hear(scene: Scene, device: Subject, *, acknowledges: bool = True) -> list[str]:
    """What the device is sent on a connection of its own."""
    with scene.raw(device.dk) as link:
        assert link.connect(login_password(scene.world.ps, device.secret)) == 0
        return [data for data, _ in sent(link, acknowledges=acknowledges)]


def sent(link: RawDevice, *, acknowledges: bool) -> list[tuple[str, bytes]]:
    """Raw data until a ping is answered, each with its PUBACK, which is sent at once if it is to be."""
    link.send(PINGREQ)
    found = []
    while (got := link.receive()) != PINGRESP:
        assert got is not None
        first, body = got
        size = struct.unpack_from(">H", body)[0]
        puback = packet(0x40, body[2 + size : 4 + size])
        if first >> 4 == 3:
            _, command, payload = unframe(body[4 + size :])
            assert command == 0x0023
            found.append((payload.decode(), puback))
            if acknowledges:
                link.send(puback)
    if acknowledges and found:
        link.send(PINGREQ)
        assert link.receive() == PINGRESP
    return found


@pytest.mark.parametrize("point", POINTS)
def test_a_command_is_kept_whole_or_not_at_all(scene: Scene, point: str, row: Row) -> None:
    device = owned(scene)

    is_answered = scene.dies_at(point, lambda: keep(scene, device, "first"))
    scene.restart()

    row(f"keep, killed {point}: answered", False, is_answered)
    row("... the device hears", [] if point in NOTHING_YET else ["first"], hear(scene, device))
    row("... again", [], hear(scene, device))


@pytest.mark.parametrize("point", POINTS)
def test_covering_leaves_the_old_command_or_the_new_one(scene: Scene, point: str, row: Row) -> None:
    device = owned(scene)
    keep(scene, device, "old")

    scene.dies_at(point, lambda: keep(scene, device, "new", isCover=1))
    scene.restart()

    wanted = "old" if point in NOTHING_YET else "new"
    row(f"cover, killed {point}: the device hears", [wanted], hear(scene, device))


@pytest.mark.parametrize("point", POINTS)
def test_a_puback_counts_once_its_deletion_is_on_disk(scene: Scene, point: str, row: Row) -> None:
    device = owned(scene)
    keep(scene, device, "once")

    def acknowledge() -> None:
        with scene.raw(device.dk) as link:
            assert link.connect(login_password(scene.world.ps, device.secret)) == 0
            ((data, puback),) = sent(link, acknowledges=False)
            assert data == "once"
            link.send(puback)
            while link.receive() is not None:
                pass
            raise ConnectionError("the server has died")

    scene.dies_at(point, acknowledge)
    scene.restart()

    wanted = ["once"] if point in NOTHING_YET else []
    row(f"acknowledge, killed {point}: the device hears again", wanted, hear(scene, device))
    row("... and again", [], hear(scene, device))


def test_what_was_answered_and_what_was_sent_survives(scene: Scene, row: Row) -> None:
    device = owned(scene)
    keep(scene, device, "1")
    keep(scene, device, "2")
    scene.center.kill()
    scene.restart()
    with scene.raw(device.dk) as link:
        assert link.connect(login_password(scene.world.ps, device.secret)) == 0
        unanswered = [data for data, _ in sent(link, acknowledges=False)]
        scene.center.kill()
    scene.restart()

    row("killed after the answer: the device hears", ["1", "2"], unanswered)
    row("killed after sending, before any PUBACK: it hears again", ["1", "2"], hear(scene, device))
    row("... and not again", [], hear(scene, device))


def test_a_right_that_ends_takes_what_was_kept_with_it_or_neither_goes(scene: Scene, row: Row) -> None:
    for point in QUICK_POINTS:
        device = owned(scene)
        keep(scene, device, "mine")

        scene.dies_at(point, lambda device=device: scene.ann.unbind(device.dk))  # type: ignore[misc]
        scene.restart()

        wanted = ["mine"] if point in NOTHING_YET else []
        row(f"unbind, killed {point}: the device hears", wanted, hear(scene, device))
