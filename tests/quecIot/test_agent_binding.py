"""Bind code reports and resets, as the Developer Center sees them."""

from __future__ import annotations

import pytest

from quecbind.wire import commands, frame, mqtt, signing
from quecIot._store import StoreError
from tests.quecIot.bench import CODE, DK, DS, NEW_DS, PK, PS, Bench, fields_of

FIRST_REPORTS = [commands.STATUS_REPORT, commands.INFO_REPORT]


def test_a_bind_code_is_reported_at_once() -> None:
    bench = Bench()
    bench.ready()

    bench.window_open(CODE, 120)

    (publish,) = bench.sent()
    assert (publish.topic, publish.qos) == (f"q/2/d/qd{PK}{DK}/sys", 1)
    report = frame.decode(publish.payload)
    assert report.command == commands.BIND_CODE
    fields = fields_of(report)
    assert (fields[11], fields[100]) == (CODE.encode(), 120)
    assert len(fields[15]) == 16
    assert fields[15] == bench.store.values["bind_secret"].encode()


def test_a_bind_code_set_offline_goes_first_with_the_time_that_is_left() -> None:
    bench = Bench()
    bench.agent.start()
    bench.agent.send(commands.TRANSPARENT_UP, b"older", 1, None, bench.now)
    bench.window_open(CODE, 120)
    bench.advance(30)

    bench.connect()
    bench.receive(mqtt.Suback(1, [1]))
    frames = bench.acknowledge()

    assert [one.command for one in frames] == [commands.BIND_CODE, *FIRST_REPORTS, commands.TRANSPARENT_UP]
    assert fields_of(frames[0])[100] == 90


def test_a_window_that_ended_offline_is_not_reported() -> None:
    bench = Bench()
    bench.window_open(CODE, 20)
    bench.advance(20)

    bench.connect()
    bench.receive(mqtt.Suback(1, [1]))

    assert [one.command for one in bench.acknowledge()] == FIRST_REPORTS


def test_a_reported_code_is_not_reported_again_on_the_next_connection() -> None:
    bench = Bench()
    bench.ready()
    bench.window_open(CODE, 120)
    bench.acknowledge()
    bench.lose()
    bench.advance(3)

    bench.connect()
    bench.receive(mqtt.Suback(1, [1]))

    assert [one.command for one in bench.acknowledge()] == FIRST_REPORTS


def test_a_report_without_acknowledgement_goes_out_again_on_the_next_connection() -> None:
    bench = Bench()
    bench.ready()
    bench.window_open(CODE, 120)
    bench.lose()
    bench.advance(3)

    bench.connect()
    bench.receive(mqtt.Suback(1, [1]))

    assert [one.command for one in bench.acknowledge()] == [commands.BIND_CODE, *FIRST_REPORTS]


def test_a_report_nobody_answers_is_repeated_and_then_made_anew() -> None:
    bench = Bench()
    bench.ready()
    bench.window_open(CODE, 120)
    (first,) = bench.sent()

    bench.advance(5)
    assert bench.sent() == [first, first]
    bench.advance(2)
    assert bench.sent() == []
    bench.advance(10)

    (again,) = bench.sent()
    assert again.packet_id != first.packet_id
    assert fields_of(frame.decode(again.payload))[100] < 110
    assert bench.events() == []


def test_zero_seconds_close_the_window_at_the_developer_center() -> None:
    bench = Bench()
    bench.ready()
    bench.window_open(CODE, 120)
    bench.acknowledge()

    bench.window_open(CODE, 0)
    (report,) = bench.acknowledge()

    assert fields_of(report)[100] == 0
    assert bench.store.values["bind_code"] == ""


def test_the_longest_window_is_reported_as_it_is() -> None:
    bench = Bench()
    bench.ready()

    bench.window_open(CODE, 4294967295)
    (report,) = bench.acknowledge()

    assert fields_of(report)[100] == 4294967295


def test_enrolment_reports_the_code_with_the_new_bind_secret() -> None:
    bench = Bench(secret="")
    bench.window_open()
    before = bench.profile.bind_secret()
    bench.connect()
    bench.receive(mqtt.Suback(1, [1]))

    bench.configure((5, NEW_DS))
    (report, *_) = bench.acknowledge()

    assert fields_of(report)[15] == bench.store.values["bind_secret"].encode()
    assert bench.store.values["bind_secret"] != before


def test_a_bind_secret_that_cannot_be_stored_is_left_out_of_the_report() -> None:
    bench = Bench()
    bench.ready()
    bench.files.is_writable = False
    bench.window.open(CODE, 120, bench.now)

    bench.agent.report_bind_code(bench.now)
    (report,) = bench.acknowledge()

    assert fields_of(report) == {11: CODE.encode(), 100: 120}
    assert any("cannot be written" in text for text in bench.logged)


# --- reset ---


def reset(bench: Bench) -> None:
    """rst(), without the module around it."""
    bench.profile.forget()
    bench.window.forget()
    bench.agent.reset()


def test_reset_is_one_write_that_leaves_nothing_but_the_proof() -> None:
    bench = Bench(bind_secret="0" * 16)
    bench.window_open()

    reset(bench)

    values = bench.store.values
    assert (values["device_secret"], values["bind_code"], values["bind_secret"]) == ("", "", "")
    assert bytes.fromhex(values["reset"]["key"]) == signing.reset_key(DS, DK)
    assert DS.encode() not in b"".join(bench.files.content.values())
    assert bench.window.code(bench.now) is None


def test_reset_that_cannot_be_stored_leaves_everything() -> None:
    bench = Bench(bind_secret="0" * 16)
    bench.ready()
    bench.window_open()
    before = dict(bench.store.values)
    bench.files.is_writable = False

    with pytest.raises(StoreError):
        bench.profile.forget()

    assert bench.store.values == before
    assert bench.profile.device_secret == DS


def test_reset_while_connected_enrols_again_at_once_with_the_proof() -> None:
    bench = Bench()
    bench.ready()
    old = bench.agent.link()

    reset(bench)

    link = bench.agent.link()
    assert old is not None
    assert link is not None
    assert link.number != old.number
    packet = bench.open()
    assert (packet.password or b"").startswith(b"0;")
    signing.verify_reset_user_name(packet.user_name or b"", signing.reset_key(DS, DK))
    assert bench.agent.work_state == 2


def test_reset_offline_is_told_first_thing_on_the_next_connection() -> None:
    bench = Bench()

    reset(bench)
    assert bench.agent.link() is None
    bench.restart()

    packet = bench.connect()
    signing.verify_reset_user_name(packet.user_name or b"", signing.reset_key(DS, DK))


def test_the_proof_is_dropped_with_the_new_secret() -> None:
    bench = Bench()
    reset(bench)
    bench.connect()
    bench.receive(mqtt.Suback(1, [1]))

    bench.configure((5, NEW_DS))

    assert bench.store.values["reset"] is None
    bench.lose()
    bench.advance(3)
    assert bench.open().user_name is None


def test_a_second_reset_keeps_the_proof_of_the_first() -> None:
    bench = Bench()
    reset(bench)

    reset(bench)

    assert bytes.fromhex(bench.store.values["reset"]["key"]) == signing.reset_key(DS, DK)


def test_the_proof_is_made_with_a_new_nonce_each_time() -> None:
    bench = Bench()
    reset(bench)
    names = set()

    for _ in range(3):
        names.add(bench.connect().user_name)
        bench.lose()
        bench.advance(10)

    assert len(names) == 3


def test_the_proof_is_for_the_identity_that_held_the_secret() -> None:
    bench = Bench()
    reset(bench)

    bench.profile.set_device("OTHER", "")

    assert bench.connect().user_name is None


def test_a_secret_that_the_script_sets_again_goes_with_the_proof_until_it_was_let_in() -> None:
    bench = Bench()
    bench.profile.set_device("OWN", DS)
    reset(bench)

    bench.profile.set_device("OWN", DS)

    bench.agent.start()
    packet = bench.open()
    assert (packet.password or b"").startswith(b"1;")
    signing.verify_reset_user_name(packet.user_name or b"", signing.reset_key(DS, "OWN"))
    bench.lose()
    bench.advance(10)
    assert bench.connect().user_name is not None
    bench.receive(mqtt.Suback(1, [1]))
    bench.lose()
    bench.advance(10)
    assert bench.connect().user_name is None


def test_another_secret_for_the_same_device_key_proves_no_reset() -> None:
    bench = Bench()
    bench.profile.set_device("OWN", DS)
    reset(bench)

    bench.profile.set_device("OWN", NEW_DS)

    assert bench.connect().user_name is None


@pytest.mark.parametrize("what", ["enrols", "gets another secret"])
def test_a_proof_waits_while_the_script_uses_another_device_key(what: str) -> None:
    bench = Bench()
    reset(bench)

    bench.profile.set_device("OTHER", "")
    if what == "enrols":
        bench.profile.take_secret(NEW_DS)
    else:
        bench.profile.replace_secret(NEW_DS)
    bench.profile.set_device("", "")

    signing.verify_reset_user_name(bench.connect().user_name or b"", signing.reset_key(DS, DK))


def test_reset_after_the_trying_has_ended_tries_again() -> None:
    bench = Bench()
    bench.agent.start()
    bench.open()
    bench.receive(mqtt.Connack(5))

    reset(bench)

    assert bench.agent.link() is not None


def test_reset_without_a_secret_proves_nothing() -> None:
    bench = Bench(secret="")

    reset(bench)

    assert bench.store.values["reset"] is None


def test_reset_after_authenticate_again_proves_the_secret_on_disk() -> None:
    bench = Bench()
    bench.ready()
    bench.configure((9, True))

    reset(bench)

    assert bytes.fromhex(bench.store.values["reset"]["key"]) == signing.reset_key(DS, DK)


def test_what_waited_to_be_sent_is_given_up_with_the_old_owner() -> None:
    bench = Bench()
    bench.agent.start()
    bench.agent.send(commands.TRANSPARENT_UP, b"private", 1, (10200, 10300), bench.now)

    reset(bench)

    assert bench.events() == [(4, 10300, 1)]


# --- bind secret ---


def change(bench: Bench, what: str) -> None:
    if what == "product key":
        bench.profile.set_product("p2222Y", PS)
    elif what == "product secret":
        bench.profile.set_product(PK, "another")
    elif what == "device key":
        bench.profile.set_device("OTHER", "")
    else:
        bench.profile.take_secret(NEW_DS)


@pytest.mark.parametrize("what", ["product key", "product secret", "device key", "device secret"])
def test_the_bind_secret_changes_with(what: str) -> None:
    bench = Bench(bind_secret="0123456789ABCDEF")

    change(bench, what)

    renewed = bench.store.values["bind_secret"]
    assert renewed != "0123456789ABCDEF"
    assert len(renewed) == 16
    assert set(renewed) <= set("0123456789ABCDEF")


@pytest.mark.parametrize("what", ["product key", "product secret", "device key"])
def test_the_device_secret_is_dropped_with(what: str) -> None:
    bench = Bench()

    change(bench, what)

    assert bench.store.values["device_secret"] == ""


def test_the_same_product_again_changes_nothing() -> None:
    bench = Bench(bind_secret="0123456789ABCDEF")
    files = dict(bench.files.content)

    bench.profile.set_product(PK, PS)

    assert bench.files.content == files


def test_another_server_keeps_both_secrets() -> None:
    bench = Bench(bind_secret="0123456789ABCDEF")

    bench.profile.save(server="other.example:1883")

    assert bench.store.values["device_secret"] == DS
    assert bench.store.values["bind_secret"] == "0123456789ABCDEF"
