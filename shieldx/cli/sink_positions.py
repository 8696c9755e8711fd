"""The positions of a sink, from its database."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from aiokafka import TopicPartition

if TYPE_CHECKING:
    from datetime import datetime

    import asyncpg

_READ = "SELECT topic, partition, next_offset, record_at FROM shieldx.positions WHERE sink = $1"


class Position(NamedTuple):
    """The next offset of a partition, and the append time of the last written record."""

    next_offset: int
    record_at: datetime | None


async def sink_positions(connection: asyncpg.Connection, sink: str) -> dict[TopicPartition, Position]:
    """All positions of a sink."""
    rows = await connection.fetch(_READ, sink)
    return {
        TopicPartition(row["topic"], row["partition"]): Position(row["next_offset"], row["record_at"]) for row in rows
    }
