"""The auth key on the device: taken only when sealed for this device, and gone with whatever it was given for."""

from __future__ import annotations

import json

import pytest

from quecbind.wire import auth_key, mqtt, signing
from quecIot._profile import DEFAULTS
from quecIot._store import Store
from tests.quecIot.bench import DK, DS, KEY, NEW_DS, Bench

OTHER_KEY = bytes(range(16, 32))


def sealed(key: bytes = KEY, secret: str = DS, device_key: str = DK) -> bytes:
    return auth_key.seal(key, secret, device_key)


def holding(key: bytes = KEY) -> Bench:
    bench = Bench()
    bench.ready()
    bench.configure((12, sealed(key)))
    assert bench.profile.auth_key == key
    return bench


def test_a_device_without_an_owner_has_no_auth_key() -> None:
    assert Bench().profile.auth_key is None


def test_the_auth_key_is_kept_over_a_restart() -> None:
    bench = holding()

    bench.restart()

    assert bench.profile.auth_key == KEY


def test_the_next_auth_key_replaces_the_one_before_it() -> None:
    bench = holding()

    bench.configure((12, sealed(OTHER_KEY)))

    assert bench.profile.auth_key == OTHER_KEY


def test_zero_bytes_say_that_there_is_none_any_more() -> None:
    bench = holding()

    bench.configure((12, sealed(auth_key.NONE)))

    assert bench.profile.auth_key is None
    assert bench.store.values["auth_key"] == ""


def test_an_auth_key_disturbs_neither_the_link_nor_the_script() -> None:
    bench = holding()

    assert bench.events() == []
    assert bench.agent.link() is not None
    assert [type(packet) for packet in bench.sent()] == [mqtt.Puback]


@pytest.mark.parametrize(
    "wrong",
    [
        sealed(secret=NEW_DS),
        sealed(device_key=DK + "0"),
        sealed()[:-1],
        sealed()[:20] + b"AAAA" + sealed()[24:],
        b"*" * 64,
        b"",
        b"\xff" * 64,
    ],
)
def test_what_was_not_sealed_for_this_device_is_left_out_and_logged(wrong: bytes) -> None:
    bench = holding()

    bench.configure((12, wrong))

    assert bench.profile.auth_key == KEY
    assert bench.agent.link() is not None
    assert not any(KEY.hex() in text or DS in text for text in bench.logged)


def test_an_auth_key_that_is_no_text_is_left_out() -> None:
    bench = holding()

    bench.configure((12, 7))

    assert bench.profile.auth_key == KEY
    assert any("the auth key is no text" in text for text in bench.logged)


def test_an_auth_key_that_cannot_be_stored_is_not_used() -> None:
    bench = holding()
    bench.files.is_writable = False

    bench.configure((12, sealed(OTHER_KEY)))

    assert bench.profile.auth_key == KEY
    assert any("cannot be written" in text for text in bench.logged)


def test_before_authentication_no_auth_key_is_taken() -> None:
    bench = Bench(secret="")
    bench.connect()
    bench.receive(mqtt.Suback(1, [1]))

    bench.configure((12, sealed(secret="")))

    assert bench.profile.auth_key is None


def test_a_reset_forgets_the_auth_key() -> None:
    bench = holding()

    bench.profile.forget()

    assert bench.profile.auth_key is None
    assert bench.store.values["auth_key"] == ""


def test_authenticate_again_forgets_the_auth_key_at_once() -> None:
    bench = holding()

    bench.configure((9, True))
    assert bench.profile.auth_key is None

    bench.restart()
    assert bench.profile.auth_key is None


def test_authenticate_again_goes_on_when_the_store_cannot_be_written() -> None:
    bench = holding()
    bench.files.is_writable = False

    bench.configure((9, True))
    bench.advance(3)

    assert (bench.open().password or b"").startswith(b"0;")


def test_authenticate_again_proves_the_secret_that_was_set_aside() -> None:
    bench = holding()
    bench.configure((9, True))
    bench.advance(3)

    packet = bench.open()

    signing.verify_reset_user_name(packet.user_name or b"", signing.reset_key(DS, DK))


def test_a_new_secret_ends_the_auth_key() -> None:
    bench = holding()

    bench.configure((10, NEW_DS))

    assert bench.profile.auth_key is None


def test_another_product_ends_the_auth_key() -> None:
    bench = holding()

    bench.profile.set_product("p1other", "OtherSecret12345")

    assert bench.profile.auth_key is None


def test_a_store_of_an_earlier_release_keeps_its_secret() -> None:
    bench = Bench()
    path = f"/home/{DK}.json"
    saved = json.loads(bench.files.content[path])
    del saved["auth_key"]
    bench.files.content[path] = json.dumps(saved).encode()

    bench.restart()

    assert bench.profile.device_secret == DS
    assert bench.profile.auth_key is None


def test_every_value_of_the_store_but_the_later_ones_is_required() -> None:
    bench = Bench()
    path = f"/home/{DK}.json"
    saved = json.loads(bench.files.content[path])
    del saved["moved"]
    bench.files.content[path] = json.dumps(saved).encode()

    store = Store("/home", DK + ".json", bench.files, DEFAULTS, ("auth_key",))  # type: ignore[arg-type]
    store.load(bench.log)

    assert store.values == DEFAULTS


def test_word_of_a_checked_bind_code_changes_nothing() -> None:
    bench = holding()
    bench.sent()

    bench.configure((14, 1))

    assert [type(packet) for packet in bench.sent()] == [mqtt.Puback]
    assert bench.events() == []
    assert bench.agent.link() is not None
