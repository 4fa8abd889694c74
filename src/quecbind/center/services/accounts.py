"""Users: mail codes, registration, sign-in, the end of an account.

The story: a mail code proves an address; with it a user registers in a user domain. Signing in takes a signature made
with the domain's secret and the password; it opens a session (`sessions`).

An address that is not registered is answered like a wrong password, after the same work: who has an account stays with
those who have one. Passwords and codes are kept as hashes and named in no log.
"""

import asyncio
import hmac
from weakref import WeakValueDictionary

from quecbind.center.domain import accounts, refusal
from quecbind.center.domain.addresses import counted_address
from quecbind.center.domain.audit import AuditEntry
from quecbind.center.domain.ids import Secret, Uid, UserDomain
from quecbind.center.domain.limits import Limits, LockOut, SignInLimits, SlidingCounter, longest_wait_s
from quecbind.center.domain.moment import to_ms
from quecbind.center.domain.refusal import Refused
from quecbind.center.services.auth_keys import AuthKeys
from quecbind.center.services.cancelling import Cancelled, cancel
from quecbind.center.services.changes import Changes, SessionEnded
from quecbind.center.services.errors import Conflict, Rejected
from quecbind.center.services.passwords import Passwords
from quecbind.center.services.ports import Clock, Entropy, Events, Mailer, MailError, Storage
from quecbind.center.services.records import Domain, EmailCode, User
from quecbind.center.services.rows import Tx
from quecbind.center.services.sessions import Sessions, is_signed_in
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
        super().__init__(storage, signer, passwords, clock=clock, entropy=entropy, events=events, changes=changes)
        self._mailer = mailer
        self._auth_keys = auth_keys
        self._sign_ins = SignInLimits(limits, accounts.MAX_TRIES, accounts.FREEZE_S)
        self._codes_by_email = SlidingCounter(limits.max_codes_per_email, limits.code_window_s)
        self._codes_by_address = SlidingCounter(limits.max_codes_per_address, limits.code_window_s)
        self._mails_under_way_count = 0
        # One sign-in at a time for each account: tries that run together would all count as the first.
        self._turns: WeakValueDictionary[tuple[str, str], asyncio.Lock] = WeakValueDictionary()

    @property
    def limit_counters(self) -> dict[str, SlidingCounter | LockOut]:
        """What is counted here, by limit."""
        return {
            **self._sign_ins.counters,
            "max_codes_per_email": self._codes_by_email,
            "max_codes_per_address": self._codes_by_address,
        }

    async def send_email_code(self, email: str | None, email_type: int, user_domain: str | None, peer: str) -> None:
        """Mail a code that is good for ten minutes, in place of the one before it.

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
        now = self._clock.now()
        self._count_mail((domain.user_domain, address), peer, now)

        code = Secret(self._entropy.digits(accounts.CODE_LENGTH))
        stored = EmailCode(
            code_mac=self._code_mac(domain.user_domain, address, email_type, code.reveal()),
            expires_at=to_ms(now) + accounts.CODE_LIFE_MS,
            wrong_count=0,
        )
        await self._storage.transact(
            lambda tx: tx.users.put_code(domain.user_domain, address, email_type, stored, to_ms(now))
        )
        if self._mails_under_way_count >= MAX_MAILS_UNDER_WAY:
            raise Rejected(refusal.SERVICE_ERROR, "too many mails at once, try again later", 60)
        self._mails_under_way_count += 1
        try:
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
        if not code:
            raise Rejected(refusal.EMAIL_CODE_MISSING)
        if not code.isascii():
            raise Rejected(refusal.EMAIL_CODE_WRONG)
        if not password:
            raise Rejected(refusal.PASSWORD_MISSING)
        plain = _decrypted(password, random)
        _raise(accounts.check_password(plain))
        _raise(accounts.check_profile(lang, timezone, nationality))
        mac = self._code_mac(domain.user_domain, address, accounts.REGISTER, code)

        def check(tx: Tx) -> Refused | None:
            return _check_code(tx, domain.user_domain, address, mac, to_ms(self._clock.now()))

        # The code first: hashing a password is too dear for those who have none.
        _raise(await self._storage.transact(check))
        password_hash = await self._passwords.hash(plain)

        def work(tx: Tx) -> Uid | Refused:
            now_ms = to_ms(self._clock.now())
            refused = _check_code(tx, domain.user_domain, address, mac, now_ms)
            if refused is not None:
                return refused
            if tx.users.by_email(domain.user_domain, address) is not None:
                return Refused(refusal.EMAIL_REGISTERED)
            tx.users.drop_code(domain.user_domain, address, accounts.REGISTER)
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
        return await self._open_session(user, peer)

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
        mac = None
        if password:
            plain = _decrypted(password, random)
            async with self._turns.setdefault(account, asyncio.Lock()):
                await self._user_with(account, plain, peer)
        elif code:
            if not code.isascii():
                raise Rejected(refusal.EMAIL_CODE_WRONG)
            mac = self._code_mac(*account, accounts.CANCEL, code)
        else:
            raise Rejected(refusal.EMAIL_CODE_MISSING)

        def work(tx: Tx) -> Cancelled | Refused:
            now_ms = to_ms(self._clock.now())
            if not is_signed_in(tx, who, now_ms):
                return Refused(refusal.TOKEN_INVALID)
            refused = None if mac is None else _check_code(tx, *account, mac, now_ms, accounts.CANCEL)
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

    def _domain(self, user_domain: str | None) -> Domain:
        if not user_domain:
            raise Rejected(refusal.DOMAIN_MISSING)
        domain = self._storage.read(lambda tx: tx.domains.get(user_domain)) if user_domain.isascii() else None
        if domain is None:
            raise Rejected(refusal.DOMAIN_UNKNOWN)
        if domain.disabled_at is not None:
            raise Rejected(refusal.DOMAIN_DISABLED)
        return domain

    def _count_mail(self, account: tuple[str, str], peer: str, now: float) -> None:
        where = counted_address(peer)
        waits = [self._codes_by_email.retry_after_s(account, now), self._codes_by_address.retry_after_s(where, now)]
        longest = longest_wait_s(waits)
        if longest is not None:
            raise Rejected(refusal.CODES_TOO_OFTEN, retry_after_s=longest)
        self._codes_by_email.add(account, now)
        if peer:
            self._codes_by_address.add(where, now)

    def _code_mac(self, user_domain: UserDomain, email: str, email_type: int, code: str) -> bytes:
        return self._storage.mac("email code", user_domain, email, str(email_type), code)


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


def _check_code(
    tx: Tx, user_domain: UserDomain, email: str, mac: bytes, now_ms: int, email_type: int = accounts.REGISTER
) -> Refused | None:
    code = tx.users.code(user_domain, email, email_type)
    is_right = hmac.compare_digest(mac if code is None else code.code_mac, mac)
    is_good = (
        code is not None
        and accounts.is_code_in_time(code.expires_at, now_ms)
        and code.wrong_count < accounts.MAX_WRONG_CODES
    )
    if is_good and is_right:
        return None
    # Also where there is nothing to count: whether a code was asked for is not to be seen from the time it takes.
    tx.users.wrong_code(user_domain, email, email_type)
    return Refused(refusal.EMAIL_CODE_WRONG)


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
