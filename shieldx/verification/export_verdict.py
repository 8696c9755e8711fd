"""Checks an export as a whole by its manifest."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING

from shieldx.domains.audit.breaks import Break, BreakKind
from shieldx.domains.audit.joining import Extent

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from shieldx.domains.audit.joining import Ranges
    from shieldx.domains.audit.manifest import Manifest
    from shieldx.domains.audit.segment import SegmentReport


def manifest_breaks(
    manifest: Manifest | None, reports: Sequence[SegmentReport], keys: Mapping[str, bytes]
) -> Iterator[Break]:
    """Check that the manifest exists, is genuine, and describes exactly these entries in this order."""
    if manifest is None:
        yield _break("the file does not end with its manifest: lines were cut off")
        return
    if manifest.key_id not in keys:
        yield _break(f"the manifest is signed by key {manifest.key_id!r}, which is not in the keyring")
    elif not manifest.is_genuine(keys):
        yield _break(f"the manifest is not signed by key {manifest.key_id!r}")
    if not manifest.is_consistent:
        yield _break("the manifest contradicts itself, or omits entries without a filter")
    digest = sha256()
    for report in reports:
        digest.update(report.hashes)
    if digest.hexdigest() != manifest.digest:
        yield _break("the entries or their order differ from those that were exported")


def expected_entries(manifest: Manifest | None) -> dict[int, Ranges] | Extent:
    """The sequence numbers that the file must contain."""
    if manifest is None:
        return Extent.ANYTHING
    return {shard: part.sequences for shard, part in manifest.shards.items()}


def _break(detail: str) -> Break:
    return Break(BreakKind.MANIFEST, None, None, None, None, detail)
