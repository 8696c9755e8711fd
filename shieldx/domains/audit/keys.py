"""The keys that sign the audit log, as far as this domain needs to know them."""

from __future__ import annotations

from typing import Protocol


class Keys(Protocol):
    """Secrets by the ids under which entries name them."""

    def __getitem__(self, key_id: str, /) -> bytes:
        """The secret of a key. Raises an error that names an id that is missing."""

    def __contains__(self, key_id: object, /) -> bool: ...


class SigningKeys(Keys, Protocol):
    """Keys, of which one comes first."""

    @property
    def first(self) -> str:
        """The id of the key that signs the first entry of a shard."""
