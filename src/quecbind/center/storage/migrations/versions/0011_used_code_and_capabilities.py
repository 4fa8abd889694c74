"""The bind code that an owner brought last, as a keyed hash, and when: one whose answer was lost asks once more.

And what a device can talk over, where the App told nothing of it: what its product can, in place of nothing.
"""

from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

STATEMENTS: tuple[str, ...] = (
    # Nobody knows the codes of earlier bindings; who was bound just before the upgrade is told so by their list.
    "ALTER TABLE owners ADD COLUMN code_mac BLOB",
    "ALTER TABLE owners ADD COLUMN code_used_at INTEGER",
    """
    UPDATE owners SET capabilities = CASE
        WHEN (SELECT ble_only FROM products p WHERE p.product_key = owners.product_key) THEN 4 ELSE 3
    END WHERE capabilities = 0
    """,
)


def upgrade() -> None:
    """Add the columns, empty, and fill in the capabilities."""
    for statement in STATEMENTS:
        op.execute(statement)
