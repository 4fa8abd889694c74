"""Thing models, the values devices last reported, and what they reported before."""

from alembic import op

revision = "0007"
down_revision = "0004"
branch_labels = None
depends_on = None

# What a device reported belongs to those who own it then: it goes with the last of them, in the same transaction,
# whatever the code above does, and carries the epoch it was reported in.
STATEMENTS: tuple[str, ...] = (
    """
    CREATE TABLE thing_models (
        product_key TEXT PRIMARY KEY REFERENCES products (product_key) ON DELETE CASCADE,
        document TEXT NOT NULL,
        imported_at INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID
    """,
    # A field is the TTLV of one property. Property 0, which no model has, is where the device was. A value is shown to
    # who holds the device since shown_from or longer.
    """
    CREATE TABLE last_values (
        device_id INTEGER NOT NULL REFERENCES devices (id) ON DELETE CASCADE,
        property_id INTEGER NOT NULL,
        epoch INTEGER NOT NULL,
        at INTEGER NOT NULL,
        shown_from INTEGER NOT NULL,
        field BLOB NOT NULL,
        PRIMARY KEY (device_id, property_id)
    ) STRICT, WITHOUT ROWID
    """,
    # Reports as they came, counted per device.
    """
    CREATE TABLE history (
        device_id INTEGER NOT NULL REFERENCES devices (id) ON DELETE CASCADE,
        number INTEGER NOT NULL,
        epoch INTEGER NOT NULL,
        at INTEGER NOT NULL,
        payload BLOB NOT NULL,
        PRIMARY KEY (device_id, number)
    ) STRICT, WITHOUT ROWID
    """,
    "CREATE INDEX history_by_time ON history (at)",
    """
    CREATE TRIGGER data_goes_with_the_last_owner AFTER DELETE ON owners
    WHEN NOT EXISTS (SELECT 1 FROM owners WHERE device_id = OLD.device_id)
    BEGIN
        DELETE FROM last_values WHERE device_id = OLD.device_id;
        DELETE FROM history WHERE device_id = OLD.device_id;
    END
    """,
    # What a device told within the ten minutes before it was bound, while nobody owned it, is the first owner's; where
    # it was then is not.
    """
    CREATE TRIGGER values_come_with_the_first_owner AFTER INSERT ON owners
    WHEN (SELECT count(*) FROM owners WHERE device_id = NEW.device_id) = 1
    BEGIN
        UPDATE last_values SET shown_from = max(shown_from, NEW.bound_at)
        WHERE device_id = NEW.device_id AND property_id > 0 AND at >= NEW.bound_at - 600000;
    END
    """,
)


def upgrade() -> None:
    """Make the tables."""
    for statement in STATEMENTS:
        op.execute(statement)
