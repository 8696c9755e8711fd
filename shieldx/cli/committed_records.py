"""Committed records of a topic, as every reader of this platform should read them."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from aiokafka import AIOKafkaConsumer, TopicPartition

from shieldx.engine.errors import FixConfiguration

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable

    from shieldx.bootstrap import Platform

POLL_MS = 500


async def partitions_of(platform: Platform, topic: str) -> int:
    """How many partitions a topic has.

    Raises:
        FixConfiguration: it does not exist, or no broker answers.
    """
    found = await platform.topic_admin.describe([topic])
    if topic not in found:
        raise FixConfiguration(f"topic {topic!r} does not exist; run `shieldx topics create`")
    return found[topic].partitions


@asynccontextmanager
async def committed_consumer(platform: Platform) -> AsyncIterator[AIOKafkaConsumer]:
    """A consumer of no group that sees committed records only."""
    consumer = AIOKafkaConsumer(
        **platform.connection,
        isolation_level="read_committed",
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        fetch_max_wait_ms=100,
    )
    try:
        await consumer.start()
        await asyncio.sleep(0)  # stopping would raise if aiokafka's own tasks had not begun
        yield consumer
    finally:
        await consumer.stop()  # also one that could not start, which aiokafka's own context would leave open


async def committed_records(
    consumer: AIOKafkaConsumer, topic: str, numbers: Iterable[int], *, from_end: bool = False, follow: bool = False
) -> AsyncIterator[Any]:
    """Records of some partitions up to their present ends; with `follow`, for ever."""
    partitions = [TopicPartition(topic, number) for number in numbers]
    consumer.assign(partitions)
    ends = await consumer.end_offsets(partitions)
    starts = ends if from_end else await consumer.beginning_offsets(partitions)
    for tp, offset in starts.items():
        consumer.seek(tp, offset)
    unread = set(partitions)
    while follow or unread:
        for records in (await consumer.getmany(timeout_ms=POLL_MS)).values():
            for record in records:
                if follow or record.offset < ends[TopicPartition(record.topic, record.partition)]:
                    yield record
        if not follow:
            unread = {tp for tp in unread if await consumer.position(tp) < ends[tp]}
            consumer.pause(*(set(partitions) - unread))
