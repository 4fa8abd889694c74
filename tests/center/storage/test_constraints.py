"""What the database refuses by itself, whatever the code above it does. Raw SQL on purpose."""

import sqlite3

import pytest

from quecbind.center.services.errors import StorageError
from quecbind.center.services.records import LastValue
from tests.center.storage.rows import fill, owner, user

INSERT = (
    "INSERT INTO owners (device_id, product_key, bind_mode, uid, user_domain, epoch, device_name, capabilities,"
    " binding_type, bound_at) VALUES (?, 'p1115X', ?, ?, ?, ?, 'lamp', 0, 2, 1)"
)


async def raw(storage, tmp_path) -> sqlite3.Connection:
    connection = sqlite3.connect(tmp_path / "data" / "quecbind.db", isolation_level=None)
    connection.execute("PRAGMA foreign_keys = ON")
    return connection


@pytest.mark.parametrize("mode", ["single", "alternate"])
async def test_two_owners_of_one_user_domain_are_impossible(storage, tmp_path, mode) -> None:
    device, ann, bob = await storage.transact(lambda tx: fill(tx, mode))
    connection = await raw(storage, tmp_path)
    connection.execute(INSERT, (device.id, mode, ann, "Q.DM.10001.1", 1))

    with pytest.raises(sqlite3.IntegrityError, match="UNIQUE"):
        connection.execute(INSERT, (device.id, mode, bob, "Q.DM.10001.1", 1))

    assert connection.execute("SELECT uid FROM owners").fetchall() == [(ann,)]
    connection.close()


async def test_second_owner_cannot_come_in_under_another_mode_than_the_products(storage, tmp_path) -> None:
    device, ann, bob = await storage.transact(lambda tx: fill(tx, "single"))
    connection = await raw(storage, tmp_path)
    connection.execute(INSERT, (device.id, "single", ann, "Q.DM.10001.1", 1))

    with pytest.raises(sqlite3.IntegrityError, match="FOREIGN KEY"):
        connection.execute(INSERT, (device.id, "multi", bob, "Q.DM.10001.1", 1))
    with pytest.raises(sqlite3.IntegrityError, match="FOREIGN KEY"):
        connection.execute("UPDATE owners SET bind_mode = 'multi'")
    connection.close()


async def test_owner_cannot_claim_another_user_domain_than_the_users(storage, tmp_path) -> None:
    device, ann, _bob = await storage.transact(lambda tx: fill(tx, "single"))
    connection = await raw(storage, tmp_path)

    with pytest.raises(sqlite3.IntegrityError, match="FOREIGN KEY"):
        connection.execute(INSERT, (device.id, "single", ann, "Q.DM.666.1", 1))
    connection.close()


async def test_bind_mode_cannot_change_while_a_device_is_bound(storage, tmp_path) -> None:
    device, ann, _bob = await storage.transact(lambda tx: fill(tx, "multi"))
    await storage.transact(lambda tx: tx.owners.insert(owner(device.id, ann)))
    connection = await raw(storage, tmp_path)

    with pytest.raises(sqlite3.IntegrityError, match="FOREIGN KEY"):
        connection.execute("UPDATE products SET bind_mode = 'single'")
    connection.close()


async def test_epoch_cannot_grow_while_anyone_owns_the_device(storage, tmp_path) -> None:
    device, ann, _bob = await storage.transact(fill)
    await storage.transact(lambda tx: tx.owners.insert(owner(device.id, ann)))
    connection = await raw(storage, tmp_path)

    with pytest.raises(sqlite3.IntegrityError, match="FOREIGN KEY"):
        connection.execute("UPDATE devices SET epoch = epoch + 1")
    with pytest.raises(sqlite3.IntegrityError, match="FOREIGN KEY"):
        connection.execute("DELETE FROM devices")
    connection.close()


async def test_owner_of_an_earlier_epoch_is_impossible(storage) -> None:
    device, ann, _bob = await storage.transact(fill)

    with pytest.raises(StorageError, match="FOREIGN KEY"):
        await storage.transact(lambda tx: tx.owners.insert(owner(device.id, ann, epoch=0)))


async def test_what_a_device_reported_goes_with_its_last_owner(storage, tmp_path) -> None:
    device, ann, bob = await storage.transact(fill)
    connection = await raw(storage, tmp_path)
    for uid in (ann, bob):
        connection.execute(INSERT, (device.id, "multi", uid, "Q.DM.10001.1", 1))
    value = LastValue(property_id=1, field=b"x")
    await storage.transact(lambda tx: tx.values.merge(device.id, 1, 5, [value]))
    await storage.transact(lambda tx: tx.values.append(device.id, 1, 5, b"x", 9))

    def left() -> tuple[int, int]:
        return storage.read(
            lambda tx: (len(tx.values.of_device(device.id, 0)), tx.values.page(device.id, 0, 9, 0, 9)[1])
        )

    connection.execute("DELETE FROM owners WHERE uid = ?", (ann,))
    assert left() == (1, 1)
    connection.execute("DELETE FROM owners WHERE uid = ?", (bob,))
    assert left() == (0, 0)
    connection.close()


async def test_nothing_is_stored_of_an_earlier_epoch(storage) -> None:
    device, *_ = await storage.transact(fill)
    value = LastValue(property_id=1, field=b"x")

    assert not await storage.transact(lambda tx: tx.values.merge(device.id, 0, 5, [value]))
    assert await storage.transact(lambda tx: tx.values.merge(device.id, 1, 5, [value]))
    await storage.transact(lambda tx: tx.devices.owe_reset(device.id))

    assert not await storage.transact(lambda tx: tx.values.merge(device.id, 1, 6, [value]))
    assert storage.read(lambda tx: tx.values.of_device(device.id, 0)) == []


async def test_multi_mode_takes_two_owners_and_one_user_once(storage) -> None:
    device, ann, bob = await storage.transact(fill)
    await storage.transact(lambda tx: tx.owners.insert(owner(device.id, ann)))
    await storage.transact(lambda tx: tx.owners.insert(owner(device.id, bob)))

    with pytest.raises(StorageError, match="UNIQUE"):
        await storage.transact(lambda tx: tx.owners.insert(owner(device.id, ann)))

    assert {one.uid for one in storage.read(lambda tx: tx.owners.of_device(device.id))} == {ann, bob}


async def test_address_is_registered_once_in_a_user_domain(storage) -> None:
    await storage.transact(fill)

    with pytest.raises(StorageError, match="UNIQUE"):
        await storage.transact(lambda tx: tx.users.insert(user()))


async def test_first_user_is_c10001(storage) -> None:
    _device, ann, bob = await storage.transact(fill)

    assert (ann, bob) == ("C10001", "C10002")
