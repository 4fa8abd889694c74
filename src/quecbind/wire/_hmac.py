"""HMAC-SHA256 and the comparison that takes the same time whatever differs; MicroPython ships neither."""

TYPE_CHECKING = False

try:
    import hmac as _stdlib
except ImportError:
    _stdlib = None  # type: ignore[assignment]  # MicroPython

if TYPE_CHECKING or _stdlib is not None:

    def sha256(key: bytes, message: bytes) -> bytes:
        return _stdlib.digest(key, message, "sha256")

    compare = _stdlib.compare_digest

else:
    import hashlib

    def sha256(key: bytes, message: bytes) -> bytes:
        if len(key) > 64:
            key = hashlib.sha256(key).digest()
        key = key + bytes(64 - len(key))
        inner = hashlib.sha256(bytes(byte ^ 0x36 for byte in key) + message).digest()
        return hashlib.sha256(bytes(byte ^ 0x5C for byte in key) + inner).digest()

    def compare(a: bytes, b: bytes) -> bool:
        if len(a) != len(b):
            return False
        difference = 0
        for at in range(len(a)):
            difference |= a[at] ^ b[at]
        return difference == 0
