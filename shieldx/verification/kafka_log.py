"""An audit log in Kafka, cut into segments by offset."""

from __future__ import annotations

import asyncio
from itertools import chain
from typing import TYPE_CHECKING

import msgspec
from aiokafka import AIOKafkaConsumer
from aiokafka import TopicPartition as KafkaTopicPartition

from shieldx.domains.audit.entry import AuditEntry, is_genuine
from shieldx.domains.audit.joining import SeenHead
from shieldx.domains.audit.record import observe
from shieldx.engine.kafka.kafka_log import FAILURES
from shieldx.engine.kafka.log_bounds import LogBounds
from shieldx.engine.kafka.span import Span, steps_back
from shieldx.engine.tasks.log import TopicPartition
from shieldx.errors import ShieldXError
from shieldx.settings import Settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Mapping

    from shieldx.domains.audit.segment import Observation

SEGMENT_RECORDS = 100_000
"""The size of a segment: connecting takes as long as checking some thousand entries."""
POLL_MS = 1000
BATCH_RECORDS = 4000
FETCH_BYTES = 8 * 1024 * 1024
LOOK_BACK = 64
STALL_S = 60.0
"""The read timeout: a topic that is deleted meanwhile yields neither records nor an error."""


class CheckKafka(ShieldXError):
    """The brokers do not return the records that they have."""


class KafkaSegment(msgspec.Struct, frozen=True):
    """The records of one partition in a range of offsets that excludes its end."""

    settings: Settings
    bootstrap: str
    topic: str
    partition: int
    begin: int
    end: int

    @property
    def weight(self) -> int:
        """The number of offsets in the range."""
        return self.end - self.begin

    async def read(self) -> AsyncIterator[Iterable[Observation]]:
        """Yield the committed records. Raises CheckKafka."""
        tp = KafkaTopicPartition(self.topic, self.partition)
        consumer = AIOKafkaConsumer(
            **self.settings.connection(self.bootstrap),
            isolation_level="read_committed",
            enable_auto_commit=False,
            auto_offset_reset="none",
            fetch_max_wait_ms=100,
            max_partition_fetch_bytes=FETCH_BYTES,
        )
        try:
            await consumer.start()
            consumer.assign([tp])
            consumer.seek(tp, self.begin)
            clock = asyncio.get_running_loop().time
            moved_s, before = clock(), -1
            while (position := await consumer.position(tp)) < self.end:
                if position != before:
                    moved_s, before = clock(), position
                elif clock() - moved_s > STALL_S:
                    raise CheckKafka(f"{self.topic}/{self.partition} returns no records from offset {position}")
                found = await consumer.getmany(tp, timeout_ms=POLL_MS, max_records=BATCH_RECORDS)
                yield chain.from_iterable(
                    observe(self.partition, record.offset, record.key, record.value)
                    for record in found.get(tp, ())
                    if record.offset < self.end
                )
        except FAILURES as error:
            raise CheckKafka(f"cannot read {self.topic}/{self.partition}: {error!r}") from error
        finally:
            await consumer.stop()


async def kafka_segments(settings: Settings, bootstrap: str, topic: str, partitions: int) -> list[KafkaSegment]:
    """The segments of everything that a topic has now.

    Raises:
        RestoreTask: The brokers do not respond.
    """
    bounds = LogBounds(settings.connection(bootstrap))
    await bounds.start()
    try:
        found = await bounds.of(TopicPartition(topic, number) for number in range(partitions))
    finally:
        await bounds.stop()
    return [
        KafkaSegment(settings, bootstrap, topic, tp.partition, begin, min(begin + SEGMENT_RECORDS, bound.end))
        for tp, bound in found.items()
        for begin in range(bound.beginning, bound.end, SEGMENT_RECORDS)
    ]


async def heads_below(
    settings: Settings, bootstrap: str, topic: str, positions: Mapping[int, int], keys: Mapping[str, bytes]
) -> list[SeenHead]:
    """The last genuine entry of each partition below a position. A reader at that position must have seen it.

    Raises:
        RestoreTask, CheckKafka: The brokers do not respond.
    """
    bounds = LogBounds(settings.connection(bootstrap))
    await bounds.start()
    try:
        found = await bounds.of(TopicPartition(topic, number) for number in positions)
    finally:
        await bounds.stop()
    heads = []
    for tp, bound in found.items():
        span = Span(bound.beginning, min(positions[tp.partition], bound.end))
        for begin, end in steps_back(span, LOOK_BACK):
            last: AuditEntry | None = None
            async for observed in KafkaSegment(settings, bootstrap, topic, tp.partition, begin, end).read():
                for _, entry in observed:
                    last = entry if isinstance(entry, AuditEntry) and is_genuine(entry, keys) else last
            if last is not None:
                heads.append(SeenHead(last.shard, last.sequence, last.hash, f"{topic}/{tp.partition}"))
                break
    return heads
