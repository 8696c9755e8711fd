"""Local checkpoints: state on disk as of a position in the tables, so that a restart reads only what follows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import msgspec

from shieldx.state.store import StateBatch, StateStore

if TYPE_CHECKING:
    from collections.abc import Mapping

    from shieldx.engine.tasks.log import TopicPartition

MARGIN_MS = 3_600_000
"""A checkpoint expires this long before tombstones may be gone, because reading takes time and clocks differ."""


CHECKPOINT_VERSION = 1
"""Version of the checkpoint and the store's other contents. A store with another version is emptied and restored."""


class Checkpoint(msgspec.Struct, frozen=True, kw_only=True):
    """How far a store has taken its partition's changelogs, of which log, and in which stored forms."""

    version: int
    format_level: int
    cluster: str
    partitions: int
    positions: dict[str, int]
    """The next offset of each table."""
    as_of_ms: int
    """A time, by this machine's clock, at which no record beyond the positions was older."""


class TaskStore(StateStore, Protocol):
    """The store of one task. Its contents and its checkpoint always match."""

    @property
    def checkpoint(self) -> Checkpoint | None:
        """Its checkpoint, or None while it is empty."""

    @property
    def size_bytes(self) -> int:
        """About how much disk it takes."""

    def begin(self) -> StateBatch:
        """A new, empty batch.

        Raises:
            FreeDisk: an earlier write failed, and there is still no room.
            RestoreTask: the store cannot be used any more.
        """

    def write(self, batch: StateBatch, checkpoint: Checkpoint) -> None:
        """Apply a batch and a checkpoint atomically.

        Raises:
            FreeDisk: nothing was changed; try again later.
            RestoreTask: it is damaged.
        """

    def clear(self) -> None:
        """Remove everything."""

    def close(self) -> None:
        """Let another task open it."""


class TaskStores(Protocol):
    """The stores of a worker's tasks."""

    def open(self, agent: str, partition: int) -> TaskStore:
        """The store of a task; damaged ones are emptied.

        Raises:
            FreeDisk: there is no room for it.
            FixConfiguration: its folder cannot be used.
        """


def refusal(
    found: Checkpoint,
    wanted: Checkpoint,
    bounds: Mapping[TopicPartition, tuple[int, int]],
    *,
    delete_retention_ms: int,
) -> str | None:
    """Why a checkpoint cannot be used, or None if it can.

    `wanted` is the checkpoint that the task would write now; `bounds` are the first and the next offset of each table.
    """
    if (found.version, found.cluster, found.partitions) != (wanted.version, wanted.cluster, wanted.partitions):
        return "it belongs to another release, cluster or number of partitions"
    if found.format_level > wanted.format_level:
        return f"its stored forms are of level {found.format_level}, the partition is at level {wanted.format_level}"
    age_ms = wanted.as_of_ms - found.as_of_ms
    if age_ms < -MARGIN_MS:
        return f"it is dated {-age_ms // 1000} s in the future"
    if age_ms > delete_retention_ms - MARGIN_MS:
        return f"it is {age_ms // 3_600_000} h old: rows that were deleted since might come back"
    for tp, (first, end) in bounds.items():
        position = found.positions.get(tp.topic)
        if position is None or not first <= position <= end:
            return f"its position {position} in {tp.topic}/{tp.partition} is not within {first} to {end}"
    return None
