"""The interface through which reconciliation reads topics, so that it also runs without a broker."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from shieldx.engine.tasks.log import Record, TopicPartition


class PartitionBounds(NamedTuple):
    """Offsets of a partition."""

    first: int
    """The first retained offset."""
    committed: int
    """The last stable offset: the first open transaction begins here, and committed readers get no further."""
    end: int
    """The offset after the last record, committed or not."""


class Topics(Protocol):
    """What reconciliation needs of Kafka."""

    async def bounds(self, tp: TopicPartition) -> PartitionBounds:
        """The offsets of a partition."""

    async def position(self, agent: str, tp: TopicPartition) -> int:
        """The next offset that an agent has committed, or 0 if there is none."""

    async def grown_at(self, agent: str, tp: TopicPartition) -> int | None:
        """The agent's next offset when tenants moved to more partitions, or None if they never did."""

    async def offset_at(self, tp: TopicPartition, at_ms: int) -> int:
        """The first offset whose record was appended at that time or later, or the end if there is none."""

    def read(self, tp: TopicPartition, start: int, end: int) -> AsyncGenerator[Sequence[Record], None]:
        """Yield the committed records from `start` to `end`, excluded. Waits for transactions that are open there."""
