"""The device as a BLE peripheral, without a radio: what it says into the air, whom it serves, how it cuts its bytes."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from quecbind.wire import ble_advertising, commands, frame, lan, signing
from quecIot import _ble
from quecIot._ble import Central, Peripheral
from quecIot._conversation import Host
from quecIot._session import Door
from tests.quecIot.bench import CODE, DK, PK, CountingEntropy

KEY = bytes(range(16))


class Bench:
    def __init__(self, product_key: str = PK, device_key: str = DK) -> None:
        self.identity: tuple[str, str, str | None] = (product_key, device_key, None)
        self.key: bytes | None = None
        self.has_network = False
        self.ends_at: float | None = None
        self.logged: list[str] = []
        self.asked: list[Any] = []
        self.wifi: list[tuple[str, str]] = []
        host = Host(lambda: self.identity, Door(lambda: self.key), self.carry_out, take_wifi=self.take_wifi)
        self.peripheral = Peripheral(
            host,
            lambda: self.has_network,
            lambda: self.ends_at,
            ble_advertising.BLE,
            CountingEntropy(),
            lambda level, text: self.logged.append(text),
        )

    def carry_out(self, decision: Any) -> bytes:
        self.asked.append(decision)
        return b""

    def take_wifi(self, ssid: str, password: str) -> bool:
        self.wifi.append((ssid, password))
        return True

    def connect(self, source: str = "C0:00:00:00:00:01") -> Central:
        central = self.peripheral.connected(source, 0.0)
        assert central is not None
        return central

    def advertised(self) -> ble_advertising.Advertised:
        said = self.peripheral.advertisement()
        assert said is not None
        return ble_advertising.parse_manufacturer_data(said[0][7:])

    def ask(self, central: Central, command: int, payload: bytes = b"") -> list[frame.Frame]:
        assert self.peripheral.written(central, frame.encode(1000, command, payload), 0.0)
        return answers(central)

    def log_in(self, central: Central) -> None:
        self.key = KEY
        random = lan.parse_random(self.ask(central, commands.HELLO)[0].payload)
        (answer,) = self.ask(central, commands.LOGIN, lan.login(signing.lan_token(KEY, random)))
        assert lan.parse_login_result(answer.payload) == lan.LOGGED_IN


def chunks(central: Central) -> list[bytes]:
    out = []
    while chunk := central.next_chunk():
        out.append(chunk)
    return out


def answers(central: Central) -> list[frame.Frame]:
    return frame.FrameReader().feed(b"".join(chunks(central)))


def test_it_says_who_it_is_and_what_it_is_just_now() -> None:
    bench = Bench()
    before = bench.advertised()
    bench.identity, bench.key, bench.has_network, bench.ends_at = (PK, DK, CODE), KEY, True, 60.0

    after = bench.advertised()

    assert before == (PK, DK, 1, False, False, False, ble_advertising.BLE)
    assert after == (PK, DK, 1, True, True, True, ble_advertising.BLE)
    assert CODE.encode() not in (bench.peripheral.advertisement() or (b"", b""))[0]


def test_the_end_of_the_window_is_a_moment_to_look_again() -> None:
    bench = Bench()
    assert bench.peripheral.next_timer() is None

    bench.ends_at = 60.0

    assert bench.peripheral.next_timer() == 60.0


@pytest.mark.parametrize(("product_key", "device_key"), [("", DK), (PK, "not-hex!"), ("p" * 20, DK)])
def test_a_device_that_cannot_be_named_is_not_advertised_and_says_why_once(product_key: str, device_key: str) -> None:
    bench = Bench(product_key, device_key)

    assert [bench.peripheral.advertisement() for _ in range(3)] == [None] * 3
    assert len(bench.logged) == (1 if product_key else 0)


@pytest.mark.parametrize("mtu", [23, 64, 256, 517])
def test_answers_are_cut_at_the_mtu(mtu: int) -> None:
    bench = Bench()
    central = bench.connect()
    bench.peripheral.mtu_changed(central, mtu)
    bench.peripheral.written(central, frame.encode(1, commands.PROVISION), 0.0)

    sizes = [len(chunk) for chunk in chunks(central)]

    assert all(size == mtu - 3 for size in sizes[:-1])
    assert 1 <= sizes[-1] <= mtu - 3


@pytest.mark.parametrize(("mtu", "expected"), [(0, 23), (22, 23), (65535, 517)])
def test_an_mtu_outside_the_standard_is_brought_into_it(mtu: int, expected: int) -> None:
    central = Bench().connect()
    Bench().peripheral.mtu_changed(central, mtu)

    assert central.mtu == expected


def test_strangers_cannot_take_all_places_nor_keep_others_out() -> None:
    bench = Bench()
    owner = bench.connect()
    bench.log_in(owner)
    strangers = [bench.connect() for _ in range(_ble.MAX_STRANGERS)]

    bench.connect("C0:00:00:00:00:09")

    assert bench.peripheral.handle_timer(0.0) == [strangers[0]]
    assert bench.peripheral.handle_timer(0.0) == []
    assert not bench.peripheral.written(strangers[0], frame.encode(1, commands.HELLO), 0.0)
    assert bench.ask(strangers[1], commands.HELLO)[0].command == commands.RANDOM
    assert bench.ask(owner, commands.PING)[0].command == commands.PONG


def test_a_full_house_is_not_advertised() -> None:
    bench = Bench()
    centrals = [bench.connect() for _ in range(1)]
    while len(centrals) < _ble.MAX_CENTRALS:
        bench.log_in(centrals[-1])
        centrals.append(bench.connect())
    bench.log_in(centrals[-1])

    assert bench.peripheral.advertisement() is None
    bench.peripheral.disconnected(centrals[0])
    assert bench.peripheral.advertisement() is not None


def test_a_connection_that_asks_too_often_or_is_gone_is_ended() -> None:
    bench = Bench()
    central = bench.connect()
    question = frame.encode(1, commands.TSL_READ)

    assert not bench.peripheral.written(central, question * 100, 0.0)
    bench.peripheral.disconnected(central)
    assert not bench.peripheral.written(central, question, 0.0)


def test_an_app_that_takes_nothing_is_let_go() -> None:
    bench = Bench()
    central = bench.connect()
    bench.log_in(central)
    for _ in range(_ble.MAX_UNSENT // 500 + 1):
        bench.peripheral.report(commands.TRANSPARENT_UP, bytes(500))

    assert bench.peripheral.handle_timer(0.0) == [central]


def test_silent_strangers_are_ended_in_time() -> None:
    bench = Bench()
    central = bench.connect()

    assert bench.peripheral.next_timer() == 15.0
    assert bench.peripheral.handle_timer(14.9) == []
    assert bench.peripheral.handle_timer(15.0) == [central]


def test_reports_and_answers_go_to_whom_they_are_for() -> None:
    bench = Bench()
    owner, stranger = bench.connect(), bench.connect()
    bench.log_in(owner)
    chunks(owner)
    read = frame.encode(7, commands.TSL_READ, signing.lan_encrypt(KEY, owner.conversation.session._iv, b""))
    bench.peripheral.written(owner, read, 0.0)
    bench.peripheral.report(commands.TSL_REPORT, bytes.fromhex("0009"))

    assert bench.peripheral.has_asked(7)
    assert not bench.peripheral.has_asked(8)
    bench.peripheral.answer_read(7, bytes.fromhex("0131"))
    assert [one.command for one in answers(owner)] == [0x0012, 0x0014, 0x0014]
    assert chunks(stranger) == []


def test_a_read_is_over_when_its_app_is_gone() -> None:
    bench = Bench()
    owner = bench.connect()
    bench.log_in(owner)
    read = frame.encode(7, commands.TSL_READ, signing.lan_encrypt(KEY, owner.conversation.session._iv, b""))
    bench.peripheral.written(owner, read, 0.0)

    bench.peripheral.disconnected(owner)

    assert not bench.peripheral.has_asked(7)
    assert not owner.conversation.session.is_open


def test_only_who_has_logged_in_reads_the_log() -> None:
    bench = Bench()
    owner, stranger = bench.connect(), bench.connect()
    bench.log_in(owner)
    owner.wants_log = stranger.wants_log = True
    for number in range(_ble.MAX_LOG_LINES + 8):
        bench.peripheral.logged(f"line {number} is longer than fits")

    assert owner.next_line() + owner.next_line() == b"line 8 is longer than fits\n"
    assert len(owner.lines) == _ble.MAX_LOG_LINES - 1
    assert stranger.next_line() == b""


def test_wifi_is_taken_in_the_window_once_for_each_saying() -> None:
    bench = Bench()
    central = bench.connect()
    request = lan.provision_request("home", "12345678")
    bench.ask(central, commands.PROVISION, request)
    bench.identity = (PK, DK, CODE)
    for _ in range(3):
        bench.ask(central, commands.PROVISION, request)
    (answer,) = bench.ask(central, commands.PROVISION, lan.provision_request("other", "12345678"))

    assert bench.wifi == [("home", "12345678"), ("other", "12345678")]
    assert lan.parse_provision_answer(answer.payload).bind_code == CODE
    assert all("home" not in line and "12345678" not in line for line in bench.logged)


def test_server_addresses_and_other_fields_of_new_apps_are_ignored() -> None:
    from quecbind.wire import ttlv

    bench = Bench()
    bench.identity = (PK, DK, CODE)
    request = ttlv.encode([(1, "home"), (2, "12345678"), (11, 30), (12, 380), (13, "mqtt://evil.example:1883")])

    bench.ask(bench.connect(), commands.PROVISION, request)

    assert bench.wifi == [("home", "12345678")]


# --- the thread that owns a controller ---


def test_a_radio_that_goes_while_somebody_uses_it_is_no_trouble() -> None:
    from quecIot._ble_radio import BleServer

    used: list[str] = []

    class Radio:
        def stop(self) -> None:
            used.append("stop")

        def refresh(self) -> None:
            used.append("refresh")

        def do(self, act: Any) -> None:
            used.append("do")

    class Vanishing(BleServer):
        """Its thread takes the radio away as soon as somebody has looked."""

        @property
        def _radio(self) -> Any:
            radio, self.left = self.left, None
            return radio

        @_radio.setter
        def _radio(self, radio: Any) -> None:
            self.left = radio

    bench = Bench()
    owner = bench.connect()
    bench.log_in(owner)
    read = frame.encode(7, commands.TSL_READ, signing.lan_encrypt(KEY, owner.conversation.session._iv, b""))
    bench.peripheral.written(owner, read, 0.0)
    server = Vanishing(bench.peripheral, "")
    for act in (
        server.refresh,
        lambda: server.report(commands.TSL_REPORT, b""),
        lambda: server.answer_read(7, b""),
        lambda: server._logged("line"),
        server._end,
    ):
        server._radio = Radio()
        act()
        act()

    assert used == ["refresh", "do", "do", "do", "stop"]


def test_a_controller_that_cannot_be_used_is_said_so_and_the_rest_goes_on() -> None:
    import threading

    from quecIot._ble_radio import BleServer

    said, lines = threading.Event(), []

    class Heard(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(record.getMessage())
            said.set()

    logger, handler = logging.getLogger("quecIot"), Heard()
    logger.addHandler(handler)
    server = BleServer(Bench().peripheral, "no-such-transport:0")
    server.start()

    assert said.wait(30)
    assert not server.answer_read(1, b"")
    server.report(commands.TSL_REPORT, b"")
    server.refresh()
    server.stop()
    logger.removeHandler(handler)
    assert lines[0].startswith("BLE: the controller cannot be used")


def test_the_own_address_is_static_random_and_stays() -> None:
    from quecIot._ble_radio import own_address

    first = own_address(DK)

    assert first == own_address(DK) != own_address("0" * 12)
    assert int(first[:2], 16) & 0xC0 == 0xC0
