"""Secrets at rest: sealed with AES-256-GCM, or kept as keyed hashes, all under one master key.

A sealed value is bound to its place (table, column, row): moved to another row it does not open. Two keys are derived
from the master key, one to seal and one to hash, so that neither use says anything about the other.
"""

import hashlib
import hmac
import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from quecbind.center.domain.ids import Secret
from quecbind.center.services.errors import StorageError

MASTER_KEY_SIZE = 32

_NONCE_SIZE = 12
_VERSION = b"\x01"


class SealError(StorageError):
    """A sealed value does not open: another master key, another row, or changed bytes."""


class Seal:
    """Seals, opens and hashes. Safe to use from several threads."""

    def __init__(self, master_key: bytes) -> None:
        if len(master_key) != MASTER_KEY_SIZE:
            raise ValueError(f"a master key has {MASTER_KEY_SIZE} bytes")
        self._cipher = AESGCM(_derive(master_key, b"quecbind seal"))
        self._mac_key = _derive(master_key, b"quecbind mac")

    def __repr__(self) -> str:
        return "<Seal>"

    def seal(self, secret: Secret, place: str) -> bytes:
        """The bytes to store at `place` ("table/column/row")."""
        nonce = os.urandom(_NONCE_SIZE)
        return _VERSION + nonce + self._cipher.encrypt(nonce, secret.reveal().encode(), place.encode())

    def open(self, sealed: bytes, place: str) -> Secret:
        """The secret stored at `place`.

        Raises:
            SealError: it was not sealed with this master key, for this place.
        """
        if len(sealed) <= len(_VERSION) + _NONCE_SIZE or sealed[:1] != _VERSION:
            raise SealError(f"{place} is not a sealed value")
        nonce, data = sealed[1 : 1 + _NONCE_SIZE], sealed[1 + _NONCE_SIZE :]
        try:
            return Secret(self._cipher.decrypt(nonce, data, place.encode()).decode())
        except InvalidTag:
            raise SealError(f"{place} was sealed with another master key, or changed") from None

    def mac(self, purpose: str, *parts: str) -> bytes:
        """Keyed hash of `parts` in this order; lengths count, so ("a", "bc") differs from ("ab", "c")."""
        message = bytearray()
        for part in (purpose, *parts):
            octets = part.encode()
            message += len(octets).to_bytes(4, "big") + octets
        return hmac.digest(self._mac_key, bytes(message), "sha256")


def _derive(master_key: bytes, purpose: bytes) -> bytes:
    # The master key is uniformly random already, so one keyed hash is all the derivation it needs.
    return hmac.digest(master_key, purpose, hashlib.sha256)
