"""Checking segments side by side, each in one of a few processes; with one job, here."""

from __future__ import annotations

import asyncio
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from typing import TYPE_CHECKING

from shieldx.domains.audit.segment import SegmentCheck
from shieldx.errors import ShieldXError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from shieldx.domains.audit.segment import SegmentReport
    from shieldx.verification.segments import Segment


class TryAgain(ShieldXError):
    """A process that verified was ended from outside."""


async def check_segments(
    segments: Sequence[Segment],
    keys: Mapping[str, bytes],
    *,
    watch: Mapping[int, frozenset[int]],
    keep_hashes: bool = False,
    jobs: int,
    progress: Callable[[int], None],
) -> list[SegmentReport]:
    """The reports of all segments in their order, or one of all; `progress` is told the weight of each as it is done.

    Raises:
        ShieldXError: a segment cannot be read, or a process was ended.
    """
    if jobs == 1 or len(segments) == 1:
        return [await check_in_order(segments, keys, watch=watch, keep_hashes=keep_hashes, progress=progress)]
    # Not forked: this process has threads and connections, which a copy of it would break.
    context = get_context("spawn")
    loop = asyncio.get_running_loop()
    secrets = {key_id: keys[key_id] for key_id in keys}
    pool = ProcessPoolExecutor(max(1, min(jobs, len(segments))), context)

    async def check(segment: Segment) -> SegmentReport:
        report = await loop.run_in_executor(pool, _check, segment, secrets, watch, keep_hashes)
        progress(segment.weight)
        return report

    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(check(segment)) for segment in segments]
        return [task.result() for task in tasks]
    except* BrokenProcessPool as broken:
        raise TryAgain("a process that verified was ended, for want of memory perhaps: try fewer --jobs") from broken
    except* ShieldXError as errors:
        raise errors.exceptions[0] from None
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


async def check_in_order(
    segments: Iterable[Segment],
    keys: Mapping[str, bytes],
    *,
    watch: Mapping[int, frozenset[int]],
    keep_hashes: bool = False,
    progress: Callable[[int], None] | None = None,
) -> SegmentReport:
    """One report of all segments, read here, one after the other.

    Raises:
        ShieldXError: one cannot be read.
    """
    check = SegmentCheck(keys, watch, keep_hashes=keep_hashes)
    for segment in segments:
        async for observed in segment.read():
            check.take(observed)
        if progress is not None:
            progress(segment.weight)
    return check.report()


def _check(
    segment: Segment, keys: Mapping[str, bytes], watch: Mapping[int, frozenset[int]], keep_hashes: bool
) -> SegmentReport:
    return asyncio.run(check_in_order([segment], keys, watch=watch, keep_hashes=keep_hashes))
