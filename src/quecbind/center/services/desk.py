"""What all parts of the operator side share: the ports, and how a change is put into the audit log."""

from quecbind.center.domain import refusal
from quecbind.center.domain.audit import AuditEntry
from quecbind.center.domain.moment import to_ms
from quecbind.center.domain.text import is_text
from quecbind.center.services.changes import Changes
from quecbind.center.services.errors import Rejected
from quecbind.center.services.links import Links
from quecbind.center.services.passwords import Passwords
from quecbind.center.services.ports import Clock, Entropy, Events, Storage
from quecbind.center.services.registry import Registry
from quecbind.center.services.views import Operator

MAX_NAME_LENGTH = 128


class Desk:
    """One part of the operator side."""

    def __init__(
        self,
        storage: Storage,
        registry: Registry,
        links: Links,
        passwords: Passwords,
        *,
        clock: Clock,
        entropy: Entropy,
        events: Events,
        changes: Changes,
    ) -> None:
        self._storage = storage
        self._registry = registry
        self._links = links
        self._passwords = passwords
        self._clock = clock
        self._entropy = entropy
        self._events = events
        self._changes = changes

    def _now_ms(self) -> int:
        return to_ms(self._clock.now())


def entry(
    by: Operator,
    action: str,
    at: int,
    result: str = "ok",
    *,
    product_key: str | None = None,
    device_key: str | None = None,
    details: dict[str, object] | None = None,
) -> AuditEntry:
    """What an operator did, for the audit log."""
    return AuditEntry(
        at=at,
        who=f"operator {by.name}",
        action=action,
        result=result,
        product_key=product_key,
        device_key=device_key,
        peer=by.peer,
        details=details or {},
    )


def checked_name(name: str) -> str:
    """A name an operator gives, without spaces around it.

    Raises:
        Rejected: it is empty, too long, or no text.
    """
    stripped = name.strip()
    if not 1 <= len(stripped) <= MAX_NAME_LENGTH or not is_text(stripped):
        raise Rejected(refusal.INVALID, f"a name has 1 to {MAX_NAME_LENGTH} characters")
    return stripped
