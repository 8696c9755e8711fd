"""Committed records of a topic, as every reader of this platform should read them."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from aiokafka import AIOKafkaConsumer, TopicPartition

from shieldx.engine.kafka.span import Span
from shieldx.errors import FixConfiguration

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Mapping

    from shieldx.bootstrap.platform import Platform

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


async def spans_of(consumer: AIOKafkaConsumer, topic: str, numbers: Iterable[int]) -> dict[TopicPartition, Span]:
    """What some partitions hold now, without transactions that are still open."""
    partitions = [TopicPartition(topic, number) for number in numbers]
    begins, ends = await consumer.beginning_offsets(partitions), await consumer.end_offsets(partitions)
    return {tp: Span(begins[tp], ends[tp]) for tp in partitions}


async def records_in(consumer: AIOKafkaConsumer, spans: Mapping[TopicPartition, Span]) -> AsyncGenerator[Any, None]:
    """The records of some spans; those of a partition in their order."""
    consumer.assign(list(spans))
    for tp, span in spans.items():
        consumer.seek(tp, span.begin)
    unread = {tp for tp, span in spans.items() if span.begin < span.end}
    while unread:
        consumer.pause(*(set(spans) - unread))
        for tp, records in (await consumer.getmany(timeout_ms=POLL_MS)).items():
            for record in records:
                if record.offset < spans[tp].end:
                    yield record
        unread = {tp for tp in unread if await consumer.position(tp) < spans[tp].end}


async def records_from(consumer: AIOKafkaConsumer, offsets: Mapping[TopicPartition, int]) -> AsyncIterator[Any]:
    """The records from some offsets on, for ever."""
    consumer.assign(list(offsets))
    for tp, offset in offsets.items():
        consumer.seek(tp, offset)
    while True:
        for records in (await consumer.getmany(timeout_ms=POLL_MS)).values():
            for record in records:
                yield record


async def committed_records(
    consumer: AIOKafkaConsumer, topic: str, numbers: Iterable[int], *, from_end: bool = False, follow: bool = False
) -> AsyncIterator[Any]:
    """Records of some partitions up to their present ends; with `follow`, for ever."""
    spans = await spans_of(consumer, topic, numbers)
    if not from_end:
        async for record in records_in(consumer, spans):
            yield record
    if follow:
        async for record in records_from(consumer, {tp: span.end for tp, span in spans.items()}):
            yield record
