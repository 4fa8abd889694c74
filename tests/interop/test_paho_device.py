"""paho-mqtt as a device: a strict client library, which always sends a user name beside the password."""

from __future__ import annotations

import queue
from typing import Any, Self

import paho.mqtt.client as mqtt

from tests.e2e.conftest import World
from tests.e2e.wire_by_hand import (
    enrolment_password,
    frame,
    login_password,
    ttlv_bytes,
    ttlv_number,
    unframe,
    untext,
)

CODE = "0011223344556677"


class PahoDevice:
    """One connection; what arrives goes to queues, with a time limit on every wait."""

    def __init__(self, world: World, dk: str, password: bytes, protocol: int = mqtt.MQTTv311) -> None:
        self.client_id = f"qd{world.pk}{dk}"
        self.codes: queue.Queue[Any] = queue.Queue()
        self.messages: queue.Queue[Any] = queue.Queue()
        self.client = mqtt.Client(
            mqtt.CallbackAPIVersion.VERSION2, client_id=self.client_id, protocol=protocol, clean_session=True
        )
        self.client.username_pw_set(self.client_id, password.decode())
        self.client.on_connect = lambda _c, _u, _f, reason, _p: self.codes.put(reason)
        self.client.on_message = lambda _c, _u, message: self.messages.put(message)
        self.client.connect("127.0.0.1", world.center.mqtt_port, keepalive=60)
        self.client.loop_start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.client.disconnect()
        self.client.loop_stop()


def test_paho_enrols_logs_in_reports_and_is_bound(world: World) -> None:
    user, dk = world.new_user(), world.new_device_key()
    with PahoDevice(world, dk, enrolment_password(world.pk, world.ps, dk)) as device:
        assert not device.codes.get(timeout=10).is_failure
        _, command, payload = unframe(device.messages.get(timeout=10).payload)
        assert command == 0x00B4
        secret = untext(payload)[5]
        assert isinstance(secret, bytes)

    with PahoDevice(world, dk, login_password(world.ps, secret.decode())) as device:
        assert not device.codes.get(timeout=10).is_failure
        device.client.subscribe(f"q/1/d/{device.client_id}/+", 1)
        report = frame(1, 0x00B5, ttlv_bytes(11, CODE.encode()) + ttlv_number(100, 60))
        device.client.publish(f"q/2/d/{device.client_id}/sys", report, qos=1).wait_for_publish(10)
        assert user.bind(dk, CODE)["code"] == 200

    assert user.device_keys() == [dk]


def test_paho_speaks_mqtt_3_1_too(world: World) -> None:
    dk = world.new_device_key()

    with PahoDevice(world, dk, enrolment_password(world.pk, world.ps, dk), mqtt.MQTTv31) as device:
        assert not device.codes.get(timeout=10).is_failure
        assert unframe(device.messages.get(timeout=10).payload)[1] == 0x00B4


def test_paho_with_a_wrong_secret_is_refused(world: World) -> None:
    with PahoDevice(world, world.new_device_key(), login_password(world.ps, "wrong")) as device:
        assert device.codes.get(timeout=10).is_failure
