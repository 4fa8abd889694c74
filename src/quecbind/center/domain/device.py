"""A device as the Developer Center knows it: one value, read from storage, never changed in place.

All times are UTC milliseconds.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final, Literal

from quecbind.center.domain.ids import ClientId, DeviceKey, ProductKey, Secret

DEVICE_SECRET_LENGTH = 32
AUTH_KEY_SIZE = 16
# Base64 of sixteen zero bytes: what a device is given in place of a key that must no longer open anything.
NO_AUTH_KEY = Secret("A" * 22 + "==")

# `issued`: a secret was handed out (or is kept for it) and never used. `active`: the device has logged in with it.
DeviceState = Literal["issued", "active", "disabled"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """One device.

    Attributes:
        is_active: whether its present secret has ever been used; `state` adds whether it is disabled.
        epoch: grows with every reset; whatever carries an older one has ended.
        generation: grows with every secret issued, so that news of an earlier secret changes nothing.
        approved_until: until when an approval lets it enrol again.
        owes_reset: the last owner has left and asked for a reset: nothing but enrolling again is left to it.
        bind_code_mac: keyed hash of the reported bind code; None when no code is on file.
        bind_window_opened_at: when the bind code was reported.
        bind_window_end: first moment at which the bind code is no longer accepted.
        auth_key: what it was last given for LAN and BLE sessions, Base64; `NO_AUTH_KEY` once its last owner is gone,
            None when it never had an owner in this epoch.
        recent_randoms: digests of the log-in nonces seen, oldest first; stored for `replay_strict` products only.
    """

    id: int
    product_key: ProductKey
    device_key: DeviceKey
    client_id: ClientId
    device_secret: Secret
    is_active: bool = False
    disabled_at: int | None = None
    epoch: int = 1
    generation: int = 1
    approved_until: int | None = None
    owes_reset: bool = False
    bind_code_mac: bytes | None = None
    bind_window_opened_at: int | None = None
    bind_window_end: int | None = None
    auth_key: Secret | None = None
    recent_randoms: bytes = b""
    created_at: int = 0

    @property
    def state(self) -> DeviceState:
        """The word of the enrolment table."""
        if self.disabled_at is not None:
            return "disabled"
        return "active" if self.is_active else "issued"


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceFacts:
    """What a device last told about itself, and when it was last here."""

    is_online: bool
    last_online_at: int | None
    last_offline_at: int | None
    last_address: str | None
    status: dict[str, object]
    info: dict[str, object]
    serial: str | None = None


# Information by which a device says what it is: all of it but where its network is (cell, mcc, mnc, lac: 4, 6, 7, 8).
WHAT_IT_IS: Final = frozenset({"1", "2", "3", "5", "9", "10", "11", "12", "13", "14"})


def shown(
    told: Mapping[str, object], shown_from: Mapping[str, int], held_since: int, always: Collection[str] = ()
) -> dict[str, object]:
    """What is shown of status or information, by their ids, to who holds the device since then.

    Args:
        shown_from: since when, at the latest, one must hold the device to be shown the value; one that is not in it was
            told nobody knows when, and is shown to nobody.
        always: what is shown whenever it was told.
    """
    return {key: value for key, value in told.items() if key in always or shown_from.get(key, -1) >= held_since}
