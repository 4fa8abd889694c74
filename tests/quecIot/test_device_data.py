"""The data calls of a script and their events, over MQTT and on the local network alike."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from quecbind.wire import commands, frame, mqtt, topics, ttlv
from quecIot import _downlink
from tests.quecIot.bench import DK, DS, PK, PS
from tests.quecIot.test_device import Bench as CallBench

UPLINK = f"q/2/d/qd{PK}{DK}/"


class Lan:
    """What the local network is told, and one App that has asked for properties."""

    def __init__(self) -> None:
        self.told: list[tuple[int, bytes]] = []
        self.asked = {0x1234}
        self.answers: list[tuple[int, bytes]] = []

    def report(self, command: int, payload: bytes) -> None:
        self.told.append((command, payload))

    def answer_read(self, packet_id: int, payload: bytes) -> bool:
        if packet_id not in self.asked:
            return False
        self.answers.append((packet_id, payload))
        return True


class Bench(CallBench):
    """A device whose calls are made, with its Developer Center's side of MQTT."""

    def __init__(self) -> None:
        super().__init__()
        assert self.device.init()
        assert self.device.set_productinfo(PK, PS)
        self.events: list[Any] = []
        self.lan = Lan()
        self.device._near.lan = self.lan  # type: ignore[assignment]
        self.device._events.put = self.events.extend  # type: ignore[method-assign]
        self._reader = mqtt.PacketReader()
        self._packet_ids = itertools.count(1)

    def connect(self) -> None:
        self.device._profile.save(device_secret=DS)
        assert self.device.set_connmode(1)
        link = self.agent.link()
        assert link is not None
        self.agent.link_up(link.number, self.now)
        self.packets()
        self.receive(mqtt.Connack(0))
        (subscribe,) = self.packets()
        self.receive(mqtt.Suback(subscribe.packet_id, [1]))
        for _ in range(4):  # the first reports
            self.acknowledge()
        self.device._flush()
        self.events.clear()

    @property
    def agent(self) -> Any:
        assert self.device.agent is not None
        return self.device.agent

    def packets(self) -> list[Any]:
        return list(self._reader.feed(self.agent.data_to_send()))

    def receive(self, packet: Any) -> None:
        self.agent.receive_data(packet.encode(), self.now)

    def acknowledge(self) -> list[tuple[str, int, frame.Frame]]:
        """What was published, (kind of topic, QoS, frame); each is acknowledged."""
        published = []
        for packet in self.packets():
            if isinstance(packet, mqtt.Publish):
                published.append((packet.topic.removeprefix(UPLINK), packet.qos, frame.decode(packet.payload)))
                if packet.qos == 1:
                    self.receive(mqtt.Puback(packet.packet_id))
                if packet.qos == 2:
                    self.receive(mqtt.Pubrec(packet.packet_id))
                    self.receive(mqtt.Pubcomp(packet.packet_id))
        self.device._flush()
        return published

    def downlink(self, command: int, payload: bytes, packet_id: int = 9) -> None:
        topic = topics.downlink(topics.client_id(PK, DK), "bus")
        data = frame.encode(packet_id, command, payload)
        self.receive(mqtt.Publish(topic, data, 1, packet_id=next(self._packet_ids)))
        self.device._flush()

    def from_lan(self, command: int, payload: bytes, packet_id: int = 9) -> bytes:
        """What an App asks for that has logged in."""
        return self.device._near.carry_out(_downlink.decide(frame.Frame(packet_id, command, payload)))


@pytest.fixture
def bench() -> Bench:
    bench = Bench()
    bench.connect()
    return bench


PROPERTIES = {6: {1: True, 2: "ä"}, 1: False, 2: -5, 3: 36.6, 4: "text", 5: b"\xff", 7: [1, 2], 8: [{1: 1}, {1: 2}]}
WIRE = ttlv.encode(
    [
        (1, False),
        (2, -5),
        (3, 36.6),
        (4, "text"),
        (5, b"\xff"),
        (6, [(1, True), (2, "ä")]),
        (7, [(0, 1), (0, 2)]),
        (8, [(0, [(1, 1)]), (0, [(1, 2)])]),
    ]
)


# --- sending ---


@pytest.mark.parametrize("qos", [0, 1, 2])
@pytest.mark.parametrize("data", [b"\x01\xff", "ä"])
def test_raw_data_goes_to_the_developer_center_and_to_apps_on_the_lan(bench: Bench, qos: int, data: Any) -> None:
    number = bench.device.pass_trans_send("passTransSend_ex", qos, data)
    plain = data if isinstance(data, bytes) else data.encode()

    assert 1 <= number <= 65535
    assert bench.acknowledge() == [("bus", qos, (number, commands.TRANSPARENT_UP, plain))]
    assert bench.lan.told == [(commands.TRANSPARENT_UP, plain)]
    assert bench.events == [(4, 10200, number)]


@pytest.mark.parametrize("qos", [0, 1, 2])
def test_properties_go_to_the_developer_center_and_to_apps_on_the_lan(bench: Bench, qos: int) -> None:
    number = bench.device.phymodel_report("phymodelReport_ex", qos, PROPERTIES)

    assert bench.acknowledge() == [("bus", qos, (number, commands.TSL_REPORT, WIRE))]
    assert bench.lan.told == [(commands.TSL_REPORT, WIRE)]
    assert bench.events == [(4, 10210, number)]


def test_what_nobody_acknowledges_is_a_failure_with_its_packet_id(bench: Bench) -> None:
    raw = bench.device.pass_trans_send("passTransSend_ex", 1, b"x")
    properties = bench.device.phymodel_report("phymodelReport_ex", 1, {1: 1})
    for _ in range(20):
        bench.now = bench.agent.next_timer()
        bench.agent.handle_timer(bench.now)
        bench.device._flush()
        if len(bench.events) == 2:
            break

    assert bench.events == [(4, 10300, raw), (4, 10310, properties)]


def test_apps_on_the_lan_are_told_while_the_developer_center_cannot_be() -> None:
    bench = Bench()

    assert bench.device.pass_trans_send("passTransSend_ex", 1, b"x") == -1
    assert bench.device.phymodel_report("phymodelReport_ex", 1, {1: True}) == -1
    assert bench.lan.told == [(commands.TRANSPARENT_UP, b"x"), (commands.TSL_REPORT, bytes.fromhex("0009"))]
    assert bench.events == []


def test_apps_on_the_lan_are_told_when_the_queue_is_full(bench: Bench) -> None:
    results = [bench.device.pass_trans_send("passTransSend_ex", 1, b"x") for _ in range(2000)]

    assert results[-1] == -1
    assert len(bench.lan.told) == 2000


@pytest.mark.parametrize(
    ("qos", "data"),
    [
        *((1, data) for data in (b"", "", None, 5, bytearray(b"x"), "\ud800")),
        *((qos, b"x") for qos in (3, -1, True, "1", None)),
    ],
)
def test_raw_data_that_cannot_be_sent_reaches_nobody(bench: Bench, qos: Any, data: Any) -> None:
    assert bench.device.pass_trans_send("passTransSend_ex", qos, data) == -1

    assert bench.acknowledge() == []
    assert bench.lan.told == []


@pytest.mark.parametrize(
    "properties",
    [{}, None, [], {0: 1}, {8192: 1}, {"1": 1}, {1: None}, {1: object()}, {1: float("nan")}, {1: {}}, {1: 2**63}],
)
def test_properties_that_cannot_be_sent_reach_nobody(bench: Bench, properties: Any) -> None:
    assert bench.device.phymodel_report("phymodelReport_ex", 1, properties) == -1
    assert bench.device.phymodel_ack(1, 0x1234, properties) is False

    assert bench.acknowledge() == []
    assert bench.lan.told == bench.lan.answers == []


# --- what is asked of the script ---


@pytest.mark.parametrize("way", ["downlink", "from_lan"])
def test_raw_data_writes_and_reads_are_the_same_events_on_both_ways(bench: Bench, way: str) -> None:
    ask = getattr(bench, way)

    ask(commands.TRANSPARENT_DOWN, b"\x01\xff")
    ask(commands.TSL_WRITE, WIRE)
    ask(commands.TSL_READ, bytes.fromhex("00010203"), packet_id=0x1234)
    ask(commands.TSL_READ, b"", packet_id=0x1235)

    assert bench.events == [
        (5, 10200, b"\x01\xff"),
        (5, 10210, PROPERTIES),
        (5, 10211, [0x1234, [1, 0x203]]),
        (5, 10211, [0x1235, []]),
    ]


def test_the_answer_to_a_read_of_the_developer_center_repeats_its_packet_id(bench: Bench) -> None:
    bench.downlink(commands.TSL_READ, bytes.fromhex("0001"), packet_id=77)
    bench.packets()

    assert bench.device.phymodel_ack(1, 77, {1: True}) is True

    assert bench.acknowledge() == [("bus", 0, (77, commands.TSL_READ_ANSWER, bytes.fromhex("0009")))]
    assert bench.lan.answers == []


def test_the_answer_to_a_read_of_an_app_reaches_it_without_a_developer_center() -> None:
    bench = Bench()

    assert bench.device.phymodel_ack(1, 0x1234, {1: True}) is True
    assert bench.device.phymodel_ack(1, 0x1235, {1: True}) is False

    assert bench.lan.answers == [(0x1234, bytes.fromhex("0009"))]


@pytest.mark.parametrize("packet_id", [0, 0xFFFF, -1, True, None, "1", 1.0])
def test_an_answer_needs_a_packet_id(bench: Bench, packet_id: Any) -> None:
    assert bench.device.phymodel_ack(1, packet_id, {1: True}) is False
    assert bench.acknowledge() == []


# --- status and information ---


def test_status_and_information_are_reported_with_qos_1(bench: Bench) -> None:
    assert bench.device.status_report([2, 1]) is True
    assert bench.device.dev_info_report([1, 14]) is True

    status, information = [*bench.acknowledge(), *bench.acknowledge()]
    assert (status[:2], status[2].command) == (("sys", 1), commands.STATUS_REPORT)
    assert [number for number, _ in ttlv.decode(status[2].payload)] == [2, 1]
    assert (information[:2], information[2].command) == (("sys", 1), commands.INFO_REPORT)
    assert ttlv.decode(information[2].payload) == [(1, b"quecbind"), (14, b"3.0.0")]


def test_what_is_got_is_what_is_reported(bench: Bench) -> None:
    assert list(bench.device.get_dev_status([1, 2]) or {}) == [1, 2]
    assert bench.device.get_dev_info([1, 11, 13]) == {1: "quecbind", 11: "2.11.0", 13: "1.3.0"}


@pytest.mark.parametrize("ids", [[], None, 1, [0], [15], ["1"], [True], {1: 1}])
def test_ids_that_are_none_report_nothing(bench: Bench, ids: Any) -> None:
    assert bench.device.status_report(ids) is False
    assert bench.device.dev_info_report(ids) is False
    assert bench.device.get_dev_status(ids) is None
    assert bench.device.get_dev_info(ids) is None
    assert bench.acknowledge() == []


def test_an_app_on_the_lan_that_asks_for_status_the_machine_has_not_gets_an_empty_answer(bench: Bench) -> None:
    known, unknown = (
        bench.from_lan(commands.STATUS_READ, b"\x00\x01"),
        bench.from_lan(commands.STATUS_READ, b"\x00\x05"),
    )

    assert [number for number, _ in ttlv.decode(known)] == [1]
    assert unknown == b""


# --- what is too large for Apps nearby ---


@pytest.mark.parametrize("call", ["passTransSend", "phymodelReport"])
def test_what_fits_in_no_frame_of_the_lan_goes_to_the_developer_center_alone_and_is_logged(
    bench: Bench, call: str, caplog: pytest.LogCaptureFixture
) -> None:
    large = "x" * 30000
    if call == "passTransSend":
        assert bench.device.pass_trans_send(call, 1, large) > 0
    else:
        assert bench.device.phymodel_report(call, 1, {1: large, 2: True}) > 0

    (sent,) = bench.acknowledge()
    assert len(sent[2].payload) >= 30000
    assert [record.message for record in caplog.records] == [
        "Apps nearby are not told: over 21504 bytes fit in no frame"
    ]


@pytest.mark.parametrize("call", ["passTransSend", "phymodelReport"])
def test_a_device_that_has_ble_only_refuses_it(call: str) -> None:
    bench = CallBench(QUECIOT_BLE_ONLY="1")
    assert bench.device.init()
    send = bench.device.pass_trans_send if call == "passTransSend" else bench.device.phymodel_report
    events: list[Any] = []
    bench.device._events.put = events.extend  # type: ignore[method-assign]

    assert send(call, 1, "x" * 30000 if call == "passTransSend" else {1: "x" * 30000}) == -1

    assert events == []
