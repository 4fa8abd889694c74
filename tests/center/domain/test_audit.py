"""The chain shows every change, gap, swap and cut."""

import dataclasses

from quecbind.center.domain.audit import FIRST_HASH, AuditEntry, ChainedEntry, ChainHead, chain, find_break


def log(size: int = 4) -> tuple[list[ChainedEntry], ChainHead]:
    head, entries = ChainHead(0, FIRST_HASH), []
    for number in range(size):
        chained = chain(head, AuditEntry(at=number, who="device", action="device.enrolled", details={"n": number}))
        head = ChainHead(chained.seq, chained.hash)
        entries.append(chained)
    return entries, head


def test_whole_log_is_whole() -> None:
    entries, head = log()

    assert find_break(entries, head) == (4, None)


def test_empty_log_is_whole() -> None:
    assert find_break([], ChainHead(0, FIRST_HASH)) == (0, None)


def test_changed_entry_is_found() -> None:
    entries, head = log()
    changed = dataclasses.replace(entries[1].entry, who="operator eve")
    entries[1] = dataclasses.replace(entries[1], entry=changed)

    assert find_break(entries, head) == (1, "entry 2 was changed, or the one before it")


def test_removed_entry_is_found() -> None:
    entries, head = log()
    del entries[2]

    assert find_break(entries, head) == (2, "entry 3 is missing or out of order")


def test_swapped_entries_are_found() -> None:
    entries, head = log()
    entries[1], entries[2] = entries[2], entries[1]

    assert find_break(entries, head)[1] is not None


def test_renumbered_log_is_found() -> None:
    entries, head = log()
    rest = [dataclasses.replace(entry, seq=entry.seq - 1) for entry in entries[1:]]

    assert find_break(rest, ChainHead(3, head.hash))[1] is not None


def test_cut_off_end_is_found() -> None:
    entries, head = log()

    assert find_break(entries[:2], head) == (2, "the log ends at entry 2, but 4 entries were written")
