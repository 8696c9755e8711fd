"""Tracks how far partitions are answered, in whatever order their records are answered."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection

    from shieldx.engine.tasks.log import TopicPartition


class OffsetTracker:
    """The records of a partition that are being answered. Offsets of markers and aborted records do not count."""

    def __init__(self, committed: int | None = None) -> None:
        self.committed = committed
        """The group's committed offset; None if there is none."""
        self.gone = asyncio.Event()
        """Set when the partition is no longer this worker's."""
        self._open: dict[int, None] = {}
        self._behind_last: int | None = None

    @property
    def next_offset(self) -> int | None:
        """The offset up to which everything is answered; None before the first record."""
        return next(iter(self._open), self._behind_last)

    @property
    def uncommitted(self) -> int | None:
        """The next offset, if it is not committed yet."""
        return None if self.next_offset in (self.committed, 0) else self.next_offset

    def take(self, offset: int) -> bool:
        """Begin with a record. Returns False if it was taken before and a rebalance redelivers it."""
        if self._behind_last is not None and offset < self._behind_last:
            return False
        self._open[offset] = None
        self._behind_last = offset + 1
        return True

    def done(self, offset: int) -> None:
        """Mark a record as done: all its outputs are written."""
        del self._open[offset]


class OffsetTrackers:
    """The trackers of all partitions of a worker."""

    def __init__(self) -> None:
        self.partitions: dict[TopicPartition, OffsetTracker] = {}

    def keep(self, assigned: Collection[TopicPartition]) -> None:
        """Forget partitions that are no longer assigned."""
        for tp in self.partitions.keys() - set(assigned):
            self.partitions.pop(tp).gone.set()

    def begin(self, tp: TopicPartition, committed: int | None) -> None:
        """Expect records from a committed offset on.

        A partition that stays keeps its tracker, so that no record in progress is begun twice. If the group has another
        offset than this worker committed, another worker has had the partition meanwhile, and the tracker is replaced.
        """
        known = self.partitions.get(tp)
        if known is not None and known.committed == committed:
            return
        if known is not None:
            known.gone.set()
        self.partitions[tp] = OffsetTracker(committed)
