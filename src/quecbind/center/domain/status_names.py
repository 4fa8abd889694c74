"""The platform's names for what a device says of itself: ids of status and information reports (device-center.md 5)."""

from typing import Final

STATUS_NAME_BY_ID: Final = {
    1: "battery",
    2: "voltage",
    3: "signal_strength",
    4: "memory_free",
    5: "rsrp",
    6: "rsrq",
    7: "snr",
}
# As pushes have them; the last two are ours.
INFO_NAME_BY_ID: Final = {
    1: "type",
    2: "version",
    3: "mcu_version",
    4: "cell_id",
    5: "icc_id",
    6: "mcc",
    7: "mnc",
    8: "lac",
    9: "phone_num",
    10: "sim_num",
    11: "sdk_ver",
    12: "locator",
    13: "data_protocol_ver",
    14: "com_protocol_ver",
}
