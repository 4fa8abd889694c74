"""Binding a device without a network: the trust rule, in the order in which it is asked, and what cannot be forged."""

import asyncio
import base64
import dataclasses

import pytest

from quecbind.center.domain.connection import Complaint
from quecbind.center.domain.limits import Limits
from quecbind.center.services import cancelling
from quecbind.center.services.ble_binding import BleParts
from quecbind.center.services.views import DeviceImport
from quecbind.wire import ble, signing
from tests.center.services.test_ownership import code_of
from tests.center.services.world import CODE, OPERATOR, PASSWORD, World

RANDOM = "A1b2C3d4E5f6G7h8"
DK = "aabbccddeeff"


class Tag:
    """A BLE-only device: it holds the product secret, makes bind secrets, and talks to nobody but an App."""

    def __init__(self, product, device_key: str = DK) -> None:
        self.pk, self.ps, self.dk = product.product_key, product.product_secret, device_key
        self.random, self.secret, self._count = RANDOM, "", 0

    def read(self, encrypted_code: str) -> str:
        return ble.decrypt_bind_code(encrypted_code, self.ps, self.random)

    def bind(self) -> tuple[str, str]:
        """Its new bind secret and the one before, encrypted; "" where there is none."""
        old, self._count = self.secret, self._count + 1
        self.secret = f"{abs(hash((self.dk, self._count))) % 2**64:016X}"
        return self.sealed(self.secret), self.sealed(old) if old else ""

    def sealed(self, secret: str, **names) -> str:
        return ble.encrypt_bind_secret(
            names.get("pk", self.pk), names.get("dk", self.dk), secret, self.ps, names.get("random", self.random)
        )


async def scene(world, **product):
    made = await world.product(**{"ble_only": True, **product})
    domain = await world.domain()
    return made, domain, await world.user(domain), await world.user(domain, "bob@example.com")


def signed(domain, tag, new: str, **changes) -> BleParts:
    fields = {"random": tag.random, "new_secret": new, **changes}
    first = fields.get("encrypted_code") or fields.get("code", "")
    signature = signing.app_signature(
        tag.pk, tag.dk, first, fields.get("password", ""), changes.get("domain_secret") or domain.user_domain_secret
    )
    fields.pop("domain_secret", None)
    return BleParts(**{"signature": signature, **fields})


def post(world, who, tag, parts: BleParts, peer="10.1.1.1", name=None):
    return world.center.ownership.bind_by_ble(who, tag.pk, tag.dk, name, parts, peer)


async def made_code(world, who, tag) -> str:
    return await world.center.ownership.make_ble_code(who, tag.pk, tag.dk, tag.random)


async def bind(world, domain, who, tag, *, with_old: bool = True, **changes) -> None:
    encrypted = await made_code(world, who, tag)
    new, old = tag.bind()
    await post(
        world,
        who,
        tag,
        signed(domain, tag, new, encrypted_code=encrypted, old_secret=old if with_old else "", **changes),
    )


async def owners(world, tag) -> list[str]:
    return [one.uid for one in (await world.center.operators.device(tag.pk, tag.dk)).owners]


async def is_unknown(world, tag) -> bool:
    return await code_of(world.center.operators.device(tag.pk, tag.dk)) == 5493


async def test_what_app_and_device_do_together_binds(world) -> None:
    product, domain, ann, _bob = await scene(world)
    tag = Tag(product)
    told = world.changes()

    await bind(world, domain, ann, tag)

    assert await owners(world, tag) == [ann.uid]
    owned = await world.center.ownership.device(ann, tag.pk, tag.dk)
    assert (owned.binding_type, owned.device_name) == (4, DK)
    assert [(one.uid, one.value) for one in told] == [(ann.uid, 1)]
    assert (await world.actions())[-1] == "owner.bound"
    assert (await world.center.operators.product(tag.pk)).device_count == 1


async def test_the_device_reads_the_code_and_may_say_it_in_plain(world) -> None:
    product, domain, ann, _bob = await scene(world)
    tag = Tag(product)
    code = tag.read(await made_code(world, ann, tag))
    new, _ = tag.bind()

    await post(world, ann, tag, signed(domain, tag, new, code=code, password="pin"))

    assert len(code) == 16
    assert await owners(world, tag) == [ann.uid]


async def test_parameters_are_refused_in_their_order_and_nothing_comes_of_them(world) -> None:
    product, domain, ann, _bob = await scene(world)
    tag = Tag(product)
    encrypted = await made_code(world, ann, tag)
    new, _ = tag.bind()

    def attempt(**changes):
        return post(world, ann, tag, signed(domain, tag, new, **changes))

    assert await code_of(attempt(encrypted_code=encrypted, random="short")) == 8400
    assert await code_of(attempt(encrypted_code=encrypted, random="ä" * 16)) == 8400
    assert await code_of(attempt(encrypted_code=encrypted, signature="")) == 5550
    assert await code_of(attempt(encrypted_code=encrypted, new_secret="")) == 5458
    assert await code_of(attempt()) == 5179
    assert await code_of(attempt(code="short")) == 5213
    assert await code_of(attempt(code=CODE, encrypted_code=encrypted)) == 8400
    assert await code_of(attempt(encrypted_code=encrypted, password="p" * 65)) == 8400
    assert await code_of(attempt(encrypted_code=encrypted, signature="0" * 64)) == 5420
    assert await code_of(attempt(encrypted_code=encrypted, domain_secret="another")) == 5420
    assert await code_of(attempt(encrypted_code=encrypted, signature="ä\ud800")) == 5420
    assert await code_of(attempt(encrypted_code="A" * 44)) == 5213
    assert await code_of(attempt(encrypted_code=encrypted, new_secret="A" * 64)) == 5459
    assert await code_of(attempt(encrypted_code=encrypted, old_secret="A" * 64)) == 5459

    assert await is_unknown(world, tag)
    await attempt(encrypted_code=encrypted)
    assert await owners(world, tag) == [ann.uid]


async def test_only_products_without_a_network_are_bound_so(world) -> None:
    product, domain, ann, _bob = await scene(world, ble_only=False)
    tag = Tag(product)

    assert await code_of(made_code(world, ann, tag)) == 5464
    assert await code_of(post(world, ann, tag, signed(domain, tag, tag.bind()[0], code=CODE))) == 5464


async def test_a_product_that_is_closed_to_the_app_is_closed(world) -> None:
    product, domain, ann, _bob = await scene(world)
    tag = Tag(product)
    encrypted = await made_code(world, ann, tag)
    await world.center.operators.set_product_domains(tag.pk, [], OPERATOR)

    assert await code_of(made_code(world, ann, tag)) == 5229
    assert await code_of(post(world, ann, tag, signed(domain, tag, tag.bind()[0], encrypted_code=encrypted))) == 5229


async def test_without_a_code_of_the_developer_center_nothing_is_bound(world) -> None:
    product, domain, ann, _bob = await scene(world)
    tag = Tag(product)
    own = ble.encrypt_bind_code(CODE, tag.ps, tag.random)

    assert await code_of(post(world, ann, tag, signed(domain, tag, tag.bind()[0], encrypted_code=own))) == 5460

    assert await is_unknown(world, tag)


@pytest.mark.parametrize(("after_s", "code"), [(119.9, None), (120, 5461)])
async def test_a_code_is_good_for_two_minutes(world, after_s, code) -> None:
    product, domain, ann, _bob = await scene(world)
    tag = Tag(product)
    encrypted = await made_code(world, ann, tag)
    world.clock.move(after_s)
    bound = post(world, ann, tag, signed(domain, tag, tag.bind()[0], encrypted_code=encrypted))

    assert await bound is None if code is None else await code_of(bound) == code


async def test_a_code_is_used_once(world) -> None:
    product, domain, ann, _bob = await scene(world)
    tag = Tag(product)
    encrypted = await made_code(world, ann, tag)
    new, _ = tag.bind()
    parts = signed(domain, tag, new, encrypted_code=encrypted)
    await post(world, ann, tag, parts)

    assert await code_of(post(world, ann, tag, parts)) == 5460


async def test_of_many_posts_of_one_code_one_is_served(world) -> None:
    product, domain, ann, _bob = await scene(world)
    tag = Tag(product)
    encrypted = await made_code(world, ann, tag)
    parts = signed(domain, tag, tag.bind()[0], encrypted_code=encrypted)

    results = await asyncio.gather(*(post(world, ann, tag, parts) for _ in range(20)), return_exceptions=True)

    assert results.count(None) == 1


async def test_the_code_of_one_user_serves_no_other(world) -> None:
    product, domain, ann, bob = await scene(world)
    tag = Tag(product)
    encrypted = await made_code(world, ann, tag)

    assert await code_of(post(world, bob, tag, signed(domain, tag, tag.bind()[0], encrypted_code=encrypted))) == 5460


async def test_the_code_of_one_device_serves_no_other(world) -> None:
    product, domain, ann, _bob = await scene(world)
    tag, other = Tag(product), Tag(product, "aabbccddee00")
    encrypted = await made_code(world, ann, tag)

    parts = signed(domain, other, other.bind()[0], encrypted_code=encrypted)
    assert await code_of(post(world, ann, other, parts)) == 5460


async def test_another_code_is_a_guess_and_the_right_one_stays_good(world) -> None:
    product, domain, ann, _bob = await scene(world)
    tag = Tag(product)
    encrypted = await made_code(world, ann, tag)
    new, _ = tag.bind()

    for _ in range(3):
        assert await code_of(post(world, ann, tag, signed(domain, tag, new, code=CODE))) == 5462
    await post(world, ann, tag, signed(domain, tag, new, encrypted_code=encrypted))

    assert await owners(world, tag) == [ann.uid]


@pytest.mark.parametrize("broken", ["code", "secret", "device"])
async def test_who_tries_what_texts_hold_is_stopped_like_one_who_guesses(world, broken) -> None:
    product, domain, ann, _bob = await scene(world)
    tag = Tag(product)
    encrypted = await made_code(world, ann, tag)
    new, _ = tag.bind()
    changes = {
        "code": {"encrypted_code": "A" * 44},
        "secret": {"encrypted_code": encrypted, "new_secret": "A" * 64},
        "device": {"encrypted_code": encrypted, "new_secret": tag.sealed("0" * 16, dk="aabbccddee00")},
    }[broken]
    for _ in range(10):
        assert await code_of(post(world, ann, tag, signed(domain, tag, new, **changes))) in (5213, 5459, 5009)

    assert await code_of(post(world, ann, tag, signed(domain, tag, new, encrypted_code=encrypted))) == 8429


@pytest.mark.parametrize("names", [{"dk": "aabbccddee00"}, {"pk": "p1none"}])
async def test_a_secret_that_another_device_made_is_refused(world, names) -> None:
    product, domain, ann, _bob = await scene(world)
    tag = Tag(product)
    encrypted = await made_code(world, ann, tag)

    parts = signed(domain, tag, tag.sealed("0" * 16, **names), encrypted_code=encrypted)
    assert await code_of(post(world, ann, tag, parts)) == 5009

    assert await is_unknown(world, tag)


async def test_a_secret_made_under_another_random_is_refused(world) -> None:
    product, domain, ann, _bob = await scene(world)
    tag = Tag(product)
    encrypted = await made_code(world, ann, tag)

    parts = signed(domain, tag, tag.sealed("0" * 16, random="B" * 16), encrypted_code=encrypted)

    assert await code_of(post(world, ann, tag, parts)) in (5459, 5009)


async def test_the_random_is_the_one_the_code_was_made_for(world) -> None:
    product, domain, ann, _bob = await scene(world)
    tag = Tag(product)
    code = tag.read(await made_code(world, ann, tag))
    tag.random = "B" * 16

    parts = signed(domain, tag, tag.bind()[0], code=code)

    assert await code_of(post(world, ann, tag, parts)) == 5462


async def test_credentials_for_one_device_cannot_be_bent_into_a_secret_of_another(world) -> None:
    """CBC lets whoever chooses the random change the first block: the secret inside stays that of the first device."""
    product, domain, ann, _bob = await scene(world)
    mine, other = Tag(product), Tag(product, "b" + DK[1:])
    await bind(world, domain, ann, mine)
    while not ble.is_random(other.random) or other.random == RANDOM:
        credentials = await world.center.ownership.reset_credentials(ann, mine.pk, mine.dk)
        bent = bytearray(credentials.random.encode())
        bent[len(mine.pk) + 1] ^= ord("a") ^ ord("b")
        other.random = bent.decode()
    read = ble.decrypt_bind_secret(credentials.credentials.reveal(), other.ps, other.random)
    assert read == (other.pk, other.dk, mine.secret)
    encrypted = await made_code(world, ann, other)

    parts = signed(domain, other, credentials.credentials.reveal(), encrypted_code=encrypted)
    assert await code_of(post(world, ann, other, parts)) == 5009

    assert await is_unknown(world, other)


async def test_single_mode_the_old_owner_stands(world) -> None:
    product, domain, ann, bob = await scene(world, bind_mode="single")
    tag = Tag(product)
    await bind(world, domain, ann, tag)

    assert await code_of(bind(world, domain, bob, tag)) == 5412

    assert await owners(world, tag) == [ann.uid]


@pytest.mark.parametrize("mode", ["multi", "alternate"])
async def test_while_somebody_owns_it_the_next_one_shows_the_old_secret(world, mode) -> None:
    product, domain, ann, bob = await scene(world, bind_mode=mode)
    tag = Tag(product)
    await bind(world, domain, ann, tag)
    kept = tag.secret

    assert await code_of(bind(world, domain, bob, tag, with_old=False)) == 5009
    assert await owners(world, tag) == [ann.uid]

    tag.secret = kept
    await bind(world, domain, bob, tag)
    assert sorted(await owners(world, tag)) == (sorted([ann.uid, bob.uid]) if mode == "multi" else [bob.uid])


async def test_a_wrong_old_secret_keeps_others_out_and_not_the_owner(world) -> None:
    product, domain, ann, bob = await scene(world, bind_mode="multi")
    tag = Tag(product)
    await bind(world, domain, ann, tag)
    tag.secret = "0" * 16  # as a refused bind may leave it

    assert await code_of(bind(world, domain, bob, tag)) == 5009
    await bind(world, domain, ann, tag)
    await bind(world, domain, bob, tag)

    assert sorted(await owners(world, tag)) == sorted([ann.uid, bob.uid])


async def test_a_wrong_old_secret_is_a_guess_written_down_once_and_stopped_after_ten(world) -> None:
    product, domain, ann, bob = await scene(world, bind_mode="multi")
    tag = Tag(product)
    await bind(world, domain, ann, tag)
    before, kept = await world.actions(), tag.secret

    for number in range(10):
        tag.secret = f"{number:016X}"
        assert await code_of(bind(world, domain, bob, tag)) == 5009

    tag.secret = kept
    assert await code_of(bind(world, domain, bob, tag)) == 8429
    assert (await world.actions())[len(before) :] == ["owner.refused", "owner.refused"]
    tag.secret = kept
    await bind(world, domain, ann, tag)
    assert await owners(world, tag) == [ann.uid]


async def key_of(world, who, tag) -> bytes:
    return base64.b64decode((await world.center.ownership.auth_key(who, tag.pk, tag.dk)).reveal())


async def test_the_bind_code_is_the_auth_key_that_every_owner_gets(world) -> None:
    product, domain, ann, bob = await scene(world, bind_mode="multi")
    tag, codes = Tag(product), []
    for who in (ann, bob):
        encrypted = await made_code(world, who, tag)
        codes.append(tag.read(encrypted).encode())
        new, old = tag.bind()
        await post(world, who, tag, signed(domain, tag, new, encrypted_code=encrypted, old_secret=old))

    assert codes[0] != codes[1]
    assert [await key_of(world, who, tag) for who in (ann, bob)] == [codes[1], codes[1]]


async def test_a_bind_that_is_refused_leaves_the_auth_key(world) -> None:
    product, domain, ann, bob = await scene(world, bind_mode="single")
    tag = Tag(product)
    await bind(world, domain, ann, tag)
    before = await key_of(world, ann, tag)

    assert await code_of(bind(world, domain, bob, tag)) == 5412

    assert await key_of(world, ann, tag) == before


async def shared(world, owner, member, tag, sharing_end: int | None = None) -> str:
    now_ms = round(world.clock.now() * 1000)
    sharing, end = world.center.sharing, None if sharing_end is None else now_ms + sharing_end
    code = await sharing.invite(owner, tag.pk, tag.dk, now_ms + 1000, end, 1, "")
    await sharing.accept(member, code.reveal(), "", "")
    return code.reveal()


async def test_a_device_that_cannot_be_told_keeps_its_key_whoever_leaves_until_it_is_bound_again(world) -> None:
    product, domain, ann, bob = await scene(world, bind_mode="multi")
    tag, (carl,) = Tag(product), await world.users(domain, 1)
    await bind(world, domain, ann, tag)
    await bind(world, domain, bob, tag)
    before = await key_of(world, ann, tag)

    await world.center.sharing.cancel(ann, await shared(world, ann, carl, tag), "")
    await world.center.sharing.leave(carl, await shared(world, ann, carl, tag), "")
    await shared(world, ann, carl, tag)
    await shared(world, ann, carl, tag)  # takes the place of the one before
    await world.center.sharing.leave(carl, await shared(world, ann, carl, tag, sharing_end=2000), "")
    await shared(world, ann, carl, tag, sharing_end=2000)
    world.clock.move(2)
    world.center.sharing.sweep()
    assert (await world.actions())[-1] == "share.expired"
    assert await key_of(world, ann, tag) == before
    await world.center.ownership.unbind(bob, tag.pk, tag.dk)
    assert await key_of(world, ann, tag) == before

    await bind(world, domain, ann, tag)

    assert await key_of(world, ann, tag) != before


async def test_an_account_that_ends_leaves_the_key_of_a_device_that_cannot_be_told(world) -> None:
    product, domain, ann, bob = await scene(world, bind_mode="multi")
    tag, carl = Tag(product), await world.user(domain, "carl@example.com")
    await bind(world, domain, ann, tag)
    await bind(world, domain, bob, tag)
    await shared(world, ann, carl, tag)
    before = await key_of(world, ann, tag)

    draw, now_ms = world.center.ownership._auth_keys.draw, round(world.clock.now() * 1000)
    for who in (bob, carl):
        await world.center.storage.transact(
            lambda tx, who=who: cancelling.cancel(tx, tx.users.get(who.uid), draw, "", now_ms)
        )

    assert await owners(world, tag) == [ann.uid]
    assert await key_of(world, ann, tag) == before


async def test_asking_for_another_key_of_a_device_that_cannot_be_told_gives_the_one_it_has(world) -> None:
    product, domain, ann, _bob = await scene(world)
    tag = Tag(product)
    await bind(world, domain, ann, tag)
    before, actions = await key_of(world, ann, tag), await world.actions()

    given = await world.center.ownership.renew_auth_key(ann, tag.pk, tag.dk)

    assert base64.b64decode(given.reveal()) == before == await key_of(world, ann, tag)
    assert await world.actions() == actions


async def test_nobody_keeps_the_key_of_a_device_without_an_owner(world) -> None:
    product, domain, ann, _bob = await scene(world)
    tag = Tag(product)
    await bind(world, domain, ann, tag)
    key = (await world.center.ownership.auth_key(ann, tag.pk, tag.dk)).reveal()

    await world.center.ownership.unbind(ann, tag.pk, tag.dk)

    def kept(tx):
        return tx.devices.auth_key(tx.devices.get(f"qd{tag.pk}{tag.dk}").id)

    assert world.center.storage.read(kept).reveal() != key


async def test_an_owner_who_binds_again_renews_secret_and_key_and_nothing_else(world) -> None:
    product, domain, ann, _bob = await scene(world, bind_mode="single")
    tag = Tag(product)
    await bind(world, domain, ann, tag)
    before = await world.center.ownership.device(ann, tag.pk, tag.dk)

    await bind(world, domain, ann, tag)

    after = await world.center.ownership.device(ann, tag.pk, tag.dk)
    assert after.auth_key != before.auth_key
    assert dataclasses.replace(after, auth_key=before.auth_key) == before
    await bind(world, domain, ann, tag)  # the secret before this one is the one on file


async def test_an_owner_who_binds_again_changes_the_key_the_device_is_told_with_its_next_log_in(world) -> None:
    product, domain, ann, _bob = await scene(world, bind_mode="single")
    tag = Tag(product)
    await bind(world, domain, ann, tag)
    entry = world.center.registry.entry("qd" + tag.pk + tag.dk)
    told = world.changes()

    await bind(world, domain, ann, tag)

    assert base64.b64decode(entry.auth_key.reveal()) == await key_of(world, ann, tag)
    assert told == []


async def test_a_device_that_was_given_up_is_bound_anew_without_an_old_secret(world) -> None:
    product, domain, ann, bob = await scene(world, bind_mode="single")
    tag = Tag(product)
    await bind(world, domain, ann, tag)
    await world.center.ownership.unbind(ann, tag.pk, tag.dk)

    await bind(world, domain, bob, tag, with_old=False)

    assert await owners(world, tag) == [bob.uid]


async def test_unknown_devices_only_where_they_may_come_and_within_the_limit(world) -> None:
    closed, domain, ann, bob = await scene(world, dynamic_enrolment=False)
    tag = Tag(closed)
    assert await code_of(bind(world, domain, ann, tag)) == 5913
    row = DeviceImport(product_key=tag.pk, device_key=tag.dk)
    await world.center.operators.import_devices([row], OPERATOR)
    await bind(world, domain, ann, tag)
    assert await owners(world, tag) == [ann.uid]

    full = Tag(await world.product(ble_only=True, device_limit=0))
    assert await code_of(bind(world, domain, bob, full)) == 5422
    assert await is_unknown(world, full)


async def test_a_device_that_is_new_is_written_down_with_who_brought_it(world) -> None:
    product, domain, ann, _bob = await scene(world)
    tag = Tag(product)

    await bind(world, domain, ann, tag)

    (found,) = [each for each in (await world.center.operators.audit(1, 100)).items if each.action == "device.enrolled"]
    assert (found.who, found.product_key, found.device_key, found.peer) == (f"user {ann.uid}", tag.pk, DK, "10.1.1.1")


async def test_new_devices_are_held_up_by_the_caps_on_enrolments_and_known_ones_are_not(tmp_path) -> None:
    world = await World.open(tmp_path, Limits(max_enrolments_per_product=2))
    try:
        product, domain, ann, bob = await scene(world, bind_mode="multi")
        tags = [Tag(product, f"D{number}") for number in range(3)]
        for tag in tags[:2]:
            await bind(world, domain, ann, tag)

        assert await code_of(bind(world, domain, ann, tags[2])) == 8429
        assert await is_unknown(world, tags[2])
        await bind(world, domain, bob, tags[0])
        assert await code_of(post(world, bob, tags[2], signed(domain, tags[2], tags[2].bind()[0], code=CODE))) == 5460
        world.clock.move(3_600)
        await bind(world, domain, ann, tags[2])

        assert await owners(world, tags[2]) == [ann.uid]
    finally:
        await world.center.close()


async def test_a_disabled_device_is_not_bound(world) -> None:
    product, domain, ann, _bob = await scene(world)
    tag = Tag(product)
    row = DeviceImport(product_key=tag.pk, device_key=tag.dk)
    await world.center.operators.import_devices([row], OPERATOR)
    await world.center.operators.disable_device(tag.pk, tag.dk, OPERATOR)

    assert await code_of(bind(world, domain, ann, tag)) == 5913


async def test_who_holds_the_product_secret_cannot_enrol_such_a_device_over_the_network(world) -> None:
    product, domain, ann, _bob = await scene(world, re_enrol="open")
    tag = Tag(product)
    await bind(world, domain, ann, tag)

    assert await world.enrol(product, tag.dk) == Complaint(10431)
    assert await world.enrol(product, "another") == Complaint(10431)

    assert await owners(world, tag) == [ann.uid]


async def test_codes_that_are_not_used_are_bounded(world) -> None:
    product, _domain, ann, bob = await scene(world)
    for number in range(Limits().max_ble_codes_per_user):
        await made_code(world, ann, Tag(product, f"D{number}"))

    assert await code_of(made_code(world, ann, Tag(product, "D99"))) == 8429
    await made_code(world, ann, Tag(product, "D0"))
    await made_code(world, bob, Tag(product, "D99"))
    world.clock.move(120)
    await made_code(world, ann, Tag(product, "D99"))


async def test_a_code_says_nothing_about_whether_there_is_such_a_device(world) -> None:
    product, domain, ann, bob = await scene(world, bind_mode="single")
    tag = Tag(product)
    await bind(world, domain, ann, tag)

    answers = [await made_code(world, bob, tag), await made_code(world, bob, Tag(product, "nobody"))]

    assert [len(answer) for answer in answers] == [44, 44]


# --- reset credentials and last use


async def test_reset_credentials_are_for_the_owner_alone(world) -> None:
    product, domain, ann, bob = await scene(world)
    tag = Tag(product)
    await bind(world, domain, ann, tag)

    given = await world.center.ownership.reset_credentials(ann, tag.pk, tag.dk)

    opened = ble.decrypt_bind_secret(given.credentials.reveal(), tag.ps, given.random)
    assert opened == (tag.pk, tag.dk, tag.secret)
    assert await world.center.ownership.reset_credentials(bob, tag.pk, tag.dk) is None
    assert await world.center.ownership.reset_credentials(ann, tag.pk, "nobody") is None
    assert tag.secret not in repr(given)


async def test_reset_credentials_are_for_the_last_owner_to_leave(world) -> None:
    product, domain, ann, bob = await scene(world, bind_mode="multi")
    tag = Tag(product)
    await bind(world, domain, ann, tag)
    await bind(world, domain, bob, tag)

    assert await world.center.ownership.reset_credentials(ann, tag.pk, tag.dk) is None
    assert await world.center.ownership.reset_credentials(bob, tag.pk, tag.dk) is None

    await world.center.ownership.unbind(ann, tag.pk, tag.dk)
    assert await world.center.ownership.reset_credentials(bob, tag.pk, tag.dk) is not None


async def test_unbinding_with_reset_credentials_forgets_the_bind_secret(world) -> None:
    product, domain, ann, bob = await scene(world)
    tag = Tag(product)
    await bind(world, domain, ann, tag)
    given = tag.sealed(tag.secret)

    await world.center.ownership.unbind(ann, tag.pk, tag.dk, reset_credentials=given, random=tag.random)

    assert await owners(world, tag) == []
    await bind(world, domain, bob, tag)
    assert await owners(world, tag) == [bob.uid]
    entry = world.center.registry.entry("qd" + tag.pk + tag.dk)
    stored = world.center.storage.read(lambda tx: tx.devices.bind_secret(entry.id))
    assert stored.reveal() == tag.secret


@pytest.mark.parametrize(("secret", "random"), [("0" * 16, RANDOM), (None, "B" * 16), (None, ""), (None, "short")])
async def test_wrong_reset_credentials_change_nothing(world, secret, random) -> None:
    product, domain, ann, _bob = await scene(world)
    tag = Tag(product)
    await bind(world, domain, ann, tag)
    before = await world.actions()
    given = tag.sealed(secret or tag.secret)

    unbound = world.center.ownership.unbind(ann, tag.pk, tag.dk, reset_credentials=given, random=random)

    assert await code_of(unbound) == 5050
    assert await owners(world, tag) == [ann.uid]
    assert await world.actions() == before


async def test_the_last_use_is_remembered_for_the_owner(world) -> None:
    product, domain, ann, bob = await scene(world)
    tag = Tag(product)
    await bind(world, domain, ann, tag)
    note = world.center.ownership.note_ble_use

    await note(ann, tag.pk, tag.dk, 1_700_000_000_000)

    assert (await world.center.ownership.device(ann, tag.pk, tag.dk)).ble_used_at == 1_700_000_000_000
    assert await code_of(note(bob, tag.pk, tag.dk, 1)) == 5052
    assert await code_of(note(ann, tag.pk, "nobody", 1)) == 5052
    assert await code_of(note(ann, tag.pk, tag.dk, -1)) == 8400


async def test_no_secret_is_in_audit_log_or_view(world) -> None:
    product, domain, ann, _bob = await scene(world)
    tag = Tag(product)
    await bind(world, domain, ann, tag)

    shown = repr((await world.center.operators.audit(1, 100)).items)
    shown += repr(await world.center.operators.device(tag.pk, tag.dk))

    assert tag.secret not in shown
    assert PASSWORD not in shown
