"""Key-encryption keys that this process has itself, such as those of a keyring."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shieldx.privacy.key_encryption import AddKeyEncryptionKey, KeyEncryption, WrappedKey
from shieldx.privacy.key_wrapping import unwrap, wrap
from shieldx.privacy.subjects import SUBJECTS, pseudonym

if TYPE_CHECKING:
    from collections.abc import Mapping

    from shieldx.privacy.key_id import DataKeyId


class AddSubjectsKey(AddKeyEncryptionKey):
    """The privacy keyring lacks the key `subjects`, which makes pseudonyms, or that key is `first`.

    Create a keyring with `shieldx privacy keys new`. If this one was in use, take `subjects` from a backup: with
    another key every subject gets another pseudonym.
    """


class LocalKeys(KeyEncryption):
    """Wraps with the key `first`, and unwraps with any."""

    def __init__(self, first: str, keys: Mapping[str, bytes]) -> None:
        """`keys` has the key-encryption keys, and the key `subjects`.

        Raises:
            AddSubjectsKey: There is no key `subjects`, or it is the first.
        """
        if SUBJECTS not in keys:
            raise AddSubjectsKey(f"the privacy keyring has no key {SUBJECTS!r}, which makes the pseudonyms of subjects")
        if first == SUBJECTS:
            raise AddSubjectsKey(f"`first` of the privacy keyring is {SUBJECTS!r}, which must not wrap data keys")
        self._first = first
        self._keys = {key_id: key for key_id, key in keys.items() if key_id != SUBJECTS}
        self._subjects = keys[SUBJECTS]

    async def current_kek_id(self) -> str:
        """The id of the keyring's first key."""
        return self._first

    async def wrap(self, data_key: bytes, name: DataKeyId) -> WrappedKey:
        """Wrap with the first key."""
        return WrappedKey(self._first, wrap(data_key, self._keys[self._first], name))

    async def unwrap(self, wrapped: WrappedKey, name: DataKeyId) -> bytes:
        """Unwrap with the key that wrapped; see `KeyEncryption`."""
        kek = self._keys.get(wrapped.kek_id)
        if kek is None:
            raise AddKeyEncryptionKey(
                f"data key {name.key_id} is wrapped by {wrapped.kek_id!r}, which is not in the privacy keyring; it has "
                f"{', '.join(self._keys)}"
            )
        return unwrap(wrapped.wrapped, kek, name)

    async def rewrap(self, wrapped: WrappedKey, name: DataKeyId) -> WrappedKey:
        """Unwrap, and wrap with the first key."""
        return await self.wrap(await self.unwrap(wrapped, name), name)

    async def pseudonym(self, tenant_id: str, subject: str) -> str:
        """An HMAC with the key `subjects`."""
        return pseudonym(self._subjects, tenant_id, subject)
