"""The head of a shard's chain: the next entry links to it, and it reveals a truncated log."""

from __future__ import annotations

from hmac import compare_digest
from hmac import digest as hmac_digest
from typing import TYPE_CHECKING

import msgspec

from shieldx.domains.audit.entry import GENESIS, Sequence, Shard
from shieldx.messages import AnyId, Digest, Rfc3339

if TYPE_CHECKING:
    from shieldx.domains.audit.entry import AuditEntry
    from shieldx.domains.audit.keys import Keys

_CONTEXT = "shieldx.audit.head/1"


class Head(msgspec.Struct, frozen=True, kw_only=True, gc=False, forbid_unknown_fields=True):
    """The last entry of a shard: its sequence number, its hash, and the id of the key that signs the next one.

    `sequence` is -1 before the first entry. The MAC is by the key that signs next.
    """

    shard: Shard
    sequence: Sequence
    at: Rfc3339
    hash: Digest
    next_key_id: AnyId
    mac: Digest = ""

    @classmethod
    def before_first(cls, shard: int, key_id: str) -> Head:
        """The head of a shard without entries."""
        return cls(shard=shard, sequence=-1, at="", hash=GENESIS, next_key_id=key_id)

    @classmethod
    def of(cls, entry: AuditEntry) -> Head:
        """The head after an entry, without its MAC: most heads are superseded before they are written."""
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
        """Whether the MAC is valid."""
        return compare_digest(self.mac.encode(), self._mac(keys).encode())

    def _mac(self, keys: Keys) -> str:
        # Hashes, times and numbers contain no line feeds, so the lines are unambiguous.
        text = f"{_CONTEXT}\n{self.shard}\n{self.sequence}\n{self.at}\n{self.hash}\n{self.next_key_id}"
        return hmac_digest(keys[self.next_key_id], text.encode(), "sha256").hex()
