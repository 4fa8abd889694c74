"""When each status value of a device was told, so that nobody is shown one from before their hold."""

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

STATEMENTS: tuple[str, ...] = (
    # By status id, UTC milliseconds: the value is shown to who holds the device since then or longer. Nobody knows when
    # and in whose time the values on file were told: they stay, for operators, and are shown once they are told again.
    "ALTER TABLE devices ADD COLUMN status_shown_from TEXT NOT NULL DEFAULT '{}'",
    # As with the properties (0007): what was told within the ten minutes before, while nobody owned the device, is the
    # first owner's. A trigger may not make JSON (trusted_schema is off); the ids are digits, so they are put together.
    """
    CREATE TRIGGER status_comes_with_the_first_owner AFTER INSERT ON owners
    WHEN (SELECT count(*) FROM owners WHERE device_id = NEW.device_id) = 1
    BEGIN
        UPDATE devices SET status_shown_from = (
            SELECT '{' || coalesce(group_concat(
                '"' || key || '":'
                || CASE WHEN value >= NEW.bound_at - 600000 THEN max(value, NEW.bound_at) ELSE value END
            ), '') || '}'
            FROM json_each(status_shown_from)
        )
        WHERE id = NEW.device_id;
    END
    """,
)


def upgrade() -> None:
    """Add the column, empty, and the trigger."""
    for statement in STATEMENTS:
        op.execute(statement)
