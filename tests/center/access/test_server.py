"""Devices on real sockets: who is connected, who is not, and what happens to the others."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from quecbind.center.domain.connection import Accepted
from quecbind.center.domain.ids import ClientId
from quecbind.center.services.errors import StorageError
from quecbind.center.services.registry import DeviceEntry
from quecbind.center.tls import TlsFiles, tls_context
from quecbind.wire import commands, frame, mqtt, ttlv
from tests.center.access.conftest import Site
from tests.center.certificate import write_certificate

pytestmark = pytest.mark.enable_socket


class SlowUplink:
    """Takes frames and answers when the test says so."""

    def __init__(self) -> None:
        self.received: list[frame.Frame] = []
        self.answers: list[asyncio.Future[None]] = []

    def receive(self, entry: DeviceEntry, content: frame.Frame, now: float) -> asyncio.Future[None]:
        self.received.append(content)
        self.answers.append(asyncio.get_running_loop().create_future())
        return self.answers[-1]


class SlowGate:
    """Lets everybody in when the test says so."""

    def __init__(self) -> None:
        self.answers: list[asyncio.Future[Any]] = []

    def connect(self, *_: object) -> asyncio.Future[Any]:
        self.answers.append(asyncio.get_running_loop().create_future())
        return self.answers[-1]


def online_cids(site: Site) -> Callable[[str], bool]:
    return lambda device_key: site.access.is_online(ClientId(site.client_id(device_key)))


async def test_a_device_enrols_uses_its_secret_and_comes_back_with_it(site: Site) -> None:
    await site.start()
    device = await site.open()

    device.send(site.first_connect())
    assert await device.packet() == mqtt.Connack(0, False)
    told = await device.packet()
    ((number, secret),) = ttlv.decode(frame.decode(told.payload).payload)
    assert (number, len(secret)) == (commands.CONFIGURE_SECRET, 32)
    device.send(mqtt.Puback(told.packet_id), mqtt.Subscribe(1, [(f"q/1/d/{site.client_id('D1')}/+", 1)]))
    assert await device.packet() == mqtt.Suback(1, [1])
    entry = site.world.center.registry.entry(ClientId(site.client_id("D1")))
    assert entry is not None
    assert entry.state == "issued"
    device.send(site.report())
    assert await device.packet() == mqtt.Puback(1)
    assert entry.state == "active"
    await device.close()

    again = await site.online(secret.decode())
    again.send(mqtt.Pingreq())

    assert await again.packet() == mqtt.Pingresp()


async def test_a_wrong_product_secret_is_complained_about_and_closed_after_five_seconds(site: Site) -> None:
    await site.start()
    device = await site.open()
    connect = site.first_connect("D2")
    connect.client_id = site.client_id("D1")

    device.send(connect)
    assert await device.packet() == mqtt.Connack(0, False)
    told = await device.packet()
    assert ttlv.decode(frame.decode(told.payload).payload) == [(1, 10434)]
    site.now += 6
    site.access.tick()

    assert await device.is_closed()
    assert site.access.counters.ended_count_by_reason == {"complaint": 1}


async def test_a_wrong_signature_gets_connack_5(site: Site) -> None:
    await site.start()
    await site.enrolled()
    device = await site.open()

    device.send(site.connect("0" * 32))

    assert await device.packet() == mqtt.Connack(5, False)
    assert await device.is_closed()


async def test_a_second_log_in_takes_over_and_the_device_was_never_away(site: Site) -> None:
    await site.start()
    secret = await site.enrolled()
    first = await site.online(secret)
    entry = site.world.center.registry.entry(ClientId(site.client_id("D1")))
    assert entry is not None

    second = await site.online(secret)

    assert await first.is_closed()
    second.send(mqtt.Pingreq())
    assert await second.packet() == mqtt.Pingresp()
    assert site.access.session_count == 1
    assert site.access.counters.ended_count_by_reason == {"taken_over": 1}
    assert site.world.center.presence.online_count == 1
    assert entry.last_offline_at is None


async def test_whoever_merely_knows_the_client_id_disturbs_nobody(site: Site) -> None:
    await site.start()
    device = await site.online(await site.enrolled())

    for connect in (site.connect("0" * 32), site.first_connect(), mqtt.Connect(site.client_id("D1"), 120, True)):
        stranger = await site.open()
        stranger.send(connect)
        await stranger.packet()
        await stranger.close()

    device.send(mqtt.Pingreq())
    assert await device.packet() == mqtt.Pingresp()
    assert online_cids(site)("D1")


async def test_a_device_that_hangs_up_is_offline(site: Site) -> None:
    await site.start()
    device = await site.online(await site.enrolled())
    assert site.world.center.presence.online_count == 1

    await device.close()
    await site.until(lambda: not online_cids(site)("D1"))

    assert site.world.center.presence.online_count == 0
    assert (site.access.connection_count, site.access.session_count) == (0, 0)


async def test_services_reach_a_device_by_its_client_id(site: Site) -> None:
    await site.start()
    device = await site.online(await site.enrolled())

    assert site.access.send(ClientId(site.client_id("D1")), commands.TSL_READ, b"\x00\x01", "bus")
    assert not site.access.send(ClientId("qdnobody"), commands.TSL_READ, b"\x00\x01", "bus")

    told = await device.packet()
    assert told.topic == f"q/1/d/{site.client_id('D1')}/bus"
    assert frame.decode(told.payload).payload == b"\x00\x01"


async def test_what_is_delivered_is_followed_to_its_puback_or_to_the_end(site: Site) -> None:
    server = await site.start()
    secret = await site.enrolled()
    device = await site.online(secret)
    told: list[tuple[str, bool]] = []
    client_id = ClientId(site.client_id("D1"))

    def follow(name: str) -> Callable[[bool], None]:
        return lambda is_so: told.append((name, is_so))

    assert server.deliver(client_id, commands.TRANSPARENT_DOWN, b"1", "bus", follow("first"))
    assert server.deliver(client_id, commands.TRANSPARENT_DOWN, b"2", "bus", follow("second"))
    first = await device.packet()
    device.send(mqtt.Puback(first.packet_id))
    await site.until(lambda: told == [("first", True)])
    again = await site.online(secret)

    assert told == [("first", True), ("second", False)]
    assert not server.deliver(ClientId(site.client_id("D9")), commands.TRANSPARENT_DOWN, b"", "bus", follow("none"))
    assert await again.packet_after_ping()
    assert len(told) == 2


async def test_a_disabled_device_is_cut_off_at_once(site: Site) -> None:
    await site.start()
    device = await site.online(await site.enrolled())

    site.access.disconnect(ClientId(site.client_id("D1")), "disabled")

    assert not online_cids(site)("D1")
    assert await device.is_closed()
    site.access.disconnect(ClientId(site.client_id("D1")), "disabled")
    assert site.access.counters.ended_count_by_reason == {"disabled": 1}


async def test_reports_are_stored_before_they_are_acknowledged(site: Site) -> None:
    await site.start()
    device = await site.online(await site.enrolled())

    device.send(*[site.report(number) for number in range(1, 21)])

    assert [await device.packet() for _ in range(20)] == [mqtt.Puback(number) for number in range(1, 21)]
    view = await site.world.center.operators.device(site.product.product_key, "D1")
    assert view.status == {"1": 20}


async def test_nothing_is_acknowledged_before_storage_has_answered(site: Site) -> None:
    uplink = SlowUplink()
    await site.start(uplink)
    device = await site.online(await site.enrolled())
    device.send(site.report(1), site.report(2), mqtt.Pingreq())

    assert await device.packet() == mqtt.Pingresp()
    assert site.access.pending_count == 2
    uplink.answers[1].set_result(None)
    await asyncio.sleep(0)
    uplink.answers[0].set_result(None)

    assert [await device.packet(), await device.packet()] == [mqtt.Puback(1), mqtt.Puback(2)]
    assert site.access.pending_count == 0


async def test_what_storage_could_not_keep_is_not_acknowledged_and_the_device_comes_again(site: Site) -> None:
    uplink = SlowUplink()
    await site.start(uplink)
    device = await site.online(await site.enrolled())
    device.send(site.report())
    await site.until(lambda: bool(uplink.answers))

    uplink.answers[0].set_exception(StorageError("disk full"))

    assert await device.is_closed()
    assert site.access.counters.ended_count_by_reason == {"storage_failed": 1}


async def test_a_fault_of_ours_costs_the_device_that_met_it_its_connection_and_no_other(site: Site) -> None:
    class BrokenUplink(SlowUplink):
        def receive(self, entry: DeviceEntry, content: frame.Frame, now: float) -> asyncio.Future[None]:
            raise RuntimeError("a bug")

    await site.start(BrokenUplink())
    first = await site.online(await site.enrolled("D1"), "D1")
    second = await site.online(await site.enrolled("D2"), "D2")

    first.send(site.report(device_key="D1"))
    second.send(mqtt.Pingreq())

    assert await second.packet() == mqtt.Pingresp()
    assert await first.is_closed()
    assert site.access.counters.ended_count_by_reason == {"failed": 1}


async def test_a_device_faster_than_storage_is_held_back_and_loses_nothing(site: Site) -> None:
    uplink = SlowUplink()
    await site.start(uplink, max_unanswered=8)
    device = await site.online(await site.enrolled())
    device.send(*[site.report(number) for number in range(1, 101)])
    await site.until(lambda: len(uplink.received) == 8)
    await asyncio.sleep(0.02)
    assert len(uplink.received) == 8

    answered = 0
    while answered < 100:
        await site.until(lambda: len(uplink.answers) > answered)  # noqa: B023 - asked at once
        uplink.answers[answered].set_result(None)
        answered += 1

    assert [await device.packet() for _ in range(100)] == [mqtt.Puback(number) for number in range(1, 101)]
    assert [content.packet_id for content in uplink.received] == list(range(1, 101))


async def test_a_silent_device_is_closed_after_one_and_a_half_keep_alives(site: Site) -> None:
    await site.start()
    device = await site.online(await site.enrolled())

    for _ in range(18):
        site.now += 10
        site.access.tick()
    assert online_cids(site)("D1")
    site.now += 2
    site.access.tick()

    assert await device.is_closed()
    assert site.access.counters.ended_count_by_reason == {"silent": 1}


async def test_a_connection_that_says_nothing_is_closed_after_ten_seconds(site: Site) -> None:
    await site.start()
    device = await site.open()
    await site.until(lambda: site.access.connection_count == 1)

    site.now += 11
    site.access.tick()

    assert await device.is_closed()
    assert site.access.counters.ended_count_by_reason == {"slow_log_in": 1}


async def test_a_device_that_does_not_read_is_dropped(site: Site) -> None:
    await site.start(write_buffer_size=4096)
    device = await site.online(await site.enrolled(), receive_buffer=4096)
    device.stop_reading()

    for _ in range(30):
        site.access.send(ClientId(site.client_id("D1")), commands.TRANSPARENT_DOWN, b"x" * 60_000, "bus")

    await site.until(lambda: not online_cids(site)("D1"))
    assert site.access.counters.ended_count_by_reason == {"slow_reader": 1}


async def test_a_closed_device_that_does_not_take_its_last_bytes_is_dropped_in_time(site: Site) -> None:
    await site.start(write_buffer_size=1_000_000)
    device = await site.online(await site.enrolled(), receive_buffer=4096)
    device.stop_reading()
    for _ in range(10):
        site.access.send(ClientId(site.client_id("D1")), commands.TRANSPARENT_DOWN, b"x" * 60_000, "bus")
    site.access.disconnect(ClientId(site.client_id("D1")), "disabled")
    await asyncio.sleep(0.01)
    assert site.access.connection_count == 1

    site.now += 7
    site.access.tick()

    await site.until(lambda: site.access.connection_count == 0)


async def test_connections_are_limited_in_total(site: Site) -> None:
    await site.start(max_connections=2)
    first, second = await site.open(), await site.open()
    await site.until(lambda: site.access.connection_count == 2)

    third = await site.open()

    assert await third.is_closed()
    await first.close()
    await site.until(lambda: site.access.connection_count == 1)
    assert await site.open()
    await site.until(lambda: site.access.connection_count == 2)
    await second.close()
    assert site.access.counters.ended_count_by_reason["refused"] == 1


async def test_connections_of_one_address_are_limited(site: Site) -> None:
    await site.start(max_connections_per_address=1)
    secret = await site.enrolled()
    device = await site.online(secret)

    assert await (await site.open()).is_closed()

    device.send(mqtt.Pingreq())
    assert await device.packet() == mqtt.Pingresp()
    await device.close()
    await site.until(lambda: site.access.connection_count == 0)
    await site.online(secret)


async def test_connections_of_one_address_that_have_not_logged_in_are_limited_apart(site: Site) -> None:
    await site.start(max_pending_per_address=1)
    secrets = [await site.enrolled(key) for key in ("D1", "D2")]

    for key, secret in zip(("D1", "D2"), secrets, strict=True):
        await site.online(secret, key)
    await site.open()
    await site.until(lambda: site.access.connection_count == 3)

    assert await (await site.open()).is_closed()


async def test_trouble_of_our_own_closes_without_a_connack(site: Site) -> None:
    gate = SlowGate()
    await site.start(gate=gate)
    device = await site.open()
    device.send(site.first_connect())
    await site.until(lambda: bool(gate.answers))

    gate.answers[0].set_exception(StorageError("disk full"))

    assert await device.is_closed()
    assert site.access.counters.ended_count_by_reason == {"unavailable": 1}


async def test_a_verdict_for_a_device_that_has_gone_connects_nobody(site: Site) -> None:
    gate = SlowGate()
    await site.start(gate=gate)
    await site.enrolled()
    device = await site.open()
    device.send(site.first_connect())
    await site.until(lambda: bool(gate.answers))
    await device.close()
    await site.until(lambda: site.access.connection_count == 0)
    entry = site.world.center.registry.entry(ClientId(site.client_id("D1")))
    assert entry is not None

    gate.answers[0].set_result(Accepted(entry))
    await asyncio.sleep(0)

    assert site.access.session_count == 0
    assert site.world.center.presence.online_count == 0


async def test_stopping_answers_what_was_sent_and_takes_no_more(site: Site) -> None:
    uplink = SlowUplink()
    access = await site.start(uplink)
    device = await site.online(await site.enrolled())
    device.send(site.report())
    await site.until(lambda: bool(uplink.answers))

    stopping = asyncio.create_task(access.stop(5))
    await asyncio.sleep(0)
    with pytest.raises(ConnectionError):
        await site.open()
    uplink.answers[0].set_result(None)
    await stopping

    assert await device.packet() == mqtt.Puback(1)
    assert await device.is_closed()
    assert access.connection_count == 0
    assert site.world.center.presence.online_count == 0


async def test_stopping_does_not_wait_for_storage_for_ever(site: Site) -> None:
    uplink = SlowUplink()
    access = await site.start(uplink)
    device = await site.online(await site.enrolled())
    device.send(site.report())
    await site.until(lambda: bool(uplink.answers))

    await access.stop(0.01)

    assert await device.is_closed()


async def test_devices_connect_over_tls(site: Site, tmp_path: Path) -> None:
    certificate, key = write_certificate(tmp_path)
    await site.start(tls=tls_context(TlsFiles(certificate, key)))
    client = ssl.create_default_context(cafile=str(certificate))

    device = await site.online(await site.enrolled(), tls=client)
    device.send(mqtt.Pingreq())

    assert await device.packet() == mqtt.Pingresp()


async def test_tls_before_1_2_is_refused(site: Site, tmp_path: Path) -> None:
    certificate, key = write_certificate(tmp_path)
    context = tls_context(TlsFiles(certificate, key))

    assert context.minimum_version is ssl.TLSVersion.TLSv1_2
