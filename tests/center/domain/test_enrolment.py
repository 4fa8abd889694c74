"""Every row of the enrolment table (architecture.md), one test each."""

import dataclasses

import pytest

from quecbind.center.domain import refusal
from quecbind.center.domain.device import Device
from quecbind.center.domain.enrolment import APPROVAL_MS, Create, IssueAgain, decide_enrolment
from quecbind.center.domain.ids import ClientId, DeviceKey, ProductKey, Secret
from quecbind.center.domain.product import Product
from quecbind.center.domain.refusal import Refused

NOW = 1_700_000_000_000

PRODUCT = Product(product_key=ProductKey("p1115X"), product_secret=Secret("d2c5Q1FsVWpwT1k3"), name="lamp")
ISSUED = Device(
    id=1,
    product_key=ProductKey("p1115X"),
    device_key=DeviceKey("861122334455667"),
    client_id=ClientId("qdp1115X861122334455667"),
    device_secret=Secret("0" * 32),
)
ACTIVE = dataclasses.replace(ISSUED, is_active=True)
DISABLED = dataclasses.replace(ACTIVE, disabled_at=NOW - 1)


def decide(product: Product = PRODUCT, device: Device | None = None, proof: bool = False, now: int = NOW):
    return decide_enrolment(product, device, proof_is_valid=proof, now_ms=now)


def but(value, **changes):
    return dataclasses.replace(value, **changes)


def test_unknown_device_is_created() -> None:
    assert decide() == Create()


def test_unknown_device_is_refused_where_only_imported_ones_may_enrol() -> None:
    assert decide(but(PRODUCT, dynamic_enrolment=False)) == Refused(refusal.DEVICE_NOT_ALLOWED)


def test_unknown_device_is_refused_at_the_device_limit() -> None:
    assert decide(but(PRODUCT, device_limit=3, device_count=3)) == Refused(refusal.DEVICE_LIMIT_REACHED)


def test_last_place_under_the_device_limit_is_given() -> None:
    assert decide(but(PRODUCT, device_limit=3, device_count=2)) == Create()


def test_device_limit_does_not_concern_devices_that_exist() -> None:
    assert decide(but(PRODUCT, device_limit=1, device_count=1), ISSUED) == IssueAgain("unused")


def test_secret_that_was_never_used_is_issued_again() -> None:
    decision = decide(device=ISSUED)

    assert decision == IssueAgain("unused")
    assert not decision.is_reset


def test_active_device_with_a_reset_proof_starts_over() -> None:
    decision = decide(device=ACTIVE, proof=True)

    assert decision == IssueAgain("proof")
    assert decision.is_reset


def test_active_device_with_an_approval_starts_over() -> None:
    assert decide(device=but(ACTIVE, approved_until=NOW + APPROVAL_MS)) == IssueAgain("approved")


def test_approval_is_good_until_its_last_millisecond() -> None:
    assert decide(device=but(ACTIVE, approved_until=NOW + 1)) == IssueAgain("approved")


def test_approval_is_over_at_its_end() -> None:
    assert decide(device=but(ACTIVE, approved_until=NOW)) == Refused(refusal.ALREADY_ENROLLED)


def test_active_device_of_an_open_product_starts_over() -> None:
    assert decide(but(PRODUCT, re_enrol="open"), ACTIVE) == IssueAgain("open")


def test_active_device_otherwise_is_refused() -> None:
    assert decide(device=ACTIVE) == Refused(refusal.ALREADY_ENROLLED)


def test_approval_is_good_from_the_moment_it_was_given_and_not_for_a_clock_before_it() -> None:
    device = but(ACTIVE, approved_until=NOW + APPROVAL_MS)

    assert decide(device=device, now=NOW) == IssueAgain("approved")
    assert decide(device=device, now=NOW - 1) == Refused(refusal.ALREADY_ENROLLED)


def test_locked_product_ignores_approvals() -> None:
    device = but(ACTIVE, approved_until=NOW + APPROVAL_MS)

    assert decide(but(PRODUCT, re_enrol="locked"), device) == Refused(refusal.ALREADY_ENROLLED)


@pytest.mark.parametrize("policy", ["approve", "locked"])
def test_reset_that_was_ordered_and_told_counts_whatever_the_policy(policy) -> None:
    told = but(ACTIVE, owes_reset=True, approved_until=NOW + 1)

    assert decide(but(PRODUCT, re_enrol=policy), told) == IssueAgain("ordered")
    assert IssueAgain("ordered").is_reset


@pytest.mark.parametrize("approved_until", [None, NOW])
def test_reset_that_was_ordered_counts_for_nobody_before_it_was_told_or_too_late(approved_until) -> None:
    owing = but(ACTIVE, owes_reset=True, approved_until=approved_until)

    assert decide(device=owing) == Refused(refusal.ALREADY_ENROLLED)


def test_locked_product_takes_a_reset_proof() -> None:
    assert decide(but(PRODUCT, re_enrol="locked"), ACTIVE, proof=True) == IssueAgain("proof")


def test_disabled_device_is_refused_whatever_it_brings() -> None:
    assert decide(but(PRODUCT, re_enrol="open"), DISABLED, proof=True) == Refused(refusal.DEVICE_NOT_ALLOWED)


def test_disabled_device_that_never_connected_is_refused() -> None:
    assert decide(device=but(ISSUED, disabled_at=NOW)) == Refused(refusal.DEVICE_NOT_ALLOWED)


def test_no_device_of_a_static_product_enrols() -> None:
    static = but(PRODUCT, static_secrets=True, re_enrol="open")

    assert [decide(static, device, proof=True) for device in (None, ISSUED, ACTIVE, DISABLED)] == [
        Refused(refusal.STATIC_PRODUCT)
    ] * 4


def test_no_device_without_a_network_enrols() -> None:
    alone = but(PRODUCT, ble_only=True, re_enrol="open")

    assert [decide(alone, device, proof=True) for device in (None, ISSUED, ACTIVE)] == [
        Refused(refusal.DEVICE_NOT_ALLOWED)
    ] * 3


def test_vendor_numbers_are_those_of_the_table() -> None:
    assert (
        refusal.STATIC_PRODUCT,
        refusal.ALREADY_ENROLLED,
        refusal.DEVICE_LIMIT_REACHED,
        refusal.DEVICE_NOT_ALLOWED,
    ) == (10421, 10422, 10429, 10431)
