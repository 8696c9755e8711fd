"""An audit log in Kafka, cut into segments by offset."""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

import msgspec

from shieldx.domains.audit.entry import AuditEntry, is_genuine
from shieldx.domains.audit.joining import SeenHead
from shieldx.domains.audit.record import observe
from shieldx.engine.kafka.access import translated
from shieldx.engine.kafka.clients import REQUEST_TIMEOUT_MS, new_consumer, started
from shieldx.engine.kafka.cluster import Cluster
from shieldx.engine.kafka.committed_range import read_ranges
from shieldx.engine.kafka.offset_range import OffsetRange
from shieldx.engine.tasks.log import TopicPartition
from shieldx.errors import CheckConnection
from shieldx.settings import Settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Mapping

    from shieldx.domains.audit.segment import Observation

SEGMENT_RECORDS = 100_000
"""Connecting takes as long as checking some thousand entries."""
BATCH_RECORDS = 4000
FETCH_BYTES = 8 * 1024 * 1024
LOOK_BACK = 64


class KafkaSegment(msgspec.Struct, frozen=True):
    """The records of a range of one partition."""

    settings: Settings
    bootstrap: str
    topic: str
    partition: int
    offsets: OffsetRange

    @property
    def weight(self) -> int:
        """How many offsets it spans."""
        return self.offsets.offsets

    async def read(self) -> AsyncIterator[Iterable[Observation]]:
        """The committed records.

        Raises:
            FixConfiguration: an ACL is missing.
            CheckConnection: the brokers do not give them.
        """
        connection = self.settings.connection(self.bootstrap)
        tp = TopicPartition(self.topic, self.partition)
        with translated(connection, f"{self.topic}/{self.partition} cannot be read", CheckConnection):
            async with started(new_consumer(connection, max_partition_fetch_bytes=FETCH_BYTES)) as consumer:
                async for records in read_ranges(consumer, {tp: self.offsets}, max_records=BATCH_RECORDS):
                    yield chain.from_iterable(
                        observe(self.partition, record.offset, record.key, record.value) for record in records
                    )


def _cluster(settings: Settings, bootstrap: str) -> Cluster:
    connection = settings.connection(bootstrap)
    return Cluster(connection, otherwise=CheckConnection, request_timeout_ms=REQUEST_TIMEOUT_MS)


async def kafka_segments(settings: Settings, bootstrap: str, topic: str, partitions: int) -> list[KafkaSegment]:
    """The segments of everything that a topic has now.

    Raises:
        FixConfiguration: an ACL is missing.
        CheckConnection: the brokers do not answer.
    """
    async with _cluster(settings, bootstrap) as cluster:
        held = await cluster.bounds(TopicPartition(topic, number) for number in range(partitions))
    return [
        KafkaSegment(settings, bootstrap, topic, tp.partition, OffsetRange(begin, min(begin + SEGMENT_RECORDS, end)))
        for tp, (first, end) in held.items()
        for begin in range(first, end, SEGMENT_RECORDS)
    ]


async def heads_below(
    settings: Settings, bootstrap: str, topic: str, positions: Mapping[int, int], keys: Mapping[str, bytes]
) -> list[SeenHead]:
    """The last genuine entry of each partition below a position. A reader at that position must have seen it.

    Raises:
        FixConfiguration: an ACL is missing.
        CheckConnection: the brokers do not answer.
    """
    async with _cluster(settings, bootstrap) as cluster:
        held = await cluster.bounds(TopicPartition(topic, number) for number in positions)
    heads = []
    for tp, (first, end) in held.items():
        below = OffsetRange(first, min(positions[tp.partition], end))
        for step in below.steps_back(LOOK_BACK):
            last: AuditEntry | None = None
            async for observed in KafkaSegment(settings, bootstrap, topic, tp.partition, step).read():
                for _, entry in observed:
                    last = entry if isinstance(entry, AuditEntry) and is_genuine(entry, keys) else last
            if last is not None:
                heads.append(SeenHead(last.shard, last.sequence, last.hash, f"{topic}/{tp.partition}"))
                break
    return heads
