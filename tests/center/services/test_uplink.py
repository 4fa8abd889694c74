"""What devices report: bind codes before their PUBACK, facts only when they change."""

import asyncio

import pytest

from quecbind.center.services.errors import Rejected
from quecbind.wire import commands, ttlv
from quecbind.wire.frame import Frame
from tests.center.services.world import CODE, OTHER_CODE


async def prepared(world, **product):
    made, domain = await world.product(**product), await world.domain()
    return await world.device(made), await world.user(domain)


async def code_of(bind) -> int:
    with pytest.raises(Rejected) as raised:
        await bind
    return raised.value.code


async def test_reported_code_opens_a_window(world) -> None:
    entry, ann = await prepared(world)

    await world.report(entry, seconds=60)

    view = await world.look(entry)
    assert view.bind_window_end_at == round(world.clock.now() * 1000) + 60_000
    assert (await world.bind(ann, entry)).is_new


async def test_device_that_names_no_time_gets_the_products_default(world) -> None:
    entry, _ann = await prepared(world, default_window_s=77)

    await world.report(entry, seconds=None)

    assert (await world.look(entry)).bind_window_end_at == round(world.clock.now() * 1000) + 77_000


async def test_longest_window_is_stored(world) -> None:
    entry, ann = await prepared(world)
    await world.report(entry, seconds=4_294_967_295)
    world.clock.move(4_000_000_000)

    assert (await world.bind(ann, entry)).is_new


async def test_zero_seconds_cancel(world) -> None:
    entry, ann = await prepared(world)
    await world.report(entry)

    await world.report(entry, seconds=0)

    assert await code_of(world.bind(ann, entry)) == 5460
    assert (await world.actions())[-1] == "window.closed"


async def test_later_code_replaces_the_earlier(world) -> None:
    entry, ann = await prepared(world)
    await world.report(entry, CODE)
    await world.report(entry, OTHER_CODE)

    assert await code_of(world.bind(ann, entry, CODE)) == 5462
    assert (await world.bind(ann, entry, OTHER_CODE)).is_new


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"\x00",
        ttlv.encode([(11, b"123456789012345")]),
        ttlv.encode([(11, b"12345678901234567")]),
        ttlv.encode([(11, b"123456789012345a")]),
        ttlv.encode([(11, b"123456789012345\xff")]),
        ttlv.encode([(11, 5)]),
        ttlv.encode([(15, b"secret")]),
        ttlv.encode([(11, CODE.encode()), (100, -1)]),
        ttlv.encode([(11, CODE.encode()), (100, 2**32)]),
        ttlv.encode([(11, CODE.encode()), (100, True)]),
        ttlv.encode([(11, CODE.encode()), (100, b"60")]),
        ttlv.encode([(11, CODE.encode()), (15, b"x" * 65)]),
    ],
)
async def test_malformed_report_is_counted_and_changes_nothing(world, payload) -> None:
    entry, ann = await prepared(world)
    await world.report(entry)

    assert not await world.frame(entry, commands.BIND_CODE, payload)

    assert world.center.events.count_by_name["window.malformed"] == 1
    assert (await world.bind(ann, entry)).is_new


async def test_repeated_frame_does_not_reopen_a_window_that_was_used(world) -> None:
    entry, ann = await prepared(world)
    frame = Frame(7, commands.BIND_CODE, ttlv.encode([(11, CODE.encode())]))
    await world.center.uplink.receive(entry, frame, world.clock.now())
    await world.bind(ann, entry)

    # The PUBACK got lost: the device sends the same packet again.
    await world.center.uplink.receive(entry, frame, world.clock.now())

    assert (await world.look(entry)).bind_window_end_at is None


async def test_a_device_that_numbers_nothing_may_set_the_same_code_again(world) -> None:
    entry, ann = await prepared(world)
    frame = Frame(0, commands.BIND_CODE, ttlv.encode([(11, CODE.encode())]))
    await world.center.uplink.receive(entry, frame, world.clock.now())
    await world.bind(ann, entry)

    await world.center.uplink.receive(entry, frame, world.clock.now())

    assert (await world.look(entry)).bind_window_end_at is not None


@pytest.mark.parametrize("mode", ["multi", "alternate"])
async def test_a_used_window_told_again_on_the_next_connection_stays_shut(world, mode) -> None:
    product, domain = await world.product(bind_mode=mode), await world.domain()
    ann, bob = await world.user(domain), await world.user(domain, "bob@example.com")
    enrolled = await world.enrol(product)
    await world.report(enrolled.entry, seconds=60)
    await world.bind(ann, enrolled.entry)

    # The connection was lost before the PUBACK: the device tells what is left of the window.
    world.clock.move(3)
    entry = (await world.connect(product, enrolled.secret.reveal())).entry
    await world.report(entry, seconds=57)

    assert await code_of(world.bind(bob, entry)) == 5460
    assert (await world.actions()).count("window.opened") == 1
    await world.report(entry, seconds=57)  # on the connection where it was told already, it is set anew
    assert (await world.bind(bob, entry)).is_new


@pytest.mark.parametrize("seconds", [60, None])
async def test_the_same_code_set_anew_on_the_next_connection_opens_a_window(world, seconds) -> None:
    product, domain = await world.product(bind_mode="multi", default_window_s=60), await world.domain()
    ann, bob = await world.user(domain), await world.user(domain, "bob@example.com")
    enrolled = await world.enrol(product)
    await world.report(enrolled.entry, seconds=60)
    await world.bind(ann, enrolled.entry)
    entry = (await world.connect(product, enrolled.secret.reveal())).entry

    await world.report(entry, seconds=seconds)

    assert (await world.bind(bob, entry)).is_new


async def test_a_reset_forgets_the_window_that_was_used(world) -> None:
    product, domain = await world.product(re_enrol="open"), await world.domain()
    ann = await world.user(domain)
    entry = await world.device(product)
    await world.report(entry, seconds=60)
    await world.bind(ann, entry)

    again = await world.device(product)
    await world.report(again, seconds=30)

    assert (await world.bind(ann, again)).is_new


async def test_same_code_in_a_new_frame_opens_a_window_again(world) -> None:
    entry, ann = await prepared(world)
    await world.report(entry)
    await world.bind(ann, entry)
    await world.center.ownership.unbind(ann, entry.product_key, entry.device_key)

    await world.report(entry)

    assert (await world.bind(ann, entry)).is_new


async def test_repeat_while_the_first_is_under_way_waits_for_the_same_commit(world) -> None:
    entry, _ann = await prepared(world)
    frame = Frame(7, commands.BIND_CODE, ttlv.encode([(11, CODE.encode())]))

    first = world.center.uplink.receive(entry, frame, world.clock.now())
    second = world.center.uplink.receive(entry, frame, world.clock.now())

    assert first is second
    await first


async def test_code_of_an_earlier_life_is_dropped(world) -> None:
    entry, ann = await prepared(world, re_enrol="open")
    product = world.center.registry.product(entry.product_key)
    frame = Frame(7, commands.BIND_CODE, ttlv.encode([(11, CODE.encode())]))

    class Spec:
        product_key, product_secret = product.product_key, product.product_secret.reveal()

    reset = asyncio.ensure_future(world.enrol(Spec))
    await asyncio.sleep(0)
    await asyncio.gather(reset, world.center.uplink.receive(entry, frame, world.clock.now()))

    assert await code_of(world.bind(ann, entry)) == 5460


async def test_bind_secret_is_taken(world) -> None:
    entry, _ann = await prepared(world)

    await world.report(entry, secret=b"AAAABBBBCCCCDDDD")

    assert (await world.look(entry)).bind_window_end_at is not None


async def test_status_and_information_are_the_last_known(world) -> None:
    entry, _ann = await prepared(world)
    await world.frame(entry, commands.STATUS_REPORT, [(1, 100), (2, 3.3), (3, -67), (4, 1048576)])
    await world.frame(entry, commands.INFO_REPORT, [(1, b"POSIX"), (11, b"2.9.0"), (3, b"")])
    await world.frame(entry, commands.STATUS_REPORT, [(1, 99)])

    view = await world.look(entry)

    assert view.status == {"1": 99, "2": 3.3, "3": -67, "4": 1048576}
    assert view.info == {"1": "POSIX", "11": "2.9.0", "3": ""}


async def test_report_that_says_nothing_new_costs_no_write(world) -> None:
    entry, _ann = await prepared(world)
    fields = [(1, 100), (2, 3.3)]

    assert [await world.frame(entry, commands.STATUS_REPORT, fields) for _ in range(3)] == [True, False, False]
    assert await world.frame(entry, commands.STATUS_REPORT, [(1, 99)])


async def test_device_arithmetic_is_rounded_to_what_was_meant(world) -> None:
    from decimal import Decimal

    entry, _ann = await prepared(world)
    await world.frame(
        entry, commands.STATUS_REPORT, [(2, Decimal("39.908700000000008")), (5, Decimal("1.004999999999999"))]
    )

    assert (await world.look(entry)).status == {"2": 39.9087, "5": 1.005}


async def test_report_keeps_only_what_it_can_show(world) -> None:
    entry, _ann = await prepared(world)
    await world.frame(
        entry, commands.INFO_REPORT, [(1, b"\xff\xfe" + b"x" * 999), (64, 1), (2, [(1, 1)]), (8191, b"y")]
    )

    info = (await world.look(entry)).info

    assert list(info) == ["1"]
    assert len(info["1"]) == 256


async def test_malformed_report_of_facts_is_counted(world) -> None:
    entry, _ann = await prepared(world)

    assert not await world.frame(entry, commands.STATUS_REPORT, b"\x00")
    assert world.center.events.count_by_name["report.malformed"] == 1


async def test_other_commands_pass_by(world) -> None:
    entry, _ann = await prepared(world)

    assert not await world.frame(entry, commands.TSL_REPORT, [(1, 1)])
