"""Calls that may change something: each leaves an entry for ever, so one user makes so many and no more."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio

from quecbind.center.domain.limits import Limits
from quecbind.center.http import app
from tests.center.http.callers import ENDUSER, Http, Network
from tests.center.http.conftest import Prepared, signed_in
from tests.center.services.world import World

BURST, TOO_MANY, NOT_BOUND = 3, 8429, 5052


@pytest_asyncio.fixture
async def http(prepared: Prepared, tmp_path: Path) -> AsyncIterator[Http]:
    limits = Limits(change_rate_per_user=1, change_burst_per_user=BURST)
    world = await World.open(shutil.copytree(prepared.data, tmp_path / "data"), limits)
    network = Network(app.build(world.center))
    users = [signed_in(user, network) for user in prepared.users]
    yield Http(world, network, prepared.product, prepared.domain, *users, network.client())
    await network.close()
    await world.center.close()


async def spend(http: Http) -> list[int]:
    """What the calls of one user get, the last of them one too many."""
    calls = [http.alice.call("DELETE", "unbundlingDeviceDk", pk="p11abc", dk=f"D{number}") for number in range(BURST)]
    return [(await call).code for call in calls]


async def test_who_changes_too_much_too_fast_is_refused_and_nothing_is_changed(http: Http) -> None:
    entry = await http.world.device(http.product)
    await http.world.report(entry)
    assert await spend(http) == [NOT_BOUND] * BURST
    before = await http.world.actions()

    keys = {"productKey": entry.product_key, "deviceKey": entry.device_key, "bindingCode": "0123456789ABCDEF"}
    refused = await http.alice.call("POST", "v2/deviceBindingByWifi", **keys)

    assert (refused.code, refused.ext_msg) == (TOO_MANY, {"retryAfter": 1})
    assert refused.msg == "too many changes at once, wait a while"
    assert await http.world.actions() == before


async def test_it_goes_on_at_the_rate(http: Http) -> None:
    await spend(http)
    http.world.clock.move(1)

    assert await spend(http) == [NOT_BOUND] + [TOO_MANY] * (BURST - 1)


async def test_others_go_on_and_so_does_what_only_reads_what_is_limited_elsewhere_and_the_end(http: Http) -> None:
    await spend(http)

    sent = await http.alice.call("POST", "batchControlDevice", "json", data="aGk=", type=1, dataFormat=1, deviceList=[])
    read = await http.alice.call("GET", "userDeviceList")
    other = await http.bob.call("DELETE", "unbundlingDeviceDk", pk="p11abc", dk="D")
    out = await http.alice.call("DELETE", ENDUSER + "userLogout")

    assert sent.code not in {TOO_MANY, 200}
    assert [read.code, other.code, out.code] == [200, NOT_BOUND, 200]
