"""The timer wheel: due items come out within a second, never early, each once."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from quecbind.center.access.wheel import NO_SLOT, TimerWheel


class Item:
    def __init__(self) -> None:
        self.slot = NO_SLOT


def test_an_item_comes_out_in_the_second_after_it_is_due() -> None:
    wheel: TimerWheel[Item] = TimerWheel(100.0)
    item = Item()

    wheel.place(item, 110.2)

    assert not list(wheel.take(110.9))
    assert list(wheel.take(111.0)) == [item]
    assert not list(wheel.take(200.0))


def test_an_item_that_is_overdue_already_comes_out_at_the_next_look() -> None:
    wheel: TimerWheel[Item] = TimerWheel(100.0)
    list(wheel.take(120.0))
    item = Item()

    wheel.place(item, 90.0)

    assert list(wheel.take(121.0)) == [item]


def test_a_new_deadline_replaces_the_old_one() -> None:
    wheel: TimerWheel[Item] = TimerWheel(100.0)
    item = Item()
    wheel.place(item, 105.0)

    wheel.place(item, 150.0)

    assert not list(wheel.take(149.0))
    assert list(wheel.take(151.0)) == [item]


def test_a_removed_item_does_not_come_out() -> None:
    wheel: TimerWheel[Item] = TimerWheel(100.0)
    item = Item()
    wheel.place(item, 105.0)

    wheel.remove(item)
    wheel.remove(item)

    assert not list(wheel.take(200.0))


def test_an_item_may_be_placed_again_or_another_removed_while_they_come_out() -> None:
    wheel: TimerWheel[Item] = TimerWheel(100.0)
    items = [Item() for _ in range(3)]
    for item in items:
        wheel.place(item, 105.0)

    seen = []
    for item in wheel.take(110.0):
        seen.append(item)
        wheel.place(item, 120.0)
        for other in items:
            if other not in seen:
                wheel.remove(other)

    assert len(seen) == 1
    assert list(wheel.take(121.0)) == seen


@given(st.lists(st.tuples(st.floats(0, 50), st.floats(0, 50)), max_size=30))
def test_nothing_is_early_and_nothing_is_lost(moves: list[tuple[float, float]]) -> None:
    wheel: TimerWheel[Item] = TimerWheel(0.0)
    due_by_item: dict[Item, float] = {}
    now = 0.0
    for step, span in moves:
        now += step
        for item in wheel.take(now):
            assert due_by_item.pop(item) <= now
        item = Item()
        due_by_item[item] = now + span
        wheel.place(item, now + span)

    for item in wheel.take(now + 100):
        due_by_item.pop(item)

    assert not due_by_item
