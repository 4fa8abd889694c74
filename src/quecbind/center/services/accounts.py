"""Users: mail codes, registration, sign-in, a forgotten password, the end of an account.

The story: a mail code proves an address (`mail_codes`); with it a user registers in a user domain. Signing in takes a
signature made with the domain's secret and the password; it opens a session (`sessions`). Another code sets another
password, and ends every session that the one before had opened.

An address that is not registered is answered like a wrong password, after the same work: who has an account stays with
those who have one. Passwords and codes are kept as hashes and named in no log.
"""

import asyncio
import hmac
from weakref import WeakValueDictionary

from quecbind.center.domain import accounts, refusal
from quecbind.center.domain.audit import AuditEntry
from quecbind.center.domain.ids import Uid
from quecbind.center.domain.limits import Counted, Limits, SignInLimits
from quecbind.center.domain.moment import to_ms
from quecbind.center.domain.refusal import Refused
from quecbind.center.services.auth_keys import AuthKeys
from quecbind.center.services.cancelling import Cancelled, cancel
from quecbind.center.services.changes import Changes, SessionEnded
from quecbind.center.services.errors import Conflict, Rejected
from quecbind.center.services.mail_codes import Box, Brought, MailCodes
from quecbind.center.services.passwords import Passwords
from quecbind.center.services.ports import Clock, Entropy, Events, Mailer, MailError, Storage
from quecbind.center.services.records import Domain, User
from quecbind.center.services.rows import Tx
from quecbind.center.services.sessions import Sessions, is_signed_in, note
from quecbind.center.services.tokens import TokenSigner
from quecbind.center.services.views import SignedIn, Tokens, UserInfo
from quecbind.wire import signing
from quecbind.wire.errors import CipherError

MAX_MAILS_UNDER_WAY = 100


class Accounts(Sessions):
    """What users do with their accounts. Every method is a coroutine and raises Rejected with the platform's code."""

    def __init__(
        self,
        storage: Storage,
        signer: TokenSigner,
        passwords: Passwords,
        mailer: Mailer,
        auth_keys: AuthKeys,
        *,
        clock: Clock,
        entropy: Entropy,
        events: Events,
        changes: Changes,
        limits: Limits,
    ) -> None:
        super().__init__(
            storage, signer, passwords, clock=clock, entropy=entropy, events=events, changes=changes, limits=limits
        )
        self._mailer = mailer
        self._auth_keys = auth_keys
        self._sign_ins = SignInLimits(limits, accounts.MAX_TRIES, accounts.FREEZE_S)
        self._codes = MailCodes(storage, clock, entropy, limits)
        self._mails_under_way_count = 0
        # One sign-in at a time for each account: tries that run together would all count as the first.
        self._turns: WeakValueDictionary[tuple[str, str], asyncio.Lock] = WeakValueDictionary()

    @property
    def limit_counters(self) -> dict[str, Counted]:
        """What is counted here, by limit."""
        return {**self._sign_ins.counters, **self._codes.counters, "change_rate_per_user": self._paces}

    async def send_email_code(self, email: str | None, email_type: int, user_domain: str | None, peer: str) -> None:
        """Mail a code that is good for ten minutes, beside the one before it.

        Args:
            email: where to.
            email_type: 1 register, 2 reset password, 3 link, 4 unlink, 5 cancel.
            user_domain: for which App.
            peer: address of the caller.
        """
        domain = self._domain(user_domain)
        _raise(accounts.check_email(email))
        address = accounts.normal_email(email or "")
        if email_type not in accounts.EMAIL_TYPES:
            raise Rejected(refusal.INVALID, "emailType is 1 to 5")
        if self._mails_under_way_count >= MAX_MAILS_UNDER_WAY:
            raise Rejected(refusal.SERVICE_ERROR, "too many mails at once, try again later", 60)
        self._mails_under_way_count += 1
        try:
            code = await self._codes.issue((domain.user_domain, address, email_type), peer)
            await self._mailer.send_code(address, code, email_type)
        except MailError as error:
            self._events.publish("mail.failed", reason=error)
            raise Rejected(refusal.SERVICE_ERROR, "the mail could not be sent, try again later", 60) from None
        finally:
            self._mails_under_way_count -= 1

    async def register(
        self,
        email: str | None,
        code: str | None,
        password: str | None,
        random: str | None,
        user_domain: str | None,
        peer: str = "",
        *,
        lang: str = "",
        timezone: str = "",
        nationality: str = "",
        nickname: str = "",
    ) -> Uid:
        """Make a user of whoever knows the code that was mailed to `email`; gives the new uid.

        `password` is encrypted with `random` (app-api.md A2) when there is one, else plain.
        """
        domain = self._domain(user_domain)
        _raise(accounts.check_email(email))
        address = accounts.normal_email(email or "")
        brought = self._brought((domain.user_domain, address, accounts.REGISTER), code, peer)
        plain = _new_password(password, random)
        _raise(accounts.check_profile(lang, timezone, nationality))
        # The code first: hashing a password is too dear for those who have none.
        _raise(await self._storage.transact(lambda tx: self._codes.refused(tx, brought)))
        password_hash = await self._passwords.hash(plain)

        def work(tx: Tx) -> Uid | Refused:
            now_ms = to_ms(self._clock.now())
            refused = self._codes.refused(tx, brought)
            if refused is not None:
                return refused
            if tx.users.by_email(domain.user_domain, address) is not None:
                return Refused(refusal.EMAIL_REGISTERED)
            tx.users.drop_codes(*brought.box)
            return add_user(
                tx,
                User(
                    uid=Uid(""),
                    user_domain=domain.user_domain,
                    email=address,
                    password_hash=password_hash,
                    nickname=nickname[:64],
                    lang=lang,
                    timezone=timezone,
                    nationality=nationality,
                    registered_at=now_ms,
                ),
                who="user",
                peer=peer,
            )

        result = await self._storage.transact(work)
        if isinstance(result, Refused):
            raise Conflict(result) if result.code == refusal.EMAIL_REGISTERED else Rejected(result)
        self._events.publish("user.registered", uid=result)
        return result

    async def sign_in(
        self,
        email: str | None,
        password: str | None,
        random: str | None,
        signature: str | None,
        user_domain: str | None,
        peer: str,
    ) -> Tokens:
        """Open a session.

        `signature` covers e-mail, password as sent, random and the domain's secret (app-api.md A3).
        """
        domain = self._domain(user_domain)
        _raise(accounts.check_email(email))
        email = email or ""
        if not password:
            raise Rejected(refusal.PASSWORD_MISSING)
        if not signature:
            raise Rejected(refusal.SIGNATURE_MISSING)
        plain = _decrypted(password, random)
        expected = signing.app_signature(email, password, random or "", domain.user_domain_secret.reveal())
        if not signature.isascii() or not hmac.compare_digest(expected, signature):
            raise Rejected(refusal.SIGNATURE_WRONG)
        account = (domain.user_domain, accounts.normal_email(email))
        async with self._turns.setdefault(account, asyncio.Lock()):
            user = await self._user_with(account, plain, peer)
        if user.disabled_at is not None:
            raise Rejected(refusal.ACCOUNT_DISABLED)
        self._pace(user.uid, "sign-ins")
        tokens = await self._open_session(user, peer)
        if tokens is None:
            raise Rejected(accounts.wrong_password(1))
        return tokens

    async def reset_password(
        self,
        email: str | None,
        code: str | None,
        password: str | None,
        random: str | None,
        user_domain: str | None,
        peer: str = "",
    ) -> None:
        """Give the account another password, by a code of type 2; every session of it ends.

        An address that nobody registered is told from a wrong code to nobody but who reads its mail.
        """
        domain = self._domain(user_domain)
        if not email:
            raise Rejected(refusal.EMAIL_OR_PHONE_MISSING)
        _raise(accounts.check_email(email))
        account = (domain.user_domain, accounts.normal_email(email))
        brought = self._brought((*account, accounts.RESET_PASSWORD), code, peer)
        plain = _new_password(password, random)
        _raise(await self._storage.transact(lambda tx: self._codes.refused(tx, brought)))
        password_hash = await self._passwords.hash(plain)

        def work(tx: Tx) -> Uid | Refused:
            refused = self._codes.refused(tx, brought)
            if refused is not None:
                return refused
            user = tx.users.by_email(*account)
            if user is None:
                return Refused(refusal.EMAIL_UNKNOWN)
            now_ms = to_ms(self._clock.now())
            tx.users.drop_codes(*brought.box)
            tx.users.set_password(user.uid, password_hash)
            tx.sessions.end_all(user.uid, now_ms)
            tx.audit.append(note(user.uid, "user.password_reset", peer, now_ms))
            return user.uid

        def applied(result: Uid | Refused) -> None:
            if not isinstance(result, Refused):
                self._changes.tell([SessionEnded(uid=result, session_id=None)])

        result = await self._storage.transact(work, applied)
        if isinstance(result, Refused):
            raise Rejected(result)
        # Whoever reads the account's mail is its user, and may have been wrong often before they asked for a code.
        self._sign_ins.right(account, peer, self._clock.now())
        self._events.publish("user.password_reset", uid=result, peer=peer)

    async def user_info(self, who: SignedIn) -> UserInfo:
        """What a user may see of their own account."""
        user = self._storage.read(lambda tx: tx.users.get(who.uid))
        if user is None:
            raise Rejected(refusal.USER_UNKNOWN)
        return UserInfo(
            uid=user.uid,
            user_domain=user.user_domain,
            email=user.email,
            nickname=user.nickname,
            lang=user.lang,
            timezone=user.timezone,
            nationality=user.nationality,
            registered_at=user.registered_at,
            last_login_at=user.last_login_at,
        )

    async def cancel(
        self, who: SignedIn, password: str | None, random: str | None, code: str | None, peer: str = ""
    ) -> None:
        """End the caller's account, for good and at once: devices, sessions and address are given up.

        A token is not enough: it takes the password (encrypted with `random` as for signing in), or the code that was
        mailed for this (type 5).
        """
        user = self._storage.read(lambda tx: tx.users.get(who.uid))
        if user is None:
            raise Rejected(refusal.USER_UNKNOWN)
        account = (user.user_domain, user.email)
        brought = None
        if password:
            plain = _decrypted(password, random)
            async with self._turns.setdefault(account, asyncio.Lock()):
                await self._user_with(account, plain, peer)
        else:
            brought = self._brought((*account, accounts.CANCEL), code, peer)

        def work(tx: Tx) -> Cancelled | Refused:
            now_ms = to_ms(self._clock.now())
            if not is_signed_in(tx, who, now_ms):
                return Refused(refusal.TOKEN_INVALID)
            refused = None if brought is None else self._codes.refused(tx, brought)
            return refused or cancel(tx, user, self._auth_keys.draw, peer, now_ms)

        def applied(result: Cancelled | Refused) -> None:
            if isinstance(result, Refused):
                return
            for client_id, auth_key in result.auth_keys:
                self._auth_keys.tell(client_id, auth_key)
            self._changes.tell([*result.rights, SessionEnded(uid=user.uid, session_id=None)])

        result = await self._storage.transact(work, applied)
        if isinstance(result, Refused):
            raise Rejected(result)
        self._events.publish("user.cancelled", uid=user.uid)

    async def _user_with(self, account: tuple[str, str], password: str, peer: str) -> User:
        """The user with this password, or the right refusal for another try."""
        now = self._clock.now()
        _raise(self._sign_ins.check(account, peer, now))
        user = self._storage.read(lambda tx: tx.users.by_email(*account))
        is_right = await self._passwords.is_right(None if user is None else user.password_hash, password)
        if user is None or not is_right:
            now = self._clock.now()
            refused = accounts.wrong_password(self._sign_ins.wrong(account, peer, now))
            self._events.publish("session.refused", user_domain=account[0], code=refused.code, peer=peer)
            raise Rejected(refused)
        self._sign_ins.right(account, peer, self._clock.now())
        return user

    def _brought(self, box: Box, code: str | None, peer: str) -> Brought:
        is_known = self._sign_ins.is_known(box[:2], peer, self._clock.now())
        return self._codes.brought(box, code or "", peer, is_known=is_known)

    def _domain(self, user_domain: str | None) -> Domain:
        if not user_domain:
            raise Rejected(refusal.DOMAIN_MISSING)
        domain = self._storage.read(lambda tx: tx.domains.get(user_domain)) if user_domain.isascii() else None
        if domain is None:
            raise Rejected(refusal.DOMAIN_UNKNOWN)
        if domain.disabled_at is not None:
            raise Rejected(refusal.DOMAIN_DISABLED)
        return domain


def add_user(tx: Tx, user: User, *, who: str, peer: str) -> Uid:
    """Store a new user and say so in the audit log; gives the uid."""
    uid = tx.users.insert(user)
    actor = f"user {uid}" if who == "user" else who
    tx.audit.append(
        AuditEntry(
            at=user.registered_at,
            who=actor,
            action="user.registered",
            peer=peer,
            details={"uid": uid, "user_domain": user.user_domain},
        )
    )
    return uid


def _new_password(password: str | None, random: str | None) -> str:
    if not password:
        raise Rejected(refusal.PASSWORD_MISSING)
    plain = _decrypted(password, random)
    _raise(accounts.check_password(plain))
    return plain


def _decrypted(password: str, random: str | None) -> str:
    if not password.isascii():
        raise Rejected(refusal.PASSWORD_FORMAT)
    if not random:
        return password
    if not random.isascii():
        raise Rejected(refusal.PASSWORD_UNREADABLE)
    try:
        return signing.app_password_decrypt(password, random)
    except CipherError:
        raise Rejected(refusal.PASSWORD_UNREADABLE) from None


def _raise(refused: Refused | None) -> None:
    if refused is not None:
        raise Rejected(refused)
