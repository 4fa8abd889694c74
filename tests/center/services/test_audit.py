"""The audit log: one entry for each change, nothing secret in it, and no way to change it that does not show."""

from __future__ import annotations

import contextlib
import inspect
import json
import shutil
import sqlite3
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from quecbind.center.domain.audit import FIRST_HASH, AuditEntry, ChainHead, chain, seen_by_owner
from quecbind.center.domain.ids import Secret
from quecbind.center.services.accounts import Accounts
from quecbind.center.services.control import Control
from quecbind.center.services.errors import Rejected
from quecbind.center.services.operators import Operators
from quecbind.center.services.ownership import Ownership
from quecbind.center.services.sharing import Sharing
from quecbind.center.services.views import DeviceImport, ProductChanges
from quecbind.wire import signing
from tests.center.domain.power_station import power_station
from tests.center.services.test_ble_binding import Tag, made_code, post, signed
from tests.center.services.world import CODE, OPERATOR, PASSWORD, World

# --- one entry for each change


class Scene:
    """A world with one of everything, made without being looked at."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.secrets: set[str] = {PASSWORD, CODE}

    async def set(self) -> Scene:
        world = self.world
        self.domain = await world.domain()
        self.product = await world.product(allow_device_key_binding=True, re_enrol="approve")
        self.entry = await world.device(self.product)
        self.ann, self.bob = await world.user(self.domain), await world.user(self.domain, "bob@example.com")
        await world.report(self.entry)
        await world.bind(self.ann, self.entry)
        self.key = await world.center.operators.create_access_key("robot", OPERATOR)
        self.secrets |= {self.product.product_secret, self.entry.device_secret, self.domain.user_domain_secret}
        self.secrets.add(self.key.access_key)
        return self

    @property
    def keys(self) -> tuple[str, str]:
        return self.entry.product_key, self.entry.device_key

    async def code(self, email: str) -> str:
        await self.world.center.accounts.send_email_code(email, 1, self.domain.user_domain, "10.0.0.9")
        self.secrets.add(self.world.mailbox.last_code)
        return self.world.mailbox.last_code

    async def signed_in(self, email: str = "ann@example.com") -> Any:
        signature = signing.app_signature(email, PASSWORD, "", self.domain.user_domain_secret)
        tokens = await self.world.center.accounts.sign_in(
            email, PASSWORD, None, signature, self.domain.user_domain, "10.0.0.9"
        )
        self.secrets |= {tokens.access_token, tokens.refresh_token}
        return tokens


Deed = Callable[[Scene], Awaitable[Any]]


async def register(scene: Scene) -> Deed:
    code = await scene.code("new@example.com")
    accounts, domain = scene.world.center.accounts, scene.domain.user_domain
    return lambda _: accounts.register("new@example.com", code, PASSWORD, None, domain)


async def reset_password(scene: Scene) -> Deed:
    accounts, domain = scene.world.center.accounts, scene.domain.user_domain
    await accounts.send_email_code("ann@example.com", 2, domain, "10.0.0.9")
    code = scene.world.mailbox.last_code
    scene.secrets |= {code, "another1!"}
    return lambda _: accounts.reset_password("ann@example.com", code, "another1!", None, domain)


async def sign_in(scene: Scene) -> Deed:
    return Scene.signed_in


async def sign_out(scene: Scene) -> Deed:
    accounts = scene.world.center.accounts
    who = await accounts.authenticate((await scene.signed_in()).access_token)
    return lambda _: accounts.sign_out(who)


async def cancel_account(scene: Scene) -> Deed:
    accounts = scene.world.center.accounts
    who = await accounts.authenticate((await scene.signed_in("bob@example.com")).access_token)
    return lambda _: accounts.cancel(who, PASSWORD, None, None)


async def bind_by_serial(scene: Scene) -> Deed:
    await operators(scene).change_product(
        scene.product.product_key, ProductChanges(allow_serial_binding=True), OPERATOR
    )
    row = DeviceImport(product_key=scene.product.product_key, device_key="S1", device_secret="S" * 32, serial="SN1")
    await operators(scene).import_devices([row], OPERATOR)
    return lambda s: ownership(s).bind_by_serial(s.bob, s.product.product_key, "SN1", None, "10.0.0.9")


async def bind_by_ble(scene: Scene) -> Deed:
    product = await scene.world.product(ble_only=True)
    tag = Tag(product)
    # One that nobody knew would leave a second entry, for that it is known now.
    await operators(scene).import_devices([DeviceImport(product_key=tag.pk, device_key=tag.dk)], OPERATOR)
    encrypted = await made_code(scene.world, scene.bob, tag)
    new, _ = tag.bind()
    parts = signed(scene.domain, tag, new, encrypted_code=encrypted)
    scene.secrets |= {product.product_secret, tag.secret, tag.read(encrypted), encrypted, new}
    return lambda s: post(s.world, s.bob, tag, parts)


async def reuse_refresh_token(scene: Scene) -> Deed:
    accounts, tokens = scene.world.center.accounts, await scene.signed_in()
    await accounts.refresh(None, tokens.refresh_token)
    scene.world.clock.move(31)
    return lambda _: accounts.refresh(None, tokens.refresh_token)


async def bind(scene: Scene) -> Deed:
    await scene.world.report(scene.entry)
    return lambda _: scene.world.bind(scene.bob, scene.entry)


async def guess(scene: Scene) -> Deed:
    await scene.world.report(scene.entry)
    return lambda _: scene.world.bind(scene.bob, scene.entry, "0" * 16)


async def invited(scene: Scene) -> str:
    """A share code of Ann's that nobody has accepted."""
    now_ms = int(scene.world.clock.now() * 1000)
    ends = now_ms + 600_000, now_ms + 3_600_000
    code = await scene.world.center.sharing.invite(scene.ann, *scene.keys, *ends, 1, "10.0.0.9")
    scene.secrets.add(code.reveal())
    return code.reveal()


async def shared(scene: Scene) -> str:
    """A share code of Ann's that Bob has accepted."""
    code = await invited(scene)
    await scene.world.center.sharing.accept(scene.bob, code, "", "10.0.0.9")
    return code


async def invite_user(scene: Scene) -> Deed:
    return lambda s: s.world.center.sharing.invite_user(s.ann, *s.keys, s.bob.uid, "", None, 1, "")


async def accept(scene: Scene) -> Deed:
    code = await invited(scene)
    return lambda s: s.world.center.sharing.accept(s.bob, code, "", "")


async def wrong_share_code(scene: Scene) -> Deed:
    return lambda s: s.world.center.sharing.accept(s.bob, "x" * 32, "", "")


async def set_expiry(scene: Scene) -> Deed:
    code, end = await shared(scene), int(scene.world.clock.now() * 1000) + 7_200_000
    return lambda s: s.world.center.sharing.set_expiry(s.ann, code, end, "")


async def rename_shared(scene: Scene) -> Deed:
    code = await shared(scene)
    return lambda s: s.world.center.sharing.rename(s.bob, code, "theirs", "")


async def cancel_share(scene: Scene) -> Deed:
    code = await shared(scene)
    return lambda s: s.world.center.sharing.cancel(s.ann, code, "")


async def leave_share(scene: Scene) -> Deed:
    code = await shared(scene)
    return lambda s: s.world.center.sharing.leave(s.bob, code, "")


async def expire_share(scene: Scene) -> Deed:
    await shared(scene)
    scene.world.clock.move(3_600)

    async def sweep(s: Scene) -> None:
        s.world.center.sharing.sweep()

    return sweep


async def window(scene: Scene) -> Deed:
    return lambda _: scene.world.report(scene.entry)


async def cancel(scene: Scene) -> Deed:
    await scene.world.report(scene.entry)
    return lambda _: scene.world.report(scene.entry, seconds=0)


async def enrol(scene: Scene) -> Deed:
    return lambda _: scene.world.enrol(scene.product, "D9")


async def enrol_again(scene: Scene) -> Deed:
    await scene.world.enrol(scene.product, "D9")
    return lambda _: scene.world.enrol(scene.product, "D9")


async def first_use(scene: Scene) -> Deed:
    enrolled = await scene.world.enrol(scene.product, "D9")
    scene.secrets.add(enrolled.secret.reveal())
    return lambda _: scene.world.connect(scene.product, enrolled.secret.reveal(), "D9")


async def reset(scene: Scene) -> Deed:
    proof = signing.reset_user_name(signing.reset_key(scene.entry.device_secret, "D1"), "R" * 16)
    scene.secrets.add(proof)
    return lambda _: scene.world.enrol(scene.product, "D1", proof.encode())


async def reset_with_the_secret(scene: Scene) -> Deed:
    world, secret = scene.world, scene.entry.device_secret
    proof = signing.reset_user_name(signing.reset_key(secret, "D1"), "R" * 16)
    scene.secrets.add(proof)
    password = signing.login(scene.product.product_secret, secret, world.random())
    return lambda _: world.verdict(scene.entry.client_id, proof.encode(), password)


async def phantom(scene: Scene) -> Deed:
    return lambda _: scene.world.enrol(scene.product, "D1")


async def delete_product(scene: Scene) -> Deed:
    product = await scene.world.product()
    return lambda s: s.world.center.operators.delete_product(product.product_key, OPERATOR)


async def enable(scene: Scene) -> Deed:
    await scene.world.center.operators.disable_device(*scene.keys, OPERATOR)
    return lambda s: s.world.center.operators.enable_device(*s.keys, OPERATOR)


async def enable_user(scene: Scene) -> Deed:
    await operators(scene).disable_user(scene.bob.uid, OPERATOR)
    return lambda s: operators(s).enable_user(s.bob.uid, OPERATOR)


def at_once(deed: Deed) -> Callable[[Scene], Awaitable[Deed]]:
    async def prepare(_: Scene) -> Deed:
        return deed

    return prepare


async def remove_model(scene: Scene) -> Deed:
    await operators(scene).import_model(scene.product.product_key, power_station(), OPERATOR)
    return lambda s: operators(s).remove_model(s.product.product_key, OPERATOR)


def operators(scene: Scene) -> Operators:
    return scene.world.center.operators


def ownership(scene: Scene) -> Ownership:
    return scene.world.center.ownership


def _device(product_key: str) -> DeviceImport:
    return DeviceImport(product_key=product_key, device_key="I1", device_secret="x" * 32)


# What happens, by the method that lets it happen, and the one entry it leaves.
CHANGES: dict[str, tuple[Callable[[Scene], Awaitable[Deed]], str]] = {
    "Accounts.register": (register, "user.registered"),
    "Accounts.reset_password": (reset_password, "user.password_reset"),
    "Accounts.sign_in": (sign_in, "session.opened"),
    "Accounts.sign_out": (sign_out, "session.ended"),
    "Accounts.cancel": (cancel_account, "user.cancelled"),
    "Accounts.refresh": (reuse_refresh_token, "session.refresh_token_reused"),
    "Ownership.bind_by_code": (bind, "owner.bound"),
    "Ownership.bind_by_code, wrong": (guess, "owner.refused"),
    "Ownership.bind_by_device_key": (
        at_once(lambda s: ownership(s).bind_by_device_key(s.bob, *s.keys, None, "10.0.0.9")),
        "owner.bound",
    ),
    "Ownership.bind_by_serial": (bind_by_serial, "owner.bound"),
    "Ownership.bind_by_ble": (bind_by_ble, "owner.bound"),
    "Ownership.renew_auth_key": (
        at_once(lambda s: ownership(s).renew_auth_key(s.ann, *s.keys)),
        "device.auth_key_renewed",
    ),
    "Ownership.unbind": (at_once(lambda s: ownership(s).unbind(s.ann, *s.keys)), "owner.unbound"),
    "Ownership.rename": (at_once(lambda s: ownership(s).rename(s.ann, *s.keys, "hall")), "owner.renamed"),
    "Ownership.approve_re_enrolment": (
        at_once(lambda s: ownership(s).approve_re_enrolment(s.ann, *s.keys)),
        "device.re_enrolment_approved",
    ),
    "Sharing.invite": (at_once(invited), "share.invited"),
    "Sharing.invite_user": (invite_user, "share.invited"),
    "Sharing.accept": (accept, "share.accepted"),
    "Sharing.accept, wrong": (wrong_share_code, "share.refused"),
    "Sharing.set_expiry": (set_expiry, "share.prolonged"),
    "Sharing.rename": (rename_shared, "share.renamed"),
    "Sharing.cancel": (cancel_share, "share.cancelled"),
    "Sharing.leave": (leave_share, "share.left"),
    "Sharing.sweep": (expire_share, "share.expired"),
    "DeviceGate.connect, new": (enrol, "device.enrolled"),
    "DeviceGate.connect, again": (enrol_again, "device.enrolled"),
    "DeviceGate.connect, first use": (first_use, "device.activated"),
    "DeviceGate.connect, reset": (reset, "device.reset"),
    "DeviceGate.connect, reset with the secret": (reset_with_the_secret, "device.reset"),
    "DeviceGate.connect, phantom": (phantom, "device.enrolment_refused"),
    "Uplink.receive, code": (window, "window.opened"),
    "Uplink.receive, cancel": (cancel, "window.closed"),
    "Operators.create_product": (at_once(lambda s: s.world.product(name="other")), "product.created"),
    "Operators.import_model": (
        at_once(lambda s: operators(s).import_model(s.product.product_key, power_station(), OPERATOR)),
        "product.model_imported",
    ),
    "Operators.remove_model": (remove_model, "product.model_removed"),
    "Operators.change_product": (
        at_once(
            lambda s: operators(s).change_product(s.product.product_key, ProductChanges(re_enrol="locked"), OPERATOR)
        ),
        "product.changed",
    ),
    "Operators.set_product_domains": (
        at_once(lambda s: operators(s).set_product_domains(s.product.product_key, [s.domain.user_domain], OPERATOR)),
        "product.domains_set",
    ),
    "Operators.delete_product": (delete_product, "product.deleted"),
    "Operators.disable_device": (
        at_once(lambda s: operators(s).disable_device(*s.keys, OPERATOR)),
        "device.disabled",
    ),
    "Operators.enable_device": (enable, "device.enabled"),
    "Operators.approve_re_enrolment": (
        at_once(lambda s: operators(s).approve_re_enrolment(*s.keys, OPERATOR)),
        "device.re_enrolment_approved",
    ),
    "Operators.delete_device": (at_once(lambda s: operators(s).delete_device(*s.keys, OPERATOR)), "device.deleted"),
    "Operators.import_devices": (
        at_once(lambda s: operators(s).import_devices([_device(s.product.product_key)], OPERATOR)),
        "device.imported",
    ),
    "Operators.create_domain": (at_once(lambda s: s.world.domain("Other")), "domain.created"),
    "Operators.create_user": (at_once(lambda s: s.world.user(s.domain, "eve@example.com")), "user.registered"),
    "Operators.disable_user": (at_once(lambda s: operators(s).disable_user(s.bob.uid, OPERATOR)), "user.disabled"),
    "Operators.enable_user": (enable_user, "user.enabled"),
    "Operators.create_access_key": (
        at_once(lambda s: operators(s).create_access_key("other", OPERATOR)),
        "access_key.created",
    ),
    "Operators.revoke_access_key": (
        at_once(lambda s: operators(s).revoke_access_key(s.key.id, OPERATOR)),
        "access_key.revoked",
    ),
}
# What changes nothing, and what changes nobody's rights: a mail code on its way, a refresh token exchanged as it
# should be.
NO_CHANGES = {
    "Accounts": {"send_email_code", "authenticate", "signed_in", "pace", "user_info"},
    # What an App says of when it last used BLE is shown to that user alone, and a BLE code lives in memory.
    "Ownership": {
        *("may_bind", "devices", "device", "shared_device", "auth_key", "audit"),
        *("make_ble_code", "reset_credentials", "note_ble_use"),
    },
    "Sharing": {"shared_with", "start", "close"},
    # What a user has a device do changes nobody's rights: it is counted in /metrics.
    "Control": {"ask", "batch", "give_up_unanswered", "start", "close"},
    "Operators": {
        *("access_keys", "audit", "authenticate", "device", "devices", "domains", "export_audit", "local_key"),
        *("model", "product", "products", "users", "verify_audit"),
    },
}


@pytest.mark.parametrize("service", [Accounts, Ownership, Sharing, Control, Operators])
def test_every_method_of_a_service_is_known_to_change_something_or_not_to(service: type) -> None:
    methods = {name for name, _ in inspect.getmembers(service, inspect.isfunction) if not name.startswith("_")}

    changing = {name.partition(".")[2].partition(",")[0] for name in CHANGES if name.startswith(service.__name__ + ".")}
    assert methods == changing | NO_CHANGES[service.__name__]


@pytest.mark.parametrize("name", CHANGES)
async def test_a_change_leaves_exactly_one_entry_and_no_secret(world: World, name: str) -> None:
    prepare, action = CHANGES[name]
    scene = await Scene(world).set()
    deed = await prepare(scene)
    before = len(await world.actions())

    with contextlib.suppress(Rejected):
        await deed(scene)

    assert (await world.actions())[before:] == [action]
    text = json.dumps([entry.details for entry in (await operators(scene).audit(1, 100)).items])
    text += repr((await operators(scene).audit(1, 100)).items)
    auth_key = world.center.storage.read(lambda tx: tx.devices.auth_key(scene.entry.id))
    for secret in scene.secrets | {auth_key.reveal() if isinstance(auth_key, Secret) else CODE}:
        assert secret not in text


async def test_what_changes_nothing_leaves_no_entry(world: World) -> None:
    scene = await Scene(world).set()
    await operators(scene).disable_device(*scene.keys, OPERATOR)
    await operators(scene).revoke_access_key(scene.key.id, OPERATOR)
    before = await world.actions()

    await operators(scene).disable_device(*scene.keys, OPERATOR)
    await operators(scene).revoke_access_key(scene.key.id, OPERATOR)
    with pytest.raises(Exception, match="5052"):
        await ownership(scene).unbind(scene.bob, *scene.keys)
    with pytest.raises(Exception, match="5041"):
        await ownership(scene).rename(scene.bob, *scene.keys, "mine")

    assert await world.actions() == before


# --- what an owner sees


@pytest.mark.parametrize(
    ("who", "seen", "peer"),
    [
        ("user C10001", "you", "1.1.1.1"),
        ("user C10002", "another user", ""),
        ("user C100011", "another user", ""),
        ("operator olga", "operator", ""),
        ("device", "device", ""),
        ("center", "center", ""),
    ],
)
def test_an_owner_sees_nobody_elses_name_or_address(who: str, seen: str, peer: str) -> None:
    details = {"uid": "C10002", "lost_owners": ["C10003"], "email": "x@example.com", "seconds": 120, "epoch": 3}
    entry = AuditEntry(at=1, who=who, action="owner.replaced", peer="1.1.1.1", details=details)

    shown = seen_by_owner(entry, "C10001")

    assert (shown.who, shown.peer, shown.details) == (seen, peer, {"seconds": 120})


async def test_an_owner_sees_what_happened_since_the_binding_began(world: World) -> None:
    scene = await Scene(world).set()
    await ownership(scene).rename(scene.ann, *scene.keys, "hall")
    await ownership(scene).unbind(scene.ann, *scene.keys)
    await world.report(scene.entry)
    await world.bind(scene.bob, scene.entry)
    await phantom_enrolment(world, scene)

    page = await ownership(scene).audit(scene.bob, *scene.keys)

    assert [(entry.who, entry.action) for entry in page.items] == [
        ("device", "device.enrolment_refused"),
        ("you", "owner.bound"),
    ]
    assert page.total_count == 2


async def phantom_enrolment(world: World, scene: Scene) -> None:
    await world.enrol(scene.product, "D1")
    await world.actions()


async def test_a_second_binding_of_a_user_does_not_bring_the_time_between_back(world: World) -> None:
    scene = await Scene(world).set()
    await ownership(scene).unbind(scene.ann, *scene.keys)
    await world.report(scene.entry)
    await world.bind(scene.bob, scene.entry)
    await ownership(scene).rename(scene.bob, *scene.keys, "secret place")
    await ownership(scene).unbind(scene.bob, *scene.keys)
    await world.report(scene.entry)
    await world.bind(scene.ann, scene.entry)

    page = await ownership(scene).audit(scene.ann, *scene.keys)

    assert [(entry.who, entry.action) for entry in page.items] == [("you", "owner.bound")]


async def test_owners_of_one_device_see_each_other_only_as_another_user(world: World) -> None:
    scene = await Scene(world).set()
    await world.report(scene.entry)
    await world.bind(scene.bob, scene.entry, peer="203.0.113.5")

    page = await ownership(scene).audit(scene.ann, *scene.keys)

    assert ("another user", "owner.bound", "") in [(entry.who, entry.action, entry.peer) for entry in page.items]
    assert "203.0.113.5" not in repr(page.items)
    assert scene.bob.uid not in repr(page.items)


async def test_a_member_sees_nothing_of_it(world: World) -> None:
    scene = await Scene(world).set()
    await shared(scene)

    with pytest.raises(Exception, match="5052"):
        await ownership(scene).audit(scene.bob, *scene.keys)
    assert scene.bob.uid not in repr((await ownership(scene).audit(scene.ann, *scene.keys)).items)


class Slow:
    """Storage whose long reads end when something else has happened."""

    def __init__(self, storage: Any, happens: Callable[[], Awaitable[object]]) -> None:
        self._storage, self._happens = storage, happens

    def __getattr__(self, name: str) -> Any:
        return getattr(self._storage, name)

    async def scan(self, work: Callable[[Any], Any]) -> Any:
        found = await self._storage.scan(work)
        await self._happens()
        return found


async def test_whoever_loses_the_device_while_it_is_read_sees_nothing(world: World) -> None:
    scene = await Scene(world).set()
    desk = ownership(scene)
    storage = desk._storage
    desk._storage = Slow(storage, lambda: desk.unbind(scene.ann, *scene.keys))  # type: ignore[assignment]

    with pytest.raises(Exception, match="5052"):
        await desk.audit(scene.ann, *scene.keys)
    desk._storage = storage


async def test_whoever_has_lost_the_device_sees_nothing(world: World) -> None:
    scene = await Scene(world).set()
    await ownership(scene).unbind(scene.ann, *scene.keys)

    for who in (scene.ann, scene.bob):
        with pytest.raises(Exception, match="5052"):
            await ownership(scene).audit(who, *scene.keys)


# --- tampering


ENTRIES = 12


@pytest_asyncio.fixture
async def kept(tmp_path: Path) -> AsyncIterator[Path]:
    """A data directory whose server has ended, with some entries."""
    data = tmp_path / "data"
    world = await World.open(data)
    for number in range(ENTRIES):
        await world.product(name=f"lamp {number}")
    await world.center.close()
    yield data


async def verified(data: Path, noted: tuple[int, str] = (0, "")) -> str | None:
    world = await World.open(data)
    try:
        return (await world.center.operators.verify_audit(*noted)).problem
    finally:
        await world.center.close()


def tamper(data: Path, *statements: str) -> None:
    connection = sqlite3.connect(data / "quecbind.db")
    for statement in statements:
        connection.execute(statement)
    connection.commit()
    connection.close()


_COPY = "seq + 1, at, who, action, result, product_key, device_key, peer, details, hash"
TAMPERED = {
    "at": "UPDATE audit SET at = at + 1 WHERE seq = 5",
    "who": "UPDATE audit SET who = 'operator mallory' WHERE seq = 5",
    "action": "UPDATE audit SET action = 'product.deleted' WHERE seq = 5",
    "result": "UPDATE audit SET result = 'refused 1' WHERE seq = 5",
    "product_key": "UPDATE audit SET product_key = NULL WHERE seq = 5",
    "device_key": "UPDATE audit SET device_key = 'D1' WHERE seq = 5",
    "peer": "UPDATE audit SET peer = '10.6.6.6' WHERE seq = 5",
    "details": "UPDATE audit SET details = '{}' WHERE seq = 5",
    "hash": f"UPDATE audit SET hash = zeroblob(32) WHERE seq = {ENTRIES}",
    "first removed": "DELETE FROM audit WHERE seq = 1",
    "one removed": "DELETE FROM audit WHERE seq = 5",
    "last removed": f"DELETE FROM audit WHERE seq = {ENTRIES}",
    "many cut off": "DELETE FROM audit WHERE seq > 5",
    "all removed": "DELETE FROM audit",
    "moved": "UPDATE audit SET seq = 99 WHERE seq = 5",
    "one more": f"INSERT INTO audit SELECT {_COPY} FROM audit WHERE seq = {ENTRIES}",
    "head removed": "DELETE FROM audit_head",
    "head changed": "UPDATE audit_head SET hash = zeroblob(32)",
}


async def test_a_log_that_nobody_touched_is_whole(kept: Path) -> None:
    assert await verified(kept) is None


@pytest.mark.parametrize("how", TAMPERED)
async def test_what_is_done_to_the_file_shows(kept: Path, how: str) -> None:
    tamper(kept, TAMPERED[how])

    assert await verified(kept) is not None


async def test_two_entries_that_changed_places_show(kept: Path) -> None:
    tamper(
        kept,
        "UPDATE audit SET seq = 99 WHERE seq = 5",
        "UPDATE audit SET seq = 5 WHERE seq = 6",
        "UPDATE audit SET seq = 6 WHERE seq = 99",
    )

    assert await verified(kept) == "entry 5 was changed, or the one before it"


async def test_a_cut_with_the_head_moved_along_shows(kept: Path) -> None:
    tamper(
        kept,
        "DELETE FROM audit WHERE seq > 5",
        "UPDATE audit_head SET seq = 5, hash = (SELECT hash FROM audit WHERE seq = 5)",
    )

    assert await verified(kept) is not None


async def test_a_chain_that_is_made_anew_without_the_master_key_shows(kept: Path) -> None:
    connection = sqlite3.connect(kept / "quecbind.db")
    rows = connection.execute(
        "SELECT at, who, action, result, product_key, device_key, peer, details FROM audit ORDER BY seq"
    ).fetchall()
    before = ChainHead(0, FIRST_HASH)
    for at, who, action, result, product_key, device_key, peer, details in rows:
        entry = AuditEntry(
            at=at,
            who="operator mallory" if before.seq == 4 else who,
            action=action,
            result=result,
            product_key=product_key,
            device_key=device_key,
            peer=peer,
            details=json.loads(details),
        )
        chained = chain(before, entry)
        connection.execute("UPDATE audit SET who = ?, hash = ? WHERE seq = ?", (entry.who, chained.hash, chained.seq))
        before = ChainHead(chained.seq, chained.hash)
    connection.execute("UPDATE audit_head SET hash = ?", (before.hash,))
    connection.commit()
    connection.close()

    assert await verified(kept) is not None


async def test_a_directory_put_back_to_an_earlier_state_shows_against_what_was_noted(
    kept: Path, tmp_path: Path
) -> None:
    shutil.copytree(kept, tmp_path / "earlier")
    world = await World.open(kept)
    await world.product()
    check = await world.center.operators.verify_audit()
    await world.center.close()
    noted = (check.entry_count, check.last_hash)

    assert await verified(kept, noted) is None
    assert await verified(tmp_path / "earlier") is None
    assert (
        await verified(tmp_path / "earlier", noted)
        == f"the log ends at entry {ENTRIES}, but entry {noted[0]} was noted"
    )
    world = await World.open(tmp_path / "earlier")
    await world.product()
    await world.center.close()
    assert await verified(tmp_path / "earlier", noted) == f"entry {noted[0]} is not the one whose hash was noted"


# --- export


async def test_a_growing_log_is_exported_once_and_in_order(world: World) -> None:
    for number in range(7):
        await world.product(name=f"lamp {number}")
    seen, after = [], 0
    while piece := (await world.center.operators.export_audit(after, count=3)).items:
        seen += [entry.seq for entry in piece]
        after = piece[-1].seq
        if len(seen) == 6:
            await world.product(name="late")

    assert seen == list(range(1, 9))


async def test_an_export_begins_at_a_time_and_leaves_nothing_out_behind_it(world: World) -> None:
    for _ in range(4):
        await world.product()
        world.clock.move(10)
    began = int(world.clock.now() * 1000) - 20_000
    world.clock.set(world.clock.now() - 3600)
    await world.product()

    export = await world.center.operators.export_audit(since=began)

    # The last one is earlier by its clock, which was set back, and still behind the others.
    assert [entry.seq for entry in export.items] == [3, 4, 5]
    assert export.last_seq == 5
    assert (await world.center.operators.export_audit(since=began + 10**9)).items == []
