"""Checks segments in parallel in several processes, or in this process if there is one job."""

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
    """A verification process was killed from outside.

    Try again with fewer `--jobs`; the process may have run out of memory.
    """


async def check_segments(
    segments: Sequence[Segment],
    keys: Mapping[str, bytes],
    *,
    watch: Mapping[int, frozenset[int]],
    keep_hashes: bool = False,
    jobs: int,
    progress: Callable[[int], None],
) -> list[SegmentReport]:
    """Check all segments. Returns their reports in order, or one for all; `progress` gets each finished weight.

    Raises:
        ShieldXError: A segment cannot be read, or a process was killed.
    """
    if jobs == 1 or len(segments) == 1:
        return [await check_in_order(segments, keys, watch=watch, keep_hashes=keep_hashes, progress=progress)]
    # No fork: this process has threads and connections that do not survive it.
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
        raise TryAgain("a verification process was killed, perhaps for lack of memory: try fewer --jobs") from broken
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
    """One report of all segments, read sequentially in this process.

    Raises:
        ShieldXError: A segment cannot be read.
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
