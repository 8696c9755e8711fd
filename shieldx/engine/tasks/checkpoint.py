"""Local checkpoints: state on disk as of a position in the tables, so that a restart reads only what came after."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import msgspec

from shieldx.state.store import StateBatch, StateStore

if TYPE_CHECKING:
    from collections.abc import Mapping

    from shieldx.engine.tasks.log import TopicPartition

MARGIN_MS = 3_600_000
"""A checkpoint is too old so long before tombstones may be gone: reading the tail takes time, and clocks differ."""


CHECKPOINT_VERSION = 1
"""Of the checkpoint and of all that the store holds beside it. A store of another version is emptied and restored."""


class Checkpoint(msgspec.Struct, frozen=True, kw_only=True):
    """How much of its partition's changelogs a store has taken, and which log and stored forms that is true of."""

    version: int
    format_level: int
    cluster: str
    partitions: int
    positions: dict[str, int]
    """The next offset of each table."""
    as_of_ms: int
    """When nothing beyond the positions was older, by the clock of this machine."""


class TaskStore(StateStore, Protocol):
    """The store of one task. What it holds and its checkpoint always belong together."""

    @property
    def checkpoint(self) -> Checkpoint | None:
        """What it says of itself, or None while it is empty."""

    @property
    def size_bytes(self) -> int:
        """About how much disk it takes."""

    def begin(self) -> StateBatch:
        """An empty batch.

        Raises:
            FreeDisk: an earlier write has failed, and there is still no room.
            RestoreTask: the store is of no more use.
        """

    def write(self, batch: StateBatch, checkpoint: Checkpoint) -> None:
        """Apply a batch of this store and what it says of itself, together.

        Raises:
            FreeDisk: it cannot now, and has changed nothing; try again later.
            RestoreTask: it is damaged.
        """

    def clear(self) -> None:
        """Remove everything."""

    def close(self) -> None:
        """Let another task open it."""


class TaskStores(Protocol):
    """Where the stores of this worker's tasks are."""

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
    """Why a checkpoint may not be gone on from, or None.

    `wanted` is what the present task would write now; `bounds` are the first and the next offset of each table.
    """
    if (found.version, found.cluster, found.partitions) != (wanted.version, wanted.cluster, wanted.partitions):
        return "it is of another release, cluster or number of partitions"
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
