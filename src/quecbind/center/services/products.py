"""Products, by operators: create, change, limit to user domains, delete."""

import dataclasses
from typing import Any

from quecbind.center.domain import refusal
from quecbind.center.domain.ids import ProductKey, Secret, UserDomain, is_product_key
from quecbind.center.domain.product import BIND_MODES, MAX_WINDOW_S, RE_ENROL_POLICIES, DomainAccess, Product
from quecbind.center.services.desk import Desk, checked_name, entry
from quecbind.center.services.errors import Conflict, NotFound, Rejected
from quecbind.center.services.rows import Tx
from quecbind.center.services.views import Operator, Page, ProductChanges, ProductSpec, ProductView, bounded_page

PRODUCT_KEY_PREFIX = "p1"
PRODUCT_KEY_TAIL = 4
PRODUCT_SECRET_LENGTH = 16
MAX_SECRET_LENGTH = 64
MAX_DEVICE_LIMIT = 10_000_000

_TRIES = 100


class ProductDesk(Desk):
    """Products."""

    async def create_product(self, spec: ProductSpec, by: Operator) -> ProductView:
        """Make a product; its secret is in the answer and in no other.

        Raises:
            NotFound: 5015, one of the user domains does not exist.
            Conflict: 8409, the product key is taken.
        """
        secret = Secret(spec.product_secret or self._entropy.text(PRODUCT_SECRET_LENGTH))
        if not (secret.reveal().isascii() and secret.reveal().isalnum() and len(secret.reveal()) <= MAX_SECRET_LENGTH):
            raise Rejected(refusal.INVALID, f"a product secret has 1 to {MAX_SECRET_LENGTH} letters or digits")
        if spec.product_key is not None and not is_product_key(spec.product_key):
            raise Rejected(refusal.INVALID, "a product key has 1 to 32 letters or digits")
        candidates = [spec.product_key] if spec.product_key else [self._new_product_key() for _ in range(_TRIES)]
        now_ms = self._now_ms()
        product = _checked(
            Product(
                product_key=ProductKey(""),
                product_secret=secret,
                name=checked_name(spec.name),
                bind_mode=spec.bind_mode,
                re_enrol=spec.re_enrol,
                device_limit=spec.device_limit,
                default_window_s=spec.default_window_s,
                allow_device_key_binding=spec.allow_device_key_binding,
                static_secrets=spec.static_secrets,
                dynamic_enrolment=spec.dynamic_enrolment,
                replay_strict=spec.replay_strict,
                allow_serial_binding=spec.allow_serial_binding,
                ble_only=spec.ble_only,
                allow_sharing=spec.allow_sharing,
                created_at=now_ms,
            )
        )

        def work(tx: Tx) -> tuple[Product, list[UserDomain]]:
            wanted = _existing_domains(tx, spec.user_domains)
            free = next((key for key in candidates if tx.products.get(key) is None), None)
            if free is None:
                raise Conflict(refusal.CONFLICT, "this product key is taken")
            tx.products.insert(dataclasses.replace(product, product_key=ProductKey(free)))
            details = _shown(product)
            # In the same transaction: there is no moment in which a product is open to Apps it is not for.
            if spec.user_domains is not None:
                tx.products.set_domains(ProductKey(free), "listed", wanted)
                details |= {"domain_access": "listed", "user_domains": wanted}
            tx.audit.append(entry(by, "product.created", now_ms, product_key=free, details=details))
            return existing_product(tx, free), wanted

        created, domains = await self._storage.transact(work, lambda result: self._registry.put_product(result[0]))
        return _view(created, domains, secret.reveal())

    async def products(self, page: int = 1, page_size: int = 50) -> Page[ProductView]:
        """One page of products, oldest first."""
        page, page_size, offset = bounded_page(page, page_size)

        def look(tx: Tx) -> tuple[list[ProductView], int]:
            found, count = tx.products.page(offset, page_size)
            return [_view(product, tx.products.domains(product.product_key)) for product in found], count

        views, count = self._storage.read(look)
        return Page(views, page, page_size, count)

    async def product(self, product_key: str) -> ProductView:
        """One product."""

        def look(tx: Tx) -> ProductView:
            product = existing_product(tx, product_key)
            return _view(product, tx.products.domains(product.product_key))

        return self._storage.read(look)

    async def change_product(self, product_key: str, changes: ProductChanges, by: Operator) -> ProductView:
        """Change what `changes` names; applies to the next log-in and the next bind.

        Raises:
            Conflict: 5410, the bind mode cannot change while a device of the product is bound.
        """
        given = {name: value for name, value in _fields(changes).items() if value is not None}
        if "name" in given:
            given["name"] = checked_name(str(given["name"]))
        now_ms = self._now_ms()

        def work(tx: Tx) -> tuple[Product, list[UserDomain]]:
            before = existing_product(tx, product_key)
            after = _checked(dataclasses.replace(before, **given))
            if after.bind_mode != before.bind_mode and tx.products.owner_count(before.product_key):
                raise Conflict(refusal.BIND_MODE_LOCKED)
            tx.products.update(after)
            tx.audit.append(entry(by, "product.changed", now_ms, product_key=product_key, details=given))
            return after, tx.products.domains(product_key)

        product, domains = await self._storage.transact(work, lambda result: self._registry.put_product(result[0]))
        return _view(product, domains)

    async def set_product_domains(self, product_key: str, user_domains: list[str] | None, by: Operator) -> ProductView:
        """Let only the Apps of these user domains bind the product's devices; None lets all. Owners stay.

        Raises:
            NotFound: 5015, one of the user domains does not exist.
        """
        now_ms = self._now_ms()

        def work(tx: Tx) -> ProductView:
            product = existing_product(tx, product_key)
            wanted = _existing_domains(tx, user_domains)
            access: DomainAccess = "all" if user_domains is None else "listed"
            tx.products.set_domains(product.product_key, access, wanted)
            details: dict[str, object] = {"domain_access": access, "user_domains": wanted}
            tx.audit.append(entry(by, "product.domains_set", now_ms, product_key=product_key, details=details))
            return _view(existing_product(tx, product_key), tx.products.domains(product_key))

        return await self._storage.transact(work)

    async def delete_product(self, product_key: str, by: Operator) -> None:
        """Delete a product that has no devices.

        Raises:
            Conflict: 8409, it has devices.
        """
        now_ms = self._now_ms()

        def work(tx: Tx) -> ProductKey:
            product = existing_product(tx, product_key)
            if product.device_count:
                raise Conflict(refusal.CONFLICT, "the product has devices: delete them first")
            tx.products.delete(product.product_key)
            tx.audit.append(entry(by, "product.deleted", now_ms, product_key=product_key))
            return product.product_key

        await self._storage.transact(work, self._registry.drop_product)

    def _new_product_key(self) -> str:
        return PRODUCT_KEY_PREFIX + self._entropy.text(PRODUCT_KEY_TAIL)


def existing_product(tx: Tx, product_key: str) -> Product:
    """The product with this key.

    Raises:
        NotFound: 5313, there is none.
    """
    product = tx.products.get(product_key) if is_product_key(product_key) else None
    if product is None:
        raise NotFound(refusal.PRODUCT_UNKNOWN)
    return product


def _existing_domains(tx: Tx, user_domains: list[str] | None) -> list[UserDomain]:
    wanted = sorted(set(user_domains or ()))
    for user_domain in wanted:
        if not user_domain.isascii() or tx.domains.get(user_domain) is None:
            raise NotFound(refusal.DOMAIN_UNKNOWN)
    return [UserDomain(one) for one in wanted]


def _checked(product: Product) -> Product:
    if product.bind_mode not in BIND_MODES:
        raise Rejected(refusal.INVALID, f"bind_mode is one of {', '.join(BIND_MODES)}")
    if product.re_enrol not in RE_ENROL_POLICIES:
        raise Rejected(refusal.INVALID, f"re_enrol is one of {', '.join(RE_ENROL_POLICIES)}")
    if not 0 <= product.device_limit <= MAX_DEVICE_LIMIT:
        raise Rejected(refusal.INVALID, f"device_limit is 0 to {MAX_DEVICE_LIMIT}")
    if not 1 <= product.default_window_s <= MAX_WINDOW_S:
        raise Rejected(refusal.INVALID, f"default_window_s is 1 to {MAX_WINDOW_S} seconds")
    return product


def _fields(changes: ProductChanges) -> dict[str, Any]:
    return {field.name: getattr(changes, field.name) for field in dataclasses.fields(changes)}


def _shown(product: Product) -> dict[str, object]:
    shown = ("name", "bind_mode", "re_enrol", "allow_sharing")
    return {name: getattr(product, name) for name in shown}


def _view(product: Product, domains: list[UserDomain], secret: str | None = None) -> ProductView:
    return ProductView(
        product_key=product.product_key,
        product_secret=secret,
        name=product.name,
        bind_mode=product.bind_mode,
        re_enrol=product.re_enrol,
        device_limit=product.device_limit,
        device_count=product.device_count,
        default_window_s=product.default_window_s,
        allow_device_key_binding=product.allow_device_key_binding,
        static_secrets=product.static_secrets,
        dynamic_enrolment=product.dynamic_enrolment,
        replay_strict=product.replay_strict,
        allow_serial_binding=product.allow_serial_binding,
        ble_only=product.ble_only,
        allow_sharing=product.allow_sharing,
        domain_access=product.domain_access,
        user_domains=domains,
        created_at=product.created_at,
    )
