"""Commands that wait for devices that are away."""

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

# A command belongs to the right by which it was given, an ownership or a share: it goes with it, whatever the code
# above does. An owner goes before a device begins another epoch, so nothing of an earlier epoch is left.
STATEMENTS: tuple[str, ...] = (
    """
    CREATE TABLE downlinks (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        device_id INTEGER NOT NULL,
        uid TEXT NOT NULL,
        owner_uid TEXT,
        share_id INTEGER REFERENCES shares (id) ON DELETE CASCADE,
        kind TEXT NOT NULL CHECK (kind IN ('raw', 'properties', 'service')),
        payload BLOB NOT NULL,
        ticket TEXT NOT NULL,
        queued_at INTEGER NOT NULL,
        expires_at INTEGER NOT NULL,
        CHECK ((owner_uid IS NULL) != (share_id IS NULL)),
        CHECK (owner_uid IS NULL OR owner_uid = uid),
        FOREIGN KEY (device_id, owner_uid) REFERENCES owners (device_id, uid) ON DELETE CASCADE
    ) STRICT
    """,
    "CREATE INDEX downlinks_by_device ON downlinks (device_id, owner_uid)",
    "CREATE INDEX downlinks_by_share ON downlinks (share_id) WHERE share_id IS NOT NULL",
    "CREATE INDEX downlinks_by_user ON downlinks (uid)",
)


def upgrade() -> None:
    """Make the table."""
    for statement in STATEMENTS:
        op.execute(statement)
