"""Sessions over real sockets: with a device written by hand from the document, and with quecIot's own LAN side."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from quecbind.app import link as links
from quecbind.app.errors import ControlError, KeyRefusedError, PathLostError
from quecbind.app.lan.link import open_link
from quecbind.app.link import Link
from quecbind.app.path import LAN, Change, Raw
from quecbind.wire import ttlv
from tests.app.device_by_hand import RANDOM, Device
from tests.quecIot.app_by_hand import build, cut
from tests.quecIot.test_lan import Device as QuecIot
from tests.waiting import until

pytestmark = pytest.mark.enable_socket

KEY = bytes(range(16))
HOST = "127.0.0.1"


async def linked(port: int, key: bytes = KEY, **options: Any) -> Link:
    return await open_link(HOST, port, key, first_ask_after_s=0, **options)


@pytest.fixture
def quec() -> Iterator[QuecIot]:
    device = QuecIot()
    yield device
    device.server.stop()


class TestWithADeviceFromTheDocument:
    @pytest.mark.parametrize("taken", [0, 2])
    async def test_it_is_read_written_and_sent_raw_data(self, taken: int) -> None:
        with Device(KEY, taken=taken) as device:
            link = await linked(device.port)
            values = await link.read([38, 3])
            await link.write({50: 2, 7: [1, 300], 6: {1: True, 2: "ü"}})
            await link.send_raw(b"\xaa\x55")
            await link.close()
            assert until(lambda: 0x0023 in dict(device.heard)), "nothing acknowledges raw data"

        assert link.name == LAN
        assert values == {38: True, 3: 36.6}
        heard = dict(device.heard)
        assert heard[0x7039] == bytes.fromhex("000a001e00120001")
        assert heard[0x0011] == bytes.fromhex("00260003")
        assert heard[0x0013] == bytes.fromhex(
            "01920002003c00020002000100020101 2c00340002 0009 00130002c3bc".replace(" ", "")
        )
        assert heard[0x0023] == b"\xaa\x55"

    @pytest.mark.parametrize("empty_is_a_block", [False, True])
    @pytest.mark.parametrize("reads_are_answered", [False, True])
    @pytest.mark.parametrize("pushes_under_0", [False, True])
    async def test_the_ways_to_answer_a_read_are_alike(
        self, empty_is_a_block: bool, reads_are_answered: bool, pushes_under_0: bool
    ) -> None:
        with Device(
            KEY,
            empty_is_a_block=empty_is_a_block,
            reads_are_answered=reads_are_answered,
            pushes_under_0=pushes_under_0,
        ) as device:
            link = await linked(device.port)
            assert await link.read([38]) == {38: True}
            await link.close()

    async def test_a_device_that_hangs_up_after_a_read_was_read(self) -> None:
        with Device(KEY, hangs_up_after_read=True) as device:
            link = await linked(device.port)

            assert await link.read([38]) == {38: True}
            # Which of the two it is depends on whether the device had read everything when it hung up.
            with pytest.raises(PathLostError, match="closed|reset"):
                await link.read([38, 99], seconds=5)
            assert link.is_lost

    async def test_all_properties_are_those_that_come_until_it_is_quiet(self, monkeypatch: pytest.MonkeyPatch) -> None:
        assert links.QUIET_S > 5, "devices take up to 5 s between the parts of a large set"
        monkeypatch.setattr(links, "QUIET_S", 0.2)
        with Device(KEY) as device:
            link = await linked(device.port)
            assert await link.read() == {38: True, 3: 36.6}
            await link.close()

    async def test_what_the_device_does_not_tell_in_time_is_left_out(self) -> None:
        with Device(KEY) as device:
            link = await linked(device.port)
            assert await link.read([38, 99], seconds=0.3) == {38: True}
            with pytest.raises(ControlError, match="in time"):
                await link.read([99], seconds=0.2)
            assert not link.is_lost
            await link.close()

    async def test_a_refused_write_is_an_error_with_its_result(self) -> None:
        with Device(KEY, write_result=5) as device:
            link = await linked(device.port)
            with pytest.raises(ControlError, match="refused the write: 5"):
                await link.write({38: False})
            await link.close()

    async def test_a_wrong_key_is_told_apart_from_a_device_that_is_not_there(self) -> None:
        with Device(b"k" * 16) as device, pytest.raises(KeyRefusedError, match="-1"):
            await linked(device.port)

    async def test_an_impostor_that_takes_any_log_in_shows_no_key_and_learns_nothing(self) -> None:
        with Device(KEY, takes_any_token=True) as impostor:
            link = await linked(impostor.port)
            with pytest.raises(PathLostError, match="has shown no key"):
                await link.read([38], seconds=0.2)
            with pytest.raises(PathLostError, match="has shown no key"):
                await link.write({38: True}, seconds=0.2)
            await link.close()

        sealed = dict(impostor.heard)
        assert len(sealed[0x0011]) == len(sealed[0x0013]) == 16

    async def test_a_device_that_says_nothing_costs_no_more_than_the_time_limit(self) -> None:
        with Device(KEY, says_nothing=True) as device, pytest.raises(PathLostError, match="in time"):
            await linked(device.port, seconds=0.3)

    async def test_a_device_that_pings_is_answered(self) -> None:
        with Device(KEY, pings_first=True) as device:
            link = await linked(device.port)
            await link.read([38])
            await link.close()

        assert (0x7038, b"") in device.heard

    async def test_everybody_who_watches_is_told_what_is_reported(self) -> None:
        with Device(KEY) as device:
            link = await linked(device.port)
            watches = [link.watch(), link.watch()]
            await link.read([38])
            device.push(0x0014, bytes.fromhex("001a09016e"))
            device.push(0x0024, b"\x01")

            for watch in watches:
                told = [await anext(watch) for _ in range(3)]
                assert told == [Change({38: True}), Change({3: 36.6}), Raw(b"\x01")]
            device.hang_up()
            with pytest.raises(PathLostError, match="closed"):
                await anext(watches[0])
            await link.close()

    async def test_a_write_that_is_given_up_leaves_the_link_as_it_was(self) -> None:
        with Device(KEY) as device:
            link = await linked(device.port)
            device.says_nothing = True
            write = asyncio.create_task(link.write({38: True}))
            await asyncio.sleep(0)
            write.cancel()
            with pytest.raises(asyncio.CancelledError):
                await write
            with pytest.raises(ControlError, match="may have done it"):
                await link.write({38: True}, seconds=0.2)
            device.says_nothing = False
            assert await link.read([38]) == {38: True}
            await link.close()

    async def test_closing_ends_the_connection_and_every_wait(self) -> None:
        with Device(KEY) as device:
            link = await linked(device.port)
            device.says_nothing = True
            waits = [asyncio.create_task(link.read([38])), asyncio.create_task(link.write({38: True}))]
            await asyncio.sleep(0)
            await link.close()
            await link.close()

            for wait in waits:
                with pytest.raises(PathLostError):
                    await wait
            with pytest.raises(PathLostError, match="closed here"):
                await link.send_raw(b"x")

    async def test_a_log_in_that_is_cancelled_leaves_no_connection(self) -> None:
        with Device(KEY, says_nothing=True) as device:
            opening = asyncio.create_task(linked(device.port))
            while not device._connections:
                await asyncio.sleep(0.01)
            opening.cancel()
            with pytest.raises(asyncio.CancelledError):
                await opening

            await asyncio.to_thread(device._thread.join, 0)
            assert not [task for task in asyncio.all_tasks() if "over lan" in task.get_name()]


class TestWithQuecIot:
    async def test_it_is_read_written_and_watched(self, quec: QuecIot) -> None:
        link = await linked(quec.server.tcp_port)
        watch = link.watch()
        await link.write({38: True, 6: {1: 2}})
        reading = asyncio.create_task(link.read([38, 3]))
        while len(quec.asked) < 2:
            await asyncio.sleep(0.01)
        packet_id, ids = quec.asked[1][2]
        quec.server.answer_read(packet_id, ttlv.encode([(38, True), (3, 36.6)]))
        quec.server.report(0x0024, b"\xaa\xaa")

        assert quec.asked[0][2] == {38: True, 6: {1: 2}}
        assert ids == [38, 3]
        assert await reading == {38: True, 3: 36.6}
        assert [await anext(watch), await anext(watch)] == [Change({38: True, 3: 36.6}), Raw(b"\xaa\xaa")]
        await link.close()

    async def test_a_large_report_comes_in_parts(self, quec: QuecIot) -> None:
        link = await linked(quec.server.tcp_port)
        values = {number: f"property {number}" for number in range(1, 200)}
        reading = asyncio.create_task(link.read(list(values)))
        while not quec.asked:
            await asyncio.sleep(0.01)

        quec.server.answer_read(quec.asked[0][2][0], ttlv.encode(list(values.items())))

        assert await reading == values
        await link.close()

    async def test_sixteen_apps_hold_sessions_and_each_gets_its_own_answers(self, quec: QuecIot) -> None:
        links = [await linked(quec.server.tcp_port) for _ in range(16)]
        watches = [link.watch() for link in links]
        readings = []
        for number, link in enumerate(links, 1):
            readings.append(asyncio.create_task(link.read([number])))
            while len(quec.asked) < number:
                await asyncio.sleep(0.005)
        # Every App counts its packet ids alike, and every answer goes to whoever asked and to nobody else.
        for asked in quec.asked:
            packet_id, (number,) = asked[2]
            quec.server.answer_read(packet_id, ttlv.encode([(number, number)]))
        assert [await reading for reading in readings] == [{number: number} for number in range(1, 17)]
        quec.server.report(0x0014, ttlv.encode([(50, True)]))
        told = [[await anext(watch), await anext(watch)] for watch in watches]
        assert told == [[Change({number: number}), Change({50: True})] for number in range(1, 17)]
        await asyncio.gather(*(link.write({99: True}) for link in links))
        assert sum(asked[2] == {99: True} for asked in quec.asked) == 16
        for link in links:
            await link.close()

    async def test_another_key_is_refused_and_so_is_the_right_one_without_an_owner(self, quec: QuecIot) -> None:
        with pytest.raises(KeyRefusedError):
            await linked(quec.server.tcp_port, b"x" * 16)
        quec.key = None
        with pytest.raises(KeyRefusedError):
            await linked(quec.server.tcp_port)

    async def test_a_session_is_cut_when_the_key_changes(self, quec: QuecIot) -> None:
        link = await linked(quec.server.tcp_port)
        quec.key = b"n" * 16

        with pytest.raises(PathLostError):
            await link.write({38: True})
        assert quec.asked == []


async def test_nobody_there_is_a_path_lost() -> None:
    with socket.socket() as free:
        free.bind((HOST, 0))
        port = free.getsockname()[1]

    with pytest.raises(PathLostError, match="cannot be reached"):
        await linked(port)


async def test_a_key_that_cannot_be_one_is_refused() -> None:
    with Device(KEY) as device, pytest.raises(ControlError, match="16 bytes"):
        await linked(device.port, b"short")


class StubbornLine:
    """Takes nothing; or breaks, when told to."""

    def __init__(self) -> None:
        self.incoming: asyncio.Queue[bytes | OSError] = asyncio.Queue()
        self.is_closed = False

    async def receive(self) -> bytes:
        data = await self.incoming.get()
        if isinstance(data, OSError):
            raise data
        return data

    async def send(self, data: bytes) -> None:
        await asyncio.Event().wait()

    async def close(self) -> None:
        self.is_closed = True


async def test_a_line_that_takes_no_data_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(links, "_SEND_S", 0.1)
    line = StubbornLine()

    with pytest.raises(PathLostError, match="takes no data"):
        await Link.open(line, KEY, LAN)
    assert line.is_closed


@pytest.mark.parametrize("error", [OSError(5, "radio"), TimeoutError(110, "radio")])
async def test_a_line_that_breaks_ends_the_link(error: OSError) -> None:
    line = StubbornLine()
    line.incoming.put_nowait(error)

    with pytest.raises(PathLostError, match="radio"):
        await Link.open(line, KEY, LAN)
    assert line.is_closed


class SlowToLetGo(StubbornLine):
    """Logs a session in, and takes its time when what it does is given up."""

    def __init__(self) -> None:
        super().__init__()
        self.is_letting_go, self.may_let_go = asyncio.Event(), asyncio.Event()

    async def send(self, data: bytes) -> None:
        for packet_id, command, _ in cut(data)[0]:
            if command == 0x7032:
                self.incoming.put_nowait(build(packet_id, 0x7033, bytes.fromhex("000b0010") + RANDOM))
            elif command == 0x7034:
                self.incoming.put_nowait(build(packet_id, 0x7035, bytes.fromhex("001a0000")))
            elif command == 0x7039:
                try:
                    await asyncio.Event().wait()
                except asyncio.CancelledError:
                    self.is_letting_go.set()
                    await self.may_let_go.wait()
                    raise


async def test_who_asks_while_the_link_is_ending_hears_that_it_is_lost() -> None:
    line = SlowToLetGo()
    link = await Link.open(line, KEY, LAN, first_ask_after_s=0)
    line.incoming.put_nowait(b"")  # the device has closed the connection
    await line.is_letting_go.wait()

    asking = asyncio.create_task(link.write({38: True}))
    await asyncio.sleep(0)
    line.may_let_go.set()

    with pytest.raises(PathLostError, match="closed"):
        await asking
