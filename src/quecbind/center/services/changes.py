"""What happened to a device and to those who have a right to it, as values, and who is told.

A service that commits such a change tells it on the event loop right after the commit (the `applied` of
`Storage.transact`): whoever listens can therefore trust that what it reads from storage is at least as new.
"""

import logging
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from quecbind.center.domain.ids import ClientId, DeviceKey, ProductKey, Uid, UserDomain, client_id
from quecbind.center.domain.location import Place
from quecbind.center.domain.thing_model import Level
from quecbind.center.domain.thing_types import Plain
from quecbind.center.services.rights import Right

logger = logging.getLogger(__name__)

# USER-BIND `value` (app-api.md D1).
REMOVED: Final = 0
ADDED: Final = 1
INVALID: Final = 2
# USER-BIND `invalidCause` (app-api.md D1).
UNBOUND: Final = 1
RESET: Final = 2
SHARE_EXPIRED: Final = 3
SHARE_CANCELLED: Final = 4
SHARE_OVERWRITTEN: Final = 5
ACCOUNT_CANCELLED: Final = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class RightChanged:
    """A user has gained or lost a right to a device.

    Attributes:
        value: ADDED, REMOVED, or INVALID when a reset ended it.
        cause: one of the six words above when a right ended, else None.
    """

    client_id: ClientId
    product_key: ProductKey
    device_key: DeviceKey
    uid: Uid
    user_domain: UserDomain
    right: Right
    value: Literal[0, 1, 2]
    cause: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PresenceChanged:
    """A device has come or gone."""

    client_id: ClientId
    product_key: ProductKey
    device_key: DeviceKey
    is_online: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Reported:
    """A device has sent a frame that its users may see: status, properties, raw data.

    Attributes:
        values: the properties in it by the product's thing model; None where there is none to read it by.
    """

    client_id: ClientId
    product_key: ProductKey
    device_key: DeviceKey
    command: int
    packet_id: int
    payload: bytes
    values: Mapping[str, Plain] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EventReported:
    """A device has told an event of its product's thing model."""

    client_id: ClientId
    product_key: ProductKey
    device_key: DeviceKey
    packet_id: int
    code: str
    level: Level
    values: Mapping[str, Plain]


@dataclass(frozen=True, slots=True, kw_only=True)
class Located:
    """A device has told where it is."""

    client_id: ClientId
    product_key: ProductKey
    device_key: DeviceKey
    packet_id: int
    place: Place
    at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Controlled:
    """A device has acknowledged a user's command, or has not in time.

    Attributes:
        message_id: what the App called it; 0 when it did not.
        connection: the App connection it came by; None when all of the user's are to hear of it.
    """

    client_id: ClientId
    product_key: ProductKey
    device_key: DeviceKey
    uid: Uid
    ticket: str
    message_id: int | str
    connection: object | None
    created_at: int
    sent_at: int
    is_acknowledged: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionEnded:
    """A sign-in of a user is over (signed out, refresh token used twice, account gone); None: all of them are."""

    uid: Uid
    session_id: str | None


def owner_changed(
    product_key: str, device_key: str, uid: Uid, user_domain: UserDomain, value: Literal[0, 1, 2], cause: int | None
) -> RightChanged:
    """An owner has come or gone."""
    product, key = ProductKey(product_key), DeviceKey(device_key)
    return RightChanged(
        client_id=client_id(product, key),
        product_key=product,
        device_key=key,
        uid=uid,
        user_domain=user_domain,
        right="owner",
        value=value,
        cause=cause,
    )


Change: TypeAlias = RightChanged | PresenceChanged | Reported | EventReported | Located | Controlled | SessionEnded


class Changes:
    """Tells every listener of every change, in the order they happened. A listener must not block."""

    def __init__(self) -> None:
        self._listeners: list[Callable[[Change], None]] = []

    def listen(self, listener: Callable[[Change], None]) -> None:
        """From now on `listener` is told."""
        self._listeners.append(listener)

    def tell(self, changes: Iterable[Change]) -> None:
        """These have just been committed."""
        for change in changes:
            for listener in self._listeners:
                try:
                    listener(change)
                except Exception:  # one listener's fault is not the committer's
                    logger.exception("changes.listener_failed change=%s", type(change).__name__)
