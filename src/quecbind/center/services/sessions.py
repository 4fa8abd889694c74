"""Sign-ins of users, as sessions with two tokens.

The story: a sign-in opens a session and gives two tokens. The refresh token is good once; its second use means that
somebody else has it, and ends the session. Signing out ends it at once, and with it whatever was opened with its access
token. Tokens are kept as hashes and named in no log. How a user proves who they are is in `accounts`.
"""

import hmac

from quecbind.center.domain import refusal
from quecbind.center.domain.audit import AuditEntry
from quecbind.center.domain.ids import Uid
from quecbind.center.domain.moment import to_ms
from quecbind.center.services.changes import Changes, SessionEnded
from quecbind.center.services.errors import Rejected, Unauthenticated
from quecbind.center.services.passwords import Passwords
from quecbind.center.services.ports import Clock, Entropy, Events, Storage
from quecbind.center.services.records import Session, User
from quecbind.center.services.rows import Tx
from quecbind.center.services.tokens import TokenError, TokenSigner
from quecbind.center.services.views import SignedIn, Tokens

_ID_LENGTH = 22


class Sessions:
    """Opens, renews, recognises and ends sign-ins."""

    def __init__(
        self,
        storage: Storage,
        signer: TokenSigner,
        passwords: Passwords,
        *,
        clock: Clock,
        entropy: Entropy,
        events: Events,
        changes: Changes,
    ) -> None:
        self._storage = storage
        self._changes = changes
        self._signer = signer
        self._passwords = passwords
        self._clock = clock
        self._entropy = entropy
        self._events = events

    async def refresh(self, authorization: str | None, refresh_token: str | None, peer: str = "") -> Tokens:
        """Trade a refresh token for a new pair. Used a second time, it ends its session.

        The old access token in `authorization` may be there, and over; it must not be somebody else's.
        """
        if not refresh_token:
            raise Rejected(refusal.REFRESH_TOKEN_MISSING)
        now = self._clock.now()
        try:
            claims = self._signer.read(refresh_token, "RefreshToken", now)
        except TokenError:
            raise Rejected(refusal.REFRESH_TOKEN_INVALID) from None
        if authorization and self._is_of_another(claims.uid, authorization, now):
            raise Rejected(refusal.REFRESH_TOKEN_INVALID)
        tokens = await self._issue(claims.uid, claims.session_id, claims.rotation + 1, now)
        old_mac = self._refresh_mac(claims.session_id, claims.token_id)
        new_mac = self._refresh_mac(claims.session_id, tokens.refresh_id)
        now_ms = to_ms(now)

        def applied(is_rotated: bool) -> None:
            if not is_rotated:
                self._tell_ended(claims.uid, claims.session_id)

        def work(tx: Tx) -> bool:
            session = tx.sessions.get(claims.session_id)
            if not _is_alive(session, claims.uid, now_ms) or session is None:
                return False
            if session.rotation != claims.rotation or not hmac.compare_digest(session.refresh_mac, old_mac):
                tx.sessions.end(session.id, now_ms)
                tx.audit.append(_audit(claims.uid, "session.refresh_token_reused", peer, now_ms, "refused 5489"))
                return False
            tx.sessions.rotate(session.id, claims.rotation + 1, new_mac, tokens.pair.refresh_expires_at * 1000)
            return True

        if not await self._storage.transact(work, applied):
            self._events.publish("session.refresh_refused", uid=claims.uid, peer=peer)
            raise Rejected(refusal.REFRESH_TOKEN_INVALID)
        return tokens.pair

    async def authenticate(self, authorization: str | None) -> SignedIn:
        """Who holds this access token.

        Raises:
            Unauthenticated: 5106 there is none, 5032 it is not good, or its session has ended.
        """
        return self.signed_in(authorization)[0]

    def signed_in(self, authorization: str | None) -> tuple[SignedIn, int]:
        """As `authenticate`, with the end of the token in UTC seconds, for whoever serves it longer than a moment."""
        if not authorization:
            raise Unauthenticated(refusal.TOKEN_MISSING)
        now = self._clock.now()
        try:
            claims = self._signer.read(authorization, "AccessToken", now)
        except TokenError:
            raise Unauthenticated(refusal.TOKEN_INVALID) from None
        session = self._storage.read(lambda tx: tx.sessions.get(claims.session_id))
        if not _is_alive(session, claims.uid, to_ms(now)) or session is None:
            raise Unauthenticated(refusal.TOKEN_INVALID)
        return SignedIn(session.uid, session.user_domain, session.id), claims.ends_at

    async def sign_out(self, who: SignedIn, peer: str = "") -> None:
        """End the session: none of its tokens is good any more. Doing it twice is fine."""
        now_ms = to_ms(self._clock.now())

        def work(tx: Tx) -> None:
            if tx.sessions.end(who.session_id, now_ms):
                tx.audit.append(_audit(who.uid, "session.ended", peer, now_ms))

        await self._storage.transact(work, lambda _: self._tell_ended(who.uid, who.session_id))

    def _tell_ended(self, uid: Uid, session_id: str) -> None:
        self._changes.tell([SessionEnded(uid=uid, session_id=session_id)])

    async def _open_session(self, user: User, peer: str) -> Tokens:
        now = self._clock.now()
        now_ms = to_ms(now)
        session_id = self._entropy.text(_ID_LENGTH)
        tokens = await self._issue(user.uid, session_id, 0, now)
        session = Session(
            id=session_id,
            uid=user.uid,
            user_domain=user.user_domain,
            refresh_mac=self._refresh_mac(session_id, tokens.refresh_id),
            rotation=0,
            created_at=now_ms,
            expires_at=tokens.pair.refresh_expires_at * 1000,
            ended_at=None,
        )

        def work(tx: Tx) -> None:
            tx.sessions.insert(session, peer)
            tx.users.signed_in(user.uid, now_ms)
            tx.audit.append(_audit(user.uid, "session.opened", peer, now_ms))

        await self._storage.transact(work)
        return tokens.pair

    async def _issue(self, uid: Uid, session_id: str, rotation: int, now: float) -> "_Issued":
        access_id, refresh_id = self._entropy.text(_ID_LENGTH), self._entropy.text(_ID_LENGTH)
        pair = await self._passwords.run(
            lambda: self._signer.issue(uid, session_id, rotation, access_id, refresh_id, now)
        )
        return _Issued(pair, refresh_id)

    def _is_of_another(self, uid: Uid, authorization: str, now: float) -> bool:
        try:
            return self._signer.read(authorization, "AccessToken", now).uid != uid
        except TokenError:
            # It is over, most likely: that is why its owner comes to refresh.
            return False

    def _refresh_mac(self, session_id: str, token_id: str) -> bytes:
        return self._storage.mac("refresh token", session_id, token_id)


class _Issued:
    """A pair of tokens and the id by which the refresh token will be known again."""

    __slots__ = ("pair", "refresh_id")

    def __init__(self, pair: Tokens, refresh_id: str) -> None:
        self.pair = pair
        self.refresh_id = refresh_id


def is_signed_in(tx: Tx, who: SignedIn, now_ms: int) -> bool:
    """Whether the sign-in behind `who` still stands."""
    return _is_alive(tx.sessions.get(who.session_id), who.uid, now_ms)


def _is_alive(session: Session | None, uid: Uid, now_ms: int) -> bool:
    return (
        session is not None
        and session.uid == uid
        and session.ended_at is None
        and session.user_disabled_at is None
        and now_ms < session.expires_at
    )


def _audit(uid: Uid, action: str, peer: str, now_ms: int, result: str = "ok") -> AuditEntry:
    return AuditEntry(at=now_ms, who=f"user {uid}", action=action, result=result, peer=peer)
