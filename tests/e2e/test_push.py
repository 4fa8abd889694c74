"""Push over real sockets, with the clients that others have written: `websockets` for v1, paho for v2."""

from __future__ import annotations

import base64
import contextlib
import hmac
import itertools
import json
import queue
import socket
import time
import urllib.request
from collections.abc import Iterator
from typing import Any, Self

import paho.mqtt.client as paho
import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from tests.e2e.center_process import CenterProcess
from tests.e2e.conftest import User, World, make_world
from tests.e2e.wire_by_hand import RawDevice, random_text, read_until, ttlv_bytes, ttlv_number

CODE = "1234567890ABCDEF"
WAIT_S = 10
ALL_TYPES = ["ONLINE", "STATUS", "RAW-UPLINK", "MATTR-REPORT"]


class Bound:
    """A device that is connected, and bound to a user."""

    def __init__(self, world: World, user: User) -> None:
        self.world, self.dk = world, world.new_device_key()
        self.link = RawDevice(world.center.mqtt_port, world.pk, self.dk)
        self._packet_ids = itertools.count(10)
        self.ds = self.link.enrol(world.ps)
        self.link.report_bind_code(CODE, 120)
        assert user.bind(self.dk, CODE)["code"] == 200

    def report(self, value: int) -> None:
        self.link.publish(0x0014, ttlv_number(1, value), next(self._packet_ids), "bus")


@pytest.fixture
def owner(world: World) -> User:
    return world.new_user()


@pytest.fixture
def device(world: World, owner: User) -> Iterator[Bound]:
    bound = Bound(world, owner)
    with bound.link:
        yield bound


class App:
    """WebSocket v1."""

    def __init__(self, world: World, token: str, **options: Any) -> None:
        self.world = world
        self._open = contextlib.ExitStack()
        self.socket: ClientConnection = self._open.enter_context(
            connect(world.center.url.replace("http", "ws") + "/ws/v1", **options)
        )
        self.say("login", {"token": token})
        self.login = self.hear()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._open.close()

    def say(self, command: str, data: object) -> None:
        self.socket.send(json.dumps({"cmd": command, "data": data}))

    def hear(self) -> dict[str, Any]:
        return json.loads(self.socket.recv(WAIT_S))

    def subscribe(self, dk: str, types: list[str] | None = None) -> int:
        self.say("subscribe", [{"productKey": self.world.pk, "deviceKey": dk, "messageType": types or ALL_TYPES}])
        answer = self.hear()
        assert answer["cmd"] == "subscribe_resp", answer
        return answer["data"][0]["code"]

    def is_silent(self) -> bool:
        """What is asked now is answered next: nothing else was said before."""
        self.say("nonsense", None)
        return self.hear()["data"]["code"] == 4004


class MqttApp:
    """MQTT over WebSocket v2."""

    def __init__(self, world: World, user: User) -> None:
        uid = json.loads(base64.urlsafe_b64decode(user.token.split(".")[1] + "=="))["uid"]
        self.heard: queue.Queue[tuple[str, Any]] = queue.Queue()
        self.answers: queue.Queue[Any] = queue.Queue()
        self.client = paho.Client(
            paho.CallbackAPIVersion.VERSION2, f"qu_{uid}_{time.time_ns() // 1_000_000}", transport="websockets"
        )
        self.client.ws_set_options("/ws/v2")
        self.client.username_pw_set("", user.token)
        self.client.on_message = lambda _c, _u, message: self.heard.put((message.topic, json.loads(message.payload)))
        self.client.on_connect = lambda _c, _u, _f, reason, _p: self.answers.put(reason)
        self.client.on_subscribe = lambda _c, _u, _i, codes, _p: self.answers.put([code.value for code in codes])
        self.client.connect(world.center.host, world.center.http_port)
        self.client.loop_start()
        self.log_in_reason = self.answers.get(timeout=WAIT_S)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.client.disconnect()
        self.client.loop_stop()

    def subscribe(self, *topics: str) -> list[int]:
        self.client.subscribe([(topic, 1) for topic in topics])
        return self.answers.get(timeout=WAIT_S)


def user_bind(message: dict[str, Any]) -> tuple[int, int]:
    assert (message["type"], message["subtype"]) == ("ENDUSER", "USER-BIND")
    data = json.loads(message["data"])
    return data["value"], data.get("invalidCause", 0)


def test_an_app_hears_what_its_device_reports(world, owner, device):
    with App(world, owner.token) as app:
        assert app.login == {"cmd": "login_resp", "data": {"code": 1, "msg": "succ"}}
        assert app.subscribe(device.dk) == 1

        device.report(7)

        heard = app.hear()
        assert heard["cmd"] == "message"
        assert heard["data"]["deviceKey"] == device.dk
        assert heard["data"]["data"]["kv"] == {"1": 7}


def test_unbinding_is_the_last_thing_an_app_hears_of_a_device(world, owner, device):
    with App(world, owner.token) as app:
        app.subscribe(device.dk)

        assert owner.unbind(device.dk)["code"] == 200
        device.report(8)
        device.link.wait_puback(10)

        assert user_bind(app.hear()["data"]) == (0, 1)
        assert app.is_silent()
        assert app.subscribe(device.dk) == 4011


def test_a_new_right_does_not_revive_an_old_subscription(world, owner, device):
    with App(world, owner.token) as app:
        app.subscribe(device.dk)
        owner.unbind(device.dk)
        assert user_bind(app.hear()["data"]) == (0, 1)

        device.link.report_bind_code(CODE, 120, 11)
        assert owner.bind(device.dk, CODE)["code"] == 200
        assert user_bind(app.hear()["data"]) == (1, 0)
        device.report(9)
        device.link.wait_puback(10)

        assert app.is_silent()
        assert app.subscribe(device.dk) == 1


def test_a_stranger_is_told_the_same_of_a_device_as_of_none(world, owner, device):
    with App(world, world.new_user().token) as app:
        assert app.subscribe(device.dk) == app.subscribe("NOSUCHDEVICE") == 4011

        device.report(1)
        device.link.wait_puback(10)

        assert app.is_silent()


def test_signing_out_cuts_the_connection(world, owner, device):
    with App(world, owner.token) as app:
        app.subscribe(device.dk)

        world.center.call("DELETE", "/v2/enduser/enduserapi/userLogout", owner.token)

        with pytest.raises(ConnectionClosed):
            app.hear()


def test_raw_data_reaches_the_device(world, owner, device):
    device.link.subscribe()
    with App(world, owner.token) as app:
        app.say(
            "send",
            {
                "productKey": world.pk,
                "deviceKey": device.dk,
                "type": "RAW",
                "msgId": 5,
                "raw": base64.b64encode(b"hello").decode(),
                "dataFormat": "Base64",
            },
        )

        topic, command, payload = device.link.message()
        acknowledged = app.hear()

    assert acknowledged["cmd"] == "send_ack"
    assert (acknowledged["data"]["msgId"], acknowledged["data"]["status"]) == (5, "succ")
    assert (topic.rpartition("/")[2], command, payload) == ("bus", 0x0023, b"hello")


def test_mqtt_hears_reports_and_the_end_of_a_right(world, owner, device):
    name = f"q/2/d/qd{world.pk}{device.dk}/"
    with MqttApp(world, owner) as app:
        assert app.log_in_reason.value == 0
        assert app.subscribe(name + "bus_", name + "onl_", name + "sys_") == [0, 0, 0]

        device.report(3)
        topic, content = app.heard.get(timeout=WAIT_S)
        assert (topic, content["type"], content["data"]["kv"]) == (name + "bus_", "MATTR", {"1": 3})

        owner.unbind(device.dk)
        topic, content = app.heard.get(timeout=WAIT_S)
        assert topic == name + "sys_"
        assert user_bind(content) == (0, 1)
        device.report(4)
        device.link.wait_puback(11)
        assert app.subscribe(name + "bus_") == [0x80]
        assert app.heard.empty()


def test_mqtt_refuses_strangers_wildcards_and_what_does_not_exist_alike(world, owner, device):
    name = f"q/2/d/qd{world.pk}"
    with MqttApp(world, world.new_user()) as app:
        assert app.subscribe(name + device.dk + "/bus_", name + "NOSUCH/bus_", "q/2/d/+/bus_", "#") == [0x80] * 4


def test_a_log_in_with_a_password_and_no_user_name_gets_the_connack_that_apps_expect(world, owner):
    uid = json.loads(base64.urlsafe_b64decode(owner.token.split(".")[1] + "=="))["uid"]
    name, password = f"qu_{uid}_1".encode(), owner.token.encode()
    body = b"\x00\x04MQTT\x04\x42\x00\x3c" + len(name).to_bytes(2, "big") + name
    body += len(password).to_bytes(2, "big") + password
    size = bytes([len(body) & 127 | 128, len(body) >> 7])
    with connect(world.center.url.replace("http", "ws") + "/ws/v2", subprotocols=["mqtt"]) as raw:
        raw.send(b"\x10" + size + body)

        assert raw.recv(WAIT_S) == b"\x20\x02\x00\x00"


def test_a_reset_of_the_device_ends_the_right_of_its_owner(world, owner, device):
    with App(world, owner.token) as app:
        app.subscribe(device.dk)
        nonce = random_text()
        key = hmac.digest(device.ds.encode(), f"rst;{device.dk}".encode(), "sha256")
        proof = base64.b64encode(hmac.digest(key, nonce.encode(), "sha256")).decode()

        with RawDevice(world.center.mqtt_port, world.pk, device.dk) as again:
            again.enrol(world.ps, f"rst;{nonce};{proof}".encode())

            assert user_bind(app.hear()["data"]) == (2, 2)
            assert app.is_silent()


def metric(center: CenterProcess, name: str) -> float:
    with urllib.request.urlopen(center.url + "/metrics", timeout=10) as answer:
        lines = answer.read().decode().splitlines()
    return float(next((line.rpartition(" ")[2] for line in lines if line.startswith(name + " ")), 0))


def test_an_app_that_does_not_read_is_dropped_while_others_hear_and_memory_stays_bounded(tmp_path):
    center = CenterProcess(tmp_path / "data", tmp_path / "log", options=("--push-queue-size", "65536")).start()
    try:
        world = make_world(center)
        owner = world.new_user()
        device = Bound(world, owner)
        dropped = 'quecbind_push_connections_ended_total{reason="slow_reader"}'
        with device.link, contextlib.ExitStack() as stack:
            reader = stack.enter_context(App(world, owner.token))
            lazy = stack.enter_context(LazyApp(world, owner, device))
            reader.subscribe(device.dk)
            wide = ttlv_bytes(2, b"x" * 30_000)
            largest = 0.0
            for number in range(400):
                device.link.publish(0x0014, wide, 100 + number, "bus")
                assert reader.hear()["data"]["type"] == "MATTR"
                largest = max(largest, metric(center, "quecbind_push_queued_bytes"))
                if metric(center, dropped):
                    break

            assert metric(center, dropped) == 1
            assert 0 < largest <= 65_536
            assert metric(center, "quecbind_push_queued_bytes") == 0
            assert metric(center, "quecbind_push_connections") == 1
            assert lazy.is_cut()
    finally:
        if center.process is not None:
            assert center.stop() == 0


class LazyApp:
    """Subscribes, and never reads again; by hand, because a client that is well made reads in the background."""

    def __init__(self, world: World, user: User, device: Bound) -> None:
        self.socket = socket.socket()
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.socket.settimeout(WAIT_S)
        self.socket.connect((world.center.host, world.center.http_port))
        self.socket.sendall(
            b"GET /ws/v1 HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
        )
        read_until(self.socket, b"\r\n\r\n")
        asked = {"productKey": world.pk, "deviceKey": device.dk, "messageType": ALL_TYPES}
        self._say({"cmd": "login", "data": {"token": user.token}})
        self._say({"cmd": "subscribe", "data": [asked]})
        read_until(self.socket, b"subscribe_resp")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.socket.close()

    def _say(self, message: object) -> None:
        text = json.dumps(message).encode()
        self.socket.sendall(b"\x81\xfe" + len(text).to_bytes(2, "big") + bytes(4) + text)

    def is_cut(self) -> bool:
        try:
            while self.socket.recv(65_536):
                pass
        except ConnectionResetError:
            pass
        return True


def test_a_message_over_64_kb_ends_the_connection(world, owner):
    with App(world, owner.token) as app:
        app.socket.send("x" * 65_537)

        with pytest.raises(ConnectionClosed) as cut:
            app.hear()
        assert cut.value.rcvd.code == 1009


def test_nothing_is_compressed_and_nothing_else_is_served(world):
    base = world.center.url.replace("http", "ws")
    with connect(base + "/ws/v1") as bare:
        assert "Sec-WebSocket-Extensions" not in bare.response.headers
    for path in ("/ws/v2", "/ws/v3"):
        with pytest.raises(InvalidStatus) as refused, connect(base + path):
            pass
        assert refused.value.response.status_code == 403


def test_a_query_never_reaches_the_log(world):
    with connect(world.center.url.replace("http", "ws") + "/ws/v1?token=hush-hush"):
        pass

    assert "hush-hush" not in world.center.log.read_text()


def test_more_connections_than_one_address_may_have_are_refused(tmp_path):
    center = CenterProcess(
        tmp_path / "data", tmp_path / "log", options=("--max-push-connections-per-address", "1")
    ).start()
    try:
        url = center.url.replace("http", "ws") + "/ws/v1"
        with connect(url):
            with pytest.raises(InvalidStatus), connect(url):
                pass
            assert metric(center, 'quecbind_push_connections_ended_total{reason="refused_address"}') == 1
    finally:
        if center.process is not None:
            assert center.stop() == 0
