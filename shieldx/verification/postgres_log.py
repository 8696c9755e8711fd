"""The mirror of an audit log in Postgres, cut into segments by sequence number."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import msgspec

from shieldx.domains.audit.breaks import Break, BreakKind, brief
from shieldx.domains.audit.entry import AuditEntry, is_genuine
from shieldx.domains.audit.joining import SeenHead
from shieldx.domains.audit.projections import SELECT_COLUMNS, TABLE, entry_of
from shieldx.domains.audit.segment import UnusableRecord
from shieldx.sinks.database import CheckPostgres, connected

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence

    import asyncpg

    from shieldx.domains.audit.segment import Observation

SEGMENT_ROWS = 100_000
BATCH_ROWS = 4000
TAIL_ROWS = 100
"""How many forged rows at the end of a shard are skipped in the search for its head."""
MIRROR = "the mirror in Postgres"
SINK = "audit-mirror"
# By existing rows, since a forged row may have any sequence; by rank, so that rows with the same sequence stay
# together.
_SEGMENTS = (
    f"SELECT shard, min(sequence) AS first, max(sequence) AS last, count(*) AS rows FROM ("  # noqa: S608 - constants
    f"SELECT shard, sequence, (rank() OVER (PARTITION BY shard ORDER BY sequence) - 1) / {SEGMENT_ROWS} AS part "
    f"FROM {TABLE}) AS ranked GROUP BY shard, part ORDER BY shard, part"
)
_ROWS = f"{SELECT_COLUMNS} WHERE shard = $1 AND sequence BETWEEN $2 AND $3 ORDER BY sequence, logged_at"
# Skip from shard to shard by the index: a full scan would take as long as the verification.
_SHARDS = (
    f"WITH RECURSIVE found AS (SELECT min(shard) AS shard FROM {TABLE} UNION ALL "  # noqa: S608 - constants
    f"SELECT (SELECT min(shard) FROM {TABLE} WHERE shard > found.shard) FROM found WHERE found.shard IS NOT NULL) "
    "SELECT shard FROM found WHERE shard IS NOT NULL"
)
_POSITIONS = "SELECT partition, next_offset FROM shieldx.positions WHERE sink = $1 AND topic = $2"
_SET_ASIDE = (
    "SELECT partition, record_offset, reason FROM shieldx.unreadable WHERE sink = $1 AND topic = $2 "
    "ORDER BY partition, record_offset"
)
_TAIL = f"{SELECT_COLUMNS} WHERE shard = $1 ORDER BY sequence DESC, logged_at LIMIT {TAIL_ROWS}"


class PostgresSegment(msgspec.Struct, frozen=True):
    """The rows of one shard in a range of sequence numbers that includes both ends."""

    dsn: str
    shard: int
    first: int
    last: int
    weight: int
    """The number of rows."""

    def __repr__(self) -> str:
        """Omits the address, which may contain a password."""
        return f"PostgresSegment({self.shard}: {self.first} to {self.last})"

    async def read(self) -> AsyncIterator[Iterable[Observation]]:
        """Yield the rows by sequence number, which is also their place. Raises CheckPostgres."""
        async with (
            connected(self.dsn, checked=True) as connection,  # by `postgres_segments`
            _times_of_entries(),
            connection.transaction(readonly=True),
        ):
            cursor = await connection.cursor(_ROWS, self.shard, self.first, self.last)
            while rows := await cursor.fetch(BATCH_ROWS):
                yield _observed(rows)


async def postgres_segments(dsn: str) -> list[PostgresSegment]:
    """Segments of all current rows. Raises CheckPostgres."""
    async with connected(dsn) as connection:
        found = await connection.fetch(_SEGMENTS)
    return [PostgresSegment(dsn, row["shard"], row["first"], row["last"], row["rows"]) for row in found]


async def mirrored_heads(dsn: str, keys: Mapping[str, bytes]) -> list[SeenHead]:
    """The last genuine entry of each shard in the mirror; the log must have it too. Raises CheckPostgres."""
    heads = []
    async with connected(dsn) as connection, _times_of_entries():
        for (shard,) in await connection.fetch(_SHARDS):
            entries = [entry for _, entry in _observed(await connection.fetch(_TAIL, shard))]
            head = next((each for each in entries if isinstance(each, AuditEntry) and is_genuine(each, keys)), None)
            if head is not None:
                heads.append(SeenHead(head.shard, head.sequence, head.hash, MIRROR))
    return heads


async def mirrored_positions(dsn: str, topic: str) -> dict[int, int]:
    """The mirror's position in each partition of the log. Raises CheckPostgres."""
    async with connected(dsn) as connection:
        rows = await connection.fetch(_POSITIONS, SINK, topic)
    return {row["partition"]: row["next_offset"] for row in rows}


async def set_aside(dsn: str, topic: str) -> list[Break]:
    """The records of the log that the mirror lacks because its sink could not store them. Raises CheckPostgres."""
    async with connected(dsn) as connection:
        rows = await connection.fetch(_SET_ASIDE, SINK, topic)
    return [
        Break(BreakKind.SET_ASIDE, partition, None, None, offset, brief(f"{topic}/{partition}/{offset}: {reason}"))
        for partition, offset, reason in rows
    ]


def _observed(rows: Sequence[asyncpg.Record]) -> Iterator[Observation]:
    for row in rows:
        sequence = row["sequence"]
        try:
            yield sequence, entry_of(row)  # type: ignore[arg-type] # a Record reads like a mapping
        except (
            ValueError,
            TypeError,
            OverflowError,
            AttributeError,
        ) as error:  # the owner of the database may have written anything
            yield sequence, UnusableRecord(BreakKind.MALFORMED, row["shard"], sequence, brief(str(error)))


@asynccontextmanager
async def _times_of_entries() -> AsyncIterator[None]:
    """Describe a row that Python cannot read. Raises CheckPostgres."""
    try:
        yield
    except OverflowError as error:
        raise CheckPostgres(
            f"a row of {TABLE} has a logged_at after the year 9999, which no entry has: find it by SQL and remove it; "
            "the other rows can then be verified"
        ) from error
