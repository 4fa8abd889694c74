"""A device that sends too much: acknowledged, dropped, counted, told once a minute, and served in everything else."""

from __future__ import annotations

from typing import Any

import pytest

from quecbind.center.domain.ids import ClientId
from quecbind.center.domain.rates import AUDITED_BURST, AUDITED_RATE
from quecbind.wire import commands, frame, mqtt, ttlv
from tests.center.access.conftest import Device, Site

pytestmark = pytest.mark.enable_socket


async def packets(device: Device, count: int) -> tuple[list[int], list[int]]:
    """The packet ids of the PUBACKs and the codes of the exceptions among the next `count` packets."""
    acknowledged, codes = [], []
    for _ in range(count):
        packet: Any = await device.packet()
        if isinstance(packet, mqtt.Puback):
            acknowledged.append(packet.packet_id)
        else:
            assert packet.topic.endswith("/sys")
            content = frame.decode(packet.payload)
            assert content.command == commands.EXCEPTION_DOWN
            codes += [value for _, value in ttlv.decode(content.payload)]
    return acknowledged, codes


async def status(site: Site) -> dict[str, object]:
    await site.world.center.storage.transact(lambda _: None)
    return (await site.world.center.operators.device(site.product.product_key, "D1")).status


async def test_what_is_over_the_rate_is_acknowledged_and_dropped_and_the_device_is_told_once(site: Site) -> None:
    await site.start(message_rate=1, message_burst=3)
    device = await site.online(await site.enrolled())

    device.send(*[site.report(number) for number in range(1, 8)])

    assert await packets(device, 8) == ([1, 2, 3, 4, 5, 6, 7], [10428])
    assert await status(site) == {"1": 3}
    assert site.access.counters.limited_count_by_limit == {"message_rate": 4}
    assert site.access.is_online(ClientId(site.client_id("D1")))


async def test_it_is_told_again_after_a_minute(site: Site) -> None:
    await site.start(message_rate=1, message_burst=1)
    device = await site.online(await site.enrolled())
    device.send(site.report(1), site.report(2))
    assert (await packets(device, 3))[1] == [10428]

    site.world.clock.move(60)
    device.send(site.report(3), site.report(4), site.report(5))

    assert await packets(device, 4) == ([3, 4, 5], [10428])
    assert await status(site) == {"1": 3}


async def test_connecting_again_starts_nothing_over(site: Site) -> None:
    await site.start(message_rate=1, message_burst=2)
    secret = await site.enrolled()
    device = await site.online(secret)
    device.send(site.report(1), site.report(2))
    await packets(device, 2)

    again = await site.online(secret)
    again.send(site.report(3))

    assert await packets(again, 2) == ([3], [10428])
    assert await status(site) == {"1": 2}


async def test_a_device_that_is_slow_again_is_heard_again(site: Site) -> None:
    await site.start(message_rate=1, message_burst=1)
    device = await site.online(await site.enrolled())
    device.send(site.report(1), site.report(2))
    await packets(device, 3)

    site.world.clock.move(1)
    device.send(site.report(3))

    assert await packets(device, 1) == ([3], [])
    assert await status(site) == {"1": 3}


async def test_bind_codes_have_a_rate_of_their_own_for_each_leaves_an_audit_entry_that_stays(site: Site) -> None:
    await site.start(message_rate=10**6, message_burst=10**6)
    device = await site.online(await site.enrolled())
    count = site.world.center.operators.audit
    before = (await count(1, 1)).total_count

    def told(number: int) -> mqtt.Publish:
        fields = [(commands.BIND_CODE_CODE, b"%016X" % number), (commands.BIND_CODE_SECONDS_LEFT, 60)]
        content = frame.encode(number, commands.BIND_CODE, ttlv.encode(fields))
        return mqtt.Publish(f"q/2/d/{site.client_id('D1')}/sys", content, 1, False, False, number)

    device.send(*map(told, range(1, AUDITED_BURST + 4)))
    assert await packets(device, AUDITED_BURST + 4) == (list(range(1, AUDITED_BURST + 4)), [10428])
    site.world.clock.move(1 / AUDITED_RATE)
    device.send(told(9_000), told(9_001), site.report(9_002))

    assert await packets(device, 3) == ([9_000, 9_001, 9_002], [])
    assert (await count(1, 1)).total_count - before == AUDITED_BURST + 1
    assert await status(site) == {"1": 9_002}


async def test_a_day_has_a_limit_of_its_own(site: Site) -> None:
    await site.start(max_messages_per_day=2)
    device = await site.online(await site.enrolled())

    device.send(*[site.report(number) for number in range(1, 5)])

    assert await packets(device, 5) == ([1, 2, 3, 4], [10429])
    assert site.access.counters.limited_count_by_limit == {"max_messages_per_day": 2}
    site.world.clock.move(86_400)
    device.send(site.report(5))
    assert await packets(device, 1) == ([5], [])


async def test_one_devices_flood_is_not_anothers_limit(site: Site) -> None:
    await site.start(message_rate=1, message_burst=1)
    loud, calm = await site.online(await site.enrolled("D1"), "D1"), await site.online(await site.enrolled("D2"), "D2")
    loud.send(*[site.report(number) for number in range(1, 20)])
    await packets(loud, 20)

    calm.send(site.report(1, "D2"))

    assert await packets(calm, 1) == ([1], [])


async def test_what_is_sent_to_a_device_over_its_limit_goes_out(site: Site) -> None:
    await site.start(message_rate=1, message_burst=1)
    device = await site.online(await site.enrolled())
    device.send(site.report(1), site.report(2))
    await packets(device, 3)

    assert site.access.send(ClientId(site.client_id("D1")), commands.CONFIGURE, ttlv.encode([(9, True)]))

    packet = await device.packet()
    assert frame.decode(packet.payload).command == commands.CONFIGURE


@pytest.mark.parametrize("limit", [{"message_rate": 1, "message_burst": 1}, {"max_messages_per_day": 1}])
async def test_a_device_that_sends_too_much_can_still_be_bound(site: Site, limit: dict[str, int]) -> None:
    await site.start(**limit)
    device = await site.online(await site.enrolled())
    device.send(site.report(1), site.report(2))
    await packets(device, 3)

    code = frame.encode(3, commands.BIND_CODE, ttlv.encode([(11, b"0123456789ABCDEF")]))
    device.send(mqtt.Publish(f"q/2/d/{site.client_id('D1')}/sys", code, 1, False, False, 3))

    assert await packets(device, 1) == ([3], [])
    shown = await site.world.center.operators.device(site.product.product_key, "D1")
    assert shown.bind_window_end_at is not None


async def test_the_first_use_of_a_secret_counts_even_when_the_message_does_not(site: Site) -> None:
    await site.start(message_rate=1, message_burst=1)
    device = await site.open()
    device.send(site.first_connect())
    assert await device.packet() == mqtt.Connack(0, False)
    await device.packet()
    entry = site.world.center.registry.entry(site.client_id("D1"))
    assert entry is not None
    assert site.access.take_message(entry, commands.STATUS_REPORT) is None

    device.send(site.report(1))

    assert await packets(device, 2) == ([1], [10428])
    assert entry.state == "active"
