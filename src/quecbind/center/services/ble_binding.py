"""Binding devices that have no network, through the App: it carries what it cannot read (app-api.md B1, C2).

The story: the App brings the device's random and gets a bind code encrypted for it; the device reads the code, and
gives back a bind secret of its own, encrypted; the App brings both, signed. The trust rule: the product secret is the
key, so only the Developer Center and the devices of the product can read and make these; the proof is that, within two
minutes, a new bind secret for this very device came back under the random the code was made for. While somebody owns
the device, whoever comes next must show its old bind secret as well. From then on the code is the auth key: it is the
one secret that both sides have learned, and the App gets it from here alone. What the format cannot promise is said in
docs/protocol/app-api.md.
"""

import base64
from dataclasses import dataclass, replace

from quecbind.center.domain import binding, refusal
from quecbind.center.domain.ble_codes import BleCodes
from quecbind.center.domain.device import DEVICE_SECRET_LENGTH, Device
from quecbind.center.domain.ids import DeviceKey, ProductKey, Secret, client_id
from quecbind.center.domain.limits import Limits
from quecbind.center.domain.moment import to_ms
from quecbind.center.domain.product import Product
from quecbind.center.domain.refusal import Refused
from quecbind.center.services.auth_keys import AuthKeys
from quecbind.center.services.becoming_owner import (
    BY_BLE,
    BindRequest,
    Outcome,
    bind_request,
    carry_out,
    check_permission,
    given_device_key,
    given_product_key,
    guess_at,
    raise_refused,
    uids_in,
    user_did,
)
from quecbind.center.services.binding import Binding
from quecbind.center.services.changes import Changes
from quecbind.center.services.enrolling import EnrolmentCaps, create_device
from quecbind.center.services.errors import NotFound, Rejected
from quecbind.center.services.find import find_device, row_of
from quecbind.center.services.guesses import Guesses
from quecbind.center.services.ports import Clock, Entropy, Events, Storage
from quecbind.center.services.registry import Registry
from quecbind.center.services.resets import Resets
from quecbind.center.services.rows import Tx
from quecbind.center.services.views import ResetCredentials, SignedIn
from quecbind.wire import ble, signing
from quecbind.wire.errors import CipherError

MAX_LAST_USE_MS = 2**53
MAX_PASSWORD = 64
RANDOM_LENGTH = 16

_UNREADABLE = Refused(refusal.BIND_SECRET_FORMAT)


@dataclass(frozen=True, slots=True, kw_only=True)
class BleParts:
    """What an App brings from the device."""

    random: str
    signature: str
    new_secret: str
    old_secret: str = ""
    code: str = ""
    encrypted_code: str = ""
    password: str = ""


@dataclass(frozen=True, slots=True)
class _Read:
    """What the parts say, once they are decrypted."""

    code: Secret
    new_secret: Secret
    old_secret: Secret | None


class BleBinding(Binding):
    """Binding without a network. Every method is a coroutine and raises Rejected with the platform's code."""

    def __init__(
        self,
        storage: Storage,
        registry: Registry,
        auth_keys: AuthKeys,
        resets: Resets,
        caps: EnrolmentCaps,
        *,
        clock: Clock,
        events: Events,
        changes: Changes,
        entropy: Entropy,
        guesses: Guesses,
        limits: Limits,
    ) -> None:
        super().__init__(
            storage,
            registry,
            auth_keys,
            resets,
            clock=clock,
            events=events,
            changes=changes,
            entropy=entropy,
            guesses=guesses,
        )
        self._caps = caps
        self._ble_codes = BleCodes(limits)
        self.limit_counters |= self._ble_codes.counters

    async def make_ble_code(
        self, who: SignedIn, product_key: str | None, device_key: str | None, random: str | None
    ) -> str:
        """A bind code for the device that gave `random`, encrypted so that only the device reads it.

        Says nothing about whether there is such a device.
        """
        request = bind_request(who, product_key, device_key, None, "", None, BY_BLE)
        _check_random(random)
        product = self._storage.read(lambda tx: _ble_product(tx, request))
        if isinstance(product, Refused):
            raise Rejected(product)
        code = Secret(self._entropy.octets(8).hex().upper())
        target = client_id(product.product_key, DeviceKey(request.device_key))

        # Nothing is written: this is how one comes into the writer's thread, where the codes are taken, too.
        def work(_: Tx) -> Refused | None:
            return self._ble_codes.put(who.uid, target, random or "", code, self._clock.now())

        raise_refused(await self._storage.transact(work))
        return ble.encrypt_bind_code(code.reveal(), product.product_secret.reveal(), random or "")

    async def bind_by_ble(
        self,
        who: SignedIn,
        product_key: str | None,
        device_key: str | None,
        device_name: str | None,
        parts: BleParts,
        peer: str,
        capabilities: int | None = None,
    ) -> None:
        """Own a BLE-only device (`deviceBindingByPureBt`).

        The code is used up when it is right, whatever comes after. An owner who binds again changes the bind secret
        and the auth key, and nothing else.
        """
        request = bind_request(who, product_key, device_key, device_name, peer, capabilities, BY_BLE)
        _check_parts(parts)
        self._check_signature(request, parts)
        target = client_id(ProductKey(request.product_key), DeviceKey(request.device_key))
        device_secret = Secret(self._entropy.text(DEVICE_SECRET_LENGTH))
        # Asked whether or not there is such a device, and told only to who has shown that there is.
        wait_s = self._caps.wait_s(ProductKey(request.product_key), peer, self._clock.now())

        def work(tx: Tx) -> tuple[Outcome | Refused, Device | None]:
            now = self._clock.now()
            guess = guess_at(request, target, to_ms(now))
            refused = self._guesses.refused(tx, guess, now)
            product = refused or _ble_product(tx, request)
            if isinstance(product, Refused):
                return product, None
            read = _read(product, request, parts)
            if isinstance(read, _Read):
                refused = self._ble_codes.take(who.uid, target, parts.random, read.code, now)
            if isinstance(read, _Read) and refused is None:
                mac = self._storage.mac("BLE bind secret", request.product_key, read.new_secret.reveal())
                outcome, created = _bind(tx, request, product, read, mac, device_secret, wait_s, to_ms(now))
                if isinstance(outcome, Refused) and outcome.code == refusal.VERIFICATION_FAILED:
                    # The old bind secret can be guessed, too.
                    self._guesses.wrong(tx, guess, outcome, now)
                return outcome, created
            refused = read if isinstance(read, Refused) else refused
            assert refused is not None, "one of the two has refused"
            if refused.code not in (refusal.BIND_CODE_NOT_REPORTED, refusal.BIND_CODE_EXPIRED):
                # What cannot be read counts too: nobody shall find out by trying what a text holds.
                self._guesses.wrong(tx, guess, refused, now)
            return refused, None

        def applied(result: tuple[Outcome | Refused, Device | None]) -> None:
            outcome, created = result
            if created is not None:
                self._registry.put(created)
                self._caps.add(created.product_key, peer, self._clock.now())
            self._tell(outcome)

        outcome, _ = await self._storage.transact(work, applied)
        self._bound(request, outcome)

    async def reset_credentials(self, who: SignedIn, product_key: str, device_key: str) -> ResetCredentials | None:
        """What makes the caller's BLE-only device forget its binding.

        None when it is not theirs, not theirs alone (it would forget the others too), or has no secret.
        """

        def look(tx: Tx) -> tuple[Product | None, Secret | None]:
            device = find_device(tx, product_key, device_key)
            if device is None or [owner.uid for owner in tx.owners.of_device(device.id)] != [who.uid]:
                return None, None
            return tx.products.get(device.product_key), tx.devices.bind_secret(device.id)

        product, secret = self._storage.read(look)
        if product is None or secret is None or not product.ble_only:
            return None
        random = self._entropy.text(RANDOM_LENGTH)
        credentials = ble.encrypt_bind_secret(
            product_key, device_key, secret.reveal(), product.product_secret.reveal(), random
        )
        return ResetCredentials(Secret(credentials), random)

    async def note_ble_use(self, who: SignedIn, product_key: str | None, device_key: str | None, used_at: int) -> None:
        """Remember when the caller last used their device over BLE (UTC milliseconds)."""
        product, key = given_product_key(product_key), given_device_key(device_key)
        if not 0 <= used_at <= MAX_LAST_USE_MS:
            raise Rejected(refusal.INVALID, "btLastUseTime is a time in milliseconds")

        def work(tx: Tx) -> None:
            device = find_device(tx, product, key)
            if not tx.owners.note_ble_use(row_of(device), who.uid, used_at):
                raise NotFound(refusal.NOT_BOUND)

        await self._storage.transact(work)

    def _check_signature(self, request: BindRequest, parts: BleParts) -> None:
        domain = self._storage.read(lambda tx: tx.domains.get(request.who.user_domain))
        assert domain is not None, "a user is of a domain"
        try:
            expected = signing.app_signature(
                request.product_key,
                request.device_key,
                parts.encrypted_code or parts.code,
                parts.password,
                domain.user_domain_secret.reveal(),
            )
        except CipherError:
            raise Rejected(refusal.SIGNATURE_WRONG) from None
        if not signing.same(expected, parts.signature):
            raise Rejected(refusal.SIGNATURE_WRONG)


def check_reset_credentials(tx: Tx, device: Device, credentials: str, random: str) -> Refused | None:
    """What credentials of a reset on an unbind are refused for: they must hold the bind secret on file."""
    product = tx.products.get(device.product_key)
    secret = tx.devices.bind_secret(device.id)
    if product is None or secret is None or not ble.is_random(random):
        return Refused(refusal.UNBIND_FAILED)
    try:
        given = ble.decrypt_bind_secret(credentials, product.product_secret.reveal(), random)
    except CipherError:
        return Refused(refusal.UNBIND_FAILED)
    wanted = (device.product_key, device.device_key, secret.reveal())
    return None if signing.same(",".join(given), ",".join(wanted)) else Refused(refusal.UNBIND_FAILED)


def _ble_product(tx: Tx, request: BindRequest) -> Product | Refused:
    refused = check_permission(tx, request)
    product = tx.products.get(request.product_key)
    if refused is not None or product is None:
        return refused or Refused(refusal.DOMAIN_NOT_LINKED)
    return product if product.ble_only else Refused(refusal.NOT_BLE)


def _bind(
    tx: Tx,
    request: BindRequest,
    product: Product,
    read: _Read,
    secret_mac: bytes,
    device_secret: Secret,
    wait_s: int | None,
    now_ms: int,
) -> tuple[Outcome | Refused, Device | None]:
    target = client_id(product.product_key, DeviceKey(request.device_key))
    device, created = tx.devices.get(target), None
    if device is not None and (device.product_key != product.product_key or device.state == "disabled"):
        return Refused(refusal.MAY_NOT_BIND), None
    owners = [] if device is None else tx.owners.of_device(device.id)
    decision = binding.bind_by_ble(
        None if device is None else tx.devices.bind_secret(device.id),
        read.old_secret,
        bool(owners),
        uids_in(owners, request.who),
        request.who.uid,
        product.bind_mode,
    )
    if isinstance(decision, Refused):
        return decision, None
    if tx.devices.is_bind_secret_of_another(product.product_key, secret_mac, None if device is None else device.id):
        return Refused(refusal.VERIFICATION_FAILED), None
    if device is None:
        if not product.dynamic_enrolment:
            return Refused(refusal.MAY_NOT_BIND), None
        if wait_s is not None:
            return Refused(refusal.TOO_MANY_GUESSES, wait_s, "too many new devices, wait a while"), None
        device = created = create_device(
            tx,
            product.product_key,
            DeviceKey(request.device_key),
            device_secret,
            now_ms,
            who=f"user {request.who.uid}",
            peer=request.peer,
        )
        if device is None:
            return Refused(refusal.NO_PLACE_LEFT), None
    tx.devices.claim_bind_secret(device, secret_mac)
    tx.devices.set_bind_secret(device.id, read.new_secret)
    if isinstance(decision, binding.AlreadyOwner):
        action = "device.bind_secret_renewed"
        tx.audit.append(user_did(request.who, request.product_key, request.device_key, request.peer, action, now_ms))
    key = Secret(base64.b64encode(read.code.reveal().encode()).decode())
    outcome = carry_out(tx, request, decision, device, product, owners, key, now_ms)
    if isinstance(outcome, Refused):
        return outcome, created
    tx.devices.set_auth_key(device.id, key)  # also where it has owners: the device knows no other from now on
    return replace(outcome, auth_key=key, is_key_new=not outcome.is_new), created


def _check_random(random: str | None) -> None:
    if not random or not random.isascii() or not ble.is_random(random):
        raise Rejected(refusal.INVALID, "random is 16 letters or digits, as the device gave it")


def _check_parts(parts: BleParts) -> None:
    """What is refused before anything is looked up."""
    _check_random(parts.random)
    if not parts.signature:
        raise Rejected(refusal.SIGNATURE_MISSING)
    if not parts.new_secret:
        raise Rejected(refusal.BIND_SECRET_MISSING)
    if len(parts.password) > MAX_PASSWORD:
        raise Rejected(refusal.INVALID, f"pwd has at most {MAX_PASSWORD} characters")
    if parts.code and parts.encrypted_code:
        raise Rejected(refusal.INVALID, "give bindingCode or encryptedBindingCode, not both")
    if not parts.encrypted_code:
        raise_refused(binding.check_code(parts.code))


def _read(product: Product, request: BindRequest, parts: BleParts) -> _Read | Refused:
    """The parts in clear; refused when they cannot be read, or are about another device."""
    secret = product.product_secret.reveal()
    code = parts.code
    if parts.encrypted_code:
        try:
            code = ble.decrypt_bind_code(parts.encrypted_code, secret, parts.random)
        except CipherError:
            code = ""
        if not binding.is_bind_code(code):
            return Refused(refusal.BIND_CODE_FORMAT)
    new = _read_secret(parts.new_secret, secret, parts.random, request)
    old = _read_secret(parts.old_secret, secret, parts.random, request) if parts.old_secret else None
    for one in (new, old):
        if isinstance(one, Refused):
            return one
    assert isinstance(new, Secret)
    assert not isinstance(old, Refused)
    return _Read(Secret(code), new, old)


def _read_secret(encrypted: str, product_secret: str, random: str, request: BindRequest) -> Secret | Refused:
    try:
        product_key, device_key, secret = ble.decrypt_bind_secret(encrypted, product_secret, random)
    except CipherError:
        return _UNREADABLE
    if not binding.is_bind_secret(secret):
        return _UNREADABLE
    if not signing.same(f"{product_key},{device_key}", f"{request.product_key},{request.device_key}"):
        return Refused(refusal.VERIFICATION_FAILED)
    return Secret(secret)
