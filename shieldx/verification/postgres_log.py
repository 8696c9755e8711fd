"""The mirror of an audit log in Postgres, cut into segments by sequence numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from shieldx.audit.breaks import Kind
from shieldx.audit.joining import SeenHead
from shieldx.audit.projections import COLUMNS, KEY, TABLE, entry_of
from shieldx.audit.segment import Unusable
from shieldx.stores.database import connected

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Iterator, Sequence

    import asyncpg

    from shieldx.audit.segment import Observation

SEGMENT_ROWS = 100_000
BATCH_ROWS = 4000
MIRROR = "the mirror in Postgres"
SINK = "audit-mirror"
_SHARDS = f"SELECT shard, min(sequence) AS first, max(sequence) AS last FROM {TABLE} GROUP BY shard ORDER BY shard"  # noqa: S608 - a constant
_ROWS = (
    f"SELECT {', '.join([*KEY, *COLUMNS])} FROM {TABLE} "  # noqa: S608 - constants
    "WHERE shard = $1 AND sequence BETWEEN $2 AND $3 ORDER BY sequence, logged_at"
)
_POSITIONS = "SELECT partition, next_offset FROM shieldx.positions WHERE sink = $1 AND topic = $2"
_LAST = f"SELECT hash FROM {TABLE} WHERE shard = $1 AND sequence = $2 ORDER BY logged_at LIMIT 1"  # noqa: S608 - a constant


class PostgresSegment(msgspec.Struct, frozen=True):
    """The rows of one shard from a sequence number up to another, both included."""

    dsn: str
    shard: int
    first: int
    last: int

    @property
    def weight(self) -> int:
        """How many sequence numbers it spans."""
        return self.last - self.first + 1

    async def read(self) -> AsyncIterator[Iterable[Observation]]:
        """Its rows by sequence number; each stands at its own. Raises CheckPostgres."""
        async with connected(self.dsn) as connection, connection.transaction(readonly=True):
            cursor = await connection.cursor(_ROWS, self.shard, self.first, self.last)
            while rows := await cursor.fetch(BATCH_ROWS):
                yield _observed(rows)


async def postgres_segments(dsn: str) -> list[PostgresSegment]:
    """All rows that there are now. Raises CheckPostgres."""
    async with connected(dsn) as connection:
        shards = await connection.fetch(_SHARDS)
    return [
        PostgresSegment(dsn, row["shard"], first, min(first + SEGMENT_ROWS - 1, row["last"]))
        for row in shards
        for first in range(row["first"], row["last"] + 1, SEGMENT_ROWS)
    ]


async def mirrored_heads(dsn: str) -> list[SeenHead]:
    """The last entry of each shard that the mirror has: the log must have it too. Raises CheckPostgres."""
    async with connected(dsn) as connection:
        shards = await connection.fetch(_SHARDS)
        return [
            SeenHead(
                row["shard"],
                row["last"],
                (await connection.fetchval(_LAST, row["shard"], row["last"])).hex(),
                MIRROR,
            )
            for row in shards
        ]


async def mirrored_positions(dsn: str, topic: str) -> dict[int, int]:
    """How far the mirror says that it has read each partition of the log. Raises CheckPostgres."""
    async with connected(dsn) as connection:
        rows = await connection.fetch(_POSITIONS, SINK, topic)
    return {row["partition"]: row["next_offset"] for row in rows}


def _observed(rows: Sequence[asyncpg.Record]) -> Iterator[Observation]:
    for row in rows:
        sequence = row["sequence"]
        try:
            yield sequence, entry_of(row)  # type: ignore[arg-type] # a Record reads like a mapping
        except ValueError as error:
            yield sequence, Unusable(Kind.MALFORMED, row["shard"], sequence, str(error))
