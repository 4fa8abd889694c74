"""Sharing with a real server: a member hears the device over both WebSockets until the share ends, and no longer."""

from __future__ import annotations

import base64
import hmac
import queue
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.conftest import BINDING, User, World
from tests.e2e.test_push import WAIT_S, App, Bound, MqttApp, user_bind
from tests.e2e.wire_by_hand import RawDevice, random_text, ttlv_number

HOUR_MS = 3_600_000
CODE = "0F1E2D3C4B5A6978"


def call(user: User, method: str, path: str, **query: object) -> dict[str, Any]:
    return user.world.center.call(method, BINDING + path, user.token, **query)


def now_ms() -> int:
    return time.time_ns() // 1_000_000


@pytest.fixture
def owner(world: World) -> User:
    return world.new_user()


@pytest.fixture
def device(world: World, owner: User) -> Iterator[Bound]:
    bound = Bound(world, owner)
    with bound.link:
        yield bound


@pytest.fixture
def member(world: World) -> User:
    return world.new_user()


def shared(owner: User, member: User, dk: str, **more: object) -> str:
    """The member uses the device; gives the share code."""
    fields = {"pk": owner.world.pk, "dk": dk, "acceptingExpireAt": now_ms() + HOUR_MS, **more}
    answer = call(owner, "POST", "shareInfo", **fields)
    assert answer["code"] == 200, answer
    code: str = answer["data"]
    assert call(member, "POST", "shareDevice", shareCode=code)["code"] == 200
    assert member.device_keys() == [dk]
    return code


def test_revoking_is_the_last_thing_a_member_hears_over_v1(world, owner, member, device):
    code = shared(owner, member, device.dk)
    with App(world, member.token) as app, App(world, owner.token) as owners:
        assert app.subscribe(device.dk) == owners.subscribe(device.dk) == 1
        device.report(7)
        assert app.hear()["data"]["data"]["kv"] == {"1": 7}
        assert owners.hear()["data"]["data"]["kv"] == {"1": 7}

        assert call(owner, "DELETE", "ownerUserUnshareDevice", shareCode=code)["code"] == 200
        device.report(8)
        device.link.wait_puback(11)

        assert user_bind(app.hear()["data"]) == (0, 4)
        assert app.is_silent()
        assert app.subscribe(device.dk) == 4011
        assert owners.hear()["data"]["data"]["kv"] == {"1": 8}
    assert member.device_keys() == []


def test_revoking_is_the_last_thing_a_member_hears_over_v2(world, owner, member, device):
    code = shared(owner, member, device.dk)
    name = f"q/2/d/qd{world.pk}{device.dk}/"
    with MqttApp(world, member) as app:
        assert app.subscribe(name + "bus_", name + "sys_") == [0, 0]
        device.report(7)
        assert app.heard.get(timeout=WAIT_S)[1]["data"]["kv"] == {"1": 7}

        assert call(owner, "DELETE", "ownerUserUnshareDevice", shareCode=code)["code"] == 200
        device.report(8)
        device.link.wait_puback(11)

        topic, content = app.heard.get(timeout=WAIT_S)
        assert topic == name + "sys_"
        assert user_bind(content) == (0, 4)
        assert app.subscribe(name + "bus_") == [0x80]
        with pytest.raises(queue.Empty):
            app.heard.get_nowait()


def test_a_share_ends_by_time_and_its_member_is_told(world, owner, member, device):
    end = now_ms() + 2_500
    with App(world, member.token) as app:
        shared(owner, member, device.dk, acceptingExpireAt=end - 1, sharingExpireAt=end)
        assert user_bind(app.hear()["data"]) == (1, 0)
        assert app.subscribe(device.dk) == 1

        assert user_bind(app.hear()["data"]) == (0, 3)
        device.report(8)
        device.link.wait_puback(10)

        assert app.is_silent()
        assert app.subscribe(device.dk) == 4011
    assert now_ms() >= end
    assert member.device_keys() == []


def test_a_reset_ends_shares_and_what_the_device_was_saying_is_not_there_for_the_next_owner(
    world, owner, member, device
):
    shared(owner, member, device.dk)
    nonce = random_text()
    key = hmac.digest(device.ds.encode(), f"rst;{device.dk}".encode(), "sha256")
    proof = base64.b64encode(hmac.digest(key, nonce.encode(), "sha256")).decode()
    next_owner = world.new_user()

    with App(world, member.token) as app, RawDevice(world.center.mqtt_port, world.pk, device.dk) as again:
        assert app.subscribe(device.dk) == 1
        # No answer is waited for: some are still on their way when the reset comes.
        for level in range(50):
            device.link.publish(0x0034, ttlv_number(1, level), 100 + level)
        again.enrol(world.ps, f"rst;{nonce};{proof}".encode())
        while (heard := app.hear()["data"])["type"] != "ENDUSER":
            assert heard["type"] in ("STATUS", "ONLINE")

        assert user_bind(heard) == (2, 2)
        assert app.is_silent()
        again.report_bind_code(CODE, 120)
        assert next_owner.bind(device.dk, CODE)["code"] == 200

        data = call(next_owner, "GET", "getDeviceBusinessAttributes", pk=world.pk, dk=device.dk)["data"]
        assert data["deviceData"]["battery"] is None
        again.publish(0x0034, ttlv_number(1, 77), 20)
        again.wait_puback(20)
        data = call(next_owner, "GET", "getDeviceBusinessAttributes", pk=world.pk, dk=device.dk)["data"]
        assert str(data["deviceData"]["battery"]) == "77"
    assert member.device_keys() == owner.device_keys() == []


def test_a_product_that_forbids_sharing_keeps_what_was_accepted(world, owner, member, device):
    shared(owner, member, device.dk)
    fields = {"pk": world.pk, "dk": device.dk, "acceptingExpireAt": now_ms() + HOUR_MS}
    open_code = call(owner, "POST", "shareInfo", **fields)["data"]

    world.center.admin("product", "update", world.pk, "--no-allow-sharing")
    try:
        assert call(owner, "POST", "shareInfo", **fields)["code"] == 5411
        assert call(world.new_user(), "POST", "shareDevice", shareCode=open_code)["code"] == 5411
        assert member.device_keys() == [device.dk]
    finally:
        world.center.admin("product", "update", world.pk, "--allow-sharing")
