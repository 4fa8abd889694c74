"""The reset proofs that have reset a device which keeps its secret: such a proof would be as good a second time."""

from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

STATEMENTS: tuple[str, ...] = (
    """
    CREATE TABLE reset_proofs (
        device_id INTEGER NOT NULL REFERENCES devices (id) ON DELETE CASCADE,
        digest BLOB NOT NULL,
        PRIMARY KEY (device_id, digest)
    ) STRICT, WITHOUT ROWID
    """,
)


def upgrade() -> None:
    """Add the table, empty: before this revision every proof brought a new secret, and died with the old one."""
    for statement in STATEMENTS:
        op.execute(statement)
