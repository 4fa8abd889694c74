"""Stand-in for QuecPython's _thread: Python's own, with what the firmware has more.

Stack sizes are taken and not used. A thread that is stopped ends at the next step it takes: one that waits for
something ends when it has it. The free heap is a number that never changes.
"""

import _thread
import ctypes
import sys
import threading
from _thread import LockType, allocate_lock, get_ident, start_new_thread

_HEAP_SIZE = 1 << 20
_STACK_SIZE = 8448

# Python's standard library finds its own here too.
globals().update({name: value for name, value in vars(_thread).items() if not name.startswith("__")})


def stack_size(size: int = 0) -> int:
    return _STACK_SIZE


def get_heap_size() -> int:
    """Bytes; made up."""
    return _HEAP_SIZE


def threadIsRunning(thread_id: int) -> bool:
    return thread_id in sys._current_frames()  # noqa: SLF001 - public in all but name, and documented


def stop_thread(thread_id: int) -> None:
    """End a thread; 0 ends the one that asks."""
    if thread_id in {0, get_ident()}:
        raise SystemExit
    if thread_id != threading.main_thread().ident:
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread_id), ctypes.py_object(SystemExit))


def delete_lock(lock: LockType) -> None:
    pass


class Semaphore:
    """A counting semaphore, which the firmware spells without an a."""

    def __init__(self, count: int) -> None:
        self._most = self._left = count
        self._changed = threading.Condition()

    def acquire(self) -> bool:
        with self._changed:
            self._changed.wait_for(lambda: self._left > 0)
            self._left -= 1
        return True

    def release(self) -> None:
        with self._changed:
            self._left = min(self._most, self._left + 1)
            self._changed.notify()

    def getCnt(self) -> tuple[int, int]:
        """(most, left)."""
        return self._most, self._left


def allocate_semphore(initcount: int) -> Semaphore:
    return Semaphore(initcount)


def delete_semphore(semaphore: Semaphore) -> None:
    pass


__all__ = ("LockType", "allocate_lock", "get_ident", "start_new_thread")
