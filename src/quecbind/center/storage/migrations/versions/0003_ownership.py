"""Serial numbers of devices, and resets that are owed to devices which are away."""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

STATEMENTS: tuple[str, ...] = (
    # A device whose last owner asked for a reset owes it until it has enrolled again.
    "ALTER TABLE devices ADD COLUMN owes_reset INTEGER NOT NULL DEFAULT 0 CHECK (owes_reset IN (0, 1))",
    """
    ALTER TABLE products
    ADD COLUMN allow_serial_binding INTEGER NOT NULL DEFAULT 0 CHECK (allow_serial_binding IN (0, 1))
    """,
    "ALTER TABLE products ADD COLUMN ble_only INTEGER NOT NULL DEFAULT 0 CHECK (ble_only IN (0, 1))",
    # Bind secrets that BLE-only devices have brought, as keyed hashes: one that another device brought was moved.
    """
    CREATE TABLE ble_secrets (
        product_key TEXT NOT NULL,
        secret_mac BLOB NOT NULL,
        device_id INTEGER NOT NULL REFERENCES devices (id) ON DELETE CASCADE,
        PRIMARY KEY (product_key, secret_mac)
    ) STRICT, WITHOUT ROWID
    """,
    "CREATE INDEX ble_secrets_by_device ON ble_secrets (device_id)",
    # When the owner last used the device over BLE, as their App says.
    "ALTER TABLE owners ADD COLUMN ble_used_at INTEGER",
    # A serial number names one device of its product, and a device has one at most.
    """
    CREATE TABLE serials (
        device_id INTEGER PRIMARY KEY REFERENCES devices (id) ON DELETE CASCADE,
        product_key TEXT NOT NULL,
        serial TEXT NOT NULL,
        UNIQUE (product_key, serial)
    ) STRICT
    """,
)


def upgrade() -> None:
    """Make the tables."""
    for statement in STATEMENTS:
        op.execute(statement)
