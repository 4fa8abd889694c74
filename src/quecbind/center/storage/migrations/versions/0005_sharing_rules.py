"""Products that forbid sharing, and a quick look at the open invitations of one owner."""

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

STATEMENTS: tuple[str, ...] = (
    "ALTER TABLE products ADD COLUMN allow_sharing INTEGER NOT NULL DEFAULT 1 CHECK (allow_sharing IN (0, 1))",
    "CREATE INDEX invitations_by_owner ON shares (owner_uid) WHERE accepted_at IS NULL",
)


def upgrade() -> None:
    """Add both."""
    for statement in STATEMENTS:
        op.execute(statement)
