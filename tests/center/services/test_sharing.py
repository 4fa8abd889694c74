"""Sharing through the service: products that forbid it, how many shares there may be, ends in time, guesses."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio

from quecbind.center.domain.limits import Limits
from quecbind.center.services import sharing
from quecbind.center.services.changes import SHARE_EXPIRED, RightChanged
from quecbind.center.services.registry import DeviceEntry
from quecbind.center.services.views import ProductChanges, SignedIn
from tests.center.services.test_ownership import code_of, prepared
from tests.center.services.world import OPERATOR, World

LIMITS = Limits(
    max_pending_shares=2,
    max_pending_shares_per_owner=3,
    max_shares_per_member=2,
    max_shares_per_device=3,
    max_guesses_per_user=4,
    max_guesses_per_address=5,
)
REPLACE, PARALLEL, IF_LONGER = 1, 2, 3


@dataclass
class Scene:
    """Ann's device, and who may be invited."""

    world: World
    entry: DeviceEntry
    ann: SignedIn
    bob: SignedIn

    @classmethod
    async def set(cls, world: World) -> Scene:
        entry, ann, bob = await prepared(world)
        await world.report(entry)
        await world.bind(ann, entry)
        return cls(world, entry, ann, bob)

    def ms(self, seconds: float) -> int:
        return round((self.world.clock.now() + seconds) * 1000)

    async def invite(
        self, entry: DeviceEntry | None = None, *, mark: int = REPLACE, use: float | None = None, accepting: float = 60
    ) -> str:
        keys = (entry or self.entry).product_key, (entry or self.entry).device_key
        expires = None if use is None else self.ms(use)
        code = await self.world.center.sharing.invite(self.ann, *keys, self.ms(accepting), expires, mark, "10.0.0.1")
        return code.reveal()

    async def accept(self, who: SignedIn, code: str, peer: str = "10.0.0.2") -> None:
        await self.world.center.sharing.accept(who, code, "", peer)

    async def switch(self, *, on: bool) -> None:
        await self.world.center.operators.change_product(
            self.entry.product_key, ProductChanges(allow_sharing=on), OPERATOR
        )

    async def another_device(self, device_key: str) -> DeviceEntry:
        product = self.world.center.registry.product(self.entry.product_key)

        class Spec:
            product_key, product_secret = product.product_key, product.product_secret.reveal()

        entry = await self.world.device(Spec, device_key)
        await self.world.report(entry)
        await self.world.bind(self.ann, entry)
        return entry

    async def can_use(self, who: SignedIn) -> bool:
        return (await self.world.center.ownership.devices(who)).total_count == 1

    async def refusals(self, action: str) -> list[str]:
        """Results of the audit entries with this action, oldest first."""
        await self.world.center.storage.transact(lambda _: None)
        page = await self.world.center.operators.audit(1, 100)
        return [entry.result for entry in reversed(page.items) if entry.action == action]


@pytest_asyncio.fixture
async def scene(tmp_path: Path) -> AsyncIterator[Scene]:
    world = await World.open(tmp_path / "data", LIMITS)
    yield await Scene.set(world)
    await world.center.close()


def refused_count(world: World, limit: str) -> int:
    return world.center.limit_counters[limit].refused_count


# --- products that forbid sharing


async def test_a_product_that_forbids_sharing_refuses_its_owners_new_invitations(scene: Scene) -> None:
    await scene.switch(on=False)
    keys = scene.entry.product_key, scene.entry.device_key

    assert await code_of(scene.invite()) == 5411
    assert await code_of(scene.world.center.sharing.invite_user(scene.ann, *keys, scene.bob.uid, "", None, 1, "")) == (
        5411
    )

    assert await scene.world.center.sharing.shared_with(scene.ann, *keys) == []
    await scene.switch(on=True)
    await scene.accept(scene.bob, await scene.invite())


async def test_who_does_not_own_the_device_does_not_learn_that_its_product_forbids_sharing(scene: Scene) -> None:
    invite = scene.world.center.sharing.invite
    await scene.switch(on=False)

    codes = [
        await code_of(invite(scene.bob, scene.entry.product_key, key, scene.ms(60), None, 1, ""))
        for key in (scene.entry.device_key, "nobody")
    ]

    assert codes == [5360, 5360]


async def test_open_invitations_of_a_product_that_forbids_sharing_cannot_be_accepted(scene: Scene) -> None:
    code = await scene.invite()
    for_bob = (
        await scene.world.center.sharing.invite_user(
            scene.ann, scene.entry.product_key, scene.entry.device_key, scene.bob.uid, "", None, 1, ""
        )
    ).reveal()
    eve = (await scene.world.users(await scene.world.domain("other"), 1))[0]
    await scene.switch(on=False)

    codes = [
        await code_of(scene.accept(scene.bob, code)),
        await code_of(scene.accept(scene.bob, for_bob)),
        await code_of(scene.accept(eve, code)),
        await code_of(scene.accept(eve, "x" * 32)),
    ]

    assert codes == [5411, 5411, 5137, 5137]
    assert not await scene.can_use(scene.bob)


async def test_what_was_accepted_before_goes_on_and_gets_no_longer(scene: Scene) -> None:
    code = await scene.invite(use=100)
    await scene.accept(scene.bob, code)
    await scene.switch(on=False)
    sharing_service = scene.world.center.sharing

    assert await code_of(sharing_service.set_expiry(scene.ann, code, scene.ms(101), "")) == 5411
    assert await scene.can_use(scene.bob)
    await sharing_service.set_expiry(scene.ann, code, scene.ms(50), "")
    scene.world.clock.move(50)

    assert not await scene.can_use(scene.bob)


async def test_the_switch_is_in_the_audit_log(scene: Scene) -> None:
    await scene.switch(on=False)

    entry = (await scene.world.center.operators.audit(1, 1)).items[0]

    assert (entry.action, entry.details) == ("product.changed", {"allow_sharing": False})


# --- how many


async def test_open_invitations_of_an_owner_are_limited_over_all_devices(scene: Scene) -> None:
    other = await scene.another_device("D2")
    await scene.invite()
    await scene.invite(other)
    code = await scene.invite(other)

    assert await code_of(scene.invite()) == 5134
    assert refused_count(scene.world, "max_pending_shares_per_owner") == 1
    await scene.accept(scene.bob, code)
    await scene.invite()

    assert await code_of(scene.invite()) == 5134
    assert refused_count(scene.world, "max_pending_shares") == 1


async def test_invitations_whose_time_is_over_make_room_on_every_device(scene: Scene) -> None:
    other = await scene.another_device("D2")
    for entry in (scene.entry, other, other):
        await scene.invite(entry)

    scene.world.clock.move(60)
    await scene.invite()

    assert scene.world.center.storage.read(lambda tx: len(tx.shares.invitations_of(scene.ann.uid))) == 1


async def test_shares_in_parallel_are_limited_for_each_member(scene: Scene) -> None:
    for _ in range(2):
        await scene.accept(scene.bob, await scene.invite(mark=PARALLEL))
    code = await scene.invite(mark=PARALLEL)

    assert await code_of(scene.accept(scene.bob, code)) == 5134
    assert refused_count(scene.world, "max_shares_per_member") == 1
    await scene.accept(scene.bob, await scene.invite(mark=REPLACE))

    assert granted_count(scene) == 1
    await scene.accept(scene.bob, code)


def granted_count(scene: Scene) -> int:
    now_ms = round(scene.world.clock.now() * 1000)
    return scene.world.center.storage.read(lambda tx: tx.shares.grant_count(scene.entry.id, now_ms))


async def test_a_share_that_was_accepted_later_than_the_clock_shows_is_not_counted_as_one(scene: Scene) -> None:
    await scene.accept(scene.bob, await scene.invite(use=7_200))
    right = scene.world.clock.now()

    scene.world.clock.set(right - 3_600)
    behind = granted_count(scene)
    scene.world.clock.set(right)

    assert (behind, granted_count(scene)) == (0, 1)


async def test_shares_of_a_device_are_limited_in_all(scene: Scene) -> None:
    users = [scene.bob, *await scene.world.users(scene.ann, 3)]
    for who in users[:3]:
        await scene.accept(who, await scene.invite(mark=PARALLEL, use=100))
    code = await scene.invite(mark=PARALLEL, accepting=200)

    assert await code_of(scene.accept(users[3], code)) == 5134
    assert refused_count(scene.world, "max_shares_per_device") == 1
    scene.world.clock.move(100)

    # Those whose time is over take no room, though nobody has swept them away.
    await scene.accept(users[3], code)


# --- ends in time


async def test_invitation_that_is_over_is_listed_and_changed_by_nobody(scene: Scene) -> None:
    center, keys = scene.world.center, (scene.entry.product_key, scene.entry.device_key)
    code, other = await scene.invite(accepting=60), await scene.invite(accepting=61)
    scene.world.clock.move(59.999)
    await center.sharing.set_expiry(scene.ann, code, scene.ms(1000), "")
    scene.world.clock.move(0.001)
    before = await scene.world.actions()

    assert await code_of(center.sharing.set_expiry(scene.ann, code, scene.ms(2000), "")) == 5041

    assert await scene.world.actions() == before
    listed = await center.sharing.shared_with(scene.ann, *keys)
    assert [each.share.code.reveal() for each in listed] == [other]
    # Taking it back is no harm.
    await center.sharing.cancel(scene.ann, code, "")


async def test_grant_that_is_over_is_not_listed_before_it_is_swept_away(scene: Scene) -> None:
    center, keys = scene.world.center, (scene.entry.product_key, scene.entry.device_key)
    code = await scene.invite(use=100)
    await scene.accept(scene.bob, code)
    scene.world.clock.move(99.999)
    assert len(await center.sharing.shared_with(scene.ann, *keys)) == 1
    scene.world.clock.move(0.001)

    assert await center.sharing.shared_with(scene.ann, *keys) == []
    assert await code_of(center.sharing.set_expiry(scene.ann, code, scene.ms(2000), "")) == 5041


async def test_all_whose_time_is_over_are_told_in_one_look_however_many(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sharing, "MAX_SWEPT", 1)
    users = [scene.bob, *await scene.world.users(scene.ann, 2)]
    for who in users:
        await scene.accept(who, await scene.invite(use=100))
    told = scene.world.changes()
    scene.world.clock.move(100)

    scene.world.center.sharing.sweep()
    between = [await scene.world.center.storage.transact(lambda tx: len(tx.shares.over(10**15, 9))) for _ in range(9)]

    assert {one.uid for one in told if isinstance(one, RightChanged)} == {who.uid for who in users}
    assert {one.cause for one in told if isinstance(one, RightChanged)} == {SHARE_EXPIRED}
    # A change of somebody else had its turn between any two pieces.
    assert between == sorted(between, reverse=True)
    assert {2, 1, 0} <= set(between)


async def test_a_look_while_another_is_under_way_starts_nothing(scene: Scene) -> None:
    await scene.accept(scene.bob, await scene.invite(use=100))
    told = scene.world.changes()
    scene.world.clock.move(100)

    for _ in range(3):
        scene.world.center.sharing.sweep()
    await scene.world.center.storage.transact(lambda _: None)

    assert len(told) == 1


async def test_after_the_end_of_the_service_nobody_is_told(scene: Scene) -> None:
    await scene.accept(scene.bob, await scene.invite(use=100))
    told = scene.world.changes()
    scene.world.clock.move(100)

    scene.world.center.sharing.close()
    scene.world.center.sharing.sweep()
    await scene.world.center.storage.transact(lambda _: None)

    assert told == []


# --- guesses


async def test_steady_guessing_leaves_two_entries_in_a_span_and_two_in_the_next(scene: Scene) -> None:
    for _ in range(20):
        assert await code_of(scene.accept(scene.bob, "x" * 32)) in (5137, 8429)

    assert await scene.refusals("share.refused") == ["refused 5137", "refused 8429"]
    scene.world.clock.move(600)
    await code_of(scene.accept(scene.bob, "x" * 32))

    assert await scene.refusals("share.refused") == ["refused 5137", "refused 8429", "refused 5137"]


async def test_many_accounts_at_one_address_do_not_fill_the_audit_log(scene: Scene) -> None:
    users = await scene.world.users(scene.ann, 12)

    for who in users:
        assert await code_of(scene.accept(who, "x" * 32, "10.6.6.6")) == 5137

    assert await scene.refusals("share.refused") == ["refused 5137"] * 5


@pytest.mark.parametrize("how", ["bind code", "serial number"])
async def test_bind_codes_and_serial_numbers_are_written_down_in_the_same_way(scene: Scene, how: str) -> None:
    await scene.world.center.operators.change_product(
        scene.entry.product_key, ProductChanges(allow_serial_binding=True), OPERATOR
    )
    await scene.world.report(scene.entry)
    ownership = scene.world.center.ownership
    guess: Callable[[], object]
    if how == "bind code":

        def guess() -> object:
            return scene.world.bind(scene.bob, scene.entry, "0" * 16)
    else:

        def guess() -> object:
            return ownership.bind_by_serial(scene.bob, scene.entry.product_key, "SN-1", None, "10.0.0.2")

    codes = [await code_of(guess()) for _ in range(20)]

    assert codes[4:] == [8429] * 16
    assert await scene.refusals("owner.refused") == [f"refused {codes[0]}", "refused 8429"]


async def test_no_entry_about_a_guess_holds_what_was_guessed(scene: Scene) -> None:
    for _ in range(6):
        await code_of(scene.accept(scene.bob, "guessed-" + "x" * 24))

    await scene.world.center.storage.transact(lambda _: None)
    page = await scene.world.center.operators.audit(1, 100)

    assert "guessed" not in json.dumps([repr(entry) for entry in page.items])
