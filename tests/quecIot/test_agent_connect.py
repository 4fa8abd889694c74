"""From connection mode 1 to work state 8: what is said, in which order, and what the script sees."""

from __future__ import annotations

import pytest

from quecbind.wire import commands, mqtt, signing
from quecIot import _codes
from tests.quecIot.bench import CODE, DK, DS, ENROLLED_EVENTS, KEY, NEW_DS, PK, PS, READY_EVENTS, Bench, fields_of


def test_nothing_is_wanted_before_connection_mode_1() -> None:
    bench = Bench()

    assert bench.agent.link() is None
    assert bench.agent.work_state == _codes.INITIALISED
    assert bench.agent.next_timer() is None


def test_the_link_names_host_port_and_tls() -> None:
    bench = Bench(server="mqtts://center.example")

    bench.agent.start()

    link = bench.agent.link()
    assert link is not None
    assert (link.host, link.port, link.tls) == ("center.example", 8883, True)


def test_the_environments_server_wins() -> None:
    bench = Bench(server_override="mqtt://127.0.0.1:18830")

    bench.agent.start()

    link = bench.agent.link()
    assert link is not None
    assert (link.host, link.port, link.tls) == ("127.0.0.1", 18830, False)


def test_a_device_without_secret_proves_the_product_secret() -> None:
    bench = Bench(secret="")

    packet = bench.connect()

    first = signing.parse_login(packet.password or b"")
    assert isinstance(first, signing.FirstLogin)
    assert first.product_key == PK
    assert not first.session_flag
    signing.open_first_login(first, PS, DK)
    assert packet.encode()[10] == 0x42  # clean session and password, no user name
    assert (packet.client_id, packet.keep_alive, packet.level) == ("qd" + PK + DK, 120, 4)


def test_a_device_with_secret_proves_both() -> None:
    bench = Bench()

    packet = bench.connect()

    login = signing.parse_login(packet.password or b"")
    assert isinstance(login, signing.Login)
    signing.verify_login(login, PS, DS)
    assert packet.user_name is None


def test_every_connect_has_a_nonce_of_its_own() -> None:
    bench = Bench()
    seen = set()

    for _ in range(5):
        login = signing.parse_login(bench.connect().password or b"")
        assert isinstance(login, signing.Login)
        seen.add(login.random)
        bench.agent.stop()
        bench.agent.link_closed()

    assert len(seen) == 5


@pytest.mark.parametrize(("lifetime", "keep_alive"), [(1, 21), (21, 21), (120, 120), (65535, 65535)])
def test_keep_alive_is_the_lifetime_but_at_least_21(lifetime: int, keep_alive: int) -> None:
    assert Bench(lifetime=lifetime).connect().keep_alive == keep_alive


def test_work_states_of_a_connection_with_secret() -> None:
    bench = Bench()
    states = []

    bench.agent.start()
    states.append(bench.agent.work_state)
    bench.connect()
    states.append(bench.agent.work_state)
    bench.receive(mqtt.Suback(1, [1]))
    states.append(bench.agent.work_state)

    assert states == [_codes.REGISTERING, _codes.REGISTERED, _codes.SUBSCRIBED]
    assert bench.events() == READY_EVENTS


def test_subscribe_comes_after_connack_with_packet_id_1_and_qos_1() -> None:
    bench = Bench()
    bench.agent.start()
    bench.open()
    assert bench.sent() == []

    bench.receive(mqtt.Connack(0))

    assert bench.sent() == [mqtt.Subscribe(1, [(f"q/1/d/qd{PK}{DK}/+", 1)])]


def test_the_first_reports_follow_the_subscription_one_at_a_time() -> None:
    bench = Bench()
    bench.connect()
    bench.sent()
    bench.receive(mqtt.Suback(1, [1]))

    (publish,) = bench.sent()
    assert (publish.topic, publish.qos, publish.retain, publish.dup) == (f"q/2/d/qd{PK}{DK}/sys", 1, False, False)
    bench.receive(mqtt.Puback(publish.packet_id))
    bench.receive(mqtt.Puback(publish.packet_id))  # a second answer to the same packet is no answer to the next
    (second,) = bench.sent()

    frames = [mqtt_publish.payload for mqtt_publish in (publish, second)]
    assert [int.from_bytes(one[7:9], "big") for one in frames] == [commands.STATUS_REPORT, commands.INFO_REPORT]
    assert [int.from_bytes(one[5:7], "big") for one in frames] == [1, 2]


def test_the_first_reports_hold_the_ids_of_the_protocol() -> None:
    bench = Bench(soft_version="+app1", mcu_versions=[["MCU1", "1_0_0"], ["MCU2", "2"]])
    bench.connect()
    bench.receive(mqtt.Suback(1, [1]))

    status, info = (fields_of(one) for one in bench.acknowledge())

    assert list(status) == [1, 2, 3, 4]
    assert list(info) == [1, 2, 3, 5, 11, 12, 13, 14]
    assert info[2].endswith(b"+app1")
    assert info[3] == b"MCU1:1_0_0;MCU2:2;"
    assert (info[11], info[13], info[14]) == (b"2.11.0", b"1.3.0", b"3.0.0")


def test_enrolment_with_the_secret_after_the_suback() -> None:
    bench = Bench(secret="")
    bench.connect()
    bench.receive(mqtt.Suback(1, [1]))
    assert bench.agent.work_state == _codes.AUTHENTICATING
    assert bench.events() == []

    bench.configure((5, NEW_DS))

    assert bench.events() == ENROLLED_EVENTS
    assert bench.agent.work_state == _codes.SUBSCRIBED
    assert bench.store.values["device_secret"] == NEW_DS
    assert mqtt.Puback(9) in bench.sent()


def test_enrolment_with_the_secret_before_the_suback() -> None:
    bench = Bench(secret="")
    bench.connect()

    bench.configure((5, NEW_DS))
    assert bench.events() == ENROLLED_EVENTS[:2]
    assert bench.agent.work_state == _codes.REGISTERED
    bench.receive(mqtt.Suback(1, [1]))

    assert bench.events() == ENROLLED_EVENTS[2:]
    assert [one.command for one in bench.acknowledge()] == [commands.STATUS_REPORT, commands.INFO_REPORT]


def test_the_secret_is_on_disk_before_anything_is_said_about_it() -> None:
    bench = Bench(secret="")
    bench.connect()

    bench.configure((5, NEW_DS))
    bench.restart()

    login = signing.parse_login(bench.connect().password or b"")
    assert isinstance(login, signing.Login)
    signing.verify_login(login, PS, NEW_DS)


def test_a_secret_that_cannot_be_stored_is_not_used() -> None:
    bench = Bench(secret="")
    bench.connect()
    bench.receive(mqtt.Suback(1, [1]))
    bench.sent()
    bench.files.is_writable = False

    bench.configure((5, NEW_DS))

    assert bench.events() == [(_codes.AUTH, _codes.INTERNAL)]
    assert bench.sent() == []  # no PUBACK: it will be issued again
    assert bench.agent.link() is None


def test_the_secret_that_never_comes_is_a_failure_after_two_minutes() -> None:
    bench = Bench(secret="", lifetime=600)
    bench.connect()
    bench.receive(mqtt.Suback(1, [1]))

    bench.advance(119.9)
    assert bench.events() == []
    bench.advance(0.2)

    assert bench.events() == [(_codes.AUTH, _codes.UNKNOWN)]
    assert bench.agent.work_state == _codes.AUTHENTICATION_FAILED


def test_before_the_secret_no_command_is_believed() -> None:
    bench = Bench(secret="")
    bench.connect()
    bench.receive(mqtt.Suback(1, [1]))

    bench.receive(bench.downlink(commands.TRANSPARENT_DOWN, b"on"))
    bench.receive(bench.downlink(commands.TSL_WRITE, bytes.fromhex("0009")))
    bench.receive(bench.downlink(commands.STATUS_READ))

    assert bench.events() == []
    assert not [packet for packet in bench.sent() if isinstance(packet, mqtt.Publish)]


def test_a_new_secret_at_any_time_is_stored_and_everything_is_reported_again() -> None:
    bench = Bench()
    bench.ready()

    bench.configure((5, NEW_DS))

    assert bench.events() == ENROLLED_EVENTS
    assert bench.store.values["device_secret"] == NEW_DS
    assert [one.command for one in bench.acknowledge()] == [commands.STATUS_REPORT, commands.INFO_REPORT]


def test_a_session_is_encrypted_from_the_key_on_in_both_directions() -> None:
    bench = Bench(session_flag=True)
    packet = bench.connect()
    assert (packet.password or b"").startswith(b"1;0001;")

    bench.configure((6, KEY))
    bench.receive(mqtt.Suback(1, [1]))
    publish = bench.sent()[-1]

    plain = signing.session_decrypt(KEY, publish.payload)
    assert plain.startswith(b"\xaa\xaa")
    bench.events()
    bench.receive(bench.downlink(commands.TRANSPARENT_DOWN, b"plain"))
    bench.receive(bench.downlink(commands.TRANSPARENT_DOWN, b"hello", key=KEY))
    assert bench.events() == [(_codes.RECV, _codes.TRANSPARENT_RECEIVED, b"hello")]


def test_secret_and_session_key_together_encrypt_the_first_reports() -> None:
    bench = Bench(secret="", session_flag=True)
    packet = bench.connect()
    bench.receive(mqtt.Suback(1, [1]))
    bench.sent()
    assert (packet.password or b"").startswith(b"0;0001;")

    bench.configure((5, NEW_DS), (6, KEY))

    publish = next(packet for packet in bench.sent() if isinstance(packet, mqtt.Publish))
    assert signing.session_decrypt(KEY, publish.payload).startswith(b"\xaa\xaa")


def test_a_session_key_nobody_asked_for_is_ignored() -> None:
    bench = Bench()
    bench.ready()

    bench.configure((6, KEY))
    bench.receive(bench.downlink(commands.TRANSPARENT_DOWN, b"plain"))

    assert bench.events() == [(_codes.RECV, _codes.TRANSPARENT_RECEIVED, b"plain")]


@pytest.mark.parametrize("key", [b"", b"short", bytes(17)])
def test_a_session_key_of_another_size_is_ignored(key: bytes) -> None:
    bench = Bench(session_flag=True)
    bench.ready()

    bench.configure((6, key))
    bench.receive(bench.downlink(commands.TRANSPARENT_DOWN, b"plain"))

    assert bench.events() == [(_codes.RECV, _codes.TRANSPARENT_RECEIVED, b"plain")]


def test_the_session_key_ends_with_the_connection() -> None:
    bench = Bench(session_flag=True)
    bench.ready()
    bench.configure((6, KEY))
    bench.lose()
    bench.advance(3)
    bench.connect()
    bench.receive(mqtt.Suback(1, [1]))

    publish = bench.sent()[-1]

    assert publish.payload.startswith(b"\xaa\xaa")


def test_leaving_closes_the_link_and_says_so() -> None:
    bench = Bench()
    bench.ready()

    bench.agent.stop()
    assert bench.agent.link() is None
    assert bench.agent.work_state == _codes.DEREGISTERING
    assert bench.sent() == []  # the device never sends DISCONNECT
    bench.agent.link_closed()

    assert bench.agent.work_state == _codes.DEREGISTERED
    assert bench.events() == [(_codes.LOGOUT, _codes.OK)]


def test_leaving_while_it_waits_to_try_again_is_done_at_once() -> None:
    bench = Bench()
    bench.ready()
    bench.lose()
    bench.events()

    bench.agent.stop()

    assert bench.agent.work_state == _codes.DEREGISTERED
    assert bench.events() == [(_codes.LOGOUT, _codes.OK)]
    assert bench.agent.next_timer() is None


def test_coming_back_before_the_old_link_is_closed_opens_another() -> None:
    bench = Bench()
    bench.ready()
    old = bench.agent.link()

    bench.agent.stop()
    bench.agent.start()

    new = bench.agent.link()
    assert old is not None
    assert new is not None
    assert new.number != old.number
    assert bench.events() == [(_codes.LOGOUT, _codes.OK)]
    bench.agent.link_lost(old.number, bench.now)
    assert bench.agent.link() == new


def test_a_restart_does_not_say_the_bind_code_again_but_that_it_is_over() -> None:
    bench = Bench()
    bench.ready()
    bench.window_open()
    bench.acknowledge()

    bench.restart()
    bench.connect()
    bench.receive(mqtt.Suback(1, [1]))
    frames = bench.acknowledge()

    assert [one.command for one in frames] == [commands.BIND_CODE, commands.STATUS_REPORT, commands.INFO_REPORT]
    assert fields_of(frames[0])[100] == 0
    assert fields_of(frames[0])[11] == CODE.encode()
    assert bench.store.values["bind_code"] == ""
