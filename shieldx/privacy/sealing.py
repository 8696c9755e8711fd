"""Seals values: encrypts them and binds them to their place, so that erasing the key erases the content.

docs/how-to/sealing.md says what is encrypted with what, for producers in other languages.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from shieldx.errors import ShieldXError
from shieldx.messages import Sealed
from shieldx.privacy.binding import bound_to, delimited

KEY_BYTES = 32
NONCE_BYTES = 12
"""NIST SP 800-38D, section 8.2: with random nonces of this size, one key can seal up to 2^32 values."""
_CONTEXT = b"shieldx.sealed/1"


class Use32ByteKey(ShieldXError, ValueError):
    """The key has the wrong size: AES-256 requires 32 bytes.

    Generate 32 random bytes.
    """


class UseFresh12ByteNonce(ShieldXError, ValueError):
    """The nonce has the wrong size. Two values with the same key and nonce can both be decrypted.

    Generate 12 random bytes for each value.
    """


class FindKeyOrGiveUp(ShieldXError):
    """The key of a sealed value is missing. If it was erased on purpose, nobody can read the value any more.

    If nobody has erased it, look for it in a backup.
    """


class DistrustPayload(ShieldXError):
    """A sealed value was altered, or sealed for another place or with another key of the same id.

    Do not use the value; find out who wrote it.
    """


class Place(NamedTuple):
    """Where a sealed value belongs. It opens nowhere else."""

    tenant_id: str
    topic: str
    field: str
    """A path such as `payment.reference`, `personal` or `payload`."""
    idempotency_key: str
    """That of the record, or of the command within a batch."""

    def __str__(self) -> str:
        return (
            f"{self.topic}, field {self.field!r}, tenant {self.tenant_id!r}, idempotency key {self.idempotency_key!r}"
        )


class SealingKey:
    """A data key, ready to seal and open any number of values."""

    __slots__ = ("_cipher", "key_id")

    def __init__(self, key: bytes, key_id: str) -> None:
        """Raise Use32ByteKey if the key has the wrong size."""
        if len(key) != KEY_BYTES:
            raise Use32ByteKey(f"key {key_id!r} has {len(key)} bytes; AES-256 needs {KEY_BYTES}")
        self.key_id = key_id
        self._cipher = AESGCM(key)

    def seal(self, value: bytes, place: Place, *, nonce: bytes) -> Sealed:
        """Encrypt a value for one place. Never use a nonce twice with the same key.

        Raises:
            UseFresh12ByteNonce: The nonce has the wrong size.
        """
        if len(nonce) != NONCE_BYTES:
            raise UseFresh12ByteNonce(
                f"the nonce has {len(nonce)} bytes; generate {NONCE_BYTES} random bytes for each value"
            )
        return Sealed(
            sealed="A256GCM/1",
            key_id=self.key_id,
            nonce=nonce,
            ciphertext=self._cipher.encrypt(nonce, value, associated_data(place)),
        )

    def open(self, sealed: Sealed, place: Place) -> bytes:
        """Decrypt the value of a place.

        Raises:
            DistrustPayload: The value was altered, belongs to another place, or names another key.
        """
        try:
            if sealed.key_id == self.key_id and len(sealed.nonce) == NONCE_BYTES:
                return self._cipher.decrypt(sealed.nonce, sealed.ciphertext, associated_data(place))
        except InvalidTag:
            pass
        raise DistrustPayload(
            f"the value is not what key {self.key_id!r} sealed for {place}: it was altered or moved here, or another "
            "key has the same id"
        )


def associated_data(place: Place) -> bytes:
    """The associated data of the ciphertexts of a place."""
    tenant_id, topic, field, idempotency_key = place
    return _associated_with_field(tenant_id, topic, field) + delimited(idempotency_key)


@lru_cache(maxsize=65_536)
def _associated_with_field(tenant_id: str, topic: str, field: str) -> bytes:
    """What the associated data of many records begins with. Cached: it takes as long as encrypting a kilobyte."""
    return bound_to(_CONTEXT, tenant_id, topic, field)
