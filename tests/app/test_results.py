"""Answers wobble, results do not."""

import pytest

from quecbind.app import results
from quecbind.app.errors import AnswerError


@pytest.mark.parametrize(
    ("verified", "expected"), [(1, True), ("1", True), (0, False), ("0", False), (None, False), ("x", False)]
)
def test_verified_is_a_number_a_text_or_null(verified: object, expected: bool) -> None:
    assert results.Device.from_data({"verified": verified}).is_verified is expected


def test_null_and_missing_fields_become_empty_values() -> None:
    device = results.Device.from_data({"productKey": None, "deviceName": None})

    assert (device.product_key, device.name, device.bind_mode, device.is_online) == ("", "", 0, False)


def test_a_page_without_a_list_is_empty() -> None:
    assert results.DevicePage.from_data({"list": None, "total": "3"}).devices == ()
    assert results.DevicePage.from_data({"list": None, "total": "3"}).total == 3


@pytest.mark.parametrize("data", [None, [], "text", 7])
def test_something_else_than_an_object_is_an_answer_error(data: object) -> None:
    for read in (results.User, results.BindPreview, results.Binding, results.DevicePage, results.Device):
        with pytest.raises(AnswerError):
            read.from_data(data)


@pytest.mark.parametrize(("data", "uid"), [("C1", "C1"), ({"uid": "C1"}, "C1"), (None, ""), ({}, "")])
def test_a_uid_comes_bare_or_in_an_object(data: object, uid: str) -> None:
    assert results.uid_of(data) == uid


@pytest.mark.parametrize("number", [float("inf"), [], {}, "12x"])
def test_a_number_that_is_none_counts_as_zero(number: object) -> None:
    assert results.binding_sum_of({"bindingSum": number}) == 0


def test_secrets_do_not_appear_in_reprs() -> None:
    shown = repr(results.Tokens("Bearer one", "Bearer two", 1, 2))
    shown += repr(results.Binding("three", 1, "")) + repr(results.Device.from_data({"authKey": "four"}))

    assert not [secret for secret in ("one", "two", "three", "four") if secret in shown]
