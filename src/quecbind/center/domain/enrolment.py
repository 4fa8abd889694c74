"""What a "0;" log-in with a right signature gets: the enrolment table of architecture.md, as one pure function.

The story: a device that has no secret proves that it knows its product's and asks for one of its own. New devices and
devices that never used theirs get one. A device that is in use gets another one only when something shows that its
earlier secret is really gone: its own reset proof, an approval by owner or operator, a reset that its last owner has
ordered, or a product that lets anyone.
"""

from dataclasses import dataclass

from quecbind.center.domain import refusal
from quecbind.center.domain.device import Device
from quecbind.center.domain.moment import is_within
from quecbind.center.domain.product import Product
from quecbind.center.domain.refusal import Refused

APPROVAL_MS = 15 * 60 * 1000


@dataclass(frozen=True, slots=True)
class Create:
    """Nobody knew the device: store it and issue a secret. The product's device limit is counted on storing."""


@dataclass(frozen=True, slots=True)
class IssueAgain:
    """The secret on file was never used: issue another, the earlier one dies.

    `reason` is the word the audit log keeps: `unused`, `proof`, `ordered`, `approved` or `open`. All but the first are
    a reset.
    """

    reason: str

    @property
    def is_reset(self) -> bool:
        """Whether a device in use starts over."""
        return self.reason != "unused"


def decide_enrolment(
    product: Product, device: Device | None, *, proof_is_valid: bool, now_ms: int
) -> Create | IssueAgain | Refused:
    """What the device gets.

    Args:
        product: the product whose secret signed the log-in.
        device: the device on file, None when there is none.
        proof_is_valid: the CONNECT carried a reset proof made with the secret on file. A wrong proof counts as none.
        now_ms: UTC milliseconds.

    `locked` products let a device in use enrol again with a reset proof and nothing else: no approval counts there,
    whoever gave it. An approval is good for one enrolment (`is_approved`). A reset that the last owner has ordered is
    approved when the device learns of it, which takes its earlier secret: that counts everywhere.
    """
    if product.static_secrets:
        return Refused(refusal.STATIC_PRODUCT)
    if product.ble_only:
        return Refused(refusal.DEVICE_NOT_ALLOWED)
    if device is None:
        if not product.dynamic_enrolment:
            return Refused(refusal.DEVICE_NOT_ALLOWED)
        if product.device_count >= product.device_limit:
            return Refused(refusal.DEVICE_LIMIT_REACHED)
        return Create()
    if device.state == "disabled":
        return Refused(refusal.DEVICE_NOT_ALLOWED)
    if device.state == "issued":
        return IssueAgain("unused")
    if proof_is_valid:
        return IssueAgain("proof")
    if product.re_enrol == "open":
        return IssueAgain("open")
    if is_approved(device, now_ms):
        if device.owes_reset:
            return IssueAgain("ordered")
        if product.re_enrol == "approve":
            return IssueAgain("approved")
    return Refused(refusal.ALREADY_ENROLLED)


def is_approved(device: Device, now_ms: int) -> bool:
    """Whether an approval is good at `now_ms`. Its end tells when it was given."""
    end_ms = device.approved_until
    return end_ms is not None and is_within(end_ms - APPROVAL_MS, end_ms, now_ms)
