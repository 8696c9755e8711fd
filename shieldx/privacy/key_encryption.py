"""The port to the keys that wrap data keys and make pseudonyms, wherever they are kept."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

from shieldx.errors import FixConfiguration, ShieldXError

if TYPE_CHECKING:
    from shieldx.privacy.key_id import DataKeyId


class AddKeyEncryptionKey(FixConfiguration):
    """A data key is wrapped by a key-encryption key that this process does not have.

    Add that key-encryption key to the privacy keyring, or use the Vault that has it.
    """


class DistrustWrappedKey(ShieldXError):
    """A wrapped data key was altered, or belongs to another tenant, subject or name.

    Do not use it; find out who wrote it.
    """


class UpgradeToReadKey(FixConfiguration):
    """A later release has wrapped the data key.

    Upgrade this program.
    """


class WrappedKey(NamedTuple):
    """A data key as it is stored: readable only with the key-encryption key `kek_id`."""

    kek_id: str
    wrapped: bytes
    """A byte for the version of the form, then what that form has."""


class KeyEncryption(Protocol):
    """Wraps data keys, and names subjects.

    Every method may raise an error that is named after its remedy if the keys cannot be reached.
    """

    async def current_kek_id(self) -> str:
        """The id of the key-encryption key that wraps from now on."""

    async def wrap(self, data_key: bytes, name: DataKeyId) -> WrappedKey:
        """Wrap a data key of 32 bytes with the current key-encryption key. The result is bound to the key's name."""

    async def unwrap(self, wrapped: WrappedKey, name: DataKeyId) -> bytes:
        """The data key.

        Raises:
            AddKeyEncryptionKey: The key-encryption key is missing.
            DistrustWrappedKey: It was altered, or is not the key of that name.
            UpgradeToReadKey: It has a form of a later release.
        """

    async def rewrap(self, wrapped: WrappedKey, name: DataKeyId) -> WrappedKey:
        """The same data key, wrapped by the current key-encryption key. Raises what `unwrap` does."""

    async def pseudonym(self, tenant_id: str, subject: str) -> str:
        """The pseudonym of a subject: 32 hexadecimal digits, always the same."""
