"""Committed records of a topic, as every reader of this platform should read them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shieldx.engine.kafka.clients import new_consumer, started
from shieldx.engine.kafka.cluster import bounds_of
from shieldx.engine.kafka.committed_range import records_from, records_of
from shieldx.engine.tasks.log import TopicPartition
from shieldx.errors import FixConfiguration

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable
    from contextlib import AbstractAsyncContextManager

    from aiokafka import AIOKafkaConsumer

    from shieldx.bootstrap.platform import Platform
    from shieldx.engine.kafka.offset_range import OffsetRange
    from shieldx.engine.tasks.log import Record


async def partitions_of(platform: Platform, topic: str) -> int:
    """How many partitions a topic has.

    Raises:
        FixConfiguration: it does not exist, or no broker answers.
    """
    found = await platform.topic_admin.describe([topic])
    if topic not in found:
        raise FixConfiguration(f"topic {topic!r} does not exist; run `shieldx topics create`")
    return found[topic].partitions


def committed_consumer(platform: Platform) -> AbstractAsyncContextManager[AIOKafkaConsumer]:
    """A consumer of no group that sees committed records only. It passes over what retention deletes meanwhile."""
    return started(new_consumer(platform.connection, auto_offset_reset="earliest"))


def uncommitted_consumer(platform: Platform) -> AbstractAsyncContextManager[AIOKafkaConsumer]:
    """A consumer of no group that also sees records of open and aborted transactions."""
    return started(new_consumer(platform.connection, isolation_level="read_uncommitted", auto_offset_reset="earliest"))


async def ranges_of(
    consumer: AIOKafkaConsumer, topic: str, numbers: Iterable[int]
) -> dict[TopicPartition, OffsetRange]:
    """What some partitions hold now, up to their first open transactions."""
    return await bounds_of(consumer, [TopicPartition(topic, number) for number in numbers])


async def committed_records(
    consumer: AIOKafkaConsumer, topic: str, numbers: Iterable[int], *, from_end: bool = False, follow: bool = False
) -> AsyncIterator[Record]:
    """Records of some partitions up to their present ends; with `follow`, for ever."""
    ranges = await ranges_of(consumer, topic, numbers)
    if not from_end:
        async for record in records_of(consumer, ranges):
            yield record
    if follow:
        async for record in records_from(consumer, {tp: held.end for tp, held in ranges.items()}):
            yield record
