"""quecIot: a device's link to its Developer Center, call for call the module of that name on QuecPython firmware.

A call that cannot be done returns False (getters None) and says why in the log; nothing raises but a wrong number of
arguments, nothing waits for the network. Each call, its ranges and its events: docs/reference/quecIot.md.
"""

from quecIot._device import Device as _Device
from quecIot._options import DEFAULT_SERVER as _DEFAULT_SERVER

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

del TYPE_CHECKING

_device = _Device()


def init() -> bool:
    """Readies the module; once at start. A second call leaves the Developer Center, as setConnmode(0) does."""
    return _device.init()


def bindcodeSet(bindcode: "Any", timeout: "Any" = 120) -> bool:
    """Opens the bind window: 16 of 0-9 A-F (None or "": random) for 0..4294967295 s; 0 closes it."""
    return _device.bindcode_set(bindcode, timeout)


def bindcodeGet() -> "list[Any] | None":
    """[bindcode, seconds left] while the bind window is open."""
    return _device.bindcode_get()


def rst() -> bool:
    """Forgets device secret, bind code and bind secret: the device belongs to nobody and enrols again."""
    return _device.rst()


def setPairingPin(pin: "Any" = None) -> bool:
    """quecbind extension: only who knows this PIN, 6 to 16 digits, gets the bind code; None or "": everyone near."""
    return _device.set_pairing_pin(pin)


def setConnmode(mode: "Any") -> bool:
    """1: connect and stay connected; 0: leave, or do not connect."""
    return _device.set_connmode(mode)


def getConnmode() -> "int | None":
    """What setConnmode last said: 0 or 1."""
    return _device.get_connmode()


def getWorkState() -> int:
    """0 not initialised .. 8 data can be sent .. 12."""
    return _device.get_work_state()


def setEventCB(callback: "Any") -> bool:
    """callback((event, code[, data])), on a thread of the module, one event at a time."""
    return _device.set_event_cb(callback)


def setProvisionCB(callback: "Any") -> bool:
    """callback(ssid, password) when an App gives the device a network over BLE; not one of the vendor's calls."""
    return _device.set_provision_cb(callback)


def setProductinfo(pk: "Any", ps: "Any") -> bool:
    """Product key and product secret; a change of either drops the device secret."""
    return _device.set_productinfo(pk, ps)


def getProductinfo() -> "tuple[str, str, str] | None":
    """(product key, product secret, authentication version)."""
    return _device.get_productinfo()  # type: ignore[no-any-return]


def setServer(type: "Any" = 1, server: "Any" = _DEFAULT_SERVER) -> bool:  # noqa: A002 - the vendor's name
    """Type 1 (MQTT) and "host:port", "mqtt://host:port" or "mqtts://host:port"."""
    return _device.set_server(type, server)


def getServer() -> "tuple[int, str] | None":
    """(1, the server in use)."""
    return _device.get_server()  # type: ignore[no-any-return]


def setLifetime(lifetime: "Any") -> bool:
    """Keep-alive, 1..65535 s."""
    return _device.set_setting("setLifetime", "lifetime", lifetime)


def getLifetime() -> "int | None":
    return _device.get_setting("getLifetime", "lifetime")  # type: ignore[no-any-return]


def setPdpContextId(id: "Any") -> bool:  # noqa: A002 - the vendor's name
    """Only 1."""
    return _device.set_pdp_context_id(id)


def getPdpContextId() -> "int | None":
    return _device.get_pdp_context_id()  # type: ignore[no-any-return]


def setSessionFlag(flag: "Any") -> bool:
    """Whether to ask the Developer Center for an encrypted session."""
    return _device.set_setting("setSessionFlag", "session_flag", flag)


def getSessionFlag() -> "bool | None":
    return _device.get_setting("getSessionFlag", "session_flag")  # type: ignore[no-any-return]


def setSoftVersion(version: "Any") -> bool:
    """Text that is appended to the firmware version."""
    return _device.set_setting("setSoftVersion", "soft_version", version)


def getSoftVersion() -> "str | None":
    return _device.get_setting("getSoftVersion", "soft_version")  # type: ignore[no-any-return]


def setMcuVersion(component: "Any", version: "Any") -> bool:
    """The version of one MCU component; an empty version removes the component."""
    return _device.set_mcu_version(component, version)


def getMcuVersion() -> "list[tuple[str, str]] | None":
    """A list of (component, version)."""
    return _device.get_mcu_version()  # type: ignore[no-any-return]


def setDkDs(dk: "Any" = "", ds: "Any" = "") -> bool:
    """An own device key, and its device secret if it has one; both empty return to the default device key."""
    return _device.set_dk_ds(dk, ds)


def getDkDs() -> "tuple[str, str] | None":
    """(device key, device secret); None while the default device key is in use."""
    return _device.get_dk_ds()  # type: ignore[no-any-return]


def passTransSend(mode: "Any", data: "Any") -> bool:
    """Sends bytes with QoS 0, 1 or 2; event 4 tells what became of them."""
    return _device.pass_trans_send("passTransSend", mode, data) > 0


def passTransSend_ex(mode: "Any", data: "Any") -> int:
    """passTransSend, giving the packet id that event 4 will name, or -1."""
    return _device.pass_trans_send("passTransSend_ex", mode, data)


def phymodelReport(mode: "Any", dict: "Any") -> bool:  # noqa: A002 - the vendor's name
    """Reports {property id: value} with QoS 0, 1 or 2."""
    return _device.phymodel_report("phymodelReport", mode, dict) > 0


def phymodelReport_ex(mode: "Any", dict: "Any") -> int:  # noqa: A002 - the vendor's name
    """phymodelReport, giving the packet id that event 4 will name, or -1."""
    return _device.phymodel_report("phymodelReport_ex", mode, dict)


def phymodelAck(mode: "Any", pkgid: "Any", dict: "Any") -> bool:  # noqa: A002 - the vendor's name
    """Answers event 5,10211; pkgid is the one it named."""
    return _device.phymodel_ack(mode, pkgid, dict)


def statusReport(ids: "Any") -> bool:
    """Reports device status: 1 battery, 2 voltage, 3 RSSI, 4 free space."""
    return _device.status_report(ids)


def getDevStatus(ids: "Any") -> "dict[int, Any] | None":
    """{id: value} of those that this machine has."""
    return _device.get_dev_status(ids)


def devInfoReport(ids: "Any") -> bool:
    """Reports module information: 1 model .. 14 communication protocol."""
    return _device.dev_info_report(ids)


def getDevInfo(ids: "Any") -> "dict[int, str] | None":
    """{id: text}."""
    return _device.get_dev_info(ids)
