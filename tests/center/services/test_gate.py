"""Devices at the gate: every row of the enrolment table with real signatures on a real database."""

import asyncio

import pytest

from quecbind.center.domain.connection import Accepted, Complaint, Denied, Unavailable
from quecbind.center.services.gate import is_outdated
from quecbind.center.services.views import ProductChanges
from quecbind.wire import signing
from tests.center.services.world import OPERATOR, World


def proof(secret: str, device_key: str = "D1", random: str = "R" * 16) -> bytes:
    return signing.reset_user_name(signing.reset_key(secret, device_key), random).encode()


async def active(world: World, product, device_key: str = "D1") -> str:
    """A device in use; gives its secret."""
    enrolled = await world.enrol(product, device_key)
    secret = enrolled.secret.reveal()
    assert isinstance(await world.connect(product, secret, device_key), Accepted)
    return secret


# --- enrol


async def test_unknown_device_gets_a_secret_of_32_letters_or_digits(world) -> None:
    product = await world.product()

    verdict = await world.enrol(product)

    assert isinstance(verdict, Accepted)
    assert len(verdict.secret.reveal()) == 32
    assert verdict.secret.reveal().isalnum()
    assert verdict.session_key is None
    assert (verdict.entry.state, verdict.entry.epoch) == ("issued", 1)


async def test_session_key_of_16_bytes_comes_with_the_secret_when_asked_for(world) -> None:
    product = await world.product()

    verdict = await world.enrol(product, session_flag=True)

    assert len(verdict.session_key) == 16


async def test_unknown_device_is_refused_where_only_imported_ones_may_enrol(world) -> None:
    product = await world.product(dynamic_enrolment=False)

    assert await world.enrol(product) == Complaint(10431)
    assert len(world.center.registry) == 0


async def test_device_over_the_limit_is_refused(world) -> None:
    product = await world.product(device_limit=2)
    verdicts = [await world.enrol(product, f"D{number}") for number in range(3)]

    assert [isinstance(verdict, Accepted) for verdict in verdicts] == [True, True, False]
    assert verdicts[2] == Complaint(10429)


async def test_limit_holds_when_many_enrol_at_once(world) -> None:
    product = await world.product(device_limit=5)

    verdicts = await asyncio.gather(*(world.enrol(product, f"D{number}") for number in range(30)))

    assert sum(isinstance(verdict, Accepted) for verdict in verdicts) == 5
    assert verdicts.count(Complaint(10429)) == 25
    assert len(world.center.registry) == 5


async def test_secret_that_was_never_used_dies_when_another_is_issued(world) -> None:
    product = await world.product()
    first = (await world.enrol(product)).secret.reveal()

    second = (await world.enrol(product)).secret.reveal()

    assert first != second
    assert await world.connect(product, first) == Denied()
    assert isinstance(await world.connect(product, second), Accepted)


async def test_two_enrolments_at_once_leave_one_live_secret(world) -> None:
    product = await world.product()

    verdicts = await asyncio.gather(*(world.enrol(product) for _ in range(8)))
    secrets = [verdict.secret.reveal() for verdict in verdicts if isinstance(verdict, Accepted)]
    results = [await world.connect(product, secret) for secret in secrets]

    assert {type(verdict) for verdict in verdicts} <= {Accepted, Unavailable}
    assert sum(isinstance(result, Accepted) for result in results) == 1


async def test_active_device_is_refused_and_its_session_and_secret_stay(world) -> None:
    product = await world.product()
    secret = await active(world, product)
    world.sessions.ended.clear()

    assert await world.enrol(product) == Complaint(10422)
    assert world.sessions.ended == []
    assert isinstance(await world.connect(product, secret), Accepted)
    assert (await world.actions())[-1] == "device.enrolment_refused"


async def test_refused_enrolments_do_not_fill_the_audit_log(world) -> None:
    product = await world.product()
    await active(world, product)
    for _ in range(20):
        await world.enrol(product)
    assert (await world.actions()).count("device.enrolment_refused") == 1

    world.clock.move(61)
    await world.enrol(product)

    assert (await world.actions()).count("device.enrolment_refused") == 2
    assert world.center.events.count_by_name["device.refused"] == 21


async def test_reset_proof_lets_an_active_device_start_over(world) -> None:
    product = await world.product()
    secret = await active(world, product)
    world.sessions.ended.clear()

    verdict = await world.enrol(product, user_name=proof(secret))

    assert isinstance(verdict, Accepted)
    assert (verdict.entry.epoch, verdict.entry.state) == (2, "issued")
    assert world.sessions.ended == [("qd" + product.product_key + "D1", "secret issued again")]
    assert await world.connect(product, secret) == Denied()


async def test_reset_proof_is_good_once(world) -> None:
    product = await world.product()
    secret = await active(world, product)
    fresh = (await world.enrol(product, user_name=proof(secret))).secret.reveal()
    assert isinstance(await world.connect(product, fresh), Accepted)

    assert await world.enrol(product, user_name=proof(secret)) == Complaint(10422)


@pytest.mark.parametrize(
    "user_name",
    [
        b"",
        b"rst;",
        b"rst;RRRRRRRRRRRRRRRR;AAAA",
        b"somebody",
        b"\xff\xfe",
        proof("x" * 32),
        proof("wrong", "D2"),
    ],
)
async def test_wrong_reset_proof_counts_as_none(world, user_name) -> None:
    product = await world.product()
    await active(world, product)

    assert await world.enrol(product, user_name=user_name) == Complaint(10422)


async def test_operators_approval_is_good_for_15_minutes_and_once(world) -> None:
    product = await world.product()
    await active(world, product)
    await world.center.operators.approve_re_enrolment(product.product_key, "D1", OPERATOR)
    world.clock.move(15 * 60 - 0.001)

    verdict = await world.enrol(product)
    await world.connect(product, verdict.secret.reveal())

    assert isinstance(verdict, Accepted)
    assert await world.enrol(product) == Complaint(10422)


async def test_operators_approval_is_over_after_15_minutes(world) -> None:
    product = await world.product()
    await active(world, product)
    await world.center.operators.approve_re_enrolment(product.product_key, "D1", OPERATOR)
    world.clock.move(15 * 60)

    assert await world.enrol(product) == Complaint(10422)


async def test_device_of_an_open_product_may_always_start_over(world) -> None:
    product = await world.product(re_enrol="open")
    await active(world, product)

    assert isinstance(await world.enrol(product), Accepted)


async def test_disabled_device_may_neither_connect_nor_enrol(world) -> None:
    product = await world.product(re_enrol="open")
    secret = await active(world, product)
    await world.center.operators.disable_device(product.product_key, "D1", OPERATOR)

    assert await world.enrol(product) == Complaint(10431)
    assert await world.connect(product, secret) == Complaint(10431)
    assert await world.connect(product, "x" * 32) == Denied()

    await world.center.operators.enable_device(product.product_key, "D1", OPERATOR)
    assert isinstance(await world.connect(product, secret), Accepted)


async def test_device_of_a_static_product_may_not_enrol(world) -> None:
    product = await world.product(static_secrets=True)

    assert await world.enrol(product) == Complaint(10421)


async def test_reset_takes_the_owners_and_raises_the_epoch(world) -> None:
    product, domain = await world.product(), await world.domain()
    ann = await world.user(domain)
    secret = await active(world, product)
    entry = world.center.registry.entry(f"qd{product.product_key}D1")
    await world.report(entry)
    await world.bind(ann, entry)
    assert await world.owners(entry) == [ann.uid]

    await world.enrol(product, user_name=proof(secret))

    assert await world.owners(entry) == []
    assert entry.epoch == 2
    assert (await world.actions())[-1] == "device.reset"


# --- a reset proved with the secret in hand, as by a device whose script names its factory secret at every start


async def connect_with(world: World, product, secret: str, user_name: bytes, random: str | None = None):
    password = signing.login(product.product_secret, secret, random or world.random())
    return await world.verdict(f"qd{product.product_key}D1", user_name, password)


@pytest.mark.parametrize("is_static", [False, True])
async def test_reset_proof_beside_a_log_in_resets_and_leaves_the_secret(world, is_static) -> None:
    product, domain = await world.product(), await world.domain()
    ann = await world.user(domain)
    secret = await active(world, product)
    await world.center.operators.change_product(product.product_key, ProductChanges(static_secrets=is_static), OPERATOR)
    entry = world.center.registry.entry(f"qd{product.product_key}D1")
    await world.report(entry)
    await world.bind(ann, entry)
    world.sessions.ended.clear()

    verdict = await connect_with(world, product, secret, proof(secret))

    assert isinstance(verdict, Accepted)
    assert verdict.secret is None
    assert await world.owners(entry) == []
    assert (entry.epoch, entry.state, entry.auth_key) == (2, "active", None)
    assert world.sessions.ended == [("qd" + product.product_key + "D1", "reset")]
    assert (await world.actions())[-1] == "device.reset"
    assert isinstance(await world.connect(product, secret), Accepted)
    assert entry.epoch == 2


@pytest.mark.parametrize("repeated", ["proof", "log-in"])
async def test_a_repeated_log_in_with_a_reset_proof_resets_nothing(world, repeated) -> None:
    product = await world.product()
    secret = await active(world, product)
    await connect_with(world, product, secret, proof(secret, random="A" * 16), "B" * 16)

    randoms = ("A" * 16, None) if repeated == "proof" else ("C" * 16, "B" * 16)
    verdict = await connect_with(world, product, secret, proof(secret, random=randoms[0]), randoms[1])

    assert isinstance(verdict, Accepted)
    assert verdict.entry.epoch == 2


async def test_a_proof_that_came_with_a_log_in_resets_nothing_however_much_later(world) -> None:
    product = await world.product()
    secret = await active(world, product)
    await connect_with(world, product, secret, proof(secret))
    for _ in range(100):
        await world.connect(product, secret)

    repeated = await connect_with(world, product, secret, proof(secret))

    assert isinstance(repeated, Accepted)
    assert repeated.entry.epoch == 2


async def test_a_proof_that_came_with_a_log_in_enrols_nobody(world) -> None:
    """The secret it was made with lives on, so it is right: who overheard it must not get a secret for it."""
    product = await world.product()
    secret = await active(world, product)
    await connect_with(world, product, secret, proof(secret))

    assert await world.enrol(product, user_name=proof(secret)) == Complaint(10422)
    assert isinstance(await world.enrol(product, user_name=proof(secret, random="N" * 16)), Accepted)


async def test_a_repeated_proof_of_a_static_product_resets_nothing_after_a_restart_either(world, tmp_path) -> None:
    product = await world.product()
    secret = await active(world, product)
    await world.center.operators.change_product(product.product_key, ProductChanges(static_secrets=True), OPERATOR)
    verdict = await connect_with(world, product, secret, proof(secret))
    world.center.presence.online(verdict.entry, "10.9.9.9")
    await world.center.close()

    again = await World.open(tmp_path / "data", clock=world.clock)
    try:
        repeated = await connect_with(again, product, secret, proof(secret))
        assert isinstance(repeated, Accepted)
        assert repeated.entry.epoch == 2
    finally:
        await again.center.close()


@pytest.mark.parametrize("user_name", [b"rst;", b"somebody", proof("x" * 32)])
async def test_wrong_reset_proof_beside_a_log_in_counts_as_none(world, user_name) -> None:
    product = await world.product()
    secret = await active(world, product)

    verdict = await connect_with(world, product, secret, user_name)

    assert isinstance(verdict, Accepted)
    assert verdict.entry.epoch == 1


async def test_reset_proof_beside_a_log_in_that_is_refused_resets_nothing(world) -> None:
    product = await world.product()
    secret = await active(world, product)
    entry = world.center.registry.entry(f"qd{product.product_key}D1")

    assert await connect_with(world, product, "x" * 32, proof(secret)) == Denied()
    await world.center.operators.disable_device(product.product_key, "D1", OPERATOR)
    assert await connect_with(world, product, secret, proof(secret)) == Complaint(10431)

    assert entry.epoch == 1


# --- log-ins that prove nothing


async def test_bad_first_log_ins_get_their_code(world) -> None:
    product = await world.product()
    other = await world.product()
    key, secret = product.product_key, product.product_secret
    client_id = f"qd{key}D1"
    good = signing.first_login(key, secret, "D1", "0123456789ABCDEF")

    async def code(name: str, password: str) -> int:
        return (await world.verdict(name, None, password)).code

    assert await code(client_id, good.replace(key, "p1none")) == 10423
    assert await code(client_id, signing.first_login(key, "wrongsecretwrong", "D1", "0123456789ABCDEF")) == 10424
    assert await code(f"qd{other.product_key}D1", good) == 10434
    assert await code(f"qd{key}D2", good) == 10434
    assert await code(f"qd{key}", good) == 10431
    assert await code(f"qd{key}no-key", good) == 10431
    assert await code(client_id, good.replace("0;0000", "0;0002")) == 10433
    assert await code(client_id, "nonsense") == 10424
    assert len(world.center.registry) == 0


async def test_no_password_and_broken_log_ins_are_denied(world) -> None:
    product = await world.product()

    assert await world.verdict(f"qd{product.product_key}D1", None, None) == Denied()
    assert await world.verdict(f"qd{product.product_key}D1", None, "1;0000;short;x") == Denied()


# --- connect


async def test_log_in_of_an_active_device_is_answered_without_waiting(world) -> None:
    product = await world.product()
    secret = await active(world, product)
    password = signing.login(product.product_secret, secret, world.random(), session_flag=True).encode()

    verdict = world.center.gate.connect(f"qd{product.product_key}D1", None, password, "10.9.9.9")

    assert isinstance(verdict, Accepted)
    assert verdict.secret is None
    assert len(verdict.session_key) == 16


async def test_first_use_of_a_secret_is_stored_before_the_answer(world) -> None:
    product = await world.product()
    secret = (await world.enrol(product)).secret.reveal()
    password = signing.login(product.product_secret, secret, world.random()).encode()

    verdict = world.center.gate.connect(f"qd{product.product_key}D1", None, password, "10.9.9.9")

    assert isinstance(verdict, asyncio.Future)
    assert (await verdict).entry.state == "active"
    assert (await world.look((await verdict).entry)).state == "active"


async def test_first_publish_on_the_enrolment_connection_counts_as_use_once(world) -> None:
    product = await world.product()
    entry = (await world.enrol(product)).entry

    first, second = world.center.gate.used(entry), world.center.gate.used(entry)
    assert first is second
    assert await first

    assert entry.state == "active"
    assert world.center.gate.used(entry) is None
    assert (await world.actions()).count("device.activated") == 1


async def test_use_of_a_secret_that_was_replaced_meanwhile_changes_nothing(world) -> None:
    product = await world.product()
    first = await world.enrol(product)
    used = world.center.gate.used(first.entry)
    again = world.enrol(product)

    results = await asyncio.gather(again, used)

    assert results[1] is True
    assert results[0] == Complaint(10422)


async def test_unknown_device_and_wrong_signature_are_denied_alike(world) -> None:
    product = await world.product()
    await active(world, product)

    assert await world.connect(product, "x" * 32) == Denied()
    assert await world.connect(product, "x" * 32, "D2") == Denied()
    assert await world.verdict("qdnothing", None, signing.login("a", "b", "0" * 16)) == Denied()


async def test_a_client_id_belongs_to_the_product_that_enrolled_it(world) -> None:
    short = await world.product(product_key="p1")
    long = await world.product(product_key="p1abc")

    assert isinstance(await world.enrol(long, "D1"), Accepted)
    # The same client id, claimed through the other product.
    assert await world.enrol(short, "abcD1") == Complaint(10431)


# --- replay


async def test_replayed_log_in_is_counted_and_let_in_where_the_product_is_not_strict(world) -> None:
    product = await world.product()
    secret = await active(world, product)
    await world.connect(product, secret, random="R" * 16)

    verdict = await world.connect(product, secret, random="R" * 16)

    assert isinstance(verdict, Accepted)
    assert world.center.events.count_by_name["device.replayed"] == 1
    assert (await world.actions())[-1] == "device.replayed"


async def test_replayed_log_in_is_refused_where_the_product_is_strict(world) -> None:
    product = await world.product(replay_strict=True)
    secret = await active(world, product)
    await world.connect(product, secret, random="R" * 16)

    assert await world.connect(product, secret, random="R" * 16) == Complaint(10425)
    assert isinstance(await world.connect(product, secret), Accepted)


async def test_replayed_enrolment_is_refused_where_the_product_is_strict(world) -> None:
    product = await world.product(replay_strict=True)
    await world.enrol(product, random="R" * 16)

    assert await world.enrol(product, random="R" * 16) == Complaint(10425)


async def test_last_64_nonces_are_remembered(world) -> None:
    product = await world.product(replay_strict=True)
    secret = await active(world, product)
    randoms = [world.random() for _ in range(65)]
    for random in randoms:
        assert isinstance(await world.connect(product, secret, random=random), Accepted)

    assert await world.connect(product, secret, random=randoms[1]) == Complaint(10425)
    assert isinstance(await world.connect(product, secret, random=randoms[0]), Accepted)


async def test_nonces_of_a_strict_product_outlive_a_restart(world, tmp_path) -> None:
    product = await world.product(replay_strict=True)
    secret = await active(world, product)
    verdict = await world.connect(product, secret, random="R" * 16)
    world.center.presence.online(verdict.entry, "10.9.9.9")
    await world.center.close()

    again = await World.open(tmp_path / "data", clock=world.clock)
    try:
        assert await again.connect(product, secret, random="R" * 16) == Complaint(10425)
    finally:
        await again.center.close()


async def test_trouble_with_the_disk_is_unavailable_and_changes_nothing(world) -> None:
    product = await world.product()
    await world.center.storage.close()

    assert await world.enrol(product) == Unavailable()
    assert len(world.center.registry) == 0


async def test_trouble_with_the_disk_is_unavailable_to_who_proves_a_reset_too(world) -> None:
    product = await world.product()
    secret = await active(world, product)
    await world.center.storage.close()

    assert await connect_with(world, product, secret, proof(secret)) == Unavailable()


async def test_one_proof_in_two_log_ins_at_once_resets_once(world) -> None:
    product = await world.product()
    secret = await active(world, product)

    verdicts = await asyncio.gather(*(connect_with(world, product, secret, proof(secret)) for _ in range(2)))

    assert sorted(type(verdict).__name__ for verdict in verdicts) == ["Accepted", "Unavailable"]
    assert world.center.registry.entry(f"qd{product.product_key}D1").epoch == 2


async def test_verdict_is_outdated_once_the_device_was_reset_or_disabled(world) -> None:
    product = await world.product(re_enrol="open")
    secret = await active(world, product)
    before_disable = await world.connect(product, secret)
    assert not is_outdated(before_disable)

    await world.center.operators.disable_device(product.product_key, "D1", OPERATOR)
    assert is_outdated(before_disable)

    await world.center.operators.enable_device(product.product_key, "D1", OPERATOR)
    before_reset = await world.connect(product, secret)
    await world.enrol(product)
    assert is_outdated(before_reset)


async def test_log_in_that_waited_while_another_secret_was_issued_is_denied(world) -> None:
    product = await world.product()
    secret = (await world.enrol(product)).secret.reveal()

    first_use, again = await asyncio.gather(world.connect(product, secret), world.enrol(product))

    # Whichever came first in the group: never both.
    assert (isinstance(first_use, Accepted), isinstance(again, Accepted)) in {(True, False), (False, True)}
