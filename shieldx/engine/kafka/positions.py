"""Positions as records of a compacted topic: keyed by the input, the next offset in decimal as value."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiokafka import TopicPartition as KafkaTopicPartition

from shieldx.engine.tasks.log import TopicPartition, Write
from shieldx.errors import FixConfiguration

if TYPE_CHECKING:
    from collections.abc import Iterable

    from aiokafka import AIOKafkaConsumer

    from shieldx.engine.tasks.log import Record

FIRST_STEP = 8
"""Offsets that are read back at first: the last record, the marker of its transaction, and some that were aborted."""
STEP_TIMES = 8
_POLL_MS = 1000


APPLICATION = "application"


def position_record(tp: TopicPartition, offset: int, application: str) -> Write:
    """What says that `offset` is the next one of an input; it belongs into the partition of the same number.

    It bears the application's name: two of them would not fence each other, and answer everything twice.
    """
    return Write(tp.topic.encode(), b"%d" % offset, [(APPLICATION, application.encode())])


async def last_positions(
    consumer: AIOKafkaConsumer, topic: str, inputs: Iterable[TopicPartition], application: str
) -> dict[TopicPartition, int]:
    """The last committed position of each input that has one, by a consumer of committed records without a group.

    The last records are looked for from the end: between two compactions there is one for every transaction.

    Raises:
        KafkaError: the broker did not answer.
        FixConfiguration: a record is no position, or another application's.
    """
    found: dict[TopicPartition, Record] = {}
    by_partition: dict[int, set[TopicPartition]] = {}
    for tp in inputs:
        by_partition.setdefault(tp.partition, set()).add(tp)
    for partition, wanted in by_partition.items():
        found |= await _from_the_end(consumer, KafkaTopicPartition(topic, partition), wanted)
    for record in found.values():
        _check_application(record, application)
    return {tp: _number(record) for tp, record in found.items()}


async def _from_the_end(
    consumer: AIOKafkaConsumer, place: KafkaTopicPartition, wanted: set[TopicPartition]
) -> dict[TopicPartition, Record]:
    consumer.assign([place])
    first = (await consumer.beginning_offsets([place]))[place]
    stop = (await consumer.end_offsets([place]))[place]
    found: dict[TopicPartition, Record] = {}
    step = FIRST_STEP
    while stop > first and wanted - found.keys():
        start = max(first, stop - step)
        found = await _between(consumer, place, start, stop) | found
        stop, step = start, step * STEP_TIMES
    return {tp: record for tp, record in found.items() if tp in wanted}


async def _between(
    consumer: AIOKafkaConsumer, place: KafkaTopicPartition, start: int, stop: int
) -> dict[TopicPartition, Record]:
    """The last record of each input from one offset on and below another."""
    found: dict[TopicPartition, Record] = {}
    consumer.seek(place, start)
    while await consumer.position(place) < stop:
        for record in (await consumer.getmany(place, timeout_ms=_POLL_MS)).get(place, []):
            if record.offset < stop and record.key and record.value:
                found[TopicPartition(record.key.decode(errors="replace"), place.partition)] = record
    return found


def _check_application(record: Record, application: str) -> None:
    """Accept what bears no name as well: an operator's record."""
    names = [content.decode(errors="replace") for name, content in record.headers if name == APPLICATION]
    if names and names[-1] != application:
        raise FixConfiguration(
            f"{record.topic} is of application {names[-1]!r}, and SHIELDX_APPLICATION is {application!r}: both would "
            "answer the same commands. Set the name back; or stop the other one and write each next offset there "
            "anew, without a header"
        )


def _number(record: Record) -> int:
    try:
        return int(record.value or b"")
    except ValueError as error:
        raise FixConfiguration(
            f"{record.topic}/{record.partition}/{record.offset} is no offset: something else wrote into the topic of "
            "positions. Write the right one behind it, under the same key"
        ) from error
