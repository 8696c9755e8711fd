"""Positions as records of a compacted topic, keyed by the input."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shieldx.engine.kafka.cluster import bounds_of
from shieldx.engine.kafka.committed_range import records_of
from shieldx.engine.tasks.log import TopicPartition, Write
from shieldx.engine.tasks.position import Position, decode_position, encode_position
from shieldx.errors import FixConfiguration

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from aiokafka import AIOKafkaConsumer

    from shieldx.engine.kafka.offset_range import OffsetRange
    from shieldx.engine.tasks.log import Record

FIRST_STEP = 8
"""How many offsets to read first: the last record, its transaction's marker, and some aborted records."""
STEP_TIMES = 8


def position_record(tp: TopicPartition, position: Position) -> Write:
    """The record of an input's position. It belongs in the partition with the same number."""
    return Write(tp.topic.encode(), encode_position(position), [])


async def last_positions(
    consumer: AIOKafkaConsumer, topic: str, inputs: Iterable[TopicPartition], application: str
) -> dict[TopicPartition, Position]:
    """Read the last committed position of each input that has one.

    Reads backwards from the end, since there is a record per transaction between two compactions. The consumer must
    have no group and read committed records.

    Raises:
        KafkaError: the broker did not respond.
        FixConfiguration: a record is not a position, or belongs to another application.
    """
    found: dict[TopicPartition, Record] = {}
    by_partition: dict[int, set[TopicPartition]] = {}
    for tp in inputs:
        by_partition.setdefault(tp.partition, set()).add(tp)
    held = await bounds_of(consumer, [TopicPartition(topic, partition) for partition in by_partition])
    for place, offsets in held.items():
        found |= await _from_the_end(consumer, place, offsets, by_partition[place.partition])
    return {tp: _position(record, application) for tp, record in found.items()}


async def written_counts(
    consumer: AIOKafkaConsumer, topic: str, inputs: Collection[str], partitions: Iterable[int]
) -> dict[int, int]:
    """The partition count that the data of each partition was written with, by the number of the partition.

    It is the one of the last position in one of the inputs.

    A partition without a position that names a count is left out: no task has started there. The consumer must have no
    group and read committed records.

    Raises:
        KafkaError: the broker did not respond.
        FixConfiguration: a record is not a position.
    """
    counts: dict[int, int] = {}
    left = await bounds_of(consumer, [TopicPartition(topic, partition) for partition in partitions])
    offsets = FIRST_STEP
    while left := {tp: held for tp, held in left.items() if held.offsets and tp.partition not in counts}:
        last = {tp: next(held.steps_back(offsets)) for tp, held in left.items()}
        async for record in records_of(consumer, last):
            if record.value and (record.key or b"").decode(errors="replace") in inputs:
                place = f"{record.topic}/{record.partition}/{record.offset}"
                count = decode_position(place, record.value).partitions
                if count is not None:
                    counts[record.partition] = count
        left = {tp: held._replace(end=last[tp].begin) for tp, held in left.items()}
        offsets *= STEP_TIMES
    return counts


async def _from_the_end(
    consumer: AIOKafkaConsumer, place: TopicPartition, held: OffsetRange, wanted: set[TopicPartition]
) -> dict[TopicPartition, Record]:
    """The last record of each input that has one."""
    found: dict[TopicPartition, Record] = {}
    for part in held.steps_back(FIRST_STEP, growth=STEP_TIMES):
        last: dict[TopicPartition, Record] = {}
        async for record in records_of(consumer, {place: part}):
            if record.key and record.value:
                last[TopicPartition(record.key.decode(errors="replace"), place.partition)] = record
        found = last | found
        if found.keys() >= wanted:
            break
    return {tp: record for tp, record in found.items() if tp in wanted}


def _position(record: Record, application: str) -> Position:
    place = f"{record.topic}/{record.partition}/{record.offset}"
    position = decode_position(place, record.value or b"")
    if position.application not in (None, application):
        raise FixConfiguration(
            f"{place} is of application {position.application!r}, and SHIELDX_APPLICATION is {application!r}: both "
            "would answer the same commands. Set the name back; or stop the other application and write each next "
            "offset again, without an application"
        )
    return position
