"""Seals payloads: encrypts them and binds them to their append, so that erasing the key erases the content.

docs/how-to/audit-keys.md says what is encrypted with what, for producers in other languages.
"""

from __future__ import annotations

from struct import Struct
from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from shieldx.messages import Sealed

if TYPE_CHECKING:
    from collections.abc import Mapping

KEY_BYTES = 32
NONCE_BYTES = 12
"""NIST SP 800-38D, section 8.2: with random nonces of this size, one key can seal up to 2^32 payloads."""
_CONTEXT = b"shieldx.sealed/1"
_LENGTHS = Struct(">II")


class Use32ByteKey(ValueError):
    """The key has the wrong size: AES-256 requires 32 bytes."""


class UseFresh12ByteNonce(ValueError):
    """Generate 12 random bytes for each payload: two payloads with the same key and nonce can both be decrypted."""


class FindKeyOrGiveUp(Exception):
    """The payload's key is missing. If it was erased on purpose, nobody can read the payload any more."""


class DistrustPayload(Exception):
    """The payload was altered, or sealed for another append or with another key of the same id."""


def seal(payload: bytes, *, key: bytes, key_id: str, nonce: bytes, tenant_id: str, idempotency_key: str) -> Sealed:
    """Encrypt a payload for one append. Never use a nonce twice with the same key.

    Raises:
        Use32ByteKey: The key has the wrong size.
        UseFresh12ByteNonce: The nonce has the wrong size.
    """
    if len(nonce) != NONCE_BYTES:
        raise UseFresh12ByteNonce(
            f"the nonce has {len(nonce)} bytes; generate {NONCE_BYTES} random bytes for each payload"
        )
    ciphertext = _cipher(key, key_id).encrypt(nonce, payload, _associated(tenant_id, idempotency_key))
    return Sealed(sealed="A256GCM", key_id=key_id, nonce=nonce, ciphertext=ciphertext)


def open_sealed(sealed: Sealed, keys: Mapping[str, bytes], *, tenant_id: str, idempotency_key: str) -> bytes:
    """Decrypt the payload of an append.

    Raises:
        FindKeyOrGiveUp: `keys` does not contain the payload's key.
        DistrustPayload: The payload was altered or belongs to another append.
        Use32ByteKey: The key has the wrong size.
    """
    if sealed.key_id not in keys:
        raise FindKeyOrGiveUp(
            f"key {sealed.key_id!r} is missing: if it was erased, nobody can read this payload any more; if it was "
            "lost, look for it in a backup"
        )
    cipher = _cipher(keys[sealed.key_id], sealed.key_id)
    try:
        return cipher.decrypt(sealed.nonce, sealed.ciphertext, _associated(tenant_id, idempotency_key))
    except (InvalidTag, ValueError) as error:  # ValueError: the nonce has an invalid size
        raise DistrustPayload(
            f"the payload is not what key {sealed.key_id!r} sealed for tenant {tenant_id!r} and idempotency key "
            f"{idempotency_key!r}: it was altered or moved here, or another key has the same id"
        ) from error


def _cipher(key: bytes, key_id: str) -> AESGCM:
    if len(key) != KEY_BYTES:
        raise Use32ByteKey(f"key {key_id!r} has {len(key)} bytes; AES-256 needs {KEY_BYTES}")
    return AESGCM(key)


def _associated(tenant_id: str, idempotency_key: str) -> bytes:
    """The associated data of the ciphertext. Injective, because the lengths delimit the tenant id."""
    tenant, key = tenant_id.encode(), idempotency_key.encode()
    return _CONTEXT + _LENGTHS.pack(len(tenant), len(key)) + tenant + key
