"""Shares: invitations and the grants that come of them."""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

# A share belongs to an owner's control of a device: it goes with it, whatever the code above does, and so does
# everything of an earlier epoch, because an owner's epoch is the device's.
STATEMENTS = (
    """
    CREATE TABLE shares (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        code_mac BLOB NOT NULL UNIQUE,
        code BLOB NOT NULL,
        device_id INTEGER NOT NULL,
        epoch INTEGER NOT NULL,
        owner_uid TEXT NOT NULL,
        member_uid TEXT,
        accepted_at INTEGER,
        cover_mark INTEGER NOT NULL CHECK (cover_mark IN (1, 2, 3)),
        accepting_expires_at INTEGER NOT NULL,
        sharing_expires_at INTEGER,
        device_name TEXT NOT NULL,
        created_at INTEGER NOT NULL,
        CHECK (accepted_at IS NULL OR member_uid IS NOT NULL),
        FOREIGN KEY (device_id, owner_uid) REFERENCES owners (device_id, uid) ON DELETE CASCADE
    ) STRICT
    """,
    "CREATE INDEX shares_by_owner ON shares (device_id, owner_uid)",
    "CREATE INDEX shares_by_member ON shares (member_uid, device_id)",
    "CREATE INDEX shares_by_expiry ON shares (sharing_expires_at) WHERE accepted_at IS NOT NULL",
)


def upgrade() -> None:
    """Make the tables."""
    for statement in STATEMENTS:
        op.execute(statement)
