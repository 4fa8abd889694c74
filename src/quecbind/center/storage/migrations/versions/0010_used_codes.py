"""The bind code a device was last bound with: it may report it once more when it has not heard that it arrived."""

from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

STATEMENTS: tuple[str, ...] = (
    "ALTER TABLE devices ADD COLUMN used_code_mac BLOB",
    "ALTER TABLE devices ADD COLUMN used_window_opened_at INTEGER",
    "ALTER TABLE devices ADD COLUMN used_window_end INTEGER",
)


def upgrade() -> None:
    """Add the columns, empty: of windows that were used before, nothing is known."""
    for statement in STATEMENTS:
        op.execute(statement)
