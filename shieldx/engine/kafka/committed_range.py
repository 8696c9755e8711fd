"""Reads committed records of partitions in given offset ranges."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import TYPE_CHECKING

from aiokafka import TopicPartition as KafkaTopicPartition
from aiokafka.errors import KafkaTimeoutError, OffsetOutOfRangeError

from shieldx.engine.kafka.cluster import bounds_of

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence

    from aiokafka import AIOKafkaConsumer

    from shieldx.engine.kafka.offset_range import OffsetRange
    from shieldx.engine.tasks.log import Record, TopicPartition

POLL_MS = 200
"""aiokafka does not wake up for a fetch of only markers; they are noticed after this time."""
STALL_S = 60.0
UNREACHABLE_S = 1.0
"""A new leader briefly does not know the end of its partition."""


class RangeNotThere(OffsetOutOfRangeError):  # type: ignore[misc] # aiokafka ships no types
    """The partition ends at `end`, before the range does: the topic was created again or has lost records."""

    def __init__(self, tp: KafkaTopicPartition, end: int) -> None:
        super().__init__(f"{tp.topic}/{tp.partition} ends at offset {end}")
        self.end = end


async def read_ranges(
    consumer: AIOKafkaConsumer,
    ranges: Mapping[TopicPartition, OffsetRange],
    *,
    max_records: int | None = None,
    stall_s: float | None = STALL_S,
) -> AsyncGenerator[Sequence[Record], None]:
    """Read every committed record of some ranges, as lists of one partition's records in offset order.

    No more than one fetch of each partition is in memory. The consumer is assigned the partitions, and may be used for
    something else once this has ended or is closed.

    Args:
        consumer: one without a group that reads committed records.
        ranges: what to read. A range that includes an open transaction is read once that has ended.
        max_records: the maximum records per list; by default, all of one fetch.
        stall_s: fail if nothing arrives for this long; None waits for ever.

    Raises:
        KafkaTimeoutError: nothing arrived for `stall_s`.
        RangeNotThere: a partition ends before its range.
        OffsetOutOfRangeError: a range begins before what the partition holds, for a consumer that does not reset
            offsets.
        KafkaError: the brokers do not respond.
    """
    unread = {KafkaTopicPartition(*tp): wanted for tp, wanted in ranges.items() if wanted.offsets}
    if not unread:
        return
    positions = {tp: wanted.begin for tp, wanted in unread.items()}
    start_at(consumer, positions)
    clock = asyncio.get_running_loop().time
    moved_s = clock()
    while unread:
        for tp, records in (await consumer.getmany(*unread, timeout_ms=POLL_MS, max_records=max_records)).items():
            if wanted := _below(records, unread[tp].end):
                yield wanted
        before, positions = positions, {tp: await consumer.position(tp) for tp in unread}
        if any(before[tp] != position for tp, position in positions.items()):
            moved_s = clock()
        else:
            waited_s = clock() - moved_s
            if waited_s > UNREACHABLE_S:
                _check_reachable(consumer, unread)
            if stall_s is not None and waited_s > stall_s:
                raise _stalled(positions, stall_s)
        done = [tp for tp, position in positions.items() if position >= unread[tp].end]
        if done:
            consumer.pause(*done)  # otherwise the brokers would send what follows the range
            unread = {tp: wanted for tp, wanted in unread.items() if tp not in done}


async def records_of(
    consumer: AIOKafkaConsumer, ranges: Mapping[TopicPartition, OffsetRange]
) -> AsyncGenerator[Record, None]:
    """Read every committed record of some ranges, one by one; see `read_ranges`."""
    async with aclosing(read_ranges(consumer, ranges)) as lists:
        async for records in lists:
            for record in records:
                yield record


async def records_from(
    consumer: AIOKafkaConsumer, offsets: Mapping[TopicPartition, int]
) -> AsyncGenerator[Record, None]:
    """Read every committed record from some offsets on, for ever; each partition's records in order.

    Raises:
        KafkaError: the brokers do not answer.
    """
    start_at(consumer, offsets)
    while True:
        for records in (await consumer.getmany(timeout_ms=POLL_MS)).values():
            for record in records:
                yield record


def start_at(consumer: AIOKafkaConsumer, offsets: Mapping[TopicPartition, int]) -> None:
    """Make a consumer without a group read partitions from the given offsets on."""
    places = {KafkaTopicPartition(*tp): offset for tp, offset in offsets.items()}
    consumer.assign(list(places))
    for tp, offset in places.items():
        consumer.seek(tp, offset)


async def start_at_end(consumer: AIOKafkaConsumer, partitions: Iterable[TopicPartition]) -> None:
    """Make a consumer without a group read what is committed to partitions from now on.

    Raises:
        KafkaError: the brokers do not answer.
    """
    start_at(consumer, {tp: held.end for tp, held in (await bounds_of(consumer, partitions)).items()})


def _below(records: Sequence[Record], end: int) -> Sequence[Record]:
    if records[-1].offset < end:
        return records
    return [record for record in records if record.offset < end]


def _check_reachable(consumer: AIOKafkaConsumer, unread: Mapping[KafkaTopicPartition, OffsetRange]) -> None:
    for tp, wanted in unread.items():
        end = consumer.highwater(tp)
        if end is not None and end < wanted.end:
            raise RangeNotThere(tp, end)


def _stalled(positions: Mapping[KafkaTopicPartition, int], stall_s: float) -> KafkaTimeoutError:
    tp, position = next(iter(positions.items()))
    return KafkaTimeoutError(
        f"{tp.topic}/{tp.partition} gave nothing from offset {position} on for {stall_s:g} s: a transaction is open "
        "there, a broker is slow, or the topic was deleted"
    )
