"""0x00B4 in all its forms: secrets, another server, another product, and the way back."""

from __future__ import annotations

import pytest

from quecbind.wire import mqtt, signing
from quecIot import _codes
from tests.quecIot.bench import CODE, DK, DS, ENROLLED_EVENTS, NEW_DS, PK, PS, READY_EVENTS, SERVER, Bench, fields_of

MOVED = [(_codes.CONN, 10475)]
OTHER = (1, [(2, "other.example"), (3, "192.0.2.1"), (4, 2883)])


def sign_in_of(packet: mqtt.Connect) -> signing.Login:
    login = signing.parse_login(packet.password or b"")
    assert isinstance(login, signing.Login)
    return login


def is_dropped(bench: Bench) -> None:
    """Dropped without PUBACK, and tried again after 0.5 to 2.5 s."""
    assert bench.events() == MOVED
    assert bench.sent() == []
    assert bench.agent.link() is None
    timer = bench.agent.next_timer()
    assert timer is not None
    assert 0.5 <= timer - bench.now <= 2.5
    bench.advance(2.5)


def fail(bench: Bench) -> None:
    link = bench.agent.link()
    assert link is not None
    bench.agent.link_failed(link.number, bench.now)


# --- authenticate again (9) and replacement secret (10) ---


def test_authenticate_again_forgets_the_secret_in_memory_only() -> None:
    bench = Bench()
    bench.ready()

    bench.configure((9, True))

    is_dropped(bench)
    assert (bench.open().password or b"").startswith(b"0;")
    assert bench.store.values["device_secret"] == DS
    bench.restart()
    signing.verify_login(sign_in_of(bench.connect()), PS, DS)


def test_authenticate_again_ends_with_the_new_secret() -> None:
    bench = Bench()
    bench.ready()
    bench.configure((9, True))
    is_dropped(bench)
    bench.connect()
    bench.receive(mqtt.Suback(1, [1]))

    bench.configure((5, NEW_DS))

    assert bench.events() == ENROLLED_EVENTS
    assert bench.store.values["device_secret"] == NEW_DS


def test_authenticate_false_is_nothing() -> None:
    bench = Bench()
    bench.ready()

    bench.configure((9, False))

    assert bench.events() == []
    assert bench.sent() == [mqtt.Puback(9)]


def test_replacement_secret_is_saved_and_signs_the_next_log_in() -> None:
    bench = Bench()
    bench.ready()

    bench.configure((10, NEW_DS))

    is_dropped(bench)
    assert bench.store.values["device_secret"] == NEW_DS
    signing.verify_login(sign_in_of(bench.connect()), PS, NEW_DS)


def test_the_present_secret_as_replacement_is_nothing() -> None:
    bench = Bench()
    bench.ready()

    bench.configure((10, DS))

    assert bench.events() == []
    assert bench.sent() == [mqtt.Puback(9)]


def test_authenticate_again_wins_over_a_replacement() -> None:
    bench = Bench()
    bench.ready()

    bench.configure((10, NEW_DS), (9, True))

    is_dropped(bench)
    assert bench.store.values["device_secret"] == DS
    assert (bench.open().password or b"").startswith(b"0;")


def test_a_replacement_ends_an_authentication_that_was_asked_for() -> None:
    bench = Bench()
    bench.ready()
    bench.configure((9, True))
    is_dropped(bench)
    bench.connect()
    bench.sent()

    bench.configure((10, NEW_DS))

    is_dropped(bench)
    signing.verify_login(sign_in_of(bench.connect()), PS, NEW_DS)


def test_a_replacement_that_cannot_be_stored_changes_nothing() -> None:
    bench = Bench()
    bench.ready()
    bench.files.is_writable = False

    bench.configure((10, NEW_DS))

    assert bench.events() == []
    assert bench.agent.work_state == _codes.SUBSCRIBED
    assert bench.profile.device_secret == DS


@pytest.mark.parametrize("secret", ["", "\x00abc", "x" * 33, "é", "a b"])
@pytest.mark.parametrize("field", [5, 10])
def test_a_secret_that_cannot_be_one_is_left_out(field: int, secret: str) -> None:
    bench = Bench()
    bench.ready()

    bench.configure((field, secret))

    assert bench.events() == []
    assert bench.store.values["device_secret"] == DS
    assert any("device secret" in text for text in bench.logged)


# --- another server (1), another product (7 + 8) ---


def test_a_move_takes_the_old_secret_along_and_is_kept_once_it_has_worked() -> None:
    bench = Bench()
    bench.ready()

    bench.configure(OTHER)

    is_dropped(bench)
    link = bench.agent.link()
    assert link is not None
    assert (link.host, link.port, link.tls) == ("other.example", 2883, False)
    assert bench.store.values["moved"] is None
    signing.verify_login(sign_in_of(bench.connect()), PS, DS)
    bench.receive(mqtt.Suback(1, [1]))
    assert bench.events() == READY_EVENTS
    bench.restart()
    assert bench.profile.server == "mqtt://other.example:2883"
    assert bench.profile.device_secret == DS


def test_a_move_never_gives_up_tls() -> None:
    bench = Bench(server="mqtts://center.example:8883")
    bench.ready()

    bench.configure((1, [(2, "mqtt://other.example"), (3, "192.0.2.1"), (4, 8884)]))

    is_dropped(bench)
    link = bench.agent.link()
    assert link is not None
    assert (link.host, link.port, link.tls) == ("other.example", 8884, True)


def test_a_move_may_ask_for_tls() -> None:
    bench = Bench()
    bench.ready()

    bench.configure((1, [(2, "mqtts://other.example"), (3, "192.0.2.1"), (4, 8884)]))

    is_dropped(bench)
    link = bench.agent.link()
    assert link is not None
    assert link.tls


def test_a_move_to_where_it_is_is_nothing() -> None:
    bench = Bench()
    bench.ready()

    bench.configure((1, [(2, "center.example"), (3, "192.0.2.1"), (4, 1883)]))

    assert bench.events() == []
    assert bench.sent() == [mqtt.Puback(9)]


@pytest.mark.parametrize(
    "place",
    [
        [(2, "other.example"), (4, 2883)],
        [(3, "192.0.2.1"), (4, 2883)],
        [(2, "other.example"), (3, "192.0.2.1")],
        [(2, "other.example"), (3, "192.0.2.1"), (4, 0)],
        [(2, "other.example"), (3, "192.0.2.1"), (4, 65536)],
        [(2, "other.example"), (3, "192.0.2.1"), (4, True)],
        [(2, "other example"), (3, "192.0.2.1"), (4, 2883)],
        [(2, "o" * 60), (3, "192.0.2.1"), (4, 2883)],
    ],
)
def test_a_place_that_cannot_be_one_is_left_out(place: list[tuple[int, object]]) -> None:
    bench = Bench()
    bench.ready()

    bench.configure((1, place))

    assert bench.events() == []
    assert len(bench.logged) == 1


def test_after_three_failed_tries_the_old_place_is_used_again() -> None:
    bench = Bench()
    bench.ready()
    bench.configure(OTHER, (10, NEW_DS))
    is_dropped(bench)

    for _ in range(3):
        link = bench.agent.link()
        assert link is not None
        assert link.host == "other.example"
        fail(bench)
        bench.advance(10)

    link = bench.agent.link()
    assert link is not None
    assert link.host == "center.example"
    signing.verify_login(sign_in_of(bench.connect()), PS, DS)


def test_a_new_place_that_calls_the_secret_dead_does_not_kill_it() -> None:
    bench = Bench()
    bench.ready()
    bench.configure(OTHER)
    is_dropped(bench)

    bench.open()
    bench.receive(mqtt.Connack(5))

    assert bench.store.values["device_secret"] == DS
    assert bench.agent.next_timer() is not None


def test_a_power_cut_on_the_way_comes_back_at_the_old_place() -> None:
    bench = Bench()
    bench.ready()
    bench.configure(OTHER, (7, "p2222Y"), (8, "another-secret"), (10, NEW_DS))
    is_dropped(bench)

    bench.restart()

    assert (bench.profile.server, bench.profile.product_key, bench.profile.device_secret) == (SERVER, PK, DS)


def test_a_new_product_is_used_with_the_old_secret() -> None:
    bench = Bench()
    bench.ready()

    bench.configure((7, "p2222Y"), (8, "another-secret"))

    is_dropped(bench)
    packet = bench.connect()
    assert packet.client_id == "qdp2222Y" + DK
    signing.verify_login(sign_in_of(packet), "another-secret", DS)
    bench.receive(mqtt.Suback(1, [1]))
    bench.restart()
    assert (bench.profile.product_key, bench.profile.product_secret) == ("p2222Y", "another-secret")
    assert bench.profile.device_secret == DS


@pytest.mark.parametrize("fields", [[(7, "p2222Y")], [(8, "secret")], [(7, "p/2"), (8, "secret")], [(7, PK), (8, PS)]])
def test_a_product_that_is_incomplete_impossible_or_the_present_one_is_nothing(fields: list[tuple[int, str]]) -> None:
    bench = Bench()
    bench.ready()

    bench.configure(*fields)

    assert bench.events() == []
    assert bench.sent() == [mqtt.Puback(9)]


def test_a_move_with_authentication_enrols_at_the_new_place() -> None:
    bench = Bench()
    bench.ready()
    bench.configure(OTHER, (9, True))
    is_dropped(bench)
    assert (bench.open().password or b"").startswith(b"0;")
    bench.receive(mqtt.Connack(0), mqtt.Suback(1, [1]))

    bench.configure((5, NEW_DS))

    bench.restart()
    assert bench.profile.server == "mqtt://other.example:2883"
    assert bench.profile.device_secret == NEW_DS


def test_a_move_with_authentication_that_fails_goes_back_with_the_old_secret() -> None:
    bench = Bench()
    bench.ready()
    bench.configure(OTHER, (9, True))
    is_dropped(bench)

    for _ in range(3):
        fail(bench)
        bench.advance(10)

    signing.verify_login(sign_in_of(bench.connect()), PS, DS)


def test_a_move_lasts_while_the_script_names_the_old_place() -> None:
    bench = Bench()
    bench.ready()
    bench.configure(OTHER, (7, "p2222Y"), (8, "another-secret"))
    is_dropped(bench)
    bench.connect()
    bench.receive(mqtt.Suback(1, [1]))

    bench.restart()
    bench.profile.set_product(PK, PS)
    bench.profile.save(server=SERVER)
    assert bench.profile.server == "mqtt://other.example:2883"
    assert bench.profile.device_secret == DS

    bench.profile.save(server="third.example:1883")
    assert bench.profile.server == "third.example:1883"
    assert bench.profile.product_key == PK
    assert bench.profile.device_secret == ""  # it belonged to the other product


def test_a_bind_window_is_told_to_the_new_place() -> None:
    bench = Bench()
    bench.ready()
    bench.window_open(CODE, 120)
    bench.acknowledge()
    bench.configure(OTHER)
    is_dropped(bench)

    bench.connect()
    bench.receive(mqtt.Suback(1, [1]))
    (report, *_) = bench.acknowledge()

    assert fields_of(report)[11] == CODE.encode()
    assert 110 <= fields_of(report)[100] < 120


def test_a_configuration_that_cannot_be_read_is_complained_of() -> None:
    bench = Bench()
    bench.ready()

    bench.receive(bench.downlink(0x00B4, b"\xff"))

    (complaint,) = bench.acknowledge()
    assert complaint.command == 0x00A4
    assert fields_of(complaint) == {1: 5, 2: 7}
