"""What a device last told about itself (0x0034, 0x0044), as getDeviceBusinessAttributes shows it (app-api.md B2)."""

from typing import Self

import msgspec

from quecbind.center.services.views import OwnedDevice


class DeviceData(msgspec.Struct, rename="camel", kw_only=True):
    """Status and module information; null for what the device never told."""

    battery: object = None
    voltage: object = None
    signal_strength: object = None
    memory_free: object = None
    rsrp: object = None
    rsrq: object = None
    snr: object = None
    model: object = None
    version: object = None
    mcu_version: object = None
    cell_id: object = None
    iccid: object = None
    mcc: object = None
    mnc: object = None
    lac: object = None
    phone_number: object = None
    imsi: object = None
    sdk_version: object = None
    locate_type: object = None
    data_protocol: object = None
    communication_protocol: object = None


# Ids of the reports, device-center.md (status ids, info ids).
_STATUS_NAME_BY_ID = {
    "1": "battery",
    "2": "voltage",
    "3": "signal_strength",
    "4": "memory_free",
    "5": "rsrp",
    "6": "rsrq",
    "7": "snr",
}
_INFO_NAME_BY_ID = {
    "1": "model",
    "2": "version",
    "3": "mcu_version",
    "4": "cell_id",
    "5": "iccid",
    "6": "mcc",
    "7": "mnc",
    "8": "lac",
    "9": "phone_number",
    "10": "imsi",
    "11": "sdk_version",
    "12": "locate_type",
    "13": "data_protocol",
    "14": "communication_protocol",
}


class Attributes(msgspec.Struct, rename="camel"):
    """The whole answer. Properties of a thing model and locations are not kept by this server."""

    device_data: DeviceData
    customize_tsl_info: list[object]
    device_locate_info: dict[str, object]

    @classmethod
    def of(cls, device: OwnedDevice) -> Self:
        """The attributes of `device` as Apps read them."""
        known = _named(device.status, _STATUS_NAME_BY_ID) | _named(device.info, _INFO_NAME_BY_ID)
        return cls(DeviceData(**known), [], {})


def _named(report: dict[str, object], name_by_id: dict[str, str]) -> dict[str, object]:
    return {name_by_id[field_id]: value for field_id, value in report.items() if field_id in name_by_id}
