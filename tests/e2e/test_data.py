"""A QuecPython script reports properties and an event; its owner reads them over HTTP and hears them on both pushes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from tests.center.domain.power_station import power_station
from tests.e2e.center_process import environment
from tests.e2e.conftest import BINDING, World, make_world
from tests.e2e.test_push import WAIT_S, App, MqttApp
from tests.e2e.test_vendor_examples import SET_UP
from tests.waiting import until

CODE = "1234567890123456"
SCRIPT = (
    "import os\n"
    + SET_UP
    + """\
print("window", quecIot.bindcodeSet("{code}", 120))
print("go", wait(lambda: os.path.exists({go!r})))
print("report", quecIot.phymodelReport(1, {{1: 87, 2: True, 3: 21.5, 6: "hall", 9: {{1: 230, 2: False}}, 10: [1, 2]}}))
print("acknowledged", wait(lambda: (4, 10210) in events))
print("event", quecIot.phymodelReport(1, {{20: {{21: 3000}}}}))
print("done", wait(lambda: events.count((4, 10210)) == 2))
quecIot.setConnmode(0)
"""
)
KV = {
    "battery_percentage": "87",
    "ac_switch_hm": True,
    "target": "21.5",
    "label": "hall",
    "ac_data_output_hm": {"voltage": "230", "live": False},
    "hours": ["1", "2"],
}


def modelled(center, place: Path) -> World:
    world = make_world(center)
    file = place / "tsl.json"
    file.write_text(json.dumps(power_station()))
    center.admin("product", "tsl", "import", world.pk, str(file))
    return world


def test_what_a_script_reports_is_read_and_heard_by_name(center, tmp_path: Path) -> None:
    world = modelled(center, tmp_path)
    owner, dk, go = world.new_user(), world.new_device_key(), tmp_path / "go"
    script = tmp_path / "script.py"
    server = f"127.0.0.1:{center.mqtt_port}"
    script.write_text(SCRIPT.format(pk=world.pk, ps=world.ps, server=server, code=CODE, go=str(go)))
    env = environment(QUECIOT_HOME=str(tmp_path / "home"), QUECIOT_DK=dk, QUECIOT_LAN="off")
    device = subprocess.Popen(
        [sys.executable, str(script)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=env
    )
    try:
        assert until(lambda: owner.bind(dk, CODE)["code"] == 200)
        topic = f"q/2/d/qd{world.pk}{dk}/bus_"
        with App(world, owner.token) as v1, MqttApp(world, owner) as v2:
            assert v1.subscribe(dk, ["MATTR-REPORT", "MEVENT-ERROR"]) == 1
            assert v2.subscribe(topic) == [0]

            go.touch()

            properties, event = v1.hear()["data"], v1.hear()["data"]
            assert (properties["type"], properties["subtype"], properties["data"]["kv"]) == ("MATTR", "REPORT", KV)
            assert (event["type"], event["subtype"]) == ("MEVENT", "ERROR")
            assert (event["data"]["code"], event["data"]["kv"]) == ("overload", {"watts": "3000"})
            heard = [v2.heard.get(timeout=WAIT_S) for _ in range(2)]
            assert [name for name, _ in heard] == [topic, topic]
            assert [content["data"]["kv"] for _, content in heard] == [KV, {"watts": "3000"}]
        printed = device.communicate(timeout=60)[0].splitlines()
    finally:
        device.kill()
        device.wait(10)

    assert [line.rpartition(" ")[2] for line in printed] == ["True"] * 7, printed
    keys = {"pk": world.pk, "dk": dk}
    shown = center.call("GET", BINDING + "getDeviceBusinessAttributes", owner.token, **keys)["data"]
    values = {each["resourceCode"]: each["resourceValce"] for each in shown["customizeTslInfo"]}
    assert values == {
        "battery_percentage": "87",
        "ac_switch_hm": "true",
        "target": "21.5",
        "label": "hall",
        "ac_data_output_hm": '{"voltage":"230","live":false}',
        "hours": '["1","2"]',
    }
    history = center.call("GET", BINDING + "getDeviceHistory", owner.token, **keys)["data"]
    assert [(each["kv"], len(each["events"])) for each in history["list"]] == [({}, 1), (KV, 0)]
    stranger = world.new_user()
    assert center.call("GET", BINDING + "getDeviceBusinessAttributes", stranger.token, **keys)["code"] == 5052
    assert center.call("GET", BINDING + "getDeviceHistory", stranger.token, **keys)["code"] == 5052
