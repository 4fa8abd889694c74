"""Decides on every CONNECT of a device: connect ("1;") from memory, enrol ("0;") in a transaction.

The story of a "1;": parse, look up, check the signature, check the nonce, answer. No SELECT, no await. Only the very
first use of a secret is stored before it is answered, and a reset proved by a device that was given its secret again.
The story of a "0;": check the proof of the product secret with what is in memory; judge by the enrolment table on
committed data, so that hopeless log-ins cost no write; then judge again inside the transaction that stores the new
secret.

Counts and audits what is refused, a known device at most once a minute; it never puts a secret or a password in either.

Its limits shut no device out. A client id or address with too many failures gets no more answers to failures, only a
closed connection, and still lets the right signature in. The caps on enrolments do not hold for a device that proves
its reset or whose owner approved it. Only an address that opens log-ins by the thousand a second is told to come
later.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import TypeAlias, TypeVar

from quecbind.center.domain import refusal
from quecbind.center.domain.addresses import counted_address
from quecbind.center.domain.audit import AuditEntry
from quecbind.center.domain.connection import (
    Accepted,
    Complaint,
    Denied,
    LetIn,
    StartOver,
    Unavailable,
    check_certificate,
    decide_connection,
)
from quecbind.center.domain.device import DEVICE_SECRET_LENGTH
from quecbind.center.domain.enrolment import Create, IssueAgain
from quecbind.center.domain.ids import ClientId, DeviceKey, ProductKey, Secret, is_device_key
from quecbind.center.domain.ids import client_id as client_id_for
from quecbind.center.domain.limits import Limits, SlidingCounter, longest_wait_s
from quecbind.center.domain.moment import to_ms
from quecbind.center.domain.rates import Rates
from quecbind.center.domain.refusal import Refused
from quecbind.center.services.changes import Changes
from quecbind.center.services.enrolling import EnrolmentCaps
from quecbind.center.services.errors import StorageError
from quecbind.center.services.links import Links
from quecbind.center.services.ports import Clock, Entropy, Events, Storage
from quecbind.center.services.registry import DeviceEntry, Registry
from quecbind.center.services.resets import Resets
from quecbind.center.services.rows import Tx
from quecbind.center.services.starting_over import (
    Attempt,
    Begun,
    begin_with_its_secret,
    fresh_proof,
    may_prove,
    random_digest,
)
from quecbind.wire import signing
from quecbind.wire.errors import LoginError

T = TypeVar("T")
Verdict: TypeAlias = Accepted[DeviceEntry] | StartOver | Complaint | Denied | Unavailable

logger = logging.getLogger(__name__)

SESSION_KEY_SIZE = 16


class DeviceGate:
    """Lets devices in. All methods run on the event loop.

    Attributes:
        requires_certificates: whether a device must show a TLS certificate for its client id, however it connects.
    """

    def __init__(
        self,
        storage: Storage,
        registry: Registry,
        links: Links,
        resets: Resets,
        caps: EnrolmentCaps,
        *,
        clock: Clock,
        entropy: Entropy,
        events: Events,
        changes: Changes,
        limits: Limits,
    ) -> None:
        self._changes = changes
        self._storage = storage
        self._registry = registry
        self._links = links
        self._resets = resets
        self._caps = caps
        self._clock = clock
        self._entropy = entropy
        self._events = events
        self._audited = SlidingCounter(1, limits.refusal_audit_s)
        self.requires_certificates = False
        self._first_uses: dict[ClientId, asyncio.Future[bool]] = {}
        self._log_ins = Rates(limits.log_in_rate_per_address, limits.log_in_burst_per_address)
        span = limits.failed_log_in_window_s
        self._failed_by_device = SlidingCounter(limits.max_failed_log_ins_per_device, span)
        self._failed_by_address = SlidingCounter(limits.max_failed_log_ins_per_address, span)

    @property
    def limit_counters(self) -> dict[str, SlidingCounter | Rates]:
        """What is counted here, by limit."""
        return {
            "log_in_rate_per_address": self._log_ins,
            "max_failed_log_ins_per_device": self._failed_by_device,
            "max_failed_log_ins_per_address": self._failed_by_address,
            **self._caps.counters,
        }

    def connect(
        self,
        client_id: str,
        user_name: bytes | None,
        password: bytes | None,
        peer: str,
        certificate_names: Sequence[str] | None = None,
    ) -> "Verdict | asyncio.Future[Verdict]":
        """What a CONNECT gets: at once, or as a future when something has to be stored first.

        Args:
            client_id: as the device sent it.
            user_name: a reset proof ("rst;...") counts; anything else is ignored.
            password: None when the CONNECT had none.
            peer: the address it came from, for logs and the audit log.
            certificate_names: for whom the TLS certificate is that it showed; None when it showed none.
        """
        if peer and not self._log_ins.take(counted_address(peer), self._clock.now()):
            return Unavailable()
        foreign = check_certificate(client_id, certificate_names, is_required=self.requires_certificates)
        if foreign is not None:
            return self._complain(client_id, peer, foreign.code)
        if password is None:
            return self._denied(client_id, peer, "no password")
        try:
            login = signing.parse_login(password)
        except LoginError as error:
            if password.startswith(b"1;"):
                return self._denied(client_id, peer, "malformed")
            return self._complain(client_id, peer, error.code)
        if isinstance(login, signing.FirstLogin):
            return self._enrol(client_id, user_name, login, peer)

        entry = self._registry.entry(client_id)
        if entry is None:
            return self._denied(client_id, peer, "unknown device")
        try:
            signing.verify_login(login, entry.product.product_secret.reveal(), entry.device_secret)
        except LoginError:
            return self._denied(client_id, peer, "wrong signature")
        is_replay = self._is_replay(entry, login.random, peer)
        decision = decide_connection(
            entry.state,
            signature_is_right=True,
            is_replay=is_replay,
            replay_strict=entry.product.replay_strict,
            # A device that may not enrol would be lost without its secret.
            owes_reset=entry.owes_reset and not entry.product.static_secrets,
        )
        if isinstance(decision, LetIn):
            session_key = self._entropy.octets(SESSION_KEY_SIZE) if login.session_flag else None
            if may_prove(user_name) and not is_replay:
                is_proved = self._read(
                    lambda tx: fresh_proof(tx, tx.devices.get(entry.client_id), user_name) is not None
                )
                if is_proved is None:
                    return Unavailable()
                if is_proved:
                    return self._connect_reset(entry, user_name, session_key, peer)
            if decision.is_first_use:
                return self._connect_first(entry, session_key, peer)
            return self._accepted(entry, session_key)
        if isinstance(decision, Complaint):
            return self._complain(client_id, peer, decision.code, entry)
        if isinstance(decision, StartOver):
            told = self._resets.let_enrol(entry, peer)
            return self._answer(told, lambda is_owed: decision if is_owed else Unavailable())
        return decision

    def used(self, entry: DeviceEntry) -> "asyncio.Future[bool] | None":
        """The device has shown on its enrolment connection that it has its secret: from now on it is active.

        None when that is stored already. Call it as often as the device sends; it is stored once. The future is False
        when another secret has been issued meanwhile, which makes this one worthless.
        """
        if entry.state != "issued":
            return None
        pending = self._first_uses.get(entry.client_id)
        if pending is not None:
            return pending
        done = self._store_first_use(entry, "")
        self._first_uses[entry.client_id] = done
        done.add_done_callback(lambda _: self._first_uses.pop(entry.client_id, None))
        return done

    def _connect_first(self, entry: DeviceEntry, session_key: bytes | None, peer: str) -> "asyncio.Future[Verdict]":
        generation = entry.generation

        def choose(is_present: bool) -> Verdict:
            if not is_present or entry.generation != generation:
                # Another secret was issued while this log-in waited for the disk.
                return self._denied(entry.client_id, peer, "secret replaced")
            if entry.state == "disabled":
                return self._complain(entry.client_id, peer, refusal.DEVICE_NOT_ALLOWED, entry)
            return self._accepted(entry, session_key)

        return self._answer(self._store_first_use(entry, peer), choose)

    def _read(self, look: Callable[[Tx], T]) -> T | None:
        """What is committed; None when that cannot be told."""
        try:
            return self._storage.read(look)
        except StorageError as error:
            logger.error("gate.unavailable reason=%s", error)  # noqa: TRY400 - no code is at fault
            return None

    def _connect_reset(
        self, entry: DeviceEntry, user_name: bytes | None, session_key: bytes | None, peer: str
    ) -> "asyncio.Future[Verdict]":
        generation = entry.generation

        def work(tx: Tx) -> Begun | None:
            device = tx.devices.get(entry.client_id)
            proof = fresh_proof(tx, device, user_name)
            if device is None or proof is None or device.generation != generation or device.state == "disabled":
                return None
            return begin_with_its_secret(tx, device, proof, to_ms(self._clock.now()), peer)

        def applied(reset: Begun | None) -> None:
            if reset is not None:
                self._enrolled(reset, "reset", peer)

        def choose(reset: Begun | None) -> Verdict:
            if reset is None or entry.generation != reset.device.generation:
                return Unavailable()
            return self._accepted(entry, session_key)

        return self._answer(self._storage.transact(work, applied), choose)

    def _enrolled(self, result: Begun, ended: str, peer: str) -> DeviceEntry:
        """A secret was issued, or the device reset, and it is on disk: all who are concerned hear of it."""
        self._links.disconnect(result.device.client_id, ended)
        entry = self._registry.put(result.device)
        self._changes.tell(result.rights_lost())
        self._events.publish(
            "device.enrolled",
            client_id=result.device.client_id,
            reason=result.reason,
            lost_owners=len(result.lost),
            peer=peer,
        )
        return entry

    def _store_first_use(self, entry: DeviceEntry, peer: str) -> "asyncio.Future[bool]":
        generation, product_key, device_key = entry.generation, entry.product_key, entry.device_key
        now_ms = to_ms(self._clock.now())

        def work(tx: Tx) -> bool:
            device = tx.devices.get(entry.client_id)
            if device is None or device.generation != generation:
                return False
            if not device.is_active and tx.devices.activate(device.id, generation):
                tx.audit.append(
                    AuditEntry(
                        at=now_ms,
                        who="device",
                        action="device.activated",
                        product_key=product_key,
                        device_key=device_key,
                        peer=peer,
                    )
                )
            return True

        def applied(is_present: bool) -> None:
            if is_present and entry.generation == generation and entry.state == "issued":
                entry.state = "active"

        return self._storage.transact(work, applied)

    def _enrol(
        self, client_id: str, user_name: bytes | None, first: signing.FirstLogin, peer: str
    ) -> "Verdict | asyncio.Future[Verdict]":
        product = self._registry.product(first.product_key)
        if product is None:
            return self._complain(client_id, peer, refusal.UNKNOWN_PRODUCT)
        prefix = client_id_for(product.product_key, DeviceKey(""))
        if not client_id.startswith(prefix):
            return self._complain(client_id, peer, refusal.CLIENT_ID_DIFFERS)
        device_key = client_id.removeprefix(prefix)
        if not is_device_key(device_key):
            return self._complain(client_id, peer, refusal.DEVICE_NOT_ALLOWED)
        try:
            random = signing.open_first_login(first, product.product_secret.reveal(), device_key)
        except LoginError as error:
            return self._complain(client_id, peer, error.code)
        entry = self._registry.entry(client_id)
        if entry is not None and self._is_replay(entry, random, peer) and product.replay_strict:
            return self._complain(client_id, peer, refusal.WRONG_SIGNATURE, entry)

        attempt = Attempt(ClientId(client_id), product.product_key, DeviceKey(device_key), user_name, peer)
        decision = self._read(lambda tx: attempt.decide(tx, to_ms(self._clock.now()))[0])
        if decision is None:
            return Unavailable()
        if isinstance(decision, Refused):
            return self._complain(client_id, peer, decision.code, entry)
        if self._enrols_too_often(decision, product.product_key, peer):
            return self._complain(client_id, peer, refusal.TOO_FREQUENT, entry)

        secret = Secret(self._entropy.text(DEVICE_SECRET_LENGTH))
        session_key = self._entropy.octets(SESSION_KEY_SIZE) if first.session_flag else None

        def work(tx: Tx) -> Begun | Refused:
            return attempt.carry_out(tx, secret, to_ms(self._clock.now()))

        def applied(result: Begun | Refused) -> None:
            if isinstance(result, Begun):
                # The earlier secret has died, and with it the session that was opened with it.
                self._enrolled(result, "secret issued again", peer).saw_random(random_digest(random))

        def choose(result: Begun | Refused) -> Verdict:
            enrolled = self._registry.entry(client_id)
            if isinstance(result, Refused):
                return self._complain(client_id, peer, result.code, enrolled)
            if enrolled is None or enrolled.generation != result.device.generation:
                return Unavailable()
            return self._accepted(enrolled, session_key, secret)

        return self._answer(self._storage.transact(work, applied), choose)

    def _accepted(
        self, entry: DeviceEntry, session_key: bytes | None, secret: Secret | None = None
    ) -> Accepted[DeviceEntry]:
        entry.connection_count += 1
        return Accepted(entry, session_key, secret, entry.generation)

    def _enrols_too_often(self, decision: Create | IssueAgain, product_key: ProductKey, peer: str) -> bool:
        """Whether a cap stands against it; counted before it is stored, so that many at once do not get past."""
        now = self._clock.now()
        is_capped = not isinstance(decision, IssueAgain) or decision.reason in ("unused", "open")
        if is_capped and self._caps.wait_s(product_key, peer, now) is not None:
            return True
        self._caps.add(product_key, peer, now)
        return False

    def _fails_too_often(self, client_id: str, peer: str) -> bool:
        """One more log-in has failed; whether there were too many to answer it."""
        now, where = self._clock.now(), counted_address(peer)
        waits = [self._failed_by_device.retry_after_s(client_id, now)]
        if where:
            waits.append(self._failed_by_address.retry_after_s(where, now))
        if longest_wait_s(waits) is not None:
            return True
        self._failed_by_device.add(client_id, now)
        if where:
            self._failed_by_address.add(where, now)
        return False

    def _denied(self, client_id: str, peer: str, reason: str) -> Denied | Unavailable:
        if self._fails_too_often(client_id, peer):
            return Unavailable()
        self._events.publish("device.denied", client_id=client_id, reason=reason, peer=peer)
        return Denied()

    def _complain(
        self, client_id: str, peer: str, code: int, entry: DeviceEntry | None = None
    ) -> Complaint | Unavailable:
        if self._fails_too_often(client_id, peer):
            return Unavailable()
        self._events.publish("device.refused", client_id=client_id, code=code, peer=peer)
        if entry is not None:
            self._audit(entry, "device.enrolment_refused", f"refused {code}", peer)
        return Complaint(code)

    def _is_replay(self, entry: DeviceEntry, random: str, peer: str) -> bool:
        if not entry.saw_random(random_digest(random)):
            return False
        self._events.publish("device.replayed", client_id=entry.client_id, peer=peer)
        self._audit(entry, "device.replayed", "refused" if entry.product.replay_strict else "ok", peer)
        return True

    def _audit(self, entry: DeviceEntry, action: str, result: str, peer: str) -> None:
        """Keep what happened to a known device, once a minute: whoever repeats it must not fill the disk."""
        now = self._clock.now()
        key = (entry.client_id, action)
        if self._audited.count(key, now):
            return
        self._audited.add(key, now)
        audit = AuditEntry(
            at=to_ms(now),
            who="device",
            action=action,
            result=result,
            product_key=entry.product_key,
            device_key=entry.device_key,
            peer=peer,
        )
        self._storage.transact(lambda tx: tx.audit.append(audit)).add_done_callback(_log_failure)

    def _answer(self, committed: "asyncio.Future[T]", choose: Callable[[T], Verdict]) -> "asyncio.Future[Verdict]":
        answer: asyncio.Future[Verdict] = asyncio.get_running_loop().create_future()

        def settle(done: "asyncio.Future[T]") -> None:
            error = done.exception()
            if error is not None:
                logger.error("gate.unavailable reason=%s", error)
            if not answer.done():
                answer.set_result(Unavailable() if error is not None else choose(done.result()))

        committed.add_done_callback(settle)
        return answer


def is_outdated(accepted: Accepted[DeviceEntry]) -> bool:
    """Whether the device was reset or disabled between the verdict and now.

    A verdict that had to wait is acted on a moment after it was made; a reset in that moment finds no session to end.
    """
    entry = accepted.entry
    return accepted.generation is not None and (
        accepted.generation != entry.generation or entry.state == "disabled" or entry.owes_reset
    )


def _log_failure(done: "asyncio.Future[None]") -> None:
    error = done.exception()
    if error is not None:
        logger.error("audit.not_written reason=%s", error)
