"""A frame that comes again on the same connection: devices repeat what is not acknowledged in time, byte for byte.

What a repeat asks for is under way or done already, and what it waits for is what the first one waits for.
"""

import asyncio
import hashlib
from typing import NamedTuple

from quecbind.wire.frame import Frame


class Repeat(NamedTuple):
    """The last frame of its kind: what it is known by, and the future that says that it is stored."""

    key: tuple[int, int, int, bytes]
    stored: "asyncio.Future[None]"


def key_of(connection_count: int, frame: Frame) -> tuple[int, int, int, bytes]:
    """What a frame is known by on one connection of a device."""
    return connection_count, frame.packet_id, frame.command, digest(frame.payload)


def earlier(last: Repeat | None, key: tuple[int, int, int, bytes]) -> "asyncio.Future[None] | None":
    """What the frame of that key waits for if it is the last one again; None when it is not, or was not stored."""
    if last is None or last.key != key:
        return None
    stored = last.stored
    return stored if not stored.done() or (not stored.cancelled() and stored.exception() is None) else None


def digest(payload: bytes) -> bytes:
    """Tells payloads apart in eight bytes."""
    return hashlib.blake2b(payload, digest_size=8).digest()
