"""How far the partitions of a replayable agent's worker have been answered, in whatever order that happens."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection

    from shieldx.engine.tasks.log import TopicPartition


class OffsetTracker:
    """Which records of a partition are being answered. Offsets that never come (markers, aborted records) are none."""

    def __init__(self, committed: int | None = None) -> None:
        self.committed = committed
        """The next offset as the group knows it; None if it knows none."""
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
        """The next offset, if the group does not know it yet."""
        return None if self.next_offset in (self.committed, 0) else self.next_offset

    def take(self, offset: int) -> bool:
        """Begin with a record. False: it was taken before, and a rebalance has brought it again."""
        if self._behind_last is not None and offset < self._behind_last:
            return False
        self._open[offset] = None
        self._behind_last = offset + 1
        return True

    def done(self, offset: int) -> None:
        """All that a record leads to is written."""
        del self._open[offset]


class OffsetTrackers:
    """The progress of all partitions that a worker has."""

    def __init__(self) -> None:
        self.partitions: dict[TopicPartition, OffsetTracker] = {}

    def keep(self, assigned: Collection[TopicPartition]) -> None:
        """Forget partitions that are not assigned any more."""
        for tp in self.partitions.keys() - set(assigned):
            self.partitions.pop(tp).gone.set()

    def begin(self, tp: TopicPartition, committed: int | None) -> None:
        """Records will come from a committed offset on.

        A partition that stays goes on, so that nothing in work is begun twice; unless the group knows another offset
        than this worker told it: then somebody else has had the partition meanwhile.
        """
        known = self.partitions.get(tp)
        if known is not None and known.committed == committed:
            return
        if known is not None:
            known.gone.set()
        self.partitions[tp] = OffsetTracker(committed)
