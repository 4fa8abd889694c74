"""What a device's CONNECT gets: five verdicts, and the rule for a "1;" log-in as a pure function.

Bytes are not judged here: whether the signature is right, and whether its nonce came before, is an argument.
A verdict says what the access layer does on the wire (device-center.md 8.1, 12) and nothing about why; the log knows.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from quecbind.center.domain import refusal
from quecbind.center.domain.device import DeviceState
from quecbind.center.domain.ids import Secret

E = TypeVar("E")


@dataclass(frozen=True, slots=True)
class Accepted(Generic[E]):
    """CONNACK 0; right after it 0x00B4 with those of {5: secret, 6: session_key} that are not None.

    `generation` is that of the secret the device logged in with: who acts on the verdict later than at once asks
    whether the device still has it (`services.gate.is_outdated`).
    """

    entry: E
    session_key: bytes | None = field(default=None, repr=False)
    secret: Secret | None = None
    generation: int | None = None


@dataclass(frozen=True, slots=True)
class Complaint:
    """CONNACK 0 and at once 0x00A3 {1: code}; the connection can do nothing else and is closed after 5 s."""

    code: int


@dataclass(frozen=True, slots=True)
class StartOver:
    """CONNACK 0 and at once 0x00B4 {9: true}: the device forgets its secret and enrols again.

    The connection can do nothing else and is closed after 5 s. On a log-in it is `decide_connection` that says so, and
    what it means for the next enrolment must be stored before the device reads it.
    """


@dataclass(frozen=True, slots=True)
class Denied:
    """CONNACK 5: the device forgets its secret and stops."""


@dataclass(frozen=True, slots=True)
class Unavailable:
    """TCP is closed without CONNACK: the trouble is ours, the device keeps its secret and tries again."""


@dataclass(frozen=True, slots=True)
class LetIn:
    """The log-in is right; `is_first_use` asks to have that stored before the CONNACK."""

    is_first_use: bool


def check_certificate(client_id: str, names: Sequence[str] | None, *, is_required: bool) -> Complaint | None:
    """What a device is refused for whose TLS certificate is not its own; a second factor beside the signature.

    Args:
        client_id: as the device sent it.
        names: for whom the certificate is that it showed and that we trust; None when it showed none, as on plain TCP.
        is_required: whether a device must show one.

    A certificate is good for the one client id it names. Refused with 10431, not with CONNACK 5: the device keeps its
    secret, for which nothing is wrong.
    """
    is_missing = names is None and is_required
    is_of_another = names is not None and client_id not in names
    return Complaint(refusal.DEVICE_NOT_ALLOWED) if is_missing or is_of_another else None


def decide_connection(
    state: DeviceState | None,
    *,
    signature_is_right: bool,
    is_replay: bool,
    replay_strict: bool,
    owes_reset: bool = False,
) -> LetIn | StartOver | Complaint | Denied:
    """What a "1;" log-in gets. `state` is None for a device nobody knows.

    A wrong signature learns nothing: it is answered alike for unknown, disabled and active devices. A replay on a
    strict product is answered with 10425, not with CONNACK 5: an honest device that repeats a nonce keeps its secret
    and comes back after 30 s with a fresh one. A device that owes a reset is told to start over and serves nobody
    before it has.
    """
    if state is None or not signature_is_right:
        return Denied()
    if state == "disabled":
        return Complaint(refusal.DEVICE_NOT_ALLOWED)
    if is_replay and replay_strict:
        return Complaint(refusal.WRONG_SIGNATURE)
    if owes_reset:
        return StartOver()
    return LetIn(is_first_use=state == "issued")
