"""Reads topics as a committed reader sees them, up to their ends."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable

    from aiokafka import ConsumerRecord
    from aiokafka.structs import OffsetAndMetadata

_POLL_MS = 500
_POLL_S = 0.25
_FETCH_BYTES = 8 * 1024 * 1024


@asynccontextmanager
async def _reader(bootstrap: str, isolation_level: str = "read_committed") -> AsyncIterator[AIOKafkaConsumer]:
    consumer = AIOKafkaConsumer(
        bootstrap_servers=bootstrap,
        isolation_level=isolation_level,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        max_partition_fetch_bytes=_FETCH_BYTES,
    )
    await consumer.start()
    try:
        yield consumer
    finally:
        await consumer.stop()


async def read_topic(bootstrap: str, topic: str, partitions: int) -> list[list[ConsumerRecord]]:
    """Every committed record, by partition."""
    wanted = [TopicPartition(topic, number) for number in range(partitions)]
    found: list[list[ConsumerRecord]] = [[] for _ in wanted]
    async with _reader(bootstrap) as consumer:
        consumer.assign(wanted)
        ends = await consumer.end_offsets(wanted)
        while unread := [tp for tp in wanted if await consumer.position(tp) < ends[tp]]:
            for tp, records in (await consumer.getmany(*unread, timeout_ms=_POLL_MS)).items():
                found[tp.partition] += records
    return found


async def unreadable(bootstrap: str, topics: Iterable[str], partitions: int) -> list[str]:
    """Where a transaction is open: readers do not see what follows it."""
    wanted = [TopicPartition(topic, number) for topic in topics for number in range(partitions)]
    async with _reader(bootstrap) as committed, _reader(bootstrap, "read_uncommitted") as uncommitted:
        readable = await committed.end_offsets(wanted)
        written = await uncommitted.end_offsets(wanted)
    return [
        f"{topic}/{number}: readable up to {readable[topic, number]}, written up to {written[topic, number]}"
        for topic, number in wanted
        if readable[topic, number] != written[topic, number]
    ]


class Tail:
    """Follows the inputs of a group and gives each committed record once."""

    def __init__(self, bootstrap: str, group: str, topics: Iterable[str], partitions: int) -> None:
        self._bootstrap = bootstrap
        self._group = group
        self._partitions = [TopicPartition(topic, number) for topic in topics for number in range(partitions)]

    async def until(self, quiet: Callable[[], bool], take: Callable[[ConsumerRecord], None]) -> None:
        """Read on until the group has committed all that there is, and what was read makes `quiet` true."""
        admin = AIOKafkaAdminClient(bootstrap_servers=self._bootstrap)
        await admin.start()
        try:
            async with _reader(self._bootstrap) as consumer:
                consumer.assign(self._partitions)
                last = dict.fromkeys(self._partitions, -1)
                while not (await self._read_up(consumer, last, take) and quiet() and await self._done(admin, last)):  # noqa: ASYNC110 - the broker sets no asyncio.Event
                    await asyncio.sleep(_POLL_S)
        finally:
            await admin.close()

    async def _read_up(
        self, consumer: AIOKafkaConsumer, last: dict[TopicPartition, int], take: Callable[[ConsumerRecord], None]
    ) -> bool:
        """Take all that is readable now; True if that was nothing new."""
        ends = await consumer.end_offsets(self._partitions)
        before = dict(last)
        while unread := [tp for tp in self._partitions if await consumer.position(tp) < ends[tp]]:
            for tp, records in (await consumer.getmany(*unread, timeout_ms=_POLL_MS)).items():
                for record in records:
                    take(record)
                last[tp] = records[-1].offset
        return last == before

    async def _done(self, admin: AIOKafkaAdminClient, last: dict[TopicPartition, int]) -> bool:
        committed = await admin.list_consumer_group_offsets(self._group, partitions=self._partitions)
        return all(_next_offset(committed.get(tp)) > offset for tp, offset in last.items())


def _next_offset(committed: OffsetAndMetadata | None) -> int:
    """0 where none is committed yet. It may be behind markers too, which are no records."""
    return 0 if committed is None else max(0, int(committed.offset))
