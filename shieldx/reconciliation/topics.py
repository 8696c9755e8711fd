"""The narrow port through which the books are read, so that the same checks run without a broker."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from shieldx.engine.tasks.log import Record, TopicPartition


class Bounds(NamedTuple):
    """Offsets of a partition."""

    first: int
    """The first that still exists."""
    committed: int
    """Behind it the first open transaction begins: a reader of committed records gets so far."""
    end: int
    """Behind the last record, committed or not."""


class Topics(Protocol):
    """What the checks need of Kafka."""

    async def bounds(self, tp: TopicPartition) -> Bounds:
        """The offsets of a partition."""

    async def position(self, agent: str, tp: TopicPartition) -> int:
        """The next offset that an agent has committed; 0 where there is none."""

    async def offset_at(self, tp: TopicPartition, at_ms: int) -> int:
        """The first offset whose record was appended at that time or later; the end where there is none."""

    def read(self, tp: TopicPartition, start: int, end: int) -> AsyncGenerator[Sequence[Record], None]:
        """Every committed record from one offset on and below another; waits for transactions open between them."""
