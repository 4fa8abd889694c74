"""Every limit that is a setting can be seen at work."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from quecbind.center.access.server import ACCESS_LIMITS, AccessLimits, AccessServer
from quecbind.center.access.tls_door import Places
from quecbind.center.domain.control import Command, Keep
from quecbind.center.domain.limits import Limits
from quecbind.center.metrics import CenterCollector
from tests.center.services.world import World

# Spans, and what is no limit on somebody.
NO_COUNT = {"refusal_audit_s", "log_in_burst_per_address", "change_burst_per_user"}


async def test_metrics_show_what_became_of_commands(tmp_path: Path) -> None:
    world = await World.open(tmp_path / "data")
    center = world.center
    domain, product = await world.domain(), await world.product()
    owner, entry = await world.user(domain), await world.device(product)
    await world.report(entry)
    await world.bind(owner, entry)
    for keep in (None, Keep(60)):
        await center.control.batch(owner, Command("raw", raw=b"hi", keep=keep), [(entry.product_key, entry.device_key)])
    access = AccessServer(center.gate, center.uplink, center.presence, clock=world.clock, limits=AccessLimits())

    shown = {
        (sample.name, *sample.labels.values()): sample.value
        for metric in CenterCollector(center, access).collect()
        for sample in metric.samples
        if sample.name.startswith("quecbind_control")
    }

    assert shown["quecbind_control_total", "offline"] == 1
    assert shown["quecbind_control_total", "kept"] == 1
    assert (shown["quecbind_control_awaited",], shown["quecbind_control_under_way",]) == (1, 0)
    await access.stop(0)
    await center.close()


async def test_metrics_show_every_limit_from_the_start(tmp_path: Path) -> None:
    world = await World.open(tmp_path / "data")
    center = world.center
    access = AccessServer(center.gate, center.uplink, center.presence, clock=world.clock, limits=AccessLimits())
    access.counters.limited_count_by_limit["message_rate"] += 3
    places = Places(1, 1)
    for _ in range(3):
        places.begin("10.0.0.1")

    samples = [sample for metric in CenterCollector(center, access, http=places).collect() for sample in metric.samples]
    shown = {sample.labels["limit"]: sample.value for sample in samples if sample.name == "quecbind_limited_total"}

    names = {field.name for field in dataclasses.fields(Limits)} - NO_COUNT
    assert {name for name in names if not name.endswith("_window_s")} <= shown.keys()
    assert set(ACCESS_LIMITS) <= shown.keys()
    assert (shown["message_rate"], shown["http_connections"]) == (3, 2)
    assert sum(shown.values()) == 5
    assert [sample.value for sample in samples if sample.name == "quecbind_http_connections"] == [1]
    await access.stop(0)
    await center.close()
