"""Committed records between two offsets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from aiokafka import TopicPartition

from shieldx.cli.committed_records import POLL_MS

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Iterator, Mapping

    from aiokafka import AIOKafkaConsumer

MOST_OFFSETS = 50_000
"""Reading so many costs more than asking for them; a larger step back would only overshoot."""


class Span(NamedTuple):
    """Offsets from `begin` on, up to `end`, which is not included."""

    begin: int
    end: int


async def spans_of(consumer: AIOKafkaConsumer, topic: str, numbers: Iterable[int]) -> dict[TopicPartition, Span]:
    """What some partitions hold now, without transactions that are still open."""
    partitions = [TopicPartition(topic, number) for number in numbers]
    begins, ends = await consumer.beginning_offsets(partitions), await consumer.end_offsets(partitions)
    return {tp: Span(begins[tp], ends[tp]) for tp in partitions}


def steps_back(span: Span, offsets: int) -> Iterator[Span]:
    """The parts of a span from its end to its beginning, the first of so many offsets, each later one of twice as many.

    Offsets are more than records: a transaction's marker takes one.
    """
    end = span.end
    while end > span.begin:
        begin = max(span.begin, end - offsets)
        yield Span(begin, end)
        end, offsets = begin, min(2 * offsets, MOST_OFFSETS)


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
