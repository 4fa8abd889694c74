"""Limits at the gate and at binding: what is too much is refused, and whoever has a right never pays for others."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from quecbind.center.domain.connection import Accepted, Complaint, Denied, Unavailable
from quecbind.center.domain.limits import Limits
from quecbind.center.services.errors import Rejected
from quecbind.wire import signing
from tests.center.services.world import OPERATOR, OTHER_CODE, World

LIMITS = Limits(
    log_in_rate_per_address=1,
    log_in_burst_per_address=40,
    max_failed_log_ins_per_device=3,
    max_failed_log_ins_per_address=6,
    max_enrolments_per_product=4,
    max_enrolments_per_address=3,
    max_guesses_per_user=4,
    max_guesses_per_address=5,
    max_guesses_per_device=5,
    max_guesses_per_product=5,
    max_sign_ins_per_account=6,
    max_sign_ins_per_address=6,
)
HOME, ELSEWHERE = "10.1.1.1", "6.6.6.6"


@pytest_asyncio.fixture
async def strict(tmp_path: Path) -> AsyncIterator[World]:
    world = await World.open(tmp_path / "data", LIMITS)
    yield world
    await world.center.close()


async def log_in(
    world: World, product: Any, password: str, device_key: str = "D1", peer: str = HOME, **more: Any
) -> Any:
    verdict = world.center.gate.connect(
        f"qd{product.product_key}{device_key}", more.get("user_name"), password.encode(), peer
    )
    return await verdict if isinstance(verdict, asyncio.Future) else verdict


async def connect(world: World, product: Any, secret: str, device_key: str = "D1", peer: str = HOME) -> Any:
    password = signing.login(product.product_secret, secret, world.random())
    return await log_in(world, product, password, device_key, peer)


async def enrol(world: World, product: Any, device_key: str, peer: str = HOME, user_name: bytes | None = None) -> Any:
    password = signing.first_login(product.product_key, product.product_secret, device_key, world.random())
    return await log_in(world, product, password, device_key, peer, user_name=user_name)


async def code_of(awaitable: Any) -> int:
    with pytest.raises(Rejected) as raised:
        await awaitable
    return raised.value.code


# --- log-ins


async def test_failures_with_a_client_id_get_no_more_answers_and_the_device_is_let_in(strict: World) -> None:
    product = await strict.product()
    secret = (await strict.device(product)).device_secret

    tries = [await connect(strict, product, "x" * 32, peer=ELSEWHERE) for _ in range(5)]

    assert tries == [Denied(), Denied(), Denied(), Unavailable(), Unavailable()]
    assert strict.center.events.count_by_name["device.denied"] == 3
    assert isinstance(await connect(strict, product, secret), Accepted)
    # Also from where the failures come from, as behind one router.
    assert isinstance(await connect(strict, product, secret, peer=ELSEWHERE), Accepted)
    strict.clock.move(600)
    assert await connect(strict, product, "x" * 32, peer=ELSEWHERE) == Denied()


async def test_failures_of_an_address_get_no_more_answers_and_its_devices_are_let_in(strict: World) -> None:
    product = await strict.product()
    secret = (await strict.device(product)).device_secret

    tries = [await connect(strict, product, "x" * 32, f"N{number}", ELSEWHERE) for number in range(8)]

    assert tries == [Denied()] * 6 + [Unavailable()] * 2
    assert isinstance(await connect(strict, product, secret, peer=ELSEWHERE), Accepted)
    assert await connect(strict, product, "x" * 32, "N9", HOME) == Denied()


async def test_unknown_and_known_devices_run_into_the_limit_alike(strict: World) -> None:
    product = await strict.product()
    await strict.device(product)

    known = [await connect(strict, product, "x" * 32, "D1", "7.7.7.7") for _ in range(5)]
    unknown = [await connect(strict, product, "x" * 32, "NOSUCH", "8.8.8.8") for _ in range(5)]

    assert known == unknown


async def test_an_address_that_logs_in_too_fast_is_told_to_come_later_whatever_it_brings(strict: World) -> None:
    product = await strict.product()
    secret = (await strict.device(product)).device_secret
    for _ in range(40):
        assert isinstance(await connect(strict, product, secret, peer=ELSEWHERE), Accepted)

    assert await connect(strict, product, secret, peer=ELSEWHERE) == Unavailable()
    assert isinstance(await connect(strict, product, secret, peer=HOME), Accepted)
    strict.clock.move(1)
    assert isinstance(await connect(strict, product, secret, peer=ELSEWHERE), Accepted)


# --- enrolments


async def test_enrolments_from_an_address_are_capped_and_change_nothing_then(strict: World) -> None:
    product = await strict.product()

    got = [await enrol(strict, product, f"N{number}", ELSEWHERE) for number in range(5)]

    assert [isinstance(verdict, Accepted) for verdict in got] == [True, True, True, False, False]
    assert got[3:] == [Complaint(10428)] * 2
    assert (await strict.center.operators.product(product.product_key)).device_count == 3
    assert isinstance(await enrol(strict, product, "H1", HOME), Accepted)
    strict.clock.move(3600)
    assert isinstance(await enrol(strict, product, "N4", ELSEWHERE), Accepted)


async def test_enrolments_of_a_product_are_capped_over_all_addresses(strict: World) -> None:
    product, other = await strict.product(), await strict.product()

    got = [await enrol(strict, product, f"N{number}", f"6.6.6.{number}") for number in range(5)]

    assert got[4] == Complaint(10428)
    assert all(isinstance(verdict, Accepted) for verdict in got[:4])
    assert isinstance(await enrol(strict, other, "N1", "6.6.6.9"), Accepted)


async def test_enrolments_at_once_do_not_get_past_the_cap(strict: World) -> None:
    product = await strict.product()

    got = await asyncio.gather(*(enrol(strict, product, f"N{number}", ELSEWHERE) for number in range(10)))

    assert sum(isinstance(verdict, Accepted) for verdict in got) == 3


async def test_secrets_issued_again_count_too(strict: World) -> None:
    product = await strict.product()

    got = [await enrol(strict, product, "N1", ELSEWHERE) for _ in range(4)]

    assert got[3] == Complaint(10428)


async def test_a_proven_or_approved_reset_is_not_held_up_by_what_others_enrolled(strict: World) -> None:
    product = await strict.product()
    proven, approved = await strict.device(product, "D1"), await strict.device(product, "D2")
    for number in range(5):
        await enrol(strict, product, f"N{number}", HOME)
        await enrol(strict, product, f"M{number}", f"6.6.6.{number}")
    assert await enrol(strict, product, "N9", "9.9.9.9") == Complaint(10428)
    await strict.center.operators.approve_re_enrolment(product.product_key, "D2", OPERATOR)
    key = signing.reset_key(proven.device_secret, "D1")

    proof = signing.reset_user_name(key, "R" * 16).encode()
    assert isinstance(await enrol(strict, product, "D1", HOME, proof), Accepted)
    assert isinstance(await enrol(strict, product, "D2", HOME), Accepted)
    assert approved.epoch == 2


async def test_hopeless_enrolments_do_not_use_up_the_cap(strict: World) -> None:
    product = await strict.product()
    await strict.device(product, "D1")
    for _ in range(3):
        await enrol(strict, product, "D1", ELSEWHERE)

    assert isinstance(await enrol(strict, product, "N1", ELSEWHERE), Accepted)


# --- guesses


async def test_whoever_shares_address_device_and_product_with_guessers_binds_at_once(strict: World) -> None:
    domain = await strict.domain()
    entry = await strict.device(await strict.product())
    await strict.report(entry, seconds=600)
    ann, (mallory, *crowd) = await strict.user(domain), await strict.users(domain, 20)
    for guesser in (mallory, *crowd):
        assert await code_of(strict.bind(guesser, entry, OTHER_CODE, peer=HOME)) == 5462

    assert await code_of(strict.bind(mallory, entry, peer=HOME)) == 8429
    assert await code_of(strict.bind(mallory, entry, peer=ELSEWHERE)) == 8429
    assert (await strict.bind(ann, entry, peer=HOME)).is_new
    assert await strict.owners(entry) == [ann.uid]


async def test_guesses_leave_the_window_open_to_its_last_moment(strict: World) -> None:
    domain = await strict.domain()
    entry = await strict.device(await strict.product())
    await strict.report(entry, seconds=120)
    ann, crowd = await strict.user(domain), await strict.users(domain, 10)
    for guesser in crowd:
        await code_of(strict.bind(guesser, entry, OTHER_CODE, peer=ELSEWHERE))
        await code_of(strict.bind(guesser, entry, OTHER_CODE, peer=ELSEWHERE))
    strict.clock.move(119.999)

    assert (await strict.bind(ann, entry)).is_new


async def test_an_owner_is_not_refused_for_what_strangers_guess(strict: World) -> None:
    domain = await strict.domain()
    entry = await strict.device(await strict.product())
    await strict.report(entry)
    ann = await strict.user(domain)
    await strict.bind(ann, entry, peer=HOME)
    await strict.report(entry, seconds=600)
    for guesser in await strict.users(domain, 10):
        await code_of(strict.bind(guesser, entry, OTHER_CODE, peer=HOME))

    assert not (await strict.bind(ann, entry, peer=HOME)).is_new
    assert (await strict.center.ownership.device(ann, entry.product_key, entry.device_key)).uid == ann.uid


async def test_a_user_who_guesses_pays_also_from_other_addresses_and_on_other_devices(strict: World) -> None:
    domain, product = await strict.domain(), await strict.product()
    one, two = await strict.device(product, "D1"), await strict.device(product, "D2")
    for entry in (one, two):
        await strict.report(entry, seconds=600)
    bob = await strict.user(domain)
    for number in range(4):
        assert await code_of(strict.bind(bob, one, OTHER_CODE, peer=f"6.6.6.{number}")) == 5462

    assert await code_of(strict.bind(bob, two, peer="7.7.7.7")) == 8429


# --- what operators see


async def test_refusals_are_counted_by_the_limit_that_refused(strict: World) -> None:
    product = await strict.product()
    for number in range(5):
        await enrol(strict, product, f"N{number}", ELSEWHERE)

    limits = strict.center.limit_counters

    assert limits["max_enrolments_per_address"].refused_count == 2
    assert limits["max_enrolments_per_product"].refused_count == 0
    assert len(limits["max_enrolments_per_address"]) == 1
