"""When a bind window was opened, so that a clock which was set back before that does not open it again."""

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

STATEMENTS: tuple[str, ...] = (
    "ALTER TABLE devices ADD COLUMN bind_window_opened_at INTEGER",
    # Nobody knows of the windows that are open now; they last as long as they were going to.
    "UPDATE devices SET bind_window_opened_at = created_at WHERE bind_window_end IS NOT NULL",
)


def upgrade() -> None:
    """Add the column."""
    for statement in STATEMENTS:
        op.execute(statement)
