"""Clients that others wrote control a device that runs our quecIot, through the Developer Center and nothing else.

Only their base URL, host, port, user domain and its secret are set to ours; the certificate is trusted as a file.
"""

from __future__ import annotations

import base64
import json
import queue
import socket
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import landbook_api.api as landbook
import landbook_api.mqtt_client as landbook_mqtt
import pytest
import unofficial_pecron_api.client as pecron

from tests.center.certificate import write_certificate
from tests.center.domain.power_station import power_station
from tests.e2e.center_process import CenterProcess
from tests.e2e.conftest import User, World, make_world
from tests.e2e.test_auth_key import CODE, Module, until
from tests.e2e.test_push import App

WAIT_S = 20
SCRIPT = """
import quecIot

values = {{1: 87, 2: False, 5: 0}}

def on_event(data):
    event, code = data[0], data[1]
    if (event, code) == (5, 10210):
        values.update(data[2])
        print("written", data[2], flush=True)
        quecIot.phymodelReport(1, data[2])
    elif (event, code) == (5, 10211):
        packet_id, ids = data[2]
        print("read", ids, flush=True)
        quecIot.phymodelAck(1, packet_id, {{number: values[number] for number in ids or values}})
    elif (event, code) == (5, 10200):
        quecIot.passTransSend(1, b"got " + data[2])

quecIot.init()
quecIot.setEventCB(on_event)
quecIot.setProductinfo({pk!r}, {ps!r})
quecIot.setConnmode(1)
quecIot.bindcodeSet({code!r}, 600)
"""


class Station(Module):
    """A power station: quecIot and a script that does what it is told and says so."""

    def __init__(self, world: World, directory: Path) -> None:
        super().__init__(world, directory)
        self._script.write_text(SCRIPT.format(pk=world.pk, ps=world.ps, code=CODE))

    @property
    def client_id(self) -> str:
        return f"qd{self.world.pk}{self.dk}"

    def said(self, line: str) -> bool:
        return until(lambda: line in self._log.read_text())


def free_port() -> int:
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        return int(server.getsockname()[1])


@pytest.fixture(scope="module")
def secure_port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return write_certificate(tmp_path_factory.mktemp("certificate"))


@pytest.fixture(scope="module")
def world(
    tmp_path_factory: pytest.TempPathFactory, certificate: tuple[Path, Path], secure_port: int
) -> Iterator[World]:
    place = tmp_path_factory.mktemp("center")
    options = ("--https-port", str(secure_port), "--tls-cert", str(certificate[0]), "--tls-key", str(certificate[1]))
    center = CenterProcess(place / "data", place / "serve.log", options=options).start()
    world = make_world(center)
    model = place / "model.json"
    model.write_text(json.dumps(power_station()))
    center.admin("product", "tsl", "import", world.pk, str(model))
    yield world
    assert center.stop() == 0


@pytest.fixture(scope="module")
def station(world: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Station]:
    station = Station(world, tmp_path_factory.mktemp("station"))
    station.on()
    yield station
    station.off()


@pytest.fixture(scope="module")
def owner(world: World, station: Station) -> User:
    user = world.new_user()
    station.bound_by(user)
    return user


def shown(api: Any, device: Any) -> list[str]:
    """What the attributes say that the outlets are."""
    return [
        str(each["resourceValce"]).lower()
        for each in api.get_device_properties(device).raw
        if each["resourceCode"] == "ac_switch_hm"
    ]


@pytest.mark.usefixtures("pecron_region")
class TestPecron:
    """`unofficial-pecron-api`: batchControlDevice, properties by code."""

    def test_switches_the_outlets_on_and_off(self, owner: User, station: Station) -> None:
        with pecron.PecronAPI("EU") as api:
            api.login(owner.email, owner.password)
            (device,) = api.get_devices()

            on = api.set_ac_output(device, enabled=True)
            assert station.said("written {2: True}")
            assert until(lambda: "true" in shown(api, device))
            off = api.set_ac_output(device, enabled=False)
            assert station.said("written {2: False}")

            assert until(lambda: "false" in shown(api, device))

        assert (on.success, off.success) == (True, True)
        assert on.ticket
        assert on.ticket != off.ticket

    def test_is_told_why_a_property_cannot_be_set(self, owner: User) -> None:
        with pecron.PecronAPI("EU") as api:
            api.login(owner.email, owner.password)
            (device,) = api.get_devices()

            unknown = api.set_device_property(device, {"no_such_thing": 1})
            read_only = api.set_device_property(device, {"battery_percentage": 1})

        assert (unknown.success, unknown.error_message) == (False, "no_such_thing is no property of this product")
        assert (read_only.success, read_only.error_message) == (False, "battery_percentage can only be read")

    def test_a_stranger_controls_nothing(self, world: World, owner: User, station: Station) -> None:
        stranger = world.new_user()
        with pecron.PecronAPI("EU") as api:
            api.login(owner.email, owner.password)
            (device,) = api.get_devices()
        with pecron.PecronAPI("EU") as api:
            api.login(stranger.email, stranger.password)

            result = api.set_device_property(device, {"target": 20})

        assert (result.success, result.error_message) == (False, "you do not own this device")


class TestLandbook:
    """`landbook-api`: MQTT over a TLS WebSocket, READ-ATTR and WRITE-ATTR on `sys_`, results on `ack_`."""

    @pytest.fixture(autouse=True)
    def region(
        self,
        world: World,
        certificate: tuple[Path, Path],
        secure_port: int,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        ours = {"api_base": world.center.url, "user_domain": world.domain, "app_domain_key": world.domain_secret}
        monkeypatch.setitem(landbook.REGIONS, "us", ours | {"mqtt_host": "localhost"})
        monkeypatch.setattr(landbook_mqtt, "MQTT_PORT", secure_port)
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))

    @pytest.fixture
    def heard(self, owner: User, station: Station) -> Iterator[tuple[Any, queue.Queue[tuple[str, Any]]]]:
        token, uid, refresh_token = landbook.login(owner.email, owner.password)
        token, refresh_token = landbook.refresh_token(token, refresh_token)
        client = landbook_mqtt.LandbookMQTTClient(uid, token, "localhost")
        heard: queue.Queue[tuple[str, Any]] = queue.Queue()
        client.connect()
        client.subscribe_device(station.client_id, lambda suffix, payload: heard.put((suffix, payload)))
        yield client, heard
        client.disconnect()

    def hear(self, heard: queue.Queue[tuple[str, Any]], suffix: str) -> Any:
        while True:
            found, payload = heard.get(timeout=WAIT_S)
            if found == suffix:
                return payload

    def test_writes_and_hears_that_the_device_had_it_and_what_it_did(self, station, heard) -> None:
        client, said = heard

        client.send_write(station.client_id, station.world.pk, station.dk, {"ac_switch_hm": True})

        seen = dict(said.get(timeout=WAIT_S) for _ in range(2))
        assert (seen["ack_"]["status"], seen["ack_"]["msg"]) == ("succ", "success")
        assert (seen["bus_"]["type"], seen["bus_"]["data"]["kv"]) == ("MATTR", {"ac_switch_hm": True})
        assert station.said("written {2: True}")

    def test_reads_attributes(self, station, heard) -> None:
        client, said = heard

        client.send_read(station.client_id, station.world.pk, station.dk, ["battery_percentage", "mode"])

        assert self.hear(said, "ack_")["status"] == "succ"
        assert self.hear(said, "bus_")["data"]["kv"] == {"battery_percentage": "87", "mode": "0"}
        assert station.said("read [1, 5]")

    def test_is_told_of_a_device_that_is_away_and_again_when_it_is_here(self, station, heard) -> None:
        client, said = heard
        station.off()
        assert self.hear(said, "onl_")["data"]["value"] == 0

        client.send_write(station.client_id, station.world.pk, station.dk, {"ac_switch_hm": False})

        assert self.hear(said, "ack_")["status"] == "fail"
        station.on()
        assert self.hear(said, "onl_")["data"]["value"] == 1


def test_raw_data_and_services_reach_the_script_and_its_answers_the_app(owner: User, station: Station) -> None:
    keys = {"productKey": station.world.pk, "deviceKey": station.dk}
    assert station.is_here()
    with App(station.world, owner.token) as app:
        assert app.subscribe(station.dk, ["RAW-UPLINK"]) == 1

        app.say("send", {**keys, "type": "RAW", "raw": "hi", "dataFormat": "Text", "msgId": 7})
        heard = [app.hear(), app.hear()]
        app.say("send", {**keys, "type": "EXE-SERV", "kv": '{"blink": {"times": 3}}', "msgId": 8})
        called = app.hear()

    by_command = {each["cmd"]: each["data"] for each in heard}
    assert (by_command["send_ack"]["msgId"], by_command["send_ack"]["status"]) == (7, "succ")
    assert base64.b64decode(by_command["message"]["data"]["raw"]) == b"got hi"
    assert (called["cmd"], called["data"]["msgId"], called["data"]["status"]) == ("send_ack", 8, "succ")
    assert station.said("written {30: {31: 3}}")


def test_what_is_kept_reaches_the_module_when_it_is_switched_on(world: World, owner: User, station: Station) -> None:
    assert station.is_here()
    station.off()
    assert until(lambda: not station.show()["is_online"])
    devices = [{"productKey": world.pk, "deviceKey": station.dk}]
    keep = {"deviceList": devices, "isCache": 1, "cacheTime": 600, "isCover": 1}

    for value in ("10", "20.5"):
        data = json.dumps([{"target": value}])
        answer = world.center.call(
            "POST", "/v2/binding/enduserapi/batchControlDevice", owner.token, {"data": data, "type": 2, **keep}
        )
        assert len(answer["data"]["successList"]) == 1, answer
    world.center.kill()
    world.center.start()
    station.on()

    assert station.said("written {3: 20.5}")
    assert "written {3: 10}" not in station._log.read_text()
