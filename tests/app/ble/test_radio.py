"""What the adapters of all radios have in common: the indications that wait for whoever reads them."""

from __future__ import annotations

import asyncio

from quecbind.app.ble import radio
from quecbind.app.ble.radio import Indications


async def test_what_was_indicated_is_read_in_its_order_and_then_the_end() -> None:
    indications = Indications()
    for data in (b"1", b"", b"2"):
        indications.put(data)
    indications.end()
    indications.put(b"3")

    assert [await indications.next() for _ in range(4)] == [b"1", b"2", b"", b""]


async def test_whoever_waits_learns_of_the_end() -> None:
    indications = Indications()
    waiting = asyncio.create_task(indications.next())
    await asyncio.sleep(0)

    indications.end()

    assert await waiting == b""


async def test_more_than_is_kept_ends_the_connection_instead_of_missing_some_unseen() -> None:
    indications = Indications()
    for _ in range(radio.MAX_WAITING + 1):
        indications.put(b"x")

    assert indications.is_over
    read = [await indications.next() for _ in range(radio.MAX_WAITING + 1)]
    assert read == [b"x"] * radio.MAX_WAITING + [b""]
