"""What a user asks of devices: what may be asked, and what a later command takes the place of, as pure functions.

The story: a command is raw data, properties to set or to read, or a service to call. A device that is here gets it at
once. For one that is away it is kept, if the user asks for that, until a moment the user chooses; but no read, whose
answer is worth nothing later. A command that covers takes the place of what the same user has waiting there: raw data
of raw data, a property of the same property. What waits is sent in the order in which it came. Nobody covers what
another user has waiting: a right to the device is no right to theirs.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal

from quecbind.center.domain import json_text, refusal
from quecbind.center.domain.refusal import Refused

Kind = Literal["raw", "properties", "service", "read"]

MAX_CACHE_S: Final = 7_776_000
MAX_VALUES: Final = 100

_KIND_BY_TYPE: Final[dict[str, Kind]] = {"1": "raw", "2": "properties", "3": "service"}
_HEX, _TEXT = "1", "2"
_YES_BY_TEXT: Final = {"": False, "1": True, "2": False}


@dataclass(frozen=True, slots=True)
class Keep:
    """Until when a command waits for a device that is away, and whether it takes the place of earlier ones."""

    seconds: int
    covers: bool = False


@dataclass(frozen=True, slots=True)
class Command:
    """What a user asks of one device or of many.

    Attributes:
        raw: for `raw`, what the device gets.
        asked: for the others, JSON as the thing model takes it.
        keep: None when it is for now or never.
    """

    kind: Kind
    raw: bytes = b""
    asked: object = None
    keep: Keep | None = None


@dataclass(frozen=True, slots=True)
class Waiting:
    """A command that waits: its row, its kind, and the numbers of the properties it sets."""

    id: int
    kind: Kind
    numbers: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Covered:
    """What becomes of a command that waits: it goes, or it keeps the properties that nothing covers."""

    id: int
    left: frozenset[int]


def parse(
    data: str, kind: str, data_format: str, is_cache: str, cache_time: str, is_cover: str, qos: str
) -> Command | Refused:
    """The command of a batchControlDevice call (app-api.md B2); every argument as text, "" when it is missing."""
    if not kind:
        return Refused(refusal.CONTROL_TYPE_MISSING)
    if kind not in _KIND_BY_TYPE:
        return Refused(refusal.CONTROL_TYPE_RANGE)
    if not data:
        return Refused(refusal.CONTROL_DATA_FORMAT)
    keep = keep_of(is_cache, cache_time, is_cover)
    if isinstance(keep, Refused):
        return keep
    if qos not in {"", "0", "1"}:
        return Refused(refusal.INVALID, detail="qos is 0 or 1")
    if _KIND_BY_TYPE[kind] != "raw":
        try:
            return Command(_KIND_BY_TYPE[kind], asked=json_text.loads(data), keep=keep)
        except ValueError:
            return Refused(refusal.CONTROL_DATA_FORMAT)
    if not data_format:
        return Refused(refusal.DATA_FORMAT_MISSING)
    if data_format not in {_HEX, _TEXT}:
        return Refused(refusal.DATA_FORMAT_RANGE)
    if data_format == _TEXT:
        return Command("raw", raw=data.encode(), keep=keep)
    try:
        return Command("raw", raw=from_hex(data), keep=keep)
    except ValueError:
        return Refused(refusal.CONTROL_DATA_FORMAT)


def from_hex(data: str) -> bytes:
    """The bytes that hex digits say; ValueError for anything else, spaces too."""
    if not data.isalnum():
        raise ValueError("these are no hex digits")
    return bytes.fromhex(data)


def keep_of(is_cache: str, cache_time: str, is_cover: str) -> Keep | Refused | None:
    """Whether and for how long a command is to be kept; every argument as text, "" when it is missing."""
    if is_cache not in _YES_BY_TEXT:
        return Refused(refusal.CACHE_RANGE)
    if is_cover not in _YES_BY_TEXT:
        return Refused(refusal.COVER_RANGE)
    if not _YES_BY_TEXT[is_cache]:
        return None
    if not cache_time:
        return Refused(refusal.CACHE_TIME_MISSING)
    if not (cache_time.isascii() and cache_time.isdigit()) or len(cache_time) > 7:
        return Refused(refusal.CACHE_TIME_RANGE)
    seconds = int(cache_time)
    if not 1 <= seconds <= MAX_CACHE_S:
        return Refused(refusal.CACHE_TIME_RANGE)
    return Keep(seconds, _YES_BY_TEXT[is_cover])


def covered(waiting: Iterable[Waiting], kind: Kind, numbers: frozenset[int]) -> list[Covered]:
    """What a command that covers does to those of the same user that wait for the device.

    Raw data takes the place of raw data, a property of itself. A service that was called is called: nothing covers it.
    """
    found = []
    for each in waiting:
        if each.kind != kind or kind in {"service", "read"}:
            continue
        if kind == "raw":
            found.append(Covered(each.id, frozenset()))
        elif each.numbers & numbers:
            found.append(Covered(each.id, each.numbers - numbers))
    return found
