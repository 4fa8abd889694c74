"""The calls a script makes: results, order, and that a refused one changes nothing."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import pytest

import quecIot
from quecbind.wire import mqtt
from quecIot import _codes, _platform
from quecIot._device import Device
from tests.quecIot.bench import CODE, DK, DS, NEW_DS, PK, PS, CountingEntropy, MemoryFiles
from tests.quecIot.test_options import REFUSED, REFUSED_CODES, REFUSED_TIMEOUTS


class Bench:
    def __init__(self, **environment: str) -> None:
        self.now = 500.0
        self.files = MemoryFiles()
        self.environment = {"QUECIOT_HOME": "/home", "QUECIOT_DK": DK, **environment}
        self.device = self.new_device()

    def new_device(self) -> Device:
        return Device(
            lambda name: self.environment.get(name, ""),
            self.files,  # type: ignore[arg-type]
            CountingEntropy(),
            lambda: self.now,
            has_threads=False,
        )

    def stored(self) -> dict[str, bytes]:
        return dict(self.files.content)


@pytest.fixture
def bench() -> Bench:
    bench = Bench()
    assert bench.device.init()
    assert bench.device.set_productinfo(PK, PS)
    return bench


def calls(device: Device) -> dict[str, Callable[..., Any]]:
    return {
        "bindcodeSet": device.bindcode_set,
        "setPairingPin": device.set_pairing_pin,
        "setConnmode": device.set_connmode,
        "setEventCB": device.set_event_cb,
        "setProvisionCB": device.set_provision_cb,
        "setProductinfo": device.set_productinfo,
        "setServer": device.set_server,
        "setLifetime": lambda value: device.set_setting("setLifetime", "lifetime", value),
        "setPdpContextId": device.set_pdp_context_id,
        "setSessionFlag": lambda value: device.set_setting("setSessionFlag", "session_flag", value),
        "setSoftVersion": lambda value: device.set_setting("setSoftVersion", "soft_version", value),
        "setMcuVersion": device.set_mcu_version,
        "setDkDs": device.set_dk_ds,
        "passTransSend": lambda *arguments: device.pass_trans_send("passTransSend", *arguments) > 0,
        "phymodelReport": lambda *arguments: device.phymodel_report("phymodelReport", *arguments) > 0,
        "phymodelAck": device.phymodel_ack,
        "getDevStatus": device.get_dev_status,
        "getDevInfo": device.get_dev_info,
    }


# --- before init ---


def test_before_init_setters_are_false_getters_none_and_the_work_state_0() -> None:
    device = Bench().device

    assert device.get_work_state() == 0
    assert device.bindcode_set(CODE, 120) is False
    assert device.rst() is False
    assert device.set_connmode(1) is False
    assert device.set_event_cb(lambda event: None) is False
    assert device.set_productinfo(PK, PS) is False
    assert device.set_dk_ds("d1", "") is False
    assert device.pass_trans_send("passTransSend_ex", 0, b"x") == -1
    for getter in (
        device.bindcode_get,
        device.get_connmode,
        device.get_productinfo,
        device.get_server,
        device.get_pdp_context_id,
        device.get_mcu_version,
        device.get_dk_ds,
        lambda: device.get_setting("getLifetime", "lifetime"),
        lambda: device.get_dev_status([1]),
        lambda: device.get_dev_info([1]),
    ):
        assert getter() is None


def test_what_cannot_be_done_is_one_line_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "quecIot"):
        Bench().device.rst()

    assert [(record.name, record.message) for record in caplog.records] == [("quecIot", "rst: init() comes first")]


@pytest.mark.parametrize(
    "environment",
    [
        {"QUECIOT_SERVER": "ftp://a.b"},
        {"QUECIOT_DK": "a-b"},
        {"QUECIOT_DK": "d" * 17},
        {"QUECIOT_LAN_UDP_PORT": "x"},
        {"QUECIOT_LAN_TCP_PORT": "65536"},
    ],
)
def test_init_is_refused_with_an_environment_that_cannot_be(environment: dict[str, str]) -> None:
    device = Bench(**environment).device

    assert device.init() is False
    assert device.get_work_state() == 0


def test_init_again_leaves_the_developer_center(bench: Bench) -> None:
    bench.device.set_connmode(1)

    assert bench.device.init() is True

    assert bench.device.get_connmode() == 0


# --- bind code ---


@pytest.mark.parametrize("code", REFUSED_CODES)
def test_a_malformed_code_changes_nothing(bench: Bench, code: Any) -> None:
    bench.device.bindcode_set(CODE, 120)
    stored = bench.stored()

    assert bench.device.bindcode_set(code, 60) is False

    assert bench.device.bindcode_get() == [CODE, 120]
    assert bench.stored() == stored


@pytest.mark.parametrize("timeout", REFUSED_TIMEOUTS)
def test_a_malformed_timeout_changes_nothing(bench: Bench, timeout: Any) -> None:
    stored = bench.stored()

    assert bench.device.bindcode_set(CODE, timeout) is False

    assert bench.device.bindcode_get() is None
    assert bench.stored() == stored


@pytest.mark.parametrize("timeout", [1, 120, 4294967295])
def test_a_code_is_kept_with_its_time(bench: Bench, timeout: int) -> None:
    assert bench.device.bindcode_set(CODE, timeout) is True

    assert bench.device.bindcode_get() == [CODE, timeout]


@pytest.mark.parametrize("nothing", [None, "", b""])
def test_without_a_code_a_random_one_is_drawn(bench: Bench, nothing: Any) -> None:
    codes = set()

    for _ in range(3):
        assert bench.device.bindcode_set(nothing, 60)
        answer = bench.device.bindcode_get()
        assert answer is not None
        codes.add(answer[0])

    assert len(codes) == 3
    assert all(len(code) == 16 and set(code) <= set("0123456789ABCDEF") for code in codes)


def test_the_time_runs_out(bench: Bench) -> None:
    bench.device.bindcode_set(CODE, 120)

    bench.now += 119.5
    assert bench.device.bindcode_get() == [CODE, 1]
    bench.now += 0.5
    assert bench.device.bindcode_get() is None


def test_zero_closes_the_window(bench: Bench) -> None:
    bench.device.bindcode_set(CODE, 120)

    assert bench.device.bindcode_set(CODE, 0) is True

    assert bench.device.bindcode_get() is None


def test_a_restart_closes_the_window(bench: Bench) -> None:
    bench.device.bindcode_set(CODE, 120)

    device = bench.new_device()
    device.init()

    assert device.bindcode_get() is None


def test_a_store_that_cannot_be_written_is_false_and_nothing_is_gone(bench: Bench) -> None:
    bench.device.bindcode_set(CODE, 120)
    stored = bench.stored()
    bench.files.is_writable = False

    assert bench.device.bindcode_set("F" * 16, 60) is False
    assert bench.device.rst() is False
    assert bench.device.set_productinfo("p2", "s") is False

    assert bench.device.bindcode_get() == [CODE, 120]
    assert bench.device.get_productinfo() == (PK, PS, "3")
    assert bench.stored() == stored


def test_rst_forgets_code_and_secret(bench: Bench) -> None:
    bench.device.set_dk_ds("own", DS)
    bench.device.bindcode_set(CODE, 120)

    assert bench.device.rst() is True

    assert bench.device.bindcode_get() is None
    assert bench.device.get_dk_ds() == ("own", "")


# --- configuration ---


@pytest.mark.parametrize(("call", "arguments"), [row for row in REFUSED if row[0] in calls(Bench().device)])
def test_a_wrong_argument_is_refused_and_changes_nothing(
    bench: Bench, caplog: pytest.LogCaptureFixture, call: str, arguments: tuple[Any, ...]
) -> None:
    stored = bench.stored()
    failure = None if call.startswith("get") else False

    with caplog.at_level(logging.INFO, "quecIot"):
        assert calls(bench.device)[call](*arguments) is failure

    assert bench.stored() == stored
    assert len(caplog.records) == 1
    assert caplog.records[0].message.startswith(f"{call}: ")


def test_defaults(bench: Bench) -> None:
    device = bench.device

    assert device.get_connmode() == 0
    assert device.get_work_state() == _codes.INITIALISED
    assert device.get_server() == (1, "iot-south.quectel.com:1883")
    assert device.get_setting("getLifetime", "lifetime") == 120
    assert device.get_pdp_context_id() == 1
    assert device.get_setting("getSessionFlag", "session_flag") is False
    assert device.get_setting("getSoftVersion", "soft_version") == ""
    assert device.get_mcu_version() == []
    assert device.get_dk_ds() is None


def test_what_was_set_is_got_and_survives_a_restart(bench: Bench) -> None:
    device = bench.device
    assert device.set_server(1, b"mqtts://center.example")
    assert device.set_setting("setLifetime", "lifetime", 60)
    assert device.set_setting("setSessionFlag", "session_flag", True)
    assert device.set_setting("setSoftVersion", "soft_version", "+app")
    assert device.set_mcu_version("MCU1", "1_0_0")
    assert device.set_mcu_version(b"MCU2", b"2")
    assert device.set_dk_ds("own1", DS)

    device = bench.new_device()
    device.init()

    assert device.get_server() == (1, "mqtts://center.example")
    assert device.get_setting("getLifetime", "lifetime") == 60
    assert device.get_setting("getSessionFlag", "session_flag") is True
    assert device.get_setting("getSoftVersion", "soft_version") == "+app"
    assert device.get_mcu_version() == [("MCU1", "1_0_0"), ("MCU2", "2")]
    assert device.get_dk_ds() == ("own1", DS)
    assert device.get_productinfo() == (PK, PS, "3")


def test_setters_are_refused_while_connecting(bench: Bench) -> None:
    device = bench.device
    assert device.set_connmode(1)
    stored = bench.stored()

    assert not device.set_productinfo("p2", "s")
    assert not device.set_server(1, "a.b")
    assert not device.set_setting("setLifetime", "lifetime", 60)
    assert not device.set_setting("setSessionFlag", "session_flag", True)
    assert not device.set_setting("setSoftVersion", "soft_version", "x")
    assert not device.set_pdp_context_id(1)
    assert not device.set_mcu_version("a", "b")
    assert not device.set_dk_ds("a", "b")

    assert bench.stored() == stored
    assert device.set_event_cb(lambda event: None)
    assert device.bindcode_set(CODE, 60)


def test_connecting_needs_a_product() -> None:
    device = Bench().device
    device.init()

    assert device.set_connmode(1) is False
    assert device.get_connmode() == 0
    assert device.set_connmode(0) is True


def test_an_mcu_component_is_replaced_and_removed(bench: Bench) -> None:
    bench.device.set_mcu_version("MCU1", "1")
    bench.device.set_mcu_version("MCU1", "2")
    assert bench.device.get_mcu_version() == [("MCU1", "2")]

    assert bench.device.set_mcu_version("MCU1", "")
    assert bench.device.set_mcu_version("never there", "")

    assert bench.device.get_mcu_version() == []


def test_mcu_components_are_limited(bench: Bench) -> None:
    assert all(bench.device.set_mcu_version(f"MCU{number}", "1") for number in range(32))
    assert bench.device.set_mcu_version("one more", "1") is False
    assert bench.device.set_mcu_version("MCU1", "2") is True


@pytest.mark.parametrize(
    ("own", "dk", "ds", "result"),
    [
        ("", "own1", "", True),
        ("", "own1", DS, True),
        ("", "", "", False),  # the default is in use already
        ("", "", DS, False),
        ("", DK, "", False),  # the default given explicitly
        ("own1", "", "", True),
        ("own1", "", DS, False),
        ("own1", DK, DS, False),
        ("own1", "own2", "", True),
    ],
)
def test_set_dk_ds(bench: Bench, own: str, dk: str, ds: str, result: bool) -> None:
    if own:
        bench.device.set_dk_ds(own, NEW_DS)

    assert bench.device.set_dk_ds(dk, ds) is result

    if result:
        assert bench.device.get_dk_ds() == ((dk, ds) if dk else None)
    else:
        assert bench.device.get_dk_ds() == ((own, NEW_DS) if own else None)


def test_a_device_key_that_is_named_again_at_every_start_keeps_the_secret_it_got(bench: Bench) -> None:
    bench.device.set_dk_ds("own1", DS)

    assert bench.device.set_dk_ds("own1", "") is True

    assert bench.device.get_dk_ds() == ("own1", DS)


def test_the_environments_server_wins_and_the_scripts_is_kept() -> None:
    bench = Bench(QUECIOT_SERVER="mqtt://127.0.0.1:18830")
    bench.device.init()
    bench.device.set_server(1, "iot-south.quectel.com:2883")
    assert bench.device.get_server() == (1, "mqtt://127.0.0.1:18830")

    bench.environment["QUECIOT_SERVER"] = ""
    device = bench.new_device()
    device.init()

    assert device.get_server() == (1, "iot-south.quectel.com:2883")


# --- data ---


def test_data_is_refused_while_not_connecting(bench: Bench) -> None:
    device = bench.device

    assert device.pass_trans_send("passTransSend_ex", 0, b"x") == -1
    assert device.phymodel_report("phymodelReport_ex", 0, {1: True}) == -1
    assert device.phymodel_ack(0, 1, {1: True}) is False
    assert device.status_report([1]) is False
    assert device.dev_info_report([1]) is False


def test_data_waits_for_the_connection(bench: Bench) -> None:
    device = bench.device
    device.set_connmode(1)

    assert device.pass_trans_send("passTransSend_ex", 1, "text") == 1
    assert device.phymodel_report("phymodelReport_ex", 2, {1: True}) == 2
    assert device.status_report([1, 2]) is True
    assert device.dev_info_report([1, 14]) is True
    assert device.phymodel_ack(0, 1, {1: True}) is False  # an answer is given now or never


def test_status_and_information_are_told_to_the_script(bench: Bench) -> None:
    status = bench.device.get_dev_status([1, 4, 5])
    information = bench.device.get_dev_info((1, 5, 11, 13, 14))

    assert status is not None
    assert set(status) == {1, 4}  # 5 to 7 belong to cellular radios
    assert information is not None
    assert information[11] == "2.11.0"
    assert information[5] == ""
    assert bench.device.status_report([5, 6]) is False


class TestSealedPairing:
    @pytest.fixture(autouse=True)
    def window(self, bench: Bench) -> None:
        assert bench.device.bindcode_set(CODE, 120)

    def test_with_a_pin_the_code_is_told_to_nobody_in_the_clear(self, bench: Bench) -> None:
        assert bench.device._near.identity() == (PK, DK, CODE)
        assert bench.device._near.terms() is None

        assert bench.device.set_pairing_pin("271828")

        assert bench.device._near.identity() == (PK, DK, None)
        assert bench.device._near.terms() == ("271828", PK, DK)
        assert bench.device.bindcode_get() == [CODE, 120]

    @pytest.mark.parametrize("off", ["", None])
    def test_without_a_pin_pairing_is_open_again(self, bench: Bench, off: str | None) -> None:
        bench.device.set_pairing_pin("271828")

        assert bench.device.set_pairing_pin(off)

        assert bench.device._near.identity() == (PK, DK, CODE)
        assert bench.device._near.terms() is None

    def test_a_refused_pin_leaves_the_earlier_one(self, bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
        bench.device.set_pairing_pin("271828")

        assert not bench.device.set_pairing_pin("27182")

        assert bench.device._near.terms() == ("271828", PK, DK)
        assert "6 to 16 digits" in caplog.text
        assert "27182" not in caplog.text

    def test_without_the_library_a_pin_is_refused_and_the_log_says_what_to_install(
        self, bench: Bench, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(_platform, "_spake2", None)

        assert not bench.device.set_pairing_pin("271828")
        assert "pip install 'quecbind[sealed]'" in caplog.text
        assert bench.device._near.identity() == (PK, DK, CODE)
        assert bench.device.set_pairing_pin("")

    def test_ten_wrong_pins_close_the_window_here_and_at_the_developer_center(self, bench: Bench) -> None:
        bench.device.set_pairing_pin("271828")
        agent = bench.device.agent
        assert agent is not None

        assert [bench.device._near.settle("271828", False) for _ in range(10)] == [9, 8, 7, 6, 5, 4, 3, 2, 1, 0]

        assert bench.device.bindcode_get() is None
        assert bench.device._window.report(bench.now) == (CODE, 0, 2)  # to be told: over
        assert bench.device._near.settle("271828", True) is None

    def test_a_new_window_bears_ten_again(self, bench: Bench) -> None:
        bench.device.set_pairing_pin("271828")
        for _ in range(9):
            bench.device._near.settle("271828", False)

        bench.device.bindcode_set(CODE, 120)

        assert bench.device._near.settle("271828", False) == 9

    def test_the_right_pin_gets_the_code_of_the_open_window(self, bench: Bench) -> None:
        bench.device.set_pairing_pin("271828")

        assert bench.device._near.settle("271828", True) == CODE
        bench.now += 120
        assert bench.device._near.settle("271828", True) is None
        assert bench.device._near.settle("271828", False) is None

    def test_a_try_with_an_earlier_pin_counts_for_nothing(self, bench: Bench) -> None:
        bench.device.set_pairing_pin("271828")

        assert bench.device._near.settle("314159", True) is None
        assert bench.device._near.settle("271828", False) == 9

    def test_the_environment_sets_a_pin_for_scripts_that_do_not_know_the_call(self) -> None:
        bench = Bench(QUECIOT_PAIRING_PIN="271828")

        assert bench.device.init()
        bench.device.set_productinfo(PK, PS)
        bench.device.bindcode_set(CODE, 120)

        assert bench.device._near.terms() == ("271828", PK, DK)

    def test_a_wrong_one_there_keeps_the_module_from_starting(self, caplog: pytest.LogCaptureFixture) -> None:
        assert not Bench(QUECIOT_PAIRING_PIN="12345").device.init()
        assert "QUECIOT_PAIRING_PIN must be 6 to 16 digits" in caplog.text

    def test_a_restart_forgets_the_pin(self, bench: Bench) -> None:
        bench.device.set_pairing_pin("271828")
        assert b"271828" not in b"".join(bench.stored().values())

        device = bench.new_device()
        assert device.init()

        assert device._near.terms() is None


def test_the_public_module_has_the_calls_and_nothing_else() -> None:
    public = {name for name in vars(quecIot) if not name.startswith("_") and callable(getattr(quecIot, name))}

    assert "TYPE_CHECKING" not in vars(quecIot)
    assert public == {
        *("init", "bindcodeSet", "bindcodeGet", "rst", "setConnmode", "getConnmode", "getWorkState", "setEventCB"),
        *("setProductinfo", "getProductinfo", "setServer", "getServer", "setLifetime", "getLifetime"),
        *("setPdpContextId", "getPdpContextId", "setSessionFlag", "getSessionFlag", "setSoftVersion"),
        *("getSoftVersion", "setMcuVersion", "getMcuVersion", "setDkDs", "getDkDs", "setPairingPin"),
        *("passTransSend", "passTransSend_ex", "phymodelReport", "phymodelReport_ex", "phymodelAck"),
        *("statusReport", "getDevStatus", "devInfoReport", "getDevInfo"),
        "setProvisionCB",  # ours alone
    }


def test_only_a_wrong_number_of_arguments_raises(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quecIot, "_device", bench.device)

    with pytest.raises(TypeError):
        quecIot.bindcodeSet()  # type: ignore[call-arg]

    assert quecIot.bindcodeGet() is None


def test_every_public_call_reaches_the_device(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(quecIot, "_device", bench.device)

    assert quecIot.bindcodeSet("1234567890123456", 120)
    assert quecIot.bindcodeGet() == ["1234567890123456", 120]
    assert quecIot.setPairingPin("271828")
    assert quecIot.setPairingPin()
    assert quecIot.bindcodeSet("1234567890123456")
    assert quecIot.rst()
    assert quecIot.setEventCB(lambda event: None)
    assert quecIot.setProductinfo(PK, PS)
    assert quecIot.getProductinfo() == (PK, PS, "3")
    assert quecIot.setServer()
    assert quecIot.setServer(1, "a.b:1")
    assert quecIot.getServer() == (1, "a.b:1")
    assert quecIot.setLifetime(60)
    assert quecIot.getLifetime() == 60
    assert quecIot.setPdpContextId(1)
    assert quecIot.getPdpContextId() == 1
    assert quecIot.setSessionFlag(True)
    assert quecIot.getSessionFlag() is True
    assert quecIot.setSoftVersion("+1")
    assert quecIot.getSoftVersion() == "+1"
    assert quecIot.setMcuVersion("m", "1")
    assert quecIot.getMcuVersion() == [("m", "1")]
    assert quecIot.setDkDs("own", "")
    assert quecIot.getDkDs() == ("own", "")
    assert quecIot.getDevStatus([1]) is not None
    assert quecIot.getDevInfo([13]) == {13: "1.3.0"}
    assert quecIot.setConnmode(1)
    assert quecIot.getConnmode() == 1
    assert quecIot.getWorkState() == _codes.AUTHENTICATING
    assert quecIot.passTransSend(0, b"x")
    assert quecIot.passTransSend_ex(0, b"x") == 2
    assert quecIot.phymodelReport(0, {1: 1})
    assert quecIot.phymodelReport_ex(0, {1: 1}) == 4
    assert not quecIot.phymodelAck(0, 1, {1: 1})
    assert quecIot.statusReport([1])
    assert quecIot.devInfoReport([1])
    assert quecIot.init()
    assert quecIot.getConnmode() == 0


def test_a_connection_from_the_calls_alone(bench: Bench) -> None:
    device = bench.device
    device.set_connmode(1)
    agent = device.agent
    assert agent is not None
    link = agent.link()
    assert link is not None
    agent.link_up(link.number, bench.now)
    agent.receive_data(mqtt.Connack(0).encode(), bench.now)

    device.set_connmode(0)

    assert device.get_work_state() == _codes.DEREGISTERING
