"""What operators do, and what stays in the audit log of it."""

import asyncio

import pytest

from quecbind.center.domain.connection import Accepted, Complaint, Denied
from quecbind.center.services.errors import Conflict, NotFound, Rejected, Unauthenticated
from quecbind.center.services.views import DeviceImport, Operator, ProductChanges, ProductSpec
from tests.center.services.world import CODE, OPERATOR

BY = OPERATOR


async def code_of(awaitable, kind=Rejected) -> int:
    with pytest.raises(kind) as raised:
        await awaitable
    return raised.value.code


# --- products


async def test_product_gets_a_key_and_a_secret_told_once(world) -> None:
    operators = world.center.operators
    product = await operators.create_product(ProductSpec(name=" lamp ", bind_mode="single", re_enrol="locked"), BY)

    assert product.product_key.startswith("p1")
    assert len(product.product_key) == 6
    assert len(product.product_secret) == 16
    assert product.product_secret.isalnum()
    assert (product.name, product.bind_mode, product.re_enrol) == ("lamp", "single", "locked")
    assert product.product_secret not in repr(product)
    assert (await operators.product(product.product_key)).product_secret is None
    assert [one.product_secret for one in (await operators.products()).items] == [None]


async def test_product_may_bring_its_key_and_secret(world) -> None:
    operators = world.center.operators
    await operators.create_product(
        ProductSpec(name="lamp", product_key="p1115X", product_secret="d2c5Q1FsVWpwT1k3"), BY
    )

    assert world.center.registry.product("p1115X").product_secret.reveal() == "d2c5Q1FsVWpwT1k3"
    assert await code_of(operators.create_product(ProductSpec(name="x", product_key="p1115X"), BY), Conflict) == 8409


@pytest.mark.parametrize(
    "fields",
    [
        {"name": ""},
        {"name": "x" * 129},
        {"name": "\ud800"},
        {"name": "x", "product_key": "no key"},
        {"name": "x", "product_key": "k" * 33},
        {"name": "x", "product_secret": "s" * 65},
        {"name": "x", "product_secret": "with;semicolon"},
        {"name": "x", "bind_mode": "family"},
        {"name": "x", "re_enrol": "never"},
        {"name": "x", "device_limit": -1},
        {"name": "x", "default_window_s": 0},
        {"name": "x", "default_window_s": 2**32},
    ],
)
async def test_malformed_product_is_refused(world, fields) -> None:
    assert await code_of(world.center.operators.create_product(ProductSpec(**fields), BY)) == 8400
    assert list(world.center.registry.products()) == []


async def test_change_applies_to_the_next_log_in(world) -> None:
    product = await world.product()
    entry = await world.device(product)
    assert await world.enrol(product) == Complaint(10422)

    changed = await world.center.operators.change_product(
        product.product_key, ProductChanges(re_enrol="open", name="new"), BY
    )

    assert (changed.re_enrol, changed.name, changed.bind_mode) == ("open", "new", "multi")
    assert entry.product.re_enrol == "open"
    assert isinstance(await world.enrol(product), Accepted)


async def test_bind_mode_is_locked_while_a_device_is_bound(world) -> None:
    product, ann = await world.product(), await world.user(await world.domain())
    entry = await world.device(product)
    await world.report(entry)
    await world.bind(ann, entry)
    change = world.center.operators.change_product

    assert await code_of(change(product.product_key, ProductChanges(bind_mode="single"), BY), Conflict) == 5410
    assert (await change(product.product_key, ProductChanges(bind_mode="multi"), BY)).bind_mode == "multi"

    await world.center.ownership.unbind(ann, product.product_key, "D1")
    assert (await change(product.product_key, ProductChanges(bind_mode="single"), BY)).bind_mode == "single"


async def test_product_is_deleted_when_it_has_no_devices(world) -> None:
    product = await world.product()
    await world.enrol(product)
    operators, key = world.center.operators, product.product_key

    assert await code_of(operators.delete_product(key, BY), Conflict) == 8409
    await operators.delete_device(key, "D1", BY)
    await operators.delete_product(key, BY)

    assert await code_of(operators.product(key), NotFound) == 5313
    assert await world.enrol(product) == Complaint(10423)


async def test_unknown_product_is_not_found_anywhere(world) -> None:
    operators = world.center.operators
    for awaitable in (
        operators.product("p1none"),
        operators.product("\ud800"),
        operators.change_product("p1none", ProductChanges(), BY),
        operators.delete_product("p1none", BY),
        operators.set_product_domains("p1none", None, BY),
        operators.devices(1, 10, "p1none"),
        operators.import_devices([DeviceImport(product_key="p1none", device_key="D1")], BY),
    ):
        assert await code_of(awaitable, NotFound) == 5313


async def test_product_is_limited_to_user_domains_from_its_first_moment(world) -> None:
    domain, other = await world.domain(), await world.domain("Other")

    made = await world.product(user_domains=[domain.user_domain])
    closed = await world.product(user_domains=[])

    assert (made.domain_access, made.user_domains) == ("listed", [domain.user_domain])
    assert (closed.domain_access, closed.user_domains) == ("listed", [])
    assert len(made.product_secret) == 16
    open_to = [
        world.center.storage.read(lambda tx, d=d: tx.products.is_open_to(made.product_key, d.user_domain))
        for d in (domain, other)
    ]
    assert open_to == [True, False]
    assert (await world.actions())[-2:] == ["product.created"] * 2


async def test_product_for_a_user_domain_that_is_not_there_is_not_made(world) -> None:
    domain = await world.domain()
    before = await world.actions()

    for wrong in ("Q.DM.9.9", "\ud800"):
        assert await code_of(world.product(user_domains=[domain.user_domain, wrong]), NotFound) == 5015

    assert list(world.center.registry.products()) == []
    assert await world.actions() == before


async def test_product_is_limited_to_user_domains_and_opened_again(world) -> None:
    product, domain = await world.product(), await world.domain()
    limit = world.center.operators.set_product_domains

    limited = await limit(product.product_key, [domain.user_domain, domain.user_domain], BY)
    assert (limited.domain_access, limited.user_domains) == ("listed", [domain.user_domain])
    assert await code_of(limit(product.product_key, ["Q.DM.9.9"], BY), NotFound) == 5015
    opened = await limit(product.product_key, None, BY)
    assert (opened.domain_access, opened.user_domains) == ("all", [])


# --- devices


async def test_device_shows_what_is_known_about_it(world) -> None:
    product, ann = await world.product(), await world.user(await world.domain())
    entry = await world.device(product)
    await world.report(entry)
    await world.bind(ann, entry)
    world.center.presence.online(entry, "10.9.9.9")

    view = await world.look(entry)

    assert (view.state, view.epoch, view.is_online, view.last_address) == ("active", 1, True, "10.9.9.9")
    assert [(owner.uid, owner.email) for owner in view.owners] == [(ann.uid, "ann@example.com")]
    assert await code_of(world.center.operators.device(product.product_key, "D2"), NotFound) == 5493


async def test_devices_are_listed_by_product_and_all(world) -> None:
    one, two = await world.product(), await world.product()
    for number in range(3):
        await world.enrol(one, f"D{number}")
    await world.enrol(two, "E1")
    operators = world.center.operators

    assert [view.device_key for view in (await operators.devices(2, 2, one.product_key)).items] == ["D2"]
    assert (await operators.devices(1, 2, one.product_key)).total_count == 3
    assert (await operators.devices()).total_count == 4


async def test_a_disabled_device_is_cut_off_also_when_who_disabled_it_has_gone(world) -> None:
    product = await world.product()
    entry = await world.device(product)

    asked = asyncio.ensure_future(world.center.operators.disable_device(product.product_key, "D1", BY))
    await asyncio.sleep(0)
    asked.cancel()
    await world.center.storage.transact(lambda _: None)

    assert (entry.state, world.sessions.ended[-1]) == ("disabled", (entry.client_id, "disabled"))


async def test_disabling_ends_the_session_and_keeps_the_owners(world) -> None:
    product, ann = await world.product(), await world.user(await world.domain())
    entry = await world.device(product)
    await world.report(entry)
    await world.bind(ann, entry)
    world.sessions.ended.clear()

    view = await world.center.operators.disable_device(product.product_key, "D1", BY)

    assert (view.state, len(view.owners)) == ("disabled", 1)
    assert world.sessions.ended == [(entry.client_id, "disabled")]
    assert entry.state == "disabled"
    assert (await world.center.operators.enable_device(product.product_key, "D1", BY)).state == "active"


async def test_deleted_device_is_gone_and_its_place_is_free(world) -> None:
    product, ann = await world.product(device_limit=1), await world.user(await world.domain())
    entry = await world.device(product)
    await world.report(entry)
    await world.bind(ann, entry)
    secret = entry.device_secret

    await world.center.operators.delete_device(product.product_key, "D1", BY)

    assert (entry.client_id, "deleted") in world.sessions.ended
    assert await world.connect(product, secret) == Denied()
    assert (await world.center.ownership.devices(ann)).items == []
    assert isinstance(await world.enrol(product, "D2"), Accepted)


async def test_locked_product_takes_no_approval(world) -> None:
    product = await world.product(re_enrol="locked")
    await world.device(product)

    approve = world.center.operators.approve_re_enrolment(product.product_key, "D1", BY)

    assert await code_of(approve, Conflict) == 8409


async def test_imported_device_logs_in_with_the_secret_it_was_given(world) -> None:
    product = await world.product(static_secrets=True)
    secret = "S" * 32
    imported = [DeviceImport(product_key=product.product_key, device_key="D1", device_secret=secret)]

    first = await world.center.operators.import_devices(imported, BY)
    second = await world.center.operators.import_devices(imported, BY)

    assert (first.imported_count, second.imported_count, second.known_count) == (1, 0, 1)
    assert isinstance(await world.connect(product, secret), Accepted)
    assert (await world.center.operators.product(product.product_key)).device_count == 1


async def test_imported_device_without_a_secret_may_enrol_where_others_may_not(world) -> None:
    product = await world.product(dynamic_enrolment=False)
    await world.center.operators.import_devices([DeviceImport(product_key=product.product_key, device_key="D1")], BY)

    assert isinstance(await world.enrol(product, "D1"), Accepted)
    assert await world.enrol(product, "D2") == Complaint(10431)


async def test_import_is_refused_as_a_whole_when_one_line_is_malformed(world) -> None:
    product = await world.product(device_limit=2)
    key = product.product_key
    good = DeviceImport(product_key=key, device_key="D1")
    imports = world.center.operators.import_devices

    assert await code_of(imports([good, DeviceImport(product_key=key, device_key="no/key")], BY)) == 8400
    assert await code_of(imports([good, DeviceImport(product_key=key, device_key="D2", device_secret="")], BY)) == 8400
    too_many = [DeviceImport(product_key=key, device_key=f"D{number}") for number in range(3)]
    assert await code_of(imports(too_many, BY), Conflict) == 8409
    assert len(world.center.registry) == 0
    assert (await world.center.operators.devices()).total_count == 0


# --- domains and users


async def test_user_domain_gets_a_name_and_a_secret_told_once(world) -> None:
    operators = world.center.operators
    first, second = await operators.create_domain("App", BY), await operators.create_domain("Other", BY)

    assert (first.user_domain, second.user_domain) == ("Q.DM.10001.1", "Q.DM.10002.1")
    assert len(first.user_domain_secret) == 44
    assert [one.user_domain_secret for one in (await operators.domains()).items] == [None, None]
    assert await code_of(operators.create_domain("x", BY, first.user_domain), Conflict) == 5014
    assert await code_of(operators.create_domain("x", BY, "no domain")) == 5013
    assert await code_of(operators.create_domain("x", BY, "C.DM.1.1", "no secret;")) == 8400
    assert (await operators.create_domain("x", BY, "C.DM.1.1", "s3cret")).user_domain == "C.DM.1.1"


async def test_user_is_made_by_an_operator(world) -> None:
    operators, domain = world.center.operators, await world.domain()
    user = await operators.create_user("Ann@Example.com", domain.user_domain, "secret1!", BY)

    assert (user.email, user.is_disabled) == ("ann@example.com", False)
    create = operators.create_user
    assert await code_of(create("ann@example.com", domain.user_domain, "secret1!", BY), Conflict) == 5039
    assert await code_of(create("bob", domain.user_domain, "secret1!", BY)) == 5040
    assert await code_of(create("bob@example.com", domain.user_domain, "x", BY)) == 5056
    assert await code_of(create("bob@example.com", "Q.DM.9.9", "secret1!", BY), NotFound) == 5015
    assert (await operators.users(1, 10, domain.user_domain)).items == [user]
    assert (await operators.users()).total_count == 1
    assert await code_of(operators.users(1, 10, "Q.DM.9.9"), NotFound) == 5015


# --- access keys


async def test_access_key_is_good_until_it_is_revoked(world) -> None:
    operators = world.center.operators
    key = await operators.create_access_key("ci", BY)

    assert await operators.authenticate(f"Bearer {key.access_key}", "10.0.0.9") == Operator("ci", "10.0.0.9")
    assert [(one.name, one.access_key) for one in (await operators.access_keys()).items] == [("ci", None)]

    await operators.revoke_access_key(key.id, BY)
    await operators.revoke_access_key(key.id, BY)

    assert await code_of(operators.authenticate(f"Bearer {key.access_key}", ""), Unauthenticated) == 8401
    assert (await operators.access_keys()).items[0].revoked_at is not None
    assert await code_of(operators.revoke_access_key("none", BY), NotFound) == 8404
    assert (await world.actions()).count("access_key.revoked") == 1


@pytest.mark.parametrize("authorization", [None, "", "Bearer ", "Bearer qbk_none", "qbk_\ud800", "Basic eDp5"])
async def test_nobody_is_no_operator(world, authorization) -> None:
    world.center.operators.local_key()

    assert await code_of(world.center.operators.authenticate(authorization, ""), Unauthenticated) == 8401


async def test_local_key_is_good_while_the_process_runs_and_never_stored(world, tmp_path) -> None:
    key = world.center.operators.local_key()

    assert (await world.center.operators.authenticate(f"Bearer {key.reveal()}", "127.0.0.1")).name == "local"
    assert world.center.operators.local_key() == key
    assert (await world.center.operators.access_keys()).items == []


# --- audit


async def test_every_change_names_who_did_it_and_from_where(world) -> None:
    product, domain = await world.product(), await world.domain()
    await world.user(domain)
    await world.device(product)
    await world.center.operators.disable_device(product.product_key, "D1", BY)

    page = await world.center.operators.audit(1, 100)

    assert [(entry.action, entry.who, entry.peer) for entry in reversed(page.items)] == [
        ("product.created", "operator olga", "10.0.0.1"),
        ("domain.created", "operator olga", "10.0.0.1"),
        ("user.registered", "operator olga", "10.0.0.1"),
        ("device.enrolled", "device", "10.9.9.9"),
        ("device.activated", "device", "10.9.9.9"),
        ("device.disabled", "operator olga", "10.0.0.1"),
    ]
    of_device = await world.center.operators.audit(1, 100, product.product_key, "D1")
    assert [entry.action for entry in of_device.items] == ["device.disabled", "device.activated", "device.enrolled"]
    check = await world.center.operators.verify_audit()
    assert (check.entry_count, check.problem) == (6, None)


async def test_refused_change_leaves_no_entry(world) -> None:
    product = await world.product()
    await code_of(world.center.operators.change_product(product.product_key, ProductChanges(device_limit=-1), BY))

    assert await world.actions() == ["product.created"]


async def test_no_operator_secret_stands_in_the_audit_log(world) -> None:
    product, domain = await world.product(), await world.domain()
    key = await world.center.operators.create_access_key("ci", BY)
    entry = await world.device(product)
    await world.report(entry)
    audit = repr((await world.center.operators.audit(1, 100)).items)

    for secret in (product.product_secret, domain.user_domain_secret, key.access_key, entry.device_secret, CODE):
        assert secret not in audit
