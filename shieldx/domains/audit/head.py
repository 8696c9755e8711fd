"""How far a shard's chain has come: what the next entry is linked to, and what a truncated log is found out by."""

from __future__ import annotations

from hmac import compare_digest
from hmac import digest as hmac_digest
from typing import TYPE_CHECKING, Annotated

import msgspec

from shieldx.domains.audit.entry import GENESIS

if TYPE_CHECKING:
    from shieldx.domains.audit.entry import AuditEntry
    from shieldx.domains.audit.keys import Keys

_CONTEXT = "shieldx.audit.head/1"


class Head(msgspec.Struct, frozen=True, kw_only=True, gc=False, forbid_unknown_fields=True):
    """The last entry of a shard: its sequence number and hash, and the id of the key that signs the next one.

    `sequence` is -1 before the first entry. The MAC is by the key that signs next.
    """

    shard: Annotated[int, msgspec.Meta(ge=0, le=2**31 - 1)]
    sequence: Annotated[int, msgspec.Meta(ge=0, le=2**53 - 1)]
    at: str
    hash: str
    next_key_id: str
    mac: str = ""

    @classmethod
    def before_first(cls, shard: int, key_id: str) -> Head:
        """The head of a shard without entries."""
        return cls(shard=shard, sequence=-1, at="", hash=GENESIS, next_key_id=key_id)

    @classmethod
    def of(cls, entry: AuditEntry) -> Head:
        """The head that an entry leaves, without its MAC: most heads are passed over before anybody sees them."""
        return cls(
            shard=entry.shard,
            sequence=entry.sequence,
            at=entry.at,
            hash=entry.hash,
            next_key_id=entry.next_key_id,
        )

    def signed(self, keys: Keys) -> Head:
        """The head with its MAC."""
        return msgspec.structs.replace(self, mac=self._mac(keys))

    def is_genuine(self, keys: Keys) -> bool:
        """Whether the MAC is right."""
        return compare_digest(self.mac.encode(), self._mac(keys).encode())

    def _mac(self, keys: Keys) -> str:
        # Neither hash nor time can hold a line feed, numbers neither: the lines can be told apart.
        text = f"{_CONTEXT}\n{self.shard}\n{self.sequence}\n{self.at}\n{self.hash}\n{self.next_key_id}"
        return hmac_digest(keys[self.next_key_id], text.encode(), "sha256").hex()
