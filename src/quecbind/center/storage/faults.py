"""Named points at which a process may die, and the hook by which a test makes it die there.

Nothing happens at a point unless a test has called `on_reach`; no setting and no environment variable can do that, so
a server in use cannot be told to die. A point costs one call, and none of them lies on the way of a log-in.
"""

from collections.abc import Callable
from typing import Final

MASTER_KEY_NEW: Final = "master key: nothing written"
MASTER_KEY_WRITTEN: Final = "master key: written, without its name"
MASTER_KEY_NAMED: Final = "master key: named"
DATABASE_MADE: Final = "database: empty file made"
MIGRATION_BEGUN: Final = "migration: begun"
MIGRATION_DONE: Final = "migration: done, not committed"
MIGRATED: Final = "migration: all committed"
VAULT_WRITTEN: Final = "database: master key check written"
SERVE_FILE_WRITTEN: Final = "serve.json: written, without its name"
SERVE_FILE_NAMED: Final = "serve.json: named"
BEFORE_BEGIN: Final = "commit: before BEGIN"
BEFORE_COMMIT: Final = "commit: works done, before COMMIT"
AFTER_COMMIT: Final = "commit: after COMMIT, before anyone is told"
BEFORE_APPLIED: Final = "commit: in the event loop, before applied"
AFTER_APPLIED: Final = "commit: after applied, before the future"

START_POINTS: Final = (
    MASTER_KEY_NEW,
    MASTER_KEY_WRITTEN,
    MASTER_KEY_NAMED,
    DATABASE_MADE,
    MIGRATION_BEGUN,
    MIGRATION_DONE,
    MIGRATED,
    VAULT_WRITTEN,
    SERVE_FILE_WRITTEN,
    SERVE_FILE_NAMED,
)
COMMIT_POINTS: Final = (BEFORE_BEGIN, BEFORE_COMMIT, AFTER_COMMIT, BEFORE_APPLIED, AFTER_APPLIED)
POINTS: Final = START_POINTS + COMMIT_POINTS


def _nothing(point: str, subject: object) -> None:
    pass


_hook: Callable[[str, object], None] = _nothing


def reach(point: str, subject: object = None) -> None:
    """This point has been reached; `subject` is what is being done there, if there is something to name."""
    _hook(point, subject)


def on_reach(hook: Callable[[str, object], None]) -> None:
    """From now on `hook` is called at every point, in the thread that reaches it. For tests."""
    global _hook  # noqa: PLW0603 - one for the process, as the process is what dies
    _hook = hook
