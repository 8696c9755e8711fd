"""Keys for one purpose, derived from those of a keyring."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

if TYPE_CHECKING:
    from shieldx.keyring.keyring import Keyring

DERIVED_BYTES = 32


def derived(secret: bytes, purpose: str) -> bytes:
    """A key for a purpose (HKDF with SHA-256, RFC 5869). It reveals neither the secret nor keys for other purposes."""
    return HKDF(algorithm=SHA256(), length=DERIVED_BYTES, salt=None, info=purpose.encode()).derive(secret)


class DerivedKeys:
    """The keys of a keyring for one purpose, by the same ids."""

    def __init__(self, ring: Keyring, purpose: str) -> None:
        self.first = ring.first
        self._keys = {key_id: derived(secret, purpose) for key_id, secret in ring.items()}

    def __getitem__(self, key_id: str) -> bytes:
        """The derived key.

        Raises:
            KeyError: The keyring has no key with that id.
        """
        return self._keys[key_id]

    def __contains__(self, key_id: object) -> bool:
        return key_id in self._keys
