"""Writing an export: the values of entries line by line, and behind them a manifest that says which they are."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING

import msgspec

from shieldx.domains.audit.breaks import Kind
from shieldx.domains.audit.entry import digest_of
from shieldx.domains.audit.manifest import LastLine, Manifest, ShardPart

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import BinaryIO

    from shieldx.domains.audit.entry import AuditEntry
    from shieldx.domains.audit.manifest import Filter

_LAST = -1
"""Where the range is that still grows."""


class NotExportable(ValueError):
    """An export's format has no place for it; the message says why, without a word of its content."""

    def __init__(self, kind: Kind, detail: str) -> None:
        super().__init__(detail)
        self.kind = kind


class ExportWriter:
    """Takes entries shard by shard, each shard's in the order of their sequences. Memory grows with gaps only."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._digest = sha256()
        self._ranges: dict[int, list[tuple[int, int]]] = {}
        self._entries: dict[int, int] = {}

    @property
    def entries(self) -> int:
        """How many were written."""
        return sum(self._entries.values())

    def add(self, shard: int, entry: AuditEntry, value: bytes) -> None:
        """Write an entry as it stands in the log.

        Raises:
            NotExportable: it is not written; the next one may be.
        """
        ranges = self._ranges.get(shard, [])
        if entry.shard != shard:
            raise NotExportable(Kind.MISPLACED, f"it says that it is of shard {entry.shard}")
        if ranges and entry.sequence <= ranges[_LAST][1]:
            raise NotExportable(Kind.ORDER, "it comes after a later one, or is there a second time")
        if b"\n" in value:
            raise NotExportable(Kind.MALFORMED, "its value has more than one line")
        if (hash_ := digest_of(entry.hash)) is None:
            raise NotExportable(Kind.HASH, "its hash is not 64 lower-case hexadecimal digits")
        self._digest.update(hash_)
        self._file.write(value + b"\n")
        self._entries[shard] = self._entries.get(shard, 0) + 1
        if ranges and entry.sequence == ranges[_LAST][1] + 1:
            ranges[_LAST] = (ranges[_LAST][0], entry.sequence)
        else:
            self._ranges.setdefault(shard, ranges).append((entry.sequence, entry.sequence))

    def finish(self, chosen: Filter, keys: Mapping[str, bytes], key_id: str) -> Manifest:
        """Write the manifest, signed by that key; `chosen` is what the entries were chosen by."""
        shards = {
            shard: ShardPart(entries=self._entries[shard], sequences=tuple(ranges))
            for shard, ranges in sorted(self._ranges.items())
        }
        unsigned = Manifest(filter=chosen, shards=shards, digest=self._digest.hexdigest(), key_id=key_id)
        manifest = unsigned.signed(keys)
        self._file.write(msgspec.json.encode(LastLine(manifest)) + b"\n")
        return manifest
