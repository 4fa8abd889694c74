"""What a device last told about itself, as getDeviceBusinessAttributes shows it (app-api.md B2)."""

from typing import Any, Self

import msgspec

from quecbind.center.domain.status_names import INFO_NAME_BY_ID, STATUS_NAME_BY_ID
from quecbind.center.http.app_objects import text_time
from quecbind.center.services.views import Attributes, LastPlace, PropertyValue


class DeviceData(msgspec.Struct, rename="camel", kw_only=True):
    """Status and module information; null for what the device never told."""

    product_key: str
    device_key: str
    battery: object = None
    voltage: object = None
    signal_strength: object = None
    memory_free: object = None
    rsrp: object = None
    rsrq: object = None
    snr: object = None
    type: object = None
    version: object = None
    mcu_version: object = None
    cell_id: object = None
    iccid: object = None
    mcc: object = None
    mnc: object = None
    lac: object = None
    phone_num: object = None
    sim: object = None
    sdk_version: object = None
    locator: object = None
    data_protocol_ver: object = None
    com_protocol_ver: object = None


# Here three have other names than in pushes.
_INFO_NAME_BY_ID = INFO_NAME_BY_ID | {5: "iccid", 10: "sim", 11: "sdk_version"}


class TslInfo(msgspec.Struct, rename="camel", kw_only=True):
    """One property with its last value, all of it text. The platform spells `resourceValce` so."""

    ab_id: int
    resource_code: str
    resource_valce: str
    data_type: str
    name: str
    sub_type: str
    type: str = "PROPERTY"
    create_time: str

    @classmethod
    def of(cls, value: PropertyValue) -> Self:
        """The property as Apps read it."""
        return cls(
            ab_id=value.id,
            resource_code=value.code,
            resource_valce=value.text,
            data_type=value.data_type,
            name=value.name,
            sub_type=value.access,
            create_time=str(value.at),
        )


class LocateInfo(msgspec.Struct, rename="camel", kw_only=True, omit_defaults=True):
    """Where the device was when it last said so; empty when it never did."""

    product_key: str | None = None
    device_key: str | None = None
    create_time_ts: int | None = None
    create_time: str | None = None
    locate_raw: str | None = None
    locate_type: str | None = None
    lat: str | None = None
    lat_type: str | None = None
    lng: str | None = None
    lng_type: str | None = None
    hdop: str | None = None
    satellites: str | None = None

    @classmethod
    def of(cls, found: LastPlace | None, product_key: str, device_key: str) -> Self:
        """The place as Apps read it; latitude and longitude as NMEA has them."""
        if found is None:
            return cls()
        place = found.place
        facts: dict[str, Any] = {}
        if place is not None:
            facts = {
                "locate_type": place.system,
                "lat": place.latitude,
                "lat_type": place.north_south,
                "lng": place.longitude,
                "lng_type": place.east_west,
                "hdop": place.hdop,
                "satellites": None if place.satellite_count is None else str(place.satellite_count),
            }
        return cls(
            product_key=product_key,
            device_key=device_key,
            create_time_ts=found.at,
            create_time=text_time(found.at),
            locate_raw=found.text,
            **facts,
        )


class AttributesObject(msgspec.Struct, rename="camel"):
    """The whole answer; null for a part that was not asked for."""

    device_data: DeviceData | None
    customize_tsl_info: list[TslInfo] | None
    device_locate_info: LocateInfo | None

    @classmethod
    def of(cls, found: Attributes, product_key: str, device_key: str) -> Self:
        """The attributes as Apps read them."""
        data = None
        if found.status is not None and found.info is not None:
            told = {**_named(found.status, STATUS_NAME_BY_ID), **_named(found.info, _INFO_NAME_BY_ID)}
            data = DeviceData(product_key=product_key, device_key=device_key, **told)
        return cls(
            data,
            None if found.values is None else [TslInfo.of(value) for value in found.values],
            None if not found.is_place_asked else LocateInfo.of(found.place, product_key, device_key),
        )


def _named(report: dict[str, object], name_by_id: dict[int, str]) -> dict[str, object]:
    return {name: report[str(number)] for number, name in name_by_id.items() if str(number) in report}
