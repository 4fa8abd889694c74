"""A share lives in the epoch of the owner it hangs on, and copies it no longer."""

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

STATEMENTS: tuple[str, ...] = ("ALTER TABLE shares DROP COLUMN epoch",)


def upgrade() -> None:
    """Drop the copy."""
    for statement in STATEMENTS:
        op.execute(statement)
