"""Access keys of operators, and what operators read in the audit log."""

from quecbind.center.domain import refusal
from quecbind.center.domain.audit import ChainedEntry, ChainHead, find_break
from quecbind.center.domain.ids import Secret
from quecbind.center.domain.text import is_text
from quecbind.center.services.desk import Desk, checked_name, entry
from quecbind.center.services.errors import NotFound, Rejected, Unauthenticated
from quecbind.center.services.records import AccessKey
from quecbind.center.services.rows import Tx
from quecbind.center.services.tokens import PREFIX
from quecbind.center.services.views import (
    AccessKeyView,
    AuditCheck,
    AuditExport,
    AuditView,
    Operator,
    Page,
    bounded_page,
)

KEY_PREFIX = "qbk_"
KEY_LENGTH = 40
ID_LENGTH = 12
LOCAL_OPERATOR = "local"
MAX_EXPORT = 1000


class KeyDesk(Desk):
    """Access keys and the audit log."""

    _local_key: Secret | None = None

    def local_key(self) -> Secret:
        """An access key that is good while this process runs, for the command line on this machine. Never stored."""
        if self._local_key is None:
            self._local_key = self._new_access_key()
        return self._local_key

    async def authenticate(self, authorization: str | None, peer: str) -> Operator:
        """Who holds this access key ("Bearer qbk_...").

        Raises:
            Unauthenticated: 8401, there is none, or it is unknown or revoked.
        """
        given = Secret((authorization or "").removeprefix(PREFIX))
        if not given.reveal().startswith(KEY_PREFIX) or not is_text(given.reveal()):
            raise Unauthenticated(refusal.ACCESS_KEY_INVALID)
        if self._local_key is not None and given == self._local_key:
            return Operator(LOCAL_OPERATOR, peer)
        mac = self._storage.mac("access key", given.reveal())
        key = self._storage.read(lambda tx: tx.access_keys.by_mac(mac))
        if key is None or key.revoked_at is not None:
            raise Unauthenticated(refusal.ACCESS_KEY_INVALID)
        return Operator(key.name, peer)

    async def create_access_key(self, name: str, by: Operator) -> AccessKeyView:
        """Make an access key; it is in the answer and in no other."""
        secret = self._new_access_key()
        mac = self._storage.mac("access key", secret.reveal())
        key = AccessKey(
            id=self._entropy.text(ID_LENGTH), name=checked_name(name), created_at=self._now_ms(), revoked_at=None
        )

        def work(tx: Tx) -> None:
            tx.access_keys.insert(key, mac)
            tx.audit.append(entry(by, "access_key.created", key.created_at, details={"id": key.id, "name": key.name}))

        await self._storage.transact(work)
        return _view(key, secret.reveal())

    async def access_keys(self, page: int = 1, page_size: int = 50) -> Page[AccessKeyView]:
        """One page of access keys, oldest first, revoked ones included."""
        page, page_size, offset = bounded_page(page, page_size)
        found, count = self._storage.read(lambda tx: tx.access_keys.page(offset, page_size))
        return Page([_view(key) for key in found], page, page_size, count)

    async def revoke_access_key(self, key_id: str, by: Operator) -> None:
        """End an access key at once. Doing it twice is fine.

        Raises:
            NotFound: 8404, there is no such key.
        """
        now_ms = self._now_ms()

        def work(tx: Tx) -> None:
            if not is_text(key_id) or tx.access_keys.get(key_id) is None:
                raise NotFound(refusal.NOT_FOUND, "there is no such access key")
            if tx.access_keys.revoke(key_id, now_ms):
                tx.audit.append(entry(by, "access_key.revoked", now_ms, details={"id": key_id}))

        await self._storage.transact(work)

    async def audit(
        self, page: int = 1, page_size: int = 50, product_key: str | None = None, device_key: str | None = None
    ) -> Page[AuditView]:
        """One page of the audit log, newest first, of one product or device or of all."""
        if not is_text((product_key or "") + (device_key or "")):
            raise Rejected(refusal.INVALID)
        page, page_size, offset = bounded_page(page, page_size)
        found, count = await self._storage.scan(
            lambda tx: tx.audit.page(offset, page_size, product_key or None, device_key or None)
        )
        return Page([_audit_view(chained) for chained in found], page, page_size, count)

    async def export_audit(self, after: int = 0, since: int = 0, count: int = MAX_EXPORT) -> AuditExport:
        """The next `count` entries behind the one numbered `after`, oldest first, so that a growing log is read once.

        Args:
            after: `seq` of the last entry of the answer before; 0 to begin.
            since: UTC milliseconds; where to begin: with the first entry that is not earlier, and all behind it.
            count: 1 to 1000.
        """
        count = min(max(1, count), MAX_EXPORT)

        def look(tx: Tx) -> tuple[list[ChainedEntry], ChainHead]:
            first = tx.audit.first_since(since) if since and not after else after + 1
            return [] if first is None else tx.audit.after(first - 1, count), tx.audit.head()

        found, head = await self._storage.scan(look)
        return AuditExport([_audit_view(chained) for chained in found], head.seq)

    async def verify_audit(self, noted_seq: int = 0, noted_hash: str = "") -> AuditCheck:
        """Read the whole audit log and check its chain, away from the event loop.

        Args:
            noted_seq: of an entry that was noted elsewhere and must still be the same; 0 for none.
            noted_hash: its hash, in hex.
        """
        noted = ChainHead(noted_seq, bytes.fromhex(noted_hash)) if noted_seq else None
        (count, problem), head = await self._storage.scan(
            lambda tx: (find_break(tx.audit.all(), tx.audit.head(), noted), tx.audit.head())
        )
        return AuditCheck(count, problem, head.hash.hex())

    def _new_access_key(self) -> Secret:
        return Secret(KEY_PREFIX + self._entropy.text(KEY_LENGTH))


def _view(key: AccessKey, secret: str | None = None) -> AccessKeyView:
    return AccessKeyView(
        id=key.id, name=key.name, access_key=secret, created_at=key.created_at, revoked_at=key.revoked_at
    )


def _audit_view(chained: ChainedEntry) -> AuditView:
    entry = chained.entry
    return AuditView(
        seq=chained.seq,
        at=entry.at,
        who=entry.who,
        action=entry.action,
        result=entry.result,
        product_key=entry.product_key,
        device_key=entry.device_key,
        peer=entry.peer,
        details=entry.details,
        hash=chained.hash.hex(),
    )
