"""User domains and users, by operators."""

from quecbind.center.domain import accounts, refusal
from quecbind.center.domain.ids import Secret, Uid, UserDomain
from quecbind.center.services.accounts import add_user
from quecbind.center.services.changes import SessionEnded
from quecbind.center.services.desk import Desk, checked_name, entry
from quecbind.center.services.errors import Conflict, NotFound, Rejected
from quecbind.center.services.records import Domain, User
from quecbind.center.services.rows import Tx
from quecbind.center.services.views import DomainView, Operator, Page, UserView, bounded_page

DOMAIN_SECRET_LENGTH = 44
MAX_DOMAIN_LENGTH = 64


class PeopleDesk(Desk):
    """User domains and users."""

    async def create_domain(
        self, name: str, by: Operator, user_domain: str | None = None, user_domain_secret: str | None = None
    ) -> DomainView:
        """Make a user domain; its secret is in the answer and in no other. Id and secret are drawn when None.

        Raises:
            Conflict: 5014, the user domain exists already.
        """
        if user_domain is not None and not _is_domain(user_domain):
            raise Rejected(refusal.DOMAIN_FORMAT)
        secret = user_domain_secret or self._entropy.text(DOMAIN_SECRET_LENGTH)
        if not (secret.isascii() and secret.isalnum() and len(secret) <= DOMAIN_SECRET_LENGTH):
            raise Rejected(refusal.INVALID, f"a user domain secret has 1 to {DOMAIN_SECRET_LENGTH} letters or digits")
        shown_name = checked_name(name)
        now_ms = self._now_ms()

        def work(tx: Tx) -> Domain:
            domain = Domain(
                user_domain=UserDomain(user_domain or f"Q.DM.{tx.domains.next_number()}.1"),
                user_domain_secret=Secret(secret),
                name=shown_name,
                created_at=now_ms,
            )
            if tx.domains.get(domain.user_domain) is not None:
                raise Conflict(refusal.DOMAIN_EXISTS)
            tx.domains.insert(domain)
            details: dict[str, object] = {"user_domain": domain.user_domain, "name": shown_name}
            tx.audit.append(entry(by, "domain.created", now_ms, details=details))
            return domain

        return _domain_view(await self._storage.transact(work), secret)

    async def domains(self, page: int = 1, page_size: int = 50) -> Page[DomainView]:
        """One page of user domains, oldest first."""
        page, page_size, offset = bounded_page(page, page_size)
        found, count = self._storage.read(lambda tx: tx.domains.page(offset, page_size))
        return Page([_domain_view(domain) for domain in found], page, page_size, count)

    async def create_user(self, email: str, user_domain: str, password: str, by: Operator) -> UserView:
        """Make a user without a mail code.

        Raises:
            NotFound: 5015, there is no such user domain.
            Conflict: 5039, the address is registered there.
        """
        refused = accounts.check_email(email) or accounts.check_password(password)
        if refused is not None:
            raise Rejected(refused)
        address = accounts.normal_email(email)
        self._storage.read(lambda tx: _existing_domain(tx, user_domain))
        password_hash = await self._passwords.hash(password)
        now_ms = self._now_ms()

        def work(tx: Tx) -> User:
            domain = _existing_domain(tx, user_domain)
            if tx.users.by_email(domain.user_domain, address) is not None:
                raise Conflict(refusal.EMAIL_REGISTERED)
            new = User(
                uid=Uid(""),
                user_domain=domain.user_domain,
                email=address,
                password_hash=password_hash,
                registered_at=now_ms,
            )
            user = tx.users.get(add_user(tx, new, who=f"operator {by.name}", peer=by.peer))
            assert user is not None, "it was stored a line ago, in the same transaction"
            return user

        return _user_view(await self._storage.transact(work))

    async def users(self, page: int = 1, page_size: int = 50, user_domain: str | None = None) -> Page[UserView]:
        """One page of users, of one user domain or of all."""
        page, page_size, offset = bounded_page(page, page_size)

        def look(tx: Tx) -> tuple[list[User], int]:
            if user_domain is not None:
                _existing_domain(tx, user_domain)
            return tx.users.page(offset, page_size, user_domain)

        found, count = self._storage.read(look)
        return Page([_user_view(user) for user in found], page, page_size, count)

    async def disable_user(self, uid: str, by: Operator) -> UserView:
        """Shut a user out: their sessions end, none opens, and what they ordered for later is dropped.

        What they own and hold stays theirs, for when they are let in again; the key they have opens LAN and BLE
        sessions still.

        Raises:
            NotFound: 5033, there is no such user.
        """
        now_ms = self._now_ms()

        def work(tx: Tx) -> User:
            user = _existing_user(tx, uid)
            if user.disabled_at is not None:
                return user
            tx.users.set_disabled(user.uid, now_ms)
            tx.sessions.end_all(user.uid, now_ms)
            tx.downlinks.delete_of_user(user.uid)
            tx.audit.append(entry(by, "user.disabled", now_ms, details={"uid": user.uid}))
            return _existing_user(tx, uid)

        def applied(user: User) -> None:
            self._changes.tell([SessionEnded(uid=user.uid, session_id=None)])

        return _user_view(await self._storage.transact(work, applied))

    async def enable_user(self, uid: str, by: Operator) -> UserView:
        """Let a disabled user sign in again.

        Raises:
            NotFound: 5033, there is no such user.
        """
        now_ms = self._now_ms()

        def work(tx: Tx) -> User:
            user = _existing_user(tx, uid)
            if user.disabled_at is None:
                return user
            tx.users.set_disabled(user.uid, None)
            tx.audit.append(entry(by, "user.enabled", now_ms, details={"uid": user.uid}))
            return _existing_user(tx, uid)

        return _user_view(await self._storage.transact(work))


def _is_domain(text: str) -> bool:
    return text.isascii() and text.replace(".", "").isalnum() and len(text) <= MAX_DOMAIN_LENGTH


def _existing_domain(tx: Tx, user_domain: str) -> Domain:
    domain = tx.domains.get(user_domain) if user_domain.isascii() else None
    if domain is None:
        raise NotFound(refusal.DOMAIN_UNKNOWN)
    return domain


def _existing_user(tx: Tx, uid: str) -> User:
    user = tx.users.get(uid) if uid.isascii() else None
    if user is None:
        raise NotFound(refusal.USER_UNKNOWN)
    return user


def _domain_view(domain: Domain, secret: str | None = None) -> DomainView:
    return DomainView(
        user_domain=domain.user_domain, user_domain_secret=secret, name=domain.name, created_at=domain.created_at
    )


def _user_view(user: User) -> UserView:
    return UserView(
        uid=user.uid,
        email=user.email,
        user_domain=user.user_domain,
        is_disabled=user.disabled_at is not None,
        registered_at=user.registered_at,
        last_login_at=user.last_login_at,
    )
