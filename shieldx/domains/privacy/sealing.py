"""Sealing a payload: encrypted and bound to its append, so that erasing the key erases what it said.

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
"""NIST SP 800-38D, section 8.2: random nonces of this size seal up to 2^32 payloads by one key."""
_CONTEXT = b"shieldx.sealed/1"
_LENGTHS = Struct(">II")


class Use32ByteKey(ValueError):
    """AES-256 has keys of 32 bytes, and no others."""


class UseFresh12ByteNonce(ValueError):
    """Take 12 random bytes for each payload: two that share key and nonce can both be read."""


class FindKeyOrGiveUp(Exception):
    """The payload's key is not there: if it was erased on purpose, nobody can read the payload any more."""


class DistrustPayload(Exception):
    """The payload was altered, or sealed for another append, or by another key of the same id."""


def seal(payload: bytes, *, key: bytes, key_id: str, nonce: bytes, tenant_id: str, idempotency_key: str) -> Sealed:
    """Encrypt a payload for one append. Never use a nonce twice with one key.

    Raises:
        Use32ByteKey: the key has another size.
        UseFresh12ByteNonce: the nonce has another size.
    """
    if len(nonce) != NONCE_BYTES:
        raise UseFresh12ByteNonce(f"the nonce has {len(nonce)} bytes; make {NONCE_BYTES} random ones for each payload")
    ciphertext = _cipher(key, key_id).encrypt(nonce, payload, _associated(tenant_id, idempotency_key))
    return Sealed(sealed="A256GCM", key_id=key_id, nonce=nonce, ciphertext=ciphertext)


def open_sealed(sealed: Sealed, keys: Mapping[str, bytes], *, tenant_id: str, idempotency_key: str) -> bytes:
    """The payload that was sealed for that append.

    Raises:
        FindKeyOrGiveUp: `keys` has not the key that it was sealed by.
        DistrustPayload: it is not what was sealed.
        Use32ByteKey: the key has another size.
    """
    if sealed.key_id not in keys:
        raise FindKeyOrGiveUp(
            f"key {sealed.key_id!r} is gone: if it was erased, nobody can read this payload any more; if it was lost, "
            "look for it in a backup"
        )
    cipher = _cipher(keys[sealed.key_id], sealed.key_id)
    try:
        return cipher.decrypt(sealed.nonce, sealed.ciphertext, _associated(tenant_id, idempotency_key))
    except (InvalidTag, ValueError) as error:  # ValueError: a nonce of an impossible size
        raise DistrustPayload(
            f"this is not what was sealed by key {sealed.key_id!r} for tenant {tenant_id!r} and idempotency key "
            f"{idempotency_key!r}: it was altered or moved here, or that is another key of the same id"
        ) from error


def _cipher(key: bytes, key_id: str) -> AESGCM:
    if len(key) != KEY_BYTES:
        raise Use32ByteKey(f"key {key_id!r} has {len(key)} bytes; AES-256 needs {KEY_BYTES}")
    return AESGCM(key)


def _associated(tenant_id: str, idempotency_key: str) -> bytes:
    """What the ciphertext is bound to. Injective: the lengths say where the tenant ends."""
    tenant, key = tenant_id.encode(), idempotency_key.encode()
    return _CONTEXT + _LENGTHS.pack(len(tenant), len(key)) + tenant + key
