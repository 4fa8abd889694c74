"""Thing models, by operators: import one as a whole, export it, remove it. What it means is in `domain.thing_model`.

A model is kept as the TSL document it renders to. Importing the model that is there changes nothing and leaves no
trace. What devices reported before is kept and read by the model of the moment.
"""

import json
import logging
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from quecbind.center.domain import refusal, tsl
from quecbind.center.domain.ids import ProductKey
from quecbind.center.domain.thing_model import ThingModel
from quecbind.center.domain.tsl import TslError
from quecbind.center.domain.tsl_document import render
from quecbind.center.services.desk import Desk, entry
from quecbind.center.services.errors import NotFound, Rejected
from quecbind.center.services.products import existing_product
from quecbind.center.services.records import ModelRow
from quecbind.center.services.rows import Tx
from quecbind.center.services.views import ModelView, Operator

logger = logging.getLogger(__name__)


class ModelDesk(Desk):
    """Thing models."""

    async def import_model(self, product_key: str, document: object, by: Operator) -> ModelView:
        """Give the product this model in place of the one it had.

        Raises:
            Rejected: 8400, it is no model; the sentence names the place.
        """
        try:
            model = tsl.parse(document)
        except TslError as error:
            raise Rejected(refusal.INVALID, str(error)) from None
        now_ms = self._now_ms()

        def work(tx: Tx) -> ModelRow:
            product = existing_product(tx, product_key)
            before = tx.models.get(product.product_key)
            if before is not None and _parsed(before) == model:
                return before
            text = json.dumps(render(model, product_key=product.product_key, version=version_of(now_ms)))
            after = ModelRow(product_key=product.product_key, document=text, imported_at=now_ms)
            tx.models.put(after)
            tx.audit.append(
                entry(by, "product.model_imported", now_ms, product_key=product_key, details={**_counts(model)})
            )
            return after

        row = await self._storage.transact(work, lambda row: self._registry.put_model(row.product_key, model))
        return _view(row, model)

    async def model(self, product_key: str) -> dict[str, Any]:
        """The product's model as a TSL document.

        Raises:
            NotFound: 5313, there is no such product; 8404, it has no model.
        """

        def look(tx: Tx) -> str:
            row = tx.models.get(existing_product(tx, product_key).product_key)
            if row is None:
                raise NotFound(refusal.NOT_FOUND, "the product has no thing model")
            return row.document

        found: dict[str, Any] = json.loads(self._storage.read(look))
        return found

    async def remove_model(self, product_key: str, by: Operator) -> None:
        """Leave the product without a model; nothing happens when it has none."""
        now_ms = self._now_ms()

        def work(tx: Tx) -> ProductKey:
            product = existing_product(tx, product_key)
            if tx.models.delete(product.product_key):
                tx.audit.append(entry(by, "product.model_removed", now_ms, product_key=product_key))
            return product.product_key

        await self._storage.transact(work, lambda key: self._registry.put_model(key, None))


def loaded(rows: Iterable[ModelRow]) -> dict[ProductKey, ThingModel]:
    """The models of all products. One that can no longer be read is said in the log, and its product has none."""
    models = {}
    for row in rows:
        try:
            models[row.product_key] = _parsed(row)
        except ValueError as error:
            logger.error("model.unreadable product_key=%s reason=%s", row.product_key, error)  # noqa: TRY400
    return models


def version_of(at_ms: int) -> str:
    """How the platform names the state of a model: its time in digits."""
    moment = datetime.fromtimestamp(at_ms / 1000, UTC)
    return f"{moment:%Y%m%d%H%M%S}{at_ms % 1000:03d}"


def _counts(model: ThingModel) -> dict[str, int]:
    groups = {"property": model.properties, "event": model.events, "service": model.services}
    return {f"{name}_count": len(group) for name, group in groups.items()}


def _parsed(row: ModelRow) -> ThingModel:
    return tsl.parse(json.loads(row.document))


def _view(row: ModelRow, model: ThingModel) -> ModelView:
    return ModelView(
        product_key=row.product_key,
        version=version_of(row.imported_at),
        imported_at=row.imported_at,
        **_counts(model),
    )
