"""Upgrades lose nothing: a database of every earlier revision, with rows in every table, comes to the head whole."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from alembic.script import ScriptDirectory

from quecbind.center.domain.control import Command, Keep
from quecbind.center.services.errors import Rejected
from quecbind.center.services.rights import right_of
from quecbind.center.services.views import DeviceImport, SignedIn
from quecbind.center.storage import schema
from quecbind.testing.clock import FakeClock
from quecbind.wire import commands
from tests.center.domain.power_station import power_station
from tests.center.services.test_ble_binding import Tag, bind
from tests.center.services.world import OPERATOR, World

REVISIONS = sorted(script.revision for script in ScriptDirectory(str(schema.MIGRATIONS)).walk_revisions())

# Columns that a later revision has dropped, and what they held, in SQL about the row `t` of the same table.
DROPPED = {
    ("shares", "epoch"): "(SELECT o.epoch FROM owners o WHERE o.device_id = t.device_id AND o.uid = t.owner_uid)"
}


@pytest_asyncio.fixture
async def head(tmp_path: Path) -> Path:
    """A data directory of now, with something in every table: Ann's device is shared with Bob, and more."""
    path = tmp_path / "head"
    world = await World.open(path)
    center = world.center
    domain = await world.domain()
    ann, bob = await world.user(domain), await world.user(domain, "bob@example.com")
    entry = await world.device(await world.product(name="shared"))
    await world.report(entry)
    await world.bind(ann, entry)
    keys = entry.product_key, entry.device_key
    now_ms = round(world.clock.now() * 1000)
    for expires in (None, now_ms + 3_600_000):
        code = await center.sharing.invite(ann, *keys, now_ms + 1000, expires, 2, "10.0.0.1")
        await center.sharing.accept(bob, code.reveal(), "Bob's", "10.0.0.2")
    await center.sharing.invite(ann, *keys, now_ms + 60_000, None, 1, "10.0.0.1")

    await center.operators.import_model(entry.product_key, power_station(), OPERATOR)
    assert await world.frame(entry, commands.TSL_REPORT, [(1, 80)])
    assert await world.frame(entry, commands.STATUS_REPORT, [(1, 99)])
    await center.control.batch(ann, Command("raw", raw=b"later", keep=Keep(3600)), [keys])

    listed = await world.product(name="listed", ble_only=True)
    await bind(world, domain, ann, Tag(listed))
    await center.operators.set_product_domains(listed.product_key, [ann.user_domain], OPERATOR)
    await center.operators.import_devices(
        [DeviceImport(product_key=entry.product_key, device_key="I1", serial="SN-1")], OPERATOR
    )
    await center.operators.create_access_key("factory", OPERATOR)
    await center.accounts.send_email_code("new@example.com", 1, ann.user_domain, "10.0.0.3")
    await center.storage.transact(lambda tx: tx.devices.use_proof(tx.devices.get(entry.client_id).id, bytes(8)))
    user = center.storage.read(lambda tx: tx.users.get(ann.uid))
    await center.accounts._open_session(user, "10.0.0.1")
    await center.close()
    return path


def tables(connection: sqlite3.Connection, name: str = "main") -> Iterator[str]:
    found = connection.execute(f"SELECT name FROM {name}.sqlite_schema WHERE type = 'table' ORDER BY name")
    return (row[0] for row in found if row[0] not in ("alembic_version", "sqlite_sequence"))


def columns(connection: sqlite3.Connection, table: str, name: str = "main") -> list[str]:
    return [row[1] for row in connection.execute(f"PRAGMA {name}.table_info({table})")]


def rows(database: Path, table: str, of: list[str]) -> list[Any]:
    connection = sqlite3.connect(database)
    try:
        return sorted(connection.execute(f"SELECT {', '.join(of)} FROM {table}").fetchall(), key=repr)
    finally:
        connection.close()


def go_back(head: Path, database: Path, revision: str) -> dict[str, list[str]]:
    """Make a database of `revision` that holds what the one of the head does; gives what was taken over."""
    schema._upgrade(database, revision)
    connection = sqlite3.connect(database, isolation_level=None)
    connection.execute("ATTACH ? AS head", (str(head / "quecbind.db"),))
    taken = {}
    for table in tables(connection):
        present = columns(connection, table, "head")
        own = [name for name in columns(connection, table) if name in present or (table, name) in DROPPED]
        values = [f"t.{name}" if name in present else DROPPED[table, name] for name in own]
        connection.execute(f"DELETE FROM {table}")
        # What a dropped column held is worked out within the attached database.
        selected = f"SELECT {', '.join(values)} FROM head.{table} t".replace("FROM owners o", "FROM head.owners o")
        connection.execute(f"INSERT INTO {table} ({', '.join(own)}) {selected}")
        taken[table] = [name for name in own if name in present]
    assert connection.execute("PRAGMA main.foreign_key_check").fetchall() == []
    connection.close()
    return taken


def test_the_database_that_is_upgraded_has_rows_in_every_table(head: Path) -> None:
    connection = sqlite3.connect(head / "quecbind.db")
    empty = [name for name in tables(connection) if not connection.execute(f"SELECT 1 FROM {name}").fetchone()]
    connection.close()

    assert empty == []


@pytest.mark.parametrize("revision", REVISIONS[:-1])
async def test_an_upgrade_keeps_every_row_and_every_right(head: Path, tmp_path: Path, revision: str) -> None:
    data = tmp_path / "data"
    shutil.copytree(head, data, ignore=shutil.ignore_patterns("quecbind.db*", "lock"))
    database = data / "quecbind.db"
    taken = go_back(head, database, revision)

    assert schema.migrate(database)

    for table, of in taken.items():
        assert rows(database, table, of) == rows(head / "quecbind.db", table, of), table
    connection = sqlite3.connect(database)
    assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
    assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    connection.close()
    await check_rights(data, has_shares="shares" in taken)


async def test_a_status_of_before_the_upgrade_is_the_operators_until_it_is_told_again(
    head: Path, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    shutil.copytree(head, data, ignore=shutil.ignore_patterns("quecbind.db*", "lock"))
    go_back(head, data / "quecbind.db", "0008")

    world = await World.open(data)
    center = world.center
    shared = next(one.product_key for one in (await center.operators.products()).items if one.name == "shared")
    ann, bob = (await center.operators.users()).items[:2]
    entry = center.registry.entry(f"qd{shared}D1")
    assert entry is not None

    async def shown() -> list[dict[str, object] | None]:
        return [(await center.device_data.attributes(who, shared, "D1")).status for who in (ann, bob)]

    assert (await world.look(entry)).status == {"1": 99}
    assert await shown() == [{}, {}]
    assert await world.frame(entry, commands.STATUS_REPORT, [(1, 99)])
    assert await shown() == [{"1": 99}, {"1": 99}]
    await center.close()


async def test_owners_of_before_the_upgrade_have_brought_no_code(head: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    shutil.copytree(head, data, ignore=shutil.ignore_patterns("quecbind.db*", "lock"))
    go_back(head, data / "quecbind.db", "0009")

    world = await World.open(data)
    center = world.center
    shared = next(one.product_key for one in (await center.operators.products()).items if one.name == "shared")
    ann = (await center.operators.users()).items[0]
    entry = center.registry.entry(f"qd{shared}D1")
    assert entry is not None

    assert center.storage.read(lambda tx: tx.owners.used_code(entry.id, ann.uid)) is None
    with pytest.raises(Rejected) as raised:
        await world.bind(ann, entry)
    assert raised.value.code == 5460
    await world.report(entry)
    assert not (await world.bind(ann, entry)).is_new
    assert center.storage.read(lambda tx: tx.owners.used_code(entry.id, ann.uid)) is not None
    await center.close()


async def test_a_binding_of_before_the_upgrade_has_the_capabilities_of_its_product(head: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    shutil.copytree(head, data, ignore=shutil.ignore_patterns("quecbind.db*", "lock"))
    go_back(head, data / "quecbind.db", "0009")
    connection = sqlite3.connect(data / "quecbind.db", isolation_level=None)
    connection.execute("UPDATE owners SET capabilities = 0")
    connection.close()

    world = await World.open(data)
    ann = (await world.center.operators.users()).items[0]
    who = SignedIn(ann.uid, ann.user_domain, "no session")
    shown = {one.product_name: one.capabilities for one in (await world.center.ownership.devices(who)).items}
    await world.center.close()

    assert shown == {"shared": 3, "listed": 4}


async def check_rights(data: Path, *, has_shares: bool) -> None:
    """The services find everything, and the seals fit."""
    world = await World.open(data, clock=FakeClock())
    center = world.center
    products = {product.name: product for product in (await center.operators.products()).items}
    shared = products["shared"].product_key
    ann, bob = (await center.operators.users()).items[:2]
    name, now_ms = f"qd{shared}D1", round(world.clock.now() * 1000)
    rights = [center.storage.read(lambda tx, who=who: right_of(tx, who.uid, name, now_ms)) for who in (ann, bob)]

    assert rights == ["owner", "member" if has_shares else None]
    if has_shares:
        device = center.storage.read(lambda tx: tx.devices.get(name))
        shares = center.storage.read(lambda tx: tx.shares.of_owner(device.id, ann.uid))
        assert [(share.member_uid, len(share.code.reveal())) for share in shares] == [
            (bob.uid, 32),
            (bob.uid, 32),
            (None, 32),
        ]
    assert products["shared"].allow_sharing
    assert (await center.operators.verify_audit()).problem is None
    await center.close()
