"""A task that writes records to Postgres: one partition of a sink."""

from __future__ import annotations

import logging
import re
from hashlib import sha256
from typing import TYPE_CHECKING, NamedTuple

import asyncpg
import msgspec

from shieldx.engine.tasks.log import TopicPartition, UndecodedRecord
from shieldx.errors import LeaveTask
from shieldx.sinks.positions import Move, StoredPositions
from shieldx.sinks.sink_tables import SinkRows, SinkTables

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from asyncpg.pool import PoolConnectionProxy

    from shieldx.engine.declarations.sink import Sink
    from shieldx.engine.kafka.cluster import Cluster
    from shieldx.engine.operations.metrics import TaskMetrics
    from shieldx.engine.tasks.log import Record
    from shieldx.sinks.database import Database

logger = logging.getLogger(__name__)

_REFUSALS = (
    asyncpg.DataError,
    asyncpg.IntegrityConstraintViolationError,
    ValueError,  # raised by asyncpg itself, for example for a number that is too large
)
"""Errors after which it pays to look at the records."""
LONGEST_REASON = 400
_QUOTED = re.compile(r"(['\"]).*\1", re.DOTALL)
_UNREADABLE = """
INSERT INTO shieldx.unreadable (sink, topic, partition, record_offset, length, sha256, reason)
SELECT $1, * FROM unnest($2::text[], $3::int[], $4::bigint[], $5::int[], $6::text[], $7::text[])
ON CONFLICT (sink, topic, partition, record_offset) DO NOTHING
"""


class UnreadableRecord(NamedTuple):
    """A record that is set aside: its place, length, digest and the reason, without any of its payload."""

    topic: str
    partition: int
    offset: int
    length: int | None
    sha256: str | None
    reason: str

    @classmethod
    def of(cls, record: Record, error: Exception) -> UnreadableRecord:
        """Set a record aside. If it was not decoded, the reason for that says more than `error`."""
        if isinstance(record, UndecodedRecord):
            return cls(
                record.topic, record.partition, record.offset, record.length, record.sha256, _storable(record.reason)
            )
        value = record.value
        said = _QUOTED.sub("…", str(error).partition("\n")[0])
        return cls(
            record.topic,
            record.partition,
            record.offset,
            None if value is None else len(value),
            None if value is None else sha256(value).hexdigest(),
            _storable(f"{type(error).__name__}: {said}"),
        )


class SinkTask:
    """Writes rows and moves the position in one database transaction, which also detects another owner.

    A task is crash-only: after any error, close it and start a new one, which reads the position again.
    """

    stream_time_ms = 0
    due_ms = 0
    """While idle, check every second that Postgres responds and that the position is still ours."""
    size_bytes = 0

    def __init__(
        self,
        sink: Sink,
        partition: int,
        database: Database,
        cluster: Cluster,
        metrics: TaskMetrics,
        at_home: Callable[[Record], bool] = lambda _: True,
    ) -> None:
        """`at_home` says of a record whether its tenant has not moved to another partition, which has a later row."""
        self._at_home = at_home
        self._sink = sink
        self._partition = partition
        self._database = database
        self._cluster = cluster
        self._metrics = metrics
        self._tables = SinkTables(sink.into)
        self._stored = StoredPositions(sink.name, partition, cluster.id)
        self.inputs = tuple(TopicPartition(topic, partition) for topic in sink.reads)
        self.positions: dict[TopicPartition, int] = {}

    async def start(self) -> None:
        """Read the positions.

        Raises:
            RestoreTask: Postgres or the brokers do not respond; try again.
            FixConfiguration: the database belongs to another log, or records were deleted unread.
        """
        async with self._database.transaction() as connection:
            found = await self._stored.read(connection)
        topic_ids = await self._cluster.topic_ids(self._sink.reads)
        bounds = await self._cluster.bounds(self.inputs)
        self._stored.check(found, bounds, topic_ids)
        async with self._database.transaction() as connection:
            await self._stored.begin(connection, {tp: bound.begin for tp, bound in bounds.items()}, topic_ids)
            if any(position.topic_id is None for position in found.values()):
                await self._stored.name_topics(connection, topic_ids)
            found = await self._stored.read(connection)
        self.positions = {tp: found[tp].next_offset for tp in self.inputs}

    async def process(self, records: Sequence[Record]) -> int:
        """Write records in the given order, with the position. Returns how many were new.

        Raises:
            LeaveTask: another owner has moved the position.
            RestoreTask: Postgres failed; close this task and start another.
        """
        fresh = [record for record in records if record.offset >= self.positions[_place(record)]]
        if not fresh:
            return 0
        moves = self._moves(fresh)
        with self._metrics.committing():
            async with self._database.transaction() as connection:
                await self._stored.move(connection, moves)
                unreadable = await self._write(connection, fresh)
                await self._set_aside(connection, unreadable)
        for move in moves:
            self.positions[TopicPartition(move.topic, self._partition)] = move.next_offset
        self._metrics.applied(len(fresh), len(unreadable))
        return len(fresh)

    async def tick(self) -> None:
        """Check that the position is unchanged.

        Raises:
            LeaveTask: another owner has moved it.
            RestoreTask: Postgres failed.
        """
        async with self._database.transaction() as connection:
            found = await self._stored.read(connection)
        if any(tp not in found or found[tp].next_offset != offset for tp, offset in self.positions.items()):
            raise LeaveTask(f"the position of sink {self._sink.name}, partition {self._partition}, was moved")

    async def pass_over(self, positions: Mapping[TopicPartition, int]) -> None:
        """Move the positions past transaction markers.

        Raises:
            LeaveTask: another owner has moved a position.
            RestoreTask: Postgres failed.
        """
        moves = [Move(tp.topic, self.positions[tp], positions[tp], None) for tp in sorted(positions)]
        async with self._database.transaction() as connection:
            await self._stored.move(connection, moves)
        self.positions.update(positions)

    async def close(self) -> None:
        """Do nothing: no resource is held between transactions."""

    def _moves(self, records: Sequence[Record]) -> list[Move]:
        """Moves past the last record of each input, always in the same order to avoid deadlocks."""
        last = {_place(record): record for record in records}
        return [Move(tp.topic, self.positions[tp], last[tp].offset + 1, last[tp].timestamp) for tp in sorted(last)]

    async def _write(self, connection: PoolConnectionProxy, records: Sequence[Record]) -> list[UnreadableRecord]:
        """Write all rows at once. If Postgres refuses them, set aside what no column can hold, and write the others.

        What Postgres refuses after that is not the records' fault: the error propagates, and all is tried again later.
        """
        try:
            async with connection.transaction():
                return await self._write_once(connection, records, wary=False)
        except _REFUSALS:
            return await self._write_once(connection, records, wary=True)

    async def _write_once(
        self, connection: PoolConnectionProxy, records: Sequence[Record], *, wary: bool
    ) -> list[UnreadableRecord]:
        rows, unreadable = self._project(records, checked=wary)
        taken = await self._tables.write(connection, rows, wary=wary)
        return unreadable + [UnreadableRecord.of(record, error) for record, error in taken]

    def _project(self, records: Sequence[Record], *, checked: bool) -> tuple[SinkRows, list[UnreadableRecord]]:
        rows, unreadable = SinkRows(self._sink.into, checked=checked), list[UnreadableRecord]()
        rows_of = self._sink.rows
        for record in records:
            try:
                projected = [*rows_of(record.topic, record.partition, record.offset, record.key, record.value)]
                if self._at_home(record):  # only a row that can be read is one that a tenant has left behind
                    rows.add(record, projected)
            except (ValueError, RecursionError, msgspec.MsgspecError) as error:
                unreadable.append(UnreadableRecord.of(record, error))
        return rows, unreadable

    async def _set_aside(self, connection: PoolConnectionProxy, unreadable: Sequence[UnreadableRecord]) -> None:
        if not unreadable:
            return
        columns = [list(column) for column in zip(*unreadable, strict=True)]
        await connection.execute(_UNREADABLE, self._sink.name, *columns)
        for found in unreadable:
            place = {"agent": self._sink.name, "place": f"{found.topic}/{found.partition}/{found.offset}"}
            logger.warning("set aside in shieldx.unreadable: %s", found.reason, extra=place)


def _storable(reason: str) -> str:
    """A reason that a column holds. What a parser says may contain the name of a field, and so anything at all."""
    return "".join(character if character.isprintable() else "\ufffd" for character in reason[:LONGEST_REASON])


def _place(record: Record) -> TopicPartition:
    return TopicPartition(record.topic, record.partition)
