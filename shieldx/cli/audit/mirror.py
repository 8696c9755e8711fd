"""The mirror of the audit log in Postgres, and its lag."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, cast

from aiokafka import TopicPartition
from aiokafka.errors import KafkaError

from shieldx.cli.behind import Behind, last_applied, records_behind
from shieldx.cli.committed_records import partitions_of
from shieldx.cli.sink_positions import records_set_aside, sink_positions
from shieldx.domains.audit.projections import SELECT_COLUMNS, TABLE
from shieldx.domains.audit.tables import LOG
from shieldx.errors import FixConfiguration
from shieldx.sinks.database import connected
from shieldx.verification.postgres_log import SINK

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import asyncpg

    from shieldx.bootstrap.platform import Platform
    from shieldx.cli.audit.criteria import Criteria
    from shieldx.cli.audit.entry_id import EntryId
    from shieldx.cli.sink_positions import SinkPosition

FETCH_ROWS = 2000
_LAST = f"SELECT max(sequence) FROM {TABLE} WHERE shard = $1"  # noqa: S608 - a constant


EntryRow = Mapping[str, Any]
"""A row of `audit.entries`, with its columns by name."""


class AuditMirror:
    """The log's copy in Postgres, in one consistent snapshot."""

    def __init__(
        self, platform: Platform, connection: asyncpg.Connection, positions: Mapping[TopicPartition, SinkPosition]
    ) -> None:
        self._platform = platform
        self._connection = connection
        self._positions = positions

    async def rows_of(self, entry_id: EntryId) -> list[EntryRow]:
        """The rows of one entry: one, none, or several if someone has added rows."""
        condition = "WHERE shard = $1 AND sequence = $2 ORDER BY logged_at"
        return [
            cast("EntryRow", row) for row in await self._connection.fetch(f"{SELECT_COLUMNS} {condition}", *entry_id)
        ]

    async def last_sequence(self, shard: int) -> int | None:
        """The last sequence of a shard in the mirror, or None if it has no entries."""
        last = await self._connection.fetchval(_LAST, shard)
        return None if last is None else int(last)

    async def last_rows(self, criteria: Criteria, limit: int) -> list[EntryRow]:
        """The last matching rows, in the order of stream time."""
        condition, arguments = criteria.sql()
        rows = await self._connection.fetch(
            f"{SELECT_COLUMNS} WHERE {condition} "
            f"ORDER BY logged_at DESC, shard DESC, sequence DESC LIMIT ${len(arguments) + 1}",
            *arguments,
            limit,
        )
        return [cast("EntryRow", row) for row in reversed(rows)]

    async def rows(self, criteria: Criteria) -> AsyncIterator[EntryRow]:
        """All matching rows, by shard and sequence."""
        condition, arguments = criteria.sql()
        statement = f"{SELECT_COLUMNS} WHERE {condition} ORDER BY shard, sequence, logged_at"
        # For a declared cursor, Postgres optimizes for the first rows: it uses the index and never sorts the whole
        # mirror.
        await self._connection.execute(f"DECLARE export NO SCROLL CURSOR FOR {statement}", *arguments)
        while rows := await self._connection.fetch(f"FETCH {FETCH_ROWS} FROM export"):
            for row in rows:
                yield cast("EntryRow", row)

    async def behind(self) -> Behind:
        """How far this snapshot is behind the current ends of the log."""
        records: int | None = None
        try:
            count = await partitions_of(self._platform, LOG)
            inputs = [TopicPartition(LOG, number) for number in range(count)]
            records = await records_behind(self._platform, inputs, self._positions)
        except (KafkaError, FixConfiguration):
            pass  # the number stays unknown
        aside = await records_set_aside(self._connection, SINK)
        return Behind(None if records is None else records + aside, aside, last_applied(self._positions.values()))


@asynccontextmanager
async def mirror(platform: Platform) -> AsyncIterator[AuditMirror]:
    """The mirror and the positions that belong to its rows, in one database snapshot.

    Raises:
        FixConfiguration: No Postgres is configured, or its schema belongs to another version.
        CheckPostgres: Postgres does not respond, or denies access.
    """
    (await platform.schema.state()).check()
    async with (
        connected(platform.postgres_dsn) as connection,
        connection.transaction(isolation="repeatable_read", readonly=True),
    ):
        yield AuditMirror(platform, connection, await sink_positions(connection, SINK))
