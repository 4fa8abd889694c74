"""Sharing: an owner invites, a user accepts, either ends it. The rules are in `domain.sharing`.

Every call is judged and written in one transaction, so of two users with one code exactly one gets it. A share code is
as good as a key: it is drawn, kept sealed, looked up by a keyed hash, and wrong ones are counted per user and address.
Whoever is invited by name may not exist: the answer is the same, so that nobody learns who has an account.

An ended grant changes the auth key: whoever has left must not be able to use the device nearby with the key they had.
What ends by time is refused from that moment on by whoever asks; a look twice a second only tells those concerned.
"""

import asyncio
import dataclasses
import logging
from collections.abc import Callable
from dataclasses import dataclass

from quecbind.center.domain import binding, refusal, sharing
from quecbind.center.domain.audit import AuditEntry
from quecbind.center.domain.device import Device
from quecbind.center.domain.ids import ClientId, Secret, Uid
from quecbind.center.domain.limits import Ceiling, Counted, Limits
from quecbind.center.domain.moment import to_ms
from quecbind.center.domain.refusal import Refused
from quecbind.center.domain.sharing import Accept, Share
from quecbind.center.services.auth_keys import AuthKeys, renew
from quecbind.center.services.becoming_owner import raise_refused, user_did
from quecbind.center.services.changes import (
    SHARE_CANCELLED,
    SHARE_EXPIRED,
    SHARE_OVERWRITTEN,
    Changes,
    RightChanged,
)
from quecbind.center.services.endings import member_gained, members_lost, without_right
from quecbind.center.services.errors import Rejected, StorageError
from quecbind.center.services.find import find_device, row_of
from quecbind.center.services.guesses import Guess, Guesses
from quecbind.center.services.ports import Clock, Entropy, Events, Storage
from quecbind.center.services.records import Member, User
from quecbind.center.services.rows import Tx
from quecbind.center.services.views import SignedIn

logger = logging.getLogger(__name__)

SWEEP_S = 0.5
MAX_SWEPT = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedWith:
    """One invitation or grant as its owner sees it; `member` is who accepted it."""

    share: Share
    member: User | None


@dataclass(frozen=True, slots=True)
class _Done:
    """What is to be told after a commit: whose right has changed, and the auth keys that devices have now."""

    changes: list[RightChanged]
    auth_keys: list[tuple[ClientId, Secret]]


class Sharing:
    """What users do with shares. Every method is a coroutine and raises Rejected with the platform's code."""

    def __init__(
        self,
        storage: Storage,
        auth_keys: AuthKeys,
        *,
        clock: Clock,
        entropy: Entropy,
        events: Events,
        changes: Changes,
        limits: Limits,
    ) -> None:
        self._storage = storage
        self._auth_keys = auth_keys
        self._clock = clock
        self._entropy = entropy
        self._events = events
        self._changes = changes
        self._pending = Ceiling(limits.max_pending_shares)
        self._pending_of_owner = Ceiling(limits.max_pending_shares_per_owner)
        self._held_by_member = Ceiling(limits.max_shares_per_member)
        self._held_of_device = Ceiling(limits.max_shares_per_device)
        self._guesses = Guesses(limits)
        self._timer: asyncio.TimerHandle | None = None
        self._is_sweeping = False
        self._is_closed = False

    @property
    def limit_counters(self) -> dict[str, Counted]:
        """What is counted here, by limit; wrong share codes go by the limits of wrong bind codes."""
        return {
            "max_pending_shares": self._pending,
            "max_pending_shares_per_owner": self._pending_of_owner,
            "max_shares_per_member": self._held_by_member,
            "max_shares_per_device": self._held_of_device,
            "share_codes_per_user": self._guesses.counters["max_guesses_per_user"],
            "share_codes_per_address": self._guesses.counters["max_guesses_per_address"],
        }

    async def invite(
        self,
        who: SignedIn,
        product_key: str,
        device_key: str,
        accepting: int | None,
        expires: int | None,
        cover_mark: int,
        peer: str,
    ) -> Secret:
        """A code for whoever brings it until `accepting`, for use until `expires` (UTC ms; None: no end)."""
        raise_refused(sharing.check_times(accepting, expires, self._now_ms()))
        assert accepting is not None
        return await self._invite(who, product_key, device_key, lambda tx: None, accepting, expires, cover_mark, peer)

    async def invite_user(
        self,
        who: SignedIn,
        product_key: str,
        device_key: str,
        uid: str,
        email: str,
        expires: int | None,
        cover_mark: int,
        peer: str,
    ) -> Secret:
        """A code that only the user with this uid or e-mail address, of the caller's App, can accept within a week."""
        if not uid and not email:
            raise Rejected(refusal.SHARE_TARGET_MISSING)
        now_ms = self._now_ms()
        if expires is not None:
            raise_refused(sharing.check_sharing_expiry(expires, now_ms))

        def target(tx: Tx) -> Uid:
            user = tx.users.get(uid) if uid else tx.users.by_email(who.user_domain, email.strip().lower())
            # An invitation for nobody: it answers like any other and is good for none.
            return user.uid if user is not None and user.user_domain == who.user_domain else Uid("")

        end = sharing.accepting_end(expires, now_ms)
        return await self._invite(who, product_key, device_key, target, end, expires, cover_mark, peer)

    async def accept(self, who: SignedIn, code: str, device_name: str, peer: str) -> None:
        """Use the device that the code was given for."""
        mac = self._mac(code)
        raise_refused(binding.check_name(device_name))
        fresh_key = self._auth_keys.draw()

        def work(tx: Tx) -> _Done | Refused:
            now = self._clock.now()
            now_ms = to_ms(now)
            guess = Guess(user=who.uid, address=peer, audit=lambda result: _audit_guess(who, peer, now_ms, result))
            refused = self._guesses.refused(tx, guess, now)
            if refused is not None:
                return dataclasses.replace(refused, detail="too many wrong share codes")
            share = _in_domain(tx, tx.shares.by_code(mac), who)
            held = () if share is None else tuple(tx.shares.of_member(share.device_id, who.uid))
            is_owner = share is not None and tx.owners.get(share.device_id, who.uid) is not None
            is_allowed = share is None or _may_be_shared(tx, share.device_id)
            decision = sharing.accept(share, who.uid, held, is_owner, now_ms, is_allowed=is_allowed)
            if isinstance(decision, Refused):
                if decision.code == refusal.SHARE_CODE_INVALID:
                    self._guesses.wrong(tx, guess, decision, now)
                return decision
            assert share is not None, "an unknown code is refused"
            if not self._has_room(tx, share, held, decision, now_ms):
                return Refused(
                    refusal.SHARE_NOT_ADDED, None, "the device is shared too often, another share has to end"
                )
            overwritten = [each for each in tx.shares.granted_by(share.device_id) if each.share_id in decision.replaced]
            for share_id in decision.replaced:
                tx.shares.delete(share_id)
            tx.shares.accept(share.id, who.uid, device_name or share.device_name, now_ms)
            keys = _renew(tx, overwritten, fresh_key)
            member = next(each for each in tx.shares.granted_by(share.device_id) if each.share_id == share.id)
            named, details = (member.product_key, member.device_key), dict[str, object](owner=share.owner_uid)
            tx.audit.append(user_did(who, *named, peer, "share.accepted", now_ms, details=details))
            return _Done([*members_lost(overwritten, SHARE_OVERWRITTEN), member_gained(member)], keys)

        outcome = await self._storage.transact(work, self._tell)
        if isinstance(outcome, Refused):
            self._events.publish("share.refused", uid=who.uid, code=outcome.code, peer=peer)
            raise Rejected(outcome)
        self._events.publish("share.accepted", uid=who.uid)

    async def set_expiry(self, who: SignedIn, code: str, expires: int, peer: str) -> None:
        """Let a share of the caller's device end at another moment."""
        mac = self._mac(code)
        raise_refused(sharing.check_sharing_expiry(expires, self._now_ms()))

        def work(tx: Tx) -> None:
            share = tx.shares.by_code(mac)
            now_ms = self._now_ms()
            if share is None or share.owner_uid != who.uid or sharing.is_past(share, now_ms):
                raise Rejected(refusal.NO_PERMISSION)
            if sharing.prolongs(share, expires) and not _may_be_shared(tx, share.device_id):
                raise Rejected(refusal.SHARING_OFF)
            if share.accepted_at is None and expires <= share.accepting_expires_at:
                raise Rejected(refusal.USE_EXPIRY_TOO_EARLY)
            tx.shares.set_expiry(share.id, expires)
            self._audit_share(tx, who, share, "share.prolonged", peer, now_ms)

        await self._storage.transact(work)

    async def rename(self, who: SignedIn, code: str, device_name: str, peer: str) -> None:
        """Give a device that was shared with the caller another name, for the caller alone."""
        mac = self._mac(code)
        if not device_name:
            raise Rejected(refusal.DEVICE_NAME_MISSING)
        raise_refused(binding.check_name(device_name))

        def work(tx: Tx) -> None:
            share = tx.shares.by_code(mac)
            now_ms = self._now_ms()
            if share is None or share.member_uid != who.uid or not sharing.is_granted(share, now_ms):
                raise Rejected(refusal.NO_PERMISSION)
            tx.shares.rename(share.id, device_name)
            self._audit_share(tx, who, share, "share.renamed", peer, now_ms)

        await self._storage.transact(work)

    async def cancel(self, who: SignedIn, code: str, peer: str) -> None:
        """End an invitation or a grant that the caller has given."""
        await self._end(code, lambda share: share.owner_uid == who.uid, who, "share.cancelled", peer)

    async def leave(self, who: SignedIn, code: str, peer: str) -> None:
        """Give up a grant that the caller holds."""
        await self._end(
            code, lambda share: share.member_uid == who.uid and share.accepted_at is not None, who, "share.left", peer
        )

    async def shared_with(self, who: SignedIn, product_key: str, device_key: str) -> list[SharedWith]:
        """The invitations and grants for a device of the caller whose time is not past; 5141 when it is not theirs."""
        now_ms = self._now_ms()

        def look(tx: Tx) -> list[SharedWith]:
            device = _owned(tx, who, product_key, device_key)
            if device is None:
                raise Rejected(refusal.MAY_NOT_QUERY)
            return [
                SharedWith(
                    share=share,
                    member=tx.users.get(share.member_uid) if share.accepted_at and share.member_uid else None,
                )
                for share in tx.shares.of_owner(device.id, who.uid)
                if not sharing.is_past(share, now_ms)
            ]

        return self._storage.read(look)

    # What ends by time

    def start(self) -> None:
        """From now on those whose share has ended by time are told, within a second."""
        self._timer = asyncio.get_running_loop().call_later(SWEEP_S, self._sweep_on)

    def close(self) -> None:
        """Tell nobody any more. Doing it twice is fine."""
        self._is_closed = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _sweep_on(self) -> None:
        self.start()
        self.sweep()

    def sweep(self) -> None:
        """End the grants whose time has passed, and tell who held them. Costs one look when there are none.

        As many as are due, in pieces: between two of them everybody else's changes have their turn.
        """
        if self._is_sweeping or self._is_closed:
            return
        now_ms = self._now_ms()
        try:
            if not self._storage.read(lambda tx: tx.shares.over(now_ms, 1)):
                return
        except StorageError as error:
            logger.warning("share.sweep_failed reason=%s", error)
            return

        def work(tx: Tx) -> _Done:
            over = tx.shares.over(now_ms, MAX_SWEPT)
            keys: list[tuple[ClientId, Secret]] = []
            for member in over:
                tx.shares.delete(member.share_id)
                keys += _renew(tx, [member], self._auth_keys.draw())
                tx.audit.append(_audit_ended("center", member, "share.expired", "", now_ms))
            return _Done(members_lost(without_right(tx, over, now_ms), SHARE_EXPIRED), keys)

        def settle(done: "asyncio.Future[_Done]") -> None:
            self._is_sweeping = False
            if done.cancelled():
                return
            if done.exception() is not None:
                logger.warning("share.sweep_failed reason=%s", done.exception())
                return
            self.sweep()

        self._is_sweeping = True
        self._storage.transact(work, self._tell).add_done_callback(settle)

    # Parts

    async def _invite(
        self,
        who: SignedIn,
        product_key: str,
        device_key: str,
        target: Callable[[Tx], Uid | None],
        accepting: int,
        expires: int | None,
        cover_mark: int,
        peer: str,
    ) -> Secret:
        raise_refused(sharing.check_cover_mark(cover_mark))
        code = Secret(self._entropy.text(sharing.CODE_LENGTH))
        mac = self._mac(code.reveal())

        def work(tx: Tx) -> None:
            device = _owned(tx, who, product_key, device_key)
            if device is None:
                raise Rejected(refusal.UNVERIFIED_SHARE)
            owner = tx.owners.get(device.id, who.uid)
            assert owner is not None, "it was there a line ago"
            if not _may_be_shared(tx, device.id):
                raise Rejected(refusal.SHARING_OFF)
            now_ms = self._now_ms()
            pending_device_ids = []
            for share in tx.shares.invitations_of(who.uid):
                if sharing.is_pending(share, now_ms):
                    pending_device_ids.append(share.device_id)
                else:
                    tx.shares.delete(share.id)
            if not self._pending.has_room(pending_device_ids.count(device.id)):
                raise Rejected(refusal.SHARE_NOT_ADDED)
            if not self._pending_of_owner.has_room(len(pending_device_ids)):
                raise Rejected(refusal.SHARE_NOT_ADDED)
            invitation = Share(
                id=0,
                code=code,
                device_id=device.id,
                owner_uid=who.uid,
                member_uid=target(tx),
                accepted_at=None,
                cover_mark=cover_mark,
                accepting_expires_at=accepting,
                sharing_expires_at=expires,
                device_name=owner.device_name,
                created_at=now_ms,
            )
            tx.shares.insert(invitation, mac)
            self._audit_share(tx, who, invitation, "share.invited", peer, now_ms)

        await self._storage.transact(work)
        return code

    async def _end(self, code: str, may_end: Callable[[Share], bool], who: SignedIn, action: str, peer: str) -> None:
        mac = self._mac(code)
        fresh_key = self._auth_keys.draw()

        def work(tx: Tx) -> _Done:
            share = tx.shares.by_code(mac)
            now_ms = self._now_ms()
            if share is None or not may_end(share):
                raise Rejected(refusal.NO_PERMISSION)
            lost = [each for each in tx.shares.granted_by(share.device_id) if each.share_id == share.id]
            self._audit_share(tx, who, share, action, peer, now_ms)
            tx.shares.delete(share.id)
            keys = _renew(tx, lost, fresh_key)
            return _Done(members_lost(without_right(tx, lost, now_ms), SHARE_CANCELLED), keys)

        await self._storage.transact(work, self._tell)

    def _tell(self, outcome: _Done | Refused) -> None:
        if isinstance(outcome, _Done):
            for client_id, auth_key in outcome.auth_keys:
                self._auth_keys.tell(client_id, auth_key)
            self._changes.tell(outcome.changes)

    def _has_room(self, tx: Tx, share: Share, held: tuple[Share, ...], accepted: Accept, now_ms: int) -> bool:
        """Whether there may be one grant more of the device, counting neither those that give way nor those over."""
        by_member = sum(sharing.is_granted(each, now_ms) for each in held)
        in_all = tx.shares.grant_count(share.device_id, now_ms)
        leaving = len(accepted.replaced)
        return self._held_by_member.has_room(by_member - leaving) and self._held_of_device.has_room(in_all - leaving)

    def _audit_share(self, tx: Tx, who: SignedIn, share: Share, action: str, peer: str, now_ms: int) -> None:
        device = tx.devices.by_id(share.device_id)
        assert device is not None, "a share goes with its device"
        details: dict[str, object] = {"member": share.member_uid} if share.accepted_at is not None else {}
        keys = device.product_key, device.device_key
        tx.audit.append(user_did(who, *keys, peer, action, now_ms, details=details))

    def _mac(self, code: str) -> bytes:
        if not code:
            raise Rejected(refusal.SHARE_CODE_MISSING)
        return self._storage.mac("share code", code)

    def _now_ms(self) -> int:
        return to_ms(self._clock.now())


def _renew(tx: Tx, lost: list[Member], fresh_key: Secret) -> list[tuple[ClientId, Secret]]:
    """Another auth key for the device that `lost` have used, if anybody has; all of them used the same."""
    if not lost:
        return []
    return [(lost[0].client_id, renew(tx, lost[0].device_id, fresh_key))]


def _owned(tx: Tx, who: SignedIn, product_key: str, device_key: str) -> Device | None:
    if not product_key:
        raise Rejected(refusal.PRODUCT_KEY_MISSING)
    if not device_key:
        raise Rejected(refusal.DEVICE_KEY_MISSING)
    device = find_device(tx, product_key, device_key)
    return device if tx.owners.get(row_of(device), who.uid) is not None else None


def _in_domain(tx: Tx, share: Share | None, who: SignedIn) -> Share | None:
    """The share, if it was given by a user of the caller's App; another App's code is no code."""
    owner = None if share is None else tx.owners.get(share.device_id, share.owner_uid)
    return share if owner is not None and owner.user_domain == who.user_domain else None


def _may_be_shared(tx: Tx, device_id: int) -> bool:
    device = tx.devices.by_id(device_id)
    product = None if device is None else tx.products.get(device.product_key)
    return product is not None and product.allow_sharing


def _audit_guess(who: SignedIn, peer: str, now_ms: int, result: str) -> AuditEntry:
    return AuditEntry(at=now_ms, who=f"user {who.uid}", action="share.refused", result=result, peer=peer)


def _audit_ended(who: str, member: Member, action: str, peer: str, now_ms: int) -> AuditEntry:
    return AuditEntry(
        at=now_ms,
        who=who,
        action=action,
        product_key=member.product_key,
        device_key=member.device_key,
        peer=peer,
        details={"member": member.uid},
    )
