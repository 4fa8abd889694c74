"""The bind code that an owner brought last, as a keyed hash, and when: one whose answer was lost asks once more."""

from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

STATEMENTS: tuple[str, ...] = (
    # Nobody knows the codes of earlier bindings; who was bound just before the upgrade is told so by their list.
    "ALTER TABLE owners ADD COLUMN code_mac BLOB",
    "ALTER TABLE owners ADD COLUMN code_used_at INTEGER",
)


def upgrade() -> None:
    """Add the columns, empty."""
    for statement in STATEMENTS:
        op.execute(statement)
