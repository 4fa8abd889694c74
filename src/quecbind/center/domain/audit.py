"""The audit log as a chain: each entry carries a hash over itself and the entry before.

Who changes, removes or reorders an entry breaks the chain from there on; who cuts the end off contradicts the head,
which storage keeps under the master key. Pure: entries in, hashes and findings out. No entry may hold a secret.
"""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass, field

FIRST_HASH = bytes(32)


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    """One state change, or one refused attempt worth knowing.

    Attributes:
        at: UTC milliseconds.
        who: `user C10001`, `operator NAME`, `device` or `center`.
        action: stable name, `noun.verb`: `device.enrolled`, `owner.bound`.
        result: `ok`, or `refused CODE`.
        peer: address the request came from; empty when it came from inside.
        details: small facts in JSON types.
    """

    at: int
    who: str
    action: str
    result: str = "ok"
    product_key: str | None = None
    device_key: str | None = None
    peer: str = ""
    details: dict[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ChainedEntry:
    """An entry in its place. `seq` counts from 1 without gaps."""

    seq: int
    entry: AuditEntry
    hash: bytes


@dataclass(frozen=True, slots=True)
class ChainHead:
    """The last entry's place and hash, as storage vouches for it."""

    seq: int
    hash: bytes


def chain(before: ChainHead, entry: AuditEntry) -> ChainedEntry:
    """Put `entry` behind `before`."""
    seq = before.seq + 1
    return ChainedEntry(seq, entry, _hash(before.hash, seq, entry))


def find_break(
    entries: Iterable[ChainedEntry], head: ChainHead, noted: ChainHead | None = None
) -> tuple[int, str | None]:
    """Check a whole log against its head; gives how many entries it read and a sentence about the first problem.

    Args:
        noted: a place and hash that somebody wrote down elsewhere. A log put back to an earlier state of itself, head
            included, is whole in itself; only this shows it.
    """
    last = ChainHead(0, FIRST_HASH)
    for chained in entries:
        if chained.seq != last.seq + 1:
            return last.seq, f"entry {last.seq + 1} is missing or out of order"
        if chained.hash != _hash(last.hash, chained.seq, chained.entry):
            return last.seq, f"entry {chained.seq} was changed, or the one before it"
        last = ChainHead(chained.seq, chained.hash)
        if noted is not None and noted.seq == last.seq and noted.hash != last.hash:
            return last.seq, f"entry {last.seq} is not the one whose hash was noted"
    if last != head:
        return last.seq, f"the log ends at entry {last.seq}, but {head.seq} entries were written"
    if noted is not None and noted.seq > last.seq:
        return last.seq, f"the log ends at entry {last.seq}, but entry {noted.seq} was noted"
    return last.seq, None


@dataclass(frozen=True, slots=True)
class OwnerEntry:
    """What the owner of a device sees of an entry about it.

    Attributes:
        who: `you`, `another user`, `operator`, `device` or `center`.
        peer: the owner's own address; empty when it was anybody else's.
    """

    at: int
    who: str
    action: str
    result: str
    peer: str
    details: dict[str, object]


# What tells of the device and of nobody else.
_SHOWN_TO_OWNERS = frozenset({"seconds", "reason"})


def seen_by_owner(entry: AuditEntry, uid: str) -> OwnerEntry:
    """An entry without what is others': who they are, where they were, what it says of them."""
    is_own = entry.who == f"user {uid}"
    kind = entry.who.partition(" ")[0]
    who = "you" if is_own else {"user": "another user"}.get(kind, kind)
    details = {name: value for name, value in entry.details.items() if name in _SHOWN_TO_OWNERS}
    return OwnerEntry(entry.at, who, entry.action, entry.result, entry.peer if is_own else "", details)


def _hash(before: bytes, seq: int, entry: AuditEntry) -> bytes:
    fields = [
        seq,
        entry.at,
        entry.who,
        entry.action,
        entry.result,
        entry.product_key,
        entry.device_key,
        entry.peer,
        entry.details,
    ]
    text = json.dumps(fields, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(before + text.encode()).digest()
