"""The last line of an export, which describes and signs all lines before it, so that none can be removed unnoticed."""

from __future__ import annotations

import json
from hmac import compare_digest
from hmac import digest as hmac_digest
from itertools import pairwise
from typing import TYPE_CHECKING, Annotated

import msgspec

if TYPE_CHECKING:
    from collections.abc import Mapping

FORMAT = 1
_CONTEXT = "shieldx.audit.export/1\n"


class Filter(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The filter that selected the exported entries. Times are RFC 3339; `start` is included and `end` is not."""

    tenant_id: str | None = None
    start: str | None = msgspec.field(default=None, name="from")
    end: str | None = msgspec.field(default=None, name="to")


class ShardPart(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The entries of one shard in an export: their number, and the ranges of their sequence numbers, ends included."""

    entries: int
    sequences: tuple[tuple[int, int], ...]


class Manifest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The content of an export. `digest` is the hexadecimal SHA-256 of the hashes of its entries, in order."""

    format: Annotated[int, msgspec.Meta(ge=FORMAT, le=FORMAT)] = FORMAT
    filter: Filter
    shards: dict[int, ShardPart]
    digest: str
    key_id: str
    mac: str = ""

    def signed(self, keys: Mapping[str, bytes]) -> Manifest:
        """The manifest with its MAC."""
        return msgspec.structs.replace(self, mac=self._mac(keys))

    def is_genuine(self, keys: Mapping[str, bytes]) -> bool:
        """Whether the MAC is correct. `keys` must contain the manifest's key."""
        return compare_digest(self.mac.encode(), self._mac(keys).encode())

    def _mac(self, keys: Mapping[str, bytes]) -> str:
        lines = [json.dumps(value) for value in (self.filter.tenant_id, self.filter.start, self.filter.end)]
        for shard, part in sorted(self.shards.items()):
            ranges = ",".join(f"{first}-{last}" for first, last in part.sequences)
            lines.append(f"{shard} {part.entries} {ranges}")
        text = _CONTEXT + "\n".join([*lines, self.digest])
        return hmac_digest(keys[self.key_id], text.encode(), "sha256").hex()

    @property
    def is_filtered(self) -> bool:
        """Whether it describes only a part of the log."""
        return self.filter != Filter()

    @property
    def is_consistent(self) -> bool:
        """Whether counts and ranges agree, ranges are as long as possible, and only a filter leaves gaps."""
        return all(
            part.entries == sum(last - first + 1 for first, last in part.sequences)
            and all(first <= last for first, last in part.sequences)
            and all(before[1] + 1 < after[0] for before, after in pairwise(part.sequences))
            and len(part.sequences) >= 1
            and (self.is_filtered or len(part.sequences) == 1)
            for part in self.shards.values()
        )


class LastLine(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The line itself."""

    manifest: Manifest
