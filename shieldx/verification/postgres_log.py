"""The mirror of an audit log in Postgres, cut into segments by sequence numbers."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import msgspec

from shieldx.domains.audit.breaks import Kind, brief
from shieldx.domains.audit.entry import AuditEntry, is_genuine
from shieldx.domains.audit.joining import SeenHead
from shieldx.domains.audit.projections import SELECT_COLUMNS, TABLE, entry_of
from shieldx.domains.audit.segment import Unusable
from shieldx.sinks.database import CheckPostgres, connected

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence

    import asyncpg

    from shieldx.domains.audit.segment import Observation

SEGMENT_ROWS = 100_000
BATCH_ROWS = 4000
TAIL_ROWS = 100
"""How many forged rows at a shard's end are passed over in search of its head."""
MIRROR = "the mirror in Postgres"
SINK = "audit-mirror"
# By the rows that are there, since a forged one may have any sequence; by rank, so that rows of one stay together.
_SEGMENTS = (
    f"SELECT shard, min(sequence) AS first, max(sequence) AS last, count(*) AS rows FROM ("  # noqa: S608 - constants
    f"SELECT shard, sequence, (rank() OVER (PARTITION BY shard ORDER BY sequence) - 1) / {SEGMENT_ROWS} AS part "
    f"FROM {TABLE}) AS ranked GROUP BY shard, part ORDER BY shard, part"
)
_ROWS = f"{SELECT_COLUMNS} WHERE shard = $1 AND sequence BETWEEN $2 AND $3 ORDER BY sequence, logged_at"
# From one shard to the next by the index: looking at every row would take as long as verifying them.
_SHARDS = (
    f"WITH RECURSIVE found AS (SELECT min(shard) AS shard FROM {TABLE} UNION ALL "  # noqa: S608 - constants
    f"SELECT (SELECT min(shard) FROM {TABLE} WHERE shard > found.shard) FROM found WHERE found.shard IS NOT NULL) "
    "SELECT shard FROM found WHERE shard IS NOT NULL"
)
_POSITIONS = "SELECT partition, next_offset FROM shieldx.positions WHERE sink = $1 AND topic = $2"
_TAIL = f"{SELECT_COLUMNS} WHERE shard = $1 ORDER BY sequence DESC, logged_at LIMIT {TAIL_ROWS}"


class PostgresSegment(msgspec.Struct, frozen=True):
    """The rows of one shard from a sequence number up to another, both included."""

    dsn: str
    shard: int
    first: int
    last: int
    weight: int
    """How many rows it has."""

    def __repr__(self) -> str:
        """Without the address, which may hold a password."""
        return f"PostgresSegment({self.shard}: {self.first} to {self.last})"

    async def read(self) -> AsyncIterator[Iterable[Observation]]:
        """Its rows by sequence number; each stands at its own. Raises CheckPostgres."""
        async with connected(self.dsn) as connection, _times_of_entries(), connection.transaction(readonly=True):
            cursor = await connection.cursor(_ROWS, self.shard, self.first, self.last)
            while rows := await cursor.fetch(BATCH_ROWS):
                yield _observed(rows)


async def postgres_segments(dsn: str) -> list[PostgresSegment]:
    """All rows that there are now. Raises CheckPostgres."""
    async with connected(dsn) as connection:
        found = await connection.fetch(_SEGMENTS)
    return [PostgresSegment(dsn, row["shard"], row["first"], row["last"], row["rows"]) for row in found]


async def mirrored_heads(dsn: str, keys: Mapping[str, bytes]) -> list[SeenHead]:
    """The last genuine entry of each shard that the mirror has: the log must have it too. Raises CheckPostgres."""
    heads = []
    async with connected(dsn) as connection, _times_of_entries():
        for (shard,) in await connection.fetch(_SHARDS):
            entries = [entry for _, entry in _observed(await connection.fetch(_TAIL, shard))]
            head = next((each for each in entries if isinstance(each, AuditEntry) and is_genuine(each, keys)), None)
            if head is not None:
                heads.append(SeenHead(head.shard, head.sequence, head.hash, MIRROR))
    return heads


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
        except (ValueError, TypeError, OverflowError, AttributeError) as error:  # of what its owner may have put there
            yield sequence, Unusable(Kind.MALFORMED, row["shard"], sequence, brief(str(error)))


@asynccontextmanager
async def _times_of_entries() -> AsyncIterator[None]:
    """Name what Python cannot even read. Raises CheckPostgres."""
    try:
        yield
    except OverflowError as error:
        raise CheckPostgres(
            f"a row of {TABLE} has a logged_at beyond the year 9999, which no entry has: look for it by SQL, where all "
            "other rows can then be verified"
        ) from error
