"""The local network in memory behaves as the real one does where Apps can tell."""

import pytest

from quecbind.app.errors import PairingError
from quecbind.testing.clock import FakeClock
from quecbind.testing.network import MemoryDevice, MemoryNetwork


async def test_a_search_lasts_as_long_as_it_was_asked_to() -> None:
    clock = FakeClock()
    started = clock.monotonic()

    found = await MemoryNetwork(clock, MemoryDevice("p11abc", "D1")).discover(10)

    assert [device.device_key for device in found] == ["D1"]
    assert clock.monotonic() - started == 10


async def test_a_search_ends_when_it_has_found_enough() -> None:
    clock = FakeClock()
    network = MemoryNetwork(clock, MemoryDevice("p11abc", "D1"), MemoryDevice("p11abc", "D2"))

    found = await network.discover(10, enough=lambda device: device.device_key == "D1")

    assert len(found) == 1
    assert clock.monotonic() == FakeClock().monotonic()


async def test_pairing_with_a_device_that_has_gone_takes_its_time_and_fails() -> None:
    clock = FakeClock()
    lamp = MemoryDevice("p11abc", "D1", bind_code="0" * 16)
    network = MemoryNetwork(clock, lamp)
    found = await network.discover(1)
    lamp.is_on = False
    started = clock.monotonic()

    with pytest.raises(PairingError, match="in time"):
        await network.pair(found[0], 5)

    assert clock.monotonic() - started == 5


async def test_a_switched_off_device_does_not_answer() -> None:
    assert await MemoryNetwork(FakeClock(), MemoryDevice("p11abc", "D1", is_on=False)).discover(3) == []
