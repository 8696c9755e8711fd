"""How far a sink has read each partition of its inputs. Positions are in the same database as its rows."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

from shieldx.engine.tasks.log import TopicPartition
from shieldx.errors import FixConfiguration, LeaveTask

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from asyncpg.pool import PoolConnectionProxy

    from shieldx.engine.kafka.offset_range import OffsetRange

_BEGIN = """
INSERT INTO shieldx.positions (sink, topic, partition, next_offset, cluster_id, topic_id)
SELECT $1, topic, $2, next_offset, $3, topic_id
FROM unnest($4::text[], $5::bigint[], $6::text[]) AS new (topic, next_offset, topic_id)
ON CONFLICT (sink, topic, partition) DO NOTHING
"""
_NAME_TOPICS = """
UPDATE shieldx.positions AS position SET topic_id = new.topic_id
FROM unnest($3::text[], $4::text[]) AS new (topic, topic_id)
WHERE sink = $1 AND partition = $2 AND position.topic = new.topic AND position.topic_id IS NULL
"""
_READ = "SELECT topic, next_offset, cluster_id, topic_id FROM shieldx.positions WHERE sink = $1 AND partition = $2"
_MOVE = """
UPDATE shieldx.positions AS position
SET next_offset = new.next_offset, record_at = coalesce(new.record_at, position.record_at), moved_at = now()
FROM unnest($3::text[], $4::bigint[], $5::bigint[], $6::timestamptz[]) AS new (topic, expected, next_offset, record_at)
WHERE sink = $1 AND partition = $2 AND position.topic = new.topic AND position.next_offset = new.expected
"""


class StoredPosition(NamedTuple):
    """The next record to write, and the Kafka cluster and the topic that its offset belongs to."""

    next_offset: int
    cluster_id: str
    topic_id: str | None
    """None if an operator has said that any topic of this name will do."""


class Move(NamedTuple):
    """One step of a position: the expected offset, the next one, and the time of the last record.

    The time is None if the step passes no record.
    """

    topic: str
    expected: int
    next_offset: int
    record_at_ms: int | None


class StoredPositions:
    """The positions of one partition number of one sink."""

    def __init__(self, sink: str, partition: int, cluster_id: str) -> None:
        self._sink = sink
        self._partition = partition
        self._cluster_id = cluster_id

    async def read(self, connection: PoolConnectionProxy) -> dict[TopicPartition, StoredPosition]:
        """The current positions. Inputs that were never read have none."""
        rows = await connection.fetch(_READ, self._sink, self._partition)
        return {
            TopicPartition(topic, self._partition): StoredPosition(next_offset, cluster_id, topic_id)
            for topic, next_offset, cluster_id, topic_id in rows
        }

    async def begin(
        self,
        connection: PoolConnectionProxy,
        beginnings: Mapping[TopicPartition, int],
        topic_ids: Mapping[str, str],
    ) -> None:
        """Start topics without a position at their first record."""
        topics = [tp.topic for tp in beginnings]
        offsets = list(beginnings.values())
        ids = [topic_ids.get(topic) for topic in topics]
        await connection.execute(_BEGIN, self._sink, self._partition, self._cluster_id, topics, offsets, ids)

    async def name_topics(self, connection: PoolConnectionProxy, topic_ids: Mapping[str, str]) -> None:
        """Note the ids of topics where an operator has removed them."""
        await connection.execute(_NAME_TOPICS, self._sink, self._partition, list(topic_ids), list(topic_ids.values()))

    def check(
        self,
        found: Mapping[TopicPartition, StoredPosition],
        bounds: Mapping[TopicPartition, OffsetRange],
        topic_ids: Mapping[str, str],
    ) -> None:
        """Refuse positions of another log. Read the bounds after the positions, which another owner may still move.

        Raises:
            FixConfiguration: the database belongs to another log, or records were deleted unread.
        """
        for tp, bound in bounds.items():
            if tp in found:
                self._check_id(tp, found[tp], topic_ids)
                self._check(tp, found[tp].next_offset, found[tp].cluster_id, bound)

    async def move(self, connection: PoolConnectionProxy, moves: Sequence[Move]) -> None:
        """Move the positions, which locks them. A second owner of the partition waits and then moves nothing.

        Raises:
            LeaveTask: a position differs from the expected one: another owner moved it, or a backup was restored.
        """
        times = [None if move.record_at_ms is None else _time(move.record_at_ms) for move in moves]
        done = await connection.execute(
            _MOVE,
            self._sink,
            self._partition,
            *(list(column) for column in list(zip(*moves, strict=True))[:3]),
            times,
        )
        if done != f"UPDATE {len(moves)}":
            raise LeaveTask(
                f"another owner moved the position of sink {self._sink}, partition {self._partition}, or the database "
                "was restored; reading it again"
            )

    def _check_id(self, tp: TopicPartition, found: StoredPosition, topic_ids: Mapping[str, str]) -> None:
        same_cluster = found.cluster_id == self._cluster_id
        topic_id = topic_ids.get(tp.topic, found.topic_id)
        if same_cluster and found.topic_id is not None and topic_id != found.topic_id:
            raise FixConfiguration(
                f"topic {tp.topic} was deleted and created again: sink {self._sink} has written records of the one "
                f"with id {found.topic_id} to Postgres, and now it has id {topic_id}. Use another database, rebuild "
                "this one (`shieldx migrate down --all`, `shieldx migrate up`), or keep its rows and read the new "
                "topic from its beginning: set next_offset to 0 and topic_id to NULL in shieldx.positions for sink "
                f"{self._sink!r}, topic {tp.topic!r}"
            )

    def _check(self, tp: TopicPartition, next_offset: int, cluster_id: str, bound: OffsetRange) -> None:
        if cluster_id != self._cluster_id or next_offset > bound.end:
            raise FixConfiguration(
                f"Postgres has rows that sink {self._sink} read from another log than {tp.topic}/{tp.partition}: next "
                f"offset {next_offset} in cluster {cluster_id}; this is {self._cluster_id}, and ends at {bound.end}. "
                "Use another database, or rebuild this one: `shieldx migrate down --all`, `shieldx migrate up`"
            )
        if next_offset < bound.begin:
            raise FixConfiguration(
                f"sink {self._sink} has read {tp.topic}/{tp.partition} up to offset {next_offset}, but records below "
                f"{bound.begin} are deleted: {bound.begin - next_offset} were never written to Postgres. "
                f"Restore a newer backup, or accept the gap: set next_offset to {bound.begin} in shieldx.positions "
                f"for sink {self._sink!r}, topic {tp.topic!r}, partition {tp.partition}"
            )


def _time(at_ms: int) -> datetime | None:
    """The time of a record; None if it is none, since producers may write any number."""
    try:
        return datetime.fromtimestamp(at_ms / 1000, UTC)
    except (ValueError, OverflowError, OSError):
        return None
