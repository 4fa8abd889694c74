"""Stand-in for QuecPython's pm: wake locks are counted, and nothing ever sleeps."""

_locks: dict[int, bool] = {}


def create_wakelock(lock_name: str, name_size: int = 0) -> int:
    """The number of the new lock."""
    number = max(_locks, default=0) + 1
    _locks[number] = False
    return number


def delete_wakelock(lpm_fd: int) -> int:
    return 0 if _locks.pop(lpm_fd, None) is not None else -1


def wakelock_lock(lpm_fd: int) -> int:
    return _set(lpm_fd, is_locked=True)


def wakelock_unlock(lpm_fd: int) -> int:
    return _set(lpm_fd, is_locked=False)


def _set(number: int, *, is_locked: bool) -> int:
    if number not in _locks:
        return -1
    _locks[number] = is_locked
    return 0


def get_wakelock_num() -> int:
    return len(_locks)


def autosleep(sleep_flag: int) -> int:
    return 0


def set_psm_time(*args: int) -> int:
    """-1: there is no power saving mode."""
    return -1


def get_psm_time() -> list[int]:
    """Off, and no times."""
    return [0, 0, 0, 0, 0]
