"""A secret stays one; keys look like keys."""

import copy
import logging
import pickle

import pytest

from quecbind.center.domain.ids import DeviceKey, ProductKey, Secret, client_id, is_device_key
from quecbind.center.domain.permission import may_bind
from quecbind.center.domain.refusal import SENTENCE_BY_CODE, Refused


def test_secret_shows_itself_to_reveal_only(caplog) -> None:
    secret = Secret("hunter2")
    with caplog.at_level(logging.INFO):
        logging.getLogger("test").info("%s %r %s", secret, secret, [secret])

    assert secret.reveal() == "hunter2"
    assert f"{secret} {secret!r} {[secret]} {secret!s:>10}".count("hunter2") == 0
    assert "hunter2" not in caplog.text


def test_secrets_are_equal_by_what_they_hold() -> None:
    assert Secret("a") == Secret("a")
    assert Secret("a") != Secret("b")
    assert Secret("a") != "a"


def test_secret_is_neither_hashed_nor_pickled_nor_copied() -> None:
    for leak in (hash, pickle.dumps, copy.copy):
        with pytest.raises(TypeError):
            leak(Secret("a"))


def test_client_id_is_qd_and_both_keys() -> None:
    assert client_id(ProductKey("p1115X"), DeviceKey("861122334455667")) == "qdp1115X861122334455667"


@pytest.mark.parametrize("text", ["", "x" * 33, "a b", "a/b", "a+", "é", "a\n", "\uff11"])
def test_device_key_is_refused(text) -> None:
    assert not is_device_key(text)


def test_device_key_has_1_to_32_letters_or_digits() -> None:
    assert is_device_key("a")
    assert is_device_key("Z9" * 16)


def test_product_that_is_not_open_comes_before_a_user_who_may_not_bind() -> None:
    assert may_bind(product_is_open=False, user_is_enabled=False) == Refused(5229)
    assert may_bind(product_is_open=True, user_is_enabled=False) == Refused(5913)
    assert may_bind(product_is_open=True, user_is_enabled=True) is None


def test_every_refusal_has_a_sentence() -> None:
    assert all(sentence[0].islower() and not sentence.endswith(".") for sentence in SENTENCE_BY_CODE.values())
    assert Refused(5461).sentence == "the bind code of the device has expired"
    assert Refused(8400, detail="page is a number").sentence == "page is a number"
