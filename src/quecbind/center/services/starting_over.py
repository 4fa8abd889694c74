"""How a device begins a life, on the transaction that stores it: it enrols ("0;"), or proves a reset when it logs in.

Judges by the enrolment table, so on what is committed and not on what is in memory. A reset proof is good once: it dies
with the secret it was made with, and is noted where the secret stays. Tells nobody: `gate` does, once it is on disk.
"""

import hashlib
from dataclasses import dataclass, replace

from quecbind.center.domain import refusal
from quecbind.center.domain.device import Device
from quecbind.center.domain.enrolment import Create, IssueAgain, decide_enrolment
from quecbind.center.domain.ids import ClientId, DeviceKey, ProductKey, Secret
from quecbind.center.domain.refusal import Refused
from quecbind.center.services.changes import RESET, RightChanged
from quecbind.center.services.endings import members_lost, owners_lost
from quecbind.center.services.enrolling import create_device, note_enrolled
from quecbind.center.services.records import Member, Owner
from quecbind.center.services.registry import RANDOM_DIGEST_SIZE
from quecbind.center.services.rows import Tx
from quecbind.wire import signing
from quecbind.wire.errors import LoginError


@dataclass(frozen=True, slots=True)
class Begun:
    """A device in a new epoch, why, and who lost it by that."""

    device: Device
    reason: str
    lost: tuple[Owner, ...] = ()
    members: tuple[Member, ...] = ()

    def rights_lost(self) -> list[RightChanged]:
        return [*owners_lost(self.device, self.lost, RESET), *members_lost(self.members, RESET)]


@dataclass(frozen=True, slots=True)
class Attempt:
    """One "0;" log-in whose signature is right, judged on whatever transaction it is shown."""

    client_id: ClientId
    product_key: ProductKey
    device_key: DeviceKey
    user_name: bytes | None
    peer: str

    def decide(self, tx: Tx, now_ms: int) -> tuple[Create | IssueAgain | Refused, Device | None]:
        product = tx.products.get(self.product_key)
        if product is None:
            return Refused(refusal.UNKNOWN_PRODUCT), None
        device = tx.devices.get(self.client_id)
        if device is not None and device.product_key != self.product_key:
            # Another product's device has this client id: the keys of both begin alike.
            return Refused(refusal.DEVICE_NOT_ALLOWED), None
        is_proved = fresh_proof(tx, device, self.user_name) is not None
        return decide_enrolment(product, device, proof_is_valid=is_proved, now_ms=now_ms), device

    def carry_out(self, tx: Tx, secret: Secret, now_ms: int) -> Begun | Refused:
        decision, device = self.decide(tx, now_ms)
        if isinstance(decision, Refused):
            return decision
        if isinstance(decision, Create) or device is None:
            created = create_device(tx, self.product_key, self.device_key, secret, now_ms, who="device", peer=self.peer)
            return Begun(created, "new") if created is not None else Refused(refusal.DEVICE_LIMIT_REACHED)
        return _begin(tx, device, secret, decision.reason, now_ms, self.peer, is_reset=decision.is_reset)


def begin_with_its_secret(tx: Tx, device: Device, proof: bytes, now_ms: int, peer: str) -> Begun:
    """Reset a device that has proved it by `proof`, and whose script has given it its secret again."""
    # The secret stays, and with it the proof would be good for ever, to enrol as well.
    tx.devices.use_proof(device.id, proof)
    begun = _begin(tx, device, device.device_secret, "proof", now_ms, peer, is_reset=True)
    tx.devices.activate(device.id, begun.device.generation)
    return replace(begun, device=replace(begun.device, is_active=True))


def _begin(tx: Tx, device: Device, secret: Secret, reason: str, now_ms: int, peer: str, *, is_reset: bool) -> Begun:
    """Give a known device a secret, in a new epoch that is nobody's."""
    members = tuple(tx.shares.granted_by(device.id))
    lost = tuple(tx.owners.delete_all(device.id))
    issued = tx.devices.issue(device.id, secret, now_ms)
    uids = [owner.uid for owner in lost]
    note_enrolled(tx, issued, reason, now_ms, who="device", peer=peer, lost_owners=uids, is_reset=is_reset)
    return Begun(issued, reason, lost, members)


def may_prove(user_name: bytes | None) -> bool:
    """Whether a user name is meant for a reset proof; most devices have none at all."""
    return user_name is not None and user_name.startswith(b"rst;")


def fresh_proof(tx: Tx, device: Device | None, user_name: bytes | None) -> bytes | None:
    """By what the device proves that it was reset, for `begin_with_its_secret`; None for no proof or a used one."""
    if device is None or user_name is None or not may_prove(user_name):
        return None
    key = signing.reset_key(device.device_secret.reveal(), device.device_key)
    try:
        proof = random_digest(signing.verify_reset_user_name(user_name, key))
    except LoginError:
        return None
    return None if tx.devices.is_proof_used(device.id, proof) else proof


def random_digest(random: str) -> bytes:
    """What is remembered of a RAND."""
    return hashlib.blake2b(random.encode(), digest_size=RANDOM_DIGEST_SIZE).digest()
