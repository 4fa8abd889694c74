"""A binding without a network, from the device's side: which codes it takes, and which one counts in the end."""

from __future__ import annotations

from typing import Any

import pytest

from quecbind.wire import ble, signing, ttlv
from quecIot import _ble_binding, _delays
from quecIot._ble_binding import BleBinding
from quecIot._session import Door
from quecIot._store import StoreError
from tests.quecIot.bench import CODE, DK, PK, PS, Bench

RANDOM = "A1b2C3d4E5f6G7h8"
OTHER = "FEDCBA9876543210"


class Tag:
    def __init__(self) -> None:
        self.bench = Bench(secret="")
        self.profile = self.bench.profile
        self.binding = BleBinding(self.profile)

    def offer(
        self, code: str = CODE, random: str = RANDOM, is_bindable: bool = True, ps: str = PS
    ) -> ble.Authenticated:
        payload = ble.authenticate(ble.encrypt_bind_code(code, ps, random or RANDOM))
        return ble.parse_authenticated(self.binding.authenticate(payload, random, is_bindable))

    def secret_in(self, sealed: str | None) -> str:
        assert sealed is not None
        product_key, device_key, secret = ble.decrypt_bind_secret(sealed, PS, RANDOM)
        assert (product_key, device_key) == (PK, DK)
        return secret

    def kept(self, name: str) -> Any:
        return self.profile.setting(name)


def test_a_code_gets_a_new_bind_secret_and_changes_nothing_else() -> None:
    tag = Tag()
    before = tag.kept("bind_secret")

    answer = tag.offer()

    assert answer.result == ble.ACCEPTED
    assert len(tag.secret_in(answer.new_secret)) == 16
    assert answer.old_secret is None
    assert (tag.profile.auth_key, tag.kept("bind_secret")) == (None, before)


@pytest.mark.parametrize(
    "changes", [{"is_bindable": False}, {"random": ""}, {"ps": PS[::-1]}, {"code": CODE[:-1]}, {"code": CODE.lower()}]
)
def test_what_is_refused_changes_nothing(changes: dict[str, Any]) -> None:
    tag = Tag()

    assert tag.offer(**changes) == ble.Authenticated(ble.REFUSED)
    assert tag.kept("ble_offers") == []


@pytest.mark.parametrize("payload", [b"", b"\xff\xff", ttlv.encode([(1, 1)]), ble.authenticate("A" * 44)])
def test_what_is_no_code_is_refused(payload: bytes) -> None:
    tag = Tag()

    assert ble.parse_authenticated(tag.binding.authenticate(payload, RANDOM, True)).result == ble.REFUSED
    assert tag.kept("ble_offers") == []


def test_the_offer_that_somebody_proves_is_the_one_that_counts() -> None:
    tag = Tag()
    first, second = tag.offer(CODE), tag.offer(OTHER)

    tag.binding.accept(CODE.encode())

    assert tag.profile.auth_key == CODE.encode()
    assert tag.kept("bind_secret") == tag.secret_in(first.new_secret) != tag.secret_in(second.new_secret)
    assert tag.binding.keys() == []


def test_who_has_an_owner_shows_the_owners_secret_and_not_that_of_an_offer() -> None:
    tag = Tag()
    owned = tag.secret_in(tag.offer(CODE).new_secret)
    tag.binding.accept(CODE.encode())
    tag.offer(OTHER)

    assert tag.secret_in(tag.offer("0" * 16).old_secret) == owned


def test_who_has_none_shows_the_last_secret_that_may_have_reached_the_center() -> None:
    tag = Tag()
    offered = tag.secret_in(tag.offer(CODE).new_secret)

    assert tag.secret_in(tag.offer(OTHER).old_secret) == offered


def test_offers_are_few_and_the_same_code_is_one() -> None:
    tag = Tag()
    for number in range(9):
        tag.offer(f"{number:016d}")
    tag.offer(f"{8:016d}")

    assert tag.binding.keys() == [f"{number:016d}".encode() for number in range(9 - _ble_binding.MAX_OFFERS, 9)]


def test_what_was_never_offered_is_not_accepted() -> None:
    tag = Tag()
    tag.offer(CODE)

    tag.binding.accept(OTHER.encode())

    assert tag.profile.auth_key is None


def test_another_product_or_a_reset_voids_the_offers() -> None:
    for change in (lambda profile: profile.set_product("p2222X", PS), lambda profile: profile.forget()):
        tag = Tag()
        tag.offer(CODE)

        change(tag.profile)

        assert tag.binding.keys() == []


def test_an_offer_that_cannot_be_stored_is_none() -> None:
    tag = Tag()
    tag.bench.files.is_writable = False

    with pytest.raises(StoreError):
        tag.offer(CODE)
    assert tag.binding.keys() == []


def test_credentials_of_the_center_end_a_binding_once() -> None:
    tag = Tag()
    secret = tag.secret_in(tag.offer(CODE).new_secret)
    tag.binding.accept(CODE.encode())
    payload = ble.unbind(ble.encrypt_bind_secret(PK, DK, secret, PS, OTHER), OTHER)

    assert ble.parse_unbound(tag.binding.release(payload)) == ble.ACCEPTED
    assert (tag.profile.auth_key, tag.kept("bind_secret") != secret) == (None, True)
    tag.offer(CODE)
    tag.binding.accept(CODE.encode())
    assert ble.parse_unbound(tag.binding.release(payload)) == ble.REFUSED  # overheard, and void


@pytest.mark.parametrize(("device_key", "secret", "ps"), [("D2", None, PS), (DK, "0" * 16, PS), (DK, None, PS[::-1])])
def test_credentials_of_another_device_secret_or_product_end_nothing(
    device_key: str, secret: str | None, ps: str
) -> None:
    tag = Tag()
    own = tag.secret_in(tag.offer(CODE).new_secret)
    tag.binding.accept(CODE.encode())
    payload = ble.unbind(ble.encrypt_bind_secret(PK, device_key, secret or own, ps, RANDOM), RANDOM)

    assert ble.parse_unbound(tag.binding.release(payload)) == ble.REFUSED
    assert ble.parse_unbound(tag.binding.release(b"\xff")) == ble.REFUSED
    assert tag.profile.auth_key == CODE.encode()


# --- the door that judges log-ins ---


def test_the_door_opens_to_an_offered_key_and_makes_it_the_key() -> None:
    tag = Tag()
    tag.offer(CODE)

    def accept(key: bytes) -> bool:
        tag.binding.accept(key)
        return True

    door = Door(lambda: tag.profile.auth_key, tag.binding.keys, accept)

    assert door.open("a", RANDOM, signing.lan_token(OTHER.encode(), RANDOM), 0.0) is None
    assert tag.profile.auth_key is None
    assert door.open("b", RANDOM, signing.lan_token(CODE.encode(), RANDOM), 0.0) == CODE.encode()
    assert door.key() == CODE.encode()


def test_the_door_stays_shut_when_the_key_cannot_be_stored() -> None:
    door = Door(lambda: None, lambda: [CODE.encode()], lambda key: False)

    assert door.open("a", RANDOM, signing.lan_token(CODE.encode(), RANDOM), 0.0) is None


def test_a_wrong_key_costs_a_wait_with_offers_too() -> None:
    door = Door(lambda: None, lambda: [CODE.encode()], lambda key: True)
    for _ in range(_delays.FREE_COUNT + 1):
        door.open("a", RANDOM, signing.lan_token(OTHER.encode(), RANDOM), 0.0)

    assert door.open("a", RANDOM, signing.lan_token(CODE.encode(), RANDOM), 0.5) is None
    assert door.open("a", RANDOM, signing.lan_token(CODE.encode(), RANDOM), 1.0) == CODE.encode()
