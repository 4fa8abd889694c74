"""What a device says into the air before anybody connects: its name and its manufacturer data (short-range.md D.2).

The layout of the manufacturer data is the document's. Which bit of the status byte says what is not published; here
bit 0 is "has a network", 1 "has an owner", 2 "bindable now", the order in which Apps name the three. Anyone can
advertise anything: this names a device, it proves nothing. No radio here, bytes alone.
"""

import binascii
from collections import namedtuple

from quecbind.wire import _text
from quecbind.wire.errors import BleError

SERVICE = 0x180A
DATA_CHARACTERISTIC = 0x9C40  # Write Request in, Indicate out
LOG_CHARACTERISTIC = 0x9C41  # Notify
COMPANY = 0x5551  # "QU" on air
VERSION = 1
MAX_ADVERTISEMENT = 31

WAN, LAN, BLE = 1, 2, 4  # what a device can talk over: flag bits 0 to 2

HAS_NETWORK, IS_BOUND, IS_BINDABLE = 1, 2, 4  # of the status byte
_ODD_LENGTH, _UPPER_CASE = 0x0100, 0x1000  # of the flags
_CAPABILITIES = 0x000F
_RESERVED = 0xEE00

_MAGIC = b"EC"
_AD_FLAGS = b"\x02\x01\x06"  # general discoverable, no classic Bluetooth
_AD_SERVICES, _AD_NAME, _AD_MANUFACTURER = 0x03, 0x09, 0xFF

# capabilities is None where the device says nothing of them
Advertised = namedtuple(
    "Advertised", ("product_key", "device_key", "version", "has_network", "is_bound", "is_bindable", "capabilities")
)


def name(device_key: str) -> str:
    """QUEC_BLE_ and the last four characters of the device key, upper case."""
    return "QUEC_BLE_" + device_key[-4:].upper()


def is_name(text: str) -> bool:
    """Whether a device of this kind would call itself that."""
    return text.startswith("QUEC_BLE_")


def can_advertise(device_key: str) -> bool:
    """Whether the device key fits the format: hex digits, all letters of one case."""
    if not device_key or device_key not in (device_key.lower(), device_key.upper()):
        return False
    return all(["0" <= letter <= "9" or "a" <= letter <= "f" for letter in device_key.lower()])


def packed_digits(device_key: str) -> "str | None":
    """The hex digits under which it is advertised, lower case and even in number; None when it cannot be."""
    if not can_advertise(device_key):
        return None
    return device_key.lower() + "0" * (len(device_key) % 2)


def manufacturer_data(product_key: str, device_key: str, status: int, capabilities: int) -> bytes:
    """The manufacturer data behind the company id.

    Raises:
        BleError: the device key cannot be packed, or a key is empty or over 255 bytes.
    """
    digits = packed_digits(device_key)
    if digits is None:
        raise BleError("advertisement: the device key must be hex digits of one case")
    flags = capabilities & _CAPABILITIES
    if len(device_key) % 2:
        flags |= _ODD_LENGTH
    if device_key != device_key.lower():
        flags |= _UPPER_CASE
    out = bytearray(_MAGIC)
    out += bytes((VERSION >> 8, VERSION & 255))
    for part in (product_key.encode(), binascii.unhexlify(digits)):
        if not 1 <= len(part) <= 255:
            raise BleError("advertisement: a key must have 1 to 255 bytes")
        out.append(len(part))
        out += part
    out += bytes((status, flags & 255, flags >> 8))
    return bytes(out)


def parse_manufacturer_data(data: bytes) -> "Advertised":
    """Whom the manufacturer data behind the company id names; flags may be missing, what follows them is ignored.

    Raises:
        BleError: not of this kind, or cut off.
    """
    if data[:2] != _MAGIC or len(data) < 5:
        raise BleError("advertisement: not one of this kind")
    product_key, at = _part(data, 4)
    packed, at = _part(data, at)
    if at >= len(data):
        raise BleError("advertisement: the status is missing")
    status = data[at]
    device_key = binascii.hexlify(packed).decode()
    flags = None
    if len(data) >= at + 3:
        flags = _flags(data[at + 1], data[at + 2], device_key)
    if flags is not None and flags & _ODD_LENGTH:
        device_key = device_key[:-1]
    if flags is not None and flags & _UPPER_CASE:
        device_key = device_key.upper()
    if len(product_key) > 32 or not _text.is_alphanumeric(product_key) or not 1 <= len(device_key) <= 32:
        raise BleError("advertisement: keys must be 1..32 of 0-9 A-Z a-z")
    return Advertised(
        product_key.decode(),
        device_key,
        data[2] << 8 | data[3],
        bool(status & HAS_NETWORK),
        bool(status & IS_BOUND),
        bool(status & IS_BINDABLE),
        None if flags is None else flags & _CAPABILITIES,
    )


def _flags(first: int, second: int, digits: str) -> int:
    """Little-endian; the other way round where only that makes sense, for devices are read both ways in the field."""
    little, big = first | second << 8, second | first << 8
    return big if _makes_sense(big, digits) and not _makes_sense(little, digits) else little


def _makes_sense(flags: int, digits: str) -> bool:
    return not flags & _RESERVED and (not flags & _ODD_LENGTH or digits[-1:] == "0")


def _part(data: bytes, at: int) -> "tuple[bytes, int]":
    """The bytes behind their length, and where they end."""
    if at >= len(data) or at + 1 + data[at] > len(data):
        raise BleError("advertisement: cut off")
    end = at + 1 + data[at]
    return bytes(data[at + 1 : end]), end


def advertisement(product_key: str, device_key: str, status: int, capabilities: int) -> bytes:
    """What is advertised, as AD structures.

    Raises:
        BleError: as `manufacturer_data`, or it is longer than an advertisement can be.
    """
    return advertised(manufacturer_data(product_key, device_key, status, capabilities))


def advertised(data: bytes) -> bytes:
    """Manufacturer data as it is advertised.

    Raises:
        BleError: it is longer than an advertisement can be.
    """
    out = _AD_FLAGS + _structure(_AD_MANUFACTURER, bytes((COMPANY & 255, COMPANY >> 8)) + data)
    if len(out) > MAX_ADVERTISEMENT:
        raise BleError("advertisement: product key and device key are too long for it")
    return out


def scan_response(device_key: str) -> bytes:
    """What whoever asks for more is told, as AD structures: the service and the name."""
    services = bytes((SERVICE & 255, SERVICE >> 8))
    return _structure(_AD_SERVICES, services) + _structure(_AD_NAME, name(device_key).encode())


def _structure(kind: int, data: bytes) -> bytes:
    return bytes((len(data) + 1, kind)) + data
