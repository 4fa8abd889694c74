"""kill -9 of the Developer Center in the middle of 1,000 concurrent reports and binds: nothing acknowledged is lost.

A report counts as acknowledged when its PUBACK was read, a bind when its answer with code 200 was.
"""

from __future__ import annotations

import asyncio
import json
import struct
from pathlib import Path

from tests.e2e.center_process import CenterProcess
from tests.e2e.conftest import User, World, make_world
from tests.e2e.wire_by_hand import connect, frame, login_password, packet, text, ttlv_bytes, ttlv_number

DEVICES = 1000
KILL_AFTER = 400  # acknowledgements seen: the rest is in flight


def code_of(number: int) -> str:
    return f"{number:016X}"


def secret_of(number: int) -> str:
    return f"{number:032d}"


class Storm:
    """1,000 devices report and are bound at once; remembers what was acknowledged until the server is gone."""

    def __init__(self, world: World, user: User) -> None:
        self.world, self.user = world, user
        self.reported: set[int] = set()
        self.bound: set[int] = set()
        self.enough = asyncio.Event()

    async def one(self, number: int, gate: asyncio.Semaphore) -> None:
        async with gate:
            try:
                await self._report(number)
                self.reported.add(number)
                if number % 2:
                    await self._bind(number)
                    self.bound.add(number)
            except (OSError, asyncio.IncompleteReadError):
                return  # the server was killed under it: not acknowledged
            if len(self.reported) + len(self.bound) >= KILL_AFTER:
                self.enough.set()

    async def _report(self, number: int) -> None:
        client_id = f"qd{self.world.pk}{number:015d}"
        reader, writer = await asyncio.open_connection("127.0.0.1", self.world.center.mqtt_port)
        try:
            writer.write(connect(client_id, login_password(self.world.ps, secret_of(number))))
            assert await reader.readexactly(4) == b"\x20\x02\x00\x00"
            payload = ttlv_bytes(11, code_of(number).encode()) + ttlv_number(100, 3600)
            topic = text(f"q/2/d/{client_id}/sys".encode())
            writer.write(packet(0x32, topic + struct.pack(">H", 7) + frame(1, 0x00B5, payload)))
            assert await reader.readexactly(4) == b"\x40\x02\x00\x07"
        finally:
            writer.close()

    async def _bind(self, number: int) -> None:
        body = json.dumps({"productKey": self.world.pk, "deviceKey": f"{number:015d}", "bindingCode": code_of(number)})
        reader, writer = await asyncio.open_connection("127.0.0.1", self.world.center.http_port)
        try:
            head = (
                "POST /v2/binding/enduserapi/v2/deviceBindingByWifi HTTP/1.1\r\nHost: center\r\n"
                f"Authorization: {self.user.token}\r\nContent-Type: application/json\r\n"
                f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
            )
            writer.write((head + body).encode())
            answer = await reader.read()
            if not answer:
                raise ConnectionResetError
            assert json.loads(answer.split(b"\r\n\r\n", 1)[1])["code"] == 200, answer
        finally:
            writer.close()

    async def run(self) -> None:
        gate = asyncio.Semaphore(200)
        async with asyncio.TaskGroup() as tasks:
            for number in range(DEVICES):
                tasks.create_task(self.one(number, gate), name=f"device {number}")
            await asyncio.wait_for(self.enough.wait(), 60)
            await asyncio.to_thread(self.world.center.kill)


def test_kill_9_amid_reports_and_binds_loses_nothing_acknowledged(tmp_path: Path) -> None:
    center = CenterProcess(tmp_path / "data", tmp_path / "serve.log").start()
    world = make_world(center)
    user = world.new_user()
    fleet = tmp_path / "fleet.json"
    fleet.write_text(
        json.dumps(
            [
                {"product_key": world.pk, "device_key": f"{n:015d}", "device_secret": secret_of(n)}
                for n in range(DEVICES)
            ]
        )
    )
    center.admin("device", "import", str(fleet))
    storm = Storm(world, user)

    asyncio.run(storm.run())
    assert KILL_AFTER <= len(storm.reported) + len(storm.bound) < DEVICES * 1.5, "it was not killed in the middle"
    center.http_port = center.mqtt_port = 0
    center.start()

    try:
        user = world.sign_in(user.email, user.password)
        owned = set()
        for page in range(1, 12):
            answer = center.call("GET", "/v2/binding/enduserapi/userDeviceList", user.token, page=page, pageSize=100)
            owned |= {int(device["deviceKey"]) for device in answer["data"]["list"]}
        assert storm.bound <= owned
        for number in sorted(storm.reported - owned):
            assert user.bind(f"{number:015d}", code_of(number))["code"] == 200
    finally:
        assert center.stop() == 0
