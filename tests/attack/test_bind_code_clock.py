"""Bind code: what time does to a window, asked of the real services on a real database with a clock that is moved.

There is no sweeper to stop: a window is judged when it is read.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
import pytest_asyncio

from quecbind.center.services.errors import Rejected
from tests.center.services.world import CODE, World
from tests.tables import Row


async def outcome(world: World, who, entry) -> int:
    try:
        await world.bind(who, entry, peer=f"at {who.uid}")
    except Rejected as refused:
        return refused.code
    return 200


@pytest_asyncio.fixture
async def world(tmp_path: Path):
    opened = await World.open(tmp_path / "data")
    yield opened
    await opened.center.close()


@pytest.mark.parametrize(
    ("name", "seconds", "moved", "expected"),
    [
        ("at once", 120, 0.0, 200),
        ("1 ms before the end", 120, 119.999, 200),
        ("at the end", 120, 120.0, 5461),
        ("1 ms after the end", 120, 120.001, 5461),
        ("1 s after the end", 120, 121.0, 5461),
        ("the clock stepped a day ahead", 120, 86_400.0, 5461),
        ("the clock stepped 1 ms back before it opened", 120, -0.001, 5461),
        ("the clock stepped a day back", 120, -86_400.0, 5461),
        ("the longest span, a day before its end", 4_294_967_295, 4_294_880_895.0, 200),
        ("the longest span, at its end", 4_294_967_295, 4_294_967_295.0, 5461),
    ],
)
async def test_a_window_ends_when_it_ends(
    world: World, row: Row, name: str, seconds: int, moved: float, expected: int
) -> None:
    product, domain = await world.product(), await world.domain()
    who, entry = await world.user(domain), await world.device(product)
    await world.report(entry, seconds=seconds)

    world.clock.set(world.clock.now() + moved)

    row(f"a span of {seconds} s, {name}", expected, await outcome(world, who, entry))


async def test_of_a_thousand_users_with_the_right_code_one_wins(world: World, row: Row) -> None:
    product, domain = await world.product(bind_mode="single"), await world.domain()
    await world.user(domain)
    users, entry = await world.users(domain, 1000), await world.device(product)
    await world.report(entry, CODE)

    answers = await asyncio.gather(*(outcome(world, who, entry) for who in users))

    row("1,000 users race with the right code: winners", 1, answers.count(200))
    row("... what the others hear", {5460}, set(answers) - {200})
    row("... who owns the device", [users[answers.index(200)].uid], await world.owners(entry))
