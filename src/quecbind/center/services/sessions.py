"""Sign-ins of users, as sessions with two tokens.

The story: a sign-in opens a session and gives two tokens. The refresh token is good once, and for a moment longer to
get the same answer again (`domain.refreshing`); its use after that means that somebody else has it, and ends the
session. Signing out ends it at once, and with it whatever was opened with its access token. Tokens are kept as hashes
and named in no log; the id of a pair follows from the token it was given for, so the same pair can be made again. How a
user proves who they are is in `accounts`.
"""

from base64 import urlsafe_b64encode

from quecbind.center.domain import refreshing, refusal
from quecbind.center.domain.audit import AuditEntry
from quecbind.center.domain.ids import Uid
from quecbind.center.domain.limits import Limits
from quecbind.center.domain.moment import to_ms
from quecbind.center.domain.rates import Rates
from quecbind.center.domain.refusal import Refused
from quecbind.center.services.changes import Changes, SessionEnded
from quecbind.center.services.errors import Rejected, Unauthenticated
from quecbind.center.services.passwords import Passwords
from quecbind.center.services.ports import Clock, Entropy, Events, Storage
from quecbind.center.services.records import Session, User
from quecbind.center.services.rows import Tx
from quecbind.center.services.tokens import Claims, TokenError, TokenSigner
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
        limits: Limits,
    ) -> None:
        self._paces = Rates(limits.change_rate_per_user, limits.change_burst_per_user)
        self._storage = storage
        self._changes = changes
        self._signer = signer
        self._passwords = passwords
        self._clock = clock
        self._entropy = entropy
        self._events = events

    async def refresh(self, authorization: str | None, refresh_token: str | None, peer: str = "") -> Tokens:
        """Trade a refresh token for a new pair. Again within 30 s it gets the same pair; later it ends its session.

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
        # Signing a pair is dear, and sign-ins wait behind it: not for who brings what ended long ago, again and again.
        if not _is_alive(self._storage.read(lambda tx: tx.sessions.get(claims.session_id)), claims.uid, to_ms(now)):
            raise Rejected(refusal.REFRESH_TOKEN_INVALID)
        self._pace(claims.session_id, "new tokens")
        given_ms = to_ms(now)
        tokens = await self._follow(claims, given_ms)
        old_mac = self._refresh_mac(claims.session_id, claims.token_id)
        new_mac = self._refresh_mac(claims.session_id, tokens.refresh_id)

        def applied(exchanged_at: int | None) -> None:
            if exchanged_at is None:
                self._tell_ended(claims.uid, claims.session_id)

        def work(tx: Tx) -> int | None:
            # By the clock of now: of two that came together, the one that is second must not be from before the first.
            now_ms = to_ms(self._clock.now())
            session = tx.sessions.get(claims.session_id)
            if not _is_alive(session, claims.uid, now_ms) or session is None:
                return None
            present, brought = (session.rotation, session.refresh_mac), (claims.rotation, old_mac)
            exchanged_at = refreshing.exchanged_at(session.expires_at)
            verdict = refreshing.judge(present, brought, new_mac, exchanged_at, now_ms)
            if verdict == "reused":
                tx.sessions.end(session.id, now_ms)
                tx.audit.append(note(claims.uid, "session.refresh_token_reused", peer, now_ms, "refused 5489"))
                return None
            if verdict == "exchange":
                exchanged_at = given_ms
                tx.sessions.rotate(session.id, claims.rotation + 1, new_mac, refreshing.session_end(given_ms))
            return exchanged_at

        exchanged_at = await self._storage.transact(work, applied)
        if exchanged_at is None:
            self._events.publish("session.refresh_refused", uid=claims.uid, peer=peer)
            raise Rejected(refusal.REFRESH_TOKEN_INVALID)
        # One that was given before is given again as it was, with the end it had.
        return tokens.pair if exchanged_at == given_ms else (await self._follow(claims, exchanged_at)).pair

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

    def pace(self, who: SignedIn) -> None:
        """Count a call that may change something: each leaves an audit entry that stays.

        Raises:
            Rejected: 8429, the user goes on too fast.
        """
        self._pace(who.uid, "changes")

    def _pace(self, whose: str, what: str) -> None:
        # Apart: who has a token, and no password, must not keep its user from signing in.
        if not self._paces.take((what, whose), self._clock.now()):
            raise Rejected(Refused(refusal.TOO_MANY_GUESSES, 1, f"too many {what} at once, wait a while"))

    async def sign_out(self, who: SignedIn, peer: str = "") -> None:
        """End the session: none of its tokens is good any more. Doing it twice is fine."""
        now_ms = to_ms(self._clock.now())

        def work(tx: Tx) -> None:
            if tx.sessions.end(who.session_id, now_ms):
                tx.audit.append(note(who.uid, "session.ended", peer, now_ms))

        await self._storage.transact(work, lambda _: self._tell_ended(who.uid, who.session_id))

    def _tell_ended(self, uid: Uid, session_id: str) -> None:
        self._changes.tell([SessionEnded(uid=uid, session_id=session_id)])

    async def _open_session(self, user: User, peer: str) -> Tokens | None:
        """Two tokens; None when the user is no longer there with this password."""
        now = self._clock.now()
        now_ms = to_ms(now)
        session_id = self._entropy.text(_ID_LENGTH)
        ids = self._entropy.text(_ID_LENGTH), self._entropy.text(_ID_LENGTH)
        tokens = await self._issue(user.uid, session_id, 0, ids, now_ms)
        session = Session(
            id=session_id,
            uid=user.uid,
            user_domain=user.user_domain,
            refresh_mac=self._refresh_mac(session_id, tokens.refresh_id),
            rotation=0,
            created_at=now_ms,
            expires_at=refreshing.session_end(now_ms),
            ended_at=None,
        )

        def work(tx: Tx) -> bool:
            # A password that was changed, or an account that was closed or disabled meanwhile, opens nothing.
            present = tx.users.get(user.uid)
            if present is None or present.disabled_at is not None or present.password_hash != user.password_hash:
                return False
            tx.sessions.insert(session, peer)
            tx.users.signed_in(user.uid, now_ms)
            tx.audit.append(note(user.uid, "session.opened", peer, now_ms))
            return True

        return tokens.pair if await self._storage.transact(work) else None

    async def _follow(self, claims: Claims, given_ms: int) -> "_Issued":
        """The pair that follows this refresh token: whenever it is asked for, the same."""
        ids = self._next_id("access", claims), self._next_id("refresh", claims)
        return await self._issue(claims.uid, claims.session_id, claims.rotation + 1, ids, given_ms)

    async def _issue(self, uid: Uid, session_id: str, rotation: int, ids: tuple[str, str], given_ms: int) -> "_Issued":
        pair = await self._passwords.run(lambda: self._signer.issue(uid, session_id, rotation, *ids, given_ms / 1000))
        return _Issued(pair, ids[1])

    def _next_id(self, kind: str, claims: Claims) -> str:
        drawn = self._storage.mac(f"next {kind} token", claims.session_id, str(claims.rotation), claims.token_id)
        return urlsafe_b64encode(drawn)[:_ID_LENGTH].decode()

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


def note(uid: Uid, action: str, peer: str, now_ms: int, result: str = "ok") -> AuditEntry:
    """The entry that a user's own doing leaves."""
    return AuditEntry(at=now_ms, who=f"user {uid}", action=action, result=result, peer=peer)
