"""What Apps read of devices: the thing model, the last values, the owner's history.

Each answer is decided by what the caller owns or uses at that moment. A device that is not theirs is answered like one
that does not exist. Nobody sees what was reported before their hold of the device began, status, properties or
place: an owner's begins with the binding, the first one's with what a device that nobody had owned told just before
it; a member's with the share. Information that says what the device is, and not where, is shown as it is now. History
is for owners alone.

What a device told is taken apart a piece at a time, with everybody else's turn between two pieces: a device chooses how
long one takes. So the hold is looked at once more before the answer goes out.
"""

import asyncio
import json
from collections.abc import Collection
from typing import Any, Final

from quecbind.center.domain import location, refusal
from quecbind.center.domain.moment import to_ms
from quecbind.center.domain.thing_model import Property, ThingModel, read_events, read_fields
from quecbind.center.domain.thing_types import as_text, data_type, pushed
from quecbind.center.domain.tsl_document import render
from quecbind.center.services.becoming_owner import given_device_key, given_product_key
from quecbind.center.services.errors import NotFound, Rejected
from quecbind.center.services.find import held_by
from quecbind.center.services.ports import Clock, Storage
from quecbind.center.services.records import LastValue, OwnedRow, Report
from quecbind.center.services.registry import Registry
from quecbind.center.services.reports import PLACE_ID, decoded
from quecbind.center.services.rows import Tx
from quecbind.center.services.views import (
    Attributes,
    DeviceFilter,
    HistoryEntry,
    HistoryEvent,
    LastPlace,
    Page,
    PropertyValue,
    SignedIn,
    bounded_page,
)

BASE, TSL, LOCATION = 1, 2, 3
ALL_PARTS: Final = frozenset({BASE, TSL, LOCATION})


class DeviceData:
    """What users read. Every method is a coroutine, changes nothing, and raises Rejected with the platform's code."""

    def __init__(self, storage: Storage, registry: Registry, clock: Clock) -> None:
        self._storage = storage
        self._registry = registry
        self._clock = clock

    async def model(self, who: SignedIn, product_key: str) -> dict[str, Any]:
        """The TSL document of a product the caller has a device of, empty when it has none; 5041 for any other."""
        if not product_key:
            raise Rejected(refusal.PRODUCT_KEY_MISSING)
        wanted = DeviceFilter(product_keys=(product_key,))
        now_ms = to_ms(self._clock.now())
        _, count = self._storage.read(lambda tx: tx.owners.page_held(who.uid, wanted, 0, 1, now_ms))
        if not count:
            raise Rejected(refusal.NO_PERMISSION)
        row = self._storage.read(lambda tx: tx.models.get(product_key))
        if row is None:
            return render(ThingModel(), product_key=product_key, version="")
        found: dict[str, Any] = json.loads(row.document)
        return found

    async def attributes(
        self,
        who: SignedIn,
        product_key: str | None,
        device_key: str | None,
        parts: Collection[int] = ALL_PARTS,
        codes: Collection[str] = (),
    ) -> Attributes:
        """What a device of the caller last told: the parts asked for, of its properties those with these codes, or all.

        Raises:
            NotFound: 5052, it is no device of the caller.
        """
        product, key = given_product_key(product_key), given_device_key(device_key)
        now_ms = to_ms(self._clock.now())

        def look(tx: Tx) -> tuple[OwnedRow | None, list[LastValue]]:
            row = held_by(tx, who.uid, product, key, now_ms)
            if row is None:
                return None, []
            return row, tx.values.of_device(row.owner.device_id, row.held_since)

        row, values = self._storage.read(look)
        if row is None:
            raise NotFound(refusal.NOT_BOUND)
        shown = await self._shown(product, values, codes) if TSL in parts else None
        self._look_again(who, row)
        place = next((value for value in values if value.property_id == PLACE_ID), None)
        return Attributes(
            status=row.facts.status if BASE in parts else None,
            info=row.facts.info if BASE in parts else None,
            values=shown,
            place=_shown_place(place) if LOCATION in parts and place is not None else None,
            is_place_asked=LOCATION in parts,
        )

    async def history(
        self,
        who: SignedIn,
        product_key: str | None,
        device_key: str | None,
        since: int | None = None,
        until: int | None = None,
        page: int = 1,
        page_size: int = 10,
    ) -> Page[HistoryEntry]:
        """What a device of the caller reported since they own it, latest first.

        Args:
            since: UTC milliseconds, as `until`; both moments are included.

        Raises:
            NotFound: 5052, the caller does not own it.
        """
        product, key = given_product_key(product_key), given_device_key(device_key)
        now_ms = to_ms(self._clock.now())
        page, page_size, offset = bounded_page(page, page_size)

        def look(tx: Tx) -> tuple[OwnedRow | None, list[Report], int]:
            row = held_by(tx, who.uid, product, key, now_ms)
            if row is None or row.owner_uid != who.uid:
                return None, [], 0
            begin = row.owner.bound_at if since is None else max(since, row.owner.bound_at)
            end = now_ms if until is None else until
            return row, *tx.values.page(row.owner.device_id, begin, end, offset, page_size)

        row, found, count = self._storage.read(look)
        if row is None:
            raise NotFound(refusal.NOT_BOUND)
        entries = []
        for report in found:
            entries.append(self._entry(product, report.at, report.payload))
            await asyncio.sleep(0)
        self._look_again(who, row)
        return Page(entries, page, page_size, count)

    def _look_again(self, who: SignedIn, row: OwnedRow) -> None:
        product, now_ms = row.owner.product_key, to_ms(self._clock.now())
        again = self._storage.read(lambda tx: held_by(tx, who.uid, product, row.device_key, now_ms))
        if again is None or (again.owner_uid, again.held_since) != (row.owner_uid, row.held_since):
            raise NotFound(refusal.NOT_BOUND)

    async def _shown(self, product_key: str, values: list[LastValue], codes: Collection[str]) -> list[PropertyValue]:
        model = self._registry.model(product_key)
        if model is None:
            return []
        value_by_id = {value.property_id: value for value in values}
        shown = []
        for known in model.properties:
            value = value_by_id.get(known.id)
            if value is None or (codes and known.code not in codes):
                continue
            await asyncio.sleep(0)
            told = read_fields(model, decoded(value.field))
            shown += [_property_value(known, as_text(plain), value.at) for plain in told.values()]
        return shown

    def _entry(self, product_key: str, at: int, payload: bytes) -> HistoryEntry:
        model = self._registry.model(product_key)
        if model is None:
            return HistoryEntry(at, {}, [])
        fields = decoded(payload)
        return HistoryEntry(
            at,
            pushed(read_fields(model, fields)),
            [HistoryEvent(event.code, event.level, pushed(values)) for event, values in read_events(model, fields)],
        )


def _property_value(known: Property, text: str, at: int) -> PropertyValue:
    return PropertyValue(
        id=known.id,
        code=known.code,
        name=known.name,
        data_type=data_type(known.type),
        access=known.access,
        text=text,
        at=at,
    )


def _shown_place(value: LastValue) -> LastPlace:
    text = value.field.decode("utf-8", "replace")
    return LastPlace(text, location.place_of(text), value.at)
