"""Who owns a device: the bind table of architecture.md as pure functions, in the order in which the checks are made.

The story: the device reports a code and opens a window; an App brings the same code for the same device in time; then,
and only then, the user owns the device. The match key is (product, device, code): callers hash all three together.
A wrong guess costs only the guesser. An owner's code is judged like anybody's: a device that was reset out of reach has
an owner until it comes, and whoever heard "yours already" would not ask again. Loads nothing, stores nothing; whoever
carries out a `Bound` closes the window first and writes the owner in the same transaction.
"""

import hmac
import re
from dataclasses import dataclass

from quecbind.center.domain import refusal
from quecbind.center.domain.ids import Secret, Uid
from quecbind.center.domain.moment import is_within
from quecbind.center.domain.product import MAX_WINDOW_S, BindMode
from quecbind.center.domain.refusal import Refused
from quecbind.center.domain.text import is_text

MAX_NAME_LENGTH = 254
REPEAT_MS = 120_000

# What a device can talk over (app-api.md B1); 8 is Matter.
WAN, LAN, BLE = 1, 2, 4
_CAPABILITIES = 15

# How much later or earlier the end of a window may seem when it is told again: seconds left are whole, and frames
# take their time; the first may have taken more of it, for the connection was not well.
TOLD_AGAIN_MS = 5000
TOLD_LATE_MS = 15_000

_NO_MAC = bytes(32)
_BIND_CODE = re.compile(r"[0-9A-F]{16}")
_BIND_SECRET = re.compile(r"[0-9A-Za-z]{1,64}")
_SERIAL = re.compile(r"[0-9A-Za-z._-]{1,64}")


@dataclass(frozen=True, slots=True)
class Window:
    """The bind code a device has reported, as a keyed hash, and when it is accepted (UTC ms)."""

    code_mac: bytes
    end_ms: int
    opened_ms: int

    def is_open(self, now_ms: int) -> bool:
        """Whether the code is accepted at `now_ms`."""
        return is_within(self.opened_ms, self.end_ms, now_ms)


@dataclass(frozen=True, slots=True)
class Bound:
    """The user owns the device now. `leaving`: those who stop owning it (alternate mode)."""

    leaving: tuple[Uid, ...] = ()


@dataclass(frozen=True, slots=True)
class UsedCode:
    """The bind code that an owner brought last, as a keyed hash, and when that was (UTC ms)."""

    code_mac: bytes
    used_at: int

    def is_repeated(self, now_ms: int) -> bool:
        """Whether the same code may come once more at `now_ms`, because the answer was lost on the way."""
        return is_within(self.used_at, self.used_at + REPEAT_MS, now_ms)


@dataclass(frozen=True, slots=True)
class AlreadyOwner:
    """The user owns the device already: success, and the ownership stays as it is.

    `uses_code`: they brought the code of the open window, which then is used up like any.
    """

    uses_code: bool = False


def is_bind_code(code: str) -> bool:
    """Whether `code` is exactly 16 of 0-9 A-F."""
    return _BIND_CODE.fullmatch(code) is not None


def check_code(code: str | None) -> Refused | None:
    """What an App's bind code is refused for before anything is looked up: missing or malformed."""
    if not code:
        return Refused(refusal.BIND_CODE_MISSING)
    return None if is_bind_code(code) else Refused(refusal.BIND_CODE_FORMAT)


def window_end(seconds_left: int, now_ms: int) -> int | None:
    """When a window that is reported with `seconds_left` ends (UTC ms); None when it is cancelled (0 seconds).

    Raises:
        ValueError: not 0 to 4294967295 seconds.
    """
    if not 0 <= seconds_left <= MAX_WINDOW_S:
        raise ValueError(f"a bind window lasts 0 to {MAX_WINDOW_S} seconds")
    return now_ms + seconds_left * 1000 if seconds_left else None


def is_told_again(used: Window | None, told: Window) -> bool:
    """Whether the first report on a connection is of the window that was used already.

    A device that has not heard that its report arrived (the connection was lost) tells it on the next one, with the
    time that is left of it. What is set anew ends at another time.
    """
    return (
        used is not None
        and hmac.compare_digest(used.code_mac, told.code_mac)
        and told.end_ms - told.opened_ms < used.end_ms - used.opened_ms
        and used.end_ms - TOLD_LATE_MS <= told.end_ms <= used.end_ms + TOLD_AGAIN_MS
    )


def bind_by_code(
    window: Window | None,
    code_mac: bytes,
    owners: tuple[Uid, ...],
    user: Uid,
    bind_mode: BindMode,
    now_ms: int,
    used: UsedCode | None = None,
) -> Bound | AlreadyOwner | Refused:
    """What bringing a code gets.

    Args:
        window: what is on file for the device; None when nothing is, or the device is unknown. Both answer alike.
        code_mac: keyed hash of what the App brought, made like the window's. Compared in constant time.
        owners: who owns the device now within the user's App (user domain).
        user: who asks.
        bind_mode: of the product.
        now_ms: UTC milliseconds.
        used: what the user brought last, if they own the device.
    """
    refused = match_code(window, code_mac, now_ms)
    if user not in owners:
        return refused or take_over(owners, bind_mode)
    if refused is None:
        return AlreadyOwner(uses_code=True)
    is_same = hmac.compare_digest(_NO_MAC if used is None else used.code_mac, code_mac)
    return AlreadyOwner() if used is not None and is_same and used.is_repeated(now_ms) else refused


def match_code(window: Window | None, code_mac: bytes, now_ms: int) -> Refused | None:
    """None when the code is the one on file and its window is open; arguments as for `bind_by_code`."""
    # Compared in any case: who asks for a device without a code must not have the answer sooner.
    is_right = hmac.compare_digest(_NO_MAC if window is None else window.code_mac, code_mac)
    if window is None:
        return Refused(refusal.BIND_CODE_NOT_REPORTED)
    if not window.is_open(now_ms):
        return Refused(refusal.BIND_CODE_EXPIRED)
    if not is_right:
        return Refused(refusal.BIND_CODE_DIFFERS)
    return None


def bind_by_device_key(
    is_allowed: bool,
    is_known: bool,
    owners: tuple[Uid, ...],
    user: Uid,
    bind_mode: BindMode,
    *,
    is_member: bool = False,
) -> Bound | AlreadyOwner | Refused:
    """What naming a device gets, without any code: nothing, unless its product allows that.

    An unknown device is refused as one the user may not bind.
    """
    if not is_allowed:
        return Refused(refusal.DEVICE_KEY_BINDING_OFF)
    return _bind_named(is_known, refusal.MAY_NOT_BIND, owners, user, bind_mode, is_member)


def is_serial(serial: str) -> bool:
    """Whether `serial` can be a serial number: 1 to 64 of 0-9 A-Z a-z . _ -."""
    return _SERIAL.fullmatch(serial) is not None


def check_serial(serial: str | None) -> Refused | None:
    """What a serial number is refused for before anything is looked up: missing or malformed."""
    if not serial:
        return Refused(refusal.SERIAL_MISSING)
    return None if is_serial(serial) else Refused(refusal.SERIAL_FORMAT)


def bind_by_serial(
    is_allowed: bool,
    is_known: bool,
    owners: tuple[Uid, ...],
    user: Uid,
    bind_mode: BindMode,
    *,
    is_member: bool = False,
) -> Bound | AlreadyOwner | Refused:
    """What bringing a serial number gets: nothing, unless its product allows that and it names a known device.

    A serial number is on the box and the next one is easily guessed: callers count what is refused as a guess.
    """
    if not is_allowed:
        return Refused(refusal.SERIAL_BINDING_OFF)
    return _bind_named(is_known, refusal.SERIAL_INVALID, owners, user, bind_mode, is_member)


def _bind_named(
    is_known: bool, unknown: int, owners: tuple[Uid, ...], user: Uid, bind_mode: BindMode, is_member: bool
) -> Bound | AlreadyOwner | Refused:
    if not is_known:
        return Refused(unknown)
    if user in owners:
        return AlreadyOwner()
    # Who uses it by a share has not been near it, as far as a name shows.
    return Refused(refusal.SHARE_ACCEPTED_ALREADY) if is_member else take_over(owners, bind_mode)


def is_bind_secret(secret: str) -> bool:
    """Whether `secret` can be a bind secret: 1 to 64 of 0-9 A-Z a-z; modules make 16 hex digits."""
    return _BIND_SECRET.fullmatch(secret) is not None


def bind_by_ble(
    stored: Secret | None,
    old: Secret | None,
    is_owned: bool,
    owners: tuple[Uid, ...],
    user: Uid,
    bind_mode: BindMode,
) -> Bound | AlreadyOwner | Refused:
    """What bringing a right code and a new bind secret of a BLE-only device gets.

    Args:
        stored: the bind secret on file, None when there is none.
        old: the one the device says it had; None when it says nothing. It must be the one on file while somebody else
            owns the device: who cannot show it may never have been near it. Otherwise it does not matter, for a bind
            that was refused may have left the device with a secret that nobody knows.
        is_owned: whether anybody owns the device, in any App.
        owners: those of them in the user's App.
        user: who asks.
        bind_mode: of the product.
    """
    if user in owners:
        return AlreadyOwner()
    decision = take_over(owners, bind_mode)
    if isinstance(decision, Bound) and is_owned and (old is None or old != stored):
        return Refused(refusal.VERIFICATION_FAILED)
    return decision


def take_over(owners: tuple[Uid, ...], bind_mode: BindMode) -> Bound | Refused:
    """What a new owner means for those who are (app-api.md C5): they stay, they keep it alone, or they leave."""
    if not owners or bind_mode == "multi":
        return Bound()
    if bind_mode == "single":
        return Refused(refusal.SINGLE_MODE)
    return Bound(leaving=owners)


def capabilities_of(told: int | None, *, ble_only: bool) -> int:
    """What a device can talk over: what the App told of the bits there are, or what any device of the product can.

    Bits that there are not are passed over, so that an App that knows more still binds.
    """
    return ((told or 0) & _CAPABILITIES) or (BLE if ble_only else WAN | LAN)


def check_name(name: str) -> Refused | None:
    """What a device name is refused for. Empty is fine where a name is optional."""
    if len(name) > MAX_NAME_LENGTH:
        return Refused(refusal.DEVICE_NAME_TOO_LONG)
    if not is_text(name):
        return Refused(refusal.INVALID, detail="the device name is no text")
    return None
