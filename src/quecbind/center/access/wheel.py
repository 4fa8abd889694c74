"""One timer for all connections: deadlines in slots of a second, so that a new deadline costs no loop timer.

It may hand out an item up to a second late and never early; it does not call anybody.
"""

from collections.abc import Iterator
from typing import Generic, Protocol, TypeVar


class Timed(Protocol):
    """What a wheel holds: it remembers its own slot, so that it is found again without a search."""

    slot: int


T = TypeVar("T", bound=Timed)

NO_SLOT = -1


class TimerWheel(Generic[T]):
    """Items by the second in which they are due."""

    __slots__ = ("_items_by_slot", "_next_slot")

    def __init__(self, now: float) -> None:
        self._items_by_slot: dict[int, set[T]] = {}
        self._next_slot = int(now)

    def place(self, item: T, due: float) -> None:
        """Hand `item` out at `due`; it leaves the slot it was in."""
        if item.slot != NO_SLOT:
            self.remove(item)
        slot = max(int(due) + 1, self._next_slot)
        items = self._items_by_slot.get(slot)
        if items is None:
            items = self._items_by_slot[slot] = set()
        items.add(item)
        item.slot = slot

    def remove(self, item: T) -> None:
        """Do not hand `item` out; nothing happens when it is not here."""
        items = self._items_by_slot.get(item.slot)
        if items is not None:
            items.discard(item)
        item.slot = NO_SLOT

    def take(self, now: float) -> Iterator[T]:
        """Everything that is due, each out of the wheel by the time it is given."""
        while self._next_slot <= int(now):
            slot = self._next_slot
            self._next_slot += 1
            # The set stays in its place meanwhile: an item handed out may remove another.
            items = self._items_by_slot.get(slot)
            while items:
                item = items.pop()
                item.slot = NO_SLOT
                yield item
            self._items_by_slot.pop(slot, None)
