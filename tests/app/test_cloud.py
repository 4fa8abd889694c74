"""The way through the Developer Center: HTTP from the document by a server in memory, the push on a loopback socket."""

from __future__ import annotations

import base64
import json
import logging
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import pytest_asyncio
from websockets.asyncio.server import ServerConnection, serve

from quecbind.app.client import AppClient
from quecbind.app.cloud import CloudPath, open_path
from quecbind.app.errors import AnswerError, ControlError, PathLostError, RefusedError, UnreachableError
from quecbind.app.model import Model, Property
from quecbind.app.path import Change, Raw
from quecbind.app.results import Attribute, Control, Tokens
from quecbind.app.values import from_fields, to_fields
from quecbind.app.ways import Keys, device_of
from quecbind.wire import ttlv

pytestmark = pytest.mark.enable_socket

KEYS = ("p1aB3c", "D1")
MODEL = Model([Property(38, "switch"), Property(3, "level")])
TSL = {"properties": [{"id": 38, "code": "switch", "dataType": "BOOL"}, {"id": 3, "code": "level", "dataType": "INT"}]}


class Platform:
    """The endpoints and commands that are used, answered as app-api.md says; `online` is the device."""

    def __init__(self) -> None:
        self.online = True
        self.tells = True  # whether the device answers reads
        self.silent_about: list[str] = []
        self.answers = self.acknowledges = True
        self.right = True
        self.attributes: Any = [
            {"resourceCode": "switch", "resourceValce": "true", "dataType": "BOOL"},
            {"resourceCode": "level", "resourceValce": 80, "dataType": "INT"},
            {"resourceCode": "3x", "resourceValce": "5", "dataType": "INT"},
            {"resourceCode": "none", "resourceValce": None},
        ]
        self.asked: list[Any] = []
        self.control_answer: Any = {"successList": [{"data": {}, "ticket": "T1"}], "failureList": []}
        self.connections: list[ServerConnection] = []

    def http(self, request: httpx.Request) -> httpx.Response:
        name = request.url.path.rsplit("/", 1)[1]
        self.asked.append(
            (name, dict(request.url.params), json.loads(request.content) if name == "batchControlDevice" else None)
        )
        data = {
            "userInfo": {"uid": "U1"},
            "productTSL": TSL,
            "getDeviceBusinessAttributes": {"customizeTslInfo": self.attributes},
            "batchControlDevice": self.control_answer,
            "deviceInfo": {"authKey": base64.b64encode(b"s" * 16).decode()},
        }.get(name)
        code = 200 if data is not None else 5041
        return httpx.Response(200, json={"code": code, "msg": "", "data": data})

    async def push(self, socket: ServerConnection) -> None:
        self.connections.append(socket)
        async for text in socket:
            request = json.loads(text)
            for command, data in self._answers(request["cmd"], request["data"]):
                await socket.send(json.dumps({"cmd": command, "data": data}))

    def _answers(self, command: str, data: Any) -> list[tuple[str, Any]]:
        self.asked.append((command, data))
        if command == "login":
            return [("login_resp", {"code": 1})]
        if command == "subscribe":
            return [("subscribe_resp", [{"code": 1 if self.right else 4011, "msg": "not bound"}])]
        if not self.answers:
            return []
        if not self.online:
            return [("error", {"code": 4030, "msg": "the device is not online"})]
        answers: list[tuple[str, Any]] = []
        if self.acknowledges:
            answers.append(("send_ack", {"msgId": data["msgId"], "status": "succ"}))
        if data["type"] == "READ-ATTR" and self.tells:
            names = [name for name in json.loads(data["kv"]) if name not in self.silent_about]
            answers.append(self.report(dict.fromkeys(names, True)))
        return answers

    def report(self, kv: dict[str, Any]) -> tuple[str, Any]:
        keys = {"productKey": KEYS[0], "deviceKey": KEYS[1]}
        return "message", {**keys, "type": "MATTR", "subtype": "REPORT", "data": {"packetId": 1, "kv": kv}}


class Place:
    def __init__(self, platform: Platform, client: AppClient) -> None:
        self.platform, self.client = platform, client

    async def path(self) -> CloudPath:
        return await open_path(self.client, *KEYS, MODEL)


@pytest_asyncio.fixture
async def place() -> AsyncIterator[Place]:
    platform = Platform()
    async with serve(platform.push, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        url = f"http://127.0.0.1:{port}"
        async with AppClient(url, "D", "secret", httpx.MockTransport(platform.http)) as client:
            client.resume(Tokens("Bearer t", "r", 0, 0))
            yield Place(platform, client)


async def test_the_device_is_asked_by_code_and_heard_by_number(place: Place) -> None:
    path = await place.path()
    watch = path.watch()

    assert await path.read([38]) == {38: True}
    await path.write({38: False, 99: {1: 2}})
    await path.send_raw(b"\x01")
    await path.close()

    assert await anext(watch) == Change({38: True})
    kinds = [(data["type"], data.get("kv") or data.get("raw")) for name, data in _sent(place) if name == "send"]
    assert kinds == [("READ-ATTR", '["switch"]'), ("WRITE-ATTR", '{"switch": false, "99": {"1": 2}}'), ("RAW", "AQ==")]


def _sent(place: Place) -> list[tuple[str, Any]]:
    return [one for one in place.platform.asked if len(one) == 2]


@pytest.mark.parametrize(("online", "seconds"), [(False, 5.0), (True, 0.1)])
async def test_an_offline_or_silent_device_is_known_by_its_last_values(
    place: Place, online: bool, seconds: float
) -> None:
    place.platform.online, place.platform.tells = online, False
    path = await place.path()

    assert await path.read([38], seconds) == {38: True}
    assert await path.read([], seconds) == {38: True, 3: 80}
    await path.close()


async def test_what_the_device_told_counts_although_the_platform_does_not_answer(place: Place) -> None:
    place.platform.acknowledges = False
    place.platform.silent_about = ["level"]
    place.platform.attributes[0]["resourceValce"] = "false"
    path = await place.path()

    assert await path.read([38, 3], 0.2) == {38: True, 3: 80}
    await path.close()


async def test_a_platform_that_does_not_answer_can_be_asked_again_and_again(place: Place) -> None:
    place.platform.answers = False
    path = await place.path()
    for _ in range(65):
        with pytest.raises(ControlError, match="did not answer in time"):
            await path.write({38: True}, 0.001)

    place.platform.answers = True
    await path.write({38: True})
    await path.close()


async def test_what_nobody_knows_is_an_error_with_its_reason(place: Place) -> None:
    place.platform.online, place.platform.attributes = False, []
    path = await place.path()

    with pytest.raises(ControlError, match="not online"):
        await path.read([38])
    with pytest.raises(ControlError, match="4030") as refused:
        await path.write({38: True})
    assert refused.value.code == 4030
    assert not path.is_lost
    await path.close()


async def test_no_log_shows_the_token(place: Place, caplog: pytest.LogCaptureFixture) -> None:
    place.client.resume(Tokens("Bearer very-secret", "r", 0, 0))
    with caplog.at_level(logging.DEBUG):
        path = await place.path()
        await path.close()

    ours = [record.getMessage() for record in caplog.records if not record.name.startswith("websockets.server")]
    assert ("login", {"token": "Bearer very-secret"}) in _sent(place)
    assert "very-secret" not in "\n".join(ours)


async def test_somebody_elses_device_is_refused(place: Place) -> None:
    place.platform.right = False

    with pytest.raises(RefusedError, match="not bound"):
        await place.path()


async def test_a_platform_that_goes_away_is_a_path_lost(place: Place) -> None:
    path = await place.path()
    watch = path.watch()
    await place.platform.connections[0].close()

    with pytest.raises(PathLostError, match="closed"):
        await anext(watch)
    with pytest.raises(PathLostError):
        await path.read([38])
    await path.close()


async def test_losing_the_device_ends_the_path(place: Place) -> None:
    path = await place.path()
    watch = path.watch()
    lost = {"productKey": KEYS[0], "deviceKey": KEYS[1], "type": "ENDUSER", "data": '{"value": 2, "invalidCause": 2}'}

    await place.platform.connections[0].send(json.dumps({"cmd": "message", "data": lost}))

    with pytest.raises(PathLostError, match="no longer"):
        await anext(watch)
    await path.close()


async def test_reports_that_the_model_does_not_know_are_left_out_and_raw_data_is_not(place: Place) -> None:
    path = await place.path()
    watch = path.watch()
    command, data = place.platform.report({"colour": 1, "38": False, "3": {"1": [True]}})
    raw = {**data, "type": "RAW", "data": {"raw": "AQ=="}}

    for content in (data, raw):
        await place.platform.connections[0].send(json.dumps({"cmd": command, "data": content}))

    assert await anext(watch) == Change({38: False, 3: {1: [True]}})
    assert await anext(watch) == Raw(b"\x01")
    await path.close()


async def test_nobody_signed_in_or_nobody_there_is_told(place: Place) -> None:
    async with AppClient("http://127.0.0.1:1", "D", "s", httpx.MockTransport(place.platform.http)) as client:
        with pytest.raises(RefusedError, match="signed in"):
            await open_path(client, *KEYS, MODEL)
        client.resume(Tokens("Bearer t", "r", 0, 0))
        with pytest.raises(PathLostError, match="cannot be reached"):
            await open_path(client, *KEYS, MODEL)


class TestClient:
    async def test_the_thing_model_and_the_last_values_are_read(self, place: Place) -> None:
        model = await place.client.thing_model(KEYS[0])

        assert model.number_of("level") == 3
        assert await place.client.attributes(*KEYS) == (
            Attribute("switch", True),
            Attribute("level", 80),
            Attribute("3x", 5),
        )
        assert place.platform.asked[-1] == (
            "getDeviceBusinessAttributes",
            {"pk": "p1aB3c", "dk": "D1", "type": "2"},
            None,
        )

    async def test_a_control_is_kept_for_an_offline_device_when_that_is_asked(self, place: Place) -> None:
        assert await place.client.control(*KEYS, {"switch": True}, keep_s=60) == Control("T1", "")

        body = place.platform.asked[-1][2]
        assert json.loads(body.pop("data")) == [{"switch": True}]
        assert body == {
            "deviceList": [{"productKey": "p1aB3c", "deviceKey": "D1"}],
            "type": 2,
            "isCache": 1,
            "cacheTime": 60,
            "isCover": 1,
        }

    @pytest.mark.parametrize(
        ("answer", "failure"),
        [
            ({"failureList": [{"data": {}, "msg": "offline"}]}, "offline"),
            ({"failureList": [{}]}, "did not say"),
            ({"successList": None, "failureList": "x"}, "did not say"),
        ],
    )
    async def test_a_control_that_failed_says_why(self, place: Place, answer: Any, failure: str) -> None:
        place.platform.control_answer = answer

        assert failure in (await place.client.control(*KEYS, {"switch": True})).failure

    async def test_whom_a_device_is_shared_with_has_the_key_of_the_list(self, place: Place) -> None:
        assert await place.client.session_key(*KEYS) == b"s" * 16

    @pytest.mark.parametrize("data", [None, [], "x"])
    async def test_attributes_that_are_none_are_an_answer_error(self, place: Place, data: Any) -> None:
        with pytest.raises(AnswerError):
            Attribute.from_data(data)

    @pytest.mark.parametrize(
        ("value", "kind", "read"),
        [("false", "BOOL", False), ("1", "BOOL", True), ("12", "INT", 12), ("12", "TEXT", "12"), ("x", "INT", "x")],
    )
    async def test_values_come_as_text_as_often_as_not(self, value: str, kind: str, read: Any) -> None:
        row = {"resourceCode": "c", "resourceValce": value, "dataType": kind}

        assert Attribute.from_data({"customizeTslInfo": [row]}) == (Attribute("c", read),)


class TestWays:
    async def test_a_device_knows_its_model_and_its_ways(self, place: Place) -> None:
        async with await device_of(place.client, *KEYS, only=["cloud"]) as device:
            assert await device.read(["switch"]) == {"switch": True}
            assert device.path == "cloud"

    async def test_the_key_is_fetched_each_time_and_the_last_one_serves_without_a_platform(self) -> None:
        answers: list[bytes | Exception] = [b"1" * 16, b"2" * 16, UnreachableError("x", "y"), RefusedError(5041, "no")]

        async def fetch() -> bytes:
            answer = answers.pop(0)
            if isinstance(answer, Exception):
                raise answer
            return answer

        keys = Keys(fetch)

        assert [await keys.present() for _ in range(3)] == [b"1" * 16, b"2" * 16, b"2" * 16]
        with pytest.raises(RefusedError):
            await keys.present()


def test_values_are_the_same_after_the_wire() -> None:
    values = {1: True, 2: -5, 3: {1: "ä", 2: [1, {4: 2}]}, 5: b"\xff"}

    assert from_fields(ttlv.decode(ttlv.encode(to_fields(values)))) == values
    assert from_fields([(1, 2), (1, 3)]) == {1: 2}
