"""Every way in which identity or server can change, and whether an open bind window is reported again after it.

A code is reported once: told again after a bind, a used code would look like a fresh one.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from quecbind.wire import auth_key, commands, frame, mqtt
from quecIot._device import Device
from tests.quecIot.bench import CODE, DK, DS, KEY, NEW_DS, PK, PS, Bench, CountingEntropy, MemoryFiles, fields_of

OTHER_DS = "O" * 32


class Script:
    """A device whose script makes calls, and its Developer Center, which acknowledges everything."""

    def __init__(self) -> None:
        environment = {"QUECIOT_HOME": "/home", "QUECIOT_DK": DK}
        self.device = Device(
            lambda name: environment.get(name, ""),
            MemoryFiles(),  # type: ignore[arg-type]
            CountingEntropy(),
            lambda: 500.0,
            has_threads=False,
        )
        assert self.device.init()
        assert self.device.set_productinfo(PK, PS)
        assert self.device.set_server(1, "center.example:1883")
        assert self.device.set_dk_ds("OWN", DS)

    def reports(self) -> list[dict[int, object]]:
        """Connects, sees what is told of the bind code, and leaves."""
        assert self.device.set_connmode(1)
        agent = self.device.agent
        assert agent is not None
        link = agent.link()
        assert link is not None
        reader = mqtt.PacketReader()
        agent.link_up(link.number, 500.0)
        (connect,) = reader.feed(agent.data_to_send())
        agent.receive_data(mqtt.Connack(0).encode() + mqtt.Suback(1, [1]).encode(), 500.0)
        if connect.password.startswith(b"0;"):
            name = f"q/1/d/{connect.client_id}/sys"
            payload = frame.encode(7, commands.CONFIGURE, b"\x00\x2b\x00\x20" + OTHER_DS.encode())
            agent.receive_data(mqtt.Publish(name, payload, 1, packet_id=9).encode(), 500.0)
        frames = []
        while True:
            publishes = [one for one in reader.feed(agent.data_to_send()) if isinstance(one, mqtt.Publish)]
            if not publishes:
                break
            for publish in publishes:
                frames.append(frame.decode(publish.payload))
                agent.receive_data(mqtt.Puback(publish.packet_id).encode(), 500.0)
        assert self.device.set_connmode(0)
        agent.link_closed()
        return [fields_of(one) for one in frames if one.command == commands.BIND_CODE]


CHANGES: dict[str, Callable[[Device], bool]] = {
    "another server": lambda device: device.set_server(1, "other.example:1883"),
    "another port": lambda device: device.set_server(1, "center.example:2883"),
    "another product key": lambda device: device.set_productinfo("p2222Y", PS),
    "another product secret": lambda device: device.set_productinfo(PK, "another"),
    "another device key": lambda device: device.set_dk_ds("OTHER", DS),
    "another device key without a secret": lambda device: device.set_dk_ds("OTHER", ""),
    "another device secret": lambda device: device.set_dk_ds("OWN", NEW_DS),
    "the default device key": lambda device: device.set_dk_ds("", ""),
}
NO_CHANGES: dict[str, Callable[[Device], bool]] = {
    "the same server": lambda device: device.set_server(1, "center.example:1883"),
    "the same product": lambda device: device.set_productinfo(PK, PS),
    "the same device key and secret": lambda device: device.set_dk_ds("OWN", DS),
    "the same device key without a secret": lambda device: device.set_dk_ds("OWN", ""),
    "another lifetime": lambda device: device.set_setting("setLifetime", "lifetime", 60),
    "a version": lambda device: device.set_setting("setSoftVersion", "soft_version", "1"),
    "a component": lambda device: device.set_mcu_version("MCU1", "1"),
    "nothing": lambda device: True,
}


@pytest.mark.parametrize("what", CHANGES)
def test_an_open_window_is_reported_again_after_the_script_set(what: str) -> None:
    script = Script()
    assert script.device.bindcode_set(CODE, 60)
    (first,) = script.reports()

    assert CHANGES[what](script.device)

    (again,) = script.reports()
    assert (again[11], again[100]) == (CODE.encode(), 60)
    assert first[11] == again[11]
    assert script.reports() == []


@pytest.mark.parametrize("what", NO_CHANGES)
def test_an_open_window_is_not_reported_again_after_the_script_set(what: str) -> None:
    script = Script()
    assert script.device.bindcode_set(CODE, 60)
    assert len(script.reports()) == 1

    assert NO_CHANGES[what](script.device)

    assert script.reports() == []


def test_a_refused_setter_reports_nothing_again() -> None:
    script = Script()
    assert script.device.bindcode_set(CODE, 60)
    assert len(script.reports()) == 1

    assert not script.device.set_dk_ds(DK, DS)

    assert script.reports() == []


# --- what the Developer Center configures ---

MOVE = (1, [(2, b"other.example"), (3, b"192.0.2.1"), (4, 1883)])
CONFIGURED = {
    "another secret": [(10, NEW_DS)],
    "another server": [MOVE],
    "another product": [(7, "p2222Y"), (8, "another")],
    "another server and secret": [MOVE, (10, NEW_DS)],
}


def told(bench: Bench) -> list[dict[int, object]]:
    return [fields_of(one) for one in bench.acknowledge() if one.command == commands.BIND_CODE]


def reported() -> Bench:
    bench = Bench()
    bench.ready()
    bench.window_open(CODE, 120)
    assert len(told(bench)) == 1
    return bench


@pytest.mark.parametrize("what", CONFIGURED)
def test_an_open_window_is_reported_again_after_the_developer_center_gave(what: str) -> None:
    bench = reported()
    bench.configure(*CONFIGURED[what])  # type: ignore[arg-type]
    bench.advance(3)

    bench.connect()
    bench.receive(mqtt.Suback(1, [1]))

    assert [report[11] for report in told(bench)] == [CODE.encode()]


def test_it_is_reported_again_with_a_secret_that_replaces_the_one_in_use() -> None:
    bench = reported()

    bench.configure((5, NEW_DS))

    assert [report[11] for report in told(bench)] == [CODE.encode()]


def test_the_secret_that_the_device_has_already_tells_no_code_again() -> None:
    bench = reported()
    bench.events()

    bench.configure((5, DS))
    frames = bench.acknowledge()

    assert [one.command for one in frames] == [commands.STATUS_REPORT, commands.INFO_REPORT]
    assert bench.events() == [(1, 10200), (2, 10200), (3, 10200)]
    assert bench.window.code(bench.now) == CODE


def test_a_place_on_trial_that_confirms_the_secret_is_told() -> None:
    bench = reported()
    bench.configure(MOVE)
    bench.advance(3)
    bench.connect()

    bench.configure((5, DS))
    bench.receive(mqtt.Suback(1, [1]))

    assert [report[11] for report in told(bench)] == [CODE.encode()]


@pytest.mark.parametrize("what", ["server", "product", "device"])
def test_what_the_script_sets_ends_the_trial_of_a_place_that_was_not_reached(what: str) -> None:
    bench = Bench()
    bench.ready()
    bench.configure(MOVE)
    bench.agent.stop()
    bench.agent.link_closed()

    if what == "server":
        bench.profile.set_server("third.example:1883")
    elif what == "product":
        bench.profile.set_product("p2222Y", PS)
    else:
        assert bench.profile.set_device("OTHER", NEW_DS)

    assert bench.profile.trial is None
    bench.agent.start()
    link = bench.agent.link()
    assert link is not None
    assert link.host == ("third.example" if what == "server" else "center.example")
    assert bench.profile.device_secret == {"server": DS, "product": "", "device": NEW_DS}[what]


@pytest.mark.parametrize(
    ("server", "override"), [("center.example:1883", ""), ("third.example:1883", "a.example:1883")]
)
def test_a_server_that_changes_nothing_does_not(server: str, override: str) -> None:
    bench = Bench(server_override=override)
    bench.ready()
    bench.configure(MOVE)

    bench.profile.set_server(server)

    assert bench.profile.server == "mqtt://other.example:1883"


def test_back_at_the_old_place_after_a_move_that_failed_it_is_not_told_again() -> None:
    bench = reported()
    bench.configure(MOVE)
    for _ in range(3):
        bench.advance(10)
        link = bench.agent.link()
        assert link is not None
        bench.agent.link_failed(link.number, bench.now)
    bench.advance(10)

    bench.connect()
    bench.receive(mqtt.Suback(1, [1]))

    assert bench.profile.server == "center.example:1883"
    assert told(bench) == []


def test_a_secret_that_was_refused_and_issued_anew_tells_the_code_again() -> None:
    bench = reported()
    bench.lose()
    bench.advance(3)
    bench.open()
    bench.receive(mqtt.Connack(5))
    bench.agent.stop()
    bench.agent.link_closed()

    bench.connect()
    bench.receive(mqtt.Suback(1, [1]))
    bench.configure((5, NEW_DS))

    assert [report[11] for report in told(bench)] == [CODE.encode()]


def test_an_answer_to_the_report_under_the_old_secret_settles_nothing() -> None:
    bench = Bench()
    bench.ready()
    bench.window_open(CODE, 120)
    (report,) = bench.sent()

    bench.configure((5, NEW_DS))
    bench.receive(mqtt.Puback(report.packet_id))

    assert [one[11] for one in told(bench)] == [CODE.encode()]


# --- an auth key, where the answer to the report should have been ---


def key_of(bench: Bench, key: bytes = KEY) -> tuple[int, bytes]:
    return 12, auth_key.seal(key, bench.profile.device_secret, DK)


def unanswered() -> Bench:
    """The report has left, and its PUBACK was lost."""
    bench = Bench()
    bench.ready()
    bench.window_open(CODE, 120)
    (publish,) = bench.sent()
    assert frame.decode(publish.payload).command == commands.BIND_CODE
    return bench


def test_a_code_that_has_served_is_not_told_again_and_its_window_stays_as_if_it_was_answered() -> None:
    bench = unanswered()

    bench.configure(key_of(bench))
    bench.sent()
    bench.advance(30)

    assert bench.sent() == []
    assert bench.window.code(bench.now) == CODE
    assert bench.profile.auth_key == KEY


def test_nor_is_it_told_on_the_connection_after() -> None:
    bench = unanswered()
    bench.lose()
    bench.advance(3)
    bench.connect()

    bench.configure(key_of(bench))
    bench.receive(mqtt.Suback(1, [1]))

    assert told(bench) == []
    assert bench.window.code(bench.now) == CODE


def test_what_waited_behind_the_report_goes_on() -> None:
    bench = unanswered()
    bench.agent.send(commands.TRANSPARENT_UP, b"next", 1, None, bench.now)

    bench.configure(key_of(bench))

    assert commands.TRANSPARENT_UP in [one.command for one in bench.acknowledge()]


def test_a_window_whose_report_was_answered_stays_as_it_is() -> None:
    bench = reported()

    bench.configure(key_of(bench))

    assert told(bench) == []
    assert bench.window.code(bench.now) == CODE


def enrol(bench: Bench) -> None:
    bench.connect()
    bench.receive(mqtt.Suback(1, [1]))
    bench.configure((5, NEW_DS))


@pytest.mark.parametrize("begin", [reported, unanswered])
def test_a_code_that_has_served_is_forgotten_when_the_developer_center_asks_for_a_reset(
    begin: Callable[[], Bench],
) -> None:
    bench = begin()
    bench.configure(key_of(bench))

    bench.configure((9, True))
    bench.advance(3)
    enrol(bench)

    assert told(bench) == []
    assert bench.window.code(bench.now) is None


def test_a_code_that_has_served_nobody_outlives_such_a_reset() -> None:
    bench = reported()
    bench.configure(key_of(bench))
    bench.window_open(CODE, 120)

    bench.configure((9, True))
    bench.advance(3)
    enrol(bench)

    assert [report[11] for report in told(bench)] == [CODE.encode()]


def test_a_window_that_nobody_was_told_of_yet_is_told_in_spite_of_a_key() -> None:
    bench = Bench()
    bench.window_open(CODE, 120)
    bench.connect()

    bench.configure(key_of(bench))
    bench.receive(mqtt.Suback(1, [1]))

    assert [report[11] for report in told(bench)] == [CODE.encode()]


@pytest.mark.parametrize("key", [KEY, auth_key.NONE], ids=["the same key", "no key any more"])
def test_only_a_new_key_is_an_answer(key: bytes) -> None:
    bench = Bench()
    bench.ready()
    bench.configure(key_of(bench))
    bench.acknowledge()
    bench.window_open(CODE, 120)

    bench.configure(key_of(bench, key))

    assert [report[11] for report in told(bench)] == [CODE.encode()]
    assert bench.window.code(bench.now) == CODE
