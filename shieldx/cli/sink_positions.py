"""How far a sink has read, and what it has set aside, from its database."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from aiokafka import TopicPartition

if TYPE_CHECKING:
    from datetime import datetime

    import asyncpg

_READ = "SELECT topic, partition, next_offset, record_at FROM shieldx.positions WHERE sink = $1"
_SET_ASIDE = "SELECT count(*) FROM shieldx.unreadable WHERE sink = $1 AND ($2::int IS NULL OR partition = $2)"


class SinkPosition(NamedTuple):
    """The next offset of a partition, and the append time of the last written record."""

    next_offset: int
    record_at: datetime | None


async def sink_positions(connection: asyncpg.Connection, sink: str) -> dict[TopicPartition, SinkPosition]:
    """All positions of a sink."""
    rows = await connection.fetch(_READ, sink)
    return {
        TopicPartition(row["topic"], row["partition"]): SinkPosition(row["next_offset"], row["record_at"])
        for row in rows
    }


async def records_set_aside(connection: asyncpg.Connection, sink: str, partition: int | None = None) -> int:
    """The number of records that a sink has passed without writing them, of one partition or of all."""
    return int(await connection.fetchval(_SET_ASIDE, sink, partition))
