"""The best way that is open, and the next one when it is lost: with ways that do as they are told."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from quecbind.app import Device
from quecbind.app.device import FIRST_WAIT_S, LONGEST_WAIT_S, REST_S, Seen
from quecbind.app.errors import AppError, ControlError, KeyRefusedError, NoPathError, PathLostError, RefusedError
from quecbind.app.model import Model, Property
from quecbind.app.path import BLE, CLOUD, LAN, Audience, Change, Raw, Watch

MODEL = Model([Property(38, "switch", data_type="BOOL"), Property(3, "level", data_type="INT")])


class MemoryPath:
    def __init__(self, way: MemoryWay) -> None:
        self.name = way.name
        self.way = way
        self.audience = Audience()

    @property
    def is_lost(self) -> bool:
        return self.audience.ended is not None

    def _use(self, what: Any) -> None:
        if self.way.breaks_on_use:
            self.audience.end("cut")
        if self.is_lost:
            raise PathLostError("cut")
        self.way.used.append(what)

    async def read(self, ids: Sequence[int], seconds: float = 1) -> dict[int, Any]:
        self._use(("read", list(ids)))
        return {38: True, 99: 1}

    async def write(self, values: Mapping[int, Any], seconds: float = 1) -> None:
        self._use(("write", dict(values)))

    async def send_raw(self, data: bytes) -> None:
        self._use(("raw", data))

    def watch(self) -> Watch:
        return self.audience.join()

    async def close(self) -> None:
        self.audience.end("closed")


class MemoryWay:
    def __init__(self, name: str, error: AppError | None = None) -> None:
        self.name = name
        self.error = error
        self.breaks_on_use = False
        self.opened_count = 0
        self.used: list[Any] = []
        self.path: MemoryPath

    async def open(self) -> MemoryPath:
        self.opened_count += 1
        if self.error is not None:
            raise self.error
        self.path = MemoryPath(self)
        return self.path


class Scene:
    def __init__(self) -> None:
        self.lan, self.ble, self.cloud = MemoryWay(LAN), MemoryWay(BLE), MemoryWay(CLOUD)
        self.device = Device("p1aB3c", "D1", [self.lan, self.ble, self.cloud], MODEL)


@pytest.fixture
def scene() -> Scene:
    return Scene()


@pytest.fixture
def moved(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Moves the loop's clock by so many seconds."""
    loop_time = asyncio.BaseEventLoop.time
    offset = [0.0]
    monkeypatch.setattr(asyncio.BaseEventLoop, "time", lambda loop: loop_time(loop) + offset[0])

    def move(seconds: float) -> None:
        offset[0] += seconds

    return move


async def test_the_first_way_that_opens_is_the_path_and_shown(scene: Scene) -> None:
    assert scene.device.path == ""

    assert await scene.device.read(["switch", 3]) == {"switch": True, 99: 1}

    assert scene.device.path == "lan"
    assert scene.lan.used == [("read", [38, 3])]
    assert scene.ble.opened_count == scene.cloud.opened_count == 0


async def test_without_lan_it_is_ble_and_without_both_the_cloud(scene: Scene) -> None:
    scene.lan.error = PathLostError("nobody answered")
    assert await scene.device.connect() == "ble"
    await scene.device.close()

    scene.ble.error = PathLostError("no radio")
    assert await scene.device.connect() == "cloud"
    assert {name: str(error) for name, error in scene.device.failures.items()} == {
        "lan": "nobody answered",
        "ble": "no radio",
    }


async def test_a_read_or_write_whose_path_is_lost_goes_on_over_the_next(scene: Scene) -> None:
    await scene.device.write({"switch": True})
    scene.lan.path.audience.end("unplugged")
    scene.lan.error = PathLostError("nobody answered")

    await scene.device.write({"switch": False})

    assert scene.device.path == "ble"
    assert scene.ble.used == [("write", {38: False})]


async def test_a_path_that_serves_and_is_lost_is_opened_again(scene: Scene) -> None:
    for _ in range(5):
        await scene.device.read(["switch"])
        scene.lan.path.audience.end("hung up after the answer")

    assert scene.lan.opened_count == 5
    assert scene.ble.opened_count == 0


async def test_whoever_opens_and_is_of_no_use_does_not_keep_the_user_from_the_device(scene: Scene) -> None:
    scene.lan.breaks_on_use = True

    await scene.device.write({"switch": True})
    await scene.device.write({"switch": False})

    assert scene.device.path == "ble"
    assert scene.lan.opened_count == 1


async def test_a_way_that_failed_rests_for_a_while(scene: Scene, moved: Any) -> None:
    scene.lan.error = PathLostError("nobody answered")
    await scene.device.connect()
    for seconds, opened_count in ((0, 1), (REST_S - 1, 1), (2, 2)):
        moved(seconds)
        await scene.device.close()
        await scene.device.connect()
        assert scene.lan.opened_count == opened_count


async def test_a_way_that_rests_is_tried_before_giving_up(scene: Scene) -> None:
    for way in (scene.lan, scene.ble, scene.cloud):
        way.error = PathLostError("no")
    with pytest.raises(NoPathError):
        await scene.device.connect()
    scene.lan.error = None

    assert await scene.device.connect() == "lan"


async def test_choosing_again_goes_back_to_the_best(scene: Scene) -> None:
    scene.lan.error = PathLostError("away")
    await scene.device.connect()
    scene.lan.error = None

    assert await scene.device.choose_again() == "lan"
    assert scene.ble.path.is_lost


async def test_when_no_way_opens_every_reason_is_told(scene: Scene) -> None:
    scene.lan.error = PathLostError("nobody answered")
    scene.ble.error = KeyRefusedError("refused: 1")
    scene.cloud.error = RefusedError(5052, "not yours")

    with pytest.raises(NoPathError, match=r"lan: nobody answered; ble: refused: 1; cloud: not yours") as raised:
        await scene.device.read()

    assert raised.value.is_refused
    assert raised.value.help == "This device is not among your devices."


async def test_calls_at_the_same_time_open_one_path(scene: Scene) -> None:
    await asyncio.gather(*(scene.device.read() for _ in range(5)))

    assert scene.lan.opened_count == 1


async def test_what_the_device_refuses_is_not_tried_elsewhere(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    async def refuse(path: MemoryPath, values: Any, seconds: float = 1) -> None:
        raise ControlError("refused")

    monkeypatch.setattr(MemoryPath, "write", refuse)

    with pytest.raises(ControlError, match="refused"):
        await scene.device.write({"switch": True})
    assert scene.device.path == "lan"


async def test_raw_data_is_sent_once(scene: Scene) -> None:
    scene.lan.breaks_on_use = True

    with pytest.raises(PathLostError):
        await scene.device.send_raw(b"x")
    assert scene.ble.opened_count == 0


@pytest.mark.parametrize("name", ["nothing", "0", 8192, "-1", "", "٣"])
async def test_a_name_that_is_no_property_reaches_nobody(scene: Scene, name: str | int) -> None:
    with pytest.raises(ControlError):
        await scene.device.read([name])
    assert scene.lan.opened_count == 0


async def test_a_watcher_is_told_of_values_raw_data_and_every_change_of_path(scene: Scene, moved: Any) -> None:
    seen: list[Seen] = []

    async def watch() -> None:
        async for one in scene.device.watch():
            seen.append(one)

    task = asyncio.create_task(watch())
    while not seen:
        await asyncio.sleep(0)
    scene.lan.path.audience.tell(Change({38: True, 99: 2}))
    scene.lan.path.audience.tell(Raw(b"\x01"))
    moved(FIRST_WAIT_S)
    scene.lan.error = PathLostError("unplugged")
    scene.lan.path.audience.end("unplugged")
    while seen[-1].path != "ble":
        await asyncio.sleep(0)
    scene.ble.path.audience.tell(Change({3: 5}))
    while len(seen) < 6:
        await asyncio.sleep(0)
    task.cancel()

    assert seen == [
        Seen("lan"),
        Seen("lan", values={"switch": True, 99: 2}),
        Seen("lan", raw=b"\x01"),
        Seen("", reason="unplugged"),
        Seen("ble"),
        Seen("ble", values={"level": 5}),
    ]


async def test_a_watcher_waits_for_the_device_to_come_back_but_not_when_it_is_refused(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 3:
            scene.cloud.error = RefusedError(5052, "not yours")

    watching = scene.device.watch()
    await anext(watching)
    for way in (scene.lan, scene.ble, scene.cloud):
        way.error = PathLostError("away")
    scene.lan.path.audience.end("away")
    await anext(watching)
    monkeypatch.setattr("quecbind.app.device.asyncio.sleep", sleep)

    with pytest.raises(NoPathError):
        await anext(watching)
    assert waits == [1.0, 2.0, 4.0]


@pytest.mark.parametrize("tells", [False, True], ids=["and tells nothing", "and tells something first"])
async def test_a_device_that_closes_right_behind_the_log_in_is_opened_after_ever_longer_waits(
    moved: Any, monkeypatch: pytest.MonkeyPatch, tells: bool
) -> None:
    waits: list[float] = []
    lan = MemoryWay(LAN)
    watching = Device("p1aB3c", "D1", [lan], MODEL).watch()

    async def sleep(seconds: float) -> None:
        waits.append(seconds)
        moved(seconds)

    monkeypatch.setattr("quecbind.app.device.asyncio.sleep", sleep)
    for _ in range(8):
        assert await anext(watching) == Seen("lan")
        if tells:
            lan.path.audience.tell(Change({3: 5}))
            await anext(watching)
        lan.path.audience.end("closed")
        assert await anext(watching) == Seen("", reason="closed")
    assert await anext(watching) == Seen("lan")

    assert waits == [1, 2, 4, 8, 16, LONGEST_WAIT_S, LONGEST_WAIT_S, LONGEST_WAIT_S]


@pytest.mark.parametrize(("tells", "lasts"), [(True, FIRST_WAIT_S), (False, REST_S)])
async def test_a_path_that_was_of_use_is_replaced_at_once(
    moved: Any, monkeypatch: pytest.MonkeyPatch, tells: bool, lasts: float
) -> None:
    waits: list[float] = []
    lan = MemoryWay(LAN)
    watching = Device("p1aB3c", "D1", [lan], MODEL).watch()

    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    monkeypatch.setattr("quecbind.app.device.asyncio.sleep", sleep)
    for lasted in (0.0, lasts, 0.0):
        await anext(watching)
        if tells:
            lan.path.audience.tell(Change({3: 5}))
            await anext(watching)
        moved(lasted)
        lan.path.audience.end("closed")
        await anext(watching)
    await anext(watching)

    assert waits == [FIRST_WAIT_S, FIRST_WAIT_S]


async def test_a_watcher_of_a_device_that_is_nowhere_is_told_at_once(scene: Scene) -> None:
    for way in (scene.lan, scene.ble, scene.cloud):
        way.error = PathLostError("away")

    with pytest.raises(NoPathError):
        await anext(scene.device.watch())


async def test_a_slow_watcher_loses_the_oldest_and_knows_how_much() -> None:
    audience = Audience()
    watch = audience.join()

    for number in range(1500):
        audience.tell(Change({1: number}))

    assert await anext(watch) == Change({1: 1500 - 1024})
    assert watch.dropped_count == 1500 - 1024


async def test_leaving_ends_the_path(scene: Scene) -> None:
    async with scene.device as device:
        await device.connect()

    assert scene.lan.path.is_lost
    assert scene.device.path == ""
