"""Writes an export: one entry per line, followed by a manifest that lists them."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING

import msgspec

from shieldx.domains.audit.breaks import BreakKind
from shieldx.domains.audit.entry import digest_of
from shieldx.domains.audit.manifest import LastLine, Manifest, ShardPart

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import BinaryIO

    from shieldx.domains.audit.entry import AuditEntry
    from shieldx.domains.audit.manifest import Filter

_LAST = -1
"""The index of the range that is still growing."""


class NotExportable(ValueError):
    """The export format cannot represent this record. The message gives the reason and quotes no content."""

    def __init__(self, kind: BreakKind, detail: str) -> None:
        super().__init__(detail)
        self.kind = kind


class ExportWriter:
    """Takes entries shard by shard, each shard in order of sequence. Memory grows only with the number of gaps."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._digest = sha256()
        self._ranges: dict[int, list[tuple[int, int]]] = {}
        self._entries: dict[int, int] = {}

    @property
    def entries(self) -> int:
        """The number of entries written."""
        return sum(self._entries.values())

    def add(self, shard: int, entry: AuditEntry, value: bytes) -> None:
        """Write an entry unchanged.

        Raises:
            NotExportable: The entry was not written; the next one may be valid.
        """
        ranges = self._ranges.get(shard, [])
        if entry.shard != shard:
            raise NotExportable(BreakKind.MISPLACED, f"its shard is {entry.shard}")
        if ranges and entry.sequence <= ranges[_LAST][1]:
            raise NotExportable(BreakKind.ORDER, "it follows a later one, or is a duplicate")
        if b"\n" in value:
            raise NotExportable(BreakKind.MALFORMED, "its value has several lines")
        if (hash_ := digest_of(entry.hash)) is None:
            raise NotExportable(BreakKind.HASH, "its hash is not 64 lower-case hexadecimal digits")
        self._digest.update(hash_)
        self._file.write(value + b"\n")
        self._entries[shard] = self._entries.get(shard, 0) + 1
        if ranges and entry.sequence == ranges[_LAST][1] + 1:
            ranges[_LAST] = (ranges[_LAST][0], entry.sequence)
        else:
            self._ranges.setdefault(shard, ranges).append((entry.sequence, entry.sequence))

    def finish(self, chosen: Filter, keys: Mapping[str, bytes], key_id: str) -> Manifest:
        """Write the manifest, signed with that key. `chosen` is the filter that selected the entries."""
        shards = {
            shard: ShardPart(entries=self._entries[shard], sequences=tuple(ranges))
            for shard, ranges in sorted(self._ranges.items())
        }
        unsigned = Manifest(filter=chosen, shards=shards, digest=self._digest.hexdigest(), key_id=key_id)
        manifest = unsigned.signed(keys)
        self._file.write(msgspec.json.encode(LastLine(manifest)) + b"\n")
        return manifest
