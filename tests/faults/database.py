"""What is in a database, read beside or after the server by SQLite alone, and how two states of it differ."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

# Who was here when and from where is written down in batches, on no one's behalf.
UNASKED = {("devices", column) for column in ("last_online_at", "last_offline_at", "last_address", "recent_randoms")}
# Whether refreshing moves the end of a session depends on when it happens.
UNASKED |= {("sessions", "expires_at")}

Content = dict[str, dict[tuple[Any, ...], dict[str, Any]]]


def content_of(database: Path) -> Content:
    """Every row of every table, by its primary key."""
    connection = sqlite3.connect(f"{database.as_uri()}?mode=rw", uri=True)
    connection.row_factory = sqlite3.Row
    try:
        connection.execute("BEGIN")
        tables = connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")
        return {name: _rows(connection, name) for (name,) in tables.fetchall()}
    finally:
        connection.close()


def _rows(connection: sqlite3.Connection, table: str) -> dict[tuple[Any, ...], dict[str, Any]]:
    columns = connection.execute(f"PRAGMA table_info({table})").fetchall()
    key = [column["name"] for column in columns if column["pk"]] or [column["name"] for column in columns]
    kept = [column["name"] for column in columns if (table, column["name"]) not in UNASKED]
    return {
        tuple(row[name] for name in key): {name: row[name] for name in kept}
        for row in connection.execute(f"SELECT * FROM {table}")
    }


def changes(before: Content, after: Content) -> list[str]:
    """What was done, without the values, which are random: two runs of one deed give the same."""
    found = []
    for table in sorted(before.keys() | after.keys()):
        old, new = before.get(table, {}), after.get(table, {})
        for key in sorted(new.keys() - old.keys()):
            found.append(f"+ {new[key]['action']}" if table == "audit" else f"+ a row of {table}")
        found += [f"- a row of {table}"] * len(old.keys() - new.keys())
        for key in sorted(old.keys() & new.keys()):
            changed = [name for name, value in new[key].items() if old[key].get(name) != value]
            if changed:
                found.append(f"{table}: {' '.join(changed)}")
    return found
