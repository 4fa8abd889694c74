"""Rows of thing models: one TSL document for each product that has one."""

import sqlite3
from collections.abc import Iterator

from quecbind.center.domain.ids import ProductKey
from quecbind.center.services.records import ModelRow

_ALL = "SELECT product_key, document, imported_at FROM thing_models ORDER BY product_key"
_GET = "SELECT product_key, document, imported_at FROM thing_models WHERE product_key = ?"
_PUT = """
    INSERT INTO thing_models (product_key, document, imported_at) VALUES (?, ?, ?)
    ON CONFLICT (product_key) DO UPDATE SET document = excluded.document, imported_at = excluded.imported_at
"""
_DELETE = "DELETE FROM thing_models WHERE product_key = ?"


class SqliteThingModels:
    """See `services.rows.ModelRows`."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def all(self) -> Iterator[ModelRow]:
        for row in self._connection.execute(_ALL):
            yield _model(row)

    def get(self, product_key: str) -> ModelRow | None:
        row = self._connection.execute(_GET, (product_key,)).fetchone()
        return None if row is None else _model(row)

    def put(self, model: ModelRow) -> None:
        self._connection.execute(_PUT, (model.product_key, model.document, model.imported_at))

    def delete(self, product_key: str) -> bool:
        return self._connection.execute(_DELETE, (product_key,)).rowcount == 1


def _model(row: tuple[str, str, int]) -> ModelRow:
    return ModelRow(product_key=ProductKey(row[0]), document=row[1], imported_at=row[2])
