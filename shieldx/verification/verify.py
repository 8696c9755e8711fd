"""Verifies a whole log, wherever it is stored."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from shieldx.domains.audit.joining import Extent, SeenHead, Verdict, join
from shieldx.verification.export_file import open_export
from shieldx.verification.export_verdict import expected_entries, manifest_breaks
from shieldx.verification.heads import NO_HEADS, Heads, watched
from shieldx.verification.pool import check_in_order, check_segments

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from shieldx.domains.audit.breaks import Break
    from shieldx.domains.audit.segment import SegmentReport
    from shieldx.verification.segments import Segment


class Verifier:
    """Checks logs with one keyring in several processes. `progress` gets the finished and the total weight."""

    def __init__(self, keys: Mapping[str, bytes], *, jobs: int, progress: Callable[[int, int], None]) -> None:
        self._keys = keys
        self._jobs = jobs
        self._progress = progress

    async def log(self, segments: Sequence[Segment], heads: Heads = NO_HEADS) -> Verdict:
        """Verify a log that should be complete: in Kafka, or its mirror.

        Raises:
            ShieldXError: The log cannot be read; the error says what to do.
        """
        reports = await self._check(segments, heads.seen, keep_hashes=False)
        verdict = join(reports, heads.seen, Extent.WHOLE)
        if not verdict.is_certain:
            report = await check_in_order(segments, self._keys, watch=watched(heads.seen))
            verdict = join([report], heads.seen, Extent.WHOLE)
        return _with_breaks(heads.breaks, verdict)

    async def export(self, path: Path, heads: Heads = NO_HEADS) -> Verdict:
        """Verify an exported file, which may be a part of a log. Heads of entries outside the file are ignored.

        Raises:
            CheckFile: The file cannot be read.
        """
        export = open_export(path)
        reports = await self._check(export.segments, heads.seen, keep_hashes=True)
        if not join(reports).is_certain:
            reports = [await check_in_order(export.segments, self._keys, watch=watched(heads.seen), keep_hashes=True)]
        there = {(shard, sequence) for report in reports for shard, sequence, _ in report.watched}
        verdict = join(
            reports,
            [head for head in heads.seen if (head.shard, head.sequence) in there],
            expected_entries(export.manifest),
        )
        wrong = manifest_breaks(export.manifest, reports, self._keys)
        return _with_breaks([*heads.breaks, *wrong], verdict)

    async def _check(
        self, segments: Sequence[Segment], heads: Sequence[SeenHead], *, keep_hashes: bool
    ) -> list[SegmentReport]:
        total, done = sum(segment.weight for segment in segments), 0

        def advance(weight: int) -> None:
            nonlocal done
            done += weight
            self._progress(done, total)

        return await check_segments(
            segments,
            self._keys,
            watch=watched(heads),
            keep_hashes=keep_hashes,
            jobs=self._jobs,
            progress=advance,
        )


def _with_breaks(more: Sequence[Break], verdict: Verdict) -> Verdict:
    return msgspec.structs.replace(verdict, breaks=[*more, *verdict.breaks])
