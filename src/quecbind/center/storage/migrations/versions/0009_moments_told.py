"""When each value of a device's status and information was told, so that nobody is shown one from before their hold."""

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def _the_first_owners(column: str) -> str:
    """What was told in the ten minutes before becomes the first owner's.

    A trigger may not make JSON (trusted_schema is off); the ids are digits, so they are put together.
    """
    return f"""
        {column} = (
            SELECT '{{' || coalesce(group_concat(
                '"' || key || '":'
                || CASE WHEN value >= NEW.bound_at - 600000 THEN max(value, NEW.bound_at) ELSE value END
            ), '') || '}}'
            FROM json_each({column})
        )
    """  # noqa: S608


STATEMENTS: tuple[str, ...] = (
    # By id, UTC milliseconds: the value is shown to who holds the device since then or longer. Nobody knows when and in
    # whose time the values on file were told: they stay, for operators, and are shown once they are told again.
    "ALTER TABLE devices ADD COLUMN status_shown_from TEXT NOT NULL DEFAULT '{}'",
    "ALTER TABLE devices ADD COLUMN info_shown_from TEXT NOT NULL DEFAULT '{}'",
    # As with the properties (0007): what was told just before, while nobody owned the device, is the first owner's.
    f"""
    CREATE TRIGGER what_it_is_comes_with_the_first_owner AFTER INSERT ON owners
    WHEN (SELECT count(*) FROM owners WHERE device_id = NEW.device_id) = 1
    BEGIN
        UPDATE devices SET {_the_first_owners("status_shown_from")}, {_the_first_owners("info_shown_from")}
        WHERE id = NEW.device_id;
    END
    """,  # noqa: S608
)


def upgrade() -> None:
    """Add the columns, empty, and the trigger."""
    for statement in STATEMENTS:
        op.execute(statement)
