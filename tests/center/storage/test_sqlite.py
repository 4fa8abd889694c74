"""Rows come back as they went in; secrets do not stand in the file; a second process stays out."""

import dataclasses

import pytest

from quecbind.center.domain.audit import AuditEntry, find_break
from quecbind.center.domain.binding import Window
from quecbind.center.domain.ids import Secret
from quecbind.center.services.errors import StorageError
from quecbind.center.services.records import EmailCode, Presence, Session, SigningKey
from quecbind.center.services.views import DeviceFilter
from quecbind.center.storage.opening import open_storage
from tests.center.storage.rows import (
    DEVICE_SECRET,
    DOMAIN,
    DOMAIN_SECRET,
    PK,
    PRODUCT_SECRET,
    device,
    domain,
    fill,
    owner,
    product,
)


async def test_product_comes_back_as_it_went_in(storage) -> None:
    wanted = product(
        bind_mode="alternate",
        re_enrol="locked",
        device_limit=7,
        default_window_s=4_294_967_295,
        allow_device_key_binding=True,
        static_secrets=True,
        dynamic_enrolment=False,
        replay_strict=True,
        created_at=5,
    )
    await storage.transact(lambda tx: tx.products.insert(wanted))

    assert storage.read(lambda tx: tx.products.get(PK)) == wanted
    assert storage.read(lambda tx: list(tx.products.all())) == [wanted]


async def test_device_comes_back_as_it_went_in(storage) -> None:
    await storage.transact(lambda tx: tx.products.insert(product()))
    stored = await storage.transact(lambda tx: tx.devices.insert(device(is_active=True, epoch=3, generation=4)))

    assert storage.read(lambda tx: tx.devices.get("qdp1115XD1")) == stored
    assert storage.read(lambda tx: tx.devices.get("qdp1115XD2")) is None


async def test_issuing_a_secret_leaves_nothing_of_the_earlier_life(storage) -> None:
    def earlier(tx):
        stored, ann, _bob = fill(tx)
        tx.devices.activate(stored.id, 1)
        tx.devices.open_window(stored.id, 1, Window(b"mac", 99, 9), Secret("BIND"))
        tx.devices.set_auth_key(stored.id, Secret("AUTH"))
        tx.devices.approve_until(stored.id, 99)
        tx.owners.insert(owner(stored.id, ann))
        return stored

    stored = await storage.transact(earlier)

    def reset(tx):
        lost = tx.owners.delete_all(stored.id)
        return lost, tx.devices.issue(stored.id, Secret("N" * 32), 7), tx.devices.auth_key(stored.id)

    lost, issued, auth_key = await storage.transact(reset)

    assert [one.uid for one in lost] == ["C10001"]
    assert (issued.epoch, issued.generation, issued.is_active) == (2, 2, False)
    left = issued.bind_code_mac, issued.bind_window_opened_at, issued.bind_window_end, issued.approved_until, auth_key
    assert left == (None, None, None, None, None)
    assert issued.device_secret == Secret("N" * 32)


async def test_secret_cannot_be_issued_while_anyone_owns_the_device(storage) -> None:
    def bound(tx):
        stored, ann, _bob = fill(tx)
        tx.owners.insert(owner(stored.id, ann))
        return stored

    stored = await storage.transact(bound)

    with pytest.raises(StorageError, match="FOREIGN KEY"):
        await storage.transact(lambda tx: tx.devices.issue(stored.id, Secret("N" * 32), 7))


async def test_news_of_an_earlier_epoch_or_generation_change_nothing(storage) -> None:
    stored, _ann, _bob = await storage.transact(fill)
    results = await storage.transact(
        lambda tx: (
            tx.devices.activate(stored.id, 2),
            tx.devices.open_window(stored.id, 2, Window(b"mac", 9, 1), None),
            tx.devices.close_window(stored.id, 2),
            tx.devices.merge_status(stored.id, 2, 9, '{"1": 1}'),
            tx.devices.merge_info(stored.id, 2, 9, '{"1": 1}'),
        )
    )

    assert results == (False,) * 5
    assert storage.read(lambda tx: tx.devices.row(stored.client_id)).facts.status == {}
    assert storage.read(lambda tx: tx.devices.get(stored.client_id)) == stored


async def test_device_limit_counts_in_the_database(storage) -> None:
    await storage.transact(lambda tx: tx.products.insert(product(device_limit=2)))
    taken = await storage.transact(lambda tx: [tx.products.take_place(PK) for _ in range(3)])

    assert taken == [True, True, False]
    assert await storage.transact(lambda tx: tx.products.take_place(PK, 0))
    assert storage.read(lambda tx: tx.products.get(PK)).device_count == 2


async def test_status_is_merged_id_by_id(storage) -> None:
    stored, _ann, _bob = await storage.transact(fill)
    await storage.transact(lambda tx: tx.devices.merge_status(stored.id, 1, 8, '{"1": 100, "2": 3.3}'))
    await storage.transact(lambda tx: tx.devices.merge_status(stored.id, 1, 9, '{"2": 3.1}'))

    assert storage.read(lambda tx: tx.devices.row(stored.client_id)).facts.status == {"1": 100, "2": 3.1}


async def test_each_status_value_is_held_against_the_moment_it_was_told(storage) -> None:
    stored, ann, _bob = await storage.transact(fill)
    await storage.transact(lambda tx: tx.owners.insert(dataclasses.replace(owner(stored.id, ann), bound_at=9)))
    await storage.transact(lambda tx: tx.devices.merge_status(stored.id, 1, 8, '{"1": 100, "2": 3.3, "3": 5}'))
    await storage.transact(lambda tx: tx.devices.merge_status(stored.id, 1, 9, '{"2": 3.1}'))

    held = storage.read(lambda tx: tx.owners.held(ann, stored.client_id, 10))
    (listed,), _ = storage.read(lambda tx: tx.owners.page_held(ann, DeviceFilter(), 0, 10, 10))

    assert held.held_since == 9
    assert held.facts.status == listed.facts.status == {"2": 3.1}


@pytest.mark.parametrize(("told_at", "is_shown"), [(1_000_000, True), (999_999, False), (1_600_001, True)])
async def test_the_first_owner_has_what_was_told_within_ten_minutes_before(storage, told_at, is_shown) -> None:
    stored, ann, bob = await storage.transact(fill)

    def bind(tx):
        tx.devices.merge_status(stored.id, 1, told_at, '{"1": 100}')
        for uid, at in ((ann, 1_600_000), (bob, 1_600_001)):
            tx.owners.insert(dataclasses.replace(owner(stored.id, uid), bound_at=at))
        return [tx.owners.held(uid, stored.client_id, 2_000_000).facts.status for uid in (ann, bob)]

    assert await storage.transact(bind) == [{"1": 100} if is_shown else {}, {"1": 100} if told_at > 1_600_000 else {}]


async def test_a_list_of_devices_is_one_statement_however_long_it_is(storage) -> None:
    def many(tx):
        stored, ann, bob = fill(tx)
        more = tx.devices.insert_many(device(f"E{number}") for number in range(50))
        for each in (stored, *more):
            tx.owners.insert(owner(each.id, ann))
        return ann, bob

    ann, _bob = await storage.transact(many)
    asked = []

    def look(tx):
        tx.owners._connection.set_trace_callback(asked.append)
        try:
            return tx.owners.page_held(ann, DeviceFilter(), 0, 100, 10)
        finally:
            tx.owners._connection.set_trace_callback(None)

    rows, count = storage.read(look)

    assert len(rows) == count == 51
    assert len([each for each in asked if each.lstrip().startswith("SELECT")]) == 2  # the page, and the count


async def test_presence_keeps_what_it_is_not_told(storage) -> None:
    stored, _ann, _bob = await storage.transact(fill)
    first = Presence(device_id=stored.id, last_online_at=5, last_offline_at=None, last_address="a", recent_randoms=b"r")
    second = dataclasses.replace(first, last_online_at=None, last_offline_at=6, recent_randoms=None)
    await storage.transact(lambda tx: tx.devices.save_presence([first]))
    await storage.transact(lambda tx: tx.devices.save_presence([second]))

    row = storage.read(lambda tx: tx.devices.row(stored.client_id))
    assert (row.facts.last_online_at, row.facts.last_offline_at, row.device.recent_randoms) == (5, 6, b"r")


async def test_read_sees_what_is_committed_and_cannot_write(storage) -> None:
    await storage.transact(lambda tx: tx.products.insert(product()))

    assert storage.read(lambda tx: tx.products.get(PK)) is not None
    with pytest.raises(StorageError, match=r"readonly|read-only"):
        storage.read(lambda tx: tx.products.delete(PK))


async def test_everything_is_there_after_opening_again(tmp_path) -> None:
    storage = open_storage(tmp_path / "data")
    stored, _ann, _bob = await storage.transact(fill)
    await storage.close()

    again = open_storage(tmp_path / "data")
    assert again.read(lambda tx: tx.devices.get(stored.client_id)) == stored
    assert again.read(lambda tx: tx.products.get(PK)) == product()
    await again.close()


async def test_closed_storage_says_so(tmp_path) -> None:
    storage = open_storage(tmp_path / "data")
    await storage.close()
    await storage.close()

    with pytest.raises(StorageError):
        storage.read(lambda tx: tx.products.get(PK))
    with pytest.raises(StorageError, match="closed"):
        await storage.transact(fill)


async def test_no_secret_stands_in_any_file_of_the_directory(tmp_path) -> None:
    storage = open_storage(tmp_path / "data")
    mac = storage.mac("bind code", "p1115X", "D1", "1234567890ABCDEF")
    code_mac = storage.mac("email code", DOMAIN, "ann@example.com", "1", "424242")

    def everything(tx) -> None:
        stored, ann, _bob = fill(tx)
        tx.devices.open_window(stored.id, 1, Window(mac, 9, 1), Secret("BINDSECRET-0000"))
        tx.devices.set_auth_key(stored.id, Secret("AUTHKEY-0000"))
        tx.users.put_code(DOMAIN, "ann@example.com", 1, EmailCode(code_mac=code_mac, expires_at=9), 0)
        tx.signing_keys.insert(
            SigningKey(kid="k", private_key=Secret("PRIVATE-0000"), public_key="PUBLIC-0000", created_at=1)
        )
        refresh_mac = storage.mac("refresh token", "s", "REFRESH-0000")
        tx.sessions.insert(
            Session(
                id="s",
                uid=ann,
                user_domain=DOMAIN,
                refresh_mac=refresh_mac,
                rotation=0,
                created_at=1,
                expires_at=9,
                ended_at=None,
            ),
            "peer",
        )

    await storage.transact(everything)
    on_disk = b"".join(path.read_bytes() for path in (tmp_path / "data").iterdir())
    await storage.close()
    on_disk += b"".join(path.read_bytes() for path in (tmp_path / "data").iterdir())

    assert b"ann@example.com" in on_disk
    assert b"PUBLIC-0000" in on_disk
    for secret in (
        PRODUCT_SECRET,
        DEVICE_SECRET,
        DOMAIN_SECRET,
        "1234567890ABCDEF",
        "BINDSECRET-0000",
        "AUTHKEY-0000",
        "424242",
        "PRIVATE-0000",
        "REFRESH-0000",
    ):
        assert secret.encode() not in on_disk


async def test_sealed_value_moved_to_another_row_does_not_open(storage, tmp_path) -> None:
    import sqlite3

    await storage.transact(lambda tx: (fill(tx), tx.devices.insert(device("D2"))))
    with sqlite3.connect(tmp_path / "data" / "quecbind.db") as connection:
        connection.execute(
            "UPDATE devices SET device_secret = (SELECT device_secret FROM devices WHERE device_key = 'D1')"
        )
    connection.close()

    assert storage.read(lambda tx: tx.devices.get("qdp1115XD1")) is not None
    with pytest.raises(StorageError, match="another master key, or changed"):
        storage.read(lambda tx: tx.devices.get("qdp1115XD2"))


async def test_audit_log_is_whole_and_shows_what_was_done_to_it(storage, tmp_path) -> None:
    import sqlite3

    for number in range(5):
        entry = AuditEntry(at=number, who="device", action="device.enrolled", product_key=PK, details={"n": number})
        await storage.transact(lambda tx, entry=entry: tx.audit.append(entry))

    async def check():
        return await storage.scan(lambda tx: find_break(tx.audit.all(), tx.audit.head()))

    assert await check() == (5, None)
    connection = sqlite3.connect(tmp_path / "data" / "quecbind.db", isolation_level=None)
    connection.execute("DELETE FROM audit WHERE seq = 5")
    assert (await check())[1] == "the log ends at entry 4, but 5 entries were written"

    # Whoever rewrites the head too needs the master key for it.
    connection.execute("UPDATE audit_head SET seq = 4, hash = (SELECT hash FROM audit WHERE seq = 4)")
    assert (await check())[1] is not None
    connection.close()


async def test_work_that_fails_leaves_no_audit_entry(storage) -> None:
    def half(tx) -> None:
        tx.audit.append(AuditEntry(at=1, who="device", action="device.enrolled"))
        tx.devices.insert(device())  # there is no product

    with pytest.raises(StorageError):
        await storage.transact(half)

    assert storage.read(lambda tx: tx.audit.head()).seq == 0


async def test_import_skips_what_is_there(storage) -> None:
    await storage.transact(fill)
    inserted = await storage.transact(lambda tx: tx.devices.insert_many([device("D1"), device("D2"), device("D2")]))

    assert [one.device_key for one in inserted] == ["D2"]


async def test_user_domains_are_numbered_from_10001(storage) -> None:
    numbers = await storage.transact(
        lambda tx: (tx.domains.next_number(), tx.domains.insert(domain("own.name")), tx.domains.next_number())
    )

    assert (numbers[0], numbers[2]) == (10001, 10002)
