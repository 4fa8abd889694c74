"""Rows of products and of the user domains they are limited to."""

import sqlite3
from collections.abc import Iterable, Iterator
from typing import Any

from quecbind.center.domain.ids import ProductKey, UserDomain
from quecbind.center.domain.product import DomainAccess, Product
from quecbind.center.storage.seal import Seal

_COLUMNS = """
    product_key, product_secret, name, bind_mode, re_enrol, device_limit, default_window_s, allow_device_key_binding,
    static_secrets, dynamic_enrolment, replay_strict, domain_access, device_count, created_at, allow_serial_binding,
    ble_only, allow_sharing
"""
_ALL = f"SELECT {_COLUMNS} FROM products ORDER BY created_at, product_key"  # noqa: S608
_GET = f"SELECT {_COLUMNS} FROM products WHERE product_key = ?"  # noqa: S608
_PAGE = f"{_ALL} LIMIT ? OFFSET ?"
_COUNT = "SELECT count(*) FROM products"
_INSERT = """
    INSERT INTO products (
        product_key, product_secret, name, bind_mode, re_enrol, device_limit, default_window_s,
        allow_device_key_binding, static_secrets, dynamic_enrolment, replay_strict, domain_access, created_at,
        allow_serial_binding, ble_only, allow_sharing
    ) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
_UPDATE = """
    UPDATE products SET
        name = ?, bind_mode = ?, re_enrol = ?, device_limit = ?, default_window_s = ?, allow_device_key_binding = ?,
        static_secrets = ?, dynamic_enrolment = ?, replay_strict = ?, allow_serial_binding = ?, ble_only = ?,
        allow_sharing = ?
    WHERE product_key = ?
"""
_DELETE = "DELETE FROM products WHERE product_key = ?"
_OWNER_COUNT = "SELECT count(*) FROM owners WHERE product_key = ?"
_TAKE_PLACE = """
    UPDATE products SET device_count = device_count + :count
    WHERE product_key = :product_key AND device_count + :count <= device_limit
"""
_FREE_PLACE = "UPDATE products SET device_count = device_count - 1 WHERE product_key = ?"
_DOMAINS = "SELECT user_domain FROM product_domains WHERE product_key = ? ORDER BY user_domain"
_SET_ACCESS = "UPDATE products SET domain_access = ? WHERE product_key = ?"
_DROP_DOMAINS = "DELETE FROM product_domains WHERE product_key = ?"
_ADD_DOMAIN = "INSERT INTO product_domains (product_key, user_domain) VALUES (?, ?)"
_IS_OPEN = """
    SELECT 1 FROM products p JOIN domains d ON d.user_domain = :user_domain
    WHERE p.product_key = :product_key AND d.disabled_at IS NULL AND (
        p.domain_access = 'all' OR EXISTS (
            SELECT 1 FROM product_domains l
            WHERE l.product_key = p.product_key AND l.user_domain = d.user_domain))
"""


class SqliteProducts:
    """See `services.rows.ProductRows`."""

    def __init__(self, connection: sqlite3.Connection, seal: Seal) -> None:
        self._connection = connection
        self._seal = seal

    def all(self) -> Iterator[Product]:
        for row in self._connection.execute(_ALL):
            yield self._product(row)

    def get(self, product_key: str) -> Product | None:
        row = self._connection.execute(_GET, (product_key,)).fetchone()
        return None if row is None else self._product(row)

    def page(self, offset: int, limit: int) -> tuple[list[Product], int]:
        rows = self._connection.execute(_PAGE, (limit, offset)).fetchall()
        return [self._product(row) for row in rows], self._connection.execute(_COUNT).fetchone()[0]

    def insert(self, product: Product) -> None:
        sealed = self._seal.seal(product.product_secret, _place(product.product_key))
        self._connection.execute(
            _INSERT,
            (
                product.product_key,
                sealed,
                product.name,
                product.bind_mode,
                product.re_enrol,
                product.device_limit,
                product.default_window_s,
                product.allow_device_key_binding,
                product.static_secrets,
                product.dynamic_enrolment,
                product.replay_strict,
                product.domain_access,
                product.created_at,
                product.allow_serial_binding,
                product.ble_only,
                product.allow_sharing,
            ),
        )

    def update(self, product: Product) -> None:
        self._connection.execute(
            _UPDATE,
            (
                product.name,
                product.bind_mode,
                product.re_enrol,
                product.device_limit,
                product.default_window_s,
                product.allow_device_key_binding,
                product.static_secrets,
                product.dynamic_enrolment,
                product.replay_strict,
                product.allow_serial_binding,
                product.ble_only,
                product.allow_sharing,
                product.product_key,
            ),
        )

    def delete(self, product_key: ProductKey) -> None:
        self._connection.execute(_DELETE, (product_key,))

    def owner_count(self, product_key: ProductKey) -> int:
        return int(self._connection.execute(_OWNER_COUNT, (product_key,)).fetchone()[0])

    def take_place(self, product_key: ProductKey, count: int = 1) -> bool:
        taken = self._connection.execute(_TAKE_PLACE, {"product_key": product_key, "count": count})
        return taken.rowcount == 1

    def free_place(self, product_key: ProductKey) -> None:
        self._connection.execute(_FREE_PLACE, (product_key,))

    def domains(self, product_key: str) -> list[UserDomain]:
        return [UserDomain(row[0]) for row in self._connection.execute(_DOMAINS, (product_key,))]

    def set_domains(self, product_key: ProductKey, access: DomainAccess, user_domains: Iterable[UserDomain]) -> None:
        self._connection.execute(_SET_ACCESS, (access, product_key))
        self._connection.execute(_DROP_DOMAINS, (product_key,))
        self._connection.executemany(_ADD_DOMAIN, [(product_key, user_domain) for user_domain in user_domains])

    def is_open_to(self, product_key: str, user_domain: UserDomain) -> bool:
        found = self._connection.execute(_IS_OPEN, {"product_key": product_key, "user_domain": user_domain})
        return found.fetchone() is not None

    def _product(self, row: tuple[Any, ...]) -> Product:
        (
            product_key,
            sealed,
            name,
            bind_mode,
            re_enrol,
            device_limit,
            default_window_s,
            allow_device_key_binding,
            static_secrets,
            dynamic_enrolment,
            replay_strict,
            domain_access,
            device_count,
            created_at,
            allow_serial_binding,
            ble_only,
            allow_sharing,
        ) = row
        return Product(
            product_key=product_key,
            product_secret=self._seal.open(sealed, _place(product_key)),
            name=name,
            bind_mode=bind_mode,
            re_enrol=re_enrol,
            device_limit=device_limit,
            default_window_s=default_window_s,
            allow_device_key_binding=bool(allow_device_key_binding),
            static_secrets=bool(static_secrets),
            dynamic_enrolment=bool(dynamic_enrolment),
            replay_strict=bool(replay_strict),
            domain_access=domain_access,
            device_count=device_count,
            created_at=created_at,
            allow_serial_binding=bool(allow_serial_binding),
            ble_only=bool(ble_only),
            allow_sharing=bool(allow_sharing),
        )


def _place(product_key: object) -> str:
    return f"products/product_secret/{product_key}"
