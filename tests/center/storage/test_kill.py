"""SIGKILL in the middle of many writes: what was acknowledged is there, what was not is whole or absent."""

import subprocess
import sys
from pathlib import Path

from quecbind.center.domain.audit import find_break
from quecbind.center.storage.opening import open_storage
from tests.center.storage.rows import PK

WRITE_UNTIL_KILLED = """
import asyncio, sys
from pathlib import Path
from quecbind.center.domain.audit import AuditEntry
from quecbind.center.storage.opening import open_storage
from tests.center.storage.rows import device, product

async def submitter(storage, name):
    for number in range(100_000):
        key = f"D{name}x{number}"

        def work(tx):
            tx.products.take_place("p1115X")
            tx.devices.insert(device(key))
            tx.audit.append(AuditEntry(at=1, who="device", action="device.enrolled", device_key=key))

        await storage.transact(work)
        print(key, flush=True)

async def main():
    storage = open_storage(Path(sys.argv[1]))
    await storage.transact(lambda tx: tx.products.insert(product(device_limit=10_000_000)))
    await asyncio.gather(*(submitter(storage, name) for name in range(20)))

asyncio.run(main())
"""


async def test_killed_writer_has_lost_nothing_it_acknowledged(tmp_path) -> None:
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITE_UNTIL_KILLED, str(tmp_path / "data")],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[3],
    )
    assert writer.stdout is not None
    acknowledged = [writer.stdout.readline().strip() for _ in range(500)]
    writer.kill()
    acknowledged += [line.strip() for line in writer.stdout.read().splitlines()[:-1]]
    writer.stdout.close()
    writer.wait(timeout=20)

    storage = open_storage(tmp_path / "data")
    stored = {device.device_key for device in storage.read(lambda tx: list(tx.devices.all()))}
    audited = storage.read(lambda tx: {chained.entry.device_key for chained in tx.audit.all()})

    assert len(acknowledged) >= 500
    assert set(acknowledged) <= stored
    assert stored == audited
    assert storage.read(lambda tx: tx.products.get(PK)).device_count == len(stored)
    assert storage.read(lambda tx: find_break(tx.audit.all(), tx.audit.head()))[1] is None
    await storage.close()
