"""What every way to come to own a device has in common: what was asked, and writing what was decided.

Everything here runs in the transaction of whoever decides. Decides nothing itself: `domain.binding` does.
"""

from dataclasses import dataclass

from quecbind.center.domain import binding, permission, refusal
from quecbind.center.domain.audit import AuditEntry
from quecbind.center.domain.binding import AlreadyOwner, Bound, UsedCode, Window
from quecbind.center.domain.device import Device
from quecbind.center.domain.ids import Secret, Uid, is_device_key, is_product_key
from quecbind.center.domain.product import Product
from quecbind.center.domain.refusal import Refused
from quecbind.center.services.endings import without_right
from quecbind.center.services.errors import Rejected
from quecbind.center.services.guesses import Guess
from quecbind.center.services.records import Member, Owner
from quecbind.center.services.rows import Tx
from quecbind.center.services.views import SignedIn

BY_SERIAL, BY_WIFI, BY_DEVICE_KEY, BY_BLE = 1, 2, 3, 4  # binding types, app-api.md B2


@dataclass(frozen=True, slots=True)
class BindRequest:
    """One wish to bind, checked as far as that goes without data."""

    who: SignedIn
    product_key: str
    device_key: str
    device_name: str
    capabilities: int | None
    binding_type: int
    peer: str


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a wish to bind.

    Attributes:
        is_new: the user did not own the device before.
        is_key_new: the device has another auth key although the user owned it before.
    """

    request: BindRequest
    product: Product
    auth_key: Secret
    leaving: tuple[Uid, ...]
    is_new: bool
    is_key_new: bool = False
    members: tuple[Member, ...] = ()
    changed_hands: Device | None = None


def bind_request(
    who: SignedIn,
    product_key: str | None,
    device_key: str | None,
    device_name: str | None,
    peer: str,
    capabilities: int | None,
    binding_type: int,
) -> BindRequest:
    return checked_request(
        who, given_product_key(product_key), given_device_key(device_key), device_name, peer, capabilities, binding_type
    )


def checked_request(
    who: SignedIn,
    product: str,
    key: str,
    device_name: str | None,
    peer: str,
    capabilities: int | None,
    binding_type: int,
) -> BindRequest:
    if not is_product_key(product):
        # What cannot be a product key is answered like one that nobody has.
        raise Rejected(refusal.DOMAIN_NOT_LINKED)
    raise_refused(binding.check_name(device_name or ""))
    if capabilities is not None and capabilities < 0:
        raise Rejected(refusal.INVALID, "capabilitiesBitmask is 1 to 15")
    return BindRequest(who, product, key, device_name or key, capabilities, binding_type, peer)


def given_product_key(text: str | None) -> str:
    if not text:
        raise Rejected(refusal.PRODUCT_KEY_MISSING)
    return text


def given_device_key(text: str | None) -> str:
    if not text:
        raise Rejected(refusal.DEVICE_KEY_MISSING)
    if not is_device_key(text):
        raise Rejected(refusal.DEVICE_KEY_FORMAT)
    return text


def check_permission(tx: Tx, request: BindRequest) -> Refused | None:
    user = tx.users.get(request.who.uid)
    return permission.may_bind(
        product_is_open=tx.products.is_open_to(request.product_key, request.who.user_domain),
        user_is_enabled=user is not None and user.disabled_at is None,
    )


def window_of(device: Device | None) -> Window | None:
    """The window of the device. A disabled one has none, nor one that owes a reset: nobody can begin to own it."""
    if device is None or device.state == "disabled" or device.owes_reset:
        return None
    if device.bind_code_mac is None or device.bind_window_end is None or device.bind_window_opened_at is None:
        return None
    return Window(device.bind_code_mac, device.bind_window_end, device.bind_window_opened_at)


def uids_in(owners: list[Owner], who: SignedIn) -> tuple[Uid, ...]:
    """Owners of one App do not stand in the way of another App's (app-api.md C5)."""
    return tuple(owner.uid for owner in owners if owner.user_domain == who.user_domain)


def carry_out(
    tx: Tx,
    request: BindRequest,
    decision: Bound | AlreadyOwner | Refused,
    device: Device | None,
    product: Product,
    owners: list[Owner],
    fresh_key: Secret,
    now_ms: int,
    code_mac: bytes | None = None,
) -> Outcome | Refused:
    """Write what was decided: the window first, then those who leave, then a new epoch if it changes hands, then the
    owner, with the code they brought (`code_mac`) if they brought one.
    """
    if isinstance(decision, Refused):
        return decision
    assert device is not None, "nobody owns a device there is not"
    auth_key = tx.devices.auth_key(device.id)
    if isinstance(decision, AlreadyOwner):
        assert auth_key is not None, "it was stored with the first owner"
        if decision.uses_code and code_mac is not None:
            tx.devices.use_window(device.id)
            tx.owners.note_code(device.id, request.who.uid, UsedCode(code_mac, now_ms))
            tx.audit.append(audit_bind(request, "window.used", now_ms))
        return Outcome(request, product, auth_key, (), is_new=False)
    tx.devices.use_window(device.id)
    members: list[Member] = []
    for uid in decision.leaving:
        members += tx.shares.granted_by(device.id, uid)
        tx.owners.delete(device.id, uid)
        tx.audit.append(audit_bind(request, "owner.replaced", now_ms, details={"uid": uid}))
    changed_hands = None
    if auth_key is not None and len(owners) == len(decision.leaving):
        # Somebody owned it before, and nobody does any more: what they left is not the next owner's.
        device = changed_hands = tx.devices.change_hands(device.id)
    if auth_key is None or decision.leaving or not owners:
        # Whoever has left must not be able to use the LAN with the key they had.
        auth_key = fresh_key
        tx.devices.set_auth_key(device.id, auth_key)
    tx.owners.insert(
        Owner(
            device_id=device.id,
            product_key=product.product_key,
            bind_mode=product.bind_mode,
            uid=request.who.uid,
            user_domain=request.who.user_domain,
            epoch=device.epoch,
            device_name=request.device_name,
            capabilities=binding.capabilities_of(request.capabilities, ble_only=product.ble_only),
            binding_type=request.binding_type,
            bound_at=now_ms,
        )
    )
    if code_mac is not None:
        tx.owners.note_code(device.id, request.who.uid, UsedCode(code_mac, now_ms))
    tx.audit.append(audit_bind(request, "owner.bound", now_ms, details={"epoch": device.epoch}))
    lost = tuple(without_right(tx, members, now_ms))
    return Outcome(request, product, auth_key, decision.leaving, is_new=True, members=lost, changed_hands=changed_hands)


def guess_at(request: BindRequest, target: str, now_ms: int) -> Guess:
    """Trying a code, which `target` counts, on the device of the request."""
    return Guess(
        user=request.who.uid,
        address=request.peer,
        product_key=request.product_key,
        target=target,
        audit=lambda result: audit_bind(request, "owner.refused", now_ms, result),
    )


def audit_bind(
    request: BindRequest, action: str, now_ms: int, result: str = "ok", details: dict[str, object] | None = None
) -> AuditEntry:
    return user_did(request.who, request.product_key, request.device_key, request.peer, action, now_ms, result, details)


def user_did(
    who: SignedIn,
    product_key: str,
    device_key: str,
    peer: str,
    action: str,
    now_ms: int,
    result: str = "ok",
    details: dict[str, object] | None = None,
) -> AuditEntry:
    return AuditEntry(
        at=now_ms,
        who=f"user {who.uid}",
        action=action,
        result=result,
        product_key=product_key,
        device_key=device_key,
        peer=peer,
        details=details or {},
    )


def raise_refused(refused: Refused | None) -> None:
    if refused is not None:
        raise Rejected(refused)
