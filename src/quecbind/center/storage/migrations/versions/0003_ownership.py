"""Serial numbers of devices, and resets that are owed to devices which are away."""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

STATEMENTS: tuple[str, ...] = (
    # A device whose last owner asked for a reset owes it until it has enrolled again.
    "ALTER TABLE devices ADD COLUMN owes_reset INTEGER NOT NULL DEFAULT 0 CHECK (owes_reset IN (0, 1))",
)


def upgrade() -> None:
    """Make the tables."""
    for statement in STATEMENTS:
        op.execute(statement)
