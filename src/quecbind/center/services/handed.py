"""What becomes of a user's command on its way to a device, as values, and the last step of that way.

A command is handed over or kept, with a ticket, or it is not; later it has a result.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from quecbind.center.domain import refusal
from quecbind.center.domain.ids import ClientId, DeviceKey, ProductKey
from quecbind.center.services.changes import Controlled
from quecbind.center.services.downlink import Downlink
from quecbind.center.services.links import Links
from quecbind.center.services.rights import Hold
from quecbind.wire import commands

Why = Literal["no right", "not allowed", "malformed", "no model", "too large", "offline", "busy", "full", "failed"]

# How much may be under way to one device, of what is kept and, apart, of what is not: with both a session has room left
# for frames of the Developer Center itself, and its write buffer for all of it, twice as long if each byte is escaped.
WINDOW: Final = 12
WINDOW_SIZE: Final = 12_288

SENTENCE_BY_WHY: Final[dict[Why, str]] = {
    "no right": refusal.SENTENCE_BY_CODE[refusal.NOT_BOUND],
    "not allowed": "this is no command of a user",
    "malformed": "data cannot be read as type and dataFormat say",
    "no model": "this needs a thing model, which is not known; use property numbers",
    "too large": "the command is too large",
    "offline": "the device is not online",
    "busy": "the device takes no more now, try again",
    "full": "too many commands wait for devices already",
    "failed": refusal.SENTENCE_BY_CODE[refusal.CONTROL_FAILED],
}


@dataclass(frozen=True, slots=True)
class Handed:
    """A command is on its way, or kept.

    Attributes:
        ticket: names it in its result.
    """

    ticket: str
    is_kept: bool = False


@dataclass(frozen=True, slots=True)
class NotHanded:
    """A command goes nowhere; nothing has changed. `detail` is a sentence that knows more than the word does."""

    why: Why
    detail: str = ""

    @property
    def sentence(self) -> str:
        """What to tell a person."""
        return self.detail or SENTENCE_BY_WHY[self.why]


Answer: TypeAlias = Callable[[Handed | NotHanded], None]


@dataclass(frozen=True, slots=True)
class Sender:
    """Who is to hear the result: one App connection, by the number it gave the command; without it, all of the user."""

    connection: object | None = None
    message_id: int | str = 0


ALL_OF_THE_USER: Final = Sender()


@dataclass(frozen=True, slots=True)
class Target:
    """A device that a user may control now, and by what."""

    client_id: ClientId
    product_key: ProductKey
    device_key: DeviceKey
    hold: Hold


def has_room(sizes: Collection[int], size: int) -> bool:
    """Whether a frame of that size may follow those that are under way; one alone always may."""
    return not sizes or (len(sizes) < WINDOW and sum(sizes) + size <= WINDOW_SIZE)


def hand(links: Links, client_id: ClientId, frame: Downlink, delivery: Callable[[bool], None]) -> bool:
    """Give a frame to the device's connection; see `DeviceLink.deliver`."""
    kind = commands.topic_kind(frame.command)
    assert kind is not None, "every command of a user has a topic"
    return links.deliver(client_id, frame.command, frame.payload, kind, delivery)


def result(target: Target, ticket: str, sender: Sender, times: tuple[int, int], *, is_acknowledged: bool) -> Controlled:
    """What the user's Apps are told. `times` are when it was asked for and when it was sent."""
    return Controlled(
        client_id=target.client_id,
        product_key=target.product_key,
        device_key=target.device_key,
        uid=target.hold.uid,
        ticket=ticket,
        message_id=sender.message_id,
        connection=sender.connection,
        created_at=times[0],
        sent_at=times[1],
        is_acknowledged=is_acknowledged,
    )
