"""How much of what one device sends is served before it is another's turn."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from quecbind.center.access.connection import SLICE_SIZE, DeviceConnection
from quecbind.wire import mqtt
from tests.center.access.conftest import Site
from tests.center.access.test_server import SlowUplink

pytestmark = pytest.mark.enable_socket

PING, PONG = mqtt.Pingreq().encode(), mqtt.Pingresp().encode()
MANY = 10 * SLICE_SIZE


class Wire(asyncio.Transport):
    """Keeps what is written, and whether anything is read."""

    def __init__(self) -> None:
        super().__init__({"peername": ("10.0.0.1", 1)})
        self.said, self.is_read, self.is_over = b"", True, False

    def write(self, data: Any) -> None:
        self.said += bytes(data)

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None: ...

    def is_closing(self) -> bool:
        return self.is_over

    def close(self) -> None:
        self.is_over = True

    def abort(self) -> None:
        self.is_over = True

    def pause_reading(self) -> None:
        self.is_read = False

    def resume_reading(self) -> None:
        self.is_read = True


async def on_a_wire(site: Site, device_key: str) -> tuple[DeviceConnection, Wire]:
    connection, wire = DeviceConnection(site.access), Wire()
    connection.connection_made(wire)
    connection.data_received(site.connect(await site.enrolled(device_key), device_key).encode())
    await asyncio.sleep(0)
    assert wire.said == mqtt.Connack(0, False).encode()
    wire.said = b""
    return connection, wire


async def test_who_sends_without_end_does_not_keep_the_others_waiting(site: Site) -> None:
    await site.start()
    flooder, flooded = await on_a_wire(site, "D1")
    other, answered = await on_a_wire(site, "D2")

    flooder.data_received(PING * MANY)
    other.data_received(PING)
    await asyncio.sleep(0)

    assert (answered.said, len(flooded.said)) == (PONG, SLICE_SIZE)
    assert not flooded.is_read
    other.connection_lost(None)
    flooder.connection_lost(None)


async def test_all_of_it_is_served_in_order_and_then_more_is_read(site: Site) -> None:
    uplink = SlowUplink()
    await site.start(uplink)
    device, wire = await on_a_wire(site, "D1")
    stream = b"".join(site.report(number).encode() + PING * 500 for number in range(1, 21))

    for begin in range(0, len(stream), 7_001):
        device.data_received(stream[begin : begin + 7_001])
    while not wire.is_read:
        await asyncio.sleep(0)

    assert [content.packet_id for content in uplink.received] == list(range(1, 21))
    assert wire.said == PONG * 500 * 20
    device.connection_lost(None)


async def test_what_is_left_is_not_served_while_too_much_is_unanswered(site: Site) -> None:
    uplink = SlowUplink()
    await site.start(uplink, max_unanswered=4)
    device, wire = await on_a_wire(site, "D1")

    device.data_received(b"".join(site.report(number).encode() for number in range(1, 101)))
    for _ in range(100):
        await asyncio.sleep(0)
    taken = len(uplink.received), wire.is_read
    while len(uplink.received) < 100 or not wire.is_read:
        for answer in uplink.answers:
            if not answer.done():
                answer.set_result(None)
        await asyncio.sleep(0)

    assert taken == (4, False)
    assert [content.packet_id for content in uplink.received] == list(range(1, 101))
    device.connection_lost(None)


async def test_what_a_device_sent_before_the_server_stops_is_served(site: Site) -> None:
    uplink = SlowUplink()
    await site.start(uplink)
    device, _ = await on_a_wire(site, "D1")

    device.data_received(PING * MANY + site.report(1).encode())
    stopping = asyncio.ensure_future(site.access.stop(0))
    await asyncio.sleep(0)
    device.connection_lost(None)
    await stopping

    assert [content.packet_id for content in uplink.received] == [1]


async def test_nothing_is_served_of_a_connection_that_is_over(site: Site) -> None:
    uplink = SlowUplink()
    await site.start(uplink)
    device, wire = await on_a_wire(site, "D1")

    device.data_received(mqtt.Disconnect().encode() + PING * MANY + site.report(1).encode())
    for _ in range(50):
        await asyncio.sleep(0)

    assert (wire.said, wire.is_over, uplink.received) == (b"", True, [])
    device.connection_lost(None)
